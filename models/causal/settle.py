"""How drift follows from the time since the stage moved: what waiting longer would do.

The stage drifts at v(t) = v_rest (1 + rho f(t)) times a movie's lognormal scatter, t seconds after it stopped, f either
exp(-t / tau) or, for creep that goes with ln t, 1 / (1 + t / tau);
the steady drift of a movie, its slope over late frames, is v in the middle of these. A grid of (f, rho) carries a
conjugate normal-inverse-gamma belief about (ln v_rest, scatter) each, kept as sums: order does not matter and the cost
is constant. Where all movies have waited alike, each still shows how its stage slows down while it is exposed: the
ratio of the speeds in the middle and the last third of its frames is foretold by (f, rho) alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import gammaln
from scipy.stats import norm

from frazil.models.causal.bands import Array
from frazil.models.causal.mechanisms import steady_drift_angstrom_per_frame
from frazil.models.records import ExposureFacts, MovieEvidence

TAU_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
RHO = (0.0, 0.5, 1.5, 4.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""The clock runs from the exposure before the move: readout and the move are in t, and the fastest drift in them."""
CREEP_TAU_S = 1.0
"""Of the creep: what a longer one would do, rho does as well."""
_GRID = np.array([(tau, rho) for tau in (*TAU_S, CREEP_TAU_S) for rho in RHO])
_CREEPS = np.arange(len(_GRID)) >= len(TAU_S) * len(RHO)
HYPOTHESES = len(_GRID)
_LN_SPEED_MEAN, _LN_SPEED_SD = np.log(0.5), 1.5
"""A/s of a stage at rest, before any movie."""
_SLOWING_SD = 0.35
"""Of ln of the ratio of two speeds of one movie, besides the errors of its shifts: the beam moves the specimen, too."""
_SLOW_ERRORS = 2.0
"""Errors of shifts that go slowly bend a slope by more than those from frame to frame."""
_LEAST_LN_LIKELIHOOD = -3.0
"""Of one movie's slowing down: a burst of drift is none."""
_LEAST_THIRD_FRAMES = 4
_SHAPE, _SCALE = 3.0, 1.0
"""Inverse gamma of the scatter's variance: about 0.7 in ln v."""
MOVED_UM = 0.3
"""Positions of the stage that are farther apart are two stops."""
_SQUARE_UM = 60.0
"""Positions that are farther apart lie in two squares of the grid, where nobody names them (300 mesh: 85 um apart)."""
_US_PER_S = 1e6
_LONGEST_S = 600.0
_SAME_STOP_S = 0.5
"""Exposures between which the stage stood still date its stop alike."""
LEAST_SPEED_ANGSTROM_PER_S = 0.01
_REMOVED_DIGITS = 2


def with_settle_times(
    movies: Sequence[MovieEvidence], last: ExposureFacts | None, moved_utc_us: int | None
) -> tuple[list[MovieEvidence], ExposureFacts | None, int | None]:
    """The movies, in their order of acquisition, with `settle_time_s` filled in where it can be known.

    The stage was moving between an exposure and the next at another position: the clock starts at the end of the
    former. Between two grid squares it is centred and focused and moves more than once: nobody knows then when it came
    to a stop, and the clock waits for the next move. `last` is the newest exposure before these, `moved_utc_us` the
    start of the clock it had; both are returned as they are after these movies.
    """
    timed = sorted(
        (m for m in movies if m.exposure.acquired_utc_us is not None), key=lambda m: m.exposure.acquired_utc_us or 0
    )
    filled: dict[int, MovieEvidence] = {}
    for movie in timed:
        here = movie.exposure
        if last is not None and _moved(last, here) and (last.acquired_utc_us or 0) < (here.acquired_utc_us or 0):
            moved_utc_us = (last.acquired_utc_us or 0) + round((last.exposure_time_s or 0.0) * _US_PER_S)
            if other_square(last, here):
                moved_utc_us = None
        if moved_utc_us is not None and movie.settle_time_s is None:
            waited = ((here.acquired_utc_us or 0) - moved_utc_us) / _US_PER_S
            if waited >= 0.0:
                filled[id(movie)] = replace(movie, settle_time_s=min(waited, _LONGEST_S))
        if last is None or (here.acquired_utc_us or 0) >= (last.acquired_utc_us or 0):
            last = here
    return [filled.get(id(movie), movie) for movie in movies], last, moved_utc_us


def _moved(one: ExposureFacts, other: ExposureFacts) -> bool:
    return moved_um(one, other) > MOVED_UM


def other_square(one: ExposureFacts, other: ExposureFacts) -> bool:
    """Whether two exposures lie on two squares of the grid, by name or, where nobody names them, by their distance."""
    if one.grid_square is not None and other.grid_square is not None:
        return one.grid_square != other.grid_square
    return moved_um(one, other) > _SQUARE_UM


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
    """(hypotheses, 4): number, sum and sum of squares of what each hypothesis leaves of ln v; ln likelihood of how
    movies slow down."""
    return np.zeros((HYPOTHESES, 4))


def sums_of(movie: MovieEvidence) -> Array | None:
    """What one movie adds; None where settle time or speed are not known."""
    speed = drift_speed_angstrom_per_s(movie)
    if speed is None or movie.settle_time_s is None:
        return None
    middle_s = movie.settle_time_s + middle_of_late_frames_s(movie)
    rest = np.log(max(speed, LEAST_SPEED_ANGSTROM_PER_S)) - np.log(relative_speed(middle_s))
    return np.stack([np.ones(HYPOTHESES), rest, rest**2, _ln_likelihood_of_slowing(movie)], axis=1)


def _ln_likelihood_of_slowing(movie: MovieEvidence) -> Array:
    """(hypotheses,) of the speed in the middle third of the frames over that in the last one."""
    exposure_s, settled_s = movie.exposure.exposure_time_s or 0.0, movie.settle_time_s or 0.0
    path = np.array([movie.shift_x_angstrom, movie.shift_y_angstrom])
    third = path.shape[1] // 3
    if third < _LEAST_THIRD_FRAMES:
        return np.zeros(HYPOTHESES)
    time = np.arange(third) - (third - 1) / 2
    weights = time / float(time @ time)
    middle, late = (float(np.hypot(*(part @ weights))) for part in (path[:, third : 2 * third], path[:, -third:]))
    shift_sd = float(np.mean(movie.shift_sd_angstrom)) if movie.shift_sd_angstrom else 0.0
    error = _SLOW_ERRORS * shift_sd * float(np.sqrt(weights @ weights))
    least = max(error, 1e-6)
    variance = _SLOWING_SD**2 + (error / max(middle, least)) ** 2 + (error / max(late, least)) ** 2
    foretold = np.log(relative_speed(settled_s + exposure_s / 2)) - np.log(
        relative_speed(settled_s + exposure_s * 5 / 6)
    )
    off = np.log(max(middle, least) / max(late, least)) - foretold
    return np.asarray(np.maximum(-0.5 * off**2 / variance, _LEAST_LN_LIKELIHOOD))


def _updated(sums: Array) -> tuple[float, Array, Array, Array, Array]:
    """Of each hypothesis the normal-inverse-gamma belief (Bernardo & Smith 1994, 5.2): kappa before any movie, movies
    (n,), mean of ln v_rest, shape and scale of the scatter's variance."""
    n, total, squares = sums[:, :3].T
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
    weight = relative_weights(sums)
    spread = np.sqrt(scale * (kappa + n + 1) / (shape * (kappa + n)))
    return weight / weight.sum(), centre, spread, float(2 * shape[0])


def ln_weights(sums: Array) -> Array:
    """(hypotheses,) ln of the marginal likelihood of each (conjugate normal-inverse-gamma model), equal at first,
    and of how movies slow down."""
    kappa, n, _, shape, scale = _updated(sums)
    of_speeds = gammaln(shape) - gammaln(_SHAPE) + _SHAPE * np.log(_SCALE) - shape * np.log(scale)
    return np.asarray(of_speeds - 0.5 * np.log1p(n / kappa) + sums[:, 3])


def relative_weights(sums: Array) -> Array:
    """(hypotheses,) of each against the likeliest, whose weight is 1."""
    ln_weight = ln_weights(sums)
    return np.asarray(np.exp(ln_weight - ln_weight.max()))


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
    begun_s = max(settled_s + extra_s, 0.0)
    after = np.stack([relative_speed(begun_s + t / rate_share) for t in frame_s], axis=1) / rate_share
    removed = (before - after) / steady[:, None]  # (hypotheses, F)
    weight = relative_weights(sums)
    order = np.argsort(removed.mean(axis=1))
    cumulative = np.cumsum(weight[order]) / weight.sum()
    drawn = removed[order][np.searchsorted(cumulative, np.clip(norm.cdf(-z), 0, 1 - 1e-12))]
    # Ways that differ by less are one: the blur of each has to be computed.
    return np.asarray(np.round(drawn, _REMOVED_DIGITS))


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
    """(hypotheses,) 1 + rho f(t)."""
    in_tau = time_s / _GRID[:, 0]
    return np.asarray(1.0 + _GRID[:, 1] * np.where(_CREEPS, 1.0 / (1.0 + in_tau), np.exp(-in_tau)))
