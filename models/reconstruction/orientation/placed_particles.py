"""How every movie's particles stand in the sums: what it takes to take them out again, and to go on after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEEN = 0.5
"""Certainty from which on there rather is a particle than none."""


@dataclass(frozen=True, slots=True)
class PlacedParticles:
    """Of one movie, one row a particle."""

    half_set: NDArray[np.int8]
    """1 or 2."""
    poses: NDArray[np.float32]
    """(n, 3, 3)"""
    shift_px: NDArray[np.float32]
    """(n, 2) working pixels."""
    certainty: NDArray[np.float32]
    """(n,) how much each counts: `FoundPoses.certainty`."""
    shell_ssnr: NDArray[np.float32]
    """Relative SSNR of the movie, by shell."""
    renewal: int = 0
    """How often the references had been renewed when they were placed; 0: the start placed them."""
    beam_tilt_mrad: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """(2,) whose phase was taken out of them."""
    chosen: NDArray[np.bool_] | None = None
    """(n,) False: it stands nowhere in the sums, only where it would; None: all are in them."""

    @property
    def is_chosen(self) -> NDArray[np.bool_]:
        """(n,)"""
        return np.ones(len(self.half_set), dtype=bool) if self.chosen is None else self.chosen

    @property
    def counts(self) -> NDArray[np.float32]:
        """(n,) by how much each is in the sums: its certainty, or nothing."""
        return self.certainty if self.chosen is None else self.certainty * self.chosen

    def rows(self, which: NDArray[np.bool_]) -> PlacedParticles:
        """Some of them, all chosen."""
        parts = {name: getattr(self, name)[which] for name in _BY_PARTICLE[:-1]}
        return replace(self, **parts, chosen=None)


_BY_PARTICLE = ("half_set", "poses", "shift_px", "certainty", "is_chosen")


def to_arrays(placed: Mapping[int, PlacedParticles]) -> dict[str, NDArray[Any]]:
    """Everything in a few flat arrays, whose names begin with `placed.`."""
    if not placed:
        return {}
    arrays: dict[str, NDArray[Any]] = {
        "placed.number": np.array(list(placed), dtype=np.int64),
        "placed.count": np.array([len(one.half_set) for one in placed.values()], dtype=np.int64),
        "placed.renewal": np.array([one.renewal for one in placed.values()], dtype=np.int64),
        "placed.shell_ssnr": np.stack([one.shell_ssnr for one in placed.values()]),
        "placed.beam_tilt_mrad": np.stack([one.beam_tilt_mrad for one in placed.values()]),
    }
    for part in _BY_PARTICLE:
        arrays[f"placed.{part}"] = np.concatenate([getattr(one, part) for one in placed.values()])
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[int, PlacedParticles]:
    """Undoes `to_arrays`. Raises KeyError when a part is missing."""
    if "placed.number" not in arrays:
        return {}
    ends = np.cumsum(arrays["placed.count"])[:-1]
    # Each its own: what is overtaken by newer rows is not kept in memory with them.
    columns = [[row.copy() for row in np.split(arrays[f"placed.{part}"], ends)] for part in _BY_PARTICLE]
    renewals = (int(renewal) for renewal in arrays["placed.renewal"])
    *others, chosen = columns
    shells, tilts = ([row.copy() for row in arrays[f"placed.{part}"]] for part in ("shell_ssnr", "beam_tilt_mrad"))
    rows = zip(*others, shells, renewals, tilts, chosen, strict=True)
    return {int(number): PlacedParticles(*row) for number, row in zip(arrays["placed.number"], rows, strict=True)}
