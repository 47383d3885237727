"""Motion is smooth in time, and how smooth is learnt from the movie itself.

The prior is on the steps v_t = d_{t+1} - d_t (so the origin stays free): Gaussian, zero mean, covariance
    V = rough^2 diag(e) + smooth^2 p p' exp(-|t - t'| / length),   p_t = 1 + early exp(-t / decay),
a velocity that decays after the beam comes on (Ornstein-Uhlenbeck, as in Zivanov et al. 2019, IUCrJ 6:5) plus
independent jumps, whose outliers e_t are widened as a Student-t would (a burst does not loosen the whole movie).
The hyper-parameters maximise the evidence; the likelihood is quadratic around the current estimate (Laplace).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

Array = npt.NDArray[np.float64]

_JUMP_DEGREES_OF_FREEDOM = 3.0
_BOUNDS = (
    (np.log(1e-3), np.log(30.0)),  # rough, A per frame
    (np.log(1e-3), np.log(30.0)),  # smooth, A per frame
    (np.log(1.0), np.log(60.0)),  # length, frames
    (np.log(1e-2), np.log(30.0)),  # early
    (np.log(1.0), np.log(15.0)),  # decay, frames
)


@dataclass(frozen=True, slots=True)
class StepPrior:
    """Hyper-parameters of the prior on steps (A per frame, frames)."""

    rough_angstrom: float = 0.5
    smooth_angstrom: float = 1.0
    length_frames: float = 8.0
    early: float = 2.0
    decay_frames: float = 3.0
    jump_variance_factors: Array = field(default_factory=lambda: np.ones(0))

    def covariance(self, steps: int) -> Array:
        """V (steps, steps), A^2."""
        t = np.arange(steps, dtype=np.float64)
        profile = self.smooth_angstrom * (1.0 + self.early * np.exp(-t / self.decay_frames))
        out = profile[:, None] * profile[None, :] * np.exp(-np.abs(t[:, None] - t[None, :]) / self.length_frames)
        factors = self.jump_variance_factors if self.jump_variance_factors.size == steps else np.ones(steps)
        out[np.diag_indices(steps)] += self.rough_angstrom**2 * factors
        return np.asarray(out, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Displacements in the zero-mean gauge, (F, n_series), with their covariance ((n F), (n F)) ordered by series."""

    shift_angstrom: Array
    covariance_angstrom2: Array
    prior: StepPrior
    log_evidence: float

    @property
    def sd_angstrom(self) -> Array:
        """(F, n_series)."""
        series = self.shift_angstrom.shape[1]
        variance = np.clip(np.diag(self.covariance_angstrom2), 0.0, None)
        return np.asarray(np.sqrt(variance).reshape(series, -1).T)


def steps_to_shifts(frame_count: int) -> Array:
    """C (F, F-1): zero-mean shifts = C steps."""
    lower = np.tril(np.ones((frame_count, frame_count - 1)), -1)
    return np.asarray(lower - lower.mean(axis=0, keepdims=True))


def solve(information: Array, score: Array, frame_count: int, prior: StepPrior) -> Posterior:
    """Posterior of displacements for the quadratic log-likelihood  score'd - d' information d / 2.

    Parameters
    ----------
    information:
        (n F, n F) for n series (x, y, or several spatial modes), blind to a common offset of each series.
    score:
        (n F,): gradient + information @ current estimate.
    """
    series = score.size // frame_count
    to_shifts = np.kron(np.eye(series), steps_to_shifts(frame_count))
    j = to_shifts.T @ information @ to_shifts
    h = to_shifts.T @ score
    v = linalg.block_diag(*[prior.covariance(frame_count - 1)] * series)
    evidence, mean, covariance = _condition(j, h, v)
    shifts = to_shifts @ mean
    return Posterior(shifts.reshape(series, frame_count).T, to_shifts @ covariance @ to_shifts.T, prior, evidence)


def _condition(j: Array, h: Array, v: Array) -> tuple[float, Array, Array]:
    """Evidence, mean and covariance of steps with prior N(0, V) and log-likelihood h'x - x'Jx/2."""
    chol = linalg.cholesky(v + 1e-10 * np.trace(v) / len(v) * np.eye(len(v)), lower=True, check_finite=False)
    inner = chol.T @ j @ chol
    inner[np.diag_indices_from(inner)] += 1.0
    factor = linalg.cho_factor(0.5 * (inner + inner.T), lower=True, check_finite=False)
    rhs = chol.T @ h
    mean = chol @ linalg.cho_solve(factor, rhs, check_finite=False)
    half = linalg.solve_triangular(factor[0], chol.T, lower=True, check_finite=False)
    evidence = 0.5 * float(h @ mean) - float(np.log(np.diag(factor[0])).sum())
    return evidence, mean, half.T @ half


def learn(information: Array, score: Array, frame_count: int, start: StepPrior) -> StepPrior:
    """Hyper-parameters that maximise the evidence, from a start (Nelder-Mead in logarithms, then jump widening)."""
    if frame_count < 4:
        return StepPrior(
            start.rough_angstrom, start.smooth_angstrom, start.length_frames, start.early, start.decay_frames
        )
    series = score.size // frame_count
    basis = steps_to_shifts(frame_count)
    steps = frame_count - 1
    # The series are nearly independent (cross information is small): small matrices make the search cheap.
    blocks = []
    for s in range(series):
        part = slice(s * frame_count, (s + 1) * frame_count)
        blocks.append((basis.T @ information[part, part] @ basis, basis.T @ score[part]))
    factors = start.jump_variance_factors if start.jump_variance_factors.size == steps else np.ones(steps)

    def make(log_parameters: Array, jump_factors: Array) -> StepPrior:
        p = np.exp(np.clip(log_parameters, [b[0] for b in _BOUNDS], [b[1] for b in _BOUNDS]))
        return StepPrior(float(p[0]), float(p[1]), float(p[2]), float(p[3]), float(p[4]), jump_factors)

    def cost(log_parameters: Array) -> float:
        v = make(log_parameters, factors).covariance(steps)
        value = sum(_condition(j, h, v)[0] for j, h in blocks)
        # A weak pull to ordinary values keeps undetermined parameters from wandering.
        centre = np.log([0.3, 0.8, 10.0, 2.0, 3.0])
        width = np.array([2.0, 2.0, 1.0, 1.0, 0.7])
        over = np.clip(np.abs(log_parameters) - 12.0, 0.0, None).sum()
        return float(-value + 0.5 * (((log_parameters - centre) / width) ** 2).sum() + 1e3 * over)

    x0 = np.log([start.rough_angstrom, start.smooth_angstrom, start.length_frames, start.early, start.decay_frames])
    simplex = np.vstack([x0, x0 + np.diag([-1.0, -1.0, 0.5, -0.7, 0.5])])
    found = optimize.minimize(
        cost,
        x0,
        method="Nelder-Mead",
        options={"maxfev": 220, "xatol": 0.05, "fatol": 0.02, "initial_simplex": simplex},
    )
    prior = make(np.asarray(found.x), factors)
    # One round of Student-t widening of the independent steps.
    v = prior.covariance(steps)
    squares = np.zeros(steps)
    for j, h in blocks:
        _, mean, covariance = _condition(j, h, v)
        rough = prior.rough_angstrom**2 * factors
        # Expected square of the independent part of each step: E[u] = R V^-1 v, Var[u] = R - R V^-1 (V - C) V^-1 R.
        gain = rough[:, None] * np.linalg.inv(v)
        squares += (gain @ mean) ** 2 + np.clip(rough - np.einsum("ij,jk,ik->i", gain, v - covariance, gain), 0.0, None)
    nu, n = _JUMP_DEGREES_OF_FREEDOM, float(series)
    widened = (nu + squares / prior.rough_angstrom**2) / (nu + n)
    return StepPrior(
        prior.rough_angstrom,
        prior.smooth_angstrom,
        prior.length_frames,
        prior.early,
        prior.decay_frames,
        np.clip(widened, 0.3, 1e4),
    )
