"""Reproducibility: do two halves of the same exposure carry the same rings.

The even- and odd-frame sums of a movie share what the specimen put there and nothing of the counting noise. With
sigma^2 the power that is not shared, P the power of the whole sum and F the Fourier ring correlation of the halves,

    P = sigma^2 (1 + F) / (1 - F),        2 atanh F = ln P - ln sigma^2.

sigma^2(k) is smooth, whatever the camera: so the Thon rings in 2 atanh F have the height of the rings in ln P (slope 1)
when both halves carry them, and none (slope 0) when they are in one half only, or an artefact of the sum. The slope is
fitted between 30 A and the fit limit, with ln sigma^2 a polynomial. (The crossing of F with 0.143 is told beside it,
but falls into the first zero of the CTF and says little.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.verdict import Json, Verdict, reliability
from frazil.models.records import MovieResult

NAME = "reproducibility"

_LOWEST_PER_ANGSTROM = 1 / 30
_POLYNOMIAL_DEGREE = 5
_FEWEST_RINGS = 24
_LARGEST_FRC = 0.99


def half_agreement(result: MovieResult) -> tuple[float, float] | None:
    """Slope of the rings in the halves' correlation on the rings in the power, and its standard error.

    None: nothing to compare (one frame, no reliable rings, too few points). About 1 when the halves agree; noise in P
    pulls it down to 0.85-0.95 for weak rings.
    """
    spectra, ctf = result.spectra, result.ctf
    if not ctf.reliable or ctf.fit_resolution_angstrom is None or not spectra.half_frc:
        return None
    frequency, power = np.array(spectra.frequency_per_angstrom), np.array(spectra.power)
    frc = np.array(spectra.half_frc)
    inside = (frequency >= _LOWEST_PER_ANGSTROM) & (frequency <= 1 / ctf.fit_resolution_angstrom)
    inside &= np.isfinite(power) & np.isfinite(frc) & (power > 0)
    if np.count_nonzero(inside) < _FEWEST_RINGS:
        return None
    frequency, power, frc = frequency[inside], power[inside], frc[inside]
    shared = 2.0 * np.arctanh(np.clip(frc, -_LARGEST_FRC, _LARGEST_FRC))
    place = 2.0 * (frequency - frequency[0]) / (frequency[-1] - frequency[0]) - 1.0
    design = np.column_stack([np.log(power), np.polynomial.chebyshev.chebvander(place, _POLYNOMIAL_DEGREE)])
    weight = np.sqrt(frequency)  # a ring has as many pixels as it is long
    weighted = design * weight[:, None]
    solution, _, rank, _ = np.linalg.lstsq(weighted, shared * weight, rcond=None)
    if rank < design.shape[1]:
        return None
    residual = (shared - design @ solution) * weight
    variance = float(residual @ residual) / (len(frequency) - design.shape[1])
    return float(solution[0]), math.sqrt(variance * float(np.linalg.inv(weighted.T @ weighted)[0, 0]))


def evaluate(facts: RoundFacts) -> Verdict:
    """Mean agreement of the movies' halves over the session so far, each clipped to [0, 1]; the uncertainty is the
    standard error of the mean. The reliability is the agreement itself until reruns are made."""
    rows: list[Json] = []
    earlier = facts.earlier.get(NAME, {})
    count = int(earlier.get("movies_compared", 0))
    total, squares = float(earlier.get("sum", 0.0)), float(earlier.get("sum_of_squares", 0.0))
    without = int(earlier.get("movies_without_comparison", 0))
    for movie in facts.movies:
        found = half_agreement(movie.result)
        if found is None:
            without += 1
            continue
        value = min(1.0, max(0.0, found[0]))
        count, total, squares = count + 1, total + value, squares + value * value
        rows.append(
            {
                "movie_id": movie.result.movie_id,
                "agreement": found[0],
                "standard_error": found[1],
                "fit_resolution_angstrom": movie.result.ctf.fit_resolution_angstrom,
                "half_frc_0143_angstrom": _first_below_0143_angstrom(
                    movie.result.spectra.frequency_per_angstrom, movie.result.spectra.half_frc
                ),
            }
        )
    mean = total / count if count else None
    spread = None
    if mean is not None and count > 1:
        spread = math.sqrt(max(squares / count - mean * mean, 0.0) / (count - 1))
    unknown = ["rerun agreement: nothing was run twice (another device, seed or perturbed parameters)"]
    if mean is None:
        unknown.insert(0, "no movie had reliable rings in two halves")
    return Verdict(
        evaluator=NAME,
        verdict=mean,
        unit="ring agreement of halves",
        uncertainty=spread,
        reliability=1.0 if mean is None else reliability(mean),
        evidence={
            "movies_compared": count,
            "movies_without_comparison": without,
            "sum": total,
            "sum_of_squares": squares,
            "this_round": rows,
        },
        does_not_know=tuple(unknown),
    )


def _first_below_0143_angstrom(frequency_per_angstrom: Sequence[float], frc: Sequence[float]) -> float | None:
    for frequency, value in zip(frequency_per_angstrom, frc, strict=True):
        if value < 0.143:
            return 1.0 / frequency if frequency > 0 else None
    return None
