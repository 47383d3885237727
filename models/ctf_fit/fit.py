"""One micrograph in, its contrast transfer function out: with errors, or an honest word that there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit.band import ICE_BAND_PER_ANGSTROM, Background, Band, fit_background, select_band
from frazil.models.ctf_fit.centred import LOWEST_PER_ANGSTROM, CentredFit, Field, crop_to_band, fit_centred
from frazil.models.ctf_fit.coarse_search import LARGEST_ASTIGMATISM_SHARE, Candidate, search
from frazil.models.ctf_fit.periodogram import PowerMap, block_size, flatten_image, power_map, rebin, transform_power
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.report import (
    MAX_ASTIGMATISM_ANGSTROM,
    CtfFit,
    FittedRings,
    error_scale,
    nothing,
    report,
    rings_between,
    widening,
    with_astigmatism_prior,
)
from frazil.models.ctf_fit.ring_model import PARAMETER_SCALE_ANGSTROM, RingParameters, ring_parameters
from frazil.models.ctf_fit.signal_window import signal_window
from frazil.models.ctf_fit.tilt import Tilt, fit_tilt
from frazil.models.ctf_fit.verdict import LEAST_GAIN, LEAST_MARGIN, LEAST_RINGS, NO_RINGS, TOO_COARSE, Evidence
from frazil.models.ctf_fit.whittle import RingFit, WhittleFit

__all__ = ["CtfFit", "fit_ctf"]

_REFINED_CANDIDATES = 5
_FIRST_STEPS = 8
_CLEAR_SCORE = 20.0
"""Standard deviations beyond which the search needs no second look."""
_COARSEST_FIT_PER_ANGSTROM = 0.003
_COARSEST_REPORT_PER_ANGSTROM = 0.0012
_CENTRED_STARTS = 3
_CENTRED_CANDIDATES = 4
_SEARCH_GAIN = 40.0
_NEW_GAIN = 35.0
_NEW_RINGS = 2.2
"""Where the whole image shows no rings, or others, the particles have to show more, over more rings (a photograph's
own texture shows one) ..."""
_NEW_DISPLACEMENT_ANGSTROM = 40.0
"""... and where the two images of a detail lie further apart than the density resolves: power without displacement has
rings of its own, and particles' form factors with them."""
WATER_RING_END_PER_ANGSTROM = 0.3125
"""The rings are refined up to here, the far side of amorphous water's broad maximum at 3.7 A: where ice scatters most
and a ring's phase is steepest in defocus. The search ends where the settings say."""
_WATER_FROM_PER_ANGSTROM = 0.23
_WIDE_STEPS = 12
_SURE_START, _WIDEST_START = 0.1, 0.25
"""Standard deviations of defocus, in turns of the last rings, up to which one start finds them, and three do."""
_CRYSTALLINE = 1.6
"""Dispersion of the residuals in the ice band above which it is left out: reflections."""
HIGHEST_CENTRED_PER_ANGSTROM = 0.2
"""Where the whole image leaves the rings uncertain there are none beyond."""
SMALLEST_CENTRED_ANGSTROM = 500.0
SHARP_ENOUGH_ANGSTROM = 12.0
"""Standard deviation of the defocus at which nothing need be won."""
SURE_MARGIN = 15.0
_NEAR_ANGSTROM = 600.0
_CORRELATED = 0.8
"""Of the chance that two answers share: their bands differ."""
_AGREEING = 4.0
"""Standard deviations within which the whole image's answer and the centred one are the same ..."""
_SUPPORTING_GAIN = 10.0
"""... and what the former must show to be one at all."""
_CENTRED_VARIANCE = 2.5
"""Of the centred answer, of what its curvature says (`report.widening`)."""
_WINDOW_HANDICAP = 0.5
"""Standard deviations by which the matched filter must prefer the windowed spectrum: chance has a say in it."""


def fit_ctf(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    optics: RingOptics,
    settings: CtfSettings,
    fit_phase_shift: bool = False,
    halves: tuple[Tensor, Tensor] | None = None,
    weighted: Tensor | None = None,
    electrons_per_px: float | None = None,
    device: torch.device,
) -> CtfFit:
    """Fit defocus U, V, angle (and the phase shift) to the Thon rings of `image` (h, w).

    `weighted` (same shape) is the dose-weighted sum whose noise is white again: the rings are fitted to it where it is
    given, because damage leaves less of them in the plain sum; the spectra are those of `image` in any case.

    The search covers settings.min_defocus ... max_defocus and astigmatism up to 5,000 A without a guess. `halves` (even
    and odd frames, same shape) give the half-set FRC. `electrons_per_px` is the mean number of electrons per pixel of
    `image` when its values are electrons: spectra are then in units of the shot noise; without it they are in units of
    the power in the highest tenth of the frequencies.

    Raises
    ------
    ValueError
        If the image is not two-dimensional, smaller than 64 px or not finite, or an optical constant is impossible.
    """
    image = _on(device, image)
    limits = _limits(0.5 / pixel_size_angstrom, settings, fit_phase_shift=fit_phase_shift)
    if limits.high_per_angstrom < 1.5 * limits.low_per_angstrom:
        return nothing(limits.nyquist_per_angstrom, settings, flag=TOO_COARSE)
    block = _block(image, pixel_size_angstrom, optics, limits)
    fitted = _transformed(image, pixel_size_angstrom, block)
    spectrum = fitted.spectrum
    if not bool((spectrum.power > 0.0).any()):
        return nothing(limits.nyquist_per_angstrom, settings, flag=NO_RINGS)
    if weighted is not None and weighted is not image:
        fitted = _transformed(_on(device, weighted), pixel_size_angstrom, block)
    look = _clearest_look(fitted, optics, limits)
    fits, evidence = _fit_rings(look, optics, limits)
    fit = fits[0]
    field = _centred_field(fitted, limits)
    if field is not None:
        fit, evidence = _bring_home(fits, look.candidates, evidence, field, optics, limits)
    if fit is fits[0]:
        fit = with_astigmatism_prior(fit, evidence.dispersion)
    tilt: Tilt | None = None
    if field is not None and evidence.gain >= LEAST_GAIN:
        tilt = fit_tilt(field, optics, fit.parameters, by_density=fit.fit_per_angstrom is not None)
    low, high = limits.low_per_angstrom, limits.high_per_angstrom
    factor = _rebinning(spectrum, optics, fit.parameters, high, _COARSEST_REPORT_PER_ANGSTROM)
    plain_map, fitted_map = rebin(spectrum, factor), rebin(look.spectrum, factor)
    return report(
        FittedRings(plain_map, fitted_map, optics, fit, evidence, tilt, low, high),
        settings,
        halves=None if halves is None else (_on(device, halves[0]), _on(device, halves[1])),
        pixel_size_angstrom=pixel_size_angstrom,
        electrons_per_px=electrons_per_px,
    )


def _on(device: torch.device, image: Tensor) -> Tensor:
    return image.to(device=device, dtype=torch.float32)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Where rings are looked for: frequencies in 1/A, defocus as the settings say."""

    nyquist_per_angstrom: float
    low_per_angstrom: float
    high_per_angstrom: float
    """End of the search."""
    farthest_per_angstrom: float
    """End of the refinement."""
    fit_phase_shift: bool
    settings: CtfSettings


def _limits(nyquist: float, settings: CtfSettings, *, fit_phase_shift: bool) -> _Limits:
    high = min(1.0 / settings.max_resolution_angstrom, 0.95 * nyquist)
    # Who asks for less than the default range is not given more.
    farthest = high if high < _WATER_FROM_PER_ANGSTROM else min(WATER_RING_END_PER_ANGSTROM, 0.95 * nyquist)
    return _Limits(nyquist, 1.0 / settings.min_resolution_angstrom, high, farthest, fit_phase_shift, settings)


def _block(image: Tensor, pixel_size_angstrom: float, optics: RingOptics, limits: _Limits) -> int:
    """Samples of the transform along each axis whose power is averaged: as many as the largest defocus allows."""
    settings = limits.settings
    displacement = 2.0 * optics.wavelength_angstrom * settings.max_defocus_angstrom * limits.farthest_per_angstrom
    height_angstrom, width_angstrom = (length * pixel_size_angstrom for length in image.shape)
    block = block_size(height_angstrom, width_angstrom, displacement_angstrom=displacement)
    # settings.box_px: the spectrum is never coarser than that of a box of so many pixels.
    return max(1, min(block, min(image.shape) // settings.box_px))


@dataclass(frozen=True, slots=True)
class _Transformed:
    """An image (h, w), its transform (h, w // 2 + 1) and the map of its power."""

    image: Tensor
    transform: Tensor
    spectrum: PowerMap
    pixel_size_angstrom: float
    block: int


def _transformed(image: Tensor, pixel_size_angstrom: float, block: int) -> _Transformed:
    transform = torch.fft.rfft2(flatten_image(image))
    spectrum = transform_power(transform, image.shape[1], pixel_size_angstrom, block=block)
    return _Transformed(image, transform, spectrum, pixel_size_angstrom, block)


def _clearest_look(fitted: _Transformed, optics: RingOptics, limits: _Limits) -> _Look:
    """The whole image's spectrum, or, where its rings are faint, that of the places with specimen if it shows more."""
    look = _look(fitted.spectrum, optics, limits)
    if look.candidates[0].score >= _CLEAR_SCORE:
        return look
    pixel_size = fitted.pixel_size_angstrom
    window = signal_window(fitted.image, fitted.spectrum, pixel_size)
    if window is None:
        return look
    windowed = power_map(fitted.image, pixel_size, block=fitted.block, weight=window.weight, share=window.share)
    other = _look(windowed, optics, limits)
    return other if other.candidates[0].score > look.candidates[0].score + _WINDOW_HANDICAP else look


def _centred_field(fitted: _Transformed, limits: _Limits) -> Field | None:
    """The image in the band of the centred rings; None where it is too small or too coarse for them."""
    high = min(limits.high_per_angstrom, HIGHEST_CENTRED_PER_ANGSTROM)
    pixel_size, shape = fitted.pixel_size_angstrom, fitted.image.shape
    shorter_angstrom = min(length * pixel_size for length in shape)
    if not (high > 1.5 * LOWEST_PER_ANGSTROM and shorter_angstrom > SMALLEST_CENTRED_ANGSTROM):
        return None
    return crop_to_band(fitted.transform, shape[1], pixel_size, low=limits.low_per_angstrom, high=high)


@dataclass(frozen=True, slots=True)
class _Look:
    """One spectrum of the micrograph and what the search saw in it."""

    spectrum: PowerMap
    background: Background
    band: Band
    candidates: list[Candidate]


def _look(spectrum: PowerMap, optics: RingOptics, limits: _Limits) -> _Look:
    low, high = limits.low_per_angstrom, limits.high_per_angstrom
    background = fit_background(spectrum, low=low, high=high)
    band = select_band(spectrum, background, low=low, high=high, mask_ice=True)
    candidates = search(
        band,
        optics,
        min_defocus_angstrom=limits.settings.min_defocus_angstrom,
        max_defocus_angstrom=limits.settings.max_defocus_angstrom,
        max_astigmatism_angstrom=MAX_ASTIGMATISM_ANGSTROM,
        fit_phase_shift=limits.fit_phase_shift,
    )
    return _Look(spectrum, background, band, candidates)


def _fit_rings(look: _Look, optics: RingOptics, limits: _Limits) -> tuple[list[RingFit], Evidence]:
    """Fits of the band, best first and all different, and the evidence for and against the best."""
    settings, high, fit_phase_shift = limits.settings, limits.high_per_angstrom, limits.fit_phase_shift
    likelihoods: dict[int, WhittleFit] = {}

    def at(parameters: RingParameters) -> WhittleFit:
        factor = _rebinning(look.spectrum, optics, parameters, high, _COARSEST_FIT_PER_ANGSTROM)
        if factor not in likelihoods:
            spectrum = rebin(look.spectrum, factor)
            band = look.band
            if factor > 1:
                band = select_band(
                    spectrum, look.background, low=band.low_per_angstrom, high=band.high_per_angstrom, mask_ice=True
                )
            likelihoods[factor] = WhittleFit(band, optics, spectrum)
        return likelihoods[factor]

    fits: list[RingFit] = []
    for candidate in _distinct(look.candidates)[:_REFINED_CANDIDATES]:
        start = _start(candidate)
        fall_off = candidate.fall_off_square_angstrom
        fits.append(at(start).maximise(start, fit_phase_shift=fit_phase_shift, fall_off=fall_off, steps=_FIRST_STEPS))
    fits.sort(key=lambda fit: -fit.log_posterior_gain)
    fits[:2] = [
        fit
        if fit.converged
        else at(fit.parameters).maximise(fit.parameters, fit_phase_shift=fit_phase_shift, curves=fit)
        for fit in fits[:2]
    ]
    fits.sort(key=lambda fit: -fit.log_posterior_gain)
    best = fits[0]
    tone = 1.0 / (optics.wavelength_angstrom * high * high)
    others = [fit for fit in fits[1:] if _far(fit.parameters, best.parameters, 0.5 * tone)]
    likelihood = at(best.parameters)
    dispersion = likelihood.residual_dispersion(best)
    margin = (best.log_posterior_gain - max((fit.log_posterior_gain for fit in others), default=0.0)) / dispersion
    # What scatters more than chance is also less like chance: the refined likelihood has to show more for it.
    doubt = math.sqrt(dispersion)
    best, dispersion = _refine(look, best, dispersion, likelihood, optics, limits)
    evidence = Evidence(
        coarse_score=look.candidates[0].score,
        gain=best.log_posterior_gain / (dispersion * doubt),
        margin=margin,
        dispersion=dispersion,
        converged=best.converged,
        inside_search_range=bool(
            settings.min_defocus_angstrom - 0.5 * tone
            <= best.parameters.defocus_angstrom
            <= settings.max_defocus_angstrom + 0.5 * tone
            and best.parameters.astigmatism_angstrom <= LARGEST_ASTIGMATISM_SHARE * best.parameters.defocus_angstrom
        ),
    )
    return [best, *others], evidence


def _refine(
    look: _Look, best: RingFit, dispersion: float, likelihood: WhittleFit, optics: RingOptics, limits: _Limits
) -> tuple[RingFit, float]:
    """The best answer again, up to the water's maximum, every ring weighted by how far its samples can be trusted.

    A few particles' samples of one ring are correlated, and crystals are no rings at all: where residuals scatter more
    than chance, a ring counts for as much less. Returns the fit and the dispersion that is left.
    """
    phase, farthest = limits.fit_phase_shift, limits.farthest_per_angstrom
    low, high = limits.low_per_angstrom, limits.high_per_angstrom
    answers = [(best, likelihood)]
    sd, turn = error_scale(best, dispersion), _turn(optics, farthest)
    if farthest > 1.05 * high and sd < _WIDEST_START * turn:
        factor = _rebinning(look.spectrum, optics, best.parameters, farthest, _COARSEST_FIT_PER_ANGSTROM)
        spectrum = rebin(look.spectrum, factor)
        background = fit_background(spectrum, low=low, high=farthest)
        for mask_ice in (False, True):
            band = select_band(spectrum, background, low=low, high=farthest, mask_ice=mask_ice)
            wide = WhittleFit(band, optics, spectrum)
            wide_fit = _nearest(wide, best.parameters, sd, turn, fit_phase_shift=phase)
            if wide_fit is None or _moved(wide_fit.parameters, best.parameters) > 4.0 * sd + 0.02 * turn:
                continue  # crystals may have pulled it away: without their band it may stay
            if mask_ice or wide.dispersion_in(wide_fit, *ICE_BAND_PER_ANGSTROM) < _CRYSTALLINE:
                answers.append((wide_fit, wide))
                break
    fit, likelihood = answers[-1]
    trusted = likelihood.trusted(fit)
    fit = trusted.maximise(fit.parameters, fit_phase_shift=phase, curves=fit, steps=_WIDE_STEPS)
    return fit, trusted.residual_dispersion(fit)


def _nearest(
    likelihood: WhittleFit, start: RingParameters, sd: float, turn: float, *, fit_phase_shift: bool
) -> RingFit | None:
    """Maximum near an answer of which the last rings may be off by part of a turn; None where two do equally well."""
    offsets = (0.0,) if sd < _SURE_START * turn else (0.0, -1.3 * sd, 1.3 * sd)
    fits = [
        likelihood.maximise(
            replace(start, defocus_angstrom=start.defocus_angstrom + offset),
            fit_phase_shift=fit_phase_shift,
            steps=_WIDE_STEPS,
        )
        for offset in offsets
    ]
    fits.sort(key=lambda fit: -fit.log_posterior_gain)
    best = fits[0]
    others = [fit for fit in fits[1:] if _moved(fit.parameters, best.parameters) > 0.3 * turn]
    if others and others[0].log_posterior_gain > best.log_posterior_gain - LEAST_MARGIN:
        return None
    return best


def _moved(first: RingParameters, second: RingParameters) -> float:
    return abs(first.defocus_angstrom - second.defocus_angstrom)


def _turn(optics: RingOptics, high: float) -> float:
    """Defocus (A) by which the rings turn once at `high` (1/A)."""
    return 2.0 * math.pi / (optics.defocus_gradient * high * high)


@dataclass(frozen=True, slots=True)
class _WholeAnswer:
    """What the whole image's rings gave before the particles were asked."""

    fit: RingFit
    sd_angstrom: float
    """Of the mean defocus, widened."""
    evidence: Evidence

    @property
    def sure(self) -> bool:
        return self.evidence.margin > SURE_MARGIN

    def supports(self, centred: CentredFit) -> bool:
        """Whether it is the same answer, and worth something."""
        scale = math.sqrt(max(float(centred.covariance[0, 0]), 0.0) * _CENTRED_VARIANCE)
        near = _moved(centred.parameters, self.fit.parameters) <= _AGREEING * math.hypot(self.sd_angstrom, scale)
        return near and self.evidence.gain >= _SUPPORTING_GAIN


def _bring_home(
    fits: list[RingFit],
    candidates: list[Candidate],
    evidence: Evidence,
    field: Field,
    optics: RingOptics,
    limits: _Limits,
) -> tuple[RingFit, Evidence]:
    """Both answers together where they are one, the centred rings' where only they show any, else the whole image's
    (the first of `fits`, as it is)."""
    first = fits[0]
    whole = _WholeAnswer(first, error_scale(first, evidence.dispersion), evidence)
    if whole.sd_angstrom < SHARP_ENOUGH_ANGSTROM and whole.sure:
        return first, evidence
    tried = _centred_answers(whole, fits, candidates, field, optics, limits)
    pairs = [pair for pair in tried if _shows_rings(pair[1], field, optics, supported=whole.supports(pair[1]))]
    if not pairs:
        return first, evidence
    pairs.sort(key=lambda pair: -pair[1].gain)
    start, best = pairs[0]
    supported = whole.supports(best)
    contradicted = whole.sure and evidence.gain >= LEAST_GAIN and not supported
    if not math.isfinite(float(best.covariance[0, 0])) or contradicted:
        return first, evidence
    fit = replace(
        start,
        parameters=best.parameters,
        covariance=best.covariance,
        log_likelihood_gain=best.gain,
        fit_per_angstrom=best.reach,
        converged=True,
    )
    others = [other.gain for _, other in pairs[1:] if _far(other.parameters, best.parameters, _NEAR_ANGSTROM)]
    gain, margin = best.gain, best.gain - max(others, default=0.0)
    if supported:
        fit = _together(first, evidence.dispersion, fit, best.share)
        # Agreement makes the answer a better one, but does not by itself show that there are rings.
        shown = evidence.gain >= LEAST_GAIN or best.gain >= _NEW_GAIN
        gain = max(best.gain, evidence.gain) if shown else evidence.gain
        margin = max(evidence.margin, margin)
    low, high = limits.settings.min_defocus_angstrom, limits.settings.max_defocus_angstrom
    inside = low <= best.parameters.defocus_angstrom <= high
    return fit, replace(evidence, gain=gain, margin=margin, dispersion=1.0, converged=True, inside_search_range=inside)


def _centred_answers(
    whole: _WholeAnswer,
    fits: list[RingFit],
    candidates: list[Candidate],
    field: Field,
    optics: RingOptics,
    limits: _Limits,
) -> list[tuple[RingFit, CentredFit]]:
    """Centred fits, each with the whole image's fit from which it started."""
    phase = limits.fit_phase_shift
    starts = fits[:1] if whole.sure else fits[:_CENTRED_STARTS]
    tried = [(fit, fit_centred(field, optics, fit.parameters, fit_phase_shift=phase)) for fit in starts]
    if whole.evidence.gain >= _SEARCH_GAIN:
        return tried
    # The whole image hardly shows rings: the particles are asked at every defocus.
    defocus_range = (limits.settings.min_defocus_angstrom, limits.settings.max_defocus_angstrom)
    for place in _scan([_start(candidate) for candidate in candidates[:_CENTRED_CANDIDATES]], optics, defocus_range):
        if all(_far(place, other.parameters, _NEAR_ANGSTROM) for _, other in tried if other.gain > LEAST_GAIN):
            centred = fit_centred(field, optics, place, fit_phase_shift=phase, rounds=1)
            if centred.gain > LEAST_GAIN:
                centred = fit_centred(field, optics, centred.parameters, fit_phase_shift=phase, rounds=1)
            tried.append((replace(fits[0], parameters=place), centred))
    return tried


def _shows_rings(centred: CentredFit, field: Field, optics: RingOptics, *, supported: bool) -> bool:
    """Enough evidence over enough rings; more of both where the whole image does not say the same."""
    rings = rings_between(optics, centred.parameters, field.low_per_angstrom, centred.reach)
    apart = 2.0 * optics.wavelength_angstrom * abs(centred.parameters.defocus_angstrom) * centred.reach
    least_gain, least_rings = (LEAST_GAIN, LEAST_RINGS) if supported else (_NEW_GAIN, _NEW_RINGS)
    enough = centred.gain >= least_gain and rings >= least_rings
    return enough and (supported or apart >= _NEW_DISPLACEMENT_ANGSTROM)


def _together(whole: RingFit, dispersion: float, centred: RingFit, share: float) -> RingFit:
    """Best linear combination of two answers whose errors are correlated: chance in the particles' places is in both.

    Power summed over an area and over the same area weighted share the root of the weight's `share` of their chance;
    bands differ. Where the two disagree by more than both errors say, the result's is the larger.
    """
    free = 4 if centred.covariance[3, 3] > 0.0 else 3
    scale = np.array([PARAMETER_SCALE_ANGSTROM] * 3 + [1.0])[:free]
    fits, widened = (whole, centred), (widening(whole, dispersion), widening(centred, 1.0))
    first, second = (fit.covariance[:free, :free] * factor for fit, factor in zip(fits, widened, strict=True))
    answers = [fit.parameters.vector()[:free] * scale for fit in fits]
    sharper, other = sorted((math.sqrt(first[0, 0]), math.sqrt(second[0, 0])))
    correlation = min(_CORRELATED * math.sqrt(share), 0.9 * sharper / other)
    # In units of each answer's own errors the covariance of both is as simple as can be.
    roots = [np.linalg.cholesky(matrix) for matrix in (first, second)]
    cross = correlation * roots[0] @ roots[1].T
    inverse = np.linalg.inv(np.block([[first, cross], [cross.T, second]]))
    design = np.vstack([np.eye(free)] * 2)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    mean = covariance @ design.T @ inverse @ np.concatenate(answers)
    apart = answers[0] - answers[1]
    disagreement = float(apart @ np.linalg.solve(first + second - cross - cross.T, apart)) / free
    vector = centred.parameters.vector()
    vector[:free] = mean / scale
    whole_covariance = np.zeros((4, 4))
    whole_covariance[:free, :free] = covariance * max(1.0, disagreement) / widened[1]
    return replace(centred, parameters=ring_parameters(vector), covariance=whole_covariance)


def _scan(
    candidates: list[RingParameters], optics: RingOptics, defocus_range: tuple[float, float]
) -> list[RingParameters]:
    """Places from which the centred rings find any defocus: each reaches about a radian at 1/10 A to either side."""
    low, high = defocus_range
    step = 2.4 / (optics.defocus_gradient * 0.01)
    return [*candidates, *(RingParameters(float(dz), 0.0, 0.0, 0.0) for dz in np.arange(max(low, 5000.0), high, step))]


def _rebinning(spectrum: PowerMap, optics: RingOptics, parameters: RingParameters, high: float, coarsest: float) -> int:
    """How many samples of the map may still be averaged at this defocus, up to a spacing of `coarsest` (1/A)."""
    largest = abs(parameters.defocus_angstrom) + 0.5 * parameters.astigmatism_angstrom
    displacement = 2.0 * optics.wavelength_angstrom * max(largest, 3000.0) * high
    block = block_size(spectrum.height_angstrom, spectrum.width_angstrom, displacement_angstrom=displacement)
    return max(1, min(block // spectrum.block, int(coarsest / spectrum.spacing_per_angstrom)))


def _start(candidate: Candidate) -> RingParameters:
    half = 0.5 * candidate.astigmatism_angstrom
    return RingParameters(
        candidate.defocus_angstrom,
        half * math.cos(2.0 * candidate.angle_rad),
        half * math.sin(2.0 * candidate.angle_rad),
        candidate.phase_shift_rad,
    )


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Without those from which a better one with another fall-off starts as well: in the same place."""
    kept: list[Candidate] = []
    for candidate in candidates:
        start = _start(candidate)
        if all(_far(start, _start(other), 1e-3) for other in kept):
            kept.append(candidate)
    return kept


def _far(first: RingParameters, second: RingParameters, distance: float) -> bool:
    """Whether two fits are different answers rather than one reached twice."""
    step = np.abs(first.vector()[:3] - second.vector()[:3]) * 1000.0
    return bool(step.max() > distance)
