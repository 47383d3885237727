"""The actor that judges: every evaluator on the facts of one round, with what each took."""

from __future__ import annotations

import time
from dataclasses import dataclass

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.panel import judge
from frazil.models.evaluation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class TimedVerdict:
    verdict: Verdict
    seconds: float


class Evaluator:
    """Stateless: what earlier rounds found out comes with the facts, so that a restart loses nothing."""

    def score(self, facts: RoundFacts) -> tuple[TimedVerdict, ...]:
        """All verdicts of a round, in the order of `panel.EVALUATORS`. The same facts give the same verdicts."""
        timed: list[TimedVerdict] = []
        begun_s = time.perf_counter()
        for verdict in judge(facts):
            now_s = time.perf_counter()
            timed.append(TimedVerdict(verdict, now_s - begun_s))
            begun_s = now_s
        return tuple(timed)
