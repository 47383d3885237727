"""The actor that learns: turns an epoch's results into the next version of the causal prior."""

from __future__ import annotations

from collections.abc import Sequence

from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.evaluation.temper import epoch_temper
from frazil.models.records import MovieResult


class CausalPriorActor:
    """Stateless: what it knows comes and goes with each call, so that a restart loses nothing."""

    def learn(self, prior: PriorSnapshot, results: Sequence[MovieResult]) -> PriorSnapshot:
        """The next version from an epoch's results; what the evaluators doubt moves it less."""
        evidence = [result.evidence for result in results if result.evidence is not None]
        return update(prior, evidence, temper=epoch_temper(results))
