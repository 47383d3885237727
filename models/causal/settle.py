"""How drift follows from the time since the stage moved: what waiting longer would do.

The stage drifts at v(t) = v_rest (1 + rho exp(-t / tau)) times a movie's lognormal scatter, t seconds after it stopped;
the steady drift of a movie, its slope over late frames, is v in the middle of these. A grid of (tau, rho) carries a
conjugate normal-inverse-gamma belief about (ln v_rest, scatter) each, kept as sums: order does not matter and the cost
is constant.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import gammaln
from scipy.stats import norm

from frazil.models.causal.factors import Array
from frazil.models.causal.mechanisms import steady_drift_angstrom_per_frame
from frazil.models.records import ExposureFacts, MovieEvidence

TAU_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RHO = (0.0, 0.5, 1.5, 4.0, 10.0, 30.0, 100.0)
_GRID = np.array([(tau, rho) for tau in TAU_S for rho in RHO])
HYPOTHESES = len(_GRID)
_LN_SPEED_MEAN, _LN_SPEED_SD = np.log(0.5), 1.5
"""A/s of a stage at rest, before any movie."""
_SHAPE, _SCALE = 3.0, 1.0
"""Inverse gamma of the scatter's variance: about 0.7 in ln v."""
MOVED_UM = 0.3
"""Positions of the stage that are farther apart are two stops."""
_US_PER_S = 1e6
_LONGEST_S = 600.0
_SAME_STOP_S = 0.5
"""Exposures between which the stage stood still date its stop alike."""
LEAST_SPEED_ANGSTROM_PER_S = 0.01


def with_settle_times(
    movies: Sequence[MovieEvidence], last: ExposureFacts | None, moved_utc_us: int | None
) -> tuple[list[MovieEvidence], ExposureFacts | None, int | None]:
    """The movies, in their order of acquisition, with `settle_time_s` filled in where it can be known.

    The stage was moving between an exposure and the next at another position: the clock starts at the end of the
    former. `last` is the newest exposure before these, `moved_utc_us` the start of the clock it had; both are returned
    as they are after these movies.
    """
    timed = sorted(
        (m for m in movies if m.exposure.acquired_utc_us is not None), key=lambda m: m.exposure.acquired_utc_us or 0
    )
    filled: dict[int, MovieEvidence] = {}
    for movie in timed:
        here = movie.exposure
        if last is not None and _moved(last, here) and (last.acquired_utc_us or 0) < (here.acquired_utc_us or 0):
            moved_utc_us = (last.acquired_utc_us or 0) + round((last.exposure_time_s or 0.0) * _US_PER_S)
        if moved_utc_us is not None and movie.settle_time_s is None:
            waited = ((here.acquired_utc_us or 0) - moved_utc_us) / _US_PER_S
            if waited >= 0.0:
                filled[id(movie)] = replace(movie, settle_time_s=min(waited, _LONGEST_S))
        if last is None or (here.acquired_utc_us or 0) >= (last.acquired_utc_us or 0):
            last = here
    return [filled.get(id(movie), movie) for movie in movies], last, moved_utc_us


def _moved(one: ExposureFacts, other: ExposureFacts) -> bool:
    return moved_um(one, other) > MOVED_UM


def moved_um(one: ExposureFacts, other: ExposureFacts) -> float:
    """How far apart the stage's positions are; 0 where one is not known."""
    if one.stage_x_um is None or other.stage_x_um is None or one.stage_y_um is None or other.stage_y_um is None:
        return 0.0
    return float(np.hypot(one.stage_x_um - other.stage_x_um, one.stage_y_um - other.stage_y_um))


def moves_per_movie(movies: Sequence[MovieEvidence]) -> float:
    """Stage moves per movie, from one movie to the next by time; 1 where nobody said where the stage was."""
    exposures = [movie.exposure for movie in movies]
    if all(one.acquired_utc_us is not None for one in exposures):
        exposures.sort(key=lambda one: one.acquired_utc_us or 0)
    pairs = list(itertools.pairwise(exposures))
    known = [pair for pair in pairs if all(one.stage_x_um is not None and one.stage_y_um is not None for one in pair)]
    return sum(_moved(*pair) for pair in known) / len(known) if known else 1.0


def drift_speed_angstrom_per_s(movie: MovieEvidence) -> float | None:
    """Of the steady drift; None where frames have no time."""
    time = movie.exposure.exposure_time_s
    if not time or movie.frame_count < 4:
        return None
    return float(np.hypot(*steady_drift_angstrom_per_frame(movie))) * movie.frame_count / time


def no_sums() -> Array:
    """(hypotheses, 3): number, sum and sum of squares of what each hypothesis leaves of ln v."""
    return np.zeros((HYPOTHESES, 3))


def sums_of(movie: MovieEvidence) -> Array | None:
    """What one movie adds; None where settle time or speed are not known."""
    speed = drift_speed_angstrom_per_s(movie)
    if speed is None or movie.settle_time_s is None:
        return None
    middle_s = movie.settle_time_s + middle_of_late_frames_s(movie)
    rest = np.log(max(speed, LEAST_SPEED_ANGSTROM_PER_S)) - np.log(relative_speed(middle_s))
    return np.stack([np.ones(HYPOTHESES), rest, rest**2], axis=1)


def _updated(sums: Array) -> tuple[float, Array, Array, Array, Array]:
    """Of each hypothesis the normal-inverse-gamma belief (Bernardo & Smith 1994, 5.2): kappa before any movie, movies
    (n,), mean of ln v_rest, shape and scale of the scatter's variance."""
    n, total, squares = sums.T
    # Prior N(mean, variance / kappa) with kappa so that the marginal sd is about the one stated.
    kappa = (_SCALE / (_SHAPE - 1)) / _LN_SPEED_SD**2
    mean = np.where(n > 0, total / np.maximum(n, 1e-9), 0.0)
    scatter = np.maximum(squares - n * mean**2, 0.0)
    scale = _SCALE + 0.5 * scatter + 0.5 * kappa * n * (mean - _LN_SPEED_MEAN) ** 2 / (kappa + n)
    centre = (kappa * _LN_SPEED_MEAN + n * mean) / (kappa + n)
    return kappa, n, centre, _SHAPE + n / 2, scale


def foretold(sums: Array) -> tuple[Array, Array, Array, float]:
    """Of one more movie's ln v_rest: weights (hypotheses,), and of each Student's t of centre, scale and freedom. ln of
    the movie's own speed is ln `relative_speed` more."""
    kappa, n, centre, shape, scale = _updated(sums)
    ln_weight = ln_weights(sums)
    weight = np.exp(ln_weight - ln_weight.max())
    spread = np.sqrt(scale * (kappa + n + 1) / (shape * (kappa + n)))
    return weight / weight.sum(), centre, spread, float(2 * shape[0])


def ln_weights(sums: Array) -> Array:
    """(hypotheses,) ln of the marginal likelihood of each (conjugate normal-inverse-gamma model), equal at first."""
    kappa, n, _, shape, scale = _updated(sums)
    return np.asarray(
        gammaln(shape) - gammaln(_SHAPE) + _SHAPE * np.log(_SCALE) - shape * np.log(scale) - 0.5 * np.log1p(n / kappa)
    )


def drift_removed(
    sums: Array,
    movie: MovieEvidence,
    z: Array,
    *,
    settled_s: float | None,
    extra_s: float = 0.0,
    rate_share: float = 1.0,
) -> Array:
    """(S, F) what waiting `extra_s` longer, and the same dose at `rate_share` of its rate, take off the travel in each
    frame, in units of the steady drift per frame (negative: adds); z (S,) normals.

    The stage drifts most in the first frames, and a longer exposure sees it come to rest. `settled_s`: from the end of
    the stage's move to the exposure; None: nobody knows, taken as at rest.
    """
    exposure_s = movie.exposure.exposure_time_s or 0.0
    if settled_s is None:
        settled_s = _LONGEST_S
    frame_s = (np.arange(movie.frame_count) + 0.5) / movie.frame_count * exposure_s
    steady = relative_speed(settled_s + middle_of_late_frames_s(movie))  # of the movie as it was taken
    before = np.stack([relative_speed(settled_s + t) for t in frame_s], axis=1)
    after = np.stack([relative_speed(settled_s + extra_s + t / rate_share) for t in frame_s], axis=1) / rate_share
    removed = (before - after) / steady[:, None]  # (hypotheses, F)
    weight = ln_weights(sums)
    weight = np.exp(weight - weight.max())
    order = np.argsort(removed.mean(axis=1))
    cumulative = np.cumsum(weight[order]) / weight.sum()
    return np.asarray(removed[order][np.searchsorted(cumulative, np.clip(norm.cdf(-z), 0, 1 - 1e-12))])


def settled_of(movies: Sequence[MovieEvidence]) -> list[float | None]:
    """Each movie's settle time; where it is not known (the first of a session), the usual one of the others."""
    known = [movie.settle_time_s for movie in movies if movie.settle_time_s is not None]
    usual = float(np.median(known)) if known else None
    return [usual if movie.settle_time_s is None else movie.settle_time_s for movie in movies]


def exposed_before_s(movies: Sequence[MovieEvidence]) -> list[float]:
    """Seconds of exposure that each movie's stage position has had before it: longer ones let it settle longer."""
    stopped = [_stopped_utc_s(movie) for movie in movies]
    found = []
    for movie, here in zip(movies, stopped, strict=True):
        start = movie.exposure.acquired_utc_us or 0
        same = [
            other.exposure.exposure_time_s or 0.0
            for other, there in zip(movies, stopped, strict=True)
            if here is not None
            and there is not None
            and abs(here - there) < _SAME_STOP_S
            and (other.exposure.acquired_utc_us or 0) < start
        ]
        found.append(sum(same))
    return found


def _stopped_utc_s(movie: MovieEvidence) -> float | None:
    """When the stage stopped before a movie."""
    if movie.settle_time_s is None or movie.exposure.acquired_utc_us is None:
        return None
    return movie.exposure.acquired_utc_us / _US_PER_S - movie.settle_time_s


def middle_of_late_frames_s(movie: MovieEvidence) -> float:
    """From the start of the exposure to the middle of the frames whose slope is the steady drift."""
    return (movie.exposure.exposure_time_s or 0.0) * 2.0 / 3.0


def relative_speed(time_s: float) -> Array:
    """(hypotheses,) 1 + rho exp(-t / tau)."""
    return np.asarray(1.0 + _GRID[:, 1] * np.exp(-time_s / _GRID[:, 0]))
