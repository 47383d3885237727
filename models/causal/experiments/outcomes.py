"""What a movie counts as in an experiment: a measured number in natural logarithms, larger is better.

Never a loss of the causal model: what the model believes of a setting must not decide about that setting. A movie
whose fit fails does not vanish, which would favour the setting that loses its worst movies: it counts as worse than all
others (-inf here; `sequence` says how that enters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import UsageError
from frazil.models.causal.bands import BAND_COUNT, Array
from frazil.models.causal.mechanisms import steady_drift_angstrom_per_frame
from frazil.models.records import MovieEvidence

FALL_ANGSTROM2 = 50.0
"""-d ln SSNR / d(k^2): half of a B-factor of 100 A^2 (Rosenthal & Henderson 2003, J. Mol. Biol. 333, 721): what turns a
resolution of the CTF fit into ln SSNR."""
_REACHED_SHARE = 0.9
_REFERENCE_MOVIES = 8
_LEAST_MOTION_ANGSTROM = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measured number."""

    name: str
    words: str
    is_signal: bool
    """In ln SSNR (or its like): it can be set against movies per hour. Else only the difference itself is judged."""


OUTCOMES: tuple[Outcome, ...] = (
    Outcome("ln_ssnr", "signal to noise in the movie's own rings", is_signal=True),
    Outcome("fit_resolution", "resolution of the CTF fit", is_signal=True),
    Outcome("particles", "number of particles picked", is_signal=True),
    Outcome("motion", "total motion", is_signal=False),
    Outcome("drift", "steady drift", is_signal=False),
)


def outcome_of(name: str) -> Outcome:
    """Raises `UsageError`."""
    for one in OUTCOMES:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in OUTCOMES)
    raise UsageError(f"no outcome is called {name[:80]!r}", remedy=f"use one of: {known}")


@dataclass(frozen=True, slots=True)
class RingReference:
    """On which bands rings are compared, and what is usual there. The same for all movies of an experiment, so that a
    movie's own reach selects nothing."""

    bands: tuple[int, ...]
    ln_ssnr: tuple[float, ...]
    """Median over the reference movies on each of `bands`."""


def ring_reference(movies: Sequence[MovieEvidence]) -> RingReference | None:
    """From movies taken before the experiment, or its first ones without a look at their settings.

    The bands end where nine of ten of the movies that have rings still show them. None: fewer than eight movies with
    rings.
    """
    curves = np.array(
        [[np.nan if value is None else value for value in movie.log_ssnr] for movie in movies if _has_rings(movie)]
    ).reshape(-1, BAND_COUNT)
    if len(curves) < _REFERENCE_MOVIES:
        return None
    tops = sorted((_top_band(curve) for curve in curves), reverse=True)
    top = tops[math.ceil(_REACHED_SHARE * len(tops)) - 1]
    seen = np.isfinite(curves).sum(axis=0)
    # A band that few movies show (below the first zero of the usual defocus) has no usual value.
    bands = [band for band in range(top + 1) if seen[band] >= max(4, len(curves) // 4)]
    if not bands:
        return None
    return RingReference(tuple(bands), tuple(float(np.nanmedian(curves[:, band])) for band in bands))


def _has_rings(movie: MovieEvidence) -> bool:
    return any(value is not None for value in movie.log_ssnr)


def _top_band(curve: Array) -> int:
    return int(np.flatnonzero(np.isfinite(curve))[-1])


def ln_ssnr_over(reference: RingReference, log_ssnr: Sequence[float | None]) -> float:
    """Mean of ln SSNR above what is usual, over the reference's bands; -inf for a movie whose rings end before.

    Low bands that lie before the first zero of a small defocus may lack: that is no loss.
    """
    measured = [band for band, value in enumerate(log_ssnr) if value is not None]
    if not measured or measured[-1] < reference.bands[-1]:
        return -math.inf
    above = [
        value - usual
        for band, usual in zip(reference.bands, reference.ln_ssnr, strict=True)
        if (value := log_ssnr[band]) is not None
    ]
    return float(np.mean(above)) if above else -math.inf


def value_of(
    outcome: str, movie: MovieEvidence | None, *, reference: RingReference | None, particle_count: int | None
) -> float | None:
    """The outcome of a finished movie; -inf: it failed (`movie` None: processing did). None: not known, which is no
    failure: the reference bands are not known yet, or particles are not picked in this session.

    >>> value_of("fit_resolution", None, reference=None, particle_count=None)
    -inf
    """
    if outcome == "particles":
        if movie is None:
            return -math.inf
        return None if particle_count is None else math.log1p(particle_count)
    if movie is None:
        return -math.inf
    match outcome:
        case "ln_ssnr":
            return None if reference is None else ln_ssnr_over(reference, movie.log_ssnr)
        case "fit_resolution":
            fit = movie.fit_resolution_angstrom
            return -math.inf if fit is None else FALL_ANGSTROM2 / fit**2
        case "motion":
            steps = np.hypot(np.diff(movie.shift_x_angstrom), np.diff(movie.shift_y_angstrom))
            return -math.log(max(float(steps.sum()), _LEAST_MOTION_ANGSTROM)) if steps.size else None
        case "drift":
            if movie.frame_count < 4:
                return None
            per_movie = float(np.hypot(*steady_drift_angstrom_per_frame(movie))) * movie.frame_count
            return -math.log(max(per_movie, _LEAST_MOTION_ANGSTROM))
    raise UsageError(f"no outcome is called {outcome[:80]!r}", remedy="use one of `OUTCOMES`")


def resolution_after_angstrom(start_angstrom: float, gain_ln_ssnr: float, fall_angstrom2: float) -> float:
    """Where a curve that has risen by this much meets the old threshold; a loss at most doubles it.

    >>> round(resolution_after_angstrom(4.0, 0.5, 50.0), 2)
    3.71
    """
    k2 = 1 / start_angstrom**2
    return float(1 / np.sqrt(max(k2 + gain_ln_ssnr / fall_angstrom2, 0.25 * k2)))


def finite(values: Sequence[float]) -> NDArray[np.float64]:
    """Those of the movies that did not fail."""
    found = np.array(values, dtype=np.float64)
    return found[np.isfinite(found)]
