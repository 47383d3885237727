"""Meta: how far the other evaluators can be believed, over rounds.

Four parts, each in [0, 1], in a mean with the weights of `PARTS`; what cannot be told yet is left out, and shown:

- `consistency`: what contradictions between evaluators leave (`contradictions`).
- `steadiness`: 1 minus the mean absolute change of the verdicts from one round to the next.
- `calibration`: forecasts of the map against what came (`forecast_record`).
- `drift`: 1 minus the mean change along a line through the rounds, where it is beyond chance.

Steadiness and drift look at the last eight rounds: an early jump must not count for ever, nor the evidence grow. The
reproducibility of a map that grows rises; that is neither unsteady nor a drift, a fall is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.value import forecast_record
from frazil.models.evaluation.value.contradictions import checks, consistency
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "meta"
PARTS: Mapping[str, float] = {"consistency": 0.6, "steadiness": 0.2, "calibration": 0.1, "drift": 0.1}
"""Weights of the parts."""
_ROUNDS_KEPT = 8
_LEAST_ROUNDS_FOR_DRIFT = 4
_DRIFT_SIGMA = 2.0
_MAY_RISE = "reproducibility"
_FORECASTS_TOLD = 5


def evaluate(facts: RoundFacts, others: Sequence[Verdict]) -> Verdict:
    """Weighted mean of the parts that are known. The uncertainty is that of the steadiness (standard error of the mean
    change), times its weight; None after a single change."""
    earlier = facts.earlier.get(NAME, {})
    history = _history(earlier)
    newest = {_called(v): v.verdict for v in others if v.verdict is not None and 0.0 <= v.verdict <= 1.0}
    history = [*(entry for entry in history if entry[0] != facts.round), (facts.round, newest)][-_ROUNDS_KEPT:]
    changes = _changes(history)
    drifts = _drifts(history)
    best_fit = _best_fit_angstrom(facts, earlier.get("best_ctf_fit_angstrom"))
    made = checks(facts, others, best_fit)
    came = forecast_record.due(facts.map_forecasts, facts.map_rounds)
    parts = {
        "consistency": consistency(made),
        "steadiness": 1.0 - sum(changes) / len(changes) if changes else None,
        "calibration": forecast_record.calibration(came),
        "drift": 1.0 - sum(abs(one) for one in drifts.values()) / len(drifts) if drifts else None,
    }
    known = {name: value for name, value in parts.items() if value is not None}
    total = sum(PARTS[name] for name in known)
    used = {name: PARTS[name] / total for name in known}
    evidence: dict[str, Json] = {
        "parts": known,
        "part_weights": used,
        "contradictions": [
            {"name": one.name, "severity": one.severity, "sentence": one.sentence} for one in made if one.severity > 0
        ],
        "checks_made": [one.name for one in made],
        "forecasts_due": len(came),
        "forecasts_held": sum(one.held for one in came),
        "forecasts": [
            {"made_at_movies": one.forecast.made_at_movies, "movies": one.forecast.movies,
             "foretold_angstrom": one.forecast.resolution_angstrom, "came_angstrom": one.came_angstrom,
             "held": one.held, "off_sigma": one.off_sigma}
            for one in came[-_FORECASTS_TOLD:]
        ],
        "drifts": drifts,
        "best_ctf_fit_angstrom": best_fit,
        "rounds": [{"round": number, "verdicts": dict(verdicts)} for number, verdicts in history],
        "changes": changes,
    }  # fmt: skip
    unknown = tuple(_WHY_NOT[name] for name in PARTS if name not in known)
    if not known:
        return Verdict(NAME, None, unit="trust in verdicts", evidence=evidence, does_not_know=unknown)
    verdict = sum(used[name] * value for name, value in known.items())
    error = None
    if len(changes) > 1:
        error = used["steadiness"] * float(np.std(changes, ddof=1)) / math.sqrt(len(changes))
    return Verdict(
        NAME,
        verdict,
        unit="trust in verdicts",
        uncertainty=error,
        reliability=reliability(verdict),
        evidence=evidence,
        does_not_know=unknown,
    )


_WHY_NOT = {
    "consistency": "contradictions between evaluators: they have not said enough to contradict each other",
    "steadiness": "steadiness needs two rounds",
    "calibration": "calibration against later truth: no forecast of the map has come due",
    "drift": f"drift needs {_LEAST_ROUNDS_FOR_DRIFT} rounds",
}


def _changes(history: Sequence[tuple[int, Mapping[str, float]]]) -> list[float]:
    """Absolute changes from round to round, of all evaluators."""
    return [
        _counted(name, now[name] - before[name])
        for (_, before), (_, now) in itertools.pairwise(history)
        for name in sorted(now)
        if name in before
    ]


def _counted(name: str, change: float) -> float:
    return 0.0 if name.startswith(_MAY_RISE) and change > 0 else abs(change)


def _called(verdict: Verdict) -> str:
    """Its evaluator, with the parts that it is made of: another part makes it another quantity, and no change."""
    parts = verdict.evidence.get("parts")
    return (
        f"{verdict.evaluator} ({', '.join(sorted(parts))})"
        if isinstance(parts, Mapping) and parts
        else verdict.evaluator
    )


def _drifts(history: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """By evaluator: change along a least-squares line over the rounds kept; 0 within twice its standard error."""
    found: dict[str, float] = {}
    for name in sorted({name for _, verdicts in history for name in verdicts}):
        points = [(number, verdicts[name]) for number, verdicts in history if name in verdicts]
        if len(points) < _LEAST_ROUNDS_FOR_DRIFT:
            continue
        x, y = np.array(points, dtype=np.float64).T
        x = x - x.mean()
        slope = float(x @ y / (x @ x))
        residual = y - y.mean() - slope * x
        error = math.sqrt(float(residual @ residual) / (len(x) - 2) / float(x @ x))
        change = slope * float(x[-1] - x[0])
        beyond = abs(slope) > _DRIFT_SIGMA * error and _counted(name, change) > 0
        found[name] = float(np.clip(change, -1.0, 1.0)) if beyond else 0.0
    return found


def _best_fit_angstrom(facts: RoundFacts, before: Any) -> float | None:
    """The finest rings of a reliable fit, of this session so far."""
    fits = [one.result.ctf for one in facts.movies]
    found = [ctf.fit_resolution_angstrom for ctf in fits if ctf.reliable and ctf.fit_resolution_angstrom is not None]
    if isinstance(before, int | float):
        found.append(float(before))
    return min(found, default=None)


def _history(evidence: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    return [(int(entry["round"]), dict(entry["verdicts"])) for entry in evidence.get("rounds", ())]
