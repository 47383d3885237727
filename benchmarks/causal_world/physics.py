"""What a session's drawn causes do to ln SSNR: the definitions of design 4.5, computed from the drawn quantities.

Independent of frazil's causal model; formulas and constants are chosen here and drawn anew for every session. A loss is
-ln(SSNR with the cause / SSNR without), the reference an ideal exposure of the same dose with shot noise only. With
frames f, optimal exposure weights q_f, blur b_f inside frame f and n detected electrons per A2 and frame,

    SSNR = 4 P_s CTF^2 E_s^2 E_t^2 MTF^2 n |sum q_f^2 b_f|^2 / sum q_f^2 / (1 + R),  R = ice noise / shot noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0

from benchmarks.ctf.scenes import WATER_PER_A3, interaction, scattering_factor, wavelength

Array = NDArray[Any]

FREQUENCIES_PER_ANGSTROM = (1 / 20, 1 / 15, 1 / 12, 1 / 10, 1 / 8, 1 / 7, 1 / 6, 1 / 5, 1 / 4.5, 1 / 4, 1 / 3.5, 1 / 3)
FACTORS = (
    "motion",
    "radiation_damage",
    "spatial_coherence",
    "temporal_coherence",
    "ice",
    "detector",
    "coincidence",
    "heterogeneity",
)
BESIDE = ("aberrations", "defocus_spread")
"""Not in the total: processing can undo them."""
LARGEST_LOSS = 12.0
"""Where an average of cosines goes through zero the loss has no end; the truth says this."""
SUBFRAMES = 6
_AZIMUTHS = 36


@dataclass(frozen=True, slots=True)
class Instrument:
    """What holds for a session until something is changed."""

    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    pixel_size_angstrom: float
    dose_e_per_a2: float
    frames: int
    half_angle_mrad: float
    """1/e of the source's Gaussian, in exp(-(pi a)^2 (Cs l^2 k^3 - dz k)^2)."""
    focal_spread_angstrom: float
    """Root mean square."""
    tilt_mrad_per_um: float
    """Beam tilt that a micrometre of image shift leaves uncompensated."""
    mean_free_path_nm: float
    """Inelastic, in ice, behind the energy filter."""
    dqe_zero: float
    dqe_nyquist: float
    coincidence_area_px: float
    camera_frames_per_s: float
    critical_exposure_scale: float
    ice_motion_a2_per_e: float
    """Mean square displacement of water per axis and e/A2."""


@dataclass(frozen=True, slots=True)
class Causes:
    """What one movie was taken under."""

    settle_time_s: float
    thickness_nm: float
    height_spread_nm: float
    """Full width of the particles' heights, uniform."""
    image_shift_um: tuple[float, float]
    dose_rate_e_per_px_s: float
    """On the camera without a specimen."""
    defocus_angstrom: float
    astigmatism_angstrom: float
    astigmatism_angle_deg: float
    heterogeneity_angstrom2: float
    """B-factor of what differs between particles; their amplitudes fall with exp(-B k^2 / 4)."""
    gain_error_sd: float = 0.0
    """Of the pixels' sensitivity against the gain reference that comes with the movies."""


def critical_exposure(k: Array, scale: float) -> Array:
    """e/A2, Grant & Grigorieff 2015, 300 kV."""
    return scale * (0.24499 * np.maximum(k, 1e-4) ** -1.6649 + 2.8141)


def exposure_weights(k: Array, instrument: Instrument) -> Array:
    """(F, K) what is left of the amplitude in the middle of each frame."""
    dose = (np.arange(instrument.frames) + 0.5) * instrument.dose_e_per_a2 / instrument.frames
    left = np.exp(-dose[:, None] / (2 * critical_exposure(k, instrument.critical_exposure_scale)))
    return np.asarray(left)


def mtf(k: Array, instrument: Instrument) -> Array:
    """Modulation transfer of a counting camera whose noise is white: DQE = DQE(0) MTF^2."""
    fall = math.log(instrument.dqe_zero / instrument.dqe_nyquist)
    return np.asarray(np.exp(-0.5 * fall * (2 * k * instrument.pixel_size_angstrom) ** 2))


def source_envelope(k: Array, defocus_angstrom: float, instrument: Instrument) -> Array:
    """Amplitude left by the source's size (Wade & Frank 1977)."""
    lam = wavelength(instrument.voltage_kv)
    slope = instrument.cs_mm * 1e7 * lam**2 * k**3 - defocus_angstrom * k
    return np.asarray(np.exp(-((math.pi * instrument.half_angle_mrad * 1e-3) ** 2) * slope**2))


def focus_envelope(k: Array, instrument: Instrument) -> Array:
    """Amplitude left by the spread of focus (Hanszen & Trepte 1971)."""
    lam = wavelength(instrument.voltage_kv)
    return np.asarray(np.exp(-0.5 * (math.pi * lam * instrument.focal_spread_angstrom * k**2) ** 2))


def transmitted(causes: Causes, instrument: Instrument) -> float:
    """Share of the electrons that pass ice and filter."""
    return math.exp(-causes.thickness_nm / instrument.mean_free_path_nm)


def arriving_per_camera_frame(causes: Causes, instrument: Instrument) -> float:
    """Electrons per pixel and camera frame that a camera without coincidence would count."""
    arriving = causes.dose_rate_e_per_px_s * transmitted(causes, instrument) * instrument.dqe_zero
    return arriving / instrument.camera_frames_per_s


def lost_to_coincidence(causes: Causes, instrument: Instrument) -> float:
    """-ln of the share of arriving electrons that are counted: of every pair within the area one is lost."""
    return 0.5 * instrument.coincidence_area_px * arriving_per_camera_frame(causes, instrument)


def neighbour_weight(instrument: Instrument) -> float:
    """Of each of the eight pixels around an electron's own, which counts 1; together the coincidence area."""
    return (instrument.coincidence_area_px - 1.0) / 8.0


def _pair_window(k: Array, instrument: Instrument) -> Array:
    """Azimuthal mean of the transform of the coincidence area, 1 at k = 0."""
    angle = np.arange(_AZIMUTHS) * (2 * np.pi / _AZIMUTHS)
    x, y = (2 * np.pi * k[:, None] * instrument.pixel_size_angstrom * part for part in (np.cos(angle), np.sin(angle)))
    weight = neighbour_weight(instrument)
    box = (1 + 2 * np.cos(x)) * (1 + 2 * np.cos(y)) * weight + (1 - weight)
    return np.asarray(box.mean(axis=1) / instrument.coincidence_area_px)


def coincidence_loss(k: Array, causes: Causes, instrument: Instrument) -> Array:
    """An electron survives with exp(-1/2 x neighbours in its camera frame): signal and noise follow to first order in
    the contrast, and to first order in pairs for the hole that each electron leaves around it."""
    p = lost_to_coincidence(causes, instrument)
    window = _pair_window(k, instrument)
    response = np.exp(-2 * p) * (1 - p * window) ** 2
    noise = np.exp(-p) * (1 - 2 * p * np.exp(-p) * window)
    return np.asarray(-np.log(response / noise))


def ice_power(k: Array, thickness_nm: float, voltage_kv: float) -> Array:
    """Power per area (A2 rad2) of the projected phase of amorphous ice: free molecules times a structure factor."""
    molecule = 47.878 * (scattering_factor("O", k) + 2 * scattering_factor("H", k))
    step = 1.0 / (1.0 + np.exp(-(k - 0.24) / 0.02))
    structure = 0.07 + 0.93 * step + 1.1 * np.exp(-0.5 * ((k - 0.27) / 0.02) ** 2)
    return np.asarray(WATER_PER_A3 * 10 * thickness_nm * (interaction(voltage_kv) * molecule) ** 2 * structure)


def ice_memory(k: Array, instrument: Instrument) -> tuple[Array, Array]:
    """Amplitude correlation of the ice from frame to frame, and share of its power left inside a frame."""
    rate = 2 * math.pi**2 * instrument.ice_motion_a2_per_e * k**2 * instrument.dose_e_per_a2 / instrument.frames
    inside = np.where(rate > 1e-6, 2 * (rate - 1 + np.exp(-rate)) / np.maximum(rate, 1e-6) ** 2, 1.0)
    return np.exp(-rate), inside


def ice_to_shot_noise(k: Array, causes: Causes, instrument: Instrument, blur_power: Array) -> Array:
    """R at CTF^2 = 1/2 in the exposure-weighted sum; the ice shares the image's envelopes."""
    memory, inside = ice_memory(k, instrument)
    weights = exposure_weights(k, instrument)
    apart = np.abs(np.subtract.outer(np.arange(instrument.frames), np.arange(instrument.frames)))
    together = np.einsum("fk,gk,fgk->k", weights, weights, memory ** apart[..., None]) / (weights**2).sum(axis=0)
    counted = instrument.dose_e_per_a2 / instrument.frames * transmitted(causes, instrument) * instrument.dqe_zero
    counted *= math.exp(-lost_to_coincidence(causes, instrument))
    envelopes = source_envelope(k, causes.defocus_angstrom, instrument) * focus_envelope(k, instrument)
    power = 4 * 0.5 * ice_power(k, causes.thickness_nm, instrument.voltage_kv) * inside
    return np.asarray(counted * power * (envelopes * mtf(k, instrument)) ** 2 * blur_power * together)


def motion_left(
    k: Array, path_angstrom: Array, instrument: Instrument, alignment_angstrom: Array | None = None
) -> Array:
    """Share of the signal's power that motion leaves, (K,).

    `path_angstrom` (F, SUBFRAMES, 2) true displacement. `alignment_angstrom` (G, F, 2): by how much each frame was
    moved back, at G places; None: a perfect alignment on the mean of each frame's path. A common shift does not count.
    """
    weights = exposure_weights(k, instrument) ** 2
    centre = path_angstrom.mean(axis=1)
    moved = centre[None] if alignment_angstrom is None else alignment_angstrom
    angle = np.arange(_AZIMUTHS) * (np.pi / _AZIMUTHS)
    direction = np.stack((np.cos(angle), np.sin(angle)))
    power = np.zeros(len(k))
    for back in moved:
        along = (path_angstrom - back[:, None]) @ direction
        phase = np.exp(-2j * np.pi * k[:, None, None, None] * along[None])
        total = np.einsum("fk,kfsa->ka", weights, phase) / path_angstrom.shape[1]
        power += (np.abs(total) ** 2).mean(axis=1) / weights.sum(axis=0) ** 2
    return np.asarray(power / len(moved))


def aberration_loss(
    k: Array, causes: Causes, instrument: Instrument, missed_astigmatism_angstrom: float = 0.0
) -> Array:
    """Of an average over particles in all orientations whose CTF knows of no coma and of that much too little
    astigmatism (U - V)."""
    lam = wavelength(instrument.voltage_kv)
    tilt = 1e-3 * instrument.tilt_mrad_per_um * math.hypot(*causes.image_shift_um)
    coma = 2 * math.pi * instrument.cs_mm * 1e7 * lam**2 * k**3 * tilt
    astigmatism = math.pi * lam * k**2 * 0.5 * missed_astigmatism_angstrom
    return _of_mean_cosine(j0(coma) * j0(astigmatism))


def defocus_spread_loss(k: Array, causes: Causes, instrument: Instrument) -> Array:
    """Of an average over particles spread evenly over heights whose CTF has the mean defocus."""
    return _of_mean_cosine(np.sinc(0.5 * wavelength(instrument.voltage_kv) * k**2 * 10 * causes.height_spread_nm))


def _of_mean_cosine(mean: Array) -> Array:
    return np.asarray(np.minimum(-np.log(np.maximum(mean**2, 1e-9)), LARGEST_LOSS))


def fixed_pattern_to_shot_noise(k: Array, causes: Causes, instrument: Instrument, path_angstrom: Array) -> Array:
    """What a wrong gain reference leaves: a white pattern that stands still while frames are moved back."""
    weights = exposure_weights(k, instrument)
    centre = path_angstrom.mean(axis=1)
    angle = np.arange(_AZIMUTHS) * (np.pi / _AZIMUTHS)
    along = centre @ np.stack((np.cos(angle), np.sin(angle)))
    total = np.einsum("fk,kfa->ka", weights, np.exp(2j * np.pi * k[:, None, None] * along))
    together = (np.abs(total) ** 2).mean(axis=1) / (weights**2).sum(axis=0)
    counted = instrument.dose_e_per_a2 / instrument.frames * transmitted(causes, instrument) * instrument.dqe_zero
    counted *= math.exp(-lost_to_coincidence(causes, instrument))
    return np.asarray(counted * instrument.pixel_size_angstrom**2 * causes.gain_error_sd**2 * together)


def true_losses(causes: Causes, instrument: Instrument, path_angstrom: Array) -> dict[str, Array]:
    """Loss of every factor and of what is beside the total on FREQUENCIES_PER_ANGSTROM, alignment being perfect."""
    k = np.array(FREQUENCIES_PER_ANGSTROM)
    blur = motion_left(k, path_angstrom, instrument)
    ice = ice_to_shot_noise(k, causes, instrument, blur)
    pattern = fixed_pattern_to_shot_noise(k, causes, instrument, path_angstrom)
    return {
        "motion": -np.log(blur),
        "radiation_damage": -np.log((exposure_weights(k, instrument) ** 2).mean(axis=0)),
        "spatial_coherence": -2 * np.log(source_envelope(k, causes.defocus_angstrom, instrument)),
        "temporal_coherence": -2 * np.log(focus_envelope(k, instrument)),
        "ice": -math.log(transmitted(causes, instrument)) + np.log1p(ice),
        "detector": -math.log(instrument.dqe_zero) - 2 * np.log(mtf(k, instrument)) + np.log1p(pattern / (1 + ice)),
        "coincidence": coincidence_loss(k, causes, instrument),
        "heterogeneity": 0.5 * causes.heterogeneity_angstrom2 * k**2,
        "aberrations": aberration_loss(k, causes, instrument),
        "defocus_spread": defocus_spread_loss(k, causes, instrument),
    }
