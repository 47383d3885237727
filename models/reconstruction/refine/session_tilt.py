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
from frazil.models.reconstruction.movie_table import MovieTable
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
        self._design: MovieTable[int, tuple[Array, float]] = MovieTable()
        self._measured: MovieTable[int, Array] = MovieTable()
        """x, y, xx, xy, yy of every movie whose particles tell its tilt."""
        self._precision: Array = np.zeros((6, 6))
        self._information: Array = np.zeros(6)
        """Sums over these movies."""
        self._mean: Array = np.zeros(6)
        self._covariance: Array = np.zeros((6, 6))

    def aimed(self, number: int, exposure: ExposureFacts | None) -> None:
        """A movie comes; None: nobody said how it was aimed."""
        self._design[number] = shift_design(exposure or ExposureFacts())

    def measured(self, number: int, tilt_mrad: Array, covariance_mrad2: tuple[float, float, float]) -> None:
        """What the particles of a movie tell now: its whole tilt."""
        self.not_measured(number)
        self._measured[number] = np.array([*tilt_mrad, *covariance_mrad2])
        self._add_up(number, sign=1.0)

    def not_measured(self, number: int) -> None:
        """They tell nothing any more."""
        if number in self._measured:
            self._add_up(number, sign=-1.0)
            del self._measured[number]

    def _add_up(self, number: int, *, sign: float) -> None:
        x, y, xx, xy, yy = self._measured[number]
        design, spread = self._design[number]
        error = np.array([[xx, xy], [xy, yy]]) + spread**2 * np.eye(2)
        weight = np.asarray(np.linalg.inv(error), dtype=np.float64)
        self._precision += sign * (design.T @ weight @ design)
        self._information += sign * (design.T @ weight @ np.array([x, y]))

    def renew(self) -> None:
        """Take what was told since into account."""
        prior = np.concatenate([[_AXIAL_SD_MRAD], shift_prior_sd(), [_AXIAL_SD_MRAD], shift_prior_sd()])
        self._covariance = np.asarray(np.linalg.inv(self._precision + np.diag(1 / prior**2)), dtype=np.float64)
        self._mean = self._covariance @ self._information
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
        return self.fixed() | self._rows(self._design, self._measured)

    def fixed(self) -> dict[str, NDArray[Any]]:
        """Of it, what does not grow with the session."""
        return {
            f"{_PREFIX}mean": self._mean,
            f"{_PREFIX}covariance": self._covariance,
            f"{_PREFIX}precision": self._precision.copy(),
            f"{_PREFIX}information": self._information.copy(),
        }

    def changes(self) -> dict[str, NDArray[Any]]:
        """What changed of single movies since `written`."""
        gone = np.array(self._measured.removed(), dtype=np.int64)
        return self._rows(self._design.changed(), self._measured.changed()) | {f"{_PREFIX}removed": gone}

    @property
    def tables(self) -> tuple[MovieTable[int, Any], ...]:
        """What grows with the session."""
        return self._design, self._measured

    @staticmethod
    def _rows(aimed: Mapping[int, tuple[Array, float]], measured: Mapping[int, Array]) -> dict[str, NDArray[Any]]:
        rows = [[number, *design[0, :3], spread] for number, (design, spread) in aimed.items()]
        tilts = [[number, *values] for number, values in measured.items()]
        return {
            f"{_PREFIX}aimed": np.array(rows, dtype=np.float64).reshape(-1, 5),
            f"{_PREFIX}measured": np.array(tilts, dtype=np.float64).reshape(-1, 6),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """From `state`, or from `fixed`, whereupon all `changes` follow. Raises KeyError when a part is missing."""
        self._design, self._measured = MovieTable(), MovieTable()
        self._mean, self._covariance, self._precision, self._information = (
            arrays[f"{_PREFIX}{part}"].copy() for part in ("mean", "covariance", "precision", "information")
        )
        self.take_changes(arrays)

    def take_changes(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """What `changes` told once, in that order."""
        aimed = arrays.get(f"{_PREFIX}aimed", np.zeros((0, 5)))
        self._design.take({int(row[0]): (np.kron(np.eye(2), row[1:4]), float(row[4])) for row in aimed})
        measured = arrays.get(f"{_PREFIX}measured", np.zeros((0, 6)))
        gone = [int(number) for number in arrays.get(f"{_PREFIX}removed", ())]
        self._measured.take({int(row[0]): row[1:].copy() for row in measured}, gone)
