"""What a drawn session is taken under: laws of its own, a grid of holes, and what a person could set otherwise.

Nothing here is shared with frazil's causal model. The stage comes to rest by two exponentials or a power law; signal
fades by a stretched exponential whose critical exposure goes with the distance; the ice of neighbouring squares is
alike; image shift tilts the beam by a matrix and a cubic term; the source is an evenly lit disc; a brighter beam moves
the specimen more; seconds per movie follow from a timeline of squares, stops and holes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SITES = 120
"""Holes of the grid by which an action is judged. Those to come have the ice of those that a session has taken, which
is all that anybody can know of it, and chances of their own."""
_LEAST_SEEN = 24
"""Of a shorter session the ice of so many holes counts."""
KINDS = (
    "settle longer", "settle shorter", "thin ice", "coma", "lower rate", "higher rate", "parallel", "fewer electrons",
    "nothing",
)  # fmt: skip
GOLDEN_RAD = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person at the microscope sets."""

    wait_s: float
    """After every move of the stage."""
    rate_e_per_px_s: float
    dose_e_per_a2: float
    half_angle_mrad: float
    """Radius of the illumination's disc of angles."""
    ice_limit_nm: float = math.inf
    """Holes with thicker ice are left out."""
    coma_left: float = 1.0
    """Share of the tilt by image shift that no calibration has taken away."""
    axial_left: float = 1.0
    shift_share: float = 1.0
    """Of the reach of the image shift."""
    defocus_scale: float = 1.0
    column_min: float = 0.0
    """Minutes at the column before the session goes on."""


@dataclass(frozen=True, slots=True)
class World:
    """A session's laws."""

    seed: int
    kind: str
    """What is planted: one of KINDS."""
    movies: int
    """Seen so far."""
    settings: Settings
    pixel_size_angstrom: float
    frames: int
    holes_per_stop: int
    stops_per_square: int
    reach_um: float
    """Of the image shift, of the outermost hole of a stop."""
    overhead_s: float
    """From the end of an exposure to the next of the same stop."""
    move_s: float
    square_s: float
    wait_ln_sd: float
    settling: str
    """`exponentials` or `power`."""
    speed_angstrom_per_s: float
    """Right after the stage has stopped."""
    time_s: float
    rest_angstrom_per_s: float
    ice_nm: float
    square_ln_sd: float
    hole_ln_sd: float
    free_path_nm: float
    height_share: float
    camera_frames_per_s: float
    coincidence_area_px: float
    dqe_zero: float
    dqe_nyquist: float
    focal_spread_angstrom: float
    coma_mrad_per_um: Array
    """(2, 2)"""
    axial_mrad: Array
    cubic_mrad_per_um3: float
    beam_motion_angstrom: float
    rate_power: float
    """The beam moves the specimen with its dose rate to this power."""
    charging_per_hole: float
    """Each hole of a stop moves so much more than the one before it."""
    damage_e_per_a3: float
    """Critical exposure over the distance."""
    specimen_ln: float
    """ln SSNR per Fourier sample at 10 A of an ideal exposure."""
    specimen_b_angstrom2: float
    pose_loss: float
    """What errors of poses cost at 5 A at the session's usual signal at low resolution."""
    defocus_angstrom: tuple[float, float]
    coma_calibrated_to: float
    column_min: float
    """Minutes that an alignment takes."""
    dose_calibration: float
    """Stated over true dose."""
    map_angstrom: float | None
    """Resolution of its map; None: it has none."""
    particles_per_movie: float
    shift_unit: str
    """In which the image shift was written down: `um`, `au` (as EPU does), or `` where it was not."""
    um_per_unit: float

    def with_settings(self, **changes: float) -> World:
        return replace(self, settings=replace(self.settings, **changes))


@dataclass(frozen=True, slots=True)
class Grid:
    """(SITES,) what belongs to the holes and to chance, whatever is set."""

    square: NDArray[np.int64]
    thickness_nm: Array
    crowding: Array
    defocus_share: Array
    drift_ln: Array
    drift_angle: Array
    beam_ln: Array
    beam_angle: Array
    wait_z: Array
    height_ln: Array
    walk: Array
    """(SITES, 60, 2)"""


def grid_of(world: World) -> Grid:
    """The same for a seed whatever is set."""
    random = np.random.default_rng([world.seed, 11])
    per_square = world.holes_per_stop * world.stops_per_square
    square = np.arange(SITES) // per_square
    squares = int(square.max()) + 1
    level = np.zeros(squares)
    for number in range(squares):  # neighbours are alike
        before = level[number - 1] if number else random.normal()
        level[number] = 0.6 * before + 0.8 * random.normal()
    inside = (np.arange(SITES) % per_square) / per_square - 0.5
    bend = random.normal(size=squares)[square] * inside
    ice = world.square_ln_sd * level[square] + world.hole_ln_sd * (0.8 * random.normal(size=SITES) + 1.5 * bend)
    seen = np.arange(SITES) % max(world.movies, _LEAST_SEEN)
    return Grid(
        square=square,
        thickness_nm=np.clip(world.ice_nm * np.exp(ice), 12.0, 400.0)[seen],
        crowding=np.exp(0.15 * random.normal(size=SITES)),
        defocus_share=random.uniform(size=SITES),
        drift_ln=0.3 * random.normal(size=SITES),
        drift_angle=random.uniform(0, 2 * np.pi, SITES),
        beam_ln=0.3 * random.normal(size=SITES),
        beam_angle=random.uniform(0, 2 * np.pi, SITES),
        wait_z=random.normal(size=SITES),
        height_ln=0.2 * random.normal(size=SITES),
        walk=np.cumsum(0.08 * random.normal(size=(SITES, 60, 2)), axis=1),
    )


def _of_kind(kind: str, random: np.random.Generator) -> Mapping[str, Any]:
    """What sets a kind of session apart from one in good order."""

    def between(low: float, high: float) -> float:
        return float(np.exp(random.uniform(math.log(low), math.log(high))))

    if kind == "settle longer":
        holes = int(random.choice([1, 2, 3, 5]))
        own = {"wait_s": between(1, 3), "speed": between(60, 180), "time": between(3, 7)}
        return {**own, "holes": holes, "load": between(0.07, 0.1)}
    if kind == "settle shorter":
        return {"wait_s": between(20, 40), "speed": between(3, 10), "holes": int(random.choice([1, 2, 3])), "time": 2.0}
    if kind == "thin ice":
        return {"ice": between(70, 130), "square_sd": between(0.5, 0.8), "hole_sd": between(0.25, 0.5)}
    if kind == "coma":
        return {"coma": between(0.25, 0.5), "reach": between(7, 11), "holes": int(random.choice([9, 16, 21]))}
    if kind == "lower rate":
        return {"load": between(0.3, 0.55)}
    if kind == "higher rate":
        return {"load": between(0.015, 0.03), "overhead": between(1.5, 3.0), "holes": 16}
    if kind == "parallel":
        return {"half_angle": between(0.06, 0.14), "defocus": (10_000.0, 26_000.0)}
    if kind == "fewer electrons":
        return {"dose": between(75, 110), "load": between(0.06, 0.09), "overhead": between(1.5, 3.0), "holes": 16}
    return _in_order(random)


def _in_order(random: np.random.Generator) -> Mapping[str, Any]:
    """Sessions in which nothing pays; half of them have something that may deceive."""
    trap = int(random.integers(8))
    if trap == 0:  # far shifts, compensated
        return {"coma": 0.02, "reach": float(random.uniform(8, 12)), "holes": 21}
    if trap == 1:  # thick ice everywhere
        return {"ice": float(random.uniform(60, 90)), "square_sd": 0.04, "hole_sd": 0.05}
    if trap == 2:  # later holes move more, though the stage has stood longer
        return {"charging": 0.08, "holes": 9}
    if trap == 3:  # high defocus and coherent
        return {"defocus": (15_000.0, 30_000.0), "half_angle": 0.01}
    return {}


def _turned(size: float, random: np.random.Generator) -> Array:
    turn = random.uniform(0, 2 * math.pi)
    around = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.asarray(size * (around + 0.3 * random.normal(size=(2, 2))))


def _physics(random: np.random.Generator) -> Mapping[str, Any]:
    """What belongs to instrument and specimen, the same in every kind of session."""
    ranges = {
        "free_path_nm": (290, 390),
        "height_share": (0.3, 0.8),
        "dqe_zero": (0.82, 0.95),
        "dqe_nyquist": (0.25, 0.45),
        "focal_spread_angstrom": (40, 100),
        "rate_power": (0, 0.3),
        "damage_e_per_a3": (1.1, 1.5),
        "specimen_ln": (-3.0, -1.0),
        "specimen_b_angstrom2": (60, 130),
        "pose_loss": (0.15, 0.35),
    }
    return {name: float(random.uniform(*ends)) for name, ends in ranges.items()}


def draw_world(seed: int, kind: str, movies: int | None = None, attempt: int = 0) -> World:
    """The laws of one session."""
    random = np.random.default_rng([seed, KINDS.index(kind), attempt])

    def uniform(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    own = _of_kind(kind, random)
    by_particles = kind == "coma"  # nothing else shows it: without a map nobody can know
    drawn = int(np.exp(random.uniform(math.log(24 if by_particles else 12), math.log(81))))
    fps, area = float(random.choice([320.0, 400.0, 750.0, 1500.0])), uniform(4, 9)
    load = own.get("load", uniform(0.05, 0.09))
    holes = own.get("holes", int(random.choice([4, 6, 9, 16])))
    size = own.get("coma", uniform(0.02, 0.05))
    return World(
        seed=seed,
        kind=kind,
        movies=drawn if movies is None else movies,
        settings=Settings(
            wait_s=own.get("wait_s", uniform(3, 8)),
            rate_e_per_px_s=load * 2 * fps / area,
            dose_e_per_a2=own.get("dose", uniform(32, 45)),
            half_angle_mrad=own.get("half_angle", uniform(0.01, 0.025)),
        ),
        pixel_size_angstrom=uniform(0.75, 1.1),
        frames=int(random.choice([24, 32, 40])),
        holes_per_stop=holes,
        stops_per_square=max(1, int(random.integers(24, 60)) // holes),
        reach_um=own.get("reach", uniform(1.5, 5)) if holes > 1 else 0.0,
        overhead_s=own.get("overhead", uniform(4, 9)),
        move_s=uniform(2, 5),
        square_s=uniform(40, 90),
        wait_ln_sd=uniform(0.05, 0.3),
        settling=str(random.choice(["exponentials", "power"])),
        speed_angstrom_per_s=own.get("speed", uniform(2, 6)),
        time_s=own.get("time", uniform(1.5, 4)),
        rest_angstrom_per_s=uniform(0.15, 0.5),
        ice_nm=own.get("ice", uniform(25, 40)),
        square_ln_sd=own.get("square_sd", uniform(0.08, 0.16)),
        hole_ln_sd=own.get("hole_sd", uniform(0.06, 0.14)),
        camera_frames_per_s=fps,
        coincidence_area_px=area,
        coma_mrad_per_um=_turned(size, random),
        axial_mrad=random.normal(0, 0.06, 2),
        cubic_mrad_per_um3=size * 0.002 * float(random.normal()),
        beam_motion_angstrom=uniform(1.5, 3.5),
        charging_per_hole=own.get("charging", uniform(0, 0.02)),
        defocus_angstrom=own.get("defocus", (uniform(7_000, 9_000), uniform(15_000, 20_000))),
        coma_calibrated_to=uniform(0.1, 0.25),
        column_min=uniform(8, 20),
        **_physics(random),
        dose_calibration=float(np.exp(random.normal(0, 0.03))),
        map_angstrom=uniform(3.6, 5.5) if random.uniform() < 0.8 or by_particles else None,
        particles_per_movie=float(np.exp(random.uniform(math.log(40), math.log(250)))),
        shift_unit=str(random.choice(["um", "au"] if by_particles else ["um", "um", "um", "au", ""])),
        um_per_unit=uniform(20, 200),
    )
