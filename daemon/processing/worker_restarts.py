"""What a person is told of workers that were restarted, and when that is over."""

from __future__ import annotations

from collections.abc import Iterable

from frazil.daemon.session.context import SessionContext

_STEADY_MOVIES = 10
"""After so many results a worker that was restarted is as good as any."""
_RESTARTED_SQL = "SELECT alert_id FROM alerts WHERE starts_with(alert_id, ?) AND cleared_utc_us IS NULL"


class WorkerRestarts:
    """One alert a worker."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._results_since_start: dict[str, int] = {}
        """Of each worker's process."""

    def end_those_of_others(self, workers: Iterable[str]) -> None:
        """Other settings may want fewer workers; of those that are no more nobody is left to show that one works
        again."""
        there = {_alert_id(name) for name in workers}
        for (alert_id,) in self._context.store.rows(_RESTARTED_SQL, _alert_id("")):
            if alert_id not in there:
                self._context.notices.over(str(alert_id))

    def works(self, worker: str) -> None:
        """It brought a result."""
        self._results_since_start[worker] = self._results_since_start.get(worker, 0) + 1
        if self._results_since_start[worker] == _STEADY_MOVIES:
            self._context.notices.over(_alert_id(worker))

    def restarted(self, worker: str, why: str, *, comes_back: bool) -> None:
        """Its process was replaced, or (not `comes_back`) was given up."""
        self._results_since_start[worker] = 0
        severity = "warning" if comes_back else "error"
        text = f"worker {worker} was restarted: {why}"
        remedy = f"nothing, if it was once: this is over after {_STEADY_MOVIES} movies; else `frazil doctor`"
        if not comes_back:
            text, remedy = f"worker {worker} does not come back: {why}", "look at logs/ and `frazil doctor`"
        self._context.notices.alert(severity, "worker", text, remedy, _alert_id(worker))


def _alert_id(worker: str) -> str:
    return f"worker-restart:{worker}"
