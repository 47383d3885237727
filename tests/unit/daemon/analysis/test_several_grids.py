"""Two grids in one session: the same numbers at the same places of the stage, swapped in the middle, and kept apart."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.grid_work import GridWork, judge_without_daemon
from frazil.daemon.analysis.targets.looking import GridFiles
from frazil.daemon.analysis.targets.reading import GridReader
from frazil.daemon.changes.targets import note_word
from frazil.daemon.report.next_targets import next_answer, next_lines
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import KnownTarget
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.grid_target import GridName, grid_named
from frazil.models.records import AcquisitionMetadata
from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.epu_folder import EpuFolder, exposure_name
from frazil.models.simulation.grid.settings import grid_of_kind
from frazil.models.simulation.grid.truth import GridTruth

FILM = {"squares_a_side": 3, "surveyed_squares": 1}
BEGUN_US = 1_767_225_600_000_000
MINUTE_US = 60_000_000
NAV_ITEM = """[Item = {label}]
Color = 0
StageXYZ = {x} 0 0
NumPts = 1
Regis = 1
Type = 0
MapID = {number}
Acquire = 1
PtsX = {x}
PtsY = 0

"""


def truth_of(kind: str) -> GridTruth:
    """All kinds of one seed have the same squares and holes: numbers and places."""
    return draw_grid(grid_of_kind(kind, 5).with_changes(film=FILM, patches=False))


class Grid:
    """One that EPU records below `out`; nothing is drawn."""

    def __init__(self, out: Path, kind: str, sample: int) -> None:
        self.out, self.truth = out, truth_of(kind)
        self.folder = EpuFolder(out, self.truth, MoveTimes(), pictures=False, sample=sample)
        self.at_us = BEGUN_US
        self.file_s = 1_000.0

    def begin(self) -> None:
        self.folder.begin("simulated", BEGUN_US, output="Tiff")
        for at, square in enumerate(self.truth.squares):
            if square.surveyed:
                self.folder.image_square(at, BEGUN_US)
        self.holes = np.flatnonzero(self.folder.chosen()).tolist()

    def shoot(self, hole: int, utc_us: int) -> str:
        """Path of its movie below the session's folder."""
        name = exposure_name(int(self.truth.holes.number[hole]), utc_us)
        self.folder.exposed(hole, name)
        return (self.folder.data_folder(hole) / f"{name}_Fractions.tiff").as_posix()

    def name_of(self, hole: int) -> str:
        return str(int(self.truth.holes.number[hole]))

    def stamp(self, at_s: float) -> None:
        """When its files were written."""
        for path in self.out.rglob("*.dm"):
            os.utime(path, (at_s, at_s))


class Session:
    """A store, and work on it as the daemon does it, again and again from the start."""

    def __init__(self, context, store: Store, put, root: Path, **targets: object) -> None:
        (root / "raw").mkdir(exist_ok=True)
        row = SessionRow("s", "s", str(root / "raw"), 1, "{}", "1")
        store.write(WritePolicy.DURABLE, session_writes.create_session, row)
        self.store, self.raw, self._put, self._movies = store, root / "raw", put, 0
        settings = Settings.model_validate({"targets": targets})
        self._context = context(settings=settings, clock=lambda: 0.0, utc_us=lambda: BEGUN_US)
        self.work = self.begun()

    def begun(self) -> GridWork:
        return GridWork(self._context, self.raw, stop=lambda: False, now_ns=lambda: 10**19)

    def restart(self) -> None:
        self.work = self.begun()

    def movie(self, path: str, fit_angstrom: float, *, at_s: float, **metadata: float | str) -> str:
        """A movie with a result, written at `at_s` of the files' clock."""
        result = self._put(self._movies)
        self._movies += 1

        def work(connection) -> None:
            connection.execute(
                "UPDATE movies SET relative_path = ?, mtime_ns = ?, acquired_utc_us = ? WHERE movie_id = ?",
                [path, int(1e9 * at_s), BEGUN_US + int(1e6 * at_s), result.movie_id],
            )
            connection.execute(
                "UPDATE ctf SET fit_resolution_angstrom = ? WHERE movie_id = ?", [fit_angstrom, result.movie_id]
            )

        self.store.write(WritePolicy.DURABLE, work)
        if metadata:
            self.store.submit(
                movie_writes.update_metadata, result.movie_id, AcquisitionMetadata(**metadata), ""
            ).result()
        return str(result.movie_id)

    def look(self, *movie_ids: str) -> object:
        return self.work.carry_out(frozenset(movie_ids), final=True).round

    def grid_of(self, movie_id: str) -> str | None:
        rows = self.store.rows(
            "SELECT t.grid_id FROM movie_targets l JOIN grid_targets t ON t.target_id = l.hole_id WHERE movie_id = ?",
            movie_id,
        )
        return str(rows[0][0]) if rows else None

    def rows(self, name: str, **params: str | int) -> list[dict[str, object]]:
        return [dict(row) for row in self.store.named(name, params).as_dicts()]


@pytest.fixture
def session(context, store, put, tmp_path) -> Session:
    return Session(context, store, put, tmp_path)


ONE, TWO = "one/raw/epu:grid", "two/raw/epu:grid"


def shoot(session: Session, grid: Grid, holes: list[int], fit_angstrom: float, *, at_s: float, below: str) -> list[str]:
    taken = []
    for number, hole in enumerate(holes):
        when_s = at_s + 60.0 * number
        path = grid.shoot(hole, BEGUN_US + int(1e6 * when_s))
        taken.append(session.movie(f"{below}{path}", fit_angstrom, at_s=when_s))
    grid.stamp(at_s + 60.0 * len(holes))
    return taken


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("below", [("one/raw/", "two/raw/"), ("", "")])
def test_the_grid_is_swapped_in_the_middle(session, below, restarted) -> None:
    one = Grid(session.raw / "one", "all-bad", 1)
    one.begin()
    of_one = shoot(session, one, one.holes[:6], 9.5, at_s=10_000.0, below=below[0] if below[0] else "flat/")
    first = session.look(*of_one)
    assert first.grid_id == ONE
    if restarted:
        session.restart()

    two = Grid(session.raw / "two", "uniform", 2)
    two.begin()
    two.stamp(20_000.0)
    assert two.holes[:6] == one.holes[:6] or set(two.truth.holes.number) == set(one.truth.holes.number)
    session.look()
    of_two = shoot(session, two, two.holes[:6], 3.0, at_s=20_060.0, below=below[1] if below[1] else "flat/")
    second = session.look(*of_two)
    assert second.grid_id == TWO

    assert {session.grid_of(movie) for movie in of_one} == {ONE}
    assert {session.grid_of(movie) for movie in of_two} == {TWO}
    squares = {row["name"]: row for row in session.rows("grid_squares", grid=ONE)}
    assert sum(row["processed"] for row in squares.values()) == 6
    assert all(row["ctf_fit_angstrom"] == pytest.approx(9.5) for row in squares.values() if row["processed"])
    grids = {row["grid_id"]: row for row in session.rows("grids")}
    assert {grid_id: (row["state"], row["exposed"]) for grid_id, row in grids.items()} == {
        ONE: ("exposed", 6), TWO: ("in the microscope", 6),
    }  # fmt: skip
    assert {row["grid_id"] for row in session.rows("next_targets", limit=50)} == {TWO}
    assert {row["grid_id"] for row in session.rows("next_targets", limit=50, grid="sample 1")} == {ONE}
    assert session.rows("alerts", open_only=True) == [], "two grids are no contradiction"

    before = session.rows("next_targets", limit=400)
    session.restart()
    session.look()
    assert session.rows("next_targets", limit=400) == before
    assert {session.grid_of(movie) for movie in of_one} == {ONE}


def test_files_in_any_order_make_the_same_book(tmp_path) -> None:
    there = tmp_path / "there"
    for name, sample in (("one", 1), ("two", 2)):
        grid = Grid(there / name, "uniform", sample)
        grid.begin()
        grid.shoot(grid.holes[0], BEGUN_US)
        grid.stamp(1_000.0 * sample)
    files = sorted(path.relative_to(there) for path in there.rglob("*.dm"))
    parts = [
        [path for path in files if path.parts[0] == name and ("Metadata" in path.parts) == is_square]
        for name in ("one", "two")
        for is_square in (False, True)
    ]
    books = []
    for number, order in enumerate(itertools.permutations(parts)):
        root = tmp_path / f"raw{number}" / "x"
        root.mkdir(parents=True)
        book = GridBook()
        reader = GridReader(book, lambda: 0.0)
        seen = GridFiles([root], [root / "one" / "Atlas"], exclude=tmp_path / "session")
        for part in order:
            for path in part:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(there / path, root / path)
            for _ in range(2):
                reader.read(seen.look(reader.atlases(seen.roots, seen.changes), now_ns=10**19), until=lambda: False)
        reader.read(seen.look(reader.atlases(seen.roots, seen.changes), now_ns=10**19), until=lambda: False)
        books.append(book.known)
    assert {row.grid_id for row in books[0].values()} == {ONE, TWO}
    assert all(book == books[0] for book in books)
    both = [{row.target.name for row in books[0].values() if row.grid_id == grid} for grid in (ONE, TWO)]
    assert both[0] & both[1], "they have numbers in common"


def test_a_store_of_before_grids_had_names_is_of_the_one_session_that_there_is(tmp_path) -> None:
    raw = tmp_path / "raw"
    grid = Grid(raw / "one", "uniform", 1)
    grid.begin()
    files = GridFiles([raw], [raw / "one" / "Atlas"], exclude=tmp_path / "session")

    def read_into(book: GridBook) -> GridReader:
        reader = GridReader(book, lambda: 0.0)
        reader.remember()
        for _ in range(2):
            assert reader.read(
                files.look(reader.atlases(files.roots, files.changes), now_ns=10**19), until=lambda: False
            )
        return reader

    now = GridBook()
    read_into(now)
    name = grid_named(ONE)
    assert {row.grid_id for row in now.known.values()} == {ONE}
    old = GridBook()
    for row in now.known.values():
        square_id = None if row.square_id is None else row.square_id.removeprefix(name.prefix)
        old.remember([KnownTarget(name.plain(row.target), square_id, row.gone, "epu:grid")])
    reader = read_into(old)
    assert (GridName("epu"), name) in reader.renamed
    assert old.known == now.known


def test_a_movie_by_its_stage_alone_is_of_the_grid_in_the_column(session) -> None:
    one, two = Grid(session.raw / "one", "all-bad", 1), Grid(session.raw / "two", "uniform", 2)
    one.begin()
    one.stamp(10_000.0)
    two.begin()
    two.stamp(20_000.0)
    square = one.truth.squares[int(one.truth.holes.square[one.holes[0]])]
    x_um = square.x_um + float(one.truth.holes.x_um[one.holes[0]])
    y_um = square.y_um + float(one.truth.holes.y_um[one.holes[0]])
    early = session.movie("m1.tiff", 3.0, at_s=9_990.0, stage_x_um=x_um, stage_y_um=y_um)
    late = session.movie("m2.tiff", 3.0, at_s=20_100.0, stage_x_um=x_um, stage_y_um=y_um)
    session.look(early, late)
    assert (session.grid_of(early), session.grid_of(late)) == (ONE, TWO)


def test_a_movie_in_the_folder_of_a_grid_waits_for_its_hole_rather_than_take_that_of_another(session) -> None:
    one, two = Grid(session.raw / "one", "all-bad", 1), Grid(session.raw / "two", "uniform", 2)
    one.begin()
    two.folder.begin("simulated", BEGUN_US, output="Tiff")  # squares alone
    name = exposure_name(int(one.truth.holes.number[one.holes[0]]), BEGUN_US)
    folder = one.folder.data_folder(one.holes[0])
    movie = session.movie(f"two/raw/{folder}/{name}_Fractions.tiff", 3.0, at_s=1.0)
    session.look(movie)
    assert session.grid_of(movie) is None
    two.begin()
    session.look()
    assert session.grid_of(movie) == TWO


def test_two_navigators_with_the_same_labels_at_the_same_places(session) -> None:
    def write(name: str, first: int, at_s: float) -> None:
        items = "".join(NAV_ITEM.format(label=f"{n}-A", x=10 * n, number=first + n) for n in range(4))
        (session.raw / name).write_text(f"AdocVersion = 2.00\n\n{items}", encoding="utf-8")
        os.utime(session.raw / name, (at_s, at_s))

    write("g1.nav", 100, 1_000.0)
    write("g1 saved again.nav", 100, 1_100.0)
    early = session.movie("a.tiff", 3.0, at_s=900.0, hole="1-A", stage_x_um=10.0, stage_y_um=0.0)
    session.look(early)
    assert {row["grid_id"] for row in session.rows("grids")} == {"g1/serialem:grid"}, "they share their items"
    write("h.nav", 500, 2_000.0)
    late = session.movie("b.tiff", 3.0, at_s=1_900.0, hole="1-A", stage_x_um=10.0, stage_y_um=0.0)
    session.look(late)
    assert session.grid_of(early) == "g1/serialem:grid"
    assert session.grid_of(late) == "h/serialem:grid"


def test_a_screened_atlas_becomes_the_grid_of_the_session_that_names_it(context, store, put, tmp_path) -> None:
    grids = [Grid(tmp_path / "raw" / f"s{n}", "uniform", n) for n in (1, 2, 3)]
    for grid in grids:
        grid.folder.begin("simulated", BEGUN_US, output="Tiff")
        shutil.move(grid.out / "Atlas", tmp_path / "screened" / f"s{grid.out.name}" / "Atlas")
        shutil.move(grid.out, tmp_path / f"later-{grid.out.name}")
    session = Session(context, store, put, tmp_path, roots=[str(tmp_path / "screened")])
    session.look()
    known = session.rows("grids")
    assert [(row["name"], row["state"]) for row in known] == [(f"sample {n}", "atlas only") for n in (1, 2, 3)]
    assert session.store.rows("SELECT count(*) FROM target_rounds") == [(0,)]
    square = session.rows("grid_squares", grid="sample 2")[0]
    note_word(store, tmp_path, str(square["target_id"]), "avoided", who="ann", now_utc_us=7)

    shutil.move(tmp_path / "later-s2", tmp_path / "raw" / "s2")
    session.restart()
    session.look()
    assert {row["grid_id"] for row in session.rows("grids")} == {
        "screened/ss1/Atlas/Sample1/epu:grid", "s2/raw/epu:grid", "screened/ss3/Atlas/Sample3/epu:grid",
    }  # fmt: skip
    (word,) = session.rows("target_words")
    assert (word["target_id"], word["word"]) == (f"s2/raw/epu:square:{square['name']}", "avoided")


def test_another_grid_is_told_of_only_when_it_is_better_for_sure(session) -> None:
    one, two = Grid(session.raw / "one", "all-bad", 1), Grid(session.raw / "two", "uniform", 2)
    for grid in (one, two):
        grid.begin()
    good = shoot(session, two, two.holes[:40:2], 3.0, at_s=1_000.0, below="two/raw/")
    doubtful = shoot(session, one, one.holes[:3], 5.0, at_s=10_000.0, below="one/raw/")
    row = session.look(*good, *doubtful)
    assert row.grid_id == ONE
    assert row.other_grid == "", "three exposures say little of a grid"
    bad = shoot(session, one, one.holes[3:40:2], 11.0, at_s=20_000.0, below="one/raw/")
    row = session.look(*bad)
    assert row.other_grid.startswith("Grid sample 2 is better: about ")
    answer = next_answer(session.store)
    assert row.other_grid in next_lines(answer, limit=5)
    assert answer.grid["name"] == "sample 1"
    assert judge_without_daemon(session.store, utc_us=BEGUN_US).grid_id == ONE
    (outlook,) = [one for one in session.rows("grids") if one["grid_id"] == TWO]
    assert outlook["times_low"] > 1.0
    assert outlook["exchange_minutes"] == pytest.approx(45.0, rel=2.5), "a start, and one change of some hours"


def test_every_hole_that_may_be_taken_has_its_own_expectation(session) -> None:
    one = Grid(session.raw / "one", "gradient", 1)
    one.begin()
    row = session.look(*shoot(session, one, one.holes[:30:3], 4.0, at_s=1_000.0, below="one/raw/"))
    every = row.answer.every
    assert len(every.target_ids) > len(one.holes) - 11, "not only those that are listed"
    told = {}
    for square in session.rows("grid_squares"):
        for hole in session.rows("square_targets", square_id=str(square["target_id"])):
            told[hole["target_id"]] = hole
    for target_id, usable, low, high in zip(
        every.target_ids, every.usable, every.usable_low, every.usable_high, strict=True
    ):
        hole = told.pop(target_id)
        assert hole["usable"] == pytest.approx(usable, abs=0.0051)
        assert (hole["usable_low"], hole["usable_high"]) == (
            pytest.approx(low, abs=0.0051),
            pytest.approx(high, abs=0.0051),
        )
    assert {hole["usable"] for hole in told.values()} == {None}
    assert sum(hole["state"] == "processed" for hole in told.values()) == 10
    assert sum(bool(hole["at_bar"]) for hole in told.values()) == session.rows("grid")[0]["holes_at_bars"] > 0
    (counts,) = session.rows("grid")
    (newest,) = session.rows("next_rounds")
    (square,) = [one for one in session.rows("grid_squares") if one["holes"]]
    done = session.work.carry_out(frozenset(), final=True)
    assert counts["holes"] == newest["holes"] == square["holes"] == done.counts[1], "one word, one number"

    written = session.store.rows("FROM hole_predictions")
    session.restart()
    session.look()
    assert session.store.rows("FROM hole_predictions") == written


def test_words_on_a_name_that_both_grids_have_are_of_the_grid_in_the_microscope(session, store, tmp_path) -> None:
    one, two = Grid(session.raw / "one", "all-bad", 1), Grid(session.raw / "two", "uniform", 2)
    for grid, at_s in ((one, 1_000.0), (two, 2_000.0)):
        grid.begin()
        grid.stamp(at_s)
    session.look()
    name = one.name_of(one.holes[0])
    note_word(store, tmp_path, name, "picked", who="ann", now_utc_us=7)
    (word,) = session.rows("target_words")
    assert word["target_id"] == f"two/raw/epu:hole:{name}"
