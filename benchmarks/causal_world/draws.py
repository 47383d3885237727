"""What a session of `causal_sessions.py` is taken under: everything is drawn from a seed, each cause by itself.

A movie's causes come from streams of their own, so that the same seed with another setting (`Wanted.settle_longer_s`,
`Wanted.dose_rate_scale`) gives the same session with that one thing really done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.causal_world.physics import SUBFRAMES, Causes, Instrument

KINDS = ("mixed", "hasty", "dominant", "change")
"""`hasty` is mixed with a stage that drifts and hardly settles, and a bright beam: there is something to gain."""
DOMINANT = ("drift_burst", "thick_ice", "coma", "coincidence", "defocus_spread")
CHANGES = {
    "illumination": "spatial_coherence", "dose rate": "coincidence", "gain": "detector", "grid": "ice",
    "drift_burst": "motion", "thick_ice": "ice", "coma": "aberrations",
}  # fmt: skip
"""What can be changed, and the factor that it acts on first. Of DOMINANT: every movie from then on has it."""
STAGE_MOVE_S, IMAGE_SHIFT_S = 2.0, 2.5
_BURST_RADIUS_ANGSTROM = 12.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a session."""

    seed: int
    kind: str = "mixed"
    movies: int = 60
    size_px: int = 1024
    frames: int = 24
    change: str | None = None
    """One of CHANGES, from movie `change_at` (0-based) on."""
    change_at: int = 30
    settle_longer_s: float = 0.0
    dose_rate_scale: float = 1.0
    heterogeneity_angstrom2: float = 0.0
    """Upper end of the movies' B-factors of particles that differ."""
    pixel_size_angstrom: float | None = None
    """None: drawn."""
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What holds for all of its movies."""

    instrument: Instrument
    dose_rate_e_per_px_s: float
    settle_speed_angstrom_per_s: float
    settle_decay_s: float
    spread_share: float
    """Particles' height spread as a share of the ice's thickness."""
    coverage: float
    dose_calibration: float
    """What the microscope says of the dose, divided by the dose."""
    thickness_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Taken:
    """One movie, before it is made."""

    index: int
    causes: Causes
    session: Session
    planted: str | None
    """The one strong cause of a movie of a `dominant` session."""
    exposure_time_s: float
    start_utc_s: float
    stage_um: tuple[float, float]
    grid_square: int
    hole: int
    stage_moved: bool
    coverage: float
    path_angstrom: NDArray[Any]


def draw_session(wanted: Wanted) -> Session:
    """The instrument of a session; of a `dominant` or `change` session one in good order."""
    random = np.random.default_rng([wanted.seed, 1])
    quiet = wanted.kind in ("dominant", "change")
    pixel = float(random.uniform(0.85, 1.1))
    camera_frames = float(random.choice([320.0, 400.0, 750.0, 1500.0]))
    area = float(random.uniform(4.0, 9.0))
    half_angle = float(random.uniform(0.01, 0.06))
    hasty = wanted.kind == "hasty"
    tilt = float(np.exp(random.uniform(math.log(0.05), math.log(0.3))))
    instrument = Instrument(
        voltage_kv=300.0,
        cs_mm=2.7,
        amplitude_contrast=0.1,
        pixel_size_angstrom=_or_drawn(wanted.pixel_size_angstrom, pixel),
        dose_e_per_a2=float(random.uniform(30.0, 50.0)),
        frames=wanted.frames,
        half_angle_mrad=0.01 + 0.2 * (half_angle - 0.01) if quiet else half_angle,
        focal_spread_angstrom=float(random.uniform(40.0, 120.0)),
        tilt_mrad_per_um=0.12 + 0.6 * (tilt - 0.05) if quiet else tilt,
        mean_free_path_nm=float(random.uniform(280.0, 400.0)),
        dqe_zero=float(random.uniform(0.82, 0.95)),
        dqe_nyquist=float(random.uniform(0.25, 0.5)),
        coincidence_area_px=area,
        camera_frames_per_s=camera_frames,
        critical_exposure_scale=float(np.exp(random.normal(0.0, 0.08))),
        ice_motion_a2_per_e=0.37 * float(random.uniform(0.75, 1.3)),
    )
    return Session(
        instrument=instrument,
        # Where a camera is meant to be used: a few per cent of the electrons coincide.
        dose_rate_e_per_px_s=float(random.uniform(0.03, 0.07)) * 2 * camera_frames / area,
        settle_speed_angstrom_per_s=(40.0 if hasty else 18.0) * float(np.exp(random.normal(0.0, 0.25))),
        settle_decay_s=float(random.uniform(4.0, 9.0)),
        spread_share=float(random.uniform(0.3, 0.9)),
        coverage=_or_drawn(wanted.coverage, float(random.uniform(0.25, 0.4))),
        dose_calibration=float(np.exp(random.normal(0.0, 0.015))),
    )


def _or_drawn(said: float | None, drawn: float) -> float:
    return drawn if said is None else said


def draw_movies(wanted: Wanted) -> list[Taken]:
    """All movies in the order of their taking."""
    session = draw_session(wanted)
    if wanted.kind not in KINDS or (wanted.kind == "change") != (wanted.change in CHANGES):
        raise ValueError(f"no session of kind {wanted.kind} with change {wanted.change}")
    taken: list[Taken] = []
    clock, settled, stage = 1_790_000_000.0, 0.0, (0.0, 0.0)
    square_level = 0.0
    for index in range(wanted.movies):
        if wanted.change is not None and index == wanted.change_at:
            session = changed(session, wanted.change)
        random = np.random.default_rng([wanted.seed, 2, index])
        if index % 10 == 0:
            square_level = float(np.random.default_rng([wanted.seed, 3, index]).uniform(math.log(35), math.log(160)))
        causes, planted = _draw_causes(wanted, session, square_level, random, index)
        moved = index == 0 or float(random.uniform()) < (0.7 if wanted.kind in ("mixed", "hasty") else 1.0)
        if moved:
            settled = causes.settle_time_s + wanted.settle_longer_s
            stage = (stage[0] + float(random.normal(0, 6.0)), stage[1] + float(random.normal(0, 6.0)))
            clock += STAGE_MOVE_S + settled
        else:
            settled += IMAGE_SHIFT_S
            clock += IMAGE_SHIFT_S
        causes = replace(
            causes, settle_time_s=settled, dose_rate_e_per_px_s=causes.dose_rate_e_per_px_s * wanted.dose_rate_scale
        )
        instrument = session.instrument
        exposure = instrument.dose_e_per_a2 * instrument.pixel_size_angstrom**2 / causes.dose_rate_e_per_px_s
        taken.append(
            Taken(
                index=index,
                causes=causes,
                session=session,
                planted=planted,
                exposure_time_s=exposure,
                start_utc_s=clock,
                stage_um=stage,
                grid_square=index // 10,
                hole=index,
                stage_moved=moved,
                coverage=session.coverage * float(np.exp(random.normal(0.0, 0.12))),
                path_angstrom=_path(wanted, session, causes, exposure, planted, index),
            )
        )
        clock += exposure
        settled += exposure
    return taken


def changed(session: Session, change: str) -> Session:
    """From now on: a wider source at a smaller dose rate, twice the dose rate, another gain, or a thicker grid."""
    instrument = session.instrument
    if change == "illumination":
        wider = replace(instrument, half_angle_mrad=max(4.0 * instrument.half_angle_mrad, 0.05))
        return replace(session, instrument=wider, dose_rate_e_per_px_s=0.7 * session.dose_rate_e_per_px_s)
    if change == "dose rate":
        return replace(session, dose_rate_e_per_px_s=2.0 * session.dose_rate_e_per_px_s)
    return replace(session, thickness_scale=3.0, coverage=0.75 * session.coverage) if change == "grid" else session


def _draw_causes(
    wanted: Wanted, session: Session, square_level: float, random: np.random.Generator, index: int
) -> tuple[Causes, str | None]:
    angle, radius = float(random.uniform(0, 2 * math.pi)), math.sqrt(float(random.uniform()))
    settle = float(np.exp(random.uniform(math.log(2.0), math.log(30.0))))
    thickness = float(np.clip(math.exp(square_level + 0.45 * random.standard_normal()), 20.0, 250.0))
    scatter = float(np.exp(0.2 * random.standard_normal()))
    rate = session.dose_rate_e_per_px_s * float(np.exp(random.uniform(math.log(0.5), math.log(4.0))))
    defocus = float(random.uniform(5_000.0, 30_000.0))
    astigmatism = abs(float(random.normal(0.0, 250.0)))
    astigmatism_angle = float(random.uniform(-90, 90))
    heterogeneity = wanted.heterogeneity_angstrom2 * float(random.uniform())
    burst, fate, strength = (float(a) for a in random.uniform(0, 1, 3))
    planted = "drift_burst" if burst < 0.1 else None
    shift = 9.0 * radius
    spread = min(session.spread_share * scatter, 1.0) * thickness
    if wanted.kind == "hasty":
        settle = 2.0 + 0.25 * settle
        rate *= 1.6
    if wanted.kind in ("dominant", "change"):
        settle = 15.0 + 0.5 * settle
        thickness = session.thickness_scale * float(np.clip(32.0 * math.exp(0.15 * random.standard_normal()), 20, 60))
        spread = 0.3 * thickness
        shift = 1.5 * radius
        rate = session.dose_rate_e_per_px_s * float(np.exp(0.1 * random.standard_normal()))
        defocus = 8_000.0 + 0.3 * (defocus - 5_000.0)
        planted = None
    if wanted.change in DOMINANT and index >= wanted.change_at:
        planted = wanted.change
    elif wanted.kind == "dominant" and fate < 0.7:
        planted = DOMINANT[int(fate / 0.7 * len(DOMINANT))]
    if wanted.kind in ("dominant", "change"):
        if planted == "thick_ice":
            thickness, spread = 150.0 + 90.0 * strength, 12.0
        elif planted == "coma":
            shift = (2.0 + strength) / session.instrument.tilt_mrad_per_um
        elif planted == "coincidence":
            # So that 0.35 to 0.5 of -ln(counted share) is lost, whatever the camera.
            rate = (0.35 + 0.15 * strength) * 2 * session.instrument.camera_frames_per_s
            rate /= session.instrument.coincidence_area_px
        elif planted == "defocus_spread":
            thickness = 75.0 + 20.0 * strength
            spread = 0.9 * thickness
    causes = Causes(
        settle_time_s=settle,
        thickness_nm=thickness,
        height_spread_nm=spread,
        image_shift_um=(shift * math.cos(angle), shift * math.sin(angle)),
        dose_rate_e_per_px_s=rate,
        defocus_angstrom=defocus,
        astigmatism_angstrom=astigmatism,
        astigmatism_angle_deg=astigmatism_angle,
        heterogeneity_angstrom2=heterogeneity,
    )
    return causes, planted


def _path(
    wanted: Wanted, session: Session, causes: Causes, exposure_time_s: float, planted: str | None, index: int
) -> NDArray[Any]:
    """(F, SUBFRAMES, 2) A: the stage goes on settling in time, the specimen moves with the dose, little steps, and
    now and then a burst."""
    random = np.random.default_rng([wanted.seed, 4, index])
    frames = session.instrument.frames
    u = (np.arange(frames * SUBFRAMES) + 0.5) / (frames * SUBFRAMES)
    t = u * exposure_time_s
    speed = session.settle_speed_angstrom_per_s * float(np.exp(random.normal(0.0, 0.2)))
    speed *= math.exp(-causes.settle_time_s / session.settle_decay_s)
    decay = session.settle_decay_s
    rest = 0.4 * float(np.exp(random.normal(0.0, 0.4)))
    stage = speed * decay * (1 - np.exp(-t / decay)) + rest * t
    beam = 2.5 * float(np.exp(random.normal(0.0, 0.3)))
    beam_induced = beam * (1 - np.exp(-u * session.instrument.dose_e_per_a2 / 3.0))
    walk = np.concatenate((np.zeros((1, 2)), np.cumsum(0.1 * random.standard_normal((frames, 2)), axis=0)))
    steps = np.stack([np.interp(u * frames, np.arange(frames + 1), walk[:, axis]) for axis in (0, 1)], axis=1)
    first, length, size, *angles = (float(a) for a in random.uniform(0, 1, 6))
    path = steps + _towards(stage, angles[0]) + _towards(beam_induced, angles[1])
    if planted == "drift_burst":
        # Around a circle, 5 to 8 A a frame, over a good part of the frames that count: much blur and little travel.
        begin, end = 0.15 * first, 0.5 + 0.25 * length
        turn = np.clip(u - begin, 0, end - begin) * frames * (5.0 + 3.0 * size) / _BURST_RADIUS_ANGSTROM
        turn += 2 * math.pi * angles[2]
        path += _BURST_RADIUS_ANGSTROM * (np.stack((np.cos(turn), np.sin(turn)), axis=1))
    return path.reshape(frames, SUBFRAMES, 2)


def _towards(course: NDArray[Any], turn: float) -> NDArray[Any]:
    return course[:, None] * np.array([math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)])
