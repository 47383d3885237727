"""Questions that people ask by name, against a session of which the answers are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from frazil.config.errors import QueryError
from frazil.config.loading import settings_to_yaml, with_changes
from frazil.config.settings import Settings
from frazil.daemon.store.queries.catalogue import FOR_PEOPLE, NAMED
from frazil.daemon.store.rows import AlertRow, MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.records import CausalLosses, MovieResult

HOUR_US = 3_600_000_000
MOVIES, A_HOLE, A_SQUARE = 24, 3, 12


@pytest.fixture(scope="module")
def known(
    tmp_path_factory: pytest.TempPathFactory,
    make_movie: Callable[[int], MovieRow],
    make_result: Callable[[int], MovieResult],
) -> Iterator[Store]:
    """Two squares of four holes of three movies; the first movie of a hole drifts (9 A), the second less (5 A), the
    third hardly (3 A). The second square has thick ice and every third movie rejected; a movie every ten minutes."""
    with Store.open(tmp_path_factory.mktemp("known"), now_utc_us=1) as store:
        for index in range(MOVIES):
            _write(store, index, make_movie(index), make_result(index))
        yield store


def _write(store: Store, index: int, row: MovieRow, result: MovieResult) -> None:
    square, shot = index // A_SQUARE, index % A_HOLE
    metadata = replace(
        row.metadata,
        grid_square=f"S{square}",
        hole=f"{index // A_HOLE}",
        stage_x_um=100.0 * square + 4.0 * (index // A_HOLE),
        stage_y_um=0.0,
        image_shift_x_um=float(shot),
        image_shift_y_um=0.0,
        acquired_utc_us=index * HOUR_US // 6,
    )
    early = (9.0, 5.0, 3.0)[shot]
    losses = CausalLosses(
        ("motion", "ice"), (0.1, 0.3), ((1.0, 3.0), (0.0, 0.0)), ((0.1, 0.1), (0.1, 0.1)), 0,
        "ice" if square else "", 0.5,
    )  # fmt: skip
    changed = replace(
        result,
        shifts=replace(result.shifts, early_angstrom=early, total_angstrom=2 * early),
        ctf=replace(result.ctf, fit_resolution_angstrom=4.0 + square),
        quality=replace(result.quality, relative_ice_thickness=0.1 + 0.4 * square),
        losses=losses,
    )
    store.submit(movie_writes.register_movie, replace(row, metadata=metadata, found_utc_us=index * HOUR_US // 6))
    store.submit(
        movie_writes.record_result,
        changed,
        ready_utc_us=index * HOUR_US // 6,
        lag_s=float(10 + index),
        rejection_reason="too thick" if square and shot == 2 else None,
    )
    store.submit(movie_writes.set_optics_groups, {row.movie_id: shot + 1}).result()


def test_acceptance_by_square_position_and_hour(known: Store) -> None:
    squares = {row["grid_square"]: row for row in known.named("acceptance_by_square").as_dicts()}
    assert [squares[name]["kept"] for name in ("S0", "S1")] == [12, 8]
    assert squares["S1"]["kept_percent"] == pytest.approx(66.7)
    assert squares["S1"]["usual_reason"] == "too thick"
    assert list(squares) == ["S1", "S0"], "worst first"
    positions = known.named("acceptance_by_position").as_dicts()
    assert [(row["optics_group"], row["finished"], row["kept"]) for row in positions] == [
        (1, 8, 8),
        (2, 8, 8),
        (3, 8, 4),
    ]
    assert [row["image_shift_x_um"] for row in positions] == [0.0, 1.0, 2.0]
    hours = known.named("acceptance_by_hour").as_dicts()
    assert [row["finished"] for row in hours] == [6, 6, 6, 6]
    assert [row["kept"] for row in hours] == [6, 6, 4, 4]


def test_lag_particles_and_loss_by_hour(known: Store) -> None:
    lag = known.named("lag_by_hour").as_dicts()
    assert [row["lag_max_s"] for row in lag] == [15.0, 21.0, 27.0, 33.0]
    assert lag[0]["lag_median_s"] == 12.5
    assert [row["particles"] for row in known.named("particles_by_hour").as_dicts()] == [18, 18, 12, 12]
    losses = known.named("losses_per_hour", {"resolution_angstrom": 5.0}).as_dicts()
    assert {row["factor"]: row["loss_ln_ssnr"] for row in losses[:2]} == {"motion": pytest.approx(2.0), "ice": 0.0}
    assert sum(row["movies"] for row in losses if row["factor"] == "motion") == MOVIES
    beyond = known.named("losses_per_hour", {"resolution_angstrom": 1.0}).as_dicts()
    assert beyond[0]["loss_ln_ssnr"] == 3.0, "held at the last frequency, not continued"


def test_best_squares_ice_and_holes(known: Store) -> None:
    assert known.named("best_squares").column("grid_square") == ["S0", "S1"]
    assert known.named("best_squares", {"least_movies": 13}).rows == ()
    worst = known.named("worst_squares").as_dicts()
    assert [(row["grid_square"], row["movies"], row["good"], row["not_good"], row["usual_fault"]) for row in worst] == [
        ("S1", 12, 4, 8, "drift"),
        ("S0", 12, 8, 4, "drift"),
    ]
    assert known.named("kept_faults").rows == (("drift", 8),)
    assert known.named("kept_faults", {"early_motion_angstrom": 9.5}).rows == ()
    assert known.named("not_good").rows == (("drift", "S0", 4), ("drift", "S1", 4), ("rejected", "S1", 4))
    stricter = known.named("worst_squares", {"ctf_fit_angstrom": 4.5}).as_dicts()[0]
    assert (stricter["grid_square"], stricter["good"], stricter["usual_fault"]) == ("S1", 0, "poor CTF fits")
    ice = known.named("ice_by_square").as_dicts()
    assert [(row["grid_square"], row["relative_ice_thickness"], row["movies_with_ice_named"]) for row in ice] == [
        ("S1", 0.5, 12),
        ("S0", 0.1, 0),
    ]
    holes = known.named("holes").as_dicts()
    assert len(holes) == 8
    assert sorted(row["stage_x_um"] for row in holes)[:2] == [0.0, 4.0]


def test_what_is_good_is_what_the_session_says(known: Store) -> None:
    """A square in a query, a verdict and an export go by one limit."""
    settings = with_changes(Settings(), {"verdict.early_motion_angstrom": 9.5}, origin="a test")
    row = SessionRow("s", "s", "/raw", 1, settings_to_yaml(settings), "0.1.0")
    known.submit(session_writes.create_session, row).result()
    try:
        assert known.named("kept_faults").rows == ()
        assert known.named("kept_faults", {"early_motion_angstrom": 8.0}).rows == (("drift", 8),), "said is said"
        assert known.named("fault_counts").as_dicts()[0]["good"] == 20
        known.submit(session_writes.set_settings, "verdict: {early_motion_angstrom: deep}").result()
        assert known.named("kept_faults").rows == (("drift", 8),), "what ships, as the verdict does"
    finally:
        known.submit(lambda connection: connection.execute("DELETE FROM session")).result()


def test_drift_after_a_stage_move_dies_out(known: Store) -> None:
    rows = known.named("drift_after_stage_moves").as_dicts()
    assert [(row["movie_after_move"], row["motion_early_angstrom"]) for row in rows] == [(1, 9.0), (2, 5.0), (3, 3.0)]
    assert [row["movies"] for row in rows] == [7, 7, 7], "the first hole: nobody knows when the stage came there"
    assert rows[0]["step_um"] == 4.0
    assert known.named("drift_after_stage_moves", {"least_move_um": 1000.0}).rows == ()


def test_before_and_after_a_moment(known: Store) -> None:
    sides = known.named("before_and_after", {"utc_us": A_SQUARE * HOUR_US // 6, "last": 10}).as_dicts()
    assert [(row["after"], row["movies"], row["ctf_fit_angstrom"]) for row in sides] == [
        (False, 10, 4.0),
        (True, 10, 5.0),
    ]


def test_movies_by_rank_and_the_band_of_a_metric(known: Store) -> None:
    assert known.named("worst_movies", {"limit": 3}).column("ctf_fit_angstrom") == [5.0] * 3
    assert known.named("best_movies", {"limit": 3}).column("ctf_fit_angstrom") == [4.0] * 3
    band = known.named("trend_band", {"metric": "ctf_fit_angstrom", "bins": 2}).as_dicts()
    assert [(row["movies"], row["median"]) for row in band] == [(12, 4.0), (12, 5.0)]


def test_alerts_by_day(store: Store) -> None:
    day_us = 24 * HOUR_US
    for number, when in enumerate((1, 2, day_us + 1)):
        store.submit(session_writes.record_alert, AlertRow("warning", "lag", f"late {number}", when)).result()
    rows = store.named("alerts_by_day").as_dicts()
    assert [(row["day_utc"], row["alerts"], row["newest"]) for row in rows] == [
        ("1970-01-01", 2, "late 1"),
        ("1970-01-02", 1, "late 2"),
    ]


def test_every_question_for_people_exists_and_says_what_it_is() -> None:
    assert set(FOR_PEOPLE) <= set(NAMED)
    assert len(set(FOR_PEOPLE)) == len(FOR_PEOPLE)
    assert all(NAMED[name].doc.endswith((".", "?")) for name in FOR_PEOPLE)


def test_a_moment_must_be_given(known: Store) -> None:
    with pytest.raises(QueryError, match="needs the parameter utc_us"):
        known.named("before_and_after")


def test_no_question_takes_a_number_of_rows_below_none() -> None:
    """`LIMIT -1` is the database's error, not an answer."""
    rows = {
        f"{name}.{key}": param
        for name, query in NAMED.items()
        for key, param in query.params.items()
        if key in ("limit", "offset", "last")
    }
    assert len(rows) > 20
    assert {where for where, param in rows.items() if param.least != 0} == set()
