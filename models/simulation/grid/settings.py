"""What a simulated grid is: its geometry, its ice, what is wrong with it; and the kinds of grids that people meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from frazil.config.errors import UsageError


@dataclass(frozen=True, slots=True)
class FilmSettings:
    """Bars, squares and holes: a grid of 400 mesh under a holey film R1.2/1.3."""

    squares_a_side: int = 8
    """Squares of the atlas, without its four corners."""
    square_pitch_um: float = 63.5
    bar_um: float = 24.0
    hole_spacing_um: float = 2.5
    hole_diameter_um: float = 1.2
    holes_a_patch_side: int = 5
    near_bar_um: float = 4.0
    """Holes nearer to a bar are left out by EPU's filter."""
    surveyed_squares: int = 20
    """Of which an image is taken before anything is shot; fewer if fewer look whole."""


@dataclass(frozen=True, slots=True)
class IceSettings:
    """How thick the ice is. Spreads and steps are of ln thickness."""

    level_nm: float = 36.0
    square_spread_ln: float = 0.25
    gradient_ln: float = 0.2
    """From the grid's middle to its rim, along one direction."""
    field_ln: float = 0.2
    """Half the range of the smooth field within a square."""
    terrace_ln: float = 0.0
    """Step where the field of terraces is high: blotting leaves sheets with edges."""
    hole_spread_ln: float = 0.06
    bar_rise: float = 0.8
    """Ice at the bar is thicker by this share; it falls off over `bar_reach_um`."""
    bar_reach_um: float = 3.5


@dataclass(frozen=True, slots=True)
class DamageSettings:
    """Shares of squares that something is wrong with, and how dirty the grid is."""

    broken_share: float = 0.06
    """Film gone on one side of a line."""
    cracked_share: float = 0.1
    dirty_share: float = 0.1
    crystals_a_square: float = 1.0
    dirty_crystals: float = 14.0
    empty_share: float = 0.01
    bad_share: float = 0.0
    """Squares whose ice is of no use: too thick by `bad_factor`, or so thin that it breaks (every third of them)."""
    bad_factor: float = 3.4
    bad_side: bool = False
    """True: the bad squares lie on one side of the grid instead of anywhere."""


@dataclass(frozen=True, slots=True)
class ParticleSettings:
    diameter_nm: float = 12.0
    per_um2: float = 900.0
    exposure_area_um2: float = 0.26
    square_spread_ln: float = 0.2
    hole_spread_ln: float = 0.25
    target_resolution_angstrom: float = 3.0


@dataclass(frozen=True, slots=True)
class GridSettings:
    kind: str = "uniform"
    seed: int = 1
    patches: bool = True
    """Whether patches are told: EPU knows none."""
    film: FilmSettings = FilmSettings()
    ice: IceSettings = IceSettings()
    damage: DamageSettings = DamageSettings()
    particle: ParticleSettings = ParticleSettings()

    def with_changes(self, **changes: Any) -> GridSettings:
        """A copy with fields replaced; `film`, `ice`, `damage`, `particle` take dicts of their own fields."""
        flat = {}
        for name, value in changes.items():
            flat[name] = replace(getattr(self, name), **value) if isinstance(value, dict) else value
        return replace(self, **flat)


KINDS: dict[str, dict[str, Any]] = {
    "uniform": {"ice": {"square_spread_ln": 0.12, "gradient_ln": 0.1, "field_ln": 0.1}},
    "gradient": {"ice": {"gradient_ln": 1.1, "level_nm": 40.0}},
    "half-bad": {"damage": {"bad_share": 0.5, "bad_side": True}},
    "few-good": {"damage": {"bad_share": 0.8}},
    "patchy": {
        "ice": {"field_ln": 0.45, "terrace_ln": 0.8, "hole_spread_ln": 0.12},
        "damage": {"crystals_a_square": 5.0, "cracked_share": 0.25},
    },
    "all-bad": {"ice": {"level_nm": 125.0}, "damage": {"crystals_a_square": 4.0}},
}
"""What differs from the defaults."""


def grid_of_kind(kind: str, seed: int) -> GridSettings:
    """Raises `UsageError` where there is no such kind."""
    if kind not in KINDS:
        raise UsageError(f"there is no kind of grid '{kind}'", remedy=f"use one of {', '.join(KINDS)}")
    return GridSettings(kind=kind, seed=seed).with_changes(**KINDS[kind])
