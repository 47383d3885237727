"""Motion is smooth in time, and how smooth is learnt from the movie itself.

The prior is on the steps v_t = d_{t+1} - d_t (so the origin stays free): Gaussian, zero mean, covariance
    V = rough^2 + diag(jump) + smooth^2 p p' exp(-|t - t'| / length),   p_t = 1 + excess exp(-t / decay),
a velocity that decays after the beam comes on (Ornstein-Uhlenbeck, as in Zivanov et al. 2019, IUCrJ 6:5) plus
independent steps, a few of which may be jumps of any size (a burst does not loosen the whole movie).
The hyper-parameters maximise the evidence; the likelihood is quadratic around the current estimate (Laplace).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

Array = npt.NDArray[np.float64]

_JUMP_SIZES_ANGSTROM = (1.0, 3.0, 10.0, 30.0)
"""Standard deviations that are offered: from what a quiet movie's steps do not explain to a stage that was lost."""
_JUMP_COST = 4.0
"""Evidence that a jump must bring: about one step in fifty is one."""
_MAX_JUMPS = 6
"""A movie with more has no smooth motion to learn."""
_LOG_WIDTHS = np.array([2.0, 2.0, 1.0, 1.0, 0.7])
"""Of the pull to the ordinary parameters, natural logarithm: rough and smooth may well be seven times theirs."""
_BOUNDS = (
    (np.log(1e-3), np.log(30.0)),  # rough, A per frame
    (np.log(1e-3), np.log(30.0)),  # smooth, A per frame
    (np.log(1.0), np.log(60.0)),  # length, frames
    (np.log(1e-2), np.log(30.0)),  # early excess
    (np.log(1.0), np.log(15.0)),  # decay, frames
)
"""Where the search may go: from a thousandth of an A to steps no tracking follows, and times that a movie can show."""
_LEAST_ROUGHNESS = 0.1
"""Of the ordinary one. No stage moves on rails: a quiet movie would else be given a path as stiff as its noise allows,
and errors of half their true size."""


@dataclass(frozen=True, slots=True)
class StepPrior:
    """Hyper-parameters of the prior on the steps from one frame to the next."""

    rough_angstrom: float = 0.5
    smooth_angstrom: float = 1.0
    length_frames: float = 8.0
    early_excess: float = 2.0
    """How much faster the first step is than late ones, as a multiple of `smooth_angstrom`."""
    decay_frames: float = 3.0
    jump_variance_angstrom2: Array = field(default_factory=lambda: np.zeros(0))

    def covariance(self, steps: int) -> Array:
        """V (steps, steps), A^2."""
        t = np.arange(steps, dtype=np.float64)
        profile = self.smooth_angstrom * (1.0 + self.early_excess * np.exp(-t / self.decay_frames))
        out = profile[:, None] * profile[None, :] * np.exp(-np.abs(t[:, None] - t[None, :]) / self.length_frames)
        jumps = self.jump_variance_angstrom2 if self.jump_variance_angstrom2.size == steps else 0.0
        out[np.diag_indices(steps)] += self.rough_angstrom**2 + jumps
        return np.asarray(out, dtype=np.float64)


ORDINARY = StepPrior(0.3, 0.8, 10.0, 2.0, 3.0)
"""Whole-frame motion as it usually is."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Displacements in the zero-mean gauge, (F, n_series), with the covariance ((m F), (m F)) of the first m series."""

    shift_angstrom: Array
    covariance_angstrom2: Array
    log_volume: float
    """-ln det(1 + V J) / 2: posterior volume over prior volume, which the evidence charges for a loose prior."""

    @property
    def sd_angstrom(self) -> Array:
        """(F, m) of the series whose covariance was asked for."""
        variance = np.clip(np.diag(self.covariance_angstrom2), 0.0, None)
        return np.asarray(np.sqrt(variance).reshape(-1, len(self.shift_angstrom)).T)


def steps_to_shifts(frame_count: int) -> Array:
    """C (F, F-1): zero-mean shifts = C steps."""
    lower = np.tril(np.ones((frame_count, frame_count - 1)), -1)
    return np.asarray(lower - lower.mean(axis=0, keepdims=True))


def solve(
    information: Array,
    score: Array,
    frame_count: int,
    priors: StepPrior | Sequence[StepPrior],
    *,
    covariance_series: int | None = None,
) -> Posterior:
    """Posterior of displacements for the quadratic log-likelihood  score'd - d' information d / 2.

    Parameters
    ----------
    information:
        (n F, n F) for n series (x, y, or several spatial modes), blind to a common offset of each series.
    score:
        (n F,): gradient + information @ current estimate.
    priors:
        One for all series, or one for each.
    covariance_series:
        The covariance is wanted for so many series from the first on; None: for all.
    """
    series = score.size // frame_count
    wanted = series if covariance_series is None else covariance_series
    basis = steps_to_shifts(frame_count)
    steps = frame_count - 1
    each = [priors] * series if isinstance(priors, StepPrior) else list(priors)
    # Whitened steps x = root z, series by series: z has the prior N(0, 1).
    roots = np.stack([_square_root(prior.covariance(steps)) for prior in each])
    to_shifts = basis @ roots  # (n, F, steps)
    blocks = information.reshape(series, frame_count, series, frame_count)
    half = np.matmul(blocks.transpose(0, 2, 1, 3), to_shifts[None])  # (n, n, F, steps)
    inner = np.matmul(to_shifts.transpose(0, 2, 1)[:, None], half).transpose(0, 2, 1, 3)
    inner = inner.reshape(series * steps, series * steps)
    inner = 0.5 * (inner + inner.T)
    inner[np.diag_indices_from(inner)] += 1.0
    factor = linalg.cho_factor(inner, lower=True, check_finite=False, overwrite_a=True)
    log_volume = -float(np.log(np.diag(factor[0])).sum())
    h = np.einsum("nfs,nf->ns", to_shifts, score.reshape(series, frame_count)).reshape(-1)
    z = linalg.cho_solve(factor, h, check_finite=False).reshape(series, steps)
    shifts = np.einsum("nfs,ns->nf", to_shifts, z)
    covariance = np.zeros((0, 0))
    if wanted:
        size = wanted * steps
        inverse = linalg.cho_solve(factor, np.eye(series * steps, size), check_finite=False)[:size]
        cells = inverse.reshape(wanted, steps, wanted, steps).transpose(0, 2, 1, 3)
        full = to_shifts[:wanted, None] @ cells @ to_shifts[:wanted].transpose(0, 2, 1)[None]
        covariance = full.transpose(0, 2, 1, 3).reshape(wanted * frame_count, wanted * frame_count)
    return Posterior(shifts.T, covariance, log_volume)


def _square_root(v: Array) -> Array:
    return np.asarray(np.linalg.cholesky(v + 1e-10 * np.trace(v) / len(v) * np.eye(len(v))))


def _condition(j: Array, h: Array, v: Array) -> tuple[float, Array, Array]:
    """Log volume ratio, mean and covariance of steps with prior N(0, V) and log-likelihood h'x - x'Jx/2."""
    root = _square_root(v)
    inner = root.T @ j @ root
    inner = 0.5 * (inner + inner.T)
    inner[np.diag_indices_from(inner)] += 1.0
    factor = linalg.cho_factor(inner, lower=True, check_finite=False)
    covariance = root @ linalg.cho_solve(factor, root.T, check_finite=False)
    mean = covariance @ h
    return -float(np.log(np.diag(factor[0])).sum()), mean, covariance


def _evidence(j: Array, h: Array, v: Array) -> float:
    """Sum of the evidences of independent series that share V: j (n, steps, steps), h (n, steps)."""
    root = _square_root(v)
    inner = root.T @ j @ root + np.eye(len(v))
    lower = np.linalg.cholesky(0.5 * (inner + np.swapaxes(inner, 1, 2)))
    white = np.linalg.solve(lower, (h @ root)[..., None])
    return float(0.5 * np.square(white).sum() - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum())


def _log_parameters(p: StepPrior) -> Array:
    return np.log([p.rough_angstrom, p.smooth_angstrom, p.length_frames, p.early_excess, p.decay_frames])


def learn(
    information: Array, score: Array, frame_count: int, start: StepPrior, *, ordinary: StepPrior = ORDINARY
) -> StepPrior:
    """Hyper-parameters that maximise the evidence, from a start (Nelder-Mead in logarithms), then jumps.

    A weak pull to `ordinary` values keeps undetermined parameters from wandering. Where ordinary motion would need
    jumps, they are also tried first: a stage that is lost once must not make all the movie's steps loose, from where
    no single jump would pay.
    """
    if frame_count < 4:
        return replace(start, jump_variance_angstrom2=np.zeros(0))
    series = score.size // frame_count
    basis = steps_to_shifts(frame_count)
    # The series are nearly independent (cross information is small): small matrices make the search cheap.
    parts = [slice(s * frame_count, (s + 1) * frame_count) for s in range(series)]
    all_j = np.stack([basis.T @ information[part, part] @ basis for part in parts])
    all_h = np.stack([basis.T @ score[part] for part in parts])
    found = _most_evidence(all_j, all_h, start, ordinary)
    jumping = _find_jumps(all_j, all_h, ordinary)
    if not jumping.jump_variance_angstrom2.any():
        return found
    other = _most_evidence(all_j, all_h, jumping, ordinary)
    return max((found, other), key=lambda prior: -_cost(all_j, all_h, prior, ordinary))


def _cost(all_j: Array, all_h: Array, prior: StepPrior, ordinary: StepPrior) -> float:
    """Minus the log evidence, with what jumps and parameters that are not ordinary cost."""
    evidence = _evidence(all_j, all_h, prior.covariance(all_h.shape[1]))
    away = (_log_parameters(prior) - _log_parameters(ordinary)) / _LOG_WIDTHS
    return float(-evidence + 0.5 * (away**2).sum() + _JUMP_COST * np.count_nonzero(prior.jump_variance_angstrom2))


def _most_evidence(all_j: Array, all_h: Array, start: StepPrior, ordinary: StepPrior) -> StepPrior:
    """Nelder-Mead from `start` with its jumps, then jumps anew."""
    low, high = np.array(_BOUNDS).T
    low[0] = np.log(_LEAST_ROUGHNESS * ordinary.rough_angstrom)
    centre = _log_parameters(ordinary)
    jumps = start.jump_variance_angstrom2
    steps = all_h.shape[1]

    def make(log_parameters: Array) -> StepPrior:
        p = np.exp(np.clip(log_parameters, low, high))
        return StepPrior(float(p[0]), float(p[1]), float(p[2]), float(p[3]), float(p[4]), jumps)

    def cost(log_parameters: Array) -> float:
        value = _evidence(all_j, all_h, make(log_parameters).covariance(steps))
        return float(-value + 0.5 * (((log_parameters - centre) / _LOG_WIDTHS) ** 2).sum())

    x0 = _log_parameters(start)
    simplex = np.vstack([x0, x0 + np.diag([-1.0, -1.0, 0.5, -0.7, 0.5])])
    options = {"maxfev": 140, "xatol": 0.05, "fatol": 0.02, "initial_simplex": simplex}
    found = optimize.minimize(cost, x0, method="Nelder-Mead", options=options)  # type: ignore[call-overload]
    return _find_jumps(all_j, all_h, make(np.asarray(found.x)))


def _find_jumps(all_j: Array, all_h: Array, prior: StepPrior) -> StepPrior:
    """Give a step extra variance where the evidence asks for it, one at a time, the best first.

    Adding variance w to one step changes each series' evidence by  w s^2 / (2 (1 + w i)) - ln(1 + w i) / 2  with s and
    i the score and information of that step under the present prior (matrix determinant lemma).
    """
    steps = all_h.shape[1]
    jumps = np.zeros(steps)
    for _ in range(_MAX_JUMPS):
        v = replace(prior, jump_variance_angstrom2=jumps).covariance(steps)
        squares, information = [], []
        for j, h in zip(all_j, all_h, strict=True):
            _, mean, covariance = _condition(j, h, v)
            squares.append(np.square(h - j @ mean))
            information.append(np.clip(np.diag(j) - np.einsum("ij,jk,ki->i", j, covariance, j), 0.0, None))
        s2, i = np.array(squares), np.array(information)
        gains = np.array(
            [
                (0.5 * w * s2 / (1.0 + w * i) - 0.5 * np.log1p(w * i)).sum(axis=0)
                for w in np.square(_JUMP_SIZES_ANGSTROM)
            ]
        )
        size, step = np.unravel_index(int(gains.argmax()), gains.shape)
        if gains[size, step] < _JUMP_COST:
            break
        jumps[step] += _JUMP_SIZES_ANGSTROM[int(size)] ** 2
    return replace(prior, jump_variance_angstrom2=jumps)
