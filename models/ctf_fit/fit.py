"""One micrograph in, its contrast transfer function out: with errors, or an honest word that there is none."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit.band import fit_background, select_band
from frazil.models.ctf_fit.coarse_search import LARGEST_ASTIGMATISM_SHARE, search
from frazil.models.ctf_fit.periodogram import PowerMap, block_size, power_map
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.report import MAX_ASTIGMATISM_ANGSTROM, CtfFit, nothing, report
from frazil.models.ctf_fit.ring_model import RingParameters
from frazil.models.ctf_fit.verdict import NO_RINGS, TOO_COARSE, Evidence
from frazil.models.ctf_fit.whittle import RingFit, WhittleFit

__all__ = ["CtfFit", "fit_ctf"]

_REFINED_CANDIDATES = 8
_FIRST_STEPS = 8


def fit_ctf(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    voltage_kv: float,
    cs_mm: float,
    amplitude_contrast: float,
    settings: CtfSettings,
    fit_phase_shift: bool = False,
    even: Tensor | None = None,
    odd: Tensor | None = None,
    electrons_per_px: float | None = None,
    device: torch.device,
) -> CtfFit:
    """Fit defocus U, V, angle (and the phase shift) to the Thon rings of `image` (h, w).

    The search covers settings.min_defocus ... max_defocus and astigmatism up to 5,000 A without a guess. `even` and
    `odd` (same shape) give the half-set FRC. `electrons_per_px` is the mean number of electrons per pixel of `image`
    when its values are electrons: spectra are then in units of the shot noise; without it they are in units of the
    power in the highest tenth of the frequencies.

    Raises
    ------
    ValueError
        If the image is not two-dimensional, smaller than 64 px or not finite, or an optical constant is impossible.
    """
    optics = RingOptics(voltage_kv=voltage_kv, cs_mm=cs_mm, amplitude_contrast=amplitude_contrast)
    image = image.to(device=device, dtype=torch.float32)
    nyquist = 0.5 / pixel_size_angstrom
    low = 1.0 / settings.min_resolution_angstrom
    high = min(1.0 / settings.max_resolution_angstrom, 0.95 * nyquist)
    if high < 1.5 * low:
        return nothing(nyquist, settings, flag=TOO_COARSE)
    displacement = 2.0 * optics.wavelength_angstrom * settings.max_defocus_angstrom * high
    height_angstrom, width_angstrom = (length * pixel_size_angstrom for length in image.shape)
    block = block_size(height_angstrom, width_angstrom, displacement_angstrom=displacement)
    # settings.box_px: the spectrum is never coarser than that of a box of so many pixels.
    block = max(1, min(block, min(image.shape) // settings.box_px))
    spectrum = power_map(image, pixel_size_angstrom, block=block)
    if not bool((spectrum.power > 0.0).any()):
        return nothing(nyquist, settings, flag=NO_RINGS)
    fit, evidence = _fit_rings(spectrum, optics, settings, low=low, high=high, fit_phase_shift=fit_phase_shift)
    return report(
        spectrum,
        optics,
        fit,
        evidence,
        settings,
        low=low,
        high=high,
        even=None if even is None else even.to(device=device, dtype=torch.float32),
        odd=None if odd is None else odd.to(device=device, dtype=torch.float32),
        pixel_size_angstrom=pixel_size_angstrom,
        electrons_per_px=electrons_per_px,
    )


def _fit_rings(
    spectrum: PowerMap,
    optics: RingOptics,
    settings: CtfSettings,
    *,
    low: float,
    high: float,
    fit_phase_shift: bool,
) -> tuple[RingFit, Evidence]:
    """Best fit of the band and the evidence for and against it."""
    background = fit_background(spectrum, low=low, high=high)
    band = select_band(spectrum, background, low=low, high=high, mask_ice=True)
    candidates = search(
        band,
        optics,
        min_defocus_angstrom=settings.min_defocus_angstrom,
        max_defocus_angstrom=settings.max_defocus_angstrom,
        max_astigmatism_angstrom=MAX_ASTIGMATISM_ANGSTROM,
        fit_phase_shift=fit_phase_shift,
    )
    likelihood = WhittleFit(band, optics, spectrum)
    fits: list[RingFit] = []
    for candidate in candidates[:_REFINED_CANDIDATES]:
        start = RingParameters(
            candidate.defocus_angstrom,
            0.5 * candidate.astigmatism_angstrom * math.cos(2.0 * candidate.angle_rad),
            0.5 * candidate.astigmatism_angstrom * math.sin(2.0 * candidate.angle_rad),
            candidate.phase_shift_rad,
        )
        fall_off = candidate.fall_off_square_angstrom
        fits.append(likelihood.maximise(start, fit_phase_shift=fit_phase_shift, fall_off=fall_off, steps=_FIRST_STEPS))
    fits.sort(key=lambda fit: -fit.log_posterior_gain)
    fits[:2] = [
        fit if fit.converged else likelihood.maximise(fit.parameters, fit_phase_shift=fit_phase_shift, curves=fit)
        for fit in fits[:2]
    ]
    fits.sort(key=lambda fit: -fit.log_posterior_gain)
    best = fits[0]
    tone = 1.0 / (optics.wavelength_angstrom * high * high)
    others = [fit for fit in fits[1:] if _far(fit.parameters, best.parameters, 0.5 * tone)]
    dispersion = likelihood.residual_dispersion(best)
    evidence = Evidence(
        coarse_score=candidates[0].score,
        gain=best.log_posterior_gain / dispersion,
        margin=(best.log_posterior_gain - max((fit.log_posterior_gain for fit in others), default=0.0)) / dispersion,
        dispersion=dispersion,
        converged=best.converged,
        inside_search_range=bool(
            settings.min_defocus_angstrom - 0.5 * tone
            <= best.parameters.defocus_angstrom
            <= settings.max_defocus_angstrom + 0.5 * tone
            and best.parameters.astigmatism_angstrom <= LARGEST_ASTIGMATISM_SHARE * best.parameters.defocus_angstrom
        ),
    )
    return best, evidence


def _far(first: RingParameters, second: RingParameters, distance: float) -> bool:
    """Whether two fits are different answers rather than one reached twice."""
    step = np.abs(first.vector()[:3] - second.vector()[:3]) * 1000.0
    return bool(step.max() > distance)
