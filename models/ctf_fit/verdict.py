"""Whether a fit may be used: every criterion named, so that the flag tells a person why not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from frazil.models.records import ASTIGMATISM_UNCERTAIN

LEAST_GAIN = 20.0
LEAST_MARGIN = 6.0
LEAST_RINGS = 1.5
"""Periods of CTF^2 up to the fit resolution: a hump alone may be anything."""
LARGEST_DEFOCUS_SD_ANGSTROM = 200.0
LARGEST_ASTIGMATISM_SD_ANGSTROM = 300.0
"""The prior alone leaves 350 A. How sharp an answer has to be is for those to say who use it: its errors are stated."""
NO_RINGS = "no rings"
TOO_COARSE = "pixels too coarse"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a fit. Gains are natural logarithms of posterior odds divided by the residuals' dispersion.

    coarse_score: matched filter, standard deviations; gain: over no rings; margin: over the best
    different answer; dispersion: mean square of standardised residuals (1: the model holds).
    """

    coarse_score: float
    gain: float
    margin: float
    dispersion: float
    converged: bool
    inside_search_range: bool


def judge(
    evidence: Evidence, defocus_sd_angstrom: float, astigmatism_sd_angstrom: float, rings_seen: float
) -> tuple[bool, str]:
    """(reliable, flag): the flag is empty for a reliable fit, else the first reason that applies."""
    # Where residuals are larger than chance they are also less like chance: ask for more.
    if evidence.gain < LEAST_GAIN * math.sqrt(evidence.dispersion) or rings_seen <= 0.0:
        return False, NO_RINGS
    if rings_seen < LEAST_RINGS:
        return False, "too few rings"
    if not evidence.inside_search_range:
        return False, "defocus at the edge of the search"
    if evidence.margin < LEAST_MARGIN:
        return False, "ambiguous defocus"
    if defocus_sd_angstrom > LARGEST_DEFOCUS_SD_ANGSTROM:
        return False, "defocus uncertain"
    if not evidence.converged:
        return False, "fit did not converge"
    # Last: whoever meets this flag knows that all else is well.
    if astigmatism_sd_angstrom > LARGEST_ASTIGMATISM_SD_ANGSTROM:
        return False, ASTIGMATISM_UNCERTAIN
    return True, ""
