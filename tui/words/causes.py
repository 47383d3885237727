"""What a person at the scope calls the causes: the words of the causal model, and words that fit into a column.

The screen imports no models; a test compares the long words with theirs.
"""

from __future__ import annotations

from frazil.tui.words.formatting import clean

WORDS: dict[str, str] = {
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
MEDIUM: dict[str, str] = {
    "motion": "motion",
    "radiation_damage": "radiation",
    "spatial_coherence": "beam",
    "temporal_coherence": "energy",
    "ice": "ice",
    "detector": "camera",
    "coincidence": "dose rate",
    "heterogeneity": "heterogen.",
    "unexplained": "unexplained",
    "aberrations": "coma, astig.",
    "defocus_spread": "heights",
    "motion_uncorrected": "uncorrected",
}
"""At most twelve cells."""
SHORT: dict[str, str] = {
    "motion": "motion",
    "radiation_damage": "damage",
    "spatial_coherence": "beam",
    "temporal_coherence": "energy",
    "ice": "ice",
    "detector": "camera",
    "coincidence": "dose/s",
    "heterogeneity": "hetero.",
    "unexplained": "unexpl.",
    "aberrations": "coma",
    "defocus_spread": "heights",
    "motion_uncorrected": "uncorr.",
}
"""At most seven cells."""
BESIDE_TOTAL = ("aberrations", "defocus_spread", "motion_uncorrected")
"""Processing can undo these, or has: they do not count in a movie's total."""


def cause_word(factor: object) -> str:
    """Also for a cause that this screen does not know yet; empty: none is named."""
    return WORDS.get(str(factor), clean(factor)) if factor else ""


def short_cause(factor: object) -> str:
    """For a column of seven cells."""
    return SHORT.get(str(factor), clean(factor)) if factor else ""
