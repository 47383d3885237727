"""Whether a fit may be used: every criterion named, so that the flag tells a person why not."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_GAIN = 20.0
LEAST_MARGIN = 6.0
LARGEST_DEFOCUS_SD_ANGSTROM = 150.0
LARGEST_ASTIGMATISM_SD_ANGSTROM = 300.0
NO_RINGS = "no rings"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a fit. Gains are natural log-likelihoods divided by the residuals' dispersion.

    coarse_score: matched filter, standard deviations; log_likelihood_gain: over no rings; margin: over the best
    different answer; dispersion: mean square of standardised residuals (1: the model holds).
    """

    coarse_score: float
    log_likelihood_gain: float
    margin: float
    dispersion: float
    converged: bool
    inside_search_range: bool


def judge(
    evidence: Evidence, defocus_sd_angstrom: float, astigmatism_sd_angstrom: float, resolution_angstrom: float | None
) -> tuple[bool, str]:
    """(reliable, flag): the flag is empty for a reliable fit, else the first reason that applies."""
    if evidence.log_likelihood_gain < LEAST_GAIN or resolution_angstrom is None:
        return False, NO_RINGS
    if not evidence.inside_search_range:
        return False, "defocus at the edge of the search"
    if evidence.margin < LEAST_MARGIN:
        return False, "ambiguous defocus"
    if defocus_sd_angstrom > LARGEST_DEFOCUS_SD_ANGSTROM:
        return False, "defocus uncertain"
    if astigmatism_sd_angstrom > LARGEST_ASTIGMATISM_SD_ANGSTROM:
        return False, "astigmatism uncertain"
    if not evidence.converged:
        return False, "fit did not converge"
    return True, ""
