"""From the fitted rings to what frazil keeps: the estimate with its errors, the spectra, the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.config.settings import CtfSettings
from frazil.models.conventions import wrap_astigmatism_angle_deg
from frazil.models.ctf_fit import map_kernels
from frazil.models.ctf_fit.band import Band, FloatArray, fit_background, radial_mean, select_band
from frazil.models.ctf_fit.diagnostic import DIAGNOSTIC_PX, diagnostic_image
from frazil.models.ctf_fit.fit_end import fit_end
from frazil.models.ctf_fit.periodogram import PowerMap, half_frc
from frazil.models.ctf_fit.phase import RingOptics, astigmatism_precision
from frazil.models.ctf_fit.profiles import (
    RingProfile,
    correlation,
    equiphase_frequency,
    ice_ring_density,
    ring_profile,
)
from frazil.models.ctf_fit.ring_model import PARAMETER_SCALE_ANGSTROM, RingParameters, ring_contrast, ring_parameters
from frazil.models.ctf_fit.tilt import Tilt
from frazil.models.ctf_fit.verdict import NO_RINGS, Evidence, judge
from frazil.models.ctf_fit.whittle import RingFit, WhittleFit
from frazil.models.records import CtfEstimate, Spectra

MAX_ASTIGMATISM_ANGSTROM = 5000.0
SPECTRUM_POINTS = 200
_CENTRED_WIDENING = 2.5
LOWEST_SPECTRUM_PER_ANGSTROM = 1.0 / 80.0
_LEAST_ICE_BIN_PER_ANGSTROM = 0.003
_END_OF_ICE_PER_ANGSTROM = 0.34
"""Beyond the innermost reflections of crystalline ice (3.90, 3.67, 3.44 A; Dowell & Rinfret 1960, Nature 188, 1144)."""


@dataclass(frozen=True, slots=True)
class CtfFit:
    """estimate and spectra as the records say; diagnostic: see `diagnostic_image`; evidence: what the verdict saw."""

    estimate: CtfEstimate
    spectra: Spectra
    diagnostic: NDArray[np.float32]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class FittedRings:
    """The fit and the spectra that it is reported from."""

    spectrum: PowerMap
    """Of the plain sum: noise, power and amplitudes are its own."""
    fitted: PowerMap
    """In which the rings were fitted: how far they go is judged there. May be `spectrum` itself."""
    optics: RingOptics
    fit: RingFit
    evidence: Evidence
    tilt: Tilt | None
    low_per_angstrom: float
    high_per_angstrom: float
    """The band in which rings were looked for."""


def report(
    rings: FittedRings,
    settings: CtfSettings,
    *,
    halves: tuple[Tensor, Tensor] | None,
    pixel_size_angstrom: float,
    electrons_per_px: float | None,
) -> CtfFit:
    """Estimate, spectra and picture of a fit; `halves` and `electrons_per_px` as in `fit_ctf`."""
    spectrum, optics, parameters = rings.spectrum, rings.optics, rings.fit.parameters
    low = max(LOWEST_SPECTRUM_PER_ANGSTROM, 4.0 * spectrum.spacing_per_angstrom)
    high = 0.99 * spectrum.nyquist_per_angstrom
    plain = _whole(spectrum, optics, parameters, low=low, high=high)
    # Where the rings were fitted is where it is judged how far they go.
    same = rings.fitted is spectrum
    seen = plain if same else _whole(rings.fitted, optics, parameters, low=low, high=high)
    ratio = seen.band.ratio / torch.from_numpy(seen.nu + seen.delta).to(plain.band.ratio)[seen.band.ring]
    frequency = equiphase_frequency(plain.band.kx, plain.band.ky, optics, parameters)
    estimate = _estimate(rings, _profile(rings, seen.band, ratio, frequency), settings)
    resolution = estimate.fit_resolution_angstrom
    diagnostic = diagnostic_image(
        ratio,
        seen.band.count,
        plain.band.kx,
        plain.band.ky,
        optics,
        parameters,
        highest_per_angstrom=min(spectrum.nyquist_per_angstrom, 1.15 * rings.high_per_angstrom),
        fit_per_angstrom=None if resolution is None else 1.0 / resolution,
        size_px=DIAGNOSTIC_PX if min(len(spectrum.kx), len(spectrum.ky) // 2) >= DIAGNOSTIC_PX // 2 else 256,
    )
    curves = _spectra(plain, frequency, spectrum.nyquist_per_angstrom, electrons_per_px, halves, pixel_size_angstrom)
    return CtfFit(estimate, curves, diagnostic, rings.evidence)


def _profile(rings: FittedRings, band: Band, ratio: Tensor, frequency: Tensor) -> RingProfile:
    """Observed and expected rings along the equiphase frequency."""
    optics, parameters = rings.optics, rings.fit.parameters
    contrast = ring_contrast(band.kx.cpu().numpy(), band.ky.cpu().numpy(), optics, rings.fitted, parameters)
    return ring_profile(
        ratio,
        band.count,
        torch.from_numpy(contrast).to(ratio),
        frequency,
        optics,
        parameters,
        low=rings.low_per_angstrom,
        high=band.high_per_angstrom,
        width=rings.spectrum.spacing_per_angstrom,
    )


def _estimate(rings: FittedRings, profile: RingProfile, settings: CtfSettings) -> CtfEstimate:
    """The record with its errors, and the verdict whether it may be used."""
    optics, fit, evidence, tilt = rings.optics, rings.fit, rings.evidence, rings.tilt
    parameters, low = fit.parameters, rings.low_per_angstrom
    end = fit_end(profile, optics, parameters)
    resolution = None if end is None else end.resolution_angstrom
    if fit.fit_per_angstrom is not None and (resolution is None or 1.0 / resolution < fit.fit_per_angstrom):
        end, resolution = None, 1.0 / fit.fit_per_angstrom
    score, _ = correlation(profile, low, rings.high_per_angstrom)
    sd_defocus, sd_astigmatism = _errors(fit, evidence.dispersion)
    rings_seen = 0.0 if resolution is None else rings_between(optics, parameters, low, 1.0 / resolution)
    reliable, flag = judge(evidence, sd_defocus, sd_astigmatism, rings_seen)
    if flag == NO_RINGS:
        # The curvature at a chance maximum says nothing: what is known is what was known before.
        sd_defocus, sd_astigmatism = _prior_errors(settings)
    half_astigmatism = 0.5 * parameters.astigmatism_angstrom
    return CtfEstimate(
        defocus_u_angstrom=parameters.defocus_angstrom + half_astigmatism,
        defocus_v_angstrom=parameters.defocus_angstrom - half_astigmatism,
        astigmatism_angle_deg=wrap_astigmatism_angle_deg(math.degrees(parameters.angle_rad)),
        phase_shift_deg=math.degrees(parameters.phase_shift_rad) % 180.0,
        defocus_sd_angstrom=sd_defocus,
        astigmatism_sd_angstrom=sd_astigmatism,
        fit_resolution_angstrom=None if flag == NO_RINGS else resolution,
        score=score,
        ice_ring_density=_ice_ring_density(rings.spectrum),
        reliable=reliable,
        flag=flag,
        tilt_angle_deg=None if tilt is None else tilt.angle_deg,
        tilt_sd_deg=None if tilt is None else tilt.sd_deg,
        tilt_axis_deg=None if tilt is None else tilt.axis_deg,
        fit_resolution_sd_angstrom=None if end is None or flag == NO_RINGS else end.sd_angstrom,
    )


def _ice_ring_density(spectrum: PowerMap) -> float:
    """From circles of the raw power: ice knows no defocus."""
    width = max(_LEAST_ICE_BIN_PER_ANGSTROM, 2.0 * spectrum.spacing_per_angstrom)
    bins = int(_END_OF_ICE_PER_ANGSTROM / width)
    power, count, ky, kx = spectrum.arrays(clipped=False)
    sums, counts = map_kernels.polar_sums(power, count, ky, kx, 0.0, width, bins, 1)
    raw, raw_count = sums[:, 0] / np.maximum(counts[:, 0], 1e-300), counts[:, 0]
    k = (np.arange(bins) + 0.5) * width
    raw_count = np.where(k < 0.97 * spectrum.nyquist_per_angstrom, raw_count, 0.0)
    return ice_ring_density(raw, raw_count, k)


def _spectra(
    plain: _Whole,
    frequency: Tensor,
    nyquist: float,
    electrons_per_px: float | None,
    halves: tuple[Tensor, Tensor] | None,
    pixel_size_angstrom: float,
) -> Spectra:
    """Radial curves along the equiphase frequency, in units of the shot noise where electrons were counted."""
    band, centres = plain.band, plain.band.ring_centres()
    unit = electrons_per_px
    if unit is None:
        top = (centres > 0.9 * nyquist) & (centres < band.high_per_angstrom)
        unit = float(np.median((plain.level * (plain.nu + plain.delta))[top]))
    width = nyquist / SPECTRUM_POINTS
    first = math.ceil(band.low_per_angstrom / width)
    last = int(band.high_per_angstrom / width)
    axis = (np.arange(first, last) + 0.5) * width
    power, _ = radial_mean(
        band.ratio * torch.from_numpy(plain.level).to(band.ratio)[band.ring],
        band.count,
        frequency,
        low=first * width,
        width=width,
        bins=last - first,
    )
    noise = np.interp(axis, centres, plain.level * plain.nu) / unit
    amplitude = np.interp(axis, centres, 2.0 * plain.level * plain.delta) / unit
    frc: tuple[float, ...] = ()
    if halves is not None:
        edges = torch.from_numpy(np.arange(first, last + 1) * width)
        frc = half_frc(*halves, pixel_size_angstrom, edges)
    return Spectra(
        frequency_per_angstrom=tuple(axis.tolist()),
        power=tuple((power / unit).tolist()),
        noise_power=tuple(noise.tolist()),
        ring_amplitude=tuple(amplitude.tolist()),
        half_frc=frc,
    )


@dataclass(frozen=True, slots=True)
class _Whole:
    """A whole spectrum with the rings held where the fit put them: band and, on its rings, level, nu and delta."""

    band: Band
    level: FloatArray
    nu: FloatArray
    delta: FloatArray


def _whole(spectrum: PowerMap, optics: RingOptics, parameters: RingParameters, *, low: float, high: float) -> _Whole:
    background = fit_background(spectrum, low=low, high=high)
    band = select_band(spectrum, background, low=low, high=high, mask_ice=False)
    nu, delta = WhittleFit(band, optics, spectrum).amplitudes(parameters)
    return _Whole(band, background.at(band.ring_centres()), nu, delta)


def rings_between(optics: RingOptics, parameters: RingParameters, low: float, high: float) -> float:
    """Periods of CTF^2 along the mean defocus between two frequencies (1/A)."""
    turns = optics.defocus_gradient * parameters.defocus_angstrom * (high**2 - low**2)
    turns -= optics.cs_term_angstrom4 * (high**4 - low**4)
    return abs(turns) / (2.0 * math.pi)


def _errors(fit: RingFit, dispersion: float) -> tuple[float, float]:
    """Standard deviations of the mean defocus and of U - V in A, widened where the model leaves residuals.

    Along the astigmatism's own direction; where it is smaller than its error, the mean over directions.
    """
    covariance = fit.covariance * widening(fit, dispersion)
    defocus = error_scale(fit, dispersion)
    components = np.array([fit.parameters.astigmatism_x_angstrom, fit.parameters.astigmatism_y_angstrom])
    inner = covariance[1:3, 1:3]
    size = float(np.hypot(*components))
    average = math.sqrt(max(0.5 * float(np.trace(inner)), 0.0))
    if not size > average:
        return defocus, 2.0 * average
    direction = components / size
    return defocus, 2.0 * math.sqrt(max(float(direction @ inner @ direction), 0.0))


def widening(fit: RingFit, dispersion: float) -> float:
    """By how much the variance is larger than the curvature at the maximum says.

    The curvature at a maximum that stands little above the noise is too sharp: simulated movies whose gain is 20
    scatter 1.4 times as far as it says, and as it says where the gain is in the hundreds. Centred rings are of few
    particles, whose own transforms scatter more than a continuous field does.
    """
    centred = _CENTRED_WIDENING if fit.fit_per_angstrom is not None else 1.0
    return dispersion * centred * (1.0 + 20.0 / max(fit.log_likelihood_gain, 1.0))


def with_astigmatism_prior(fit: RingFit, dispersion: float) -> RingFit:
    """The fit where likelihood and prior of the astigmatism together are highest, in the quadratic approximation.

    A faint ring pattern leaves hundreds of angstroms of astigmatism open, and its maximum lies far out more often than
    the truth does.
    """
    widened = fit.covariance[:3, :3] * widening(fit, dispersion)
    if not np.all(np.isfinite(widened)) or np.linalg.det(widened) <= 0.0:
        return fit
    free = 4 if fit.covariance[3, 3] > 0.0 else 3
    widened = fit.covariance[:free, :free] * widening(fit, dispersion)
    information = np.linalg.inv(widened)
    scale = np.array([PARAMETER_SCALE_ANGSTROM] * 3 + [1.0])[:free]
    measured = fit.parameters.vector()[:free] * scale
    mean, inverse = measured, widened
    for _ in range(8):
        pull = astigmatism_precision(2.0 * math.hypot(mean[1], mean[2]))
        inverse = np.linalg.inv(information + np.diag([0.0, pull, pull, 0.0][:free]))
        mean = inverse @ information @ measured
    vector = fit.parameters.vector()
    vector[:free] = mean / scale
    covariance = np.zeros((4, 4))
    covariance[:free, :free] = inverse / widening(fit, dispersion)
    return replace(fit, parameters=ring_parameters(vector), covariance=covariance)


def error_scale(fit: RingFit, dispersion: float) -> float:
    """Standard deviation of the mean defocus in A, widened."""
    return math.sqrt(max(float(fit.covariance[0, 0]) * widening(fit, dispersion), 0.0))


def _prior_errors(settings: CtfSettings) -> tuple[float, float]:
    """Standard deviations of uniform distributions over what is searched (A)."""
    span = settings.max_defocus_angstrom - settings.min_defocus_angstrom
    return span / math.sqrt(12.0), MAX_ASTIGMATISM_ANGSTROM / math.sqrt(12.0)


def nothing(nyquist_per_angstrom: float, settings: CtfSettings, *, flag: str) -> CtfFit:
    """A constant image, or pixels too coarse for the rings that are asked for: nothing was measured."""
    evidence = Evidence(0.0, 0.0, 0.0, 1.0, False, False)
    middle = 0.5 * (settings.min_defocus_angstrom + settings.max_defocus_angstrom)
    sd_defocus, sd_astigmatism = _prior_errors(settings)
    estimate = CtfEstimate(
        defocus_u_angstrom=middle,
        defocus_v_angstrom=middle,
        astigmatism_angle_deg=0.0,
        phase_shift_deg=0.0,
        defocus_sd_angstrom=sd_defocus,
        astigmatism_sd_angstrom=sd_astigmatism,
        fit_resolution_angstrom=None,
        score=0.0,
        ice_ring_density=math.nan,
        reliable=False,
        flag=flag,
    )
    axis = np.linspace(
        min(LOWEST_SPECTRUM_PER_ANGSTROM, 0.1 * nyquist_per_angstrom), 0.99 * nyquist_per_angstrom, SPECTRUM_POINTS
    )
    zeros = (0.0,) * SPECTRUM_POINTS
    spectra = Spectra(tuple(axis.tolist()), zeros, zeros, zeros, ())
    picture = np.full((DIAGNOSTIC_PX, DIAGNOSTIC_PX), 0.5, dtype=np.float32)
    return CtfFit(estimate, spectra, picture, evidence)
