"""Pictures of a grid at low magnification: the atlas, a square, a hole. Counts of the camera, row 0 first.

Every pixel: vacuum * beam * exp(-t / L) * shade of crystals, times the film's transmission where there is film; nothing
through bars; electrons are counted (Poisson). What lies between holes has the ice and the crystals of the nearest ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from frazil.models.simulation.grid.survey import (
    ATTENUATION_NM,
    COUNTS_PER_ELECTRON,
    SHADE,
    VACUUM_COUNTS,
    Brightness,
    beam_at,
    beam_over_square,
)
from frazil.models.simulation.grid.truth import Array, GridTruth

Picture = npt.NDArray[np.uint16]
SQUARE_WIDTH_PX, SQUARE_HEIGHT_PX, SQUARE_UM_PER_PX = 1440, 1440, 0.0485
ATLAS_PX, HOLE_PX, HOLE_UM_PER_PX = 1024, 512, 0.006
FILM_TRANSMITS, BARS_TRANSMIT = 0.72, 0.004
_TURN_DEG = 3.2
_SHORT = 0.97
"""Pixels are not quite square, nor along the stage's axes, and x runs the other way (as on a real microscope)."""
_COARSE = 4
_MEASURED_RADIUS = 0.85
_PICTURES = 7  # purpose of random streams


@dataclass(frozen=True, slots=True)
class Sheet:
    """An image's place: stage = middle + matrix @ (pixel - its middle)."""

    height_px: int
    width_px: int
    x_um: float
    y_um: float
    matrix_um_per_px: tuple[tuple[float, float], tuple[float, float]]

    def stage_um(self, x_px: Array, y_px: Array) -> tuple[Array, Array]:
        (a, b), (c, d) = self.matrix_um_per_px
        dx, dy = x_px - 0.5 * (self.width_px - 1), y_px - 0.5 * (self.height_px - 1)
        return self.x_um + a * dx + b * dy, self.y_um + c * dx + d * dy

    def pixel(self, x_um: Array, y_um: Array) -> tuple[Array, Array]:
        (a, b), (c, d) = self.matrix_um_per_px
        dx, dy, scale = x_um - self.x_um, y_um - self.y_um, a * d - b * c
        x, y = (d * dx - b * dy) / scale, (a * dy - c * dx) / scale
        return x + 0.5 * (self.width_px - 1), y + 0.5 * (self.height_px - 1)

    @property
    def um_per_px(self) -> float:
        (a, b), (c, d) = self.matrix_um_per_px
        return math.sqrt(abs(a * d - b * c))


def _sheet(height_px: int, width_px: int, x_um: float, y_um: float, um_per_px: float) -> Sheet:
    cos, sin = math.cos(math.radians(_TURN_DEG)), math.sin(math.radians(_TURN_DEG))
    matrix = ((-um_per_px * cos * _SHORT, um_per_px * sin), (um_per_px * sin * _SHORT, um_per_px * cos))
    return Sheet(height_px, width_px, x_um, y_um, matrix)


def square_sheet(truth: GridTruth, square: int) -> Sheet:
    one = truth.squares[square]
    return _sheet(SQUARE_HEIGHT_PX, SQUARE_WIDTH_PX, one.x_um, one.y_um, SQUARE_UM_PER_PX)


def atlas_sheet(truth: GridTruth) -> Sheet:
    film = truth.settings.film
    return _sheet(ATLAS_PX, ATLAS_PX, 0.0, 0.0, film.square_pitch_um * (film.squares_a_side + 0.8) / ATLAS_PX)


def square_image(truth: GridTruth, square: int) -> Picture:
    """Of one square, bars around it."""
    sheet = square_sheet(truth, square)
    place = truth.squares[square]
    inside = truth.holes.square == square
    film = truth.settings.film
    y_px, x_px = np.mgrid[: sheet.height_px, : sheet.width_px].astype(np.float64)
    x_um, y_um = sheet.stage_um(x_px, y_px)
    x_um, y_um = x_um - place.x_um, y_um - place.y_um
    open_half = 0.5 * (film.square_pitch_um - film.bar_um)
    passes = _through_film(truth, np.flatnonzero(inside), x_um, y_um, sheet.um_per_px)
    for hole in np.flatnonzero(inside).tolist():
        _set_hole(passes, truth, hole, x_um, y_um, sheet)
    passes[np.maximum(np.abs(x_um), np.abs(y_um)) > open_half] = BARS_TRANSMIT
    ideal = VACUUM_COUNTS * beam_over_square(truth, square) * beam_at(truth, x_um, y_um) * passes
    return _counted(ideal, truth.rng(_PICTURES, 1, square))


def _through_film(truth: GridTruth, members: npt.NDArray[np.intp], x_um: Array, y_um: Array, um_per_px: float) -> Array:
    """Film with the ice and crystals of the nearest holes; 1 where it is torn."""
    holes = truth.holes
    coarse = np.s_[::_COARSE, ::_COARSE]
    tree = cKDTree(np.stack([holes.x_um[members], holes.y_um[members]], axis=1))
    _, near = tree.query(np.stack([x_um[coarse], y_um[coarse]], axis=-1))
    at = members[near]
    ice = np.where(holes.ice_nm[at] > 0.0, holes.ice_nm[at], 5.0)
    sheet = FILM_TRANSMITS * np.exp(-ice / ATTENUATION_NM) * (1.0 - SHADE * holes.cover[at])
    sheet = np.where(holes.torn[at], 1.0, sheet)
    smooth = gaussian_filter(sheet, 0.25 * truth.settings.film.hole_spacing_um / (um_per_px * _COARSE))
    rows, columns = (np.arange(length) / _COARSE for length in x_um.shape)
    return np.asarray(
        map_coordinates(smooth, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest"), dtype=np.float64
    )


def _set_hole(passes: Array, truth: GridTruth, hole: int, x_um: Array, y_um: Array, sheet: Sheet) -> None:
    """One hole's disk: its ice, a little thicker at the rim."""
    holes = truth.holes
    radius_um = 0.5 * truth.settings.film.hole_diameter_um
    place = truth.squares[int(holes.square[hole])]
    x, y = sheet.pixel(np.array(place.x_um + holes.x_um[hole]), np.array(place.y_um + holes.y_um[hole]))
    reach = math.ceil(1.1 * radius_um / sheet.um_per_px) + 1
    rows = slice(max(int(y) - reach, 0), max(int(y) + reach + 1, 0))
    columns = slice(max(int(x) - reach, 0), max(int(x) + reach + 1, 0))
    part = passes[rows, columns]
    radius = np.hypot(x_um[rows, columns] - holes.x_um[hole], y_um[rows, columns] - holes.y_um[hole]) / radius_um
    ice = holes.ice_nm[hole] * (0.95 + 0.1 * radius**2)
    part[radius <= 1.0] = (np.exp(-ice / ATTENUATION_NM) * (1.0 - SHADE * holes.cover[hole]))[radius <= 1.0]


def atlas_image(truth: GridTruth) -> Picture:
    """All squares; holes are too small to be seen."""
    sheet = atlas_sheet(truth)
    film = truth.settings.film
    y_px, x_px = np.mgrid[: sheet.height_px, : sheet.width_px].astype(np.float64)
    x_um, y_um = sheet.stage_um(x_px, y_px)
    passes = np.full(x_um.shape, BARS_TRANSMIT)
    open_half = 0.5 * (film.square_pitch_um - film.bar_um)
    share = math.pi * (0.5 * film.hole_diameter_um) ** 2 / film.hole_spacing_um**2
    for at, square in enumerate(truth.squares):
        inside = np.maximum(np.abs(x_um - square.x_um), np.abs(y_um - square.y_um)) <= open_half
        members = np.flatnonzero(truth.holes.square == at)
        tree = cKDTree(np.stack([truth.holes.x_um[members], truth.holes.y_um[members]], axis=1))
        near = members[tree.query(np.stack([x_um[inside] - square.x_um, y_um[inside] - square.y_um], axis=-1))[1]]
        ice = np.exp(-truth.holes.ice_nm[near] / ATTENUATION_NM) * (1.0 - SHADE * truth.holes.cover[near])
        passes[inside] = np.where(truth.holes.torn[near], 1.0, ice * (share + (1.0 - share) * FILM_TRANSMITS))
    return _counted(VACUUM_COUNTS * passes, truth.rng(_PICTURES, 0))


def hole_image(truth: GridTruth, hole: int) -> Picture:
    """One hole and the film around it, 3 um wide."""
    holes = truth.holes
    y, x = (np.mgrid[:HOLE_PX, :HOLE_PX] - 0.5 * (HOLE_PX - 1)) * HOLE_UM_PER_PX
    radius = np.hypot(x, y) / (0.5 * truth.settings.film.hole_diameter_um)
    ice = holes.ice_nm[hole] * (0.95 + 0.1 * np.minimum(radius, 1.2) ** 2)
    passes = np.exp(-ice / ATTENUATION_NM) * (1.0 - SHADE * holes.cover[hole])
    passes = np.where((radius > 1.0) & (not holes.torn[hole]), FILM_TRANSMITS * passes, passes)
    return _counted(VACUUM_COUNTS * passes, truth.rng(_PICTURES, 2, hole))


def _counted(ideal: Array, rng: np.random.Generator) -> Picture:
    return np.asarray(
        np.minimum(rng.poisson(ideal / COUNTS_PER_ELECTRON) * COUNTS_PER_ELECTRON, 65535), dtype=np.uint16
    )


def measured(truth: GridTruth, square: int, picture: Picture) -> Brightness:
    """Mean and standard deviation of every hole of a square, in its picture."""
    sheet = square_sheet(truth, square)
    members = np.flatnonzero(truth.holes.square == square)
    place = truth.squares[square]
    x, y = sheet.pixel(place.x_um + truth.holes.x_um[members], place.y_um + truth.holes.y_um[members])
    reach = _MEASURED_RADIUS * 0.5 * truth.settings.film.hole_diameter_um / sheet.um_per_px
    span = math.ceil(reach)
    rows, columns = np.mgrid[-span : span + 1, -span : span + 1]
    disk = np.hypot(rows, columns) <= reach
    at_y = np.clip(np.rint(y)[:, None].astype(int) + rows[disk], 0, sheet.height_px - 1)
    at_x = np.clip(np.rint(x)[:, None].astype(int) + columns[disk], 0, sheet.width_px - 1)
    values = picture[at_y, at_x].astype(np.float64)
    return Brightness(values.mean(axis=1), values.std(axis=1))
