"""Files of a grid found and read while they are written: half of one, another one, none."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest
from grid_files import shared

from frazil.daemon.analysis.targets import reading
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.looking import GridFiles
from frazil.daemon.analysis.targets.reading import GridReader
from frazil.models.formats.grid.epu_grid import find_atlas
from frazil.models.formats.grid.epu_session import EpuPlan, EpuSample

NAVIGATOR = """AdocVersion = 2.00

[Item = 1-A]
Color = 0
StageXYZ = 10 20 0
NumPts = 1
Regis = 1
Type = 0
MapID = 900001
Acquire = 1
PtsX = 10
PtsY = 20

[Item = 2-A]
Color = 0
StageXYZ = 13 20 0
NumPts = 1
Regis = 1
Type = 0
MapID = 900002
Acquire = 1
PtsX = 13
PtsY = 20
"""


PLAN = EpuPlan(samples=(EpuSample(r"Z:\Sample0\Atlas\Atlas.dm"),))


class World:
    """Folders, a book and a clock that the test turns."""

    def __init__(self, root: Path, *own: Path) -> None:
        self.root, self.now_s = root, 0.0
        (root / "session").mkdir(parents=True, exist_ok=True)
        self.files = GridFiles([root], own, exclude=root / "session")
        self.book = GridBook()
        self.reader = GridReader(self.book, lambda: self.now_s)

    def look(self) -> list[str]:
        """Look and read; what a person would be told."""
        atlases = self.reader.atlases(self.files.roots, self.files.changes)
        seen = self.files.look(atlases, now_ns=10**18)
        assert self.reader.read(seen, until=lambda: False)
        told, self.reader.problems = self.reader.problems, []
        return [f"{problem.path.name}: {problem.note.what}" for problem in told]

    def holes(self) -> dict[str, str]:
        return {row.target.name: row.target.state for row in self.book.known.values() if row.target.level == "hole"}


def write(path: Path, text: str, *, at_s: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at_s, at_s))


def test_a_navigator_file_is_found_and_read_again_when_it_changes(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.look() == []
    assert world.holes() == {}
    path = tmp_path / "nav" / "grid.nav"
    write(path, NAVIGATOR, at_s=1.0)
    world.look()
    assert world.holes() == {"1-A": "chosen", "2-A": "chosen"}
    write(path, NAVIGATOR.replace("MapID = 900002\nAcquire = 1", "MapID = 900002\nAcquire = 0"), at_s=2.0)
    world.look()
    assert world.holes() == {"1-A": "chosen", "2-A": "seen"}


def test_half_a_file_is_read_later_and_told_only_when_it_stands_still(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = tmp_path / "grid.nav"
    write(path, NAVIGATOR, at_s=1.0)
    world.look()
    write(path, "", at_s=2.0)
    assert world.look() == []
    assert len(world.holes()) == 2, "what it said stays"
    world.now_s = 100.0
    assert world.look() == ["grid.nav: is still empty"]
    assert world.look() == [], "once"
    write(path, NAVIGATOR.partition("[Item = 2-A]")[0], at_s=3.0)
    world.look()
    assert world.holes().keys() >= {"1-A"}
    assert world.book.known["grid/serialem:item:900002"].gone


def test_a_file_that_is_something_else_is_told_at_once_with_what_to_do(tmp_path: Path) -> None:
    world = World(tmp_path)
    write(tmp_path / "Metadata" / "GridSquare_1.dm", "<Other/>", at_s=1.0)
    (told,) = world.look()
    assert told.startswith("GridSquare_1.dm: ")
    assert world.look() == []


def test_tables_and_atlases_count_only_where_a_person_named_them(tmp_path: Path) -> None:
    table = "name,square,x_um,y_um\nh1,s1,1,2\n"
    write(tmp_path / "raw" / "holes.csv", table, at_s=1.0)
    world = World(tmp_path / "raw")
    world.look()
    assert world.holes() == {}
    named = World(tmp_path / "raw", tmp_path / "raw" / "holes.csv")
    named.look()
    assert named.holes() == {"h1": "chosen"}


def test_folders_of_exposures_are_not_entered_and_an_unchanged_one_is_not_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("Images-Disc1/GridSquare_1/Data", "Images-Disc1/GridSquare_1/FoilHoles", "Metadata"):
        (tmp_path / folder).mkdir(parents=True)
    listed: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> object:
        listed.append(os.path.basename(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    files = GridFiles([tmp_path], [], exclude=tmp_path / "session")
    far_ns = 2 * 10**18
    files.look(now_ns=far_ns)
    assert sorted(listed) == sorted([tmp_path.name, "Images-Disc1", "GridSquare_1", "Metadata"])
    listed.clear()
    files.look(now_ns=far_ns)
    assert listed == []


def test_an_atlas_is_sought_again_only_when_something_has_changed(tmp_path: Path, monkeypatch) -> None:
    world, searched = World(tmp_path), []
    session = tmp_path / "visit" / "EpuSession.dm"
    write(session, "", at_s=1.0)

    def search(plan, roots):
        searched.append(plan)
        return find_atlas(plan, roots)

    monkeypatch.setattr(reading, "read_epu_plan", lambda _: PLAN)
    monkeypatch.setattr(reading, "find_atlas", search)
    world.look()
    world.look()
    assert len(searched) == 1
    world.look()
    assert len(searched) == 1, "nothing has changed"
    atlas = tmp_path / "Sample0" / "Atlas" / "Atlas.dm"
    write(atlas, "", at_s=2.0)
    for _ in range(4):
        world.look()
    assert len(searched) == 2
    assert world.reader.atlases(world.files.roots, world.files.changes) == [atlas]
    world.look()
    assert len(searched) == 2, "it is where it was"
    atlas.unlink()
    world.look()
    assert len(searched) == 3


def test_a_real_session_of_epu_whose_files_come_one_after_the_other(tmp_path: Path) -> None:
    with tarfile.open(shared("epu37_session.tar.gz")) as archive:
        archive.extractall(tmp_path / "there", filter="data")
    there, raw = tmp_path / "there" / "epu37", tmp_path / "raw"
    world = World(raw)
    square = raw / "visit" / "Metadata" / "GridSquare_4590776.dm"
    square.parent.mkdir(parents=True)
    whole = (there / "session" / "Metadata" / square.name).read_bytes()
    square.write_bytes(whole[: len(whole) // 2])
    assert world.look() == []
    assert world.holes() == {}
    square.write_bytes(whole)
    world.look()
    states = list(world.holes().values())
    assert (len(states), states.count("exposed")) == (570, 217)

    shutil.copy(there / "session" / "EpuSession.dm", raw / "visit")
    world.look()
    assert any("names the atlas" in told for told in world.look()), "Z:\\...\\Atlas.dm lies nowhere yet"
    shutil.copytree(there / "Atlas", raw / "Atlas")
    world.look()
    world.look()
    squares = [row for row in world.book.known.values() if row.target.level == "square"]
    assert len(squares) == 222

    (raw / "visit").rename(raw / "visit2")
    world.look()
    assert len(world.holes()) == 570
    assert not any(row.gone for row in world.book.known.values())
