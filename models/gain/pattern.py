"""Fixed patterns in mean counts: what a movie shows of its camera, what movies share, what a reference explains.

A pixel's sensitivity imprints the same pattern on every frame; `frazil.models.gain.gate` decides from these figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from frazil.models.gain.decision import SlopeEvidence
from frazil.models.gain.reference import ORIENTATIONS, Reference, orient

_HIGH_PASS_PX = 9
"""Local mean over this many pixels: illumination, ice and specimen go, pixel-to-pixel sensitivity stays."""
_OUTLIER_SIGMA = 6.0
_CLIPPING_ROUNDS = 4
SIGNIFICANT_SIGMA = 6.0
"""With eight cases and hundreds of sessions a year, 6 sigma never happens by chance."""
VISIBLE_PATTERN = 0.002
"""A fixed pattern weaker than 0.2 % of the counts cannot be seen in a micrograph."""
_UNCORRECTED_PATTERN = 0.015
"""No camera's pixels are more alike than this before correction (2 % and more are usual): movies in which a pattern of
this strength would have been seen, and none was, are corrected."""

HALF_INDEPENDENT_FRACTION = 1 / 3.78
"""Noise after the second difference along both axes of `evidence`: 1 / (sum of squared autocorrelations) =
1 / (1 + 2 (4/6)^2 + 2 (1/6)^2)^2."""


def relative_residual(
    mean_counts: NDArray[np.float32], exclude: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """High-passed counts relative to their local mean; outliers and excluded pixels are zero and count in no mean.

    Parameters
    ----------
    mean_counts:
        (h, w) mean over frames, uncorrected.
    exclude:
        (h, w), True for pixels that must not count (dead, defect).
    """
    return _clipped_residual(mean_counts, exclude)[0]


def outlying_pixels(mean_counts: NDArray[np.float32], exclude: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """(h, w) True where counts lie so far from their local mean (6 sd) that it is no pixel's usual sensitivity."""
    return _clipped_residual(mean_counts, exclude)[1]


def _clipped_residual(
    mean_counts: NDArray[np.float32], exclude: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    known = np.zeros(mean_counts.shape, dtype=bool) if exclude is None else exclude
    outlier = np.zeros(mean_counts.shape, dtype=bool)
    residual = np.zeros_like(mean_counts, dtype=np.float32)
    # A hot pixel raises the mean of its surroundings: it is taken out of the mean, and its neighbours judged again.
    for _ in range(_CLIPPING_ROUNDS):
        left_out = known | outlier
        local = _local_mean(mean_counts, left_out)
        # Below a few per cent of the typical counts (beam stop, grid bar) ratios are noise.
        lit = (local > 0.05 * max(float(np.median(local)), 1e-12)) & ~known
        if not lit.any():
            return np.zeros_like(residual), outlier
        residual[:] = 0.0
        np.divide(mean_counts, local, out=residual, where=lit)
        residual[lit] -= 1.0
        deviation = np.abs(residual[lit])
        # Sparse counts have a median deviation of one quantum or none; the 95th percentile is an honest scale as long
        # as fewer than one in twenty pixels is bad. (For a normal distribution both are the standard deviation.)
        spread = max(1.4826 * float(np.median(deviation)), float(np.percentile(deviation, 95.0)) / 1.96)
        before, outlier = outlier, np.abs(residual) > _OUTLIER_SIGMA * spread
        if np.array_equal(before, outlier):
            break
    live = lit & ~outlier
    residual[~live] = 0.0
    # Clipping a skewed distribution shifts its mean, and a mean that all movies share would look like a pattern.
    residual[live] -= residual[live].mean()
    return residual, outlier


def _local_mean(counts: NDArray[np.float32], left_out: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not left_out.any():
        return np.asarray(ndimage.uniform_filter(counts, _HIGH_PASS_PX, mode="nearest"), dtype=np.float32)
    weight = ndimage.uniform_filter((~left_out).astype(np.float32), _HIGH_PASS_PX, mode="nearest")
    summed = ndimage.uniform_filter(np.where(left_out, np.float32(0.0), counts), _HIGH_PASS_PX, mode="nearest")
    # In the middle of a large dead region nothing is known; its pixels are left out anyway.
    return np.asarray(np.where(weight > 1e-3, summed / np.maximum(weight, 1e-3), 0.0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class SharedPattern:
    """What several movies share, relative to their counts."""

    rms: float
    sigma: float
    """Significance; normal with unit variance where nothing is shared."""
    variance_sd: float
    """Standard error of rms^2."""

    @property
    def seen(self) -> bool:
        return self.sigma > SIGNIFICANT_SIGMA and self.rms > VISIBLE_PATTERN

    @property
    def would_be_seen(self) -> bool:
        """The counts are enough to see the pattern of a camera that nobody has corrected."""
        return SIGNIFICANT_SIGMA * self.variance_sd < _UNCORRECTED_PATTERN**2


def shared_pattern(residuals: list[NDArray[np.float32]], independent_fraction: float = 1.0) -> SharedPattern:
    """The pattern that several residuals share.

    The mean product of two residuals with independent noise estimates the variance of what is common to them.
    `independent_fraction` of the pixels carry independent noise (below 1 for filtered images).
    """
    covariance, variance = [], []
    for i, first in enumerate(residuals):
        for second in residuals[i + 1 :]:
            covariance.append(float(np.mean(first * second, dtype=np.float64)))
            power = float(np.mean(first * first, dtype=np.float64) * np.mean(second * second, dtype=np.float64))
            variance.append(power / (first.size * independent_fraction))
    mean = float(np.mean(covariance))
    # Products of independent noise are uncorrelated also between two pairs with one movie in common.
    sd = float(np.sqrt(np.mean(variance) / len(variance)))
    return SharedPattern(float(np.sqrt(max(mean, 0.0))), mean / sd if sd > 0 else 0.0, sd)


def reference_slopes(residuals: list[NDArray[np.float32]], reference: Reference) -> tuple[SlopeEvidence, ...]:
    """The slope b of the data on the reference's predicted pattern, for every orientation that fits the shape."""
    mean = np.mean(residuals, axis=0, dtype=np.float32)
    noise_variance = float(np.mean(mean.astype(np.float64) ** 2))
    pattern = relative_residual(np.nan_to_num(reference.pattern(), nan=1.0), reference.dead)
    power = float(np.sum(pattern.astype(np.float64) ** 2))
    slopes = []
    for orientation in ORIENTATIONS:
        turned = orient(pattern, orientation)
        if turned.shape != mean.shape or power == 0.0:
            continue
        slope = float(np.sum(mean * turned, dtype=np.float64)) / power
        slopes.append(SlopeEvidence(orientation.value, slope, float(np.sqrt(noise_variance / power))))
    return tuple(slopes)
