"""What a refused start has made is taken back, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.daemon.session import folder


@pytest.mark.parametrize("other", [None, "notes.txt", "motion/m1.mrc", "results/m1.msgpack"])
def test_only_what_the_start_made_is_taken_back(tmp_path: Path, other: str | None) -> None:
    (tmp_path / "raw").mkdir()
    session = tmp_path / "session"
    folder.prepare(session, tmp_path / "raw")
    for name in ("session.duckdb", "session.duckdb.wal", "session.lock", "settings.yaml", "logs/daemon.log"):
        (session / name).touch()
    if other is not None:
        (session / other).touch()
    before = sorted(session.rglob("*"))
    folder.take_back(session)
    assert sorted(session.rglob("*")) == ([] if other is None else before)
    assert session.exists() == (other is not None)
