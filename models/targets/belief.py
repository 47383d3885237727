"""What the holes of a grid that nobody has shot will give: grid, area, square and patch, a field in the patch, slopes
of features, scatter.

For one set of widths of these levels everything is normal and exact (`levels`, `fields`). The widths themselves are not
known: a grid of sets is weighed by its prior times the likelihood of the session's outcomes, and all that is told is
the mixture of twelve sets that stand for equal parts of the weight. No set is ever picked (empirical Bayes with the
uncertainty kept; Gelman et al. 2013, ch. 5).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from frazil.models.targets.features import Columns, Hypothesis
from frazil.models.targets.fields import Scatter, Solved, krige, solved, stacked
from frazil.models.targets.layout import Holes
from frazil.models.targets.levels import Index, Told, collapse, common, gather, level_of, restore, top
from frazil.models.targets.outcomes import SURPRISE, Array, Seen

SCATTERS = tuple(Scatter(sd, share * sd) for sd in (0.2, 0.3, 0.45) for share in (0.1, 0.6))
PATCH_SDS = (0.06, 0.15, 0.3)
SQUARE_SDS = (0.1, 0.25, 0.5)
AREA_SDS = (0.05, 0.25)
TOLD = 12
"""Sets from which everything is told."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Standard deviations of the levels; ln of their prior weight is 0: sets are spread as they are believed."""

    patch: float
    square: float
    area: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The posterior under one set of widths and one hypothesis of the slopes."""

    weight: float
    widths: Widths
    hypothesis: str
    mean: Array
    """(q + 1,) of (grid's mean, slopes)."""
    covariance: Array
    square: Told
    patch: Told
    solved: Solved


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of every hole, under one fit: ln(resolution / usable) or ln signal."""

    weight: float
    mean: Array
    level_variance: Array
    """Of what more outcomes of its neighbourhood could tell: all but the scatter of one exposure."""
    scatter_sd: float
    field_sd: float
    square_variance: Array
    """(squares,) of the square's level, with what is above it."""
    patch_variance: Array
    """(patches,) of the patch's level, with what is above it."""

    def usable(self) -> Array:
        """Probability of each hole to give less than 0, surprises included."""
        foreseen = ndtr(-self.mean / np.sqrt(self.level_variance + self.scatter_sd**2))
        return np.asarray(0.5 * SURPRISE + (1.0 - SURPRISE) * foreseen)


@dataclass(frozen=True, slots=True)
class Belief:
    """Fits whose weights sum to 1."""

    holes: Holes
    columns: Columns
    fits: tuple[Fit, ...]

    def outlooks(self) -> tuple[Outlook, ...]:
        """One a fit."""
        return tuple(_outlook(self.holes, self.columns, fit) for fit in self.fits)

    def slopes(self) -> tuple[tuple[str, float, float, float], ...]:
        """(feature, slope for one standard deviation of it, 80 % interval)."""
        weight = np.array([fit.weight for fit in self.fits])
        means = np.array([fit.mean[1:] for fit in self.fits]) * self.columns.spread
        variances = np.array([np.diag(fit.covariance)[1:] for fit in self.fits]) * self.columns.spread**2
        mean = weight @ means
        sd = np.sqrt(weight @ (variances + (means - mean) ** 2))
        ends = zip(self.columns.names, mean, mean - 1.2816 * sd, mean + 1.2816 * sd, strict=True)
        return tuple((name, float(at), float(low), float(high)) for name, at, low, high in ends)


@dataclass(frozen=True, slots=True)
class _Sets:
    """All sets of widths over one scatter within patches, under one hypothesis."""

    ln_weight: Array
    """(sets,) ln(prior * likelihood)"""
    hypothesis: str
    mean: Array
    """(sets, q + 1)"""
    covariance: Array
    solved: Solved


_WIDTHS = tuple(Widths(*each) for each in itertools.product(PATCH_SDS, SQUARE_SDS, AREA_SDS))


def learn(holes: Holes, columns: Columns, seen: Seen, hypotheses: Sequence[Hypothesis]) -> Belief:
    """From outcomes, in whatever order they came."""
    stack = stacked(seen.hole, seen.value, holes.patch, holes.place, columns.value, len(holes.square_of_patch))
    found = [one for scatter in SCATTERS for one in _sets(holes, solved(stack, scatter), len(seen.hole), hypotheses)]
    ln_weights = np.concatenate([one.ln_weight for one in found])
    weights = np.exp(ln_weights - ln_weights.max())
    chosen, times = np.unique(_representatives(found, weights / weights.sum()), return_counts=True)
    fits = tuple(
        _told(holes, float(count) / TOLD, found[at // len(_WIDTHS)], at % len(_WIDTHS))
        for at, count in zip(chosen.tolist(), times.tolist(), strict=True)
    )
    return Belief(holes, columns, fits)


def _representatives(found: Sequence[_Sets], weights: Array) -> Index:
    """(TOLD,) sets at evenly spaced parts of the weight, like ones side by side: the largest would all be alike."""
    named = sorted({one.hypothesis for one in found})
    hypothesis = np.repeat([named.index(one.hypothesis) for one in found], len(_WIDTHS))
    scatter = np.repeat([one.solved.scatter.sd for one in found], len(_WIDTHS))
    widths = np.tile([(one.square, one.area, one.patch) for one in _WIDTHS], (len(found), 1))
    order = np.lexsort((scatter, widths[:, 2], widths[:, 1], widths[:, 0], hypothesis))
    parts = (np.arange(TOLD) + 0.5) / TOLD
    place = np.minimum(np.searchsorted(np.cumsum(weights[order]), parts), len(order) - 1)
    return np.asarray(order[place])


def _sets(holes: Holes, base: Solved, outcomes: int, hypotheses: Sequence[Hypothesis]) -> Iterator[_Sets]:
    """One for each hypothesis; widths in the order of `_WIDTHS`."""
    patches = np.flatnonzero(base.stack.slot >= 0)
    above, ln_patch = collapse(base.said[patches], np.array(PATCH_SDS))
    above = gather(above, holes.square_of_patch[patches], len(holes.area_of_square))
    above, ln_square = collapse(above, np.array(SQUARE_SDS))
    above = gather(above, holes.area_of_square, holes.areas)
    above, ln_area = collapse(above, np.array(AREA_SDS))
    ln_determinant = base.ln_determinant + ln_patch[:, None, None] + ln_square[:, :, None] + ln_area
    for one in hypotheses:
        at = common(above.sum(axis=0), outcomes, ln_determinant, one.mean, one.sd)
        mean, covariance, ln_likelihood = (part.reshape(len(_WIDTHS), *part.shape[3:]) for part in at)
        yield _Sets(ln_likelihood + float(np.log(one.probability)), one.name, mean, covariance, base)


def _told(holes: Holes, weight: float, one: _Sets, number: int) -> Fit:
    """Every level from the grid's mean down, for one of the sets."""
    widths, mean = _WIDTHS[number], one.mean[number]
    patch = level_of(one.solved.said, widths.patch)
    above, _ = collapse(patch.said, np.array([widths.patch]))
    square = level_of(gather(above[:, 0], holes.square_of_patch, len(holes.area_of_square)), widths.square)
    above, _ = collapse(square.said, np.array([widths.square]))
    area = level_of(gather(above[:, 0], holes.area_of_square, holes.areas), widths.area)
    areas = restore(top(len(mean)), area, np.zeros(holes.areas, dtype=np.intp), widths.area)
    squares = restore(areas, square, holes.area_of_square, widths.square)
    patches = restore(squares, patch, holes.square_of_patch, widths.patch)
    return Fit(weight, widths, one.hypothesis, mean, one.covariance[number], squares, patches, one.solved)


def _outlook(holes: Holes, columns: Columns, fit: Fit) -> Outlook:
    patch = holes.patch
    start, row, own = fit.patch.start[patch], fit.patch.row[patch].copy(), fit.patch.own[patch].copy()
    row[:, 1:] += columns.value
    field = np.full(len(patch), fit.solved.scatter.field_sd**2)
    near = np.flatnonzero(fit.solved.stack.slot[patch] >= 0)
    if near.size:
        on, left = krige(fit.solved, patch[near], holes.place[near])
        start[near] += on[:, -1] - on[:, 0] * start[near]
        row[near, 1:] -= on[:, 1:-1]
        row[near] -= on[:, :1] * fit.patch.row[patch[near]]
        own[near] *= (1.0 - on[:, 0]) ** 2
        field[near] = left
    mean = start + row @ fit.mean
    above = ((row @ fit.covariance) * row).sum(axis=1)
    return Outlook(
        fit.weight, mean, above + own + field, fit.solved.scatter.sd, fit.solved.scatter.field_sd,
        _variance(fit.square, fit.covariance), _variance(fit.patch, fit.covariance),
    )  # fmt: skip


def _variance(told: Told, covariance: Array) -> Array:
    """Of the units' levels; for patches and squares without outcomes that of a new one."""
    return np.asarray(((told.row @ covariance) * told.row).sum(axis=1) + told.own)
