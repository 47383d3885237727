"""Draws a grid: squares with their ice and damage, holes on a turned lattice, what is in each of them.

Ice: thickness = level of the square * exp(smooth field + terrace + scatter) * (1 + rise towards the bars); below some
9 nm the film of water breaks. Levels: lognormal about a course over the grid, times a factor in bad squares.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from frazil.models.simulation.grid import fields
from frazil.models.simulation.grid.settings import GridSettings
from frazil.models.simulation.grid.truth import Array, GridTruth, HoleTruth, SquareTruth

FIRST_SQUARE, FIRST_HOLE = 4_590_000, 5_665_000
"""Numbers in the range of a real session."""
AREAS_A_SIDE = 2
_BREAKS_NM, _BREAKS_OVER_NM = 9.0, 1.5
_GRADIENT_SHAPE = 2.0
_SQUARES, _HOLES, _PLACE = 1, 2, 8  # purposes of random streams
_CRACK_HALF_UM = 1.8


def draw_grid(settings: GridSettings) -> GridTruth:
    """The same settings give the same grid."""
    empty = HoleTruth(
        *(np.zeros(0, dtype=np.intp),) * 3, *(np.zeros(0),) * 4, np.zeros(0, dtype=bool), *(np.zeros(0),) * 2
    )
    bare = GridTruth(settings, 0.0, (), empty)
    rng = bare.rng(_SQUARES)
    turn_deg = float(rng.uniform(-40.0, 40.0))
    squares = _surveyed(_squares(settings, rng), settings.film.surveyed_squares, rng)
    # No grid lies with its middle on the stage's zero, which EPU takes for a position that is not known.
    dx_um, dy_um = bare.rng(_PLACE).uniform(3.0, 12.0, 2).tolist()
    squares = tuple(replace(one, x_um=one.x_um + dx_um, y_um=one.y_um + dy_um) for one in squares)
    parts: list[dict[str, np.ndarray]] = []
    patches = 0
    for index, square in enumerate(squares):
        part = _holes(settings, square, turn_deg, bare.rng(_HOLES, index))
        part["square"] = np.full(len(part["x_um"]), index, dtype=np.intp)
        part["patch"] += patches
        patches = int(part["patch"].max(initial=patches - 1)) + 1
        parts.append(part)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    number = FIRST_HOLE + np.arange(len(columns["x_um"]), dtype=np.intp)
    return GridTruth(settings, turn_deg, squares, HoleTruth(number=number, **columns))


def _squares(settings: GridSettings, rng: np.random.Generator) -> tuple[SquareTruth, ...]:
    film, ice = settings.film, settings.ice
    side = film.squares_a_side
    direction, bad_direction = rng.uniform(0.0, 2.0 * math.pi, 2)
    phase = rng.uniform(0.0, 2.0 * math.pi)
    found = []
    for row, column in np.ndindex(side, side):
        if row in (0, side - 1) and column in (0, side - 1):
            continue
        u, v = (2.0 * place / (side - 1) - 1.0 for place in (column, row))
        along = u * math.cos(direction) + v * math.sin(direction)
        course = math.tanh(_GRADIENT_SHAPE * along) / math.tanh(_GRADIENT_SHAPE)
        ln_level = math.log(ice.level_nm) + ice.gradient_ln * course + ice.square_spread_ln * rng.normal()
        condition = _condition(settings, rng)
        if _is_bad(settings, u, v, bad_direction, phase, rng):
            condition = "thin" if rng.random() < 1.0 / 3.0 else "thick"
            ln_level += math.log(settings.damage.bad_factor) * (-1.0 if condition == "thin" else 1.0)
        area = AREAS_A_SIDE * (row * AREAS_A_SIDE // side) + column * AREAS_A_SIDE // side
        x_um, y_um = (film.square_pitch_um * (place - 0.5 * (side - 1)) for place in (column, row))
        found.append((x_um, y_um, area, math.exp(ln_level), condition))
    # An atlas is worked through area by area.
    found.sort(key=lambda one: one[2])
    return tuple(
        SquareTruth(FIRST_SQUARE + index, area, x, y, level, condition, surveyed=False)
        for index, (x, y, area, level, condition) in enumerate(found)
    )


def _condition(settings: GridSettings, rng: np.random.Generator) -> str:
    damage = settings.damage
    shares = (damage.broken_share, damage.cracked_share, damage.dirty_share)
    return str(rng.choice(("broken", "cracked", "dirty", "whole"), p=(*shares, 1.0 - sum(shares))))


def _is_bad(
    settings: GridSettings, u: float, v: float, direction: float, phase: float, rng: np.random.Generator
) -> bool:
    damage = settings.damage
    chance = rng.random()
    if not damage.bad_side:
        return bool(chance < damage.bad_share)
    along = u * math.cos(direction) + v * math.sin(direction)
    across = -u * math.sin(direction) + v * math.cos(direction)
    return bool(along + 0.3 * math.sin(3.0 * across + phase) > 1.0 - 2.0 * damage.bad_share)


def _surveyed(squares: tuple[SquareTruth, ...], wanted: int, rng: np.random.Generator) -> tuple[SquareTruth, ...]:
    """Those that a person would image: anywhere, but no broken ones (they are bright) nor black ones."""
    fit = [at for at, one in enumerate(squares) if one.condition != "broken" and one.level_nm < 250.0]
    chosen = set(rng.permutation(fit)[:wanted].tolist())
    return tuple(replace(one, surveyed=at in chosen) for at, one in enumerate(squares))


def _holes(
    settings: GridSettings, square: SquareTruth, turn_deg: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Columns of `HoleTruth` for one square, but number and square."""
    film, ice, damage = settings.film, settings.ice, settings.damage
    half_um = 0.5 * (film.square_pitch_um - film.bar_um)
    x, y, patch = _lattice(settings, half_um, turn_deg, rng)
    u, v = x / half_um, y / half_um
    bar_um = half_um - np.maximum(np.abs(x), np.abs(y))
    ln_ice = math.log(square.level_nm) + ice.field_ln * fields.smooth_field(u, v, rng)
    ln_ice = ln_ice + ice.terrace_ln * (fields.terraces(u, v, rng) - 0.3)
    ln_ice = ln_ice + ice.hole_spread_ln * rng.standard_t(5, len(x))
    rise = ice.bar_rise * rng.uniform(0.5, 1.5)
    ice_nm = np.exp(ln_ice) * (1.0 + rise * np.exp(-bar_um / ice.bar_reach_um))
    broken = rng.random(len(x)) < 1.0 / (1.0 + np.exp((ice_nm - _BREAKS_NM) / _BREAKS_OVER_NM))
    broken |= rng.random(len(x)) < damage.empty_share
    line = fields.side_of_line(u, v, rng)
    torn = line > 0.0 if square.condition == "broken" else np.zeros(len(x), dtype=bool)
    if square.condition == "cracked":
        torn = np.abs(line) * half_um < _CRACK_HALF_UM
    mean = damage.dirty_crystals if square.condition == "dirty" else damage.crystals_a_square
    cover = fields.crystal_cover(x, y, half_um, int(rng.poisson(mean)), rng)
    density = settings.particle.square_spread_ln * rng.normal() + settings.particle.hole_spread_ln * rng.normal(
        size=len(x)
    )
    ice_nm = np.where(broken | torn, 0.0, ice_nm)
    return {
        "patch": patch, "x_um": x, "y_um": y, "ice_nm": ice_nm, "cover": cover, "torn": torn, "bar_um": bar_um,
        "density_ln": density,
    }  # fmt: skip


def _lattice(
    settings: GridSettings, half_um: float, turn_deg: float, rng: np.random.Generator
) -> tuple[Array, Array, np.ndarray]:
    """Holes wholly in the square: x, y from its middle, and the patch (a block of the lattice), by patch and row."""
    film = settings.film
    count = math.ceil(1.5 * half_um / film.hole_spacing_um)
    start = rng.uniform(0.0, film.hole_spacing_um, 2)
    turn = math.radians(turn_deg)
    row, column = (part.ravel() for part in np.mgrid[-count : count + 1, -count : count + 1])
    a, b = film.hole_spacing_um * column + start[0], film.hole_spacing_um * row + start[1]
    x, y = a * math.cos(turn) - b * math.sin(turn), a * math.sin(turn) + b * math.cos(turn)
    inside = np.maximum(np.abs(x), np.abs(y)) + 0.5 * film.hole_diameter_um < half_um
    x, y, row, column = x[inside], y[inside], row[inside], column[inside]
    side = film.holes_a_patch_side
    block = (row // side) * 1000 + column // side
    order = np.lexsort((column, row, block))
    _, patch = np.unique(block[order], return_inverse=True)
    return x[order], y[order], patch.astype(np.intp)
