"""What a person at the scope calls the causes: the words of the causal model, and words that fit into a column.

The screen imports no models; a test compares the long words with theirs.
"""

from __future__ import annotations

import math

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
NOT_OF_THE_SESSION = ("radiation_damage", "temporal_coherence", "detector")
"""What nothing at the microscope changes: told after what can be changed."""
LEAST_MOVIES = 10
"""Nothing is advised from fewer."""


def no_advice(movie_count: int, prior_version: int) -> str:
    """Why nothing is advised from so many movies with a version of the prior."""
    if movie_count < LEAST_MOVIES:
        return f"not known yet: {LEAST_MOVIES - movie_count} movies more"
    if prior_version == 0:
        return "not known yet: nothing has been learnt from this session's movies"
    return "nothing would pay: no change is known to gain more than it costs"


def beyond_usual(excess_ln_ssnr: object) -> str:
    """The share of the signal that a cause takes beyond what is usual in the session, from the logarithm of it.

    >>> beyond_usual(1.83), beyond_usual(None)
    ('costs 84 % beyond the usual', '')
    """
    if isinstance(excess_ln_ssnr, bool) or not isinstance(excess_ln_ssnr, int | float):
        return ""
    return f"costs {-100 * math.expm1(-max(float(excess_ln_ssnr), 0.0)):.0f} % beyond the usual"


def cause_word(factor: object) -> str:
    """Also for a cause that this screen does not know yet; empty: none is named."""
    return WORDS.get(str(factor), clean(factor).replace("_", " ")) if factor else ""


def short_cause(factor: object) -> str:
    """For a column of seven cells."""
    return SHORT.get(str(factor), clean(factor).replace("_", " ")) if factor else ""
