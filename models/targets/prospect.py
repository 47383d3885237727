"""What following the list brings in the time left, and how sure that is: to hold one grid against another.

What is not known of a grid (its mean, its slopes, the level of each square) is drawn from the belief; the list is
valued for each draw as it stands. A plan that changes with what is seen would bring more, so that of a grid of which
little is known too little is said rather than too much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from frazil.models.targets.belief import Belief
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import SURPRISE, Array
from frazil.models.targets.probing import Situation
from frazil.models.targets.records import Prospect, RankedTarget
from frazil.models.targets.spread import SQUARES_DIFFER

DRAWS = 200
_SEED = 20_260_101
_SIGNAL_SD = 0.3
"""Of ln signal of a grid's exposures about what is expected of them."""


def prospect_of(
    now: Situation,
    belief: Belief,
    ranked: Sequence[RankedTarget],
    hole: Sequence[int],
    signal: Array | None,
    *,
    cut: bool,
) -> Prospect:
    """Of a list and the indices of its holes. `signal` (holes,) of a usable exposure, where one is known; `cut`: the
    list goes on, at the same pace."""
    minutes = np.cumsum([one.minutes for one in ranked])
    count = int(np.searchsorted(minutes, now.minutes, side="right"))
    at = np.array(hole[:count], dtype=np.intp)
    if not count:
        return Prospect(now.minutes, np.zeros(DRAWS), None if signal is None else np.zeros(DRAWS))
    chance = _chances(now, belief, at)
    more = max(1.0, now.minutes / float(minutes[count - 1])) if cut and count == len(ranked) else 1.0
    rng = np.random.default_rng(_SEED + 1)
    scatter = rng.standard_normal(DRAWS) * np.sqrt(chance.mean(axis=0) @ (1.0 - chance.mean(axis=0)))
    usable = np.asarray(more * np.maximum(chance.sum(axis=1) + scatter, 0.0))
    if signal is None:
        return Prospect(now.minutes, usable, None)
    level = np.exp(_SIGNAL_SD * rng.standard_normal(DRAWS))
    mean = float(signal[at].mean())
    return Prospect(
        now.minutes, usable, np.asarray(more * level * np.maximum(chance @ signal[at] + mean * scatter, 0.0))
    )


def _chances(now: Situation, belief: Belief, at: Index) -> Array:
    """(draws, holes) probability to be usable, as far as one knows more than now."""
    shift = _shifts(now, belief, at)
    variance = np.maximum(now.forecast.variance[at] - shift.var(axis=0), 0.5 * now.forecast.scatter_variance)
    foreseen = ndtr(-(now.forecast.mean[at] + shift - shift.mean(axis=0)) / np.sqrt(variance))
    return np.asarray(0.5 * SURPRISE + (1.0 - SURPRISE) * foreseen)


def _shifts(now: Situation, belief: Belief, at: Index) -> Array:
    """(draws, holes) of ln(resolution / usable): levels of square and patch, and slopes, by fits in turn."""
    rng = np.random.default_rng(_SEED)
    squares, inside = np.unique(belief.holes.square[at], return_inverse=True)
    patches, of_patch = np.unique(belief.holes.patch[at], return_inverse=True)
    own = now.forecast.patch_variance - now.forecast.square_variance[belief.holes.square_of_patch]
    patch_sd = np.sqrt(np.maximum(own[patches], 0.0))
    ends = np.rint(DRAWS * np.cumsum([fit.weight for fit in belief.fits])).astype(int).tolist()
    parts = []
    for fit, begin, end in zip(belief.fits, (0, *ends[:-1]), (*ends[:-1], DRAWS), strict=True):
        draws = end - begin
        known = rng.multivariate_normal(fit.mean, fit.covariance, size=draws, method="eigh")
        level = fit.square.start[squares] + known @ fit.square.row[squares].T
        sd = np.sqrt(SQUARES_DIFFER * np.maximum(fit.square.own[squares], 0.0))
        level += sd * rng.standard_normal((draws, len(squares)))
        patch = patch_sd * rng.standard_normal((draws, len(patches)))
        parts.append(level[:, inside] + patch[:, of_patch] + known[:, 1:] @ belief.columns.value[at].T)
    found = np.concatenate(parts)
    return np.asarray(found[rng.permutation(len(found))])
