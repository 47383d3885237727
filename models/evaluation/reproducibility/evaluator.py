"""Reproducibility (dRepro): does what was found come again, in the other half, the second time, at the foretold cost.

Four parts, each in [0, 1], as a product of powers: the half-sets say how far the result repeats, the others, which are
near 1 where all is well, how much of that to believe. The exponents are those of `EXPONENTS` over the largest of a part
that is known; a part that nobody can tell is left out, and both are shown:

- `half_sets`: what two halves of the particles tell alike (`map_agreement`). Reproducibility of the result, so most.
- `rings`: whether even and odd frames of a movie carry the same rings (below).
- `reruns`: movies that were computed twice (`second_run`).
- `cost`: seconds as foretold from the movies before against seconds taken (`computing_cost`).

Rings. The even- and odd-frame sums of a movie share what the specimen put there and nothing of the counting noise. With
sigma^2 the power that is not shared, P the power of the whole sum and F the Fourier ring correlation of the halves,

    P = sigma^2 (1 + F) / (1 - F),        2 atanh F = ln P - ln sigma^2.

sigma^2(k) is smooth, whatever the camera: so the Thon rings in 2 atanh F have the height of the rings in ln P (slope 1)
when both halves carry them, and none (slope 0) when they are in one half only, or an artefact of the sum. The slope is
fitted between 30 A and the fit limit, with ln sigma^2 a polynomial. (The crossing of F with 0.143 is told beside it,
but falls into the first zero of the CTF and says little.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.reproducibility import computing_cost, second_run
from frazil.models.evaluation.reproducibility.map_agreement import half_set_agreement
from frazil.models.evaluation.verdict import Json, Verdict, reliability
from frazil.models.records import MovieResult

NAME = "reproducibility"

EXPONENTS: Mapping[str, float] = {"half_sets": 1.0, "rings": 0.1, "reruns": 0.1, "cost": 0.05}
"""Of the parts. A mean would jump whenever a part becomes known: rings agree by 0.9 where a map does by 0.3."""
_LEAST_PART = 0.05
"""A part of 0 must not end all."""

_LOWEST_PER_ANGSTROM = 1 / 30
_POLYNOMIAL_DEGREE = 5
_FEWEST_RINGS = 24
_LARGEST_FRC = 0.99


def half_agreement(result: MovieResult) -> tuple[float, float] | None:
    """Slope of the rings in the halves' correlation on the rings in the power, and its standard error.

    None: nothing to compare (one frame, no reliable rings, too few points). About 1 when the halves agree; noise in P
    pulls it down to 0.85-0.95 for weak rings.
    """
    spectra, ctf = result.spectra, result.ctf
    if not ctf.reliable or ctf.fit_resolution_angstrom is None or not spectra.half_frc:
        return None
    frequency, power = np.array(spectra.frequency_per_angstrom), np.array(spectra.power)
    frc = np.array(spectra.half_frc)
    inside = (frequency >= _LOWEST_PER_ANGSTROM) & (frequency <= 1 / ctf.fit_resolution_angstrom)
    inside &= np.isfinite(power) & np.isfinite(frc) & (power > 0)
    if np.count_nonzero(inside) < _FEWEST_RINGS:
        return None
    frequency, power, frc = frequency[inside], power[inside], frc[inside]
    shared = 2.0 * np.arctanh(np.clip(frc, -_LARGEST_FRC, _LARGEST_FRC))
    place = 2.0 * (frequency - frequency[0]) / (frequency[-1] - frequency[0]) - 1.0
    design = np.column_stack([np.log(power), np.polynomial.chebyshev.chebvander(place, _POLYNOMIAL_DEGREE)])
    weight = np.sqrt(frequency)  # a ring has as many pixels as it is long
    weighted = design * weight[:, None]
    solution, _, rank, _ = np.linalg.lstsq(weighted, shared * weight, rcond=None)
    if rank < design.shape[1]:
        return None
    residual = (shared - design @ solution) * weight
    variance = float(residual @ residual) / (len(frequency) - design.shape[1])
    return float(solution[0]), math.sqrt(variance * float(np.linalg.inv(weighted.T @ weighted)[0, 0]))


@dataclass(slots=True)
class _Mean:
    """A running mean with its standard error."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def take(self, value: float) -> None:
        self.count, self.total, self.squares = self.count + 1, self.total + value, self.squares + value * value

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    @property
    def error(self) -> float | None:
        if self.count < 2:
            return None
        mean = self.total / self.count
        return math.sqrt(max(self.squares / self.count - mean * mean, 0.0) / (self.count - 1))

    def as_json(self) -> dict[str, Json]:
        return {"count": self.count, "sum": self.total, "sum_of_squares": self.squares}

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> _Mean:
        return cls(int(evidence.get("count", 0)), evidence.get("sum", 0.0), evidence.get("sum_of_squares", 0.0))


def evaluate(facts: RoundFacts) -> Verdict:
    """Product of powers of the parts that are known, over the session so far.

    The uncertainty carries the parts' relative standard errors; that of the rings, the reruns and the cost is of the
    mean over movies, that of the half-sets comes from the number of Fourier voxels. The reliability is the
    agreement itself.
    """
    earlier = facts.earlier.get(NAME, {})
    sums = earlier.get("sums", {})
    rings, reruns, cost = (_Mean.of(sums.get(name, {})) for name in ("rings", "reruns", "cost"))
    without = int(earlier.get("movies_without_comparison", 0))
    lines = computing_cost.lines_of(earlier.get("cost_lines", {}))
    rows: list[Json] = []
    again: list[Json] = []
    costs: list[Json] = []
    for movie in facts.movies:
        found = half_agreement(movie.result)
        if found is None:
            without += 1
        else:
            rings.take(min(1.0, max(0.0, found[0])))
            rows.append(_ring_row(movie.result, found))
        if movie.rerun is not None:
            reruns.take(second_run.rerun_agreement(movie.result, movie.rerun))
            again.append(second_run.as_json(movie.result, movie.rerun))
        spent = computing_cost.cost_of(movie.result)
        if spent is not None:
            line = lines.setdefault(movie.result.device.device_name, computing_cost.CostLine())
            predicted = line.predicted_s(spent[0])
            if predicted is not None:
                cost.take(computing_cost.agreement(predicted, spent[1]))
                costs.append(
                    {"movie_id": movie.result.movie_id, "predicted_s": predicted, "actual_s": spent[1],
                     "relative_error": spent[1] / predicted - 1.0}
                )  # fmt: skip
            line.take(*spent)
    halves = None if facts.map is None else half_set_agreement(facts.map)
    parts = {
        "half_sets": halves,
        "rings": None if rings.mean is None else (rings.mean, rings.error),
        "reruns": None if reruns.mean is None else (reruns.mean, reruns.error),
        "cost": None if cost.mean is None else (cost.mean, cost.error),
    }
    known = {name: part for name, part in parts.items() if part is not None}
    largest = max((EXPONENTS[name] for name in known), default=1.0)
    used = {name: EXPONENTS[name] / largest for name in known}
    held = {name: min(1.0, max(_LEAST_PART, part[0])) for name, part in known.items()}
    mean = math.prod(held[name] ** used[name] for name in known) if known else None
    relative = [used[name] * part[1] / held[name] for name, part in known.items() if part[1] is not None]
    return Verdict(
        evaluator=NAME,
        verdict=mean,
        unit="share that comes again",
        uncertainty=mean * math.hypot(*relative) if mean is not None and relative else None,
        reliability=1.0 if mean is None else reliability(mean),
        evidence={
            "parts": {name: part[0] for name, part in known.items()},
            "part_errors": {name: part[1] for name, part in known.items()},
            "part_exponents": used,
            "movies_compared": rings.count,
            "movies_without_comparison": without,
            "movies_run_twice": reruns.count,
            "sums": {"rings": rings.as_json(), "reruns": reruns.as_json(), "cost": cost.as_json()},
            "cost_lines": {device: line.as_json() for device, line in lines.items()},
            "this_round": rows,
            "reruns": again,
            "costs": costs,
        },
        does_not_know=tuple(_WHY_NOT[name] for name in _WHY_NOT if name not in known),
    )


_WHY_NOT = {
    "rings": "no movie had reliable rings in two halves",
    "half_sets": "half-set agreement: there is no running map with an FSC",
    "reruns": "rerun agreement: no micrograph's CTF was fitted twice",
    "cost": "computing cost: no movie could be foretold from one before it",
}


def _ring_row(result: MovieResult, found: tuple[float, float]) -> dict[str, Json]:
    return {
        "movie_id": result.movie_id,
        "agreement": found[0],
        "standard_error": found[1],
        "fit_resolution_angstrom": result.ctf.fit_resolution_angstrom,
        "half_frc_0143_angstrom": _first_below_0143_angstrom(
            result.spectra.frequency_per_angstrom, result.spectra.half_frc
        ),
    }


def _first_below_0143_angstrom(frequency_per_angstrom: Sequence[float], frc: Sequence[float]) -> float | None:
    for frequency, value in zip(frequency_per_angstrom, frc, strict=True):
        if value < 0.143:
            return 1.0 / frequency if frequency > 0 else None
    return None
