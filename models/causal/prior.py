"""The versioned state of the causal prior that travels to workers and into the store."""

from __future__ import annotations

from dataclasses import dataclass

FACTORS: tuple[str, ...] = (
    "motion",
    "radiation_damage",
    "spatial_coherence",
    "temporal_coherence",
    "ice",
    "detector",
    "coincidence",
    "heterogeneity",
    "unexplained",
)
"""The causes that a loss of ln(SSNR) is attributed to (docs/science.md); the order is that of every stored vector."""


@dataclass(frozen=True, slots=True)
class PriorSnapshot:
    """Gaussian belief about the strength beta_f of each factor's mechanism; physics says beta = 1.

    Kept in information form so that evidence adds up: `precision @ mean = information`.
    """

    version: int
    """0 is physics alone; each version adds a batch of movies."""
    movie_count: int
    factor_names: tuple[str, ...]
    precision: tuple[tuple[float, ...], ...]
    information: tuple[float, ...]
    log_signal: tuple[float, ...]
    """ln of the specimen's SSNR without any loss on `log_signal_frequency_per_angstrom`; the a(k) of the model."""
    log_signal_frequency_per_angstrom: tuple[float, ...]
    log_signal_weight: tuple[float, ...]
    """How many movies' worth of evidence stand behind each value of `log_signal`."""
