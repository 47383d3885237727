"""What is known of a hole before it is shot, as columns of a linear model of ln resolution, and what is expected of
their slopes.

A prediction of the resolution itself is expected to be right but for a factor: slope near 1 on logarithmic scales. That
is one of three hypotheses, weighed by how well each foretells the session's own outcomes: it is right; it says nothing;
it says something else. Any other feature enters by its deviation from the grid's median and by the square of that,
because ice can be too thin as well as too thick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from frazil.models.targets.layout import Holes
from frazil.models.targets.outcomes import LIMIT_LN, Array

_PLAIN_SD = 0.15
"""Of the slope of a standardised feature, in ln resolution."""
_MOST_DEVIATIONS = 2.5
_MEAN_SD = 0.5
"""Of the grid's mean ln(resolution / usable) about 0, before anything is seen."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the things that slopes could be."""

    name: str
    probability: float
    mean: Array
    """(q + 1,) of (grid's mean, slopes)."""
    sd: Array


@dataclass(frozen=True, slots=True)
class Columns:
    """Features of all holes."""

    names: tuple[str, ...]
    trusted: tuple[bool, ...]
    value: Array
    """(holes, q), 0 where not known."""
    spread: Array
    """(q,) standard deviation over the grid: slopes are told for so much."""

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Right, nothing, something else; one alone where no feature is trusted."""
        trusted = np.array(self.trusted, dtype=bool)
        plain = Hypothesis("plain", 1.0, np.zeros(len(trusted) + 1), np.r_[_MEAN_SD, np.full(len(trusted), _PLAIN_SD)])
        if not trusted.any():
            return (plain,)
        found = []
        for name, probability, mean, sd in (
            ("right", 0.6, 0.8, 0.2),
            ("nothing", 0.2, 0.0, 0.03),
            ("other", 0.2, 0.0, 0.6),
        ):
            means, sds = plain.mean.copy(), plain.sd.copy()
            means[1:][trusted], sds[1:][trusted] = mean, sd
            found.append(Hypothesis(name, probability, means, sds))
        return tuple(found)

    def untrusted(self) -> tuple[Hypothesis, ...]:
        """For another outcome than the one that they foretell."""
        return replace(self, trusted=(False,) * len(self.trusted)).hypotheses()


def columns_of(holes: Holes, trusted: Sequence[str], usable_angstrom: float) -> Columns:
    """Every feature that differs between holes."""
    names, kinds, values = [], [], []
    for name, value in holes.features:
        known = np.isfinite(value)
        if not known.any() or np.ptp(value[known]) == 0.0:
            continue
        if name in trusted:
            ratio = np.log(np.maximum(value, 1e-3) / usable_angstrom)
            names.append(name)
            kinds.append(True)
            values.append(np.where(known, np.clip(ratio, -LIMIT_LN, LIMIT_LN), np.median(ratio[known])))
            continue
        middle = float(np.median(value[known]))
        scale = 1.4826 * float(np.median(np.abs(value[known] - middle))) or float(value[known].std())
        deviation = np.where(known, np.clip((value - middle) / scale, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), 0.0)
        names += [name, f"{name} squared"]
        kinds += [False, False]
        values += [deviation, np.where(known, deviation**2 - np.mean(deviation[known] ** 2), 0.0)]
    table = np.stack(values, axis=1) if values else np.zeros((len(holes.ids), 0))
    return Columns(tuple(names), tuple(kinds), table, table.std(axis=0))
