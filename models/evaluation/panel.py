"""All evaluators, one after the other, on the facts of one round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.impact import evaluator as impact
from frazil.models.evaluation.logic import evaluator as logic
from frazil.models.evaluation.logic.proving.outcome import Prove, prove_exactly
from frazil.models.evaluation.novelty import evaluator as novelty
from frazil.models.evaluation.reproducibility import evaluator as reproducibility
from frazil.models.evaluation.robustness import evaluator as robustness
from frazil.models.evaluation.value import feasibility, hyperscore, meta, temper, term_weights
from frazil.models.evaluation.verdict import Verdict

EVALUATORS = (
    logic.NAME,
    novelty.NAME,
    impact.NAME,
    reproducibility.NAME,
    meta.NAME,
    hyperscore.VALUE_NAME,
    hyperscore.NAME,
    temper.NAME,
    feasibility.NAME,
)
"""In the order of the verdicts."""
ALL = (*EVALUATORS, robustness.NAME)
"""With the one that speaks later: it runs things again, and no other verdict waits for it."""


def judge(facts: RoundFacts, prove: Prove = prove_exactly) -> Iterator[Verdict]:
    """One verdict after the other (so that the caller can tell what each costs), in the order of `EVALUATORS`.

    `prove`: the provers that settle the session's claims.
    """
    verdicts: list[Verdict] = [logic.evaluate(facts, prove)]
    yield verdicts[-1]
    for module in (novelty, impact, reproducibility):
        verdicts.append(module.evaluate(facts))
        yield verdicts[-1]
    verdicts.append(meta.evaluate(facts, verdicts))
    yield verdicts[-1]
    weights, told = term_weights.in_use(facts)
    value = hyperscore.value(verdicts, weights)
    value = replace(value, evidence={**value.evidence, term_weights.KEY: told})
    yield value
    yield hyperscore.evaluate(value)
    yield temper.evaluate(facts.round, [movie.result for movie in facts.movies], verdicts)
    yield feasibility.evaluate(facts)
