"""What is told of restarted workers, and when it is over."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shell_doubles import FakeStore, Shells

from frazil.daemon.processing.worker_restarts import WorkerRestarts


def test_a_restart_is_over_after_ten_results_in_a_row() -> None:
    shells = Shells()
    restarts = WorkerRestarts(shells.context)
    restarts.restarted("w0", "it died", comes_back=True)
    for _ in range(9):
        restarts.works("w0")
    restarts.restarted("w0", "it died again", comes_back=True)
    for _ in range(9):
        restarts.works("w0")
    assert shells.notices.ended == []
    restarts.works("w0")
    assert shells.notices.ended == ["worker-restart:w0"]
    assert [severity for severity, _, _ in shells.notices.told] == ["warning", "warning"]


def test_alerts_of_workers_that_are_no_more_are_over(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    shells = Shells()
    monkeypatch.setattr(FakeStore, "rows", lambda *_: [("worker-restart:w0",), ("worker-restart:w7",)])
    WorkerRestarts(shells.context).end_those_of_others(["w0"])
    assert shells.notices.ended == ["worker-restart:w7"]
