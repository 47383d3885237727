"""Whole-frame motion: a wide search, then maximum a posteriori displacements with their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.models.motion import coarse_search, smooth_prior
from frazil.models.motion.band import MAX_WHOLE_FRAME_COEFFICIENTS, Band, BandGrid, edge_window, frequency_limit
from frazil.models.motion.band_sums import align_sums
from frazil.models.motion.binning import SmallStack
from frazil.models.motion.likelihood import evaluate, fisher_information, log_likelihood
from frazil.models.motion.spectra import MotionSpectra, estimate_spectra, measure_moments, pattern_floor, whiten
from frazil.models.optics.dose import exposure_filter, mid_frame_exposures_e_per_a2

_COARSE_COEFFICIENTS = 60_000
_ROUNDS = 8
TEMPER = 0.8
"""A likelihood is trusted a little less than it claims: measured chi-square at the truth is 1.1-1.3, since windows
correlate neighbouring coefficients and particles are not a Gaussian field."""
_SAME_START_ANGSTROM = 1.0
_CLEAR_EVIDENCE = 10.0
"""ln odds of 20,000 to 1: the evidence is that of a Gaussian model, which particles are not."""
_FIRST_DAMAGE_STRENGTHS = (0.15, 1.0)
_DAMAGE_STRENGTHS = (0.0, 0.15, 0.4, 0.7, 1.0, 1.4)
_CONVERGED_ANGSTROM = 0.03
_CLEAR_LOG_LIKELIHOOD_GAIN = 1500.0
"""Below this the frame-by-frame search may have gone astray, and whole paths are tried as well."""


@dataclass(frozen=True, slots=True)
class WholeFrameMotion:
    """Zero-mean displacements (F, 2; x, y; A) with one-sigma errors per axis, and how well they are supported."""

    shift_angstrom: npt.NDArray[np.float64]
    sd_angstrom: npt.NDArray[np.float64]
    log_likelihood_gain: float
    """ln likelihood ratio of "a specimen moves like this" against "noise and fixed pattern only"."""
    split_chi_square: float
    """Reduced chi-square of the difference between the estimates from two halves of the coefficients."""
    at_search_edge: bool
    spectra: MotionSpectra
    prior: smooth_prior.StepPrior
    damage_strength: float = 1.0
    """How fast the signal fades with dose, in units of the published exposure filter's exponent."""


def frame_amplitudes(
    small: SmallStack,
    frequency_per_angstrom: Tensor,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    voltage_kv: float,
    damage_strength: float,
) -> Tensor:
    """Expected signal of each frame at unit noise, (F, n): damage, and counts (signal ~ N, shot noise ~ sqrt N).

    `damage_strength` scales the exponent of the published exposure filter: 1 for protein as published, 0 for a
    specimen (ice, carbon, a test object) that keeps its contrast.
    """
    exposures = mid_frame_exposures_e_per_a2(small.frames.shape[0], dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
    left = exposure_filter(frequency_per_angstrom, exposures, voltage_kv) ** damage_strength
    ratio = torch.where(small.sd_counts > 0, small.mean_counts / small.sd_counts.clamp_min(1e-30), 0.0)
    live = small.sd_counts > 0
    if bool(live.any()) and bool((small.mean_counts[live] > 0).all()):
        ratio = ratio / ratio[live].median()
    else:
        # Counts without a sensible zero (background subtracted): only the dead frames are known to be different.
        ratio = live.to(torch.float64)
    return left * ratio.clamp(max=3.0)[:, None]


def build_band(small: SmallStack, grid: BandGrid, amplitude: Tensor) -> Band:
    """Windowed transforms of all small frames, band-limited; noise not yet whitened."""
    device = small.frames.device
    window = edge_window(grid.height, grid.width, device)
    lit = small.weight(0, 0, grid.height, grid.width)
    if lit is not None:
        window = window * lit
    window = window / window.square().mean().sqrt()
    frames = small.frames.shape[0]
    coefficients = torch.empty((frames, grid.rows.numel(), grid.columns), dtype=torch.complex64, device=device)
    for f in range(frames):
        frame = small.flat(f, 0, 0, grid.height, grid.width)
        coefficients[f] = grid.take((frame - frame.mean()) * window)
    return Band(
        coefficients,
        grid.omega_x,
        grid.omega_y,
        grid.shell,
        grid.shell_frequency_per_angstrom,
        amplitude,
        1.0 if small.illumination is None else small.illumination.lit_fraction,
    )


def padded_amplitude(amplitude: Tensor) -> Tensor:
    """(F, n_shells + 1) float32: the coefficients of no shell carry no signal."""
    return torch.cat((amplitude, torch.zeros_like(amplitude[:, :1])), dim=1).to(torch.float32)


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
    height, width = int(small.frames.shape[1]), int(small.frames.shape[2])
    device = small.frames.device
    limit = frequency_limit(height, width, small.pixel_size_angstrom, MAX_WHOLE_FRAME_COEFFICIENTS)
    grid = BandGrid.build(height, width, small.pixel_size_angstrom, limit, device)

    def amplitude(damage_strength: float) -> Tensor:
        return frame_amplitudes(
            small,
            grid.shell_frequency_per_angstrom,
            dose_per_frame_e_per_a2,
            pre_exposure_e_per_a2,
            voltage_kv,
            damage_strength,
        )

    options = {strength: padded_amplitude(amplitude(strength)).to(device) for strength in _DAMAGE_STRENGTHS}
    band = build_band(small, grid, options[_FIRST_DAMAGE_STRENGTHS[0]])
    frames = band.frame_count
    unmoved = torch.zeros((frames, 2))
    band = whiten(band, measure_moments(band, align_sums(band, unmoved)))
    floor: float | None = pattern_floor(measure_moments(band, align_sums(band, unmoved)), frames)
    b_factor_angstrom2 = max(b_factor_px2 * movie_pixel_size_angstrom**2, 20.0)
    coarse_limit = min(
        math.sqrt(_COARSE_COEFFICIENTS / (math.pi / 2.0 * height * width * small.pixel_size_angstrom**2)),
        math.sqrt(math.log(1e4) / (2.0 * b_factor_angstrom2)),
    )
    coarse = band.below(coarse_limit)
    shells = coarse.amplitude.shape[1]
    live_dose = float(dose_per_frame_e_per_a2)
    pooled = min(4, max(0, math.ceil(0.5 * (2.5 / max(live_dose, 0.05) - 1.0))), max(0, frames // 6))
    starts = [
        coarse_search.search(
            coarse,
            b_factor_angstrom2=b_factor_angstrom2,
            max_shift_angstrom=max_shift_angstrom,
            remove_still=remove,
            pooled_frames=pooled,
        )
        for remove in (False, True)
    ]
    paths = [start.double().cpu().numpy() for start in starts]
    if np.sqrt(np.mean((paths[0] - paths[1]) ** 2)) < _SAME_START_ANGSTROM:
        del paths[1]
    # Too little or too much damage assumed can each hide the motion behind a fixed pattern: both are tried.
    coarse_bands = [coarse.with_amplitude(options[strength][:, :shells]) for strength in _FIRST_DAMAGE_STRENGTHS]
    candidates = [refine(one, path, rounds=4, floor=floor) for path in paths for one in coarse_bands]
    best = max(candidates, key=lambda c: c.log_evidence)
    if best.log_likelihood < _CLEAR_LOG_LIKELIHOOD_GAIN:
        path = coarse_search.search_paths(coarse, max_shift_angstrom).double().cpu().numpy()
        candidates += [refine(one, path, rounds=6, floor=floor) for one in coarse_bands]
        best = max(candidates, key=lambda c: c.log_evidence)
    damage_strength = likeliest_damage(coarse, best.shift_angstrom, options, floor)
    best, floor = without_needless_pattern(coarse.with_amplitude(options[damage_strength]), best, floor, rounds=4)
    band = band.with_amplitude(options[damage_strength])
    final = refine(band, best.shift_angstrom, rounds=_ROUNDS, floor=floor, prior=best.prior)
    final, floor = without_needless_pattern(band, final, floor, rounds=_ROUNDS)
    again = likeliest_damage(band, final.shift_angstrom, options, floor)
    if again != damage_strength:
        damage_strength = again
        band = band.with_amplitude(options[damage_strength])
        final = refine(band, final.shift_angstrom, rounds=_ROUNDS, floor=floor, prior=final.prior)
    chi_square = split_agreement(band, final)
    total = np.abs(final.shift_angstrom - final.shift_angstrom.mean(axis=0)).max()
    return WholeFrameMotion(
        final.shift_angstrom,
        final.posterior.sd_angstrom,
        final.log_likelihood,
        chi_square,
        bool(total > 2.0 * max_shift_angstrom),
        final.spectra,
        final.prior,
        damage_strength,
    )


def without_needless_pattern(
    band: Band, found: Refined, floor: float | None, rounds: int
) -> tuple[Refined, float | None]:
    """The refinement without a fixed pattern if the frames clearly say that there is none, and the floor to go on with.

    Where motion tells little, a pattern is assumed: a specimen that stands still loses less by that than a gain
    residual that is taken for one would cost.
    """
    if not found.spectra.has_pattern:
        return found, floor
    without = refine(band, found.shift_angstrom, rounds=rounds, floor=None, prior=found.prior)
    with_pattern = refine(band, found.shift_angstrom, rounds=1, floor=floor, prior=found.prior)
    if without.log_evidence > with_pattern.log_evidence + _CLEAR_EVIDENCE:
        return without, None
    return found, floor


def likeliest_damage(
    band: Band, shift_angstrom: npt.NDArray[np.float64], amplitudes: dict[float, Tensor], floor: float | None
) -> float:
    """The strength of radiation damage, among those offered, under which the aligned frames are likeliest.

    Specimens differ in how fast they fade, and ice hardly fades at all. With too much damage assumed, what the late
    frames still show looks like a pattern that stands still, and they are pulled towards it.
    """
    at = torch.as_tensor(shift_angstrom)

    def likelihood(strength: float) -> float:
        faded = band.with_amplitude(amplitudes[strength])
        sums = align_sums(faded, at)
        spectra = estimate_spectra(measure_moments(faded, sums), band.frame_count, floor=floor)
        return log_likelihood(faded, sums, spectra)[0]

    return max(amplitudes, key=likelihood)


@dataclass(frozen=True, slots=True)
class Refined:
    """A maximum of the posterior."""

    shift_angstrom: npt.NDArray[np.float64]
    posterior: smooth_prior.Posterior
    spectra: MotionSpectra
    log_likelihood: float
    """Evidence of a specimen that moves like this, over noise and fixed pattern."""
    log_evidence: float
    prior: smooth_prior.StepPrior


def refine(
    band: Band,
    start_angstrom: npt.NDArray[np.float64],
    *,
    rounds: int,
    floor: float | None,
    prior: smooth_prior.StepPrior | None = None,
) -> Refined:
    """Fisher scoring with weights and smoothness re-estimated as the alignment improves.

    `floor` is what `pattern_floor` found; None: there is no fixed pattern. Shells in which the frames do not agree yet
    have no weight, so that the fit goes from coarse to fine by itself.
    """
    shift = start_angstrom.astype(np.float64)
    prior = smooth_prior.StepPrior() if prior is None else prior
    frames = band.frame_count
    sums = align_sums(band, torch.as_tensor(shift))
    spectra = estimate_spectra(measure_moments(band, sums), frames, floor=floor)
    posterior: smooth_prior.Posterior | None = None
    for index in range(rounds):
        at = torch.as_tensor(shift)
        evaluation = evaluate(band, at, sums, spectra)
        trust = TEMPER * band.independent_fraction
        information = trust * fisher_information(band, at, spectra)
        score = trust * evaluation.gradient_per_angstrom.T.reshape(-1) + information @ shift.T.reshape(-1)
        if index in (0, 1, 3):
            prior = smooth_prior.learn(information, score, frames, prior)
        posterior = smooth_prior.solve(information, score, frames, prior)
        move = posterior.shift_angstrom - shift
        largest = float(np.abs(move).max())
        shift = shift + move * min(1.0, 4.0 / max(largest, 1e-9))
        sums = align_sums(band, torch.as_tensor(shift))
        spectra = estimate_spectra(measure_moments(band, sums), frames, floor=floor)
        if largest < _CONVERGED_ANGSTROM:
            break
    assert posterior is not None
    likelihood, pattern_likelihood = log_likelihood(band, sums, spectra)
    steps = np.diff(shift, axis=0)
    v = prior.covariance(frames - 1)
    quadratic = float(np.einsum("ta,ta->", steps, np.linalg.solve(v + 1e-9 * np.eye(len(v)), steps)))
    # Laplace: height times volume, or a path that hardly moves would win by its tight prior alone.
    evidence = TEMPER * band.independent_fraction * likelihood - 0.5 * quadratic + posterior.log_volume
    return Refined(
        shift,
        posterior,
        spectra,
        likelihood - pattern_likelihood,
        evidence,
        prior,
    )


def split_agreement(band: Band, final: Refined) -> float:
    """Reduced chi-square between estimates from two interleaved halves of the coefficients (prior-free, 1 expected)."""
    frames = band.frame_count
    at = torch.as_tensor(final.shift_angstrom)
    sums = align_sums(band, at)
    first, second = evaluate(band, at, sums, final.spectra).gradient_parts_per_angstrom
    # At the same point both gradients are noise of known covariance: their difference is tested without inverting
    # the poorly determined directions.
    difference = (first - second).T.reshape(-1)
    covariance = fisher_information(band, at, final.spectra)
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 1e-6 * values[-1] if values[-1] > 0 else np.zeros(values.shape, dtype=bool)
    if not keep.any():
        return float("inf")
    z = (vectors.T @ difference)[keep] / np.sqrt(values[keep])
    return float((z**2).sum() / max(1, min(int(keep.sum()), 2 * (frames - 1))))
