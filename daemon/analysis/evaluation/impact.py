"""Has the impact of the session's structure forecast, once for every run of the daemon.

The graph does not change, so every round gets the same verdict. Rounds of verdicts wait for it (what is stored may not
depend on who was faster); movies do not: it is made by a process of its own that gives way to theirs.
"""

from __future__ import annotations

import time
from pathlib import Path

from frazil.actors.impact_forecaster import ImpactForecaster
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.settings import EvaluationSettings
from frazil.daemon.analysis.actor_call import ActorCall, Answer, Retry, is_a
from frazil.daemon.store.citation_files import graph_and_notes, work_id
from frazil.models.evaluation.impact import evaluator as impact
from frazil.models.evaluation.verdict import Verdict

_MOST_SECONDS = 900
"""Rounds of verdicts, and a session's end, wait for the forecast, and not for longer than this."""
_RETRY = Retry(most_ends=2)


class CitationForecast:
    """The forecast of one session; without `evaluation.citation_graph` there is nothing to wait for and no verdict."""

    def __init__(self, runtime: RayRuntime, settings: EvaluationSettings) -> None:
        self._settings = settings
        self._verdict: Verdict | None = None
        self._begun_s = time.monotonic()
        self._actor: ActorCall | None = None
        if settings.citation_graph is not None:
            self._actor = ActorCall(runtime.ray, ImpactForecaster, "the forecast of impact", retry=_RETRY, polite=True)

    @property
    def verdict(self) -> Verdict | None:
        """None: no graph is named, or the forecast is not there yet (`step` says which)."""
        return self._verdict

    def step(self) -> bool:
        """Begin, or take in the forecast; never waits. True: it is still being made."""
        if self._actor is None:
            return False
        if not self._actor.busy:
            if self._verdict is not None:
                return False
            self._ask(self._actor)
        self._actor.step()
        if self._verdict is None and time.monotonic() - self._begun_s > _MOST_SECONDS:
            self._actor.close()
            self._actor = None
            self._verdict = impact.nothing(f"the forecast took longer than {_MOST_SECONDS // 60} minutes")
        return self._verdict is None

    def close(self) -> None:
        """End the process; a forecast that it has in hand is made at the next start."""
        if self._actor is not None:
            self._actor.close()

    def _ask(self, actor: ActorCall) -> None:
        wanted = self._settings.work_id
        request = impact.ImpactRequest(
            None if wanted is None else work_id(wanted),
            tuple(work_id(one) for one in self._settings.reference_work_ids),
        )
        actor.ask(
            self._take_in, "forecast", graph_and_notes, self._settings.citation_graph, request, accepts=is_a(Verdict)
        )

    def _take_in(self, answer: Answer) -> None:
        if answer.error is None:
            self._verdict = answer.value
        else:
            path = Path(str(self._settings.citation_graph))
            self._verdict = impact.nothing(f"the forecast from {path} failed: {answer.error}")
