"""What one movie says about its losses: measured rings, shifts, counts; gathered from the records of the pipeline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import constant_phase_rad
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.records import CtfEstimate, FrameShifts, LocalMotion, MovieEvidence, Quality, Spectra

_MIN_BAND_SSNR = 1e-4
_LOG_SSNR_SD = 0.25
"""Scatter of one band's ln SSNR about a smooth curve: form factors, the fit's splines."""
_WELL_INSIDE = 0.85
"""Share of the fit's reach that is used: near its end only those movies show rings whose noise lifts them."""
_CTF2_VARIANCE = 1 / 8
"""Of CTF^2 over a ring, sin^2 of an even phase."""


def collect_evidence(
    *,
    shifts: FrameShifts,
    local_motion: LocalMotion | None,
    ctf: CtfEstimate,
    spectra: Spectra,
    quality: Quality,
    acquisition: AcquisitionParameters,
    dose_per_frame_e_per_a2: float,
    frame_count: int,
    field_angstrom: tuple[float, float],
    particle_diameter_angstrom: float | None,
) -> MovieEvidence:
    """Bring the records of one movie onto the prior's bands.

    A ring amplitude counts only from the first zero of the CTF on, before which a rise of the amplitude and a fall of
    the background are the same to the fit (the error goes with defocus, as the loss by beam convergence does), and as
    far as the fit reaches: beyond, a positive A(k) is fitted noise. `field_angstrom` is the micrograph's height and
    width.
    """
    measured, counting_sd = _log_ssnr_of_bands(ctf, spectra, acquisition, field_angstrom)
    known, pattern = ctf.defocus_known, quality.fixed_pattern_rms
    return MovieEvidence(
        shift_x_angstrom=shifts.shift_x_angstrom,
        shift_y_angstrom=shifts.shift_y_angstrom,
        shift_sd_angstrom=shifts.sd_angstrom,
        local_residual_angstrom=0.0 if local_motion is None else local_motion.rms_residual_angstrom,
        frame_count=frame_count,
        dose_per_frame_e_per_a2=dose_per_frame_e_per_a2,
        pre_exposure_e_per_a2=acquisition.pre_exposure_e_per_a2,
        dose_per_frame_e_per_px=quality.dose_per_frame_e_per_px,
        pixel_size_angstrom=acquisition.pixel_size_angstrom,
        voltage_kv=acquisition.voltage_kv,
        cs_mm=acquisition.cs_mm,
        defocus_angstrom=(ctf.defocus_u_angstrom + ctf.defocus_v_angstrom) / 2 if known else None,
        relative_ice_thickness=quality.relative_ice_thickness,
        log_ssnr=tuple(measured),
        log_ssnr_sd=_LOG_SSNR_SD,
        log_ssnr_counting_sd=tuple(counting_sd.tolist()),
        defocus_sd_angstrom=ctf.defocus_sd_angstrom if known else None,
        astigmatism_sd_angstrom=ctf.astigmatism_sd_angstrom if known else None,
        fit_resolution_angstrom=ctf.fit_resolution_angstrom,
        ice_ring_density=ctf.ice_ring_density if np.isfinite(ctf.ice_ring_density) else None,
        tilt_angle_deg=ctf.tilt_angle_deg if ctf.tilt_axis_deg is not None else None,
        field_width_angstrom=min(field_angstrom),
        fixed_pattern=quality.fixed_pattern,
        fixed_pattern_rms=pattern if pattern is not None and np.isfinite(pattern) else None,
        particle_diameter_angstrom=particle_diameter_angstrom,
        exposure=acquisition.exposure,
    )


def _log_ssnr_of_bands(
    ctf: CtfEstimate, spectra: Spectra, acquisition: AcquisitionParameters, field_angstrom: tuple[float, float]
) -> tuple[list[float | None], NDArray[np.float64]]:
    """ln SSNR in each of the prior's bands (None: not measured), and the sd of counting, 0 where not measured."""
    frequency = np.array(spectra.frequency_per_angstrom)
    amplitude, noise = np.array(spectra.ring_amplitude), np.array(spectra.noise_power)
    bands = band_frequencies_per_angstrom()
    measured: list[float | None] = [None] * bands.size
    counting_sd = np.zeros(bands.size)
    if not ctf.defocus_known or ctf.fit_resolution_angstrom is None or not frequency.size:
        return measured, counting_sd
    width = float(bands[1] - bands[0])
    # A real image's independent samples lie on half a plane.
    samples = np.maximum(np.pi * bands * width * field_angstrom[0] * field_angstrom[1], 1.0)
    begin, limit = _first_zero_per_angstrom(ctf, acquisition), _WELL_INSIDE / ctf.fit_resolution_angstrom
    for index, band in enumerate(bands):
        inside = (np.abs(frequency - band) <= width / 2) & (noise > 0)
        if not begin < band <= limit or not inside.any():
            continue
        ratio = float(np.mean(amplitude[inside] / noise[inside]))
        if ratio > _MIN_BAND_SSNR:
            measured[index] = float(np.log(ratio))
            # The mean of n exponential samples of mean 1 + ratio CTF^2, read off over CTF^2.
            counting_sd[index] = (1 + ratio / 2) / ratio / np.sqrt(samples[index] * _CTF2_VARIANCE)
    return measured, counting_sd


def _first_zero_per_angstrom(ctf: CtfEstimate, acquisition: AcquisitionParameters) -> float:
    """Where the phase of the CTF first reaches pi, Cs left out: it matters far beyond."""
    constant = constant_phase_rad(acquisition.amplitude_contrast, ctf.phase_shift_deg)
    left = max(1.0 - constant / np.pi, 0.0)
    defocus_angstrom = (ctf.defocus_u_angstrom + ctf.defocus_v_angstrom) / 2
    wavelength_angstrom = electron_wavelength_angstrom(acquisition.voltage_kv)
    return float(np.sqrt(left / (wavelength_angstrom * max(defocus_angstrom, 1.0))))


def measured_bands(evidence: MovieEvidence) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices of the bands with a measurement, and the values there."""
    index = [band for band, value in enumerate(evidence.log_ssnr) if value is not None]
    return np.array(index, dtype=np.int64), np.array([evidence.log_ssnr[band] for band in index], dtype=np.float64)
