"""The screen's record never ends the daemon."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from frazil.config.errors import QueryError
from frazil.config.settings import Settings
from frazil.daemon import live_state
from frazil.daemon.live_state import LiveStateBuilder
from frazil.daemon.transport.messages import GateState

GATE = GateState("open", False, "", "")


@pytest.mark.parametrize("error", [QueryError("ran longer than 10 s"), OSError("stale file handle")])
def test_a_slow_query_or_a_sick_disk_keeps_the_numbers_of_before(store, put, tmp_path, monkeypatch, caplog, error):
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    builder = LiveStateBuilder(options, store, lambda: 1, lambda: 0.0)
    put(0)

    def build(status):
        return builder.build(status=status, workers=(), gate=GATE, queue_depth=3, analysis=None)

    before = build("running")
    assert before.counts == {"ready": 1}

    def fail(*_):
        raise error

    target = (store, "named") if isinstance(error, QueryError) else (live_state.shutil, "disk_usage")
    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(*target, fail)
        after = build("paused")
    assert (after.counts, after.status, after.sequence) == ({"ready": 1}, "paused", before.sequence + 1)
    assert builder.newest is after
    assert str(error) in caplog.text
    put(1)
    assert build("running").counts == {"ready": 2}
