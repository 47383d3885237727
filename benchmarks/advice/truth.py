"""The signal that a drawn session gets in an hour, and what any action would change of it.

The objective is the one that frazil states: ln of the SSNR at 5 A that all movies of a session add to a map, per hour.
To it the truth adds what frazil does not model: poses are found by the signal at low resolution, and too thin ice
holds few particles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import j0, j1

from benchmarks.advice.world import GOLDEN_RAD, Array, Grid, World
from benchmarks.causal_world.physics import ice_power
from benchmarks.ctf.scenes import wavelength

VOLTAGE_KV, CS_MM = 300.0, 2.7
AT_5_ANGSTROM, LOW_PER_ANGSTROM = 0.2, 1 / 15
SUBFRAMES = 4
SESSION_H = 8.0
"""In which an alignment has to pay."""
_AZIMUTHS = 6
_EMPTY_NM = 13.0
"""Thinner ice holds few particles."""
_LARGEST_LOSS = 12.0
_WATER_A2_PER_E = 0.4
_CONTRAST_BAND = np.linspace(1 / 40, 1 / 12, 24)


@dataclass(frozen=True, slots=True)
class Course:
    """The movies that are taken, in their order."""

    site: Array
    stop: Array
    settle_s: Array
    start_s: Array
    shift_um: Array
    """(M, 2)"""
    order: Array
    exposure_s: float
    hours: float


def course_of(world: World, grid: Grid) -> Course:
    """The timeline: to a square, to a stop, hole by hole; holes of too thick ice are passed over."""
    now, settings = world.settings, world.settings
    per_stop = max(1, round(world.holes_per_stop * settings.shift_share**2))
    per_square = world.holes_per_stop * world.stops_per_square
    exposure_s = now.dose_e_per_a2 * world.pixel_size_angstrom**2 / now.rate_e_per_px_s
    clock, square, stop, stopped = 0.0, -1, (-1, -1), 0.0
    rows = []
    for site in np.flatnonzero(grid.thickness_nm <= settings.ice_limit_nm):
        if grid.square[site] != square:
            square = int(grid.square[site])
            clock += world.square_s
        place = site % per_square
        here = (square, int(place) // per_stop)
        if here != stop:
            stop, clock = here, clock + world.move_s
            stopped = clock
            clock += settings.wait_s * math.exp(world.wait_ln_sd * grid.wait_z[site])
        order = place % per_stop
        # The pattern of the whole stop, as far as the reach lets it go.
        radius = world.reach_um * math.sqrt(order / max(world.holes_per_stop - 1, 1))
        shift = (radius * math.cos(order * GOLDEN_RAD), radius * math.sin(order * GOLDEN_RAD))
        rows.append((site, square * 1000 + here[1], clock - stopped, clock, *shift, order))
        clock += exposure_s + world.overhead_s
    table = np.array(rows)
    return Course(
        site=table[:, 0].astype(int),
        stop=table[:, 1],
        settle_s=table[:, 2],
        start_s=table[:, 3],
        shift_um=table[:, 4:6],
        order=table[:, 6],
        exposure_s=exposure_s,
        hours=clock / 3600,
    )


def path_angstrom(world: World, grid: Grid, course: Course) -> Array:
    """(M, F, SUBFRAMES, 2) of the specimen."""
    site, settings = course.site, world.settings
    u = (np.arange(world.frames * SUBFRAMES) + 0.5) / (world.frames * SUBFRAMES)
    t = u[None, :] * course.exposure_s
    stage = _travelled(world, course.settle_s[:, None] + t) - _travelled(world, course.settle_s[:, None])
    stage = stage * np.exp(grid.drift_ln[site])[:, None]
    beam = world.beam_motion_angstrom * np.exp(grid.beam_ln[site]) * (40 / grid.thickness_nm[site]) ** 0.3
    beam = beam * (settings.rate_e_per_px_s / 10) ** world.rate_power * (1 + world.charging_per_hole * course.order)
    induced = beam[:, None] * (1 - np.exp(-u * settings.dose_e_per_a2 / 4.0))[None, :]
    walk = grid.walk[site][:, (u * grid.walk.shape[1]).astype(int)]
    path = walk + _along(stage, grid.drift_angle[site]) + _along(induced, grid.beam_angle[site])
    return np.asarray(path.reshape(len(site), world.frames, SUBFRAMES, 2))


def _along(course: Array, angle: Array) -> Array:
    return np.asarray(course[..., None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)[:, None, :])


def _travelled(world: World, t: Array) -> Array:
    """A that the stage has gone t seconds after it stopped."""
    if world.settling == "exponentials":
        fast, slow = world.time_s, 4 * world.time_s
        gone = 0.75 * fast * (1 - np.exp(-t / fast)) + 0.25 * slow * (1 - np.exp(-t / slow))
    else:
        gone = world.time_s * (1 - 1 / (1 + t / world.time_s))  # speed goes with (1 + t / time)^-2
    return np.asarray(world.speed_angstrom_per_s * gone + world.rest_angstrom_per_s * t)


def left_of_amplitude(world: World, k: Array) -> Array:
    """(F, K) by radiation in each frame: a stretched exponential, critical exposure proportional to the distance."""
    dose = (np.arange(world.frames) + 0.5) * world.settings.dose_e_per_a2 / world.frames
    return np.asarray(np.exp(-((dose[:, None] / (2 * world.damage_e_per_a3 / k)) ** 0.9)))


def motion_left(world: World, path: Array, moved_back: Array, k: Array) -> Array:
    """(M, K) share of the power that is left when each frame is moved back by (M, F, 2)."""
    weights = left_of_amplitude(world, k) ** 2
    rest = path - moved_back[:, :, None, :]
    power = np.zeros((len(path), k.size))
    for angle in (np.arange(_AZIMUTHS) + 0.5) * np.pi / _AZIMUTHS:
        along = rest @ np.array([math.cos(angle), math.sin(angle)])
        seen = np.exp(-2j * np.pi * along[..., None] * k).mean(axis=2)  # (M, F, K)
        power += np.abs((seen * weights).sum(axis=1)) ** 2 / _AZIMUTHS
    return np.asarray(power / weights.sum(axis=0) ** 2)


def losses(world: World, grid: Grid, course: Course, k: Array, moved_back: Array | None = None) -> Mapping[str, Array]:
    """(M, K) by cause. `moved_back` None: perfect alignment."""
    settings, site = world.settings, course.site
    path = path_angstrom(world, grid, course)
    blur = motion_left(world, path, path.mean(axis=2) if moved_back is None else moved_back, k)
    thickness = grid.thickness_nm[site]
    transmitted = np.exp(-thickness / world.free_path_nm)
    lam = wavelength(VOLTAGE_KV)
    defocus = defocus_angstrom(world, grid)[site]
    slope = CS_MM * 1e7 * lam**2 * k**3 - defocus[:, None] * k
    x = np.maximum(2 * np.pi * settings.half_angle_mrad * 1e-3 * np.abs(slope), 1e-6)
    load = 0.5 * world.coincidence_area_px * settings.rate_e_per_px_s * transmitted * world.dqe_zero
    load = (load / world.camera_frames_per_s)[:, None]
    window = np.exp(-((1.5 * k * world.pixel_size_angstrom) ** 2))
    # What is left of pairs that merge: signal in both, noise in one.
    apart = np.maximum(1 - load * window, 0.05)
    mtf2 = np.exp(-math.log(world.dqe_zero / world.dqe_nyquist) * (2 * k * world.pixel_size_angstrom) ** 2)
    tilt = np.hypot(*beam_tilt_mrad(world, course).T) * 1e-3
    found = {
        "motion": -np.log(np.maximum(blur, 1e-6)),
        "damage": -np.log((left_of_amplitude(world, k) ** 2).mean(axis=0))[None, :] * np.ones_like(blur),
        "coherence": -2 * np.log(np.maximum(np.abs(2 * j1(x) / x), 1e-4)),
        "energy": (np.pi * lam * world.focal_spread_angstrom * k**2)[None, :] ** 2 * np.ones_like(blur),
        "camera": -np.log(world.dqe_zero * mtf2)[None, :] * np.ones_like(blur),
        "coincidence": load - np.log(apart),
        "inelastic": np.repeat(thickness[:, None] / world.free_path_nm, k.size, axis=1),
        "coma": _of_mean(j0(2 * np.pi * CS_MM * 1e7 * lam**2 * k**3 * tilt[:, None])),
        "heights": _of_mean(np.sinc(0.5 * lam * k**2 * height_angstrom(world, grid)[site][:, None])),
    }
    # The ice's own pattern is seen through the same lens and camera.
    passed = np.exp(-sum(found[name] for name in ("motion", "coherence", "energy", "camera", "coincidence")))
    found["pattern"] = np.log1p(0.5 * ice_rings(world, thickness, k) * transmitted[:, None] * passed)
    return found


def _of_mean(mean: Array) -> Array:
    return np.asarray(np.minimum(-np.log(np.maximum(mean**2, 1e-9)), _LARGEST_LOSS))


def ice_rings(world: World, thickness_nm: Array, k: Array) -> Array:
    """(M, K) power of the ice's pattern over shot noise at CTF^2 = 1, in the weighted sum of a perfect camera."""
    frames, per_frame = world.frames, world.settings.dose_e_per_a2 / world.frames
    memory = np.exp(-2 * math.pi**2 * _WATER_A2_PER_E * k**2 * per_frame)
    q = left_of_amplitude(world, k)
    apart = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
    together = np.einsum("fk,gk,fgk->k", q, q, memory ** apart[..., None]) / (q**2).sum(axis=0)
    return np.asarray(4 * per_frame * together * ice_power(k, 1.0, VOLTAGE_KV) * thickness_nm[:, None])


def defocus_angstrom(world: World, grid: Grid) -> Array:
    low, high = world.defocus_angstrom
    return np.asarray(np.maximum((low + (high - low) * grid.defocus_share) * world.settings.defocus_scale, 4_000.0))


def height_angstrom(world: World, grid: Grid) -> Array:
    """Full width of the particles' heights."""
    return np.asarray(10 * grid.thickness_nm * np.minimum(world.height_share * np.exp(grid.height_ln), 1.0))


def beam_tilt_mrad(world: World, course: Course) -> Array:
    """(M, 2)"""
    shift = course.shift_um
    bent = world.cubic_mrad_per_um3 * shift * (shift**2).sum(axis=1, keepdims=True)
    settings = world.settings
    return np.asarray(
        settings.coma_left * (shift @ world.coma_mrad_per_um.T + bent) + settings.axial_left * world.axial_mrad
    )


def signal_per_hour(world: World, grid: Grid, low_reference: float | None = None) -> tuple[float, float]:
    """ln of what all movies add to a map at 5 A in an hour, and the usual signal at low resolution."""
    course = course_of(world, grid)
    k = np.array([LOW_PER_ANGSTROM, AT_5_ANGSTROM])
    lost = sum(losses(world, grid, course, k).values())
    signal = world.settings.dose_e_per_a2 * np.exp(-lost)
    defocus = defocus_angstrom(world, grid)[course.site]
    contrast = np.sin(np.pi * wavelength(VOLTAGE_KV) * defocus[:, None] * _CONTRAST_BAND**2 + 0.07) ** 2
    low = signal[:, 0] * contrast.mean(axis=1)
    usual = float(np.median(low)) if low_reference is None else low_reference
    poses = np.exp(-np.minimum(world.pose_loss * usual / low, _LARGEST_LOSS))
    count = grid.crowding[course.site] * (1 - np.exp(-((grid.thickness_nm[course.site] / _EMPTY_NM) ** 2)))
    share = 1 - world.settings.column_min / 60 / SESSION_H
    return float(np.log((count * poses * signal[:, 1]).sum() / course.hours * share)), usual
