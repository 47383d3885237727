"""The versioned state of the causal prior that travels to workers and into the store.

Model (design of the attribution, docs/science.md): for movie i and frequency band j

    ln SSNR_i(k_j) = a_j - sum_f beta_f x_if(k_j) + noise,

where a_j is the specimen's own ln SSNR, x_if the loss that the physics of factor f predicts from what was measured on
this movie, and beta_f how strongly the factor really acts; physics says beta = 1. The belief about theta = (a, beta) is
Gaussian, kept in information form (precision matrix and precision @ mean), so that evidence simply adds up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MODELLED_FACTORS: tuple[str, ...] = (
    "motion",
    "radiation_damage",
    "spatial_coherence",
    "temporal_coherence",
    "ice",
    "detector",
    "coincidence",
)
"""Factors with a mechanism; their strengths beta are learned."""
FACTORS: tuple[str, ...] = (*MODELLED_FACTORS, "heterogeneity", "unexplained")
"""All causes that a loss of ln(SSNR) is attributed to; the order of every stored vector."""

BAND_COUNT = 24
_LOWEST_PER_ANGSTROM = 1 / 40
_HIGHEST_PER_ANGSTROM = 1 / 2.8
_SIGNAL_SD = 4.0
"""Prior sd of a_j: specimens differ by orders of magnitude."""
_STRENGTH_SD = 0.3
"""Prior sd of beta_f: mechanisms are good to about a third before the data speak."""


def band_frequencies_per_angstrom() -> NDArray[np.float64]:
    """(24,) centres of the bands on which the prior lives, 40 to 2.8 A."""
    return np.linspace(_LOWEST_PER_ANGSTROM, _HIGHEST_PER_ANGSTROM, BAND_COUNT)


@dataclass(frozen=True, slots=True)
class PriorSnapshot:
    """Belief about theta = (a_1..a_J, beta_1..beta_F) after `movie_count` movies."""

    version: int
    """0 is physics alone; each version adds one epoch of movies."""
    movie_count: int
    precision: tuple[tuple[float, ...], ...]
    """(J + F, J + F) symmetric, positive definite."""
    information: tuple[float, ...]
    """(J + F,) = precision @ mean."""
    empty_counts_per_px: float | None = None
    """Most electrons per pixel and frame seen so far: the zero of the ice thickness. None: nothing seen."""

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean (J + F,) and covariance (J + F, J + F)."""
        covariance = np.linalg.inv(np.array(self.precision))
        return covariance @ np.array(self.information), covariance

    def strengths(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and sd of beta, in the order of `MODELLED_FACTORS`."""
        mean, covariance = self.moments()
        return mean[BAND_COUNT:], np.sqrt(np.diag(covariance)[BAND_COUNT:])


def physics_prior() -> PriorSnapshot:
    """Version 0: every mechanism acts as its physics says, nothing is known of the specimen."""
    factor_count = len(MODELLED_FACTORS)
    variance = np.concatenate([np.full(BAND_COUNT, _SIGNAL_SD**2), np.full(factor_count, _STRENGTH_SD**2)])
    mean = np.concatenate([np.zeros(BAND_COUNT), np.ones(factor_count)])
    return PriorSnapshot(
        version=0,
        movie_count=0,
        precision=tuple(tuple(row) for row in np.diag(1 / variance).tolist()),
        information=tuple((mean / variance).tolist()),
    )
