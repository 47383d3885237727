"""A step that fails is recorded once, left alone for a while, and made again; the daemon's loop never sees it."""

from __future__ import annotations

import logging

import pytest

from frazil.config.errors import RetryLaterError, StopDaemonError
from frazil.daemon.analysis.step import StepBoundary


class Notes:
    """Notices without a store."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str, str, str]] = []
        self.ended: list[str] = []

    def alert(self, severity, subject, text, remedy=None, alert_id=""):
        self.alerts.append((severity, subject, text, alert_id))

    def over(self, alert_id):
        self.ended.append(alert_id)


class Step:
    def __init__(self, error: Exception | None) -> None:
        self.error, self.calls = error, 0

    def __call__(self) -> bool:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return True


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def now_s():
    return [0.0]


@pytest.fixture
def boundary(notes, now_s):
    return StepBoundary("the causal prior", "prior", notes, clock=lambda: now_s[0])


BUSY = RetryLaterError("the disk is full", remedy="free disk space")


def test_a_step_that_works_is_not_talked_about(boundary, notes):
    assert boundary.run(Step(None), otherwise=False)
    assert (notes.alerts, notes.ended) == ([], [])


@pytest.mark.parametrize(("error", "severity"), [(BUSY, "warning"), (KeyError("score"), "error")])
def test_a_failing_step_is_left_alone_for_a_while_and_made_again(boundary, notes, now_s, error, severity):
    step = Step(error)
    for tenth in range(301):  # the daemon's loop for half a minute
        now_s[0] = tenth / 10
        assert not boundary.run(step, otherwise=False)
    assert step.calls == 4
    assert {alert[0] for alert in notes.alerts} == {severity}
    assert {alert[3] for alert in notes.alerts} == {"analysis-the-causal-prior"}, "all of them are one alert"
    step.error = None
    now_s[0] = 40.0
    assert boundary.run(step, otherwise=False)
    assert notes.ended == ["analysis-the-causal-prior"]


def test_the_traceback_is_logged_once(boundary, now_s, caplog):
    caplog.set_level(logging.WARNING)
    for seconds in (0.0, 20.0, 40.0):
        now_s[0] = seconds
        boundary.run(Step(ValueError("no variance")), otherwise=False)
    assert caplog.text.count("Traceback") == 1


def test_what_stops_the_daemon_does_stop_it(boundary):
    with pytest.raises(StopDaemonError):
        boundary.run(Step(StopDaemonError("the database is lost")), otherwise=False)


def test_a_session_ends_without_a_step_that_can_never_work_and_waits_for_the_disk(boundary, notes, now_s):
    def drained(error):
        for seconds in range(200):
            now_s[0] += 1.0
            if boundary.drained(Step(error)):
                return seconds
        return None

    assert drained(BUSY) is None
    assert drained(KeyError("score")) is not None
