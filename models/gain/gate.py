"""The gain gate: do these movies and this gain reference belong together, and how?

A pixel's sensitivity imprints the same pattern on every frame. After division by the local mean, the mean counts of
movie i at a pixel are `r_i = b * p + noise`, where p is the pattern that the reference predicts for uncorrected counts.
The least-squares slope b, over millions of pixels, settles everything:

=====================  =================================================================
b about  1             uncorrected counts, the reference multiplies, this orientation
b about -1             uncorrected counts, the reference divides, this orientation
b about  0, all cases  no trace of this reference: already corrected, or a wrong reference
=====================  =================================================================

Whether *any* fixed pattern is there is asked without a reference: the covariance of r between two movies (or between
two halves of one movie, in the highest frequencies, where a specimen has no signal left) is the pattern's variance.
Nothing here reads files; `frazil.models.gain.evidence` collects the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from frazil.config.settings import GainOrientation
from frazil.models.gain.reference import ORIENTATIONS, Reference, orient

_HIGH_PASS_PX = 9
"""Local mean over this many pixels: illumination, ice and specimen go, pixel-to-pixel sensitivity stays."""
_OUTLIER_SIGMA = 6.0
_CLIPPING_ROUNDS = 4
_SIGNIFICANT_SIGMA = 6.0
"""With eight cases and hundreds of sessions a year, 6 sigma never happens by chance."""
_ABSENT_SLOPE = 0.25
"""A reference whose slope is below this, although it could have been seen, is not in the data."""
_VISIBLE_PATTERN = 0.002
"""A fixed pattern weaker than 0.2 % of the counts cannot be seen in a micrograph."""
_UNCORRECTED_PATTERN = 0.015
"""No camera's pixels are more alike than this before correction (2 % and more are usual): movies in which a pattern of
this strength would have been seen, and none was, are corrected."""

HALF_INDEPENDENT_FRACTION = 1 / 3.78
"""Noise after the second difference along both axes of `gain_evidence`: 1 / (sum of squared autocorrelations) =
1 / (1 + 2 (4/6)^2 + 2 (1/6)^2)^2."""


class GainVerdict(StrEnum):
    CORRECT = "correct"
    """The reference fits; `orientation` and `convention` say how."""
    ALREADY_CORRECTED = "already-corrected"
    NOT_NEEDED = "no-pattern"
    """No reference was given, and the movies share no fixed pattern."""
    OVERRIDDEN = "overridden"
    """The person named orientation and convention, or `--no-gain`."""
    WRONG = "wrong-gain"
    MISSING = "missing-gain"
    UNDECIDED = "undecided"
    """More movies are needed."""


PASSES = frozenset({GainVerdict.CORRECT, GainVerdict.NOT_NEEDED, GainVerdict.OVERRIDDEN})


@dataclass(frozen=True, slots=True)
class SlopeEvidence:
    """How strongly the reference in one orientation shows in the data."""

    orientation: str
    slope: float
    slope_sd: float

    @property
    def sigma(self) -> float:
        return abs(self.slope) / self.slope_sd


@dataclass(frozen=True, slots=True)
class GainDecision:
    """What to do with the gain, and why; stored with the session."""

    verdict: GainVerdict
    sentence: str
    """For a person: what was found."""
    remedy: str | None
    """What to do where the gate blocks."""
    gain_path: str | None
    defects_path: str | None
    orientation: GainOrientation
    convention: str
    """`multiply`, `divide` or `none`."""
    movie_count: int
    pattern_rms: float | None
    """Relative strength of the fixed pattern that the movies share; None: could not be asked."""
    pattern_sigma: float | None
    slopes: tuple[SlopeEvidence, ...] = ()

    @property
    def passes(self) -> bool:
        return self.verdict in PASSES

    @property
    def applies(self) -> bool:
        """A reference is to be applied to the counts."""
        return self.gain_path is not None and self.convention != "none"


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
        return self.sigma > _SIGNIFICANT_SIGMA and self.rms > _VISIBLE_PATTERN

    @property
    def would_be_seen(self) -> bool:
        """The counts are enough to see the pattern of a camera that nobody has corrected."""
        return _SIGNIFICANT_SIGMA * self.variance_sd < _UNCORRECTED_PATTERN**2


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
    found = []
    for orientation in ORIENTATIONS:
        turned = orient(pattern, orientation)
        if turned.shape != mean.shape or power == 0.0:
            continue
        slope = float(np.sum(mean * turned, dtype=np.float64)) / power
        found.append(SlopeEvidence(orientation.value, slope, float(np.sqrt(noise_variance / power))))
    return tuple(found)


def decide(
    *,
    movie_residuals: list[NDArray[np.float32]],
    half_residuals: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    reference: Reference | None,
    orientation: GainOrientation = GainOrientation.AUTO,
    convention: str = "auto",
    no_gain: bool = False,
    defects_path: str | None = None,
) -> GainDecision:
    """Decide about the gain from the first movies.

    Parameters
    ----------
    movie_residuals:
        `relative_residual` of each movie's mean uncorrected counts, all (h, w).
    half_residuals:
        The same of two halves of one movie, filtered to the highest frequencies; used when there is only one movie.
    reference:
        The reference that was given, or None.
    orientation, convention, no_gain:
        What the person fixed; `auto` leaves it to the evidence.
    """
    shared: SharedPattern | None = None
    if len(movie_residuals) > 1:
        shared = shared_pattern(movie_residuals)
    elif half_residuals is not None:
        shared = shared_pattern(list(half_residuals), HALF_INDEPENDENT_FRACTION)
    slopes = reference_slopes(movie_residuals, reference) if reference is not None and movie_residuals else ()

    def decision(
        verdict: GainVerdict,
        sentence: str,
        remedy: str | None = None,
        *,
        orientation: GainOrientation = GainOrientation.IDENTITY,
        convention: str = "none",
    ) -> GainDecision:
        return GainDecision(
            verdict=verdict,
            sentence=sentence,
            remedy=remedy,
            gain_path=None if reference is None else reference.path,
            defects_path=defects_path,
            orientation=orientation,
            convention=convention,
            movie_count=len(movie_residuals),
            pattern_rms=None if shared is None else shared.rms,
            pattern_sigma=None if shared is None else shared.sigma,
            slopes=slopes,
        )

    pattern_seen = shared is not None and shared.seen
    strength = "" if shared is None else f"{shared.rms:.1%} of the counts ({shared.sigma:.0f} sigma)"

    if no_gain:
        doubt = f", although the movies share a fixed pattern of {strength}" if pattern_seen else ""
        return decision(GainVerdict.OVERRIDDEN, f"no gain reference is applied, as told by --no-gain{doubt}")
    if reference is None:
        if shared is None:
            return decision(
                GainVerdict.UNDECIDED,
                "no gain reference was given, and one exposure cannot show whether the camera's pattern is in it",
                "wait for more movies, give `--gain FILE`, or say `--no-gain` if the movies are already corrected",
            )
        if pattern_seen:
            return decision(
                GainVerdict.MISSING,
                f"the movies share a fixed pattern of {strength}, and no gain reference was given",
                "give the camera's reference with `--gain FILE`, or `--no-gain` to go on with the pattern in the data",
            )
        if not shared.would_be_seen:
            return decision(
                GainVerdict.UNDECIDED,
                "no gain reference was given, and there are too few counts yet to see whether the camera's pattern is "
                "in the movies",
                "wait for more movies, give `--gain FILE`, or say `--no-gain` if the movies are already corrected",
            )
        return decision(GainVerdict.NOT_NEEDED, "the movies share no fixed pattern: they are taken as gain-corrected")

    flat = float(np.nanstd(reference.pattern())) < _VISIBLE_PATTERN
    shape = movie_residuals[0].shape if movie_residuals else None
    if flat and shape is not None and shape in (reference.values.shape, reference.values.shape[::-1]):
        if pattern_seen:
            return decision(
                GainVerdict.WRONG,
                f"the movies share a fixed pattern of {strength}, and the gain reference is flat: it corrects nothing",
                "give the reference that was recorded for this camera and session with `--gain FILE`",
            )
        if shared is not None and shared.would_be_seen:
            return decision(
                GainVerdict.CORRECT,
                "the gain reference is flat to 0.2 %, and the movies share no fixed pattern: it changes nothing",
            )
        return decision(
            GainVerdict.UNDECIDED,
            "the gain reference is flat to 0.2 %, and there are too few counts yet to see whether the movies need more",
            "wait for more movies, or say `--no-gain` if they are already corrected",
        )
    if not slopes:
        height, width = reference.values.shape
        return decision(
            GainVerdict.WRONG if movie_residuals else GainVerdict.UNDECIDED,
            f"the gain reference is {width} x {height} px and fits the movies in no orientation",
            "give the reference of this camera mode (counting or super-resolution) with `--gain FILE`",
        )
    best = max(slopes, key=lambda evidence: abs(evidence.slope))
    if orientation is not GainOrientation.AUTO:
        chosen = next((evidence for evidence in slopes if evidence.orientation == orientation.value), None)
        if chosen is None:
            return decision(
                GainVerdict.WRONG,
                f"turned by {orientation.value} the gain reference does not have the movies' shape",
                f"leave out --gain-orientation, or say `--gain-orientation {best.orientation}`",
            )
        seen_to_divide = chosen.slope < 0 and chosen.sigma > _SIGNIFICANT_SIGMA
        kind = convention if convention != "auto" else ("divide" if seen_to_divide else "multiply")
        doubt = "" if chosen is best else f"; the data speak for {best.orientation} (slope {best.slope:+.2f})"
        return decision(
            GainVerdict.OVERRIDDEN,
            f"orientation {orientation.value} as told, {kind}: "
            f"slope {chosen.slope:+.2f} +- {chosen.slope_sd:.2f}{doubt}",
            orientation=orientation,
            convention=kind,
        )
    # The identity wins a tie: a symmetric reference fits in several orientations, and they all correct alike.
    identity = next((evidence for evidence in slopes if evidence.orientation == GainOrientation.IDENTITY.value), None)
    if (
        identity is not None
        and abs(best.slope) - abs(identity.slope) < 3 * best.slope_sd
        and identity.slope * best.slope > 0
    ):
        best = identity
    if best.sigma > _SIGNIFICANT_SIGMA and abs(best.slope) > _ABSENT_SLOPE:
        kind = "multiply" if best.slope > 0 else "divide"
        if convention not in ("auto", kind):
            return decision(
                GainVerdict.WRONG,
                f"the data say that this reference is to {kind} (slope {best.slope:+.2f} +- {best.slope_sd:.2f}), "
                f"the settings say {convention}",
                f"set the gain convention to {kind} or auto, or name `--gain-orientation` to overrule the evidence",
            )
        turned = "" if best.orientation == GainOrientation.IDENTITY.value else f", turned by {best.orientation}"
        stale = (
            ""
            if 0.75 < abs(best.slope) < 1.33
            else "; the reference explains the pattern only partly: is it an old one?"
        )
        return decision(
            GainVerdict.CORRECT,
            f"the gain reference fits: {kind}{turned}; slope {best.slope:+.2f} +- {best.slope_sd:.2f}{stale}",
            orientation=GainOrientation(best.orientation),
            convention=kind,
        )
    visible = 1.0 / best.slope_sd > 2 * _SIGNIFICANT_SIGMA
    if not visible:
        return decision(
            GainVerdict.UNDECIDED,
            f"too few counts to see the gain pattern yet (slope known to +- {best.slope_sd:.2f})",
            "wait for more movies, or name `--gain-orientation` if you know it",
        )
    if pattern_seen:
        return decision(
            GainVerdict.WRONG,
            f"the movies share a fixed pattern of {strength}, but not that of this gain reference in any orientation "
            f"(best: {best.orientation}, slope {best.slope:+.2f} +- {best.slope_sd:.2f})",
            "give the reference that was recorded for this camera and session with `--gain FILE`",
        )
    if shared is None or not shared.would_be_seen:
        return decision(
            GainVerdict.UNDECIDED,
            f"the movies show no trace of this gain reference (best slope {best.slope:+.2f} +- {best.slope_sd:.2f}); "
            "there are too few counts yet to see whether they carry another pattern or are already corrected",
            "wait for more movies; if they are already corrected, leave out --gain and say `--no-gain`",
        )
    return decision(
        GainVerdict.ALREADY_CORRECTED,
        f"the movies show no trace of this gain reference (best slope {best.slope:+.2f} +- {best.slope_sd:.2f}): "
        "they are already corrected, and applying it would imprint its pattern",
        "leave out --gain and say `--no-gain`",
    )
