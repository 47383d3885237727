"""What is known of a grid before anything is shot: squares and holes as a program lists them, and how bright they are.

I = I0 exp(-t / L) with L for the objective aperture and the energy slit together; crystals shade a hole, the beam is
not quite even over a square, nor from square to square; the mean over a hole has shot noise. Never in it: thickness,
particles, what a shot gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.models.grid_target import GridTarget
from frazil.models.simulation.grid.truth import (
    GRID_ID,
    Array,
    GridTruth,
    hole_target_id,
    square_target_id,
)

VACUUM_COUNTS = 900.0
ATTENUATION_NM = 300.0
COUNTS_PER_ELECTRON = 18.0
"""Square images take next to no dose: 50 electrons per pixel."""
SHADE = 0.6
"""Of a hole that crystals cover wholly."""
_HOLE_PX = 650
_BEAM_SPREAD, _BEAM_FALL = 0.015, 0.02
_BRIGHTNESS = 5  # purpose of random streams
BRIGHTEST, DARKEST = 0.975, 0.3
"""Of the vacuum's intensity: the window within which holes are chosen. Wide, as people set it."""


@dataclass(frozen=True, slots=True)
class Brightness:
    """Of each hole in its square's image, counts."""

    mean: Array
    sd: Array


def beam_over_square(truth: GridTruth, square: int) -> float:
    """Of the square's image, relative to the grid's."""
    return float(1.0 + _BEAM_SPREAD * truth.rng(_BRIGHTNESS, 1 + square).normal())


def beam_at(truth: GridTruth, x_um: Array, y_um: Array) -> Array:
    """Fall-off towards the corners of a square's image, 1 at its middle."""
    half = 0.5 * truth.settings.film.square_pitch_um
    return np.asarray(1.0 - _BEAM_FALL * (x_um**2 + y_um**2) / half**2)


def brightness(truth: GridTruth) -> Brightness:
    """By the law above, without drawing an image."""
    holes = truth.holes
    beam = np.array([beam_over_square(truth, at) for at in range(len(truth.squares))])[holes.square]
    ideal = VACUUM_COUNTS * beam * beam_at(truth, holes.x_um, holes.y_um)
    ideal = ideal * np.exp(-holes.ice_nm / ATTENUATION_NM) * (1.0 - SHADE * holes.cover)
    rng = truth.rng(_BRIGHTNESS, 0)
    pixel_sd = np.sqrt(ideal * COUNTS_PER_ELECTRON)
    mean = ideal + pixel_sd / np.sqrt(_HOLE_PX) * rng.normal(size=len(ideal))
    uneven = 0.02 * ideal * (holes.ice_nm > 0.0) + SHADE * ideal * holes.cover * (1.0 - holes.cover)
    sd = np.sqrt(pixel_sd**2 + uneven**2) * np.exp(0.03 * rng.normal(size=len(ideal)))
    return Brightness(mean, sd)


def chosen_holes(truth: GridTruth, seen: Brightness) -> npt.NDArray[np.bool_]:
    """Holes of surveyed squares that a person's window keeps: not near a bar, neither vacuum nor black, (holes,)."""
    share = seen.mean / VACUUM_COUNTS
    far = truth.holes.bar_um >= truth.settings.film.near_bar_um
    return np.asarray(truth.surveyed & far & (share <= BRIGHTEST) & (share >= DARKEST))


def known_targets(
    truth: GridTruth,
    seen: Brightness | None,
    chosen: npt.NDArray[np.bool_],
    exposed: npt.NDArray[np.bool_] | None = None,
) -> tuple[GridTarget, ...]:
    """The grid, areas, squares, patches and the holes of surveyed squares; `seen` None: no brightness is told."""
    holes = truth.holes
    exposed = np.zeros(len(holes), dtype=bool) if exposed is None else exposed
    found = [GridTarget(GRID_ID, "grid", "epu", "grid")]
    areas = sorted({square.area for square in truth.squares})
    found += [GridTarget(f"epu:area:{area}", "area", "epu", str(area), parent_id=GRID_ID) for area in areas]
    for order, square in enumerate(truth.squares):
        found.append(
            GridTarget(
                square_target_id(square), "square", "epu", str(square.number), parent_id=f"epu:area:{square.area}",
                state="chosen" if square.surveyed else "seen", order=order if square.surveyed else None,
                stage_x_um=square.x_um, stage_y_um=square.y_um,
            )
        )  # fmt: skip
    listed = np.flatnonzero(truth.surveyed)
    patches = dict.fromkeys(zip(holes.patch[listed].tolist(), holes.square[listed].tolist(), strict=True))
    if truth.settings.patches:
        found += [
            GridTarget(
                f"epu:patch:{patch}", "patch", "epu", str(patch), parent_id=square_target_id(truth.squares[square])
            )
            for patch, square in patches
        ]
    rank = np.cumsum(chosen) - 1
    for at in listed.tolist():
        square = truth.squares[holes.square[at]]
        features = [("near_grid_bar", float(holes.bar_um[at] < truth.settings.film.near_bar_um))]
        if seen is not None:
            features = [
                ("intensity_mean_counts", float(seen.mean[at])), ("intensity_sd_counts", float(seen.sd[at])), *features,
            ]  # fmt: skip
        found.append(
            GridTarget(
                hole_target_id(int(holes.number[at])), "hole", "epu", str(holes.number[at]),
                parent_id=f"epu:patch:{holes.patch[at]}" if truth.settings.patches else square_target_id(square),
                state="exposed" if exposed[at] else "chosen" if chosen[at] else "seen",
                order=int(rank[at]) if chosen[at] else None,
                stage_x_um=square.x_um + float(holes.x_um[at]), stage_y_um=square.y_um + float(holes.y_um[at]),
                diameter_um=truth.settings.film.hole_diameter_um, features=tuple(features),
            )
        )  # fmt: skip
    return tuple(found)
