"""Novelty: how far the running map's shape lies from known structures, against how far those lie from each other.

The verdict is the share of references whose nearest other reference is no farther away than the nearest reference is
from the map, at the same low-pass: 0 for what is among them, about 1/2 for a structure as different from all known ones
as these are from one another, 1 for what is farther. The distribution of those distances is smoothed in their logarithm
(normal kernels, Silverman 1986, eq. 3.31), and the map's distance freed of what its noise adds, as two half maps tell
it. The uncertainty is one standard deviation over other noise and other choices of references.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from frazil.models.evaluation.facts import RoundFacts, ShapeComparison
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "novelty"

LEAST_REFERENCES = 4
"""Fewer distances between references are no distribution."""
_LEAST_DISTANCE = 0.01
"""Two depositions of one structure are not compared more finely than this."""
_BOOTSTRAPS = 200
_SEED = 1986
_NEIGHBOUR_PRIOR = 2.0
"""The neighbours' calibration is taken to be right in so many neighbours beforehand."""


def evaluate(facts: RoundFacts) -> Verdict:
    """None with the reason where there are no references or no map. The reliability says how evenly the neighbours of
    the map lie in the distribution that it is compared with: where they are all unusually near to one another, or
    unusually alone, the share says less."""
    if facts.shape is None:
        reasons = list(facts.no_shape) or ["no reference structures supplied"]
        without_map = "no running map to compare"
        if facts.map is None and without_map not in reasons:
            reasons.append(without_map)
        return Verdict(NAME, None, evidence={"references": facts.reference_count}, does_not_know=tuple(reasons))
    return judge_shape(facts.shape)


def judge_shape(shape: ShapeComparison) -> Verdict:
    """The verdict on a comparison."""
    evidence: dict[str, Json] = {
        "references": shape.reference_count,
        "nearest": [{"name": one.name, "distance": one.distance} for one in shape.neighbours[:5]],
        "low_pass_angstrom": shape.level_angstrom,
        "resolution_angstrom": shape.resolution_angstrom,
        "radius_of_gyration_angstrom": shape.radius_of_gyration_angstrom,
        "noise_distance": shape.noise_distance,
    }
    unknown = ["the hand: a mirror image has the same descriptor"]
    if shape.noise_distance is None:
        unknown.append("the noise of the distance: there are no half maps")
    if shape.pending_count:
        unknown.append(f"{shape.pending_count} reference files that are still to be described")
    if shape.refused:
        unknown.append(f"{len(shape.refused)} reference files that could not be described: {shape.refused[0]}")
    count = len(shape.leave_one_out)
    if not shape.neighbours or count < LEAST_REFERENCES:
        few = f"only {shape.reference_count} reference structures: {LEAST_REFERENCES} are needed for their distances"
        return Verdict(NAME, None, evidence=evidence, does_not_know=(few, *unknown))
    between = np.log(np.maximum(shape.leave_one_out, _LEAST_DISTANCE))
    distance = freed_of_noise(np.array([shape.neighbours[0].distance]), shape.noise_distance)
    verdict = float(share_nearer(distance, between)[0])
    rng = np.random.default_rng(_SEED)
    draws = np.array(shape.distance_draws or [shape.neighbours[0].distance])
    # Drawn noise comes on top of the map's own.
    twice = None if shape.noise_distance is None else math.sqrt(2) * shape.noise_distance
    others = [
        share_nearer(freed_of_noise(rng.choice(draws, 1), twice), rng.choice(between, count))[0]
        for _ in range(_BOOTSTRAPS)
    ]
    evidence |= {
        "distance": shape.neighbours[0].distance,
        "distance_without_noise": float(distance[0]),
        "between_references": np.exp(np.percentile(between, (5, 50, 95))).tolist(),
    }
    return Verdict(
        NAME,
        verdict,
        uncertainty=float(np.std(others)),
        reliability=reliability(calibration(np.array(shape.neighbours_to_next), between)),
        evidence=evidence,
        does_not_know=tuple(unknown),
    )


def freed_of_noise(distance: NDArray[np.float64], noise: float | None) -> NDArray[np.float64]:
    """sqrt(d^2 - noise^2), not below the least distance: independent noise adds in squares."""
    return np.sqrt(np.maximum(distance**2 - (noise or 0.0) ** 2, _LEAST_DISTANCE**2))


def share_nearer(distance: NDArray[np.float64], ln_between: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed share of distances between references that are smaller than each of (n,) distances."""
    spread = float(np.std(ln_between))
    quartiles = np.percentile(ln_between, (25, 75))
    robust = float(quartiles[1] - quartiles[0]) / 1.34
    width = max(0.9 * min(spread, robust or spread) * len(ln_between) ** -0.2, 0.02)
    return np.asarray(special.ndtr((np.log(distance)[:, None] - ln_between) / width).mean(axis=1))


def calibration(to_next: NDArray[np.float64], ln_between: NDArray[np.float64]) -> float:
    """1 where the neighbours' own shares average 1/2, 0 where they are all 0 or all 1."""
    if not to_next.size:
        return 0.5
    shares = share_nearer(np.maximum(to_next, _LEAST_DISTANCE), ln_between)
    weight = to_next.size / (to_next.size + _NEIGHBOUR_PRIOR)
    return 1.0 - 2.0 * abs(float(shares.mean()) - 0.5) * weight
