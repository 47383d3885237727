"""`query`, `summary` and `export` say the same of a running session, over its sockets, as of the finished one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from frazil.config.errors import QueryError
from frazil.daemon.export.relion import export_star
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.reading import LiveReader, open_session
from frazil.daemon.store.store import Store
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer
from frazil.models.formats.mrc_write import write_mrc


@pytest.fixture
def running(filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A session with its lock, its store and its sockets, as the daemon has them."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (filled.session_dir / "motion").mkdir()
    for index in (0, 1):
        write_mrc(filled.session_dir / "motion" / f"foil_{index}.mrc", np.zeros((8, 12), np.float32), 1.1)
    service = DaemonService(filled, filled.session_dir, order=lambda _: "", snapshot=LiveState)
    with SessionLock(filled.session_dir), QueryServer(filled.session_dir, service):
        yield filled


def test_live_and_finished_say_the_same(running: Store, tmp_path: Path) -> None:
    folder = running.session_dir
    with open_session(folder) as reader:
        assert isinstance(reader, LiveReader)
        table = reader.sql("SELECT movie_id, state FROM movies ORDER BY movie_id")
        summary = summarise(reader, folder, now_utc_us=1, live=False)
        report = export_star(reader, folder, tmp_path / "live")
        with pytest.raises(QueryError, match="open to reading only"):
            reader.sql("DELETE FROM movies")
    assert report.kept == 2
    running.close()
    with Store.open(folder, now_utc_us=1) as store:
        assert store.sql("SELECT movie_id, state FROM movies ORDER BY movie_id") == table
        assert summarise(store, folder, now_utc_us=1, live=False) == summary
        export_star(store, folder, tmp_path / "finished")
    live, finished = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.star")}
        for name in ("live", "finished")
    )
    assert live == finished
    assert len(live) > 4
