"""Navigator files of SerialEM: read in each form, handed back with nothing touched but what was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from grid_files import shared
from hypothesis import given, settings
from hypothesis import strategies as st

from frazil.config.errors import FormatError, HeaderLimitError, RetryLaterError
from frazil.models.formats.grid.navigator import (
    Navigator,
    parse_navigator,
    read_navigator,
    read_navigator_text,
    shown,
    write_navigator_text,
)
from frazil.models.formats.grid.navigator_maps import map_of
from frazil.models.formats.grid.navigator_targets import navigator_targets, read_nav
from frazil.models.formats.grid.navigator_write import RankedTarget, write_nav
from frazil.models.grid_target import GridTarget

HERE = Path("grid.nav")
# Axes of the stage swapped, as on the microscope of the real sample; 0.04 um a pixel.
SWAPPED = "MapScaleMat = 0.6 -25 -25 -1"
NAV = f"""AdocVersion = 2.00
LastSavedAs = X:\\visit\\grid.nav

[Item = 1-A]
Color = 2
StageXYZ = 0 0 10
NumPts = 5
Regis = 1
Type = 2
MapFile = X:\\visit\\grid.mrc
MapID = 100001
MapWidthHeight = 2000 1000
MapScaleMat = 1 0 0 -1

[Item = 2-A]
StageXYZ = 100 -50 11
NumPts = 5
Regis = 1
Type = 2
DrawnID = 100001
MapFile = X:\\visit\\square.mrc
MapID = 100002
MapWidthHeight = 4000 4000
{SWAPPED}

[Item = 3]
# a person's own line
StageXYZ = 110 -40 12
NumPts = 1
Regis = 1
Type = 0
Note = nice = hole
GroupID = 7
DrawnID = 100002
MapID = 100003
Acquire = 1
TargetDefocus = -1.5
HoleArray = 3 2
SkipHoles = 0 0 2 1
PtsX = 110
PtsY = -40

[Item = 4]
StageXYZ = 90 -60 12
NumPts = 1
Regis = 1
Type = 0
DrawnID = 100002
MapID = 100004
PtsX = 90
PtsY = -60

[Item = 5]
CoordsInMap = 2500 1000 11
NumPts = 0
Regis = 1
Type = 0
DrawnID = 100002
MapID = 5
Acquire = 1

[Item = 6]
StageXYZ = 300 100 12
NumPts = 1
Regis = 1
Type = 0
DrawnID = 100001
MapID = 100006
PtsX = 300
PtsY = 100

[TSParam = 0]
Note = of no item
Acquire = 1
"""


def targets_of(text: str, **said: object) -> dict[str, GridTarget]:
    reading = navigator_targets(parse_navigator(text, HERE), "grid.nav", **said)
    return {one.name: one for one in reading.targets}


def test_maps_squares_patches_and_holes() -> None:
    found = targets_of(NAV)
    levels = {name: one.level for name, one in found.items()}
    assert levels == {
        "1-A": "grid",
        "2-A": "square",
        "3": "patch",
        **dict.fromkeys(("3 0 -1", "3 1 -1", "3 -1 1", "3 0 1"), "hole"),
        "4": "hole",
        "5": "hole",
        "6": "square",
    }
    square = found["2-A"]
    assert (square.parent_id, square.image_path, square.image_width_px) == ("serialem:item:100001", "square.mrc", 4000)
    # 100 um to the right of the grid map's middle and 50 below it, at 1 px an um, y down.
    assert (square.x_in_parent_px, square.y_in_parent_px) == (1100.0, 550.0)
    assert {name: one.parent_id for name, one in found.items()}["3 0 1"] == found["3"].target_id
    assert (found["3"].parent_id, found["6"].parent_id) == (square.target_id, found["1-A"].target_id)
    assert dict(found["3"].features) == {"target_defocus_um": 1.5}


def test_what_is_marked_is_chosen_in_the_order_of_the_table() -> None:
    found = targets_of(NAV)
    orders = {name: (one.state, one.order) for name, one in found.items()}
    assert orders["3"] == ("chosen", 0)
    assert orders["3 0 1"] == ("chosen", 0)
    assert orders["5"] == ("chosen", 1)
    assert orders["4"] == orders["1-A"] == ("seen", None)
    assert found["3 0 1"].group == found["3"].target_id
    assert found["4"].group is None


def test_a_place_on_a_map_goes_there_and_back() -> None:
    one = map_of(parse_navigator(NAV, HERE).items[1])
    assert one is not None
    # By the definition of MapScaleMat, written out by hand.
    assert one.pixel(100.0, -50.0) == (2000.0, 2000.0)
    assert one.pixel(101.0, -50.0) == pytest.approx((2000.6, 1975.0))
    assert one.pixel(100.0, -49.0) == pytest.approx((1975.0, 1999.0))
    assert one.stage(*one.pixel(123.0, -77.0)) == pytest.approx((123.0, -77.0))
    # SerialEM's coordinates from outside count from the bottom.
    outside = targets_of(NAV)["5"]
    assert (outside.x_in_parent_px, outside.y_in_parent_px) == pytest.approx((2500.0, 3000.0))
    assert (outside.stage_x_um, outside.stage_y_um) == pytest.approx(one.stage(2500.0, 3000.0))


def test_holes_of_an_array_have_a_place_only_with_its_vectors() -> None:
    assert targets_of(NAV)["3 0 1"].stage_x_um is None
    found = targets_of(NAV, hole_vectors_um=((2.0, 0.5), (-0.5, 2.0)))
    holes = {name: (one.stage_x_um, one.stage_y_um) for name, one in found.items() if one.level == "hole"}
    # The middle of 3 x 2 holes lies on the item.
    assert holes["3 0 1"] == pytest.approx((110 - 0.25, -40 + 1.0))
    assert holes["3 -1 1"] == pytest.approx((110 - 2.0 - 0.25, -40 - 0.5 + 1.0))


def test_a_cross_leaves_out_its_corners_and_other_patterns_are_one_patch() -> None:
    cross = targets_of(NAV.replace("HoleArray = 3 2\nSkipHoles = 0 0 2 1", "HoleArray = -3 -3"))
    assert {name for name in cross if name.startswith("3 ")} == {"3 0 -1", "3 -1 0", "3 0 0", "3 1 0", "3 0 1"}
    for pattern in ("2 -1", "900 900", "0 3"):
        text = NAV.replace("HoleArray = 3 2", f"HoleArray = {pattern}")
        reading = navigator_targets(parse_navigator(text, HERE), "grid.nav")
        assert not any(one.name.startswith("3 ") for one in reading.targets)
        assert any("not of rows and columns" in note.what for note in reading.notes)


def test_ids_twice_are_kept_apart_and_told() -> None:
    text = NAV.replace("MapID = 100004", "MapID = 100003").replace("[Item = 6]", "[Item = 5]")
    reading = navigator_targets(parse_navigator(text, HERE), "grid.nav")
    ids = [one.target_id for one in reading.targets]
    assert len(set(ids)) == len(ids)
    assert "serialem:item:100003#2" in ids
    assert any("share a MapID" in note.what and "4" in note.what for note in reading.notes)


def test_numbers_that_are_none_and_places_that_lack_are_told() -> None:
    text = NAV.replace("StageXYZ = 90 -60 12", "StageXYZ = nan -60 12").replace(
        "Regis = 1\nType = 0\nNote", "Regis = 2\nType = 0\nNote"
    )
    reading = navigator_targets(parse_navigator(text, HERE), "grid.nav")
    assert {one.name: one.stage_x_um for one in reading.targets}["4"] is None
    whats = " ".join(note.what for note in reading.notes)
    assert "no position of item 4" in whats
    assert "2 registrations" in whats


def test_sections_behind_the_items_are_not_the_last_items() -> None:
    assert "Acquire" not in parse_navigator(NAV, HERE).items[-1].values


def test_the_table_of_before_3_6(tmp_path: Path) -> None:
    head = "Version\t1.50\r\nLabel\tColor\tX\tY\tZ\t#Pts\tCorner\tDraw\tRegPt\tRegis\tType\tNote\r\n"
    common = "0\t1\t0\t1\t{kind}\t{note}\t3\t0\t0\t-1\t-1\t1\t{drawn}\t0\t0\t0\t0\t0\t{acquire}\t0\t0"
    rows = [
        "1-A\t2\t0\t0\t10\t5\t"
        + common.format(kind=2, note="a map", drawn=0, acquire=0)
        + "\tX:\\g.mrc\t901\t0\t0\t1\t14\t0\t1\t0\t0\t-1\t2000\t1000",
        "7\t0\t12\t-30\t10\t1\t" + common.format(kind=0, note="a hole", drawn=901, acquire=1),
    ]
    path = tmp_path / "old.nav"
    path.write_bytes((head + "\r\n".join(rows) + "\r\n").encode())
    grid, point = read_nav(path).targets
    assert (grid.level, grid.image_path, grid.image_width_px) == ("grid", "g.mrc", 2000)
    assert (point.name, point.state, point.stage_x_um, point.stage_y_um) == ("7", "chosen", 12.0, -30.0)
    assert (point.parent_id, point.x_in_parent_px, point.y_in_parent_px) == (grid.target_id, 1012.0, 530.0)
    with pytest.raises(FormatError):
        write_nav(read_navigator_text(path), [], path=path)


def test_the_form_in_xml_says_the_same(tmp_path: Path) -> None:
    sections = [section for section in parse_navigator(NAV, HERE).sections if section.kind == "Item"]
    items = "".join(
        f'<Item name="{one.label}">' + "".join(f"<{k}>{v}</{k}>" for k, v in one.values.items()) + "</Item>"
        for one in sections
    )
    path = tmp_path / "grid.nav"
    path.write_text(f"<?xml version='1.0'?><navigator><AdocVersion>2.00</AdocVersion>{items}</navigator>")
    text = tmp_path / "text" / "grid.nav"
    text.parent.mkdir()
    text.write_text(NAV)
    assert read_nav(path) == read_nav(text)


def test_what_is_no_navigator_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.nav"
    for raw, error in (
        (b"", RetryLaterError),
        (b"hello", FormatError),
        (b"AdocVersion\0", FormatError),
        (b"<a><b>1</b></a>", FormatError),
        (b"<navigator><Item>", RetryLaterError),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><navigator/>', FormatError),
    ):
        path.write_bytes(raw)
        with pytest.raises(error):
            read_nav(path)
    with pytest.raises(RetryLaterError):
        read_nav(tmp_path / "missing.nav")


def test_a_file_beyond_all_limits_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frazil.models.formats.grid.navigator.MAX_NAVIGATOR_BYTES", 100)
    path = tmp_path / "grid.nav"
    path.write_text(NAV)
    with pytest.raises(HeaderLimitError):
        read_nav(path)


# --- handing back ---


def ranked(*targets: GridTarget) -> list[RankedTarget]:
    return [RankedTarget(one) for one in targets]


def labels_to_acquire(navigator: Navigator) -> list[str]:
    return [item.label for item in navigator.items if item.values.get("Acquire") == "1"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_ranked_come_in_their_order_and_nothing_else_changes(end: str) -> None:
    text = NAV.replace("\n", end)
    found = targets_of(text)
    back = write_nav(text, ranked(found["4"], found["3 0 1"], found["3 1 -1"]), path=HERE)
    assert back.notes == ()
    before, after = parse_navigator(text, HERE), parse_navigator(back.text, HERE)
    assert labels_to_acquire(after) == ["4", "3", "5"], "5 was marked by a person, and comes last"
    assert [item.label for item in after.items] == ["1-A", "2-A", "6", "4", "3", "5"]
    texts = {item.label: item.text for item in before.items}
    for item in after.items:
        expected = texts[item.label]
        if item.label == "4":
            expected = expected.replace(f"PtsY = -60{end}", f"PtsY = -60{end}Acquire = 1{end}")
        assert item.text == expected
    assert back.text.startswith(before.head)
    assert back.text.endswith(before.sections[-1].text)
    only = write_nav(text, ranked(found["4"]), path=HERE, others=False)
    assert labels_to_acquire(parse_navigator(only.text, HERE)) == ["4"]


def test_a_target_on_a_map_becomes_an_item_where_serialem_finds_it() -> None:
    new = GridTarget(
        "found:1", "hole", "list", "n[1]", "serialem:item:100002", x_in_parent_px=2500.0, y_in_parent_px=3000.0
    )
    nowhere = GridTarget("found:2", "hole", "list", "lost", "somewhere else")
    back = write_nav(NAV, ranked(new, nowhere), path=HERE)
    assert [note.what for note in back.notes] == ["has neither an item nor a map for target lost"]
    item = next(one for one in parse_navigator(back.text, HERE).items if one.values.get("Note") == "frazil 1")
    assert item.values["CoordsInMap"] == "2500.00 1000.00 11"
    assert (item.values["DrawnID"], item.values["Regis"], item.values["Type"]) == ("100002", "1", "0")
    again = targets_of(back.text)
    assert (again[item.label].stage_x_um, again[item.label].stage_y_um) == pytest.approx(
        (again["5"].stage_x_um, again["5"].stage_y_um)
    )


def test_a_file_comes_back_byte_for_byte_and_is_never_written_over(tmp_path: Path) -> None:
    raw = NAV.replace("\n", "\r\n").replace("nice = hole", "schön ").encode("cp1252") + b"Note = \x85\xe2\r\n"
    path = tmp_path / "grid.nav"
    path.write_bytes(raw)
    text = read_navigator_text(path)
    assert write_nav(text, [], path=path).text == text
    copy = tmp_path / "copy.nav"
    write_navigator_text(copy, text)
    assert copy.read_bytes() == raw
    with pytest.raises(FileExistsError):
        write_navigator_text(path, text)
    assert shown(read_navigator(path).items[2].values["Note"]) == "schön"


def test_a_last_line_without_an_end_gets_one() -> None:
    text = NAV.partition("\n[TSParam")[0].rstrip("\n")
    found = targets_of(text)
    back = write_nav(text, ranked(found["6"], found["4"]), path=HERE)
    assert labels_to_acquire(parse_navigator(back.text, HERE)) == ["6", "4", "3", "5"]


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n=[]#\0", exclude_categories=["Cs"]), max_size=12)
keys = st.sampled_from(["Note", "Color", "Draw", "UserValue1", "PtsX", "Unknown", "Acquire"])
lines = st.one_of(
    st.tuples(keys, words).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    words.map(lambda word: f"# {word}"),
    st.just(""),
)
bodies = st.lists(lines, max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(words, bodies), min_size=1, max_size=6), st.booleans(), st.randoms(use_true_random=False))
def test_any_file_keeps_all_that_was_not_asked(items: list[tuple[str, list[str]]], crlf: bool, chance: object) -> None:
    end = "\r\n" if crlf else "\n"
    parts = [f"AdocVersion = 2.00{end}LastSavedAs = a.nav{end}{end}"]
    parts += [f"[Item = {label}]{end}" + "".join(f"{line}{end}" for line in body) + end for label, body in items]
    text = "".join(parts)
    navigator = parse_navigator(text, HERE)
    assert navigator.head + "".join(section.text for section in navigator.sections) == text
    targets = list(navigator_targets(navigator, "a.nav").targets)
    chance.shuffle(targets)  # type: ignore[attr-defined]
    chosen = targets[: len(targets) // 2]
    back = write_nav(text, ranked(*chosen), path=HERE)
    after = parse_navigator(back.text, HERE)
    assert len(after.items) == len(navigator.items)

    def without_marks(section_text: str) -> str:
        return "\n".join(line for line in section_text.split("\n") if not line.startswith("Acquire ="))

    assert sorted(without_marks(one.text) for one in after.items) == sorted(
        without_marks(one.text) for one in navigator.items
    )
    marked = [one.label for one in after.items if one.values.get("Acquire") == "1"]
    assert marked[: len(chosen)] == [shown(one.name) for one in chosen]


def test_a_real_map() -> None:
    path = shared("serialem_map.nav")
    (target,) = read_nav(path).targets
    assert (target.level, target.name, target.image_width_px) == ("square", "17-1-A", 4096)
    item = read_navigator(path).items[0]
    one = map_of(item)
    assert one is not None
    # The corners that SerialEM has written are those of the image, once round.
    corners = [one.pixel(x, y) for x, y in zip(item.numbers("PtsX"), item.numbers("PtsY"), strict=True)]
    expected = [(0, 0), (4096, 0), (4096, 4096), (0, 4096), (0, 0)]
    np.testing.assert_allclose(corners, expected, atol=0.1)
    assert write_nav(read_navigator_text(path), [], path=path).text.encode() == path.read_bytes()
