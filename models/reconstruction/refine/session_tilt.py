"""The beam tilt of a session from all of its movies' particles: what a map is freed of.

Movie i, aimed with the image shift s_i, has tau_i = t0 + M s_i + delta_i (`causal/particles.py` has the design). A
movie's own particles tell tau_i to a mrad or so; theta = (t0, M) is their weighted least squares, drawn to zero by a
prior that is wide for t0: nothing is held against a beam that was never aligned. A movie is corrected by t0 + M s_i
where that is not chance: chi-square of its two components above `CLEAR`. Places of one image shift so share a tilt, as
the groups of a beam-shift pattern do (Zivanov et al. 2020, IUCrJ 7, 253), and places between them are known, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.particles import shift_design, shift_prior_sd
from frazil.models.records import ExposureFacts

Array = NDArray[np.float64]
CLEAR = 13.8
"""Chance makes as much of no tilt once in a thousand times."""
_AXIAL_SD_MRAD = 2.0
_LEAST_MOVIES = 5
_PREFIX = "tilt."


class SessionTilt:
    """Told of movies by number, in any order; what is corrected changes only with `renew`."""

    def __init__(self) -> None:
        self._design: dict[int, tuple[Array, float]] = {}
        self._measured: dict[int, Array] = {}
        """x, y, xx, xy, yy of every movie whose particles tell its tilt."""
        self._mean: Array = np.zeros(6)
        self._covariance: Array = np.zeros((6, 6))

    def aimed(self, number: int, exposure: ExposureFacts | None) -> None:
        """A movie comes; None: nobody said how it was aimed."""
        self._design[number] = shift_design(exposure or ExposureFacts())

    def measured(self, number: int, tilt_mrad: Array, covariance_mrad2: tuple[float, float, float]) -> None:
        """What the particles of a movie tell now: its whole tilt."""
        self._measured[number] = np.array([*tilt_mrad, *covariance_mrad2])

    def not_measured(self, number: int) -> None:
        """They tell nothing any more."""
        self._measured.pop(number, None)

    def renew(self) -> None:
        """Take what was told since into account."""
        prior = np.concatenate([[_AXIAL_SD_MRAD], shift_prior_sd(), [_AXIAL_SD_MRAD], shift_prior_sd()])
        precision: Array = np.diag(1 / prior**2)
        information: Array = np.zeros(6)
        for number, (x, y, xx, xy, yy) in self._measured.items():
            design, spread = self._design[number]
            error = np.array([[xx, xy], [xy, yy]]) + spread**2 * np.eye(2)
            weight = np.asarray(np.linalg.inv(error), dtype=np.float64)
            precision += design.T @ weight @ design
            information += design.T @ weight @ np.array([x, y])
        self._covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        self._mean = self._covariance @ information
        if len(self._measured) < _LEAST_MOVIES:
            self._mean = np.zeros(6)

    def known(self, number: int) -> tuple[Array, Array]:
        """(2,) mrad of a movie, and its (2, 2) covariance."""
        design, _ = self._design[number]
        return design @ self._mean, design @ self._covariance @ design.T

    def of(self, number: int) -> Array:
        """(2,) mrad that a movie is corrected by; zero where it may as well be none."""
        tilt, covariance = self.known(number)
        if not tilt.any() or float(tilt @ np.linalg.solve(covariance, tilt)) <= CLEAR:
            return np.zeros(2)
        return np.asarray(tilt)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs; names begin with `tilt.`."""
        rows = [[number, *design[0, :3], spread] for number, (design, spread) in self._design.items()]
        measured = [[number, *values] for number, values in self._measured.items()]
        return {
            f"{_PREFIX}aimed": np.array(rows, dtype=np.float64).reshape(-1, 5),
            f"{_PREFIX}measured": np.array(measured, dtype=np.float64).reshape(-1, 6),
            f"{_PREFIX}mean": self._mean,
            f"{_PREFIX}covariance": self._covariance,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError when a part is missing."""
        self._design = {}
        for number, *row, spread in arrays[f"{_PREFIX}aimed"].tolist():
            self._design[int(number)] = np.kron(np.eye(2), row), spread
        self._measured = {int(row[0]): row[1:].copy() for row in arrays[f"{_PREFIX}measured"]}
        self._mean, self._covariance = arrays[f"{_PREFIX}mean"].copy(), arrays[f"{_PREFIX}covariance"].copy()
