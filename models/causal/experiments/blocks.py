"""What came of a hole, and the blocks of two holes that are compared, in the order in which they were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.experiments.design import COVARIATES, Design
from frazil.models.causal.experiments.matching import TakenMovie
from frazil.models.causal.experiments.outcomes import RingReference, value_of


@dataclass(frozen=True, slots=True)
class Unit:
    """One hole of the plan, taken. Several movies of one hole count once: they are not independent."""

    value: float
    """Median outcome of its movies; -inf: failed, nan: not known."""
    order: int
    """When it was taken, in microseconds or as a number: only the order counts."""
    pending: bool = False
    """A movie of it is still being processed."""
    movies: int = 1
    failed: int = 0
    seconds: float | None = None
    """Of microscope time per movie."""
    measured: float | None = None
    """The quantity as measured (the greatest of its movies, where the setting is a reach)."""
    fit_resolution_angstrom: float | None = None

    def complied(self, design: Design, arm: str) -> bool | None:
        """Whether it was taken as assigned; None: nothing measured says."""
        if self.measured is None:
            return None
        other = "B" if arm == "A" else "A"
        return design.quantity.complies(self.measured, design.value_of(arm), design.value_of(other))


@dataclass(frozen=True, slots=True)
class Block:
    """Two holes, one of each arm."""

    number: int
    a: Unit
    b: Unit

    @property
    def order(self) -> int:
        return max(self.a.order, self.b.order)


def unit_of(movies: Sequence[TakenMovie], design: Design, reference: RingReference | None) -> Unit:
    """What came of one hole, from all of its movies."""
    done = [movie for movie in movies if movie.finished]
    values = [
        value_of(design.outcome, movie.evidence, reference=reference, particle_count=movie.particle_count)
        for movie in done
        if not movie.lost
    ]
    known = sorted(value for value in values if value is not None)
    # The lower of the two in the middle: half of them failed counts as failed.
    value = known[(len(known) - 1) // 2] if known else np.nan
    measured = [movie.measured for movie in movies if movie.measured is not None]
    seconds = [movie.seconds for movie in movies if movie.seconds is not None]
    fits = [
        movie.evidence.fit_resolution_angstrom
        for movie in done
        if movie.evidence is not None and movie.evidence.fit_resolution_angstrom is not None
    ]
    last = movies[-1]
    return Unit(
        value=float(value),
        order=last.sequence if last.acquired_utc_us is None else last.acquired_utc_us,
        pending=len(done) < len(movies),
        movies=len(movies),
        failed=sum(value == -np.inf for value in known),
        seconds=float(np.mean(seconds)) if len(seconds) == len(movies) else None,
        measured=None if not measured else max(measured) if design.quantity.reach else measured[0],
        fit_resolution_angstrom=float(np.median(fits)) if fits else None,
    )


def blocks_of(design: Design, units: Mapping[int, Unit]) -> list[Block]:
    """Whole blocks in the order in which they were taken, up to the first of which a movie is still being processed: so
    that a verdict does not depend on which movie was processed faster. Blocks of which nothing is known (particles that
    are not picked) are left out."""
    halves: dict[int, dict[str, Unit]] = {}
    for one in design.assignments:
        if one.place in units:
            halves.setdefault(one.block, {})[one.arm] = units[one.place]
    whole = [Block(number, pair["A"], pair["B"]) for number, pair in halves.items() if len(pair) == 2]
    whole.sort(key=lambda block: (block.order, block.number))
    first = next((place for place, block in enumerate(whole) if block.a.pending or block.b.pending), len(whole))
    return [block for block in whole[:first] if not np.isnan(block.a.value) and not np.isnan(block.b.value)]


def covariate_differences(design: Design, blocks: Sequence[Block]) -> NDArray[np.float64] | None:
    """(n, covariates) A's less B's of what the list of holes said before the first movie; None: it said nothing.

    Defocus explains nothing where it is what is compared.
    """
    told: dict[tuple[int, str], NDArray[np.float64]] = {}
    for one in design.assignments:
        values = [np.nan if value is None else value for value in one.target.covariates] or [np.nan] * len(COVARIATES)
        if design.quantity.name in COVARIATES:
            values[COVARIATES.index(design.quantity.name)] = np.nan
        told[one.block, one.arm] = np.array(values)
    rows = np.array([told[block.number, "A"] - told[block.number, "B"] for block in blocks])
    return rows if rows.size and np.isfinite(rows).any() else None
