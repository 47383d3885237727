"""Rerun agreement: what is said of a micrograph whose CTF was fitted twice, on another device or worker.

Same input and settings: the two differ by rounding, by the order of sums and by seeds. The defocus is held against its
own stated error: exp(-difference / sigma) is 1 where nothing changes, and 0.37 where a rerun moves it by as much as the
data leave open.
"""

from __future__ import annotations

import math

from frazil.models.evaluation.facts import MovieRerun
from frazil.models.evaluation.verdict import Json
from frazil.models.records import MovieResult


def rerun_parts(first: MovieResult, second: MovieRerun) -> dict[str, float]:
    """Agreement in [0, 1] of what was computed twice: `ctf_reliable` and, where both are, `defocus`."""
    parts = {"ctf_reliable": float(first.ctf.reliable == second.ctf.reliable)}
    if first.ctf.reliable and second.ctf.reliable:
        defocus = [(one.defocus_u_angstrom + one.defocus_v_angstrom) / 2 for one in (first.ctf, second.ctf)]
        error = max(first.ctf.defocus_sd_angstrom, second.ctf.defocus_sd_angstrom)
        parts["defocus"] = _within(abs(defocus[0] - defocus[1]), error)
    return parts


def rerun_agreement(first: MovieResult, second: MovieRerun) -> float:
    """Mean of `rerun_parts`, [0, 1]."""
    parts = rerun_parts(first, second)
    return sum(parts.values()) / len(parts)


def as_json(first: MovieResult, second: MovieRerun) -> dict[str, Json]:
    """As evidence: who computed it, how, and what came of it."""
    return {
        "movie_id": first.movie_id,
        "first_on": first.device.device_name,
        "second_on": second.device_name,
        "how": second.how,
        **rerun_parts(first, second),
    }


def _within(difference: float, sigma: float) -> float:
    return math.exp(-difference / sigma) if sigma > 0 else float(difference == 0)
