"""The screen's record never ends the daemon."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from frazil.config.errors import QueryError
from frazil.config.settings import Settings
from frazil.daemon.analysis.summary import AnalysisSummary, GridSummary
from frazil.daemon.status import live_state
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.messages import GateState

GATE = GateState("open", False, "", "")


@pytest.mark.parametrize("error", [QueryError("ran longer than 10 s"), OSError("stale file handle")])
def test_a_slow_query_or_a_sick_disk_keeps_the_numbers_of_before(store, put, tmp_path, monkeypatch, caplog, error):
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    builder = LiveStateBuilder(options, store, lambda: 1, lambda: 0.0, live_state.disk_meter(options, store))
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


def test_rates_do_not_decay_while_nothing_comes(store, put, tmp_path):
    """Ten movies, then an hour of nothing: the rate is that of the time in which they came."""
    now = [0]
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    builder = LiveStateBuilder(options, store, lambda: now[0], lambda: 0.0)
    for number in range(10):
        put(number)
    last = builder._one("time_span")["last_utc_us"]

    def build(utc_us):
        now[0] = utc_us
        return builder.build(status="running", workers=(), gate=GATE, queue_depth=0, analysis=None)

    at_once, soon, late, next_day = (build(last + s * 1_000_000) for s in (1, 121, 3600, 86400))
    assert at_once.found_per_hour > soon.found_per_hour > 0, "two minutes are still time that counts"
    assert soon.found_per_hour == pytest.approx(late.found_per_hour, rel=0.02) == next_day.found_per_hour
    assert next_day.ready_per_hour == late.ready_per_hour > 0
    assert next_day.last_found_utc_us == builder._one("time_span")["last_found_utc_us"] <= last


def test_errors_come_before_newer_warnings(store, put, tmp_path):
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    builder = LiveStateBuilder(options, store, lambda: 1, lambda: 0.0)
    told = [("warning", "first"), ("error", "an error"), ("info", "a word"), ("warning", "third"), ("warning", "last")]
    for utc_us, (severity, text) in enumerate(told):
        store.submit(session_writes.record_alert, AlertRow(severity, "disk", text, utc_us)).result()
    state = builder.build(status="running", workers=(), gate=GATE, queue_depth=0, analysis=None)
    assert state.urgent_alerts == ("an error", "last", "third")
    assert (state.alerts_open, state.newest_alert) == (4, "last")


def test_the_dose_of_a_movie_is_that_of_the_newest_ones(store, put, tmp_path):
    """40 frames of 1.25 e/A2, once it was 30 frames; none is told before anybody knows it."""
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    builder = LiveStateBuilder(options, store, lambda: 1, lambda: 0.0)
    for number in range(3):
        put(number)
    assert builder.read(None).total_dose_e_per_a2 is None
    dose = "UPDATE movies SET dose_per_frame_e_per_a2 = 1.25, frame_count = CASE WHEN movie_id = ? THEN 30 ELSE 40 END"
    first = store.rows("SELECT min(movie_id) FROM movies")[0][0]
    store.submit(lambda connection: connection.execute(dose, [first])).result()
    assert builder.read(None).total_dose_e_per_a2 == 50.0


def test_what_the_analysis_tells_is_in_the_record(store, tmp_path):
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    builder = LiveStateBuilder(options, store, lambda: 1, lambda: 0.0)
    told = AnalysisSummary(7, 1200, GridSummary("square 12 next", 3, "s12", 37, 1920, 96))
    state = builder.build(status="running", workers=(), gate=GATE, queue_depth=0, analysis=told)
    assert (state.prior_version, state.particle_count) == (7, 1200)
    assert (state.next_line, state.next_round, state.next_square_id) == ("square 12 next", 3, "s12")
    assert (state.grid_squares, state.grid_holes, state.grid_exposed) == (37, 1920, 96)
    without = builder.build(status="running", workers=(), gate=GATE, queue_depth=0, analysis=None)
    assert (without.prior_version, without.next_line, without.grid_holes) == (None, "", 0)


def test_a_session_that_goes_on_knows_its_newest_movie(store, put, tmp_path):
    options = SimpleNamespace(session_dir=tmp_path, raw_root=tmp_path, settings=Settings())
    assert LiveStateBuilder(options, store, lambda: 1, lambda: 0.0).last_movie_id is None
    put(0)
    put(1)
    newest = store.named("trend", {"metrics": "ctf_fit_angstrom", "last": 1}).as_dicts()[0]["movie_id"]
    builder = LiveStateBuilder(options, store, lambda: 1, lambda: 0.0)
    state = builder.build(status="starting", workers=(), gate=GATE, queue_depth=0, analysis=None)
    assert state.last_movie_id == newest
