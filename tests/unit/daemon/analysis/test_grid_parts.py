"""The parts of the grid's desk alone: outcomes against curves that are known, links, the line, notices, the thread."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets import links as module_of_links
from frazil.daemon.analysis.targets.background import Background
from frazil.daemon.analysis.targets.book import GridBook, Source
from frazil.daemon.analysis.targets.links import MovieLinks
from frazil.daemon.analysis.targets.outcomes import SessionOutcomes
from frazil.daemon.analysis.targets.rounds import Said, TargetRounds, line_of, squares_without_holes, stage_at
from frazil.daemon.analysis.targets.told import GRID_DONE, LeaveNotices
from frazil.daemon.store.target_rows import KnownTarget, MovieTargetRow, TargetRoundRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import causal_writes, movie_writes, target_writes
from frazil.models.causal.factors import BESIDE_TOTAL
from frazil.models.formats.grid.leginon_names import leginon_targets
from frazil.models.formats.grid.movie_link import SerialemPlace
from frazil.models.grid_target import GridTarget
from frazil.models.records import AcquisitionMetadata, CausalLosses
from frazil.models.targets.records import MoveMinutes, NextTargets, Outcome, RankedTarget, SquareOutlook


def ranked(rank: int, square: str) -> RankedTarget:
    return RankedTarget(rank, f"{square}{rank}", str(rank), square, None, 0.8, 0.7, 0.9, None, None, None, 1.0, "why")


def outlook(name: str, *, left: int, worth: int) -> SquareOutlook:
    return SquareOutlook(name, name, left + 2, 2, left, 1, 0.8, 0.7, 0.9, worth, "")


def answer(*squares: str, worth: int = 4, left: int = 6, taken: float = 0.3) -> NextTargets:
    outlooks = tuple(outlook(name, left=left, worth=worth) for name in ("a", "b"))
    listed = tuple(ranked(rank, square) for rank, square in enumerate(squares, 1))
    return NextTargets(listed, outlooks, "as it is", 1.0, 0.5, taken, (), MoveMinutes())


def answer_without_squares() -> NextTargets:
    nowhere = replace(outlook("", left=3, worth=3), square_id="")
    return replace(answer(), ranked=(replace(ranked(1, ""), square_id=None),), squares=(nowhere,))


def round_row(told: NextTargets, here: str | None) -> TargetRoundRow:
    return TargetRoundRow(1, 1, 0, "usable", 6.0, None, 9, 3, 3, line_of(told, here), told)


def test_losses_of_all_causes_of_the_total_are_added_between_the_points_of_their_curves(put, store) -> None:
    curves = ((0.0, 1.0, 2.0), (1.0, 3.0, 3.0), *((9.0,) * 3,) * len(BESIDE_TOTAL))
    names = ("ice", "motion", *BESIDE_TOTAL)
    losses = CausalLosses(names, (0.1, 0.2, 0.3), curves, ((0.1,) * 3,) * len(names), 1)
    results = [put(0, losses=losses), put(1)]
    links = [MovieTargetRow(one.movie_id, f"h{n}", f"h{n}", "name") for n, one in enumerate(results)]
    store.write(WritePolicy.DURABLE, target_writes.record_links, links)
    known = {one.target_id: one for one in SessionOutcomes(store, resolution_angstrom=4.0).read()}
    assert known["h0"].loss_ln == pytest.approx(1.5 + 3.0), "at 0.25 1/A"
    assert known["h1"].loss_ln is None
    assert (known["h0"].resolution_angstrom, known["h0"].particles, known["h0"].usable) == (4.0, 3.0, None)


def test_losses_written_again_by_a_newer_prior_are_read_again(put, store) -> None:
    first = CausalLosses(("ice",), (0.1, 0.3), ((1.0, 1.0),), ((0.1, 0.1),), 1)
    newer = replace(first, loss_ln_ssnr=((2.0, 2.0),), prior_version=2)
    results = [put(0, losses=first), put(1)]
    links = [MovieTargetRow(one.movie_id, f"h{n}", f"h{n}", "name") for n, one in enumerate(results)]
    store.write(WritePolicy.DURABLE, target_writes.record_links, links)
    outcomes = SessionOutcomes(store, resolution_angstrom=4.0)
    assert [one.loss_ln for one in outcomes.read()] == [pytest.approx(1.0), None]
    again = [(one.movie_id, newer) for one in results]
    store.submit(causal_writes.replace_losses, again, parameter_hash="h", code_version="1").result()
    assert [one.loss_ln for one in outcomes.read()] == [pytest.approx(2.0)] * 2, "none is not none for good"


def test_a_result_that_was_set_aside_or_a_fit_that_failed_is_not_usable(put, store) -> None:
    for number in range(3):
        movie_id = put(number).movie_id
        link = MovieTargetRow(movie_id, f"h{number}", f"h{number}", "name")
        store.write(WritePolicy.DURABLE, target_writes.record_links, [link])

    def work(connection) -> None:
        connection.execute("UPDATE movies SET state = 'rejected' WHERE movie_id = 'm000'")
        connection.execute("UPDATE ctf SET reliable = false WHERE movie_id = 'm001'")
        connection.execute("UPDATE movies SET state = 'queued' WHERE movie_id = 'm002'")

    store.write(WritePolicy.DURABLE, work)
    known = {one.target_id: one for one in SessionOutcomes(store).read()}
    assert [known[f"h{number}"].usable for number in range(3)] == [False, False, None]
    assert known["h2"].resolution_angstrom is None, "it was taken, and nothing is known of it yet"


def test_a_movie_is_linked_to_the_hole_of_its_exposure_and_a_stranger_to_nothing(put, store) -> None:
    put(0), put(1)
    patch = GridTarget("serialem:item:1", "hole", "serialem", "12-A", None, "chosen", stage_x_um=5.0, stage_y_um=6.0)
    book = GridBook()
    book.take(Source(5, 1, "grid.nav"), (patch,))
    metadata = AcquisitionMetadata(hole="12-A", stage_x_um=5.2, stage_y_um=6.0)
    store.submit(movie_writes.update_metadata, "m000", metadata, "").result()
    links = MovieLinks(store, Path("/raw"))
    assert links.link(book, everything=False)
    found = store.rows("SELECT movie_id, hole_id, linked_by FROM movie_targets")
    assert found == [("m000", "serialem:item:1", "navigator label")]

    later = AcquisitionMetadata(stage_x_um=5.0, stage_y_um=6.0)
    store.submit(movie_writes.update_metadata, "m001", later, "").result()
    links.link(book, everything=False)
    assert len(store.rows("FROM movie_targets")) == 1, "what found no place is not looked at in vain"
    links.changed("m001")
    links.link(book, everything=False)
    assert ("m001", "stage") in store.rows("SELECT movie_id, linked_by FROM movie_targets")


def test_names_of_leginon_tell_of_the_grid_themselves_and_of_each_place_once(put, store, monkeypatch) -> None:
    told: list[str] = []
    add = GridBook.add

    def counted(book: GridBook, source: Source, targets) -> bool:
        told.extend(target.target_id for target in targets)
        return add(book, source, targets)

    monkeypatch.setattr(GridBook, "add", counted)
    book, links = GridBook(), MovieLinks(store, Path("/raw"))
    for number in range(3):
        movie_id = put(number).movie_id
        change = ["UPDATE movies SET relative_path = ? WHERE movie_id = ?", [leginon_name(number), movie_id]]
        store.write(WritePolicy.DURABLE, lambda connection, change=change: connection.execute(*change))
        links.link(book, everything=True)
    found = store.rows("SELECT hole_id FROM movie_targets ORDER BY movie_id")
    assert found == [(f"leginon:{leginon_name(number).removesuffix('.tif')}",) for number in range(3)]
    assert {row.square_id for row in book.known.values()} == {None, "leginon:s_g_00021gr_00007sq_v01"}
    assert {row.grid_id for row in book.known.values()} == {"leginon:s_g"}
    assert len(told) == len(set(told)) == 4 + 3, "grid, area, square and patch are the same for all three"


def test_an_mdoc_is_read_once_and_nothing_is_asked_while_no_grid_is_known(put, store, tmp_path, monkeypatch) -> None:
    put(0)
    mdoc = "UPDATE movies SET sidecar_path = 'one.mdoc'"
    store.write(WritePolicy.DURABLE, lambda connection: connection.execute(mdoc))
    read, asked, rows = [], [], store.rows

    def place_of(path, **_):
        read.append(path)
        return SerialemPlace("9-Z")

    def noted(_, *given):
        asked.append(given[0])
        return rows(*given)

    monkeypatch.setattr(module_of_links, "serialem_place", place_of)
    monkeypatch.setattr(type(store), "rows", noted)
    book, links = GridBook(), MovieLinks(store, tmp_path)
    links.link(book, everything=False)
    asked.clear()
    assert links.link(book, everything=False)
    assert asked == []
    for label in ("1-A", "2-A", "3-A"):
        patch = GridTarget(f"serialem:item:{label}", "hole", "serialem", label, None, "chosen")
        book.take(Source(5, 1, f"{label}.nav"), (patch,))
        links.link(book, everything=False)
    assert read == [tmp_path / "one.mdoc"]


def test_a_square_that_comes_after_its_movie_was_linked_is_where_the_stage_was(put, store) -> None:
    put(0)
    store.write(WritePolicy.DURABLE, target_writes.record_links, [MovieTargetRow("m000", "h", "h", "name")])
    rows = [
        KnownTarget(GridTarget("s", "square", "epu", "7"), "s", grid_id="g"),
        KnownTarget(GridTarget("h", "hole", "epu", "1"), "s", grid_id="g"),
    ]
    store.write(WritePolicy.DURABLE, target_writes.record_targets, rows, utc_us=1)
    assert stage_at(store) == ("h", "s", "g")
    (hole,) = store.named("square_targets", {"square_id": "s"}).as_dicts()
    assert hole["movies"] == 1


def leginon_name(number: int) -> str:
    return f"s_g_00021gr_00007sq_v01_00002hl_{number:05d}en.tif"


@pytest.mark.parametrize(
    ("told", "here", "line"),
    [
        (answer("b", "b"), "a", "next: square b, 4 holes, 0.8 (0.7-0.9); leave square a now"),
        (answer("a"), "a", "next: square a, 4 holes, 0.8 (0.7-0.9); leave it after 4 more"),
        (answer("a", worth=6), "a", "next: square a, 6 holes, 0.8 (0.7-0.9)"),
        (answer("a", "a", "b", worth=0), None, "next: square a, 2 holes, 0.8 (0.7-0.9)"),
        (answer_without_squares(), None, "next: 3 holes, 0.8 (0.7-0.9)"),
        (answer(), "a", "next: nothing is left to shoot on this grid"),
    ],
)
def test_the_line(told: NextTargets, here: str | None, line: str) -> None:
    assert line_of(told, here) == line


def test_a_square_is_left_when_two_rounds_say_so_and_told_once(context, alerts) -> None:
    notices = LeaveNotices(context().notices)
    away, stay = round_row(answer("b"), "a"), round_row(answer("a"), "a")
    for row in (away, stay, away):
        notices.hear(row, "a")
    assert alerts() == [], "every other round says nothing for sure"
    notices.hear(away, "a")
    notices.hear(away, "a")
    assert alerts() == ["leave square a: square b, 4 holes, 0.8 (0.7-0.9) comes next"]
    notices.hear(away, "b")
    assert notices.open_ids == set()


def test_a_grid_is_done_when_little_is_left_of_it(context, store) -> None:
    notices = LeaveNotices(context().notices)
    notices.hear(round_row(answer("b", taken=0.95), "a"), "a")
    assert notices.open_ids == {GRID_DONE}
    nothing_known = replace(round_row(answer(), None), outcomes=0)
    notices.hear(nothing_known, None)
    assert notices.open_ids == set(), "a grid of which nothing came is not done"
    notices.hear(round_row(answer_without_squares(), None), None)
    assert notices.open_ids == set(), "nor is one whose holes lie in no known square"


def test_holes_at_bars_that_nobody_chose_are_no_places_to_shoot_at(store) -> None:
    bar = (("near_grid_bar", 1.0),)
    square = GridTarget("s", "square", "epu", "7")
    holes = [
        GridTarget("free", "hole", "epu", "1", "s"),
        GridTarget("bar", "hole", "epu", "2", "s", features=bar),
        GridTarget("chosen", "hole", "epu", "3", "s", "chosen", features=bar),
    ]
    book = GridBook()
    book.take(Source(3, 1, "GridSquare_7.dm"), (square, *holes))
    rounds = TargetRounds(store, Settings())
    row = rounds.ask(book, Said(), [], utc_us=1)
    assert row is not None
    assert {one.target_id for one in row.answer.ranked} == {"free", "chosen"}
    row = rounds.ask(book, Said(picked_ids=("bar",)), [], utc_us=1)
    assert row is not None
    assert row.answer.ranked[0].target_id == "bar", "what a person picks is taken"
    assert rounds.ask(GridBook(), Said(), [], utc_us=1) is None


def test_another_pick_of_as_many_is_heard(store) -> None:
    holes = [GridTarget(name, "hole", "epu", name, features=(("near_grid_bar", 1.0),)) for name in ("b0", "b1")]
    book = GridBook()
    book.take(Source(3, 1, "GridSquare_7.dm"), (GridTarget("free", "hole", "epu", "1"), *holes))
    rounds = TargetRounds(store, Settings())
    for name in ("b0", "b1"):
        row = rounds.ask(book, Said(picked_ids=(name,)), [], utc_us=1)
        assert row is not None
        assert row.answer.ranked[0].target_id == name


def test_a_round_lists_as_many_as_a_program_is_given(store) -> None:
    book = GridBook()
    holes = [
        GridTarget(f"h{n:03d}", "hole", "epu", str(n), "s", stage_x_um=float(n), stage_y_um=0.0) for n in range(450)
    ]
    book.take(Source(3, 1, "GridSquare_7.dm"), (GridTarget("s", "square", "epu", "7"), *holes))
    row = TargetRounds(store, Settings()).ask(book, Said(), [], utc_us=1)
    assert row is not None
    assert len(row.answer.ranked) >= 200, "next.txt?limit=200"


def test_names_of_what_was_taken_alone_say_nothing_of_what_is_left(store) -> None:
    book = GridBook()
    taken = leginon_targets("s_g_00021gr_00007sq_v01_00002hl_00003en.tif")
    book.take(Source(7, 0, "names of movies"), taken)
    rounds, known = TargetRounds(store, Settings()), [Outcome(taken[-1].target_id, 3.0)]
    assert rounds.ask(book, Said(), known, utc_us=1) is None
    planned = GridTarget("list:hole:h", "hole", "list", "h", None, "chosen")
    book.take(Source(6, 1, "holes.csv"), (planned,))
    row = rounds.ask(book, Said(), known, utc_us=1)
    assert row is not None
    assert [one.target_id for one in row.answer.ranked] == ["list:hole:h"]
    book.take(Source(6, 2, "holes.csv"), (replace(planned, state="exposed"),))
    row = rounds.ask(book, Said(), known, utc_us=1)
    assert row is not None, "it was to be taken, and nothing is left now"
    assert row.answer.ranked == ()


def test_a_grid_with_squares_whose_holes_nobody_knows_is_not_done(context, store) -> None:
    book = GridBook()
    squares = [GridTarget(name, "square", "epu", name) for name in ("a", "b", "c")]
    hole = GridTarget("h", "hole", "epu", "1", "a", "exposed")
    book.take(Source(2, 1, "Atlas.dm"), (*squares[:2], replace(squares[2], state="avoided"), hole))
    assert squares_without_holes(book, Said()) == 1
    assert squares_without_holes(book, Said(avoided_ids=("b",))) == 0
    row = TargetRounds(store, Settings()).ask(book, Said(), [Outcome("h", 3.0)], utc_us=1)
    assert row is not None
    assert row.line == "next: nothing is left in the squares whose holes are known"

    notices = LeaveNotices(context().notices)
    notices.hear(row, None, unknown_squares=1)
    assert notices.open_ids == set()
    notices.hear(row, None)
    assert notices.open_ids == {GRID_DONE}


def test_work_in_the_background_is_taken_once_and_its_error_too() -> None:
    background: Background[int] = Background("test")
    gate = threading.Event()
    background.start(lambda: 7 if gate.wait(10.0) else 0)
    assert background.busy
    assert background.take() is None
    gate.set()
    assert _taken(background) == 7
    assert not background.busy
    background.start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        _taken(background)
    background.close()


def _taken(background: Background[int]) -> int | None:
    ends_s = time.monotonic() + 10.0
    while (value := background.take()) is None and time.monotonic() < ends_s:
        time.sleep(0.005)
    return value
