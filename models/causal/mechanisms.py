"""The loss of ln(SSNR) that physics predicts for each factor, from what was measured and from the causes drawn.

Every mechanism takes a movie's evidence, draws of its causes and frequencies k (K,) in 1/A, and returns losses >= 0 of
shape (S, K): power, that is minus twice the logarithm of an amplitude. Definitions: design of the attribution,
docs/science.md. The physics is that of `frazil.models.optics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from scipy.special import j0

from frazil.models.causal.bands import Array
from frazil.models.causal.causes import (
    COMA_LN_SD,
    COMA_MRAD_PER_UM_MEDIAN,
    HETEROGENEITY_SD_AT_5_ANGSTROM,
    CauseDraws,
)
from frazil.models.causal.exposure_curves import amplitude_left, exposure_weights, moving_pattern
from frazil.models.conventions import ANGSTROM_PER_MM
from frazil.models.optics.envelopes import spatial_coherence_envelope, temporal_coherence_envelope
from frazil.models.optics.ice import (
    ice_power,
    inelastic_mean_free_path_nm,
)
from frazil.models.optics.scattering import interaction_rad_per_v_angstrom
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.records import MovieEvidence

_ANGSTROM_PER_NM = 10.0
_DIRECTIONS = 8
_UNIT_HALF_ANGLE_MRAD = 1e-3
"""Small enough for the envelope's logarithm to be finite everywhere; it goes with the square of the angle."""
_BLUR_NODES = 6
_PATHS = 16
_PATH_ERROR = 1.4
"""Of a displacement against the whole path, in its stated sd, which is of one frame against its neighbours (chosen by
coverage over three sessions of another author, docs/science.md)."""
_LAYERED = 0.7
"""Share of the ring amplitude that is spread over the thickness of the ice; the rest lies in its surfaces."""
_SHIFT_MEDIAN_UM, _SHIFT_LN_SD = 3.0, 0.7
"""Length of an image shift that was used and not told in um: 0.8 to 12 um in 95 of 100, as patterns of holes go."""
GREATEST_LOSS = 12.0
"""Beyond this nothing is left of a signal, whatever an envelope says."""


def motion(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Blur inside frames, and what alignment left.

    A frame whose specimen travels by d while it is exposed keeps sinc(k . d) of its amplitude. The dose-weighted sum
    keeps sum_f q_f^2 sinc / sum_f q_f^2 in each direction, q_f what radiation left; the loss is the mean of its square
    over directions. Errors of the shifts with variance s^2 per axis cost (2 pi k s)^2 on top.
    """
    blur = np.zeros((causes.blur_scale.size, k.size))
    scale = causes.blur_scale * causes.strengths["motion"]
    if causes.drift_removed is None:
        blur[:] = _blur_loss(evidence, k, scale)
    else:
        # Draws share a few ways of settling: each is computed once.
        ways, way = np.unique(causes.drift_removed, axis=0, return_inverse=True)
        weight = exposure_weights(evidence, k)
        for number, removed in enumerate(ways):
            mine = way.reshape(-1) == number
            blur[mine] = _blur_loss(evidence, k, scale[mine], removed, weight)
    if causes.beam_motion_scale is not None:
        # The loss goes with the squared travel, to which the stage and the beam add up.
        by_beam = _blur_loss(evidence, k, scale, np.ones(travel_in_frames_angstrom(evidence).shape[1]))
        blur = np.minimum(blur + (causes.beam_motion_scale - 1.0)[:, None] * by_beam, GREATEST_LOSS)
    variance = float(np.mean(np.square(evidence.shift_sd_angstrom))) if evidence.shift_sd_angstrom else 0.0
    variance += evidence.local_residual_angstrom**2 / 2
    left = (2 * np.pi * k) ** 2 * variance * np.square(causes.shift_error_scale)[:, None]
    return np.asarray(blur + np.minimum(left, GREATEST_LOSS))


def _blur_loss(
    evidence: MovieEvidence,
    k: Array,
    scale: Array,
    drift_removed: Array | None = None,
    weight: Array | None = None,
) -> Array:
    """(S, K) loss by blur inside frames whose squared travel is multiplied by each `scale` (S,); `weight` (F, K) those
    of `exposure_weights`, where they are known."""
    travel = travel_in_frames_angstrom(evidence, drift_removed)
    weight = exposure_weights(evidence, k) if weight is None else weight
    # Smooth in the scale: a few nodes and straight lines between them serve all draws.
    nodes = np.linspace(scale.min(), scale.max(), _BLUR_NODES) if scale.size > _BLUR_NODES else np.unique(scale)
    theta = (np.arange(_DIRECTIONS) + 0.5) * np.pi / _DIRECTIONS
    along = travel[0] * np.cos(theta)[:, None] + travel[1] * np.sin(theta)[:, None]
    path = k[:, None] * along[:, None, None, :] * np.sqrt(nodes)[:, None, None]  # (directions, nodes, K, F)
    power = np.sum(np.einsum("dskf,fk->dsk", np.sinc(path), weight) ** 2 / _DIRECTIONS, axis=0)
    loss = _loss(power)
    if nodes.size == 1:
        return np.repeat(loss, scale.size, axis=0)
    position = np.clip(np.interp(scale, nodes, np.arange(nodes.size)), 0, nodes.size - 1.000001)
    low = position.astype(np.int64)
    share = (position - low)[:, None]
    return np.asarray(loss[low] * (1 - share) + loss[low + 1] * share)


def travel_in_frames_angstrom(evidence: MovieEvidence, drift_removed: Array | None = None) -> Array:
    """(2, F) x and y travel inside each frame, half of that from the frame before to the one after.

    `drift_removed` (F,) times the movie's steady drift, its slope over late frames, is taken off.
    """
    path = np.array([evidence.shift_x_angstrom, evidence.shift_y_angstrom])
    if path.shape[1] < 2:
        return np.zeros((2, max(path.shape[1], 1)))
    travel = np.gradient(path, axis=1)
    if drift_removed is None:
        return np.asarray(travel)
    return np.asarray(travel - steady_drift_angstrom_per_frame(evidence)[:, None] * drift_removed)


def steady_drift_angstrom_per_frame(evidence: MovieEvidence) -> Array:
    """(2,) slope of the shifts over the later two thirds of the frames: the stage's, not the beam's, doing."""
    path = np.array([evidence.shift_x_angstrom, evidence.shift_y_angstrom])
    late = path[:, path.shape[1] // 3 :]
    if late.shape[1] < 3:
        return np.zeros(2)
    time = np.arange(late.shape[1]) - (late.shape[1] - 1) / 2
    return np.asarray((late * time).sum(axis=1) / (time**2).sum())


def radiation_damage(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """What the best exposure weights leave of the signal: SSNR ~ sum q_f^2 (Grant & Grigorieff 2015)."""
    loss = -np.log(np.maximum(np.mean(amplitude_left(evidence, k) ** 2, axis=0), 1e-12))
    return np.asarray(causes.strengths["radiation_damage"][:, None] * loss)


def spatial_coherence(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Frank 1973: the source's finite angle blurs by the slope of the wave aberration.

    A movie whose CTF could not be fitted loses as much by it as any other of its defocus, which is drawn.
    """
    defocus = evidence.defocus_angstrom if causes.defocus_angstrom is None else causes.defocus_angstrom
    if defocus is None:
        return np.zeros((causes.source_half_angle_mrad.size, k.size))
    defoci = tuple(np.ravel(defocus).tolist())
    unit = _ln_spatial_coherence(defoci, evidence.voltage_kv, evidence.cs_mm, k.tobytes())
    return np.asarray(-2 * np.square(causes.source_half_angle_mrad / _UNIT_HALF_ANGLE_MRAD)[:, None] * unit)


@lru_cache(maxsize=512)
def _ln_spatial_coherence(
    defocus_angstrom: tuple[float, ...], voltage_kv: float, cs_mm: float, k_bytes: bytes
) -> Array:
    """(defoci, K) of the amplitude, at the unit half angle; movies of the window are asked again by every version."""
    return np.asarray(
        spatial_coherence_envelope(
            torch.from_numpy(np.frombuffer(k_bytes).copy()),
            defocus_angstrom=torch.tensor(defocus_angstrom, dtype=torch.float64)[:, None],
            voltage_kv=voltage_kv,
            cs_mm=cs_mm,
            source_half_angle_mrad=_UNIT_HALF_ANGLE_MRAD,
        )
        .log()
        .numpy()
    )


def temporal_coherence(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Wade & Frank 1977: the spread of defocus."""
    strength = np.square(causes.focal_spread_sd_angstrom) * causes.strengths["temporal_coherence"]
    return np.asarray(-2 * strength[:, None] * _ln_temporal_coherence(evidence.voltage_kv, k.tobytes()))


@lru_cache(maxsize=16)
def _ln_temporal_coherence(voltage_kv: float, k_bytes: bytes) -> Array:
    """(K,) of the amplitude, at a focal spread of 1 A; the same for all movies."""
    k = torch.from_numpy(np.frombuffer(k_bytes).copy())
    return np.asarray(temporal_coherence_envelope(k, voltage_kv=voltage_kv, focal_spread_sd_angstrom=1.0).log().numpy())


def ice(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Electrons lost to inelastic scattering, and the ice's own moving pattern against the shot noise that is left.

    With an energy filter a share T of the electrons arrives, all with contrast: SSNR falls by T. Without one all
    arrive and T carry the contrast: it falls by T^2. The pattern has half of its power at CTF^2 = 1/2.
    """
    lost = -np.log(transmitted_share(evidence, causes)) * (2.0 if evidence.exposure.energy_filter is False else 1.0)
    pattern = np.log1p(0.5 * ice_pattern(evidence, causes, k))
    return np.asarray(causes.strengths["ice"][:, None] * (lost[:, None] + pattern))


def ice_pattern(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """(S, K) power of the ice's own pattern at CTF^2 = 1 over the shot noise, in the exposure-weighted sum."""
    transmitted = transmitted_share(evidence, causes)
    sigma = interaction_rad_per_v_angstrom(evidence.voltage_kv, electron_wavelength_angstrom(evidence.voltage_kv))
    per_nm = _ice_power_per_nm(tuple(k.tolist())) * (2 * sigma) ** 2
    share = transmitted**2 if evidence.exposure.energy_filter is False else transmitted
    counted = evidence.dose_per_frame_e_per_a2 * share
    power = causes.ice_thickness_nm[:, None] * counted[:, None] * (per_nm * moving_pattern(evidence, k))[None, :]
    # The pattern passes the same lens and camera as the specimen, and is blurred with it.
    power = power * _pattern_left_by_blur(evidence, k.tobytes())
    power = power * dqe(causes, k, evidence.pixel_size_angstrom)
    return np.asarray(power * np.exp(-spatial_coherence(evidence, causes, k) - temporal_coherence(evidence, causes, k)))


@lru_cache(maxsize=256)
def _pattern_left_by_blur(evidence: MovieEvidence, k_bytes: bytes) -> Array:
    """(1, K) share of the power; movies of the window are asked again by every version."""
    left = np.exp(-_blur_loss(evidence, np.frombuffer(k_bytes), np.ones(1)))
    left.flags.writeable = False
    return np.asarray(left)


@lru_cache(maxsize=8)
def _ice_power_per_nm(k_per_angstrom: tuple[float, ...]) -> Array:
    """(K,) the same for all movies."""
    k = torch.tensor(k_per_angstrom, dtype=torch.float64)
    return np.asarray(ice_power(k * k, _ANGSTROM_PER_NM).numpy())


def transmitted_share(evidence: MovieEvidence, causes: CauseDraws) -> Array:
    """(S,) share of the electrons that lost no energy."""
    return np.asarray(np.exp(-causes.ice_thickness_nm / inelastic_mean_free_path_nm(evidence.voltage_kv)))


def detector(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """-ln DQE, and the camera's pattern that no gain reference took out against the shot noise.

    Aligned frames f carry the pattern moved by minus their shifts s_f: of its power n^2 rms^2 a frame (n counts per px)
    |sum_f q_f exp(2 pi i k . s_f)|^2 is left in the exposure-weighted sum, where shot noise has n sum_f q_f^2.
    """
    loss = -np.log(dqe(causes, k, evidence.pixel_size_angstrom)) * causes.strengths["detector"][:, None]
    if not evidence.fixed_pattern_rms or evidence.fixed_pattern_rms < 0:
        return np.asarray(loss)
    return np.asarray(loss + np.log1p(_pattern_to_shot_noise(evidence, k, evidence.fixed_pattern_rms))[None, :])


def _pattern_to_shot_noise(evidence: MovieEvidence, k: Array, rms: float) -> Array:
    """(K,) mean over directions."""
    path = np.array([evidence.shift_x_angstrom, evidence.shift_y_angstrom])
    q = amplitude_left(evidence, k)  # (F, K)
    together = np.zeros(k.size)
    for theta in (np.arange(_DIRECTIONS) + 0.5) * np.pi / _DIRECTIONS:
        along = path[0] * np.cos(theta) + path[1] * np.sin(theta)
        together += np.abs((q * np.exp(2j * np.pi * along[:, None] * k[None, :])).sum(axis=0)) ** 2 / _DIRECTIONS
    return np.asarray(evidence.dose_per_frame_e_per_px * rms**2 * together / np.maximum((q**2).sum(axis=0), 1e-30))


def dqe(causes: CauseDraws, k: Array, pixel_size_angstrom: float) -> Array:
    """(S, K) Gaussian from its value at 0 to that at Nyquist."""
    share = np.clip(2 * k * pixel_size_angstrom, 0, 1) ** 2
    ratio = np.log(causes.dqe_nyquist / causes.dqe_zero)
    return np.asarray(causes.dqe_zero[:, None] * np.exp(ratio[:, None] * share))


def coincidence(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Electrons that land together are counted once: counts, and so SSNR, fall by the same share."""
    rate = dose_rate_e_per_px_per_s(evidence)
    if rate is None:
        return np.zeros((causes.count_loss_s_px_per_e.size, k.size))
    arriving = np.full(causes.ice_thickness_nm.shape, rate * causes.dose_rate_scale)
    if evidence.exposure.energy_filter is not False:
        share = causes.transmitted_share
        arriving = arriving * (transmitted_share(evidence, causes) if share is None else share)
    loss = coincidence_loss(causes.count_loss_s_px_per_e * arriving)
    return np.asarray((loss * causes.strengths["coincidence"])[:, None] * np.ones_like(k))


def coincidence_loss(load: Array) -> Array:
    """-ln of the share that is counted when those that overlap merge, (1 - exp(-x)) / x (Li et al. 2013, Nat. Methods
    10, 584); `load` is the mean number in one place and readout."""
    x = np.maximum(np.asarray(load, dtype=np.float64), 1e-9)
    return np.asarray(-np.log(-np.expm1(-x) / x))


def dose_rate_e_per_px_per_s(evidence: MovieEvidence) -> float | None:
    """On the specimen, from what was stated; None where dose or time are not known."""
    exposure = evidence.exposure
    if not exposure.stated_dose_per_frame_e_per_a2 or not exposure.exposure_time_s:
        return None
    dose = exposure.stated_dose_per_frame_e_per_a2 * evidence.frame_count * evidence.pixel_size_angstrom**2
    return dose / exposure.exposure_time_s


def heterogeneity(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Unknown before there are particles: draws about 0, so that the loss is 0 and its sd is not. Afterwards what the
    movie's particles fall below those of the session's median movie by (`particles`)."""
    if causes.level_and_fall is not None:
        level, fall = causes.level_and_fall.T
        return np.asarray(level[:, None] + fall[:, None] * (5.0 * k)[None, :] ** 2)
    sign = np.where(np.arange(causes.blur_scale.size) % 2 == 0, 1.0, -1.0)
    return np.asarray(sign[:, None] * HETEROGENEITY_SD_AT_5_ANGSTROM * (5.0 * k)[None, :] ** 2)


def aberrations(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Coma by the beam tilt that image shift leaves, and what the fit's errors leave of defocus and astigmatism.

    The tilt is what particles measured; before they did, image shift times what is usual, and where a shift was used
    that nobody gave in um (EPU's), the width of both.

    Coma has the phase 2 pi Cs lambda^2 k^3 tau cos(theta) (Glaeser et al. 2011, J. Struct. Biol. 174, 1), missed
    astigmatism pi lambda k^2 d/2 cos(2 theta): both leave J0 of their amplitude; a Gaussian error of the defocus leaves
    exp(-(pi lambda k^2 sd)^2 / 2).
    """
    wavelength = electron_wavelength_angstrom(evidence.voltage_kv)
    tilt_rad = np.asarray(beam_tilt_rad(evidence, causes) if causes.beam_tilt_rad is None else causes.beam_tilt_rad)
    phase = 2 * np.pi * evidence.cs_mm * ANGSTROM_PER_MM * wavelength**2 * k**3 * tilt_rad[:, None]
    loss = _bessel_loss(phase)
    if evidence.astigmatism_sd_angstrom is not None and evidence.defocus_angstrom is not None:
        half = 0.5 * np.pi * wavelength * k**2 * evidence.astigmatism_sd_angstrom
        # Over directions and both components of the error: the mean of cos^2 of a Gaussian phase.
        loss = loss + np.minimum(0.5 * half**2, GREATEST_LOSS)
    if evidence.defocus_sd_angstrom is not None and evidence.defocus_angstrom is not None:
        loss = loss + np.minimum((np.pi * wavelength * k**2 * evidence.defocus_sd_angstrom) ** 2, GREATEST_LOSS)
    return np.asarray(loss)


def _shifted_tilt_mrad(evidence: MovieEvidence, causes: CauseDraws) -> Array:
    """(S,) beam tilt by image shift before particles have spoken, mrad.

    The length of a shift without a unit is lognormal about the shifts of usual patterns. What a um costs is lognormal,
    too, so that the product of both has the draws of the latter with their spread widened.
    """
    exposure = evidence.exposure
    if not (exposure.shift_x_au or exposure.shift_y_au):
        shift_um = np.hypot(exposure.image_shift_x_um or 0.0, exposure.image_shift_y_um or 0.0)
        return np.asarray(causes.coma_mrad_per_um * shift_um)
    wider = np.hypot(COMA_LN_SD, _SHIFT_LN_SD) / COMA_LN_SD
    return np.asarray(
        COMA_MRAD_PER_UM_MEDIAN * _SHIFT_MEDIAN_UM * (causes.coma_mrad_per_um / COMA_MRAD_PER_UM_MEDIAN) ** wider
    )


def beam_tilt_rad(evidence: MovieEvidence, causes: CauseDraws) -> Array:
    """(S,) what particles measured; before they did, image shift times what is usual."""
    if causes.axial_tilt_mrad is not None and causes.shifted_tilt_mrad is not None:
        tilt = causes.axial_tilt_mrad + causes.shifted_tilt_mrad * causes.image_shift_scale
        return np.asarray(np.hypot(tilt[:, 0], tilt[:, 1]) * 1e-3)
    return np.asarray(_shifted_tilt_mrad(evidence, causes) * causes.image_shift_scale * 1e-3)


def defocus_spread(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Particles at heights spread over the ice, and over a tilted field, seen with one CTF.

    Heights spread evenly over t change the phase by up to pi lambda k^2 t / 2 and keep sinc(lambda k^2 t / 2) of the
    amplitude; t is a share of the ice's thickness.
    """
    wavelength = electron_wavelength_angstrom(evidence.voltage_kv)
    spread = height_spread_angstrom(causes) if causes.height_spread_angstrom is None else causes.height_spread_angstrom
    loss = _envelope_loss(np.sinc(0.5 * wavelength * k**2 * spread[:, None])) + tilt_spread(evidence, causes, k)
    return np.asarray(np.minimum(loss, GREATEST_LOSS))


def height_spread_angstrom(causes: CauseDraws) -> Array:
    """(S,) over which particles' heights spread."""
    return np.asarray(causes.ice_thickness_nm * _ANGSTROM_PER_NM * causes.height_share)


def tilt_spread(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """The part of `defocus_spread` that is the rise of a tilted field, where one CTF is used for all of it."""
    if not evidence.tilt_angle_deg or not evidence.field_width_angstrom:
        return np.zeros((causes.blur_scale.size, k.size))
    wavelength = electron_wavelength_angstrom(evidence.voltage_kv)
    rise = evidence.field_width_angstrom * np.tan(np.radians(evidence.tilt_angle_deg))
    return np.repeat(_envelope_loss(np.sinc(0.5 * wavelength * k**2 * rise))[None, :], causes.blur_scale.size, axis=0)


def motion_uncorrected(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """What summing the frames as they came would have lost: their displacements, and the blur inside each.

    Displacements are known as well as their stated errors say. Where hardly anything is left of the signal, what is
    left hangs on small differences of phase: the spread is taken from `_PATHS` drawn paths, which the draws share out
    among themselves.
    """
    path = np.array([evidence.shift_x_angstrom, evidence.shift_y_angstrom])
    draws = causes.blur_scale.size
    if path.shape[1] < 2:
        return np.zeros((draws, k.size))
    weight = exposure_weights(evidence, k)
    travel = travel_in_frames_angstrom(evidence)
    sd = np.asarray(evidence.shift_sd_angstrom or (0.0,)) + evidence.local_residual_angstrom / np.sqrt(2)
    count = min(_PATHS, draws)
    paths = path + _path_errors(count, path.shape[1]) * sd * causes.shift_error_scale[:count, None, None]
    blur = np.sqrt(np.maximum(causes.blur_scale * causes.strengths["motion"], 0.0))[:count]
    power = np.zeros((count, k.size))
    for theta in (np.arange(_DIRECTIONS) + 0.5) * np.pi / _DIRECTIONS:
        along = paths[:, 0] * np.cos(theta) + paths[:, 1] * np.sin(theta)  # (P, F)
        inside = blur[:, None] * (travel[0] * np.cos(theta) + travel[1] * np.sin(theta))
        seen = np.exp(2j * np.pi * along[:, :, None] * k) * np.sinc(inside[:, :, None] * k)
        power += np.abs((seen * weight).sum(axis=1)) ** 2 / _DIRECTIONS
    return np.asarray(_loss(power)[np.arange(draws) % count])


@lru_cache(maxsize=16)
def _path_errors(count: int, frames: int) -> Array:
    """(P, 2, F) errors of displacements in their sd, the same for every movie of as many frames."""
    errors = _PATH_ERROR * np.random.default_rng(20131117).standard_normal((count, 2, frames))
    errors.flags.writeable = False
    return errors


def ring_washout(evidence: MovieEvidence, causes: CauseDraws, k: Array) -> Array:
    """Not a loss of any particle: rings of a layer of thickness t fade with sinc(lambda k^2 t) (McMullan et al. 2015,
    eq. 4), which the measured ring amplitude has to be freed from."""
    wavelength = electron_wavelength_angstrom(evidence.voltage_kv)
    thickness = causes.ice_thickness_nm * _ANGSTROM_PER_NM
    left = np.minimum.accumulate(np.abs(np.sinc(wavelength * k**2 * thickness[:, None])), axis=-1)
    return np.asarray(-np.log(1 - _LAYERED + _LAYERED * left))


Mechanism = Callable[[MovieEvidence, CauseDraws, Array], Array]
MECHANISMS: Mapping[str, Mechanism] = {
    "motion": motion,
    "radiation_damage": radiation_damage,
    "spatial_coherence": spatial_coherence,
    "temporal_coherence": temporal_coherence,
    "ice": ice,
    "detector": detector,
    "coincidence": coincidence,
    "heterogeneity": heterogeneity,
    "aberrations": aberrations,
    "defocus_spread": defocus_spread,
    "motion_uncorrected": motion_uncorrected,
}
"""Every factor but `unexplained`, which is what they leave."""


def _loss(power: Array) -> Array:
    return np.asarray(-np.log(np.maximum(power, np.exp(-GREATEST_LOSS))))


def _envelope_loss(amplitude: Array) -> Array:
    """-2 ln of the envelope of an oscillating amplitude: it never comes back with k."""
    falling = np.minimum.accumulate(np.abs(amplitude), axis=-1)
    return _loss(np.square(falling))


def _bessel_loss(phase: Array) -> Array:
    return _envelope_loss(j0(phase))
