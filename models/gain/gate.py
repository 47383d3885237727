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

import numpy as np
from numpy.typing import NDArray

from frazil.config.settings import GainOrientation
from frazil.models.gain.decision import GainDecision, GainVerdict, SlopeEvidence
from frazil.models.gain.pattern import (
    HALF_INDEPENDENT_FRACTION,
    SIGNIFICANT_SIGMA,
    VISIBLE_PATTERN,
    SharedPattern,
    reference_slopes,
    shared_pattern,
)
from frazil.models.gain.reference import Reference

__all__ = ["GainDecision", "GainVerdict", "decide"]

_ABSENT_SLOPE = 0.25
"""A reference whose slope is below this, although it could have been seen, is not in the data."""
_FULL_SLOPE = (0.75, 1.33)
"""|slope| of a reference that explains the whole pattern; outside it is perhaps an old one."""


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
    if no_gain:
        finding = _told_no_gain(shared)
    elif reference is None:
        finding = _without_reference(shared)
    elif _is_flat(reference, movie_residuals):
        finding = _with_flat_reference(shared)
    elif not slopes:
        finding = _with_reference_of_another_size(reference, movie_residuals)
    elif orientation is not GainOrientation.AUTO:
        finding = _with_given_orientation(slopes, orientation, convention)
    else:
        finding = _with_reference(slopes, shared, convention)
    return GainDecision(
        verdict=finding.verdict,
        sentence=finding.sentence,
        remedy=finding.remedy,
        gain_path=None if reference is None else reference.path,
        defects_path=defects_path,
        orientation=finding.orientation,
        convention=finding.convention,
        movie_count=len(movie_residuals),
        pattern_rms=None if shared is None else shared.rms,
        pattern_sigma=None if shared is None else shared.sigma,
        slopes=slopes,
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    """The part of a `GainDecision` that depends on the case."""

    verdict: GainVerdict
    sentence: str
    remedy: str | None = None
    orientation: GainOrientation = GainOrientation.IDENTITY
    convention: str = "none"


def _seen(shared: SharedPattern | None) -> bool:
    return shared is not None and shared.seen


def _would_be_seen(shared: SharedPattern | None) -> bool:
    return shared is not None and shared.would_be_seen


def _strength(shared: SharedPattern | None) -> str:
    return "" if shared is None else f"{shared.rms:.1%} of the counts ({shared.sigma:.0f} sigma)"


def _told_no_gain(shared: SharedPattern | None) -> _Finding:
    doubt = f", although the movies share a fixed pattern of {_strength(shared)}" if _seen(shared) else ""
    return _Finding(GainVerdict.OVERRIDDEN, f"no gain reference is applied, as told by --no-gain{doubt}")


def _without_reference(shared: SharedPattern | None) -> _Finding:
    """Missing where the movies share a pattern, not needed where one would have been seen and none was."""
    wait = "wait for more movies, give `--gain FILE`, or say `--no-gain` if the movies are already corrected"
    if shared is None:
        return _Finding(
            GainVerdict.UNDECIDED,
            "no gain reference was given, and one exposure cannot show whether the camera's pattern is in it",
            wait,
        )
    if shared.seen:
        return _Finding(
            GainVerdict.MISSING,
            f"the movies share a fixed pattern of {_strength(shared)}, and no gain reference was given",
            "give the camera's reference with `--gain FILE`, or `--no-gain` to go on with the pattern in the data",
        )
    if not shared.would_be_seen:
        return _Finding(
            GainVerdict.UNDECIDED,
            "no gain reference was given, and there are too few counts yet to see whether the camera's pattern is "
            "in the movies",
            wait,
        )
    return _Finding(GainVerdict.NOT_NEEDED, "the movies share no fixed pattern: they are taken as gain-corrected")


def _is_flat(reference: Reference, movie_residuals: list[NDArray[np.float32]]) -> bool:
    """The reference fits the movies in size, and corrects nothing that could be seen."""
    shape = movie_residuals[0].shape if movie_residuals else None
    flat = float(np.nanstd(reference.pattern())) < VISIBLE_PATTERN
    return flat and shape is not None and shape in (reference.values.shape, reference.values.shape[::-1])


def _with_flat_reference(shared: SharedPattern | None) -> _Finding:
    if _seen(shared):
        return _Finding(
            GainVerdict.WRONG,
            f"the movies share a fixed pattern of {_strength(shared)}, "
            "and the gain reference is flat: it corrects nothing",
            "give the reference that was recorded for this camera and session with `--gain FILE`",
        )
    if _would_be_seen(shared):
        return _Finding(
            GainVerdict.CORRECT,
            "the gain reference is flat to 0.2 %, and the movies share no fixed pattern: it changes nothing",
        )
    return _Finding(
        GainVerdict.UNDECIDED,
        "the gain reference is flat to 0.2 %, and there are too few counts yet to see whether the movies need more",
        "wait for more movies, or say `--no-gain` if they are already corrected",
    )


def _with_reference_of_another_size(reference: Reference, movie_residuals: list[NDArray[np.float32]]) -> _Finding:
    height, width = reference.values.shape
    return _Finding(
        GainVerdict.WRONG if movie_residuals else GainVerdict.UNDECIDED,
        f"the gain reference is {width} x {height} px and fits the movies in no orientation",
        "give the reference of this camera mode (counting or super-resolution) with `--gain FILE`",
    )


def _strongest(slopes: tuple[SlopeEvidence, ...]) -> SlopeEvidence:
    return max(slopes, key=lambda evidence: abs(evidence.slope))


def _in_orientation(slopes: tuple[SlopeEvidence, ...], orientation: GainOrientation) -> SlopeEvidence | None:
    return next((evidence for evidence in slopes if evidence.orientation == orientation.value), None)


def _with_given_orientation(
    slopes: tuple[SlopeEvidence, ...], orientation: GainOrientation, convention: str
) -> _Finding:
    """A person's word counts; the evidence only picks the convention that was left open, and voices its doubt."""
    best, chosen = _strongest(slopes), _in_orientation(slopes, orientation)
    if chosen is None:
        return _Finding(
            GainVerdict.WRONG,
            f"turned by {orientation.value} the gain reference does not have the movies' shape",
            f"leave out --gain-orientation, or say `--gain-orientation {best.orientation}`",
        )
    seen_to_divide = chosen.slope < 0 and chosen.sigma > SIGNIFICANT_SIGMA
    kind = convention if convention != "auto" else ("divide" if seen_to_divide else "multiply")
    doubt = "" if chosen is best else f"; the data speak for {best.orientation} (slope {best.slope:+.2f})"
    return _Finding(
        GainVerdict.OVERRIDDEN,
        f"orientation {orientation.value} as told, {kind}: slope {chosen.slope:+.2f} +- {chosen.slope_sd:.2f}{doubt}",
        orientation=orientation,
        convention=kind,
    )


def _with_reference(slopes: tuple[SlopeEvidence, ...], shared: SharedPattern | None, convention: str) -> _Finding:
    best = _strongest(slopes)
    # The identity wins a tie: a symmetric reference fits in several orientations, and they all correct alike.
    identity = _in_orientation(slopes, GainOrientation.IDENTITY)
    if (
        identity is not None
        and abs(best.slope) - abs(identity.slope) < 3 * best.slope_sd
        and identity.slope * best.slope > 0
    ):
        best = identity
    if best.sigma > SIGNIFICANT_SIGMA and abs(best.slope) > _ABSENT_SLOPE:
        return _with_fitting_reference(best, convention)
    return _with_reference_not_seen(best, shared)


def _with_fitting_reference(best: SlopeEvidence, convention: str) -> _Finding:
    kind = "multiply" if best.slope > 0 else "divide"
    if convention not in ("auto", kind):
        return _Finding(
            GainVerdict.WRONG,
            f"the data say that this reference is to {kind} (slope {best.slope:+.2f} +- {best.slope_sd:.2f}), "
            f"the settings say {convention}",
            f"set the gain convention to {kind} or auto, or name `--gain-orientation` to overrule the evidence",
        )
    turned = "" if best.orientation == GainOrientation.IDENTITY.value else f", turned by {best.orientation}"
    whole = _FULL_SLOPE[0] < abs(best.slope) < _FULL_SLOPE[1]
    stale = "" if whole else "; the reference explains the pattern only partly: is it an old one?"
    return _Finding(
        GainVerdict.CORRECT,
        f"the gain reference fits: {kind}{turned}; slope {best.slope:+.2f} +- {best.slope_sd:.2f}{stale}",
        orientation=GainOrientation(best.orientation),
        convention=kind,
    )


def _with_reference_not_seen(best: SlopeEvidence, shared: SharedPattern | None) -> _Finding:
    """Too few counts, a wrong reference, or movies that are corrected already: the shared pattern tells them apart."""
    visible = 1.0 / best.slope_sd > 2 * SIGNIFICANT_SIGMA
    if not visible:
        return _Finding(
            GainVerdict.UNDECIDED,
            f"too few counts to see the gain pattern yet (slope known to +- {best.slope_sd:.2f})",
            "wait for more movies, or name `--gain-orientation` if you know it",
        )
    if _seen(shared):
        return _Finding(
            GainVerdict.WRONG,
            f"the movies share a fixed pattern of {_strength(shared)}, "
            "but not that of this gain reference in any orientation "
            f"(best: {best.orientation}, slope {best.slope:+.2f} +- {best.slope_sd:.2f})",
            "give the reference that was recorded for this camera and session with `--gain FILE`",
        )
    no_trace = f"the movies show no trace of this gain reference (best slope {best.slope:+.2f} +- {best.slope_sd:.2f})"
    if not _would_be_seen(shared):
        return _Finding(
            GainVerdict.UNDECIDED,
            f"{no_trace}; there are too few counts yet to see whether they carry another pattern or are already "
            "corrected",
            "wait for more movies; if they are already corrected, leave out --gain and say `--no-gain`",
        )
    return _Finding(
        GainVerdict.ALREADY_CORRECTED,
        f"{no_trace}: they are already corrected, and applying it would imprint its pattern",
        "leave out --gain and say `--no-gain`",
    )
