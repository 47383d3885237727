"""Rerun agreement: what is said of a movie that was computed twice, on another device or worker.

Same input and settings: the two differ by rounding, by the order of sums and by seeds. Each measured quantity is held
against its own stated error: exp(-difference / sigma) is 1 where nothing changes, and 0.37 where a rerun moves it by as
much as the data leave open.
"""

from __future__ import annotations

import math

import numpy as np

from frazil.models.evaluation.facts import MovieRerun
from frazil.models.evaluation.verdict import Json
from frazil.models.records import MovieResult, ParticlePicks

_NEAR_SHARE = 0.25
"""Of the diameter: picks within it are the same particle."""


def rerun_parts(first: MovieResult, second: MovieRerun) -> dict[str, float]:
    """Agreement in [0, 1] of what was computed twice: `motion`, `defocus`, `ctf_reliable`, `half_frc`, `picks`."""
    parts: dict[str, float] = {}
    if second.shifts is not None and len(first.shifts.shift_x_angstrom) == len(second.shifts.shift_x_angstrom):
        a, b = first.shifts, second.shifts
        apart = np.hypot(
            np.subtract(a.shift_x_angstrom, b.shift_x_angstrom), np.subtract(a.shift_y_angstrom, b.shift_y_angstrom)
        )
        error = math.sqrt(2) * float(np.sqrt(np.mean(np.square(a.sd_angstrom + b.sd_angstrom))))
        parts["motion"] = _within(float(np.sqrt(np.mean(apart**2))), error)
    if second.ctf is not None:
        parts["ctf_reliable"] = float(first.ctf.reliable == second.ctf.reliable)
        if first.ctf.reliable and second.ctf.reliable:
            defocus = [(one.defocus_u_angstrom + one.defocus_v_angstrom) / 2 for one in (first.ctf, second.ctf)]
            error = max(first.ctf.defocus_sd_angstrom, second.ctf.defocus_sd_angstrom)
            parts["defocus"] = _within(abs(defocus[0] - defocus[1]), error)
    if second.half_frc is not None and len(second.half_frc) == len(first.spectra.half_frc):
        curves = np.array(first.spectra.half_frc), np.array(second.half_frc)
        known = np.isfinite(curves[0]) & np.isfinite(curves[1])
        if known.any():
            parts["half_frc"] = max(0.0, 1.0 - float(np.abs(curves[0] - curves[1])[known].mean()))
    if second.picks is not None and (first.picks.x_px or second.picks.x_px):
        parts["picks"] = _same_picks(first.picks, second.picks, first.pixel_size_angstrom)
    return parts


def rerun_agreement(first: MovieResult, second: MovieRerun) -> float | None:
    """Mean of `rerun_parts`, [0, 1]; None: nothing was computed twice."""
    parts = rerun_parts(first, second)
    return sum(parts.values()) / len(parts) if parts else None


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


def _same_picks(first: ParticlePicks, second: ParticlePicks, pixel_size_angstrom: float) -> float:
    """Twice the pairs over all picks (Dice 1945)."""
    if not first.x_px or not second.x_px:
        return 0.0
    diameter = first.diameter_angstrom or second.diameter_angstrom
    near = _NEAR_SHARE * diameter / pixel_size_angstrom if diameter else 1.0
    a, b = np.column_stack([first.x_px, first.y_px]), np.column_stack([second.x_px, second.y_px])
    distance = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))
    nearest = distance.argmin(axis=1)
    pairs = {int(nearest[i]) for i in range(len(a)) if distance[i, nearest[i]] <= near}
    return 2 * len(pairs) / (len(a) + len(b))
