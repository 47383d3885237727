"""The actor that judges: every evaluator on the facts of one round, with what each took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from frazil.actors.provers import Provers
from frazil.models.evaluation import logic
from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.panel import judge
from frazil.models.evaluation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class TimedVerdict:
    verdict: Verdict
    seconds: float
    prover_seconds: Mapping[str, float] = field(default_factory=dict)
    """What each prover took of it, by its name. Not part of the verdict: the same facts give the same verdict."""


class Evaluator:
    """What earlier rounds found out comes with the facts, so that a restart loses nothing.

    Parameters
    ----------
    provers:
        Names of those that settle the session's claims (`frazil.actors.provers.PROVERS`).
    prover_seconds:
        That each of them has for a round.
    """

    def __init__(self, provers: Sequence[str] = ("exact",), prover_seconds: float = 60.0) -> None:
        self._prove = Provers(provers, seconds=prover_seconds)

    def score(self, facts: RoundFacts) -> tuple[TimedVerdict, ...]:
        """All verdicts of a round, in the order of `panel.EVALUATORS`. The same facts give the same verdicts."""
        timed: list[TimedVerdict] = []
        begun_s = time.perf_counter()
        for verdict in judge(facts, self._prove):
            now_s = time.perf_counter()
            provers = dict(self._prove.seconds) if verdict.evaluator == logic.NAME else {}
            timed.append(TimedVerdict(verdict, now_s - begun_s, provers))
            begun_s = now_s
        return tuple(timed)
