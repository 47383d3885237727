"""A confidence sequence for the difference of two settings: valid however often one looks, and whatever the tails.

In a block of two the coin of the randomisation decides which movie got which setting. If A does theta more than B, then
x = y_A - theta - y_B is +r or -r with equal probability, whatever r is. So for every lambda

    M_n = prod_i exp(lambda x_i) / cosh(lambda x_i)

is a non-negative martingale that starts at 1, without any assumption on moments (the exact form, by Ramdas, Ruf,
Larsson & Koolen 2020, arXiv:2009.03167, of the supermartingale exp(lambda S - lambda^2 V / 2) of de la Pena 1999, Ann.
Probab. 27, 537). A mixture over lambda is one, too; by Ville's inequality it exceeds 1 / alpha at any time with
probability at most alpha. The thetas that neither the mixture of positive lambdas nor that of negative ones refutes
with alpha / 2 are the interval (Howard et al. 2021, Ann. Stat. 49, 1055).

What is put in place of x may be any odd function of it, chosen from earlier blocks alone: it is divided by the scatter
so far and cut at three of these, so that one monster counts as little as it should.

A movie that failed has no y, but is known to lie below all that did not. For a given theta both movies of a block are
raised to one floor of the movie as B would have shown it, below which nothing is told apart: the 5 % quantile of
earlier movies, or that less theta, whichever is higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.bands import Array

LAMBDAS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Per unit of scatter, with equal weights; those of each sign have half of the error. The best one is the effect over
the variance, so that these serve effects of a tenth to three times the scatter of a difference."""
_CUT = 3.0
_FLOOR_QUANTILE = 0.05
_FLOOR_AFTER = 8
"""Movies without which a quantile says nothing. Until then, and until a first movie has failed, there is no floor: a
failed movie is just worse than its partner."""
_SMOOTH = 3.0
"""Nats between two points that were tried, up to which a straight line between them is believed."""
_SCALE_WEIGHT = 4.0
"""Blocks' worth of the scatter that is expected beforehand."""
_RIDGE = 4.0
_SHAPE: Array = np.sinh(np.linspace(-6.0, 6.0, 241))
"""Values of theta that are tried, per tenth of the scatter expected beforehand: fine about 0, out to 20 scatters."""


@dataclass(frozen=True, slots=True)
class Track:
    """The interval after each block."""

    low: Array
    """(n,); -inf: not known yet."""
    high: Array
    estimate: Array
    """(n,) theta that the data speak least against."""


def track(a: Array, b: Array, *, alpha: float, scatter: float) -> Track:
    """Follow the interval of theta = A - B over the blocks.

    Parameters
    ----------
    a, b:
        (n,) of the blocks in their order; -inf: failed, nan (in either): nothing is known of the block.
    alpha:
        Error over all looks together.
    scatter:
        Of a difference, expected beforehand; a guess that is wrong by ten costs movies, not validity.
    """
    theta = 0.1 * scatter * _SHAPE
    scores = _scores(a, b, theta, scatter)
    too_small, too_large = _ln_wealth(scores), _ln_wealth(-scores)
    # Both cannot be large for one theta (ln M is concave in lambda), so the interval is never empty.
    limit = float(np.log(2 / alpha))
    low = [_end(row, theta, limit) for row in too_small]
    high = [-_end(row[::-1], -theta[::-1], limit) for row in too_large]
    return Track(np.array(low), np.array(high), _middle(np.logaddexp(too_small, too_large), theta))


def explained(a: Array, b: Array, differences: NDArray[np.float64] | None) -> Array:
    """(n,) of each block's a - b what was known of its holes before foretells: a ridge regression over earlier blocks
    alone, so that what is left is as symmetric as before.

    `differences` (n, covariates) are A's less B's; nan: not known, None: nothing is.
    """
    if differences is None:
        return np.zeros(len(a))
    with np.errstate(invalid="ignore"):
        d = a - b
    rows = np.nan_to_num(differences)
    told = np.zeros(len(d))
    covariance, moment = np.zeros((rows.shape[1],) * 2), np.zeros(rows.shape[1])
    seen: list[float] = []
    for place, row in enumerate(rows):
        if len(seen) >= _FLOOR_AFTER:
            ridge = _RIDGE * np.diag(np.diag(covariance) / len(seen) + 1e-12)
            told[place] = row @ np.linalg.solve(covariance + ridge, moment)
        if np.isfinite(d[place]):
            centred = d[place] - (np.median(seen) if seen else 0.0)
            covariance, moment = covariance + np.outer(row, row), moment + row * centred
            seen.append(float(d[place]))
    return told


def _scores(a: Array, b: Array, theta: Array, scatter: float) -> Array:
    """(n, theta) odd function of each block's difference under each theta."""
    scores = np.zeros((len(a), theta.size))
    seen: list[float] = []
    differences: list[float] = []
    failed = False
    for place in range(len(a)):
        if np.isnan(a[place]) or np.isnan(b[place]):
            continue
        floor = np.quantile(seen, _FLOOR_QUANTILE) if failed and len(seen) >= _FLOOR_AFTER else -np.inf
        common = np.maximum(floor, floor - theta)
        with np.errstate(invalid="ignore"):
            x = np.maximum(a[place] - theta, common) - np.maximum(b[place], common)
        scale = _scale(differences, scatter)
        # Both failed: -inf against -inf tells nothing.
        scores[place] = np.clip(np.nan_to_num(x / scale, nan=0.0, posinf=_CUT, neginf=-_CUT), -_CUT, _CUT)
        seen += [float(value) for value in (a[place], b[place]) if np.isfinite(value)]
        if np.isfinite(a[place]) and np.isfinite(b[place]):
            differences.append(float(a[place] - b[place]))
        else:
            failed = True
    return scores


def _scale(differences: list[float], scatter: float) -> float:
    """Scatter of a difference, from earlier blocks (median absolute deviation) and what was expected beforehand."""
    if not differences:
        return scatter
    values = np.array(differences)
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    weight = values.size / (values.size + _SCALE_WEIGHT)
    return float(np.exp(weight * np.log(max(spread, 0.02 * scatter)) + (1 - weight) * np.log(scatter)))


def _ln_wealth(scores: Array) -> Array:
    """(n, theta) ln of the mixture over positive lambdas after each block: large where theta is too small. It falls as
    theta grows, because each score does."""
    total: Array | None = None
    for rate in LAMBDAS:
        grown = np.cumsum(np.log(2.0) - np.logaddexp(0.0, -2.0 * rate * scores), axis=0)
        total = grown if total is None else np.logaddexp(total, grown)
    assert total is not None
    return np.asarray(total - np.log(len(LAMBDAS)))


def _end(ln_wealth: Array, theta: Array, limit: float) -> float:
    """The largest theta that is refuted from below, -inf: none. Between two points that were tried where the wealth is
    smooth between them, else the refuted one."""
    refuted = int(np.searchsorted(-ln_wealth, -limit, side="right"))
    if refuted == 0:
        return -np.inf
    if refuted == theta.size:
        return float(theta[-1])
    before, after = float(ln_wealth[refuted - 1]), float(ln_wealth[refuted])
    share = (before - limit) / (before - after) if before - after < _SMOOTH else 0.0
    return float(theta[refuted - 1] + share * (theta[refuted] - theta[refuted - 1]))


def _middle(ln_wealth: Array, theta: Array) -> Array:
    """Of the flat bottom about the least refuted theta, the middle."""
    found = []
    for row in ln_wealth:
        flat = theta[row <= row.min() + 1e-9]
        found.append(float(flat.mean()))
    return np.array(found)
