"""Images of squares by another law than the simulated microscope's: no code of `models/simulation`.

A square of a turned lattice; film of carbon (nearly as bright as a hole, a dark line at its edge) or gold (black). The
beam falls off with the fourth power of the radius and is tilted; the camera blurs, counts and adds read noise. Ice is
drawn as a sum of a slope, a bowl and a few hills, and in each hole as a meniscus. Holes lie off their stated places,
each by itself and all together; rows may run upwards. Contamination is blobs of its own places; film hangs over some
holes; a corner may be torn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Array = npt.NDArray[np.float64]
V = TypeVar("V", bound=np.generic)
_DARK_PASSES = 0.35
"""Of what lies under a blob."""


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """One image."""

    side_px: int = 1400
    diameter_px: float = 27.0
    spacing_diameters: float = 1.9
    film: str = "carbon"
    """carbon or gold"""
    length_nm: float = 240.0
    vacuum_counts: float = 400.0
    counts_per_electron: float = 4.0
    ice_nm: float = 40.0
    ice_spread_ln: float = 0.35
    meniscus: float = 0.35
    """How much thicker than in its middle a hole's ice is at the rim."""
    vignetting: float = 0.06
    tilt: float = 0.03
    """Share by which the beam is weaker at the corners of the image, and stronger to one side than in the middle."""
    off_diameters: float = 0.33
    """Most that a hole lies off its stated place, beside a fifth of it that all are off."""
    upside_down: bool = True
    dirty_holes: float = 0.1
    covered_holes: float = 0.05
    torn: bool = True
    empty_holes: float = 0.02


@dataclass(frozen=True, slots=True)
class Drawn:
    """The image, what a program would say of its holes, and the truth."""

    image: npt.NDArray[np.uint16]
    x_px: Array
    y_px: Array
    """As they are stated, rows running down."""
    diameter_px: float
    true_x_px: Array
    true_y_px: Array
    ice_nm: Array
    """Mean over the middle 70 % of the radius; 0: none."""
    dark_share: Array
    """Of the middle 86 % of the radius, under blobs."""
    covered_share: Array
    """Of the same, under film."""
    torn: npt.NDArray[np.bool_]
    whole: npt.NDArray[np.bool_]
    """Not at the square's rim."""


def drawn(settings: PictureSettings, seed: int) -> Drawn:
    """The same seed gives the same image."""
    rng = np.random.default_rng([seed, 8])
    side, radius = settings.side_px, 0.5 * settings.diameter_px
    y_px, x_px = np.mgrid[:side, :side].astype(np.float64)
    turn = rng.uniform(0.0, math.pi)
    u, v = (x_px - side / 2) / (side / 2), (y_px - side / 2) / (side / 2)
    square = np.maximum(
        np.abs(u * math.cos(turn) + v * math.sin(turn)), np.abs(v * math.cos(turn) - u * math.sin(turn))
    )
    lit = square < 0.66
    true_x, true_y = _lattice(settings, rng, turn)
    keep = _at(square, true_x, true_y) < 0.6
    true_x, true_y = true_x[keep], true_y[keep]
    count = len(true_x)
    ice = _ice_field(settings, u, v, rng)
    empty = rng.random(count) < settings.empty_holes
    edge = np.cos(turn + 0.7) * u + np.sin(turn + 0.7) * v
    gone = (edge > 0.5) if settings.torn else np.zeros_like(lit)
    passes = _film(settings, ice, rng)
    hole_ice = np.zeros(count)
    for at in range(count):
        hole_ice[at] = _set_hole(passes, settings, ice, true_x[at], true_y[at], radius, empty=bool(empty[at]))
    covered = _cover(passes, settings, true_x, true_y, radius, rng)
    passes[gone] = 1.0
    blobs = _blobs(settings, true_x, true_y, radius, rng)
    passes[blobs] *= _DARK_PASSES
    passes[~lit] = 0.003
    image = _exposed(settings, passes, u, v, rng)
    torn = _at(gone, true_x, true_y)
    dark = np.array([_share(blobs, x, y, 0.86 * radius) for x, y in zip(true_x, true_y, strict=True)])
    reach = settings.off_diameters * settings.diameter_px
    far, way = reach * np.sqrt(rng.random(count)), rng.uniform(0.0, 2.0 * math.pi, count)
    all_x, all_y = 0.2 * settings.diameter_px * rng.uniform(-1.0, 1.0, 2)
    stated_x, stated_y = true_x + far * np.cos(way) + all_x, true_y + far * np.sin(way) + all_y
    hole_ice[torn] = 0.0
    whole = _at(square, true_x, true_y) < 0.66 - 2.0 * settings.diameter_px / side
    if settings.upside_down:
        image = image[::-1].copy()
    return Drawn(
        image, stated_x, stated_y, settings.diameter_px, true_x, true_y, hole_ice, dark, np.where(torn, 0.0, covered),
        torn, whole,
    )  # fmt: skip


def _at(values: npt.NDArray[V], x: Array, y: Array) -> npt.NDArray[V]:
    last = np.array(values.shape) - 1
    return values[np.clip(np.rint(y).astype(int), 0, last[0]), np.clip(np.rint(x).astype(int), 0, last[1])]


def _lattice(settings: PictureSettings, rng: np.random.Generator, turn: float) -> tuple[Array, Array]:
    step = settings.spacing_diameters * settings.diameter_px
    count = int(settings.side_px / step) + 2
    row, column = (part.ravel() for part in np.mgrid[-count : count + 1, -count : count + 1].astype(np.float64))
    tilt = turn + rng.uniform(-0.3, 0.3)
    x = settings.side_px / 2 + step * (column * math.cos(tilt) - row * math.sin(tilt)) + rng.uniform(0.0, step)
    y = settings.side_px / 2 + step * (column * math.sin(tilt) + row * math.cos(tilt)) + rng.uniform(0.0, step)
    margin = 2.5 * settings.diameter_px
    inside = (np.minimum(x, y) > margin) & (np.maximum(x, y) < settings.side_px - margin)
    return x[inside], y[inside]


def _ice_field(settings: PictureSettings, u: Array, v: Array, rng: np.random.Generator) -> Array:
    """nm, at every pixel."""
    slope, bowl = rng.normal(0.0, 0.5, 2), rng.normal(0.2, 0.3)
    ln_ice = slope[0] * u + slope[1] * v + bowl * (u**2 + v**2)
    for _ in range(5):
        x, y, width = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.08, 0.3)
        ln_ice = ln_ice + rng.normal(0.0, 1.0) * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * width**2))
    return np.asarray(settings.ice_nm * np.exp(settings.ice_spread_ln * ln_ice / max(float(ln_ice.std()), 1e-9)))


def _film(settings: PictureSettings, ice: Array, rng: np.random.Generator) -> Array:
    own = 0.9 if settings.film == "carbon" else 0.12
    return np.asarray(own * np.exp(-0.9 * ice / settings.length_nm) * (1.0 + 0.02 * rng.normal(size=ice.shape)))


def _window(x: float, y: float, reach: float, side: int) -> tuple[slice, slice]:
    return (
        slice(max(int(y - reach), 0), min(int(y + reach) + 2, side)),
        slice(max(int(x - reach), 0), min(int(x + reach) + 2, side)),
    )


def _distance(window: tuple[slice, slice], x: float, y: float) -> Array:
    rows, columns = (np.arange(part.start, part.stop, dtype=np.float64) for part in window)
    return np.asarray(np.hypot(columns[None, :] - x, rows[:, None] - y))


def _set_hole(
    passes: Array, settings: PictureSettings, ice: Array, x: float, y: float, radius: float, *, empty: bool
) -> float:
    """Draw one; its ice in nm over the middle."""
    window = _window(x, y, 1.3 * radius, settings.side_px)
    distance = _distance(window, x, y) / radius
    part, inside = passes[window], distance <= 1.0
    part[(distance > 1.0) & (distance < 1.08)] *= 0.8
    if empty:
        part[inside] = 1.0
        return 0.0
    here = ice[window] * (1.0 + settings.meniscus * distance**4)
    part[inside] = np.exp(-here / settings.length_nm)[inside]
    return float(here[distance <= 0.7].mean())


def _cover(
    passes: Array, settings: PictureSettings, x: Array, y: Array, radius: float, rng: np.random.Generator
) -> Array:
    """Film over one side of some holes; the share of each that lies under it."""
    share = np.zeros(len(x))
    for at in np.flatnonzero(rng.random(len(x)) < settings.covered_holes).tolist():
        window = _window(x[at], y[at], radius, settings.side_px)
        way, cut = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(-0.5, 0.5)
        rows, columns = (np.arange(part.start, part.stop, dtype=np.float64) for part in window)
        side = ((columns[None, :] - x[at]) * math.cos(way) + (rows[:, None] - y[at]) * math.sin(way)) / radius
        distance = _distance(window, x[at], y[at]) / radius
        under = (distance <= 1.0) & (side > cut)
        passes[window][under] *= 0.12 if settings.film == "gold" else 0.75
        share[at] = under[distance <= 0.86].mean()
    return share


def _blobs(
    settings: PictureSettings, x: Array, y: Array, radius: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    found = np.zeros((settings.side_px, settings.side_px), dtype=bool)
    for at in np.flatnonzero(rng.random(len(x)) < settings.dirty_holes).tolist():
        for _ in range(int(rng.integers(1, 5))):
            size = radius * rng.uniform(0.15, 0.5)
            to_x, to_y = x[at] + radius * rng.normal(0.0, 0.5), y[at] + radius * rng.normal(0.0, 0.5)
            window = _window(to_x, to_y, size, settings.side_px)
            found[window] |= _distance(window, to_x, to_y) <= size
    return found


def _share(mask: npt.NDArray[np.bool_], x: float, y: float, radius: float) -> float:
    window = _window(x, y, radius, mask.shape[0])
    return float(mask[window][_distance(window, x, y) <= radius].mean())


def _exposed(
    settings: PictureSettings, passes: Array, u: Array, v: Array, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    beam = (1.0 - settings.vignetting * ((u**2 + v**2) / 2.0) ** 2) * (1.0 + settings.tilt * u)
    beam = beam * math.exp(0.01 * rng.normal())
    counts = rng.poisson(settings.vacuum_counts * beam * passes / settings.counts_per_electron)
    seen = gaussian_filter(counts * settings.counts_per_electron, 0.55) + rng.normal(0.0, 3.0, passes.shape)
    return np.asarray(np.clip(np.rint(seen), 0, 65535), dtype=np.uint16)
