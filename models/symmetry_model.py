"""A crystal or a helix as a person describes it: what the obligations about symmetry are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TRANSLATION_UNIT = 24
"""Translations of space groups are whole 24ths of a cell edge (International Tables A)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """x' = W x + w on fractional coordinates."""

    rotation: tuple[int, ...]
    """W, nine integers by rows."""
    translation_24ths: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """Unit cell and how far it is known."""

    lengths_angstrom: tuple[float, float, float]
    angles_deg: tuple[float, float, float]
    """alpha, beta, gamma."""
    error_percent: float = 0.2
    """Of the edges; magnification is rarely known better."""
    angle_error_deg: float = 0.1

    def metric_a2(self) -> NDArray[np.float64]:
        """(3, 3) metric tensor G_ij = a_i a_j cos(angle between them), A2."""
        a, b, c = self.lengths_angstrom
        alpha, beta, gamma = (cosine_of_deg(angle) for angle in self.angles_deg)
        off = (a * b * gamma, a * c * beta, b * c * alpha)
        return np.array([[a * a, off[0], off[1]], [off[0], b * b, off[2]], [off[1], off[2], c * c]])

    def metric_error_a2(self) -> NDArray[np.float64]:
        """(3, 3) how far each entry of the metric may be off: |dG_ij| <= a_i a_j ((2 e + e^2) |cos| + (1 + e)^2 da)."""
        lengths = np.array(self.lengths_angstrom)
        scale = np.outer(lengths, lengths)
        relative, angle = self.error_percent / 100.0, np.radians(self.angle_error_deg)
        tilted = scale * (1.0 + relative) ** 2 * angle * (1.0 - np.eye(3))
        error: NDArray[np.float64] = (2.0 * relative + relative**2) * np.abs(self.metric_a2()) + tilted
        return error


@dataclass(frozen=True, slots=True)
class Sphere:
    """A ball that the molecule fills: mates must not reach into each other's."""

    centre_fractional: tuple[float, float, float]
    radius_angstrom: float


@dataclass(frozen=True, slots=True)
class Helix:
    """Helical symmetry."""

    rise_angstrom: float
    twist_deg: float
    """From one subunit to the next; positive is right-handed (RELION's sign)."""
    pitch_angstrom: float | None = None
    hand: Literal["left", "right"] | None = None


@dataclass(frozen=True, slots=True)
class SymmetryModel:
    """What is not said (None, empty) makes no claim."""

    name: str
    cell: Cell | None = None
    operations: tuple[Operation, ...] = ()
    expected_operations: int | None = None
    """Of the space group that was named."""
    molecules_per_cell: int | None = None
    """Z."""
    molecular_mass_da: float | None = None
    """Of one of these molecules."""
    chiral: bool = True
    """A protein or nucleic acid: its crystals have no mirrors."""
    spheres: tuple[Sphere, ...] = ()
    """Of one asymmetric unit."""
    helix: Helix | None = None


def cosine_of_deg(angle_deg: float) -> float:
    """Exact where crystals are: 0 at 90 deg, -1/2 at 120 deg, 1/2 at 60 deg."""
    return {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}.get(angle_deg, float(np.cos(np.radians(angle_deg))))
