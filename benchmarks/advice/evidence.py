"""What frazil's workers and its map would have measured of a drawn session, with the errors that they have.

Errors come from benchmarks/results: frames' shifts `motion_truth` (whole 0.2 A, stated 0.2 A), defocus and astigmatism
`ctf_accuracy` (16 and 35 A), particles' ln SSNR and beam tilt `particle_evidence` below. Counts scatter by the beam
from exposure to exposure, rings by the fit's splines, by crowded fields and by the ice's own rings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from benchmarks.advice.truth import (
    CS_MM,
    VOLTAGE_KV,
    Course,
    beam_tilt_mrad,
    course_of,
    defocus_angstrom,
    ice_rings,
    losses,
    path_angstrom,
)
from benchmarks.advice.world import Array, Grid, World
from benchmarks.ctf.scenes import wavelength
from frazil.models.causal.bands import BAND_COUNT, band_frequencies_per_angstrom
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import ExposureFacts, MovieEvidence

SHIFT_SD_ANGSTROM, COUNTS_LN_SD = 0.2, 0.01
DEFOCUS_SD_ANGSTROM, ASTIGMATISM_SD_ANGSTROM, FIT_RESOLUTION_LN_SD = 16.0, 35.0, 0.05
RING_LN_SD, RING_LEVEL_SD, RING_SLOPE_SD = 0.15, 0.15, 0.12
PARTICLES_AT_ANGSTROM = (40.0, 25.35, 18.56, 14.64, 12.08, 10.29, 8.96, 7.93)
PARTICLES_LN_SD = (0.05, 0.09, 0.14, 0.22, 0.26, 0.27, 0.41, 0.48)
TILT_SD_MRAD, TILT_MAP_ANGSTROM = 1.52, 5.9
PARTICLES_OF = 46.0
"""Errors of ln SSNR and tilt are those of so many particles a movie."""
PARTICLES_SCATTER = 1.3
"""Of ln SSNR about the truth, in stated standard deviations."""
LEAST_MAP_MOVIES = 20
"""Fewer make no map that particles could be compared with."""
_FIELD_ANGSTROM = (3700.0, 5000.0)
_START_US = 1_790_000_000_000_000
_WELL_INSIDE = 0.85
_FIT_SEES = 3.0


def seen_movies(world: World, grid: Grid) -> tuple[list[MovieEvidence], Course]:
    """Evidence of the movies that were taken so far, in their order."""
    whole = course_of(world, grid)
    n = world.movies
    course = Course(
        whole.site[:n], whole.stop[:n], whole.settle_s[:n], whole.start_s[:n], whole.shift_um[:n], whole.order[:n],
        whole.exposure_s, whole.hours,
    )  # fmt: skip
    random = np.random.default_rng([world.seed, 12])
    centre = path_angstrom(world, grid, course).mean(axis=2)
    shifts = centre - centre.mean(axis=1, keepdims=True) + _shift_errors(random, centre.shape)
    bands = band_frequencies_per_angstrom()
    lost = losses(world, grid, course, bands, shifts)
    rings = _rings(world, grid, course, lost, random)
    counted = _counts(world, grid, course, random)
    movies = [_movie(world, grid, course, row, shifts[row], rings[row], counted[row], random) for row in range(n)]
    return movies, course


def _shift_errors(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Half of the variance from frame to frame, half slow."""
    frames = shape[1]
    slow = np.cumsum(random.normal(size=shape), axis=1) / math.sqrt(frames / 2)
    errors = SHIFT_SD_ANGSTROM * (random.normal(size=shape) + slow - slow.mean(axis=1, keepdims=True)) / 1.6
    return np.asarray(errors)


def _counts(world: World, grid: Grid, course: Course, random: np.random.Generator) -> Array:
    """(M,) e/px and frame."""
    settings = world.settings
    transmitted = np.exp(-grid.thickness_nm[course.site] / world.free_path_nm)
    load = 0.5 * world.coincidence_area_px * settings.rate_e_per_px_s * transmitted * world.dqe_zero
    counted = settings.dose_e_per_a2 / world.frames * world.pixel_size_angstrom**2 * transmitted * world.dqe_zero
    counted = counted * np.exp(-load / world.camera_frames_per_s)
    return np.asarray(counted * np.exp(COUNTS_LN_SD * random.normal(size=len(course.site))))


def _rings(world: World, grid: Grid, course: Course, lost: Mapping[str, Array], random: np.random.Generator) -> Array:
    """(M, BAND_COUNT) ln of ring amplitude over noise: specimen and ice, both washed out by the layer's thickness."""
    k = band_frequencies_per_angstrom()
    thickness = grid.thickness_nm[course.site]
    envelopes = sum(lost[name] for name in ("motion", "coherence", "energy", "camera", "coincidence"))
    specimen = world.specimen_ln - 0.5 * world.specimen_b_angstrom2 * (k**2 - 0.01) + np.log(1.0 + 0.8 * (k < 1 / 11))
    power = np.exp(specimen - envelopes - lost["inelastic"] - lost["damage"]) * grid.crowding[course.site][:, None]
    ice = ice_rings(world, thickness, k) * np.exp(-envelopes - lost["inelastic"])
    layer = 0.3 + 0.7 * np.abs(np.sinc(wavelength(VOLTAGE_KV) * k**2 * 10 * thickness[:, None]))
    m = len(thickness)
    wrong = RING_LN_SD * random.normal(size=(m, k.size)) + RING_LEVEL_SD * random.normal(size=(m, 1))
    wrong = wrong + RING_SLOPE_SD * random.normal(size=(m, 1)) * (5 * k) ** 2
    return np.asarray(np.log((power + ice) * layer) + wrong)


def _movie(
    world: World,
    grid: Grid,
    course: Course,
    row: int,
    shifts: Array,
    rings: Array,
    counted: float,
    random: np.random.Generator,
) -> MovieEvidence:
    settings, site = world.settings, course.site[row]
    frames, dose = world.frames, settings.dose_e_per_a2 * world.dose_calibration / world.frames
    defocus = float(defocus_angstrom(world, grid)[site] + DEFOCUS_SD_ANGSTROM * random.normal())
    fit, measured, counting = _fitted(rings, defocus, random)
    stop = int(course.stop[row])
    x, y = (float(part) for part in course.shift_um[row])
    known_sd = 0.2 * math.exp(0.3 * random.normal())
    return MovieEvidence(
        shift_x_angstrom=tuple(shifts[:, 0].tolist()),
        shift_y_angstrom=tuple(shifts[:, 1].tolist()),
        shift_sd_angstrom=(known_sd,) * frames,
        local_residual_angstrom=0.1,
        frame_count=frames,
        dose_per_frame_e_per_a2=dose,
        pre_exposure_e_per_a2=0.0,
        dose_per_frame_e_per_px=float(counted),
        pixel_size_angstrom=world.pixel_size_angstrom,
        voltage_kv=VOLTAGE_KV,
        cs_mm=CS_MM,
        defocus_angstrom=defocus,
        relative_ice_thickness=None,
        log_ssnr=measured,
        log_ssnr_sd=0.25,
        log_ssnr_counting_sd=counting,
        defocus_sd_angstrom=DEFOCUS_SD_ANGSTROM,
        astigmatism_sd_angstrom=ASTIGMATISM_SD_ANGSTROM,
        fit_resolution_angstrom=fit,
        ice_ring_density=1.0,
        tilt_angle_deg=None,
        field_width_angstrom=min(_FIELD_ANGSTROM),
        fixed_pattern=0.01 * random.normal(),
        fixed_pattern_rms=0.005,
        particle_diameter_angstrom=150.0,
        exposure=ExposureFacts(
            acquired_utc_us=_START_US + int(course.start_s[row] * 1e6),
            exposure_time_s=course.exposure_s,
            stated_dose_per_frame_e_per_a2=dose,
            stage_x_um=float(40.0 * (stop // 1000) + 7.0 * (stop % 1000)),
            stage_y_um=float(11.0 * (stop % 7)),
            image_shift_x_um=x if world.shift_unit == "um" else None,
            image_shift_y_um=y if world.shift_unit == "um" else None,
            shift_x_au=x / world.um_per_unit if world.shift_unit == "au" else None,
            shift_y_au=y / world.um_per_unit if world.shift_unit == "au" else None,
            energy_filter=True,
            grid_square=f"square {stop // 1000}",
        ),
    )


def _fitted(
    rings: Array, defocus: float, random: np.random.Generator
) -> tuple[float, tuple[float | None, ...], tuple[float, ...]]:
    """How far the CTF fit reaches in A, and ln SSNR from the first zero to well inside of that, with its counting."""
    k = band_frequencies_per_angstrom()
    samples = np.pi * k * (k[1] - k[0]) * _FIELD_ANGSTROM[0] * _FIELD_ANGSTROM[1] / 8
    ratio = np.exp(rings)
    seen = ratio * np.sqrt(samples) > _FIT_SEES
    reach = k[np.argmin(seen)] if not seen.all() else k[-1]
    fit = float(np.exp(FIT_RESOLUTION_LN_SD * random.normal()) / max(reach, 1 / 30))
    begin = 1 / math.sqrt(wavelength(VOLTAGE_KV) * defocus / 0.97)
    used = (k > begin) & (k <= _WELL_INSIDE / fit)
    counting = (1 + ratio / 2) / ratio / np.sqrt(samples)
    values = tuple(float(value) if use else None for value, use in zip(rings, used, strict=True))
    return fit, values, tuple(np.where(used, counting, 0.0).tolist())


def seen_particles(world: World, grid: Grid, course: Course) -> list[ParticleEvidence] | None:
    """Of every movie, against the session's map; None: there is no map."""
    if world.map_angstrom is None or len(course.site) < LEAST_MAP_MOVIES:
        return None
    random = np.random.default_rng([world.seed, 13])
    k, m = band_frequencies_per_angstrom(), len(course.site)
    path = path_angstrom(world, grid, course).mean(axis=2)
    lost = losses(world, grid, course, k, path + _shift_errors(random, path.shape))
    signal = -np.asarray(sum(value for name, value in lost.items() if name != "coma"))
    signal = signal - np.median(signal, axis=0)
    share = math.sqrt(PARTICLES_OF / world.particles_per_movie)
    finest = PARTICLES_AT_ANGSTROM[-1]
    sds = np.interp(k, 1 / np.array(PARTICLES_AT_ANGSTROM), PARTICLES_LN_SD)
    sds = share * np.where(k > 1 / finest, sds * (finest * k) ** 3, sds)
    tilts = beam_tilt_mrad(world, course)
    tilt_sd = TILT_SD_MRAD * share * (world.map_angstrom / TILT_MAP_ANGSTROM) ** 3
    known = (k < 1 / world.map_angstrom) & (sds < 1.0)
    made = []
    for row in range(m):
        values = signal[row] + sds * PARTICLES_SCATTER * random.normal(size=BAND_COUNT)
        tilt = tilts[row] + tilt_sd * random.normal(size=2)
        made.append(
            ParticleEvidence(
                particle_count=world.particles_per_movie,
                reference_renewal=3,
                frequency_per_angstrom=(),
                frc=(),
                log_ssnr=tuple(float(v) if use else None for v, use in zip(values, known, strict=True)),
                log_ssnr_sd=tuple(float(s) if use else None for s, use in zip(sds, known, strict=True)),
                beam_tilt_x_mrad=float(tilt[0]),
                beam_tilt_y_mrad=float(tilt[1]),
                beam_tilt_covariance_mrad2=(tilt_sd**2, 0.0, tilt_sd**2),
            )
        )
    return made
