"""The causes by name."""

from __future__ import annotations

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
