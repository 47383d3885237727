"""What one exposure gave, as numbers that a belief can be built on.

Resolution enters as ln(resolution / usable), held between -`LIMIT_LN` and `LIMIT_LN`: a fit that ran off to 100,000 A
says no more than one that stopped at 12 A, so that no single exposure can pull a whole square.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.models.targets.records import Outcome

LIMIT_LN = math.log(2.0)
SURPRISE = 0.05
"""Share of exposures that fail or succeed whatever was to be expected (a jump of the stage, a crystal of ice, a fit
gone astray): half of them are usable."""
_SAID_LN = 0.3
"""Where an exposure stands at least that a person or a cut calls usable or not against its resolution."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """Outcomes of the holes that have one: index of the hole and its value, in the order of the holes."""

    hole: npt.NDArray[np.intp]
    value: Array


def ln_ratio(outcome: Outcome, usable_angstrom: float) -> float | None:
    """ln(resolution / usable), below zero where usable; None: not known.

    >>> round(ln_ratio(Outcome("a", resolution_angstrom=3.0), 6.0), 3), ln_ratio(Outcome("a"), 6.0)
    (-0.693, None)
    >>> round(ln_ratio(Outcome("a", usable=False), 6.0), 3)
    0.693
    """
    found = outcome.resolution_angstrom
    if found is None or not found > 0.0:
        return None if outcome.usable is None else (-LIMIT_LN if outcome.usable else LIMIT_LN)
    value = min(max(math.log(found / usable_angstrom), -LIMIT_LN), LIMIT_LN)
    if outcome.usable is None:
        return value
    return min(value, -_SAID_LN) if outcome.usable else max(value, _SAID_LN)


def effective_signal(outcome: Outcome) -> float | None:
    """Particles, each counted by the share of its SSNR at the target resolution that is left."""
    if outcome.loss_ln is None or (outcome.particles is not None and outcome.particles < 0.0):
        return None
    return (1.0 if outcome.particles is None else outcome.particles) * math.exp(-outcome.loss_ln)


def seen_resolution(outcomes: Iterable[Outcome], hole_of: Mapping[str, int], usable_angstrom: float) -> Seen:
    """ln(resolution / usable) of each hole; the mean where a hole had several exposures."""
    found = ((one.target_id, ln_ratio(one, usable_angstrom)) for one in outcomes)
    return _by_hole(found, hole_of)


def seen_signal(outcomes: Iterable[Outcome], hole_of: Mapping[str, int], usable_angstrom: float) -> Seen:
    """ln effective signal of the exposures that are usable: what the others bring is told by how many are."""

    def found() -> Iterable[tuple[str, float | None]]:
        for one in outcomes:
            ratio, signal = ln_ratio(one, usable_angstrom), effective_signal(one)
            if signal is not None and signal > 0.0 and (ratio is None or ratio <= 0.0):
                yield one.target_id, math.log(signal)

    return _by_hole(found(), hole_of)


def _by_hole(found: Iterable[tuple[str, float | None]], hole_of: Mapping[str, int]) -> Seen:
    """Sorted and summed exactly: the order in which outcomes come makes no difference."""
    values: dict[int, list[float]] = defaultdict(list)
    for target_id, value in found:
        if value is not None and target_id in hole_of:
            values[hole_of[target_id]].append(value)
    holes = sorted(values)
    means = [math.fsum(values[hole]) / len(values[hole]) for hole in holes]
    return Seen(np.array(holes, dtype=np.intp), np.array(means, dtype=np.float64))
