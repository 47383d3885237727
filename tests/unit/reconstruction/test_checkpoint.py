"""The map's checkpoint on the disk: what is added and what is replaced, kills between the two, damage anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frazil.actors import checkpoint
from frazil.actors.checkpoint import Checkpoint, Grown
from frazil.config.settings import ParticleSettings

FIXED, ROWS = "maps/checkpoint.npz", "maps/checkpoint-0001.rows"


def grown(number: int) -> Grown:
    return Grown.of({"movie": number}, {"poses": np.full((2, 3), number, dtype=np.float32)})


def write(one: Checkpoint, number: int) -> None:
    one.write({"key": [10], "round": number}, {"sums": np.arange(20) * number}, grown(number))


def found(session: Path) -> tuple[int, list[int], list[int]]:
    """The round, the sums, and all that was added."""
    one = Checkpoint(session)
    header, arrays = one.read()
    rows = list(one.grown())
    for row in rows:
        assert (row.unpacked()["poses"] == row.header["movie"]).all()
    return header["round"], arrays["sums"].tolist(), [row.header["movie"] for row in rows]


def test_what_grows_is_added_and_the_rest_replaced(tmp_path: Path) -> None:
    one = Checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError):
        one.read()
    sizes = []
    for number in range(1, 6):
        write(one, number)
        sizes.append((tmp_path / ROWS).stat().st_size)
    assert found(tmp_path) == (5, list(range(0, 100, 5)), [1, 2, 3, 4, 5])
    assert set(np.diff(sizes)) == {sizes[0]}, "as much is added every time"
    again = Checkpoint(tmp_path)
    again.read()
    write(again, 6)
    assert found(tmp_path)[2] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["checkpoint-0001.rows", "checkpoint.npz"]


def test_a_kill_between_the_two_files_leaves_the_checkpoint_of_before(tmp_path: Path) -> None:
    one = Checkpoint(tmp_path)
    write(one, 1)
    before = (tmp_path / FIXED).read_bytes()
    write(one, 2)
    (tmp_path / FIXED).write_bytes(before)  # the rows were added, and then the process was killed
    assert found(tmp_path)[::2] == (1, [1])
    again = Checkpoint(tmp_path)
    again.read()
    write(again, 3)
    assert found(tmp_path)[::2] == (3, [1, 3])


def test_a_full_disk_leaves_the_checkpoint_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Checkpoint(tmp_path)
    write(one, 1)

    def full(*_: Any) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no space"):
            write(one, 2)
    assert found(tmp_path)[::2] == (1, [1])
    write(one, 2)
    assert found(tmp_path)[::2] == (2, [1, 2])


@pytest.mark.parametrize("name", [FIXED, ROWS])
def test_damage_anywhere_is_found(tmp_path: Path, name: str) -> None:
    one = Checkpoint(tmp_path)
    for number in (1, 2, 3):
        write(one, number)
    path = tmp_path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(whole), 200).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            Checkpoint(tmp_path).read()
    for size in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="damaged"):
            Checkpoint(tmp_path).read()
    path.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=r"not there|No such file"):
        Checkpoint(tmp_path).read()


def test_what_another_one_left_is_not_added_to(tmp_path: Path) -> None:
    write(Checkpoint(tmp_path), 1)
    other = Checkpoint(tmp_path)  # begun anew: it has not read what is there
    assert not other.goes_on
    write(other, 7)
    assert found(tmp_path)[::2] == (7, [7])
    assert not (tmp_path / ROWS).exists()
    (tmp_path / "maps/checkpoint-0002.rows").unlink()
    assert not other.goes_on, "all is written once more"
    write(other, 8)
    assert found(tmp_path)[::2] == (8, [8])


def test_one_of_an_earlier_frazil_says_so(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    np.savez(tmp_path / FIXED, header=np.array(json.dumps({"key": [9, "C1"], "movies": []})))
    header, arrays = Checkpoint(tmp_path).read()
    assert arrays == {}
    key = checkpoint.key(ParticleSettings())
    assert checkpoint.what_changed(header["key"], key) == "another version of frazil made it"
