"""What one round of the running map has to say in numbers, before anything about the session is known."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from frazil.models.reconstruction.resolution.conical_fsc import conical_fsc
from frazil.models.reconstruction.resolution.fsc import FscCurve
from frazil.models.reconstruction.resolution.half_map_fsc import HalfMapFsc


@dataclass(frozen=True, slots=True)
class RoundReport:
    """Curves at the same frequencies; None: not resolved."""

    corrected: FscCurve
    unmasked: FscCurve
    masked: FscCurve
    randomised: FscCurve
    mask: str
    """`map` or `sphere` (`masks.MapMask`)."""
    randomised_from_per_angstrom: float | None
    sphericity: float | None
    best_direction_angstrom: float | None
    """FSC 0.143 within the cone that is resolved finest, and coarsest."""
    worst_direction_angstrom: float | None
    chance_covariance: tuple[tuple[float, ...], ...]
    """(k, k) of atanh(corrected): for `forecast.ssnr_of`."""

    @property
    def resolution_0143_angstrom(self) -> float | None:
        return self.corrected.resolution_angstrom(0.143)

    @property
    def resolution_05_angstrom(self) -> float | None:
        return self.corrected.resolution_angstrom(0.5)


def round_report(
    half1: Tensor, half2: Tensor, agreement: HalfMapFsc, *, pixel_size_angstrom: float, symmetry_order: int
) -> RoundReport:
    """Of two (n, n, n) half maps under no mask narrower than the particle's sphere, and their curves."""
    best = worst = roundness = None
    if agreement.corrected.resolution_angstrom(0.143) is not None:
        cones = conical_fsc(half1, half2, agreement, pixel_size_angstrom=pixel_size_angstrom)
        resolutions = cones.resolutions_angstrom()
        best, worst, roundness = float(resolutions.min()), float(resolutions.max()), cones.sphericity
    return RoundReport(
        corrected=agreement.corrected,
        unmasked=agreement.unmasked,
        masked=agreement.masked,
        randomised=agreement.randomised,
        mask=agreement.mask.name,
        randomised_from_per_angstrom=agreement.randomised_from_per_angstrom,
        sphericity=roundness,
        best_direction_angstrom=best,
        worst_direction_angstrom=worst,
        chance_covariance=tuple(map(tuple, agreement.chance_covariance(half1.shape[0], symmetry_order).tolist())),
    )
