"""The ring model's rows: what one movie's rings say of (a, beta), with the right noise.

The rings of a movie differ from the session's for reasons that are no loss: more or fewer particles, other ice. Such
differences go over all frequencies at once, as a level and as a fall that grows with k^2; they are random effects with
their own variance, so that a band-by-band fit cannot take them for a cause.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.bands import BAND_COUNT, Array, band_frequencies_per_angstrom
from frazil.models.causal.evidence import measured_bands
from frazil.models.causal.prior import COLUMNS
from frazil.models.records import MovieEvidence

LEVEL_SD = 0.6
"""Of ln(ring amplitude) among movies of one session: crowding, ice, film."""
FALL_SD = 0.35
"""Of the same at 5 A against low frequency."""
_FALL_PER_ANGSTROM = 0.2
EFFECTS_COVARIANCE = np.diag([LEVEL_SD**2, FALL_SD**2])
"""(2, 2) of (level, fall) among movies of one session."""


@dataclass(frozen=True, slots=True)
class RingRows:
    """y = design @ theta + effects @ (level, fall) + noise."""

    index: NDArray[np.int64]
    """Bands with a measurement."""
    y: Array
    design: Array
    """(n, COLUMNS)."""
    effects: Array
    """(n, 2): what level and fall do to each row."""
    noise_variance: Array

    def whitened(self, values: Array) -> Array:
        """R^-1 @ values by Woodbury, R = diag(noise) + effects diag(sd^2) effects^T."""
        inverse = 1.0 / self.noise_variance
        left = self.effects * inverse[:, None]
        core = np.linalg.inv(EFFECTS_COVARIANCE) + self.effects.T @ left
        weighted = inverse[:, None] * values if values.ndim == 2 else inverse * values
        return np.asarray(weighted - left @ np.linalg.solve(core, left.T @ values))

    def effects_given(self, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Mean (2,) and covariance (2, 2) of level and fall, theta known with this mean and covariance."""
        spread = self.design @ covariance @ self.design.T + np.diag(self.noise_variance)
        gain = (
            EFFECTS_COVARIANCE
            @ self.effects.T
            @ np.linalg.inv(spread + self.effects @ EFFECTS_COVARIANCE @ self.effects.T)
        )
        return np.asarray(gain @ (self.y - self.design @ mean)), np.asarray(
            EFFECTS_COVARIANCE - gain @ self.effects @ EFFECTS_COVARIANCE
        )

    def roughness(self) -> float:
        """Root mean square second difference of the measured curve, 1 where it is as rough as its noise."""
        if self.index.size < 3 or np.any(np.diff(self.index) != 1):
            return 1.0
        second = np.diff(self.y, n=2)
        variance = self.noise_variance[:-2] + 4 * self.noise_variance[1:-1] + self.noise_variance[2:]
        return float(np.sqrt(np.mean(second**2 / variance)))


def own_effects(rows: RingRows | None, mean: Array, covariance: Array) -> tuple[Array, Array]:
    """`RingRows.effects_given`; of a movie without rings, what is believed of any movie."""
    return (np.zeros(2), EFFECTS_COVARIANCE) if rows is None else rows.effects_given(mean, covariance)


def unexplained_fall(fall: float) -> float:
    """Loss at 5 A by what rings fall below the session's beyond what fields of one session differ by (one sd of it)."""
    return max(0.0, -fall - FALL_SD)


def fall_curve(k: Array) -> Array:
    """(k / 0.2)^2: 1 at 5 A."""
    return np.asarray((k / _FALL_PER_ANGSTROM) ** 2)


def ring_rows(movie: MovieEvidence, unit_losses: Array) -> RingRows | None:
    """Rows of one movie; None without rings. `unit_losses` (F + 1, BAND_COUNT): of every modelled factor at strength 1,
    and the wash-out of the rings."""
    index, measured = measured_bands(movie)
    if index.size == 0:
        return None
    bands = band_frequencies_per_angstrom()
    design = np.zeros((index.size, COLUMNS))
    design[np.arange(index.size), index] = 1.0
    design[:, BAND_COUNT:] = -unit_losses[:, index].T
    counting = np.array(movie.log_ssnr_counting_sd)[index] if movie.log_ssnr_counting_sd else np.zeros(index.size)
    effects = np.stack([np.ones(index.size), fall_curve(bands[index])], axis=1)
    return RingRows(index, measured, design, effects, movie.log_ssnr_sd**2 + counting**2)
