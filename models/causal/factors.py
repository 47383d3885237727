"""The causes by name, and the frequencies at which all curves of the causal model are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MODELLED_FACTORS: tuple[str, ...] = (
    "motion",
    "radiation_damage",
    "spatial_coherence",
    "temporal_coherence",
    "ice",
    "detector",
    "coincidence",
)
"""Factors with a mechanism that rings can speak about; their strengths beta are learned."""
FACTORS: tuple[str, ...] = (*MODELLED_FACTORS, "heterogeneity", "unexplained")
"""All causes whose losses add up to a movie's total."""
BESIDE_TOTAL: tuple[str, ...] = ("aberrations", "defocus_spread", "motion_uncorrected")
"""Losses that processing can undo (or, for the last, has undone)."""
ALL_FACTORS: tuple[str, ...] = (*FACTORS, *BESIDE_TOTAL)
"""The order of every stored vector."""

NOT_OF_THE_SESSION: tuple[str, ...] = ("radiation_damage", "temporal_coherence", "detector")
"""Losses that nothing at the microscope changes during a session: the specimen's, the gun's and the camera's. They are
told, but never first."""

CHANGEABLE: tuple[str, ...] = tuple(name for name in MODELLED_FACTORS if name not in NOT_OF_THE_SESSION)
"""Of the total what somebody at the microscope can act upon: this is told first."""
BAND_COUNT = 24
_LOWEST_PER_ANGSTROM = 1 / 40
_HIGHEST_PER_ANGSTROM = 1 / 2.8

FACTOR_WORDS = {
    "motion": "motion inside frames",
    "radiation_damage": "radiation damage",
    "spatial_coherence": "beam convergence",
    "temporal_coherence": "energy spread",
    "ice": "ice thickness",
    "detector": "camera",
    "coincidence": "dose rate (coincidence)",
    "heterogeneity": "heterogeneity",
    "unexplained": "unexplained",
    "aberrations": "coma and astigmatism",
    "defocus_spread": "spread of heights",
    "motion_uncorrected": "motion before correction",
}
"""What a person at the scope calls them."""


def band_frequencies_per_angstrom() -> Array:
    """(24,) centres of the bands on which the prior lives, 40 to 2.8 A."""
    return np.linspace(_LOWEST_PER_ANGSTROM, _HIGHEST_PER_ANGSTROM, BAND_COUNT)


def curves_at(frequency_per_angstrom: float, curves: Array) -> Array:
    """(...) values of curves (..., 24) on the bands at one frequency: linear between them, constant beyond."""
    position = float(np.interp(frequency_per_angstrom, band_frequencies_per_angstrom(), np.arange(BAND_COUNT)))
    low = min(int(position), BAND_COUNT - 2)
    return np.asarray(curves[..., low] * (low + 1 - position) + curves[..., low + 1] * (position - low))
