"""The one boundary around the steps of the analysis: an error in one is recorded, and the daemon goes on.

A step is called again and again by the daemon's loop, so nothing that it wants to do is lost when it fails: it must
leave its own state as it was until what it does is durable. After a failure it is left alone for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from frazil.config.errors import FrazilError, RetryLaterError, StopDaemonError
from frazil.daemon.session.notices import Notices

T = TypeVar("T")

_log = logging.getLogger(__name__)
_PAUSE_S = 10.0
_MOST_FAILURES = 5
"""A session that is to end does not wait for a step that fails so often in succession for another reason than a disk or
a store that is not ready."""


class StepBoundary:
    """Around the steps of one part of the analysis.

    Parameters
    ----------
    name:
        Of the part, as a person reads it: `the causal prior`.
    subject:
        Of its alert: prior, restoration, reconstruction or evaluation. There is one alert, which is over when a step
        succeeds again.
    """

    def __init__(self, name: str, subject: str, notices: Notices, *, clock: Callable[[], float]) -> None:
        self._name, self._subject, self._alert_id = name, subject, f"analysis-{name.replace(' ', '-')}"
        self._notices, self._clock = notices, clock
        self._not_before_s = float("-inf")
        self._failures = 0
        """In succession, without those that only ask for another try."""
        self._failing_with = ""
        """The error of the last step; empty: it succeeded."""

    def run(self, step: Callable[[], T], *, otherwise: T) -> T:
        """What `step` returns; `otherwise` when it fails, or while it is left alone after a failure.

        Raises
        ------
        StopDaemonError
            The step found that going on would lose or falsify data.
        """
        value = self._attempt(step, otherwise)
        if self._failing_with and self._clock() >= self._not_before_s:  # a failure would have moved that time
            self._works()
        return value

    def drained(self, step: Callable[[], bool]) -> bool:
        """Whether a session may end as far as this part is concerned: `step` says so, or will never be able to. Raises
        what `run` raises."""
        return self._attempt(step, False) or self._failures >= _MOST_FAILURES

    def _attempt(self, step: Callable[[], T], otherwise: T) -> T:
        if self._clock() < self._not_before_s:
            return otherwise
        try:
            return step()
        except StopDaemonError:
            raise
        except Exception as error:  # the boundary that the module is about
            self._record(error)
            return otherwise

    def _record(self, error: Exception) -> None:
        again = isinstance(error, RetryLaterError)
        self._not_before_s = self._clock() + _PAUSE_S
        self._failures += not again
        if str(error) != self._failing_with:
            _log.warning("%s: a step failed and is made again", self._name, exc_info=error)
        self._failing_with = str(error) or type(error).__name__
        remedy = error.remedy if isinstance(error, FrazilError) else None
        self._notices.alert(
            "warning" if again else "error",
            self._subject,
            f"{self._name} waits: {error.what if isinstance(error, FrazilError) else self._failing_with}",
            remedy or "nothing: movies are processed, and it is tried again; see logs/daemon.log",
            self._alert_id,
        )

    def _works(self) -> None:
        _log.info("%s goes on", self._name)
        self._failing_with, self._failures = "", 0
        self._notices.over(self._alert_id)
