"""A simulated grid tells how far it has got, also where nobody sits at a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frazil.config.errors import UsageError
from frazil.daemon.cli import simulate_grid
from frazil.models.simulation.settings import preset


def shoot(out: Path, *, as_json: bool = False, squares: int = 1, **changes: object) -> None:
    given = {"order": "scan", "hours": 8.0, "most_shots": 3, "movies": False, "pace_s": 0.0} | changes
    simulate_grid.shoot(out, preset("demo"), kind="uniform", squares=squares, as_json=as_json, **given)


def test_progress_goes_to_stderr_and_says_first_what_will_be_done(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(simulate_grid, "_QUIET_S", 0.0)
    shoot(tmp_path / "g", as_json=True, sample=4)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[0] == f"simulating a grid into {tmp_path / 'g'}: atlas, 1 squares, then 3 shots without movies"
    assert lines[1:3] == ["squares imaged: 0 of 1", "squares imaged: 1 of 1"]
    assert [line.split("  ")[0].strip() for line in (part.strip() for part in lines[3:])] == [
        f"{n} of 3" for n in (1, 2, 3)
    ]
    assert "more" in lines[4]
    assert "more" not in lines[5], "it is done"
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row.get("shot") for row in rows] == [0, 1, 2, None], "stdout has the rows alone"
    assert (tmp_path / "g" / "Atlas" / "Sample4" / "Atlas" / "Atlas.dm").exists()


def test_a_line_comes_every_few_seconds_and_at_the_end(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(simulate_grid, "_QUIET_S", 1e9)
    shoot(tmp_path / "g")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0].strip() for line in (part.strip() for part in lines[2:])] == ["3 of 3"]
    with pytest.raises(UsageError):
        shoot(tmp_path / "g")
