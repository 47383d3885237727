"""The grid in the store: written twice it is there once, and what is asked of it comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import KnownTarget, MovieTargetRow, TargetRoundRow, TargetWordRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.grid_target import GridName, GridTarget
from frazil.models.targets.records import MoveMinutes, NextTargets, RankedTarget, SquareOutlook

SQUARE = GridTarget("epu:square:7", "square", "epu", "7", stage_x_um=100.0, said_by="Atlas.dm")


def hole(number: int, *, state: str = "chosen") -> GridTarget:
    return GridTarget(
        f"epu:hole:{number}",
        "hole",
        "epu",
        str(number),
        parent_id=SQUARE.target_id,
        state=state,
        order=number,
        stage_x_um=100.0 + number,
        stage_y_um=50.0,
        features=(("intensity_mean_counts", 700.0 + number),),
        said_by="GridSquare_7.dm",
    )


def known(target: GridTarget, *, gone: bool = False) -> KnownTarget:
    return KnownTarget(target, SQUARE.target_id, gone)


def write(store: Store, work: object, *args: object, **named: object) -> None:
    store.write(WritePolicy.DURABLE, work, *args, **named)  # type: ignore[call-overload]


def answer(*numbers: int) -> NextTargets:
    ranked = tuple(
        RankedTarget(
            rank=rank,
            target_id=f"epu:hole:{number}",
            name=str(number),
            square_id=SQUARE.target_id,
            patch_id=None,
            usable=0.8,
            usable_low=0.7,
            usable_high=0.9,
            signal=None,
            signal_low=None,
            signal_high=None,
            minutes=1.0,
            reason="its neighbours were good",
        )
        for rank, number in enumerate(numbers, 1)
    )
    outlook = SquareOutlook(SQUARE.target_id, "7", 4, 1, 3, 1, 0.8, 0.7, 0.9, 2, "leave it after 2 more")
    slopes = (("intensity_mean_counts", -0.1, -0.2, 0.0),)
    return NextTargets(ranked, (outlook,), "stay in square 7", 2.5, 0.4, 0.3, slopes, MoveMinutes())


def round_row(number: int, *numbers: int) -> TargetRoundRow:
    return TargetRoundRow(number, 1000 + number, 0, "usable", 6.0, None, 4, 1, 1, "square 7", answer(*numbers))


def test_targets_written_twice_are_there_once_and_first_seen_stays(filled: Store) -> None:
    rows = [known(SQUARE), *(known(hole(number)) for number in range(4))]
    write(filled, target_writes.record_targets, rows, utc_us=10)
    changed = known(replace(hole(2, state="exposed"), features=()))
    write(filled, target_writes.record_targets, [changed, known(hole(3), gone=True)], utc_us=20)

    found = {row["target_id"]: row for row in filled.named("square_targets", {"square_id": "epu:square:7"}).as_dicts()}
    assert list(found) == [f"epu:hole:{number}" for number in range(4)], "in the program's order"
    assert found["epu:hole:2"]["state"] == "exposed"
    assert json.loads(str(found["epu:hole:1"]["features_json"])) == {"intensity_mean_counts": 701.0}
    assert found["epu:hole:3"]["gone"] is True
    (one,) = filled.named("target", {"target_id": "epu:hole:2"}).as_dicts()
    assert (one["first_seen_utc_us"], one["last_seen_utc_us"], one["features_json"]) == (10, 20, "{}")
    (grid,) = filled.named("grid").as_dicts()
    assert (grid["programs"], grid["squares"], grid["holes"], grid["exposed"]) == ("epu", 1, 3, 1)


def test_a_movie_makes_its_hole_exposed_and_a_result_processed(filled: Store) -> None:
    write(filled, target_writes.record_targets, [known(SQUARE), *(known(hole(n)) for n in range(3))], utc_us=10)
    movies = filled.named("movies", {"limit": 10}).as_dicts()
    done = next(row for row in movies if row["state"] == "ready")
    link = MovieTargetRow(str(done["movie_id"]), "epu:hole:1", "epu:hole:1", "name")
    write(filled, target_writes.record_links, [replace(link, hole_id="epu:hole:2")])
    write(filled, target_writes.record_links, [link])

    states = [row["state"] for row in filled.named("square_targets", {"square_id": "epu:square:7"}).as_dicts()]
    assert states == ["chosen", "processed", "chosen"]
    (square,) = filled.named("grid_squares").as_dicts()
    assert (square["holes"], square["exposed"], square["processed"], square["movies"]) == (3, 1, 1, 1)
    (ctf,) = filled.rows("SELECT fit_resolution_angstrom FROM ctf WHERE movie_id = ?", done["movie_id"])
    assert square["ctf_fit_angstrom"] == ctf[0]
    (movie,) = filled.named("target_movies", {"target_id": "epu:hole:1"}).as_dicts()
    assert movie["movie_id"] == done["movie_id"]


def test_the_newest_round_is_what_is_told(filled: Store) -> None:
    write(filled, target_writes.record_targets, [known(SQUARE), *(known(hole(n)) for n in range(4))], utc_us=10)
    write(filled, target_writes.record_round, round_row(1, 1, 2, 3))
    write(filled, target_writes.record_round, round_row(2, 3, 2))
    write(filled, target_writes.record_round, round_row(2, 3))

    (row,) = filled.named("next_targets").as_dicts()
    assert (row["target_id"], row["square"], row["stage_x_um"]) == ("epu:hole:3", "7", 103.0)
    assert [row["round"] for row in filled.named("next_rounds", {"limit": 9}).as_dicts()] == [2, 1]
    (square,) = filled.named("next_squares").as_dicts()
    assert square["worth_taking"] == 2
    for number in range(3, 24):
        write(filled, target_writes.record_round, round_row(number, 1))
    kept = filled.rows("SELECT DISTINCT round FROM target_predictions ORDER BY round")
    assert kept == [(number,) for number in range(4, 24)], "lists of old rounds go; the rounds stay"
    assert len(filled.named("next_rounds", {"limit": 99}).rows) == 23


def test_the_newest_word_counts_and_outlives_the_database(tmp_path: Path) -> None:
    words = [
        TargetWordRow("epu:hole:1", "picked", "ann", 10),
        TargetWordRow("epu:hole:1", "avoided", "bob", 20),
        TargetWordRow("epu:hole:2", "picked", "ann", 30),
        TargetWordRow("epu:hole:2", "forgotten", "ann", 40),
        TargetWordRow("", "hours_left", "ann", 50, hours=6.0),
    ]
    for word in words:
        result_files.append_target_word(tmp_path, word)
    with Store.open(tmp_path, now_utc_us=1) as store:
        rebuild.adopt_missing(store, tmp_path, now_utc_us=2)
        rebuild.adopt_missing(store, tmp_path, now_utc_us=3)
        write(store, target_writes.record_word, words[0])  # an old one that comes late
        told = [(row["target_id"], row["word"], row["hours"]) for row in store.named("target_words").as_dicts()]
    assert told == [("", "hours_left", 6.0), ("epu:hole:1", "avoided", None)]


def test_a_session_of_one_grid_written_before_there_were_several_goes_on(filled: Store) -> None:
    near = replace(hole(9, state="seen"), features=(("near_grid_bar", 1.0),))
    leginon = GridTarget("leginon:s_g_00021gr_00007sq", "square", "leginon", "s_g_00021gr_00007sq")
    write(filled, target_writes.record_targets, [known(SQUARE), known(near), known(leginon)], utc_us=10)
    write(filled, target_writes.record_round, round_row(1, 1))

    def as_before(connection) -> None:
        for view in ("grid_names", "expected_holes"):
            connection.execute(f"DROP VIEW {view}")
        for table, column in (("grid_targets", "grid_id"), ("grid_targets", "at_bar"), ("target_rounds", "grid_id"),
                              ("target_rounds", "other_grid")):  # fmt: skip
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for table in ("hole_predictions", "grid_outlooks"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE movie_targets ADD COLUMN square_id TEXT")
        connection.execute("UPDATE schema_version SET version = 17")

    write(filled, as_before)
    filled.close()
    with Store.open(filled.session_dir, now_utc_us=2) as store:
        rows = store.rows("SELECT target_id, grid_id, at_bar FROM grid_targets ORDER BY target_id")
        assert rows == [
            ("epu:hole:9", "epu:grid", True), ("epu:square:7", "epu:grid", False),
            ("leginon:s_g_00021gr_00007sq", "leginon:s_g", False),
        ]  # fmt: skip
        assert [row["grid_id"] for row in store.named("grids").as_dicts()] == ["epu:grid", "leginon:s_g"]
        (newest,) = store.named("next_rounds").as_dicts()
        assert (newest["round"], newest["grid_id"], newest["other_grid"]) == (1, "epu:grid", "")


def test_two_grids_that_are_one_take_their_words_along(filled: Store) -> None:
    old, new = GridName("epu", "atlas/"), GridName("epu", "visit/")
    rows = [KnownTarget(old.inside(one), None, grid_id=old.grid_id) for one in (SQUARE, hole(1))]
    write(filled, target_writes.record_targets, rows, utc_us=10)
    write(filled, target_writes.record_word, TargetWordRow("atlas/epu:hole:1", "picked", "ann", 10))
    write(filled, target_writes.record_word, TargetWordRow("", "hours_left", "ann", 11, hours=2.0))
    write(filled, target_writes.rename_grids, [(old, new)])
    assert filled.rows("SELECT count(*) FROM grid_targets") == [(0,)], "they are written anew under their new name"
    words = filled.rows("SELECT target_id, word, who, created_utc_us FROM target_words ORDER BY created_utc_us")
    assert words == [("visit/epu:hole:1", "picked", "ann", 10), ("", "hours_left", "ann", 11)]
