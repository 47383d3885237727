"""Whole-frame motion: a wide search, then maximum a posteriori displacements with their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from frazil.models.motion.estimate import coarse_search, smooth_prior
from frazil.models.motion.estimate.band import MAX_WHOLE_FRAME_COEFFICIENTS, Band, BandGrid, frequency_limit
from frazil.models.motion.estimate.binning import SmallStack
from frazil.models.motion.estimate.refinement import (
    Refined,
    likeliest_damage,
    refine,
    split_agreement,
    without_needless_pattern,
)
from frazil.models.motion.estimate.spectra import MotionSpectra
from frazil.models.motion.estimate.whole_frame_band import frame_amplitudes, padded_amplitude, whitened_band

Array = npt.NDArray[np.float64]

_ROUNDS = 8
"""At most; ordinary movies converge in four to six."""
_START_ROUNDS, _PATH_ROUNDS = 4, 6
"""On the coarse band, where candidates are only compared; a simple path starts farther from the truth."""
_COARSE_COEFFICIENTS = 60_000
"""For the wide search and the comparison of starts: enough for clear peaks, and a fraction of the band's cost."""
_LEAST_B_FACTOR_ANGSTROM2 = 20.0
"""Below it the first search would look at noise alone."""
_NEGLIGIBLE_WEIGHT = 1e-4
"""Frequencies to which the B-factor gives less weight are left out of the first search."""
_SAME_START_ANGSTROM = 1.0
"""Root mean square: closer paths lead the refinement to the same maximum."""
_FIRST_DAMAGE_STRENGTHS = (0.15, 1.0)
_DAMAGE_STRENGTHS = (0.0, 0.15, 0.4, 0.7, 1.0, 1.4)
"""From what does not fade to what fades faster than protein as published; likelihoods between neighbours differ
little. The first ones tried are nearly none and the published one."""
_CLEAR_LOG_LIKELIHOOD_GAIN = 1500.0
"""Below this the frame-by-frame search may have gone astray, and whole paths are tried as well."""
_POOLED_EXPOSURE_E_PER_A2 = 2.5
_MOST_POOLED_FRAMES = 4
"""Frames are pooled in the first search until they have had this exposure together, but over at most a third of the
movie and so many on each side: a longer pool would smear the motion that is sought."""
_BELIEVED_SHIFT = 2.0
"""Times the search window, from the mean: `MotionSettings.max_shift_angstrom` says so."""


@dataclass(frozen=True, slots=True)
class WholeFrameMotion:
    """Zero-mean displacements (F, 2; x, y; A) with one-sigma errors per axis, and how well they are supported."""

    shift_angstrom: Array
    sd_angstrom: Array
    log_likelihood_gain: float
    """ln likelihood ratio of "a specimen moves like this" against "noise and fixed pattern only"."""
    split_chi_square: float
    """Reduced chi-square of the difference between the estimates from two halves of the coefficients."""
    at_search_edge: bool
    spectra: MotionSpectra
    prior: smooth_prior.StepPrior
    damage_strength: float = 1.0
    """How fast the signal fades with dose, in units of the published exposure filter's exponent."""


def align_whole_frames(
    small: SmallStack,
    *,
    movie_pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    b_factor_px2: float,
    max_shift_angstrom: float,
) -> WholeFrameMotion:
    """Estimate the displacement of every frame of at least two."""
    grid = _grid(small)
    amplitudes = {
        strength: padded_amplitude(
            frame_amplitudes(
                small,
                grid.shell_frequency_per_angstrom,
                dose_per_frame_e_per_a2,
                pre_exposure_e_per_a2,
                voltage_kv,
                strength,
            )
        )
        for strength in _DAMAGE_STRENGTHS
    }
    band, floor = whitened_band(small, grid, amplitudes[_FIRST_DAMAGE_STRENGTHS[0]])
    b_factor_angstrom2 = max(b_factor_px2 * movie_pixel_size_angstrom**2, _LEAST_B_FACTOR_ANGSTROM2)
    coarse = band.below(_coarse_limit_per_angstrom(small, b_factor_angstrom2))
    paths = _searched_paths(
        coarse, b_factor_angstrom2, max_shift_angstrom, _pooled_frames(dose_per_frame_e_per_a2, band.frame_count)
    )
    start = _likeliest_start(coarse, paths, amplitudes, floor, max_shift_angstrom)
    final, damage_strength = _refined_on_all(band, coarse, start, amplitudes, floor)
    farthest_angstrom = np.abs(final.shift_angstrom - final.shift_angstrom.mean(axis=0)).max()
    return WholeFrameMotion(
        final.shift_angstrom,
        final.posterior.sd_angstrom,
        final.log_likelihood,
        split_agreement(band.with_amplitude(amplitudes[damage_strength]), final),
        bool(farthest_angstrom > _BELIEVED_SHIFT * max_shift_angstrom),
        final.spectra,
        final.prior,
        damage_strength,
    )


def _grid(small: SmallStack) -> BandGrid:
    height_px, width_px = int(small.frames.shape[1]), int(small.frames.shape[2])
    limit = frequency_limit(height_px, width_px, small.pixel_size_angstrom, MAX_WHOLE_FRAME_COEFFICIENTS)
    return BandGrid.build(height_px, width_px, small.pixel_size_angstrom, limit, small.frames.device)


def _coarse_limit_per_angstrom(small: SmallStack, b_factor_angstrom2: float) -> float:
    """Up to where the first search looks."""
    _, height_px, width_px = (int(n) for n in small.frames.shape)
    return min(
        math.sqrt(_COARSE_COEFFICIENTS / (math.pi / 2.0 * height_px * width_px * small.pixel_size_angstrom**2)),
        math.sqrt(math.log(1.0 / _NEGLIGIBLE_WEIGHT) / (2.0 * b_factor_angstrom2)),
    )


def _pooled_frames(dose_per_frame_e_per_a2: float, frames: int) -> int:
    """Neighbours on each side that the first search adds to a frame."""
    wanted = math.ceil(0.5 * (_POOLED_EXPOSURE_E_PER_A2 / max(dose_per_frame_e_per_a2, 0.05) - 1.0))
    return min(_MOST_POOLED_FRAMES, max(0, wanted), max(0, frames // 6))


def _searched_paths(
    coarse: Band, b_factor_angstrom2: float, max_shift_angstrom: float, pooled_frames: int
) -> list[Array]:
    """Paths (F, 2; A) of the frame-by-frame search, as far as they differ: with and without what stands still, and
    with breaks mended."""

    def search(remove_still: bool, pooled: int, start_angstrom: Tensor | None = None) -> Tensor:
        return coarse_search.search(
            coarse,
            b_factor_angstrom2=b_factor_angstrom2,
            max_shift_angstrom=max_shift_angstrom,
            remove_still=remove_still,
            pooled_frames=pooled,
            start_angstrom=start_angstrom,
        )

    found = [search(False, pooled_frames), search(True, pooled_frames)]
    whole = coarse_search.mended(
        coarse, found[0], b_factor_angstrom2=b_factor_angstrom2, max_shift_angstrom=max_shift_angstrom
    )
    if whole is not None:
        found.append(search(False, 0, whole))
    paths: list[Array] = []
    for path in (one.double().cpu().numpy() for one in found):
        if all(np.sqrt(np.mean((path - other) ** 2)) >= _SAME_START_ANGSTROM for other in paths):
            paths.append(path)
    return paths


def _likeliest_start(
    coarse: Band, paths: list[Array], amplitudes: dict[float, Tensor], floor: float, max_shift_angstrom: float
) -> Refined:
    """The best of what the paths are refined to on the coarse band; of simple paths too where none is clear."""
    # Too little or too much damage assumed can each hide the motion behind a fixed pattern: both are tried.
    bands = [coarse.with_amplitude(amplitudes[strength]) for strength in _FIRST_DAMAGE_STRENGTHS]
    candidates = [refine(band, path, rounds=_START_ROUNDS, floor=floor) for path in paths for band in bands]
    best = max(candidates, key=lambda c: c.log_evidence)
    if best.log_likelihood >= _CLEAR_LOG_LIKELIHOOD_GAIN:
        return best
    path = coarse_search.search_paths(coarse, max_shift_angstrom).double().cpu().numpy()
    candidates += [refine(band, path, rounds=_PATH_ROUNDS, floor=floor) for band in bands]
    return max(candidates, key=lambda c: c.log_evidence)


def _refined_on_all(
    band: Band, coarse: Band, start: Refined, amplitudes: dict[float, Tensor], floor: float
) -> tuple[Refined, float]:
    """The start refined on the whole band, and the strength of damage that it shows."""
    damage_strength = likeliest_damage(coarse, start.shift_angstrom, amplitudes, floor)
    faded = coarse.with_amplitude(amplitudes[damage_strength])
    best, kept_floor = without_needless_pattern(faded, start, floor, rounds=_START_ROUNDS)
    faded = band.with_amplitude(amplitudes[damage_strength])
    final = refine(faded, best.shift_angstrom, rounds=_ROUNDS, floor=kept_floor, prior=best.prior)
    final, kept_floor = without_needless_pattern(faded, final, kept_floor, rounds=_ROUNDS)
    again = likeliest_damage(faded, final.shift_angstrom, amplitudes, kept_floor)
    if again != damage_strength:
        damage_strength = again
        faded = band.with_amplitude(amplitudes[damage_strength])
        final = refine(faded, final.shift_angstrom, rounds=_ROUNDS, floor=kept_floor, prior=final.prior)
    return final, damage_strength
