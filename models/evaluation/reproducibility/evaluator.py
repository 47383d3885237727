"""Reproducibility (dRepro): does what was found come again, in the other half, the second time, at the foretold cost.

Four parts, each in [0, 1], as a product of powers: the half-sets say how far the result repeats, the others, which are
near 1 where all is well, how much of that to believe. The exponents are those of `EXPONENTS` over the largest of a part
that is known; a part that nobody can tell is left out, and both are shown:

- `half_sets`: what two halves of the particles tell alike (`map_agreement`). Reproducibility of the result, so most.
- `rings`: whether even and odd frames of a movie carry the same rings (`ring_agreement`).
- `reruns`: movies that were computed twice (`second_run`).
- `cost`: seconds as foretold from the movies before against seconds taken (`computing_cost`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frazil.models.evaluation.facts import MovieFacts, RoundFacts
from frazil.models.evaluation.reproducibility import computing_cost, second_run
from frazil.models.evaluation.reproducibility.map_agreement import half_set_agreement
from frazil.models.evaluation.reproducibility.ring_agreement import first_below_0143_angstrom, half_agreement
from frazil.models.evaluation.verdict import Json, Verdict, reliability
from frazil.models.records import MovieResult

NAME = "reproducibility"

EXPONENTS: Mapping[str, float] = {"half_sets": 1.0, "rings": 0.1, "reruns": 0.1, "cost": 0.05}
"""Of the parts. A mean would jump whenever a part becomes known: rings agree by 0.9 where a map does by 0.3."""
_LEAST_PART = 0.05
"""A part of 0 must not end all."""


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


@dataclass(slots=True)
class _Comparisons:
    """What was compared in the session so far, and the rows of this round."""

    rings: _Mean
    reruns: _Mean
    cost: _Mean
    cost_lines: dict[str, computing_cost.CostLine]
    """By device."""
    movies_without_rings: int
    ring_rows: list[Json] = field(default_factory=list)
    rerun_rows: list[Json] = field(default_factory=list)
    cost_rows: list[Json] = field(default_factory=list)

    @classmethod
    def of(cls, earlier: Mapping[str, Any]) -> _Comparisons:
        """As the evidence of the round before has them."""
        sums = earlier.get("sums", {})
        rings, reruns, cost = (_Mean.of(sums.get(name, {})) for name in ("rings", "reruns", "cost"))
        lines = computing_cost.lines_of(earlier.get("cost_lines", {}))
        return cls(rings, reruns, cost, lines, int(earlier.get("movies_without_comparison", 0)))

    def take(self, movie: MovieFacts) -> None:
        """One movie more."""
        agreement = half_agreement(movie.result)
        if agreement is None:
            self.movies_without_rings += 1
        else:
            self.rings.take(min(1.0, max(0.0, agreement[0])))
            self.ring_rows.append(_ring_row(movie.result, agreement))
        if movie.rerun is not None:
            self.reruns.take(second_run.rerun_agreement(movie.result, movie.rerun))
            self.rerun_rows.append(second_run.as_json(movie.result, movie.rerun))
        self._take_cost(movie.result)

    def _take_cost(self, result: MovieResult) -> None:
        spent = computing_cost.cost_of(result)
        if spent is None:
            return
        line = self.cost_lines.setdefault(result.device.device_name, computing_cost.CostLine())
        predicted = line.predicted_s(spent[0])
        if predicted is not None:
            self.cost.take(computing_cost.agreement(predicted, spent[1]))
            self.cost_rows.append(
                {"movie_id": result.movie_id, "predicted_s": predicted, "actual_s": spent[1],
                 "relative_error": spent[1] / predicted - 1.0}
            )  # fmt: skip
        line.take(*spent)

    def parts(self) -> dict[str, tuple[float, float | None] | None]:
        """Mean and standard error of each part; None: nothing was compared."""
        means = {"rings": self.rings, "reruns": self.reruns, "cost": self.cost}
        return {name: None if part.mean is None else (part.mean, part.error) for name, part in means.items()}


def evaluate(facts: RoundFacts) -> Verdict:
    """Product of powers of the parts that are known, over the session so far.

    The uncertainty carries the parts' relative standard errors; that of the rings, the reruns and the cost is of the
    mean over movies, that of the half-sets comes from the number of Fourier voxels. The reliability is the
    agreement itself without the cost.
    """
    compared = _Comparisons.of(facts.earlier.get(NAME, {}))
    for movie in facts.movies:
        compared.take(movie)
    halves = None if facts.map is None else half_set_agreement(facts.map)
    parts = {"half_sets": halves, **compared.parts()}
    known = {name: part for name, part in parts.items() if part is not None}
    largest = max((EXPONENTS[name] for name in known), default=1.0)
    used = {name: EXPONENTS[name] / largest for name in known}
    held = {name: min(1.0, max(_LEAST_PART, part[0])) for name, part in known.items()}
    mean = math.prod(held[name] ** used[name] for name in known) if known else None
    # How long a movie took says nothing of what it shows.
    believed = math.prod(held[name] ** used[name] for name in known if name != "cost")
    relative = [used[name] * part[1] / held[name] for name, part in known.items() if part[1] is not None]
    return Verdict(
        evaluator=NAME,
        verdict=mean,
        unit="share that comes again",
        uncertainty=mean * math.hypot(*relative) if mean is not None and relative else None,
        reliability=1.0 if mean is None else reliability(believed),
        evidence={
            "parts": {name: part[0] for name, part in known.items()},
            "part_errors": {name: part[1] for name, part in known.items()},
            "part_exponents": used,
            "movies_compared": compared.rings.count,
            "movies_without_comparison": compared.movies_without_rings,
            "movies_run_twice": compared.reruns.count,
            "sums": {
                "rings": compared.rings.as_json(),
                "reruns": compared.reruns.as_json(),
                "cost": compared.cost.as_json(),
            },
            "cost_lines": {device: line.as_json() for device, line in compared.cost_lines.items()},
            "this_round": compared.ring_rows,
            "reruns": compared.rerun_rows,
            "costs": compared.cost_rows,
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
        "half_frc_0143_angstrom": first_below_0143_angstrom(
            result.spectra.frequency_per_angstrom, result.spectra.half_frc
        ),
    }
