"""Which files are of one grid; which grid was in the column; what is expected of holes, as it is kept."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from frazil.daemon.analysis.targets.column import ColumnSigns
from frazil.daemon.analysis.targets.expected_holes import ExpectedHoles, square_rows
from frazil.daemon.analysis.targets.grids import GridNames
from frazil.daemon.analysis.targets.judging import signs_of_movies
from frazil.daemon.analysis.targets.looking import SeenFile
from frazil.models.formats.grid.epu_session import EpuSample
from frazil.models.targets.records import HolesExpected


def seen(path: str, kind: str, place: str) -> SeenFile:
    return SeenFile(Path(path), Path("/"), kind, 1, 1, place)


def square(number: int, place: str) -> SeenFile:
    return seen(f"/raw/{place}/Metadata/GridSquare_{number}.dm", "epu-square", place)


def test_sessions_that_name_one_atlas_are_of_one_grid_in_whatever_order_they_are_told() -> None:
    facts = [
        lambda names: names.session("b", (EpuSample("Z:\\Atlas.dm"),)),
        lambda names: names.session("a"),
        lambda names: names.session("c", (EpuSample("Z:\\Other.dm"),)),
        lambda names: names.atlas_of("b", 0, "/atlas/Atlas.dm"),
        lambda names: names.atlas_of("a", 0, "/atlas/Atlas.dm"),
        lambda names: names.atlas("/atlas/Atlas.dm", "there/Atlas/Atlas"),
    ]
    for order in itertools.permutations(facts):
        names = GridNames()
        for tell in order:
            tell(names)
        called = [names.name_of(square(1, place)).grid_id for place in "abc"]
        assert called == ["a/epu:grid", "a/epu:grid", "c/epu:grid"]
        assert names.name_of(seen("/atlas/Atlas.dm", "epu-atlas", "")).grid_id == "a/epu:grid"
        old, new = names.one_by_now(["b/epu:grid", "there/epu:grid"])
        assert [(one.grid_id, other.grid_id) for one, other in (old, new)] == [
            ("b/epu:grid", "a/epu:grid"), ("there/epu:grid", "a/epu:grid"),
        ]  # fmt: skip


def test_a_session_over_several_samples_is_of_as_many_grids() -> None:
    names = GridNames()
    names.session("visit", (EpuSample(None, ("1", "2")), EpuSample(None, ("7",))))
    assert [names.name_of(square(number, "visit")).prefix for number in (1, 2, 7)] == [
        "visit/", "visit/", "visit/sample 2/",
    ]  # fmt: skip
    image = seen("/raw/visit/Images-Disc1/GridSquare_7/GridSquare_20260101_000000.xml", "epu-image", "visit")
    assert names.name_of(image).prefix == "visit/sample 2/"
    assert names.grids_of_sessions()["visit"] == {"visit/epu:grid", "visit/sample 2/epu:grid"}, (
        "the first keeps its name when others come"
    )


def test_labels_make_no_grid_one_but_numbers_of_items_do() -> None:
    names = GridNames()
    names.navigator("b", ["serialem:label:1-A", "serialem:item:7", "serialem:item:8#2"])
    names.navigator("a", ["serialem:label:1-A", "serialem:item:8#2"])
    called = [names.name_of(seen(f"/{place}.nav", "navigator", place)).prefix for place in "ab"]
    assert called == ["a/", "b/"]
    names.navigator("a", ["serialem:item:7"])
    assert [names.name_of(seen(f"/{place}.nav", "navigator", place)).prefix for place in "ab"] == ["a/", "a/"]


def test_grids_in_turn_are_told_apart_by_what_was_written_next(store) -> None:
    signs = ColumnSigns.of([(50, "a"), (10, "a"), (30, "b")])
    assert [signs.at(time) for time in (5, 10, 11, 30, 31, 60)] == ["a", "a", "b", "b", "a", "a"]
    assert signs.newest_of({"a", "b"}) == "a"
    assert (signs.newest_of({"c"}), ColumnSigns().at(1)) == (None, None)
    assert signs_of_movies(store) == []


def test_what_is_expected_of_holes_is_kept_a_row_a_square(store) -> None:
    ids = ("v/epu:hole:11", "v/epu:hole:12", "x")
    every = HolesExpected(
        ids, ("s", "s", ""), np.array([0.614, 0.2, 1.0]), np.zeros(3), np.ones(3), np.array([1234.0, 0.0567, 0.0])
    )
    without, first = square_rows(every)
    assert (first.square_id, first.id_start, first.id_ends) == ("s", "v/epu:hole:1", "1\x1f2")
    assert (first.usable_percent, first.usable_high_percent, first.signal) == ("61,20", "100,100", "1200,0.057")
    assert (without.square_id, without.id_start, without.id_ends, without.signal) == ("", "x", "", "0")
    assert ExpectedHoles(store).store is store
