"""What counted electrons say: how thick the ice is, and how many electrons coincidence loses.

For a movie with energy filter, stated dose rate r (e/px/s) and ice of thickness t,

    y = ln(counted / stated) = c0 - t / L - loss(g r) + noise,

with L the inelastic mean free path, c0 the session's own zero (errors of the stated dose, electrons that the camera
misses) and g the camera's dead area times its readout time. The session's thicknesses are lognormal about an unknown
median by an unknown spread: of even ice counts alone cannot tell how much there is. The belief about (c0, ln g, law of
the ice) is a weight on a fixed grid: evidence multiplies, so that movies may come in any order and the 10,000th costs
what the first did.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr
from scipy.stats import norm

from frazil.models.causal.bands import Array
from frazil.models.causal.mechanisms import coincidence_loss, dose_rate_e_per_px_per_s
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import MovieEvidence

ZERO_MEAN, ZERO_SD = -0.06, 0.08
"""Of c0: cameras count 85-100 % of the electrons, and stated doses are calibrated to 5-10 %."""
COUNT_LOSS_MEDIAN_S_PX_PER_E, COUNT_LOSS_LN_SD = 0.008, 0.9
"""5 % lost at 13 e/px/s (K3, Falcon 4i) with factors of 2.5 to either side for other cameras and modes."""
_LAWS = (
    (0.12, (20.0, 26.0, 34.0, 45.0, 60.0, 80.0, 105.0, 140.0)),
    (0.3, (20.0, 29.0, 42.0, 61.0, 90.0, 130.0)),
    (0.6, (20.0, 32.0, 50.0, 80.0, 140.0)),
)
"""ln sd of one movie's ice about the session's median, and the medians (nm) that such ice may have: from a grid of even
ice to one of squares that differ."""
COUNT_SD = 0.012
"""Of y besides all that: illumination from exposure to exposure."""
_ZERO_DISCREPANCY = 0.035
"""Of the session's zero, however many movies: that thicknesses are lognormal about a median is all that tells the zero
from the ice, and no session's are quite so (docs/science.md)."""
_MEDIAN_LN_PRIOR = (np.log(40.0), 0.6)

ZERO = np.linspace(-0.26, 0.14, 41)
LN_COUNT_LOSS = np.linspace(np.log(0.0004), np.log(0.08), 31)
MEDIAN_NM = np.array([median for _, medians in _LAWS for median in medians])
THICKNESS_LN_SD = np.array([spread for spread, medians in _LAWS for _ in medians])
"""(laws of the ice,) as are the medians."""
SHAPE = (LN_COUNT_LOSS.size, ZERO.size, MEDIAN_NM.size)


@dataclass(frozen=True, slots=True)
class CountDraws:
    """(S,) joint draws for one movie."""

    thickness_nm: Array
    count_loss_s_px_per_e: Array


@dataclass(frozen=True, slots=True)
class IceByCounts:
    """Of one movie."""

    thickness_nm: float
    """May lie below 0 where there is none: nothing is known of the ice but what was counted."""
    own_sd_nm: float
    """Of this movie's counts by themselves."""
    zero_sd_nm: float
    """Of the session's zero and lost counts: all of its movies are off together."""


@lru_cache(maxsize=1)
def prior_ln_weight() -> Array:
    """(g, c0, law of the ice) before any movie; even and uneven ice are equally likely."""
    g = norm.logpdf(LN_COUNT_LOSS, np.log(COUNT_LOSS_MEDIAN_S_PX_PER_E), COUNT_LOSS_LN_SD)
    zero = norm.logpdf(ZERO, ZERO_MEAN, ZERO_SD)
    law = norm.logpdf(np.log(MEDIAN_NM), *_MEDIAN_LN_PRIOR)
    for spread, _ in _LAWS:
        mine = spread == THICKNESS_LN_SD
        law[mine] -= logsumexp(law[mine])
    ln_weight = np.asarray(g[:, None, None] + zero[None, :, None] + law[None, None, :])
    ln_weight.flags.writeable = False
    return ln_weight


def log_count_ratio(evidence: MovieEvidence) -> float | None:
    """y; None where no dose was stated apart from the counts."""
    stated = evidence.exposure.stated_dose_per_frame_e_per_a2
    if not stated or evidence.dose_per_frame_e_per_px <= 0:
        return None
    return float(np.log(evidence.dose_per_frame_e_per_px / (stated * evidence.pixel_size_angstrom**2)))


def tells_ice(evidence: MovieEvidence) -> bool:
    """Whether a movie's counts say how thick its ice is: a dose was stated apart from them, and a slit keeps what the
    ice takes (or nobody says that there is none)."""
    return log_count_ratio(evidence) is not None and evidence.exposure.energy_filter is not False


def arriving_e_per_px_per_s(evidence: MovieEvidence, log_ratio: float | None) -> float:
    """Electrons that reach the camera: what the ice took cannot coincide. 0 where the rate is not known."""
    rate = dose_rate_e_per_px_per_s(evidence) or 0.0
    return rate * min(float(np.exp(log_ratio or 0.0)), 1.0)


@lru_cache(maxsize=128)
def ln_likelihood(evidence: MovieEvidence) -> Array | None:
    """(g, c0, law of the ice) of one movie's counts; None where they say nothing. Not to be written to."""
    y = log_count_ratio(evidence)
    if y is None:
        return None
    missing = _expected_without_ice(evidence)[:, :, None] - y  # (g, c0, 1): what ice has to explain
    # The coincidences that are taken off follow from the counts themselves: a density of y has this factor.
    stretch = np.log1p(_coincidence_slope(np.exp(LN_COUNT_LOSS) * arriving_e_per_px_per_s(evidence, y)))[:, None, None]
    if evidence.exposure.energy_filter is False:
        return np.asarray(np.broadcast_to(norm.logpdf(missing, 0.0, 2 * COUNT_SD) + stretch, SHAPE))
    axis, table = _ice_density(evidence.voltage_kv)
    position = np.clip((missing[:, :, 0] - axis[0]) / (axis[1] - axis[0]), 0, axis.size - 1.001)
    low = position.astype(np.int64)
    share = (position - low)[..., None]
    likelihood = np.asarray(table[low] * (1 - share) + table[low + 1] * share + stretch)
    likelihood.flags.writeable = False
    return likelihood


def draw(evidence: MovieEvidence, ln_weight: Array, z: Array, own: Array) -> CountDraws:
    """Thickness and lost counts of this movie, given the session's belief and its own counts; normals: z (S, 3) of what
    the session's movies share, own (S,) of this movie's counts."""
    counted = ln_likelihood(evidence)
    ln_w = ln_weight if counted is None else ln_weight + counted
    weight = np.exp(ln_w - ln_w.max()).ravel()
    # The slowest index is g: a monotonic map of one normal onto cells keeps draws smooth.
    cell = np.searchsorted(np.cumsum(weight) / weight.sum(), np.clip(ndtr(z[:, 0]), 0, 1 - 1e-12))
    g_index, zero_index, law = np.unravel_index(cell, SHAPE)
    # Within a cell of the grid any value is as good: the draw's own rank in its cell says which.
    g = np.exp(LN_COUNT_LOSS[g_index] + (ndtr(z[:, 1]) - 0.5) * (LN_COUNT_LOSS[1] - LN_COUNT_LOSS[0]))
    y = log_count_ratio(evidence)
    if y is None or not tells_ice(evidence):
        return CountDraws(MEDIAN_NM[law] * np.exp(THICKNESS_LN_SD[law] * own), g)
    zero = ZERO[zero_index] + _ZERO_DISCREPANCY * z[:, 2]
    lost = zero - coincidence_loss(g * arriving_e_per_px_per_s(evidence, y)) - y + COUNT_SD * own
    thickness = np.maximum(lost * inelastic_mean_free_path_nm(evidence.voltage_kv), 0.15 * MEDIAN_NM[law])
    return CountDraws(thickness, g)


def ice_by_counts(evidence: MovieEvidence, ln_weight: Array) -> IceByCounts | None:
    """t = L (c0 - loss(g r) - y) under the session's belief; None where counts do not tell: no dose was stated, or
    electrons that lost energy are counted too."""
    y = log_count_ratio(evidence)
    if y is None or not tells_ice(evidence):
        return None
    weight = np.exp(ln_weight - ln_weight.max()).sum(axis=2)
    weight = weight / weight.sum()
    lost = _expected_without_ice(evidence) - y
    mean = float((weight * lost).sum())
    zero_sd = float(np.hypot(np.sqrt((weight * (lost - mean) ** 2).sum()), _ZERO_DISCREPANCY))
    free_path_nm = inelastic_mean_free_path_nm(evidence.voltage_kv)
    return IceByCounts(mean * free_path_nm, COUNT_SD * free_path_nm, zero_sd * free_path_nm)


def zero_and_loss(ln_weight: Array) -> tuple[float, float, float, float]:
    """(mean c0, its sd, mean ln g, its sd)."""
    weight = np.exp(ln_weight - ln_weight.max())
    weight = weight / weight.sum()
    zero, g = weight.sum(axis=(0, 2)), weight.sum(axis=(1, 2))
    zero_mean, g_mean = float(zero @ ZERO), float(g @ LN_COUNT_LOSS)
    zero_sd = float(np.sqrt(max(zero @ (ZERO - zero_mean) ** 2, 0.0)))
    return zero_mean, zero_sd, g_mean, float(np.sqrt(max(g @ (LN_COUNT_LOSS - g_mean) ** 2, 0.0)))


def _coincidence_slope(load: Array) -> Array:
    """d coincidence_loss / d ln(load)."""
    x = np.maximum(load, 1e-9)  # 0: the dose rate is not known
    return np.asarray(1.0 - x / np.expm1(x))


def _expected_without_ice(evidence: MovieEvidence) -> Array:
    """(g, c0)."""
    rate = arriving_e_per_px_per_s(evidence, log_count_ratio(evidence))
    return np.asarray(ZERO[None, :] - coincidence_loss(np.exp(LN_COUNT_LOSS) * rate)[:, None])


@lru_cache(maxsize=8)
def _ice_density(voltage_kv: float) -> tuple[Array, NDArray[np.float64]]:
    """ln density of t / L + noise for every law of the ice: axis (W,), table (W, laws)."""
    free_path_nm = inelastic_mean_free_path_nm(voltage_kv)
    axis = np.linspace(-0.8, 2.4, 1601)
    step = axis[1] - axis[0]
    thickness = np.maximum(axis * free_path_nm, 1e-6)
    density = norm.pdf(np.log(thickness)[:, None], np.log(MEDIAN_NM), THICKNESS_LN_SD) / thickness[:, None]
    density = np.where(axis[:, None] > 0, density * free_path_nm, 0.0)
    kernel = norm.pdf(np.arange(-20, 21) * step, 0.0, COUNT_SD) * step
    smooth = np.stack([np.convolve(column, kernel, mode="same") for column in density.T], axis=1)
    return axis, np.log(np.maximum(smooth, 1e-6))
