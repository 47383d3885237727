"""Feasibility: what the goal still needs of the microscope, the disk and the computer, against what is left.

Not a term of V: a session may be excellent and its goal out of reach. The verdict is what is needed over what is left
of the scarcest of the three: below 1 the goal is within reach, above it is not, 0 when it has been reached.
"""

from __future__ import annotations

from frazil.models.evaluation.facts import Prospects, RoundFacts
from frazil.models.evaluation.verdict import Json, Verdict

NAME = "feasibility"
UNIT = "needed / left, scarcest"
_NORMAL_HALF_WIDTH = 1.2816


def evaluate(facts: RoundFacts) -> Verdict:
    """The uncertainty is one sigma by the 80 % interval of the movies that are needed."""
    p = facts.prospects
    if p is None or p.goal_angstrom is None:
        return Verdict(NAME, None, unit=UNIT, does_not_know=("no goal is set (evaluation.goal_resolution_angstrom)",))
    evidence: dict[str, Json] = {
        "goal_angstrom": p.goal_angstrom,
        "resolution_angstrom": p.resolution_angstrom,
        "forecast": p.sentence or None,
    }
    if p.resolution_angstrom is not None and p.resolution_angstrom <= p.goal_angstrom:
        reached = f"{UNIT}: the goal of {p.goal_angstrom:g} A is reached"
        return Verdict(NAME, 0.0, unit=reached, evidence={**evidence, "reached": True})
    evidence["reached"] = False
    if not p.reachable:
        reason = f"movies do not bring {p.goal_angstrom:g} A: {p.sentence}"
        return Verdict(NAME, None, unit=UNIT, evidence=evidence, does_not_know=(reason,))
    if p.movies_needed is None or p.movies is None:
        reason = f"there is no forecast yet of the movies for {p.goal_angstrom:g} A"
        return Verdict(NAME, None, unit=UNIT, evidence=evidence, does_not_know=(reason,))
    low, more, high = (max(0, number - p.movies) for number in p.movies_needed)
    unknown = _unknown(p)
    needs = _needs(p, more)
    left = {"microscope_h": p.hours_left, "disk_bytes": None if p.free_bytes is None else float(p.free_bytes)}
    shares = {
        name: _ratio(needed, left[name])
        for name, needed in needs.items()
        if needed is not None and left.get(name) is not None
    }
    # Computing runs beside the microscope: it is scarce where it is slower.
    compute, microscope = needs["compute_h"], p.hours_left
    if compute is not None and microscope is not None:
        shares["compute_h"] = _ratio(compute, microscope)
    evidence |= {
        "more_movies": more,
        "more_movies_80": [low, high],
        "needed": needs,
        "left": left,
        "computed_on": "GPU" if p.gpu else "CPU",
        "shares": shares,
    }
    if not shares:
        return Verdict(NAME, None, unit=UNIT, evidence=evidence, does_not_know=tuple(unknown))
    scarcest = max(shares, key=lambda name: shares[name])
    evidence["scarcest"] = scarcest
    spread = (high - low) / max(more, 1) / (2 * _NORMAL_HALF_WIDTH)
    return Verdict(
        NAME,
        shares[scarcest],
        unit=UNIT,
        uncertainty=shares[scarcest] * spread,
        evidence=evidence,
        does_not_know=tuple(unknown),
    )


def _needs(p: Prospects, movies: int) -> dict[str, float | None]:
    return {
        "microscope_h": movies / p.movies_per_hour if p.movies_per_hour else None,
        "disk_bytes": None if p.bytes_per_movie is None else movies * p.bytes_per_movie,
        "compute_h": None if p.seconds_per_movie is None else movies * p.seconds_per_movie / 3600.0,
    }


def _ratio(needed: float, left: float | None) -> float:
    """Where nothing is left and something is needed, a thousand times too much."""
    return min(needed / left, 1000.0) if left else (1000.0 if needed else 0.0)


def _unknown(p: Prospects) -> list[str]:
    said = []
    if p.hours_left is None:
        said.append("hours left at the microscope are not set (evaluation.microscope_hours_left)")
    if not p.movies_per_hour:
        said.append("how fast movies come")
    if p.bytes_per_movie is None or p.free_bytes is None:
        said.append("what a movie takes of the disk")
    if p.seconds_per_movie is None:
        said.append("what a movie takes of a worker's time")
    return said
