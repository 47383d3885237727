"""Lists of holes: what is read, what is refused, and a navigator file that comes back as SerialEM reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frazil.config.errors import FormatError, UsageError
from frazil.models.formats.hole_list import ListedHole, navigator_items, navigator_with_settings, read_holes

NAV = """AdocVersion = 2.00
LastSavedAs = grid.nav

[Item = 1-1]
Color = 0
StageXYZ = 1 2 3
Note = nice = hole
Acquire = 1
GroupID = 7
DrawnID = 100001
TargetDefocus = -1.5
PtsX = 1

[Item = 1-2]
Color = 0
PtsX = 2

[Item = 1-3]
Acquire = 1
DrawnID = 100001
UserValue1 = old
PtsX = 3
"""


def test_a_table_of_holes(tmp_path: Path) -> None:
    path = tmp_path / "holes.csv"
    path.write_text("\ufeffName,square,ice,defocus_um\nh1, S1 ,0.4,-1.2\nh2,S1,,\n", encoding="utf-8")
    assert read_holes(path) == (ListedHole("h1", "S1", "", 0.4, -1.2), ListedHole("h2", "S1"))


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("holes.csv", "x,y\n1,2\n", FormatError),
        ("holes.csv", "name,ice\nh1,thick\n", FormatError),
        ("holes.csv", "name,ice\nh1,nan\n", FormatError),
        ("holes.csv", "name\n", FormatError),
        ("holes.csv", "", FormatError),
        ("holes.nav", "<navigator></navigator>", FormatError),
        ("holes.nav", "AdocVersion = 2.00\n[Item = 1]\nNote = x\n", FormatError),
        ("holes.nav", "AdocVersion = 2.00\n[Item = 1]\nAcquire = 1\nTargetDefocus = deep\n", FormatError),
        ("holes.txt", "name\nh1\n", UsageError),
    ],
)
def test_what_is_no_list_of_holes_is_refused(tmp_path: Path, name: str, text: str, error: type[Exception]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error):
        read_holes(path)
    with pytest.raises(UsageError):
        read_holes(tmp_path / "missing.csv")


def test_a_navigator_file_gives_the_items_to_acquire_in_table_order(tmp_path: Path) -> None:
    path = tmp_path / "grid.nav"
    path.write_text(NAV, encoding="utf-8")
    assert read_holes(path) == (
        ListedHole("1-1", "100001", "7", None, -1.5),
        ListedHole("1-3", "100001"),
    )


def test_settings_go_into_the_navigator_file_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "grid.nav"
    text = navigator_with_settings(NAV, path, {"1-1": ("A", "20"), "1-3": ("B", "5")}, "s")
    before, after = (dict(navigator_items(one, path)) for one in (NAV, text))
    assert after["1-1"]["Note"] == "nice = hole [frazil A 20 s]"
    assert after["1-3"]["Note"] == "[frazil B 5 s]"
    assert (after["1-3"]["UserValue1"], after["1-3"]["UserValue2"]) == ("B", "5")
    assert after["1-2"] == before["1-2"]
    added = {"Note", "UserValue1", "UserValue2"}
    for label, values in before.items():
        assert {k: v for k, v in after[label].items() if k not in added} == {
            k: v for k, v in values.items() if k not in added
        }
    path.write_text(text, encoding="utf-8")
    assert [hole.name for hole in read_holes(path)] == ["1-1", "1-3"]
    assert text.startswith("AdocVersion = 2.00\nLastSavedAs = grid.nav\n")


def test_a_real_navigator_file_is_read() -> None:
    real = Path(os.environ.get("FRAZIL_SHARED_DATA", "")) / "acquisition" / "serialem_map.nav"
    if not real.is_file():
        pytest.skip("the shared sample is not on this machine")
    items = navigator_items(real.read_text(encoding="utf-8"), real)
    assert items[0][0] == "17-1-A"
    assert items[0][1]["MapID"] == "1291353952"
