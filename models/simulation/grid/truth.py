"""What is true of a simulated grid: its squares and, as arrays, its holes; and its JSON form."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.models.simulation.grid.settings import GridSettings

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

GRID_ID = "epu:grid"
"""Targets are called as the readers of EPU's files call them."""


@dataclass(frozen=True, slots=True)
class SquareTruth:
    number: int
    """As in `GridSquare_<number>`."""
    area: int
    x_um: float
    y_um: float
    """Of its middle, on the stage."""
    level_nm: float
    """Ice without field, terraces, bars and scatter."""
    condition: str
    """whole, thick, thin, broken, cracked or dirty."""
    surveyed: bool
    """Whether its image is taken, so that its holes are known."""


@dataclass(frozen=True, slots=True)
class HoleTruth:
    """All holes of all squares: arrays of one length, in the order of squares, patches, rows."""

    number: Index
    """As in `FoilHole_<number>`."""
    square: Index
    """Index of the square."""
    patch: Index
    """Counted over the grid."""
    x_um: Array
    y_um: Array
    """From the middle of the square."""
    ice_nm: Array
    """0: no ice."""
    cover: Array
    """Share hidden by crystals."""
    torn: Flags
    """Film cracked or gone: vacuum."""
    bar_um: Array
    """Distance to the nearest bar."""
    density_ln: Array
    """Of particles, beside what the thickness makes of them."""

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True, slots=True)
class GridTruth:
    settings: GridSettings
    lattice_turn_deg: float
    squares: tuple[SquareTruth, ...]
    holes: HoleTruth

    def rng(self, *purpose: int) -> np.random.Generator:
        """Random numbers depend on the grid's seed and what they are for, never on what was drawn before."""
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.settings.seed, 77, *purpose])))

    @property
    def area(self) -> Index:
        """Of each hole."""
        return np.array([square.area for square in self.squares], dtype=np.intp)[self.holes.square]

    @property
    def surveyed(self) -> Flags:
        """Of each hole."""
        return np.array([square.surveyed for square in self.squares], dtype=bool)[self.holes.square]

    @property
    def stage_x_um(self) -> Array:
        return np.array([square.x_um for square in self.squares])[self.holes.square] + self.holes.x_um

    @property
    def stage_y_um(self) -> Array:
        return np.array([square.y_um for square in self.squares])[self.holes.square] + self.holes.y_um

    def as_json(self) -> dict[str, Any]:
        """Plain lists, floats to six digits."""
        columns = {}
        for field in fields(self.holes):
            values = getattr(self.holes, field.name)
            columns[field.name] = [float(f"{x:.6g}") for x in values] if values.dtype.kind == "f" else values.tolist()
        return {
            "settings": asdict(self.settings),
            "lattice_turn_deg": self.lattice_turn_deg,
            "squares": [asdict(square) for square in self.squares],
            "holes": columns,
        }

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.tmp")
        part.write_text(json.dumps(self.as_json(), allow_nan=False), encoding="utf-8")
        os.replace(part, path)


def square_target_id(square: SquareTruth) -> str:
    return f"epu:square:{square.number}"


def hole_target_id(number: int) -> str:
    return f"epu:hole:{number}"
