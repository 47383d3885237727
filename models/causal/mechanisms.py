"""The loss of ln(SSNR) that physics predicts for each factor from what was measured on a movie.

All functions return losses >= 0 on the given frequencies (1/A); power, that is twice the amplitude's logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.models.causal.prior import MODELLED_FACTORS
from frazil.models.optics.dose import exposure_filter
from frazil.models.optics.envelopes import spatial_coherence_envelope, temporal_coherence_envelope
from frazil.models.records import MovieEvidence

Array = NDArray[np.float64]

_SOURCE_HALF_ANGLE_MRAD = 0.02
"""Parallel illumination from a field-emission source; columns lie between about 0.01 and 0.1 mrad."""
_FOCAL_SPREAD_SD_ANGSTROM = 60.0
"""Cc 2.7 mm, 0.7 eV full width at 300 kV (`focal_spread_angstrom`)."""
_TYPICAL_ICE_THICKNESS = 0.1
"""ln(I0 / I) of 30 nm of ice at the usual mean free path of 300 nm; used while the session has no zero."""
_COINCIDENCE_AREA_PX = 0.35
"""Share of counts lost per electron per pixel and *camera frame*: a count blocks about a third of a pixel's neighbours
in the same readout. An order of magnitude (Li et al. 2013, J. Struct. Biol. 184, 251, measure such losses on a K2);
its strength is learned."""
_CAMERA_FRAMES_PER_FRAME = 60.0
"""Internal frames that one saved frame sums on a counting camera when the sidecar does not say; order of magnitude."""
_DQE_ZERO = 0.9
_DQE_NYQUIST = 0.35
"""A counting camera at 300 kV, typical of published curves; the strength of the factor is learned."""


def motion(evidence: MovieEvidence, k: Array) -> Array:
    """Blur inside frames (sinc of the step) and what alignment left (Gaussian of the shift errors).

    Within a frame the specimen moves by d, about the mean of the steps before and after. The amplitude of the sum
    falls by the mean over frames of sinc(k . d); averaged over directions that is exp(-(pi k d)^2 / 12) for small blur.
    """
    x, y = np.array(evidence.shift_x_angstrom), np.array(evidence.shift_y_angstrom)
    if x.size < 2:
        return np.zeros_like(k)
    step = np.hypot(np.gradient(x), np.gradient(y))
    blur = np.mean(np.exp(-((np.pi * k[:, None] * step) ** 2) / 12), axis=1)
    variance = float(np.mean(np.square(evidence.shift_sd_angstrom))) + evidence.local_residual_angstrom**2 / 2
    return np.asarray(-2 * np.log(np.maximum(blur, 1e-12)) + (2 * np.pi * k) ** 2 * variance)


def radiation_damage(evidence: MovieEvidence, k: Array) -> Array:
    """What the best exposure weights leave of the signal: SSNR ~ sum q_f^2 (Grant & Grigorieff 2015)."""
    middle = np.arange(evidence.frame_count) + 0.5
    exposure = evidence.pre_exposure_e_per_a2 + evidence.dose_per_frame_e_per_a2 * middle
    q = exposure_filter(torch.from_numpy(k), torch.from_numpy(exposure), evidence.voltage_kv).numpy()
    return np.asarray(-np.log(np.maximum(np.mean(q**2, axis=0), 1e-12)))


def spatial_coherence(evidence: MovieEvidence, k: Array) -> Array:
    if evidence.defocus_angstrom is None:
        return np.zeros_like(k)
    envelope = spatial_coherence_envelope(
        torch.from_numpy(k),
        defocus_angstrom=evidence.defocus_angstrom,
        voltage_kv=evidence.voltage_kv,
        cs_mm=evidence.cs_mm,
        source_half_angle_mrad=_SOURCE_HALF_ANGLE_MRAD,
    )
    return _power_loss(envelope)


def temporal_coherence(evidence: MovieEvidence, k: Array) -> Array:
    envelope = temporal_coherence_envelope(
        torch.from_numpy(k), voltage_kv=evidence.voltage_kv, focal_spread_sd_angstrom=_FOCAL_SPREAD_SD_ANGSTROM
    )
    return _power_loss(envelope)


def ice(evidence: MovieEvidence, k: Array) -> Array:
    """Electrons that ice scatters inelastically are lost for the image and kept as noise by no energy filter.

    With t = ln(I0 / I) a share exp(-t) of the electrons still carries signal amplitude: SSNR falls by exp(-t) for the
    lost counts; the same again where scattered electrons still reach the camera as noise (no filter) is left to beta.
    """
    thickness = evidence.relative_ice_thickness
    return np.full_like(k, max(_TYPICAL_ICE_THICKNESS if thickness is None else thickness, 0.0))


def detector(evidence: MovieEvidence, k: Array) -> Array:
    """-ln DQE, linear in frequency between zero and Nyquist."""
    nyquist = 0.5 / evidence.pixel_size_angstrom
    share = np.clip(k / nyquist, 0, 1)
    return np.asarray(-np.log(_DQE_ZERO + (_DQE_NYQUIST - _DQE_ZERO) * share))


def coincidence(evidence: MovieEvidence, k: Array) -> Array:
    """Electrons that arrive together are counted once: the counts, and so the SSNR, fall by the same share."""
    rate = max(evidence.dose_per_frame_e_per_px, 0.0) / _CAMERA_FRAMES_PER_FRAME
    return np.full_like(k, -np.log(max(1 - _COINCIDENCE_AREA_PX * rate, 0.05)))


_MECHANISMS: Mapping[str, Callable[[MovieEvidence, Array], Array]] = {
    "motion": motion,
    "radiation_damage": radiation_damage,
    "spatial_coherence": spatial_coherence,
    "temporal_coherence": temporal_coherence,
    "ice": ice,
    "detector": detector,
    "coincidence": coincidence,
}


def predicted_losses(evidence: MovieEvidence, frequency_per_angstrom: Array) -> Array:
    """(F, K) loss of ln(SSNR) by factor in the order of `MODELLED_FACTORS`."""
    return np.stack([_MECHANISMS[name](evidence, frequency_per_angstrom) for name in MODELLED_FACTORS])


def _power_loss(amplitude: torch.Tensor) -> Array:
    return np.asarray(-2 * np.log(np.maximum(amplitude.numpy(), 1e-12)))
