"""Local motion: one smooth field fitted to all patches at once, kept only if unseen data are explained better by it.

Patches are not aligned one by one. Each gives the gradient and the information of its own likelihood for its own
displacements; the chain rule turns them into equations for the field's coefficients (smooth spatial modes, free in
time, with the same kind of smoothness prior as whole-frame motion, its strength learnt from the movie). An empty patch
has no information and says nothing; a noisy one cannot run away to a false peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from frazil.models.motion.estimate import smooth_prior
from frazil.models.motion.estimate.band_sums import align_sums
from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.estimate.likelihood import evaluate, fisher_information
from frazil.models.motion.estimate.patches import Patch, patch_spectra, residual_angstrom
from frazil.models.motion.estimate.refinement import CONVERGED_ANGSTROM, TEMPER
from frazil.models.motion.estimate.spatial_basis import SpatialBasis
from frazil.models.motion.estimate.spectra import measure_moments
from frazil.models.motion.estimate.whole_frame import WholeFrameMotion

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_ROUNDS = 6
"""At most; the start, whole-frame motion, is nearly right."""
LOCAL_BASIS = SpatialBasis("spline", 5)
"""The one with the smallest error of those that `benchmarks/motion/local_basis.py` compares."""
_MOST_HALVINGS = 2
"""Of a step that makes the field less likely; a quarter of it that still does is no way up."""
_WORST_CONDITION = 30.0
"""Of the functions' values at the patches: beyond it two functions are one to them."""
_MOST_UNKNOWNS = 6000
"""The equations take eight bytes times the square of it, a few times over."""
_MIN_GAIN = 6.0
"""Movies without local motion gain up to 4 by chance; one with 0.5 A RMS of it at 18 e/A2 in all gains 12."""
_SMOOTH_GROUPS = 2
"""Of the basis functions: what local motion may do to the mean over the frame, it does by these."""
_GAIN_A_GROUP = 2.0
"""A rougher field must pay for itself: the best of several gains is too good by chance."""
_LOCAL_START = smooth_prior.StepPrior(0.01, 0.05, 10.0, 2.0, 3.0)
"""Local motion as it usually is: ten times smaller than whole-frame motion, and smoother."""


@dataclass(frozen=True, slots=True)
class LocalFit:
    """The fitted field and the evidence for it."""

    field: MotionField
    whole_frame_sd_angstrom: Array
    """(F, 2) one-sigma error of the mean over the frame, whatever the local motion is."""
    held_out_gain: float
    """ln likelihood of unseen coefficients with the local field minus that without, summed over both halves."""
    roughest_group: int
    """Of the basis functions that unseen coefficients ask for (`SpatialBasis.groups`)."""
    rms_residual_angstrom: float
    accepted: bool


@dataclass(slots=True)
class _Equations:
    """Quadratic log-likelihood of the field's series (mode-major, x then y), from both halves of the coefficients.

    Both halves have the same information, half of `information`.
    """

    information: Array
    """(2 M F, 2 M F)"""
    scores: Array
    """(2, 2 M F)"""
    log_likelihood: float
    """Where they were made, trusted as much as the rest (`TEMPER`)."""

    @property
    def score(self) -> Array:
        return np.asarray(self.scores.sum(axis=0))

    def only(self, modes: Indices, frames: int) -> _Equations:
        """The equations of some of the modes, the others being zero."""
        series = (2 * np.asarray(modes)[:, None] + np.arange(2)).reshape(-1)
        pick = (series[:, None] * frames + np.arange(frames)).reshape(-1)
        return _Equations(self.information[np.ix_(pick, pick)], self.scores[:, pick], self.log_likelihood)


@dataclass(frozen=True, slots=True)
class _Priors:
    """One prior for whole-frame motion, one for each group of local modes."""

    whole: smooth_prior.StepPrior
    local: dict[int, smooth_prior.StepPrior]

    def of(self, groups: Indices) -> list[smooth_prior.StepPrior]:
        """For each series: x and y of each mode."""
        return [self.whole if group == 0 else self.local[int(group)] for group in groups for _ in range(2)]


def _each_patch(patches: list[Patch], modes: Array, coefficients: Array) -> tuple[Array, Array, Array]:
    """Of each patch at (F, M, 2) coefficients: information (P, 2F, 2F), slopes from either half (P, 2, 2F), and
    log-likelihood (P,).

    `modes` (P, M) are the functions' values at the patches.
    """
    shifts = np.einsum("pm,fma->pfa", modes, coefficients)
    at = [residual_angstrom(shift, patch) for shift, patch in zip(shifts, patches, strict=True)]
    bands, stack = [patch.band for patch in patches], patches[0].stack
    frames = bands[0].frame_count
    if stack is None:
        sums = [align_sums(band, here) for band, here in zip(bands, at, strict=True)]
        spectra = patch_spectra([measure_moments(b, own) for b, own in zip(bands, sums, strict=True)], frames)
        found = [evaluate(*one) for one in zip(bands, at, sums, spectra, strict=True)]
        known = bands
    else:
        together = stack.sums(torch.stack(at))
        spectra = patch_spectra(stack.moments(together), frames)
        found = stack.evaluations(together, spectra)
        known = [stack.band] * len(bands)
    information = [fisher_information(*one) for one in zip(known, at, spectra, strict=True)]
    slopes = [one.gradient_parts_per_angstrom.transpose(0, 2, 1).reshape(2, -1) for one in found]
    return np.stack(information), np.stack(slopes), np.array([one.log_likelihood for one in found])


def _assemble(patches: list[Patch], modes: Array, coefficients: Array) -> _Equations:
    """Equations around (F, M, 2) coefficients."""
    frames, count, _ = coefficients.shape
    information, gradients, likelihoods = _each_patch(patches, modes, coefficients)
    trust = TEMPER * np.array([patch.band.independent_fraction for patch in patches])
    information *= trust[:, None, None]
    gradients *= trust[:, None, None]
    pairs = (modes[:, :, None] * modes[:, None, :]).reshape(len(patches), -1)
    blocks = (pairs.T @ information.reshape(len(patches), -1)).reshape(count, count, 2 * frames, 2 * frames)
    full = blocks.transpose(0, 2, 1, 3).reshape(2 * count * frames, 2 * count * frames)
    scores = np.einsum("pm,phi->hmi", modes, gradients).reshape(2, -1)
    flat = coefficients.transpose(1, 2, 0).reshape(-1)
    return _Equations(full, scores + 0.5 * (full @ flat), float(trust @ likelihoods))


def fit_local_motion(patches: list[Patch], motion: WholeFrameMotion, basis: SpatialBasis = LOCAL_BASIS) -> LocalFit:
    """Fit the field, starting from whole-frame motion."""
    frames = patches[0].band.frame_count
    x = np.array([patch.centre_x_fraction for patch in patches])
    y = np.array([patch.centre_y_fraction for patch in patches])
    at_patches = basis.values(x, y)
    keep = _determined(basis, at_patches, frames)
    groups = np.asarray(basis.groups)[keep]
    # Orthonormal over the patches instead of over the frame: then the series hardly know of each other.
    q, r = np.linalg.qr(at_patches[:, keep])
    modes, to_basis = q * np.sqrt(len(patches)), np.linalg.inv(r) * np.sqrt(len(patches))
    sign = np.sign(np.diag(r))
    modes, to_basis = modes * sign, to_basis * sign
    coefficients = np.zeros((frames, len(groups), 2))
    coefficients[:, 0] = motion.shift_angstrom
    # Patches cannot tell a fixed pattern from a specimen that stands still: then the whole-frame part is left alone.
    held = motion.shift_angstrom.T.reshape(-1) if motion.spectra.has_pattern else None
    local = dict.fromkeys((int(g) for g in np.unique(groups) if g > 0), _LOCAL_START)
    equations = _assemble(patches, modes, coefficients)
    priors = _learn_local(equations, frames, groups, held, _Priors(motion.prior, local))
    # Asked here, where both halves of the coefficients are still strangers to each other: once they have been fitted
    # together they agree on the same noise.
    gains = {top: _held_out_gain(equations, frames, groups, top, held, priors) for top in local}
    best = max(gains, key=lambda top: gains[top] - _GAIN_A_GROUP * top) if gains else 0
    accepted = gains.get(best, 0.0) > _MIN_GAIN
    possible = np.flatnonzero(groups <= _SMOOTH_GROUPS)
    kept = np.flatnonzero(groups <= (best if accepted else 0))
    if not accepted:
        # Local motion that cannot be shown may be there all the same, and pulls at the mean over the frame.
        _, sd_beside_local = _solve_with_sd(
            equations.only(possible, frames), frames, groups[possible], motion, held, priors
        )
    modes, groups, coefficients = modes[:, kept], groups[kept], coefficients[:, kept]
    to_basis = to_basis[:, kept]
    equations = equations.only(kept, frames)
    for index in range(_ROUNDS if accepted else 0):
        if index == 2:
            priors = _learn_local(equations, frames, groups, held, priors)
        estimate = _solve(equations.information, equations.score, frames, groups, held, priors)
        new = estimate.reshape(len(groups), 2, frames).transpose(2, 0, 1)
        climbed = _climb(patches, modes, equations, coefficients, new, priors.of(groups))
        if climbed is None:
            break
        move = float(np.abs(climbed[0] - coefficients).max())
        coefficients, equations = climbed
        if move < CONVERGED_ANGSTROM:
            break
    estimate, sd = _solve_with_sd(equations, frames, groups, motion, held, priors)
    if not accepted:
        sd = np.maximum(motion.sd_angstrom, sd_beside_local)
        coefficients = estimate.reshape(len(groups), 2, frames).transpose(2, 0, 1)
    on_basis = np.zeros((frames, len(basis), 2))
    on_basis[:, keep] = np.einsum("bm,fma->fba", to_basis, coefficients)
    field = MotionField(on_basis[:, 0].copy(), on_basis[:, 1:].copy(), basis)
    rms = _rms_residual(patches, modes, coefficients, priors)
    return LocalFit(field, sd, gains.get(best, 0.0), best, rms, accepted)


def _climb(
    patches: list[Patch],
    modes: Array,
    equations: _Equations,
    coefficients: Array,
    new: Array,
    priors: list[smooth_prior.StepPrior],
) -> tuple[Array, _Equations] | None:
    """New coefficients and the equations there, no less likely than before; None if even a small step makes them so.

    The equations are quadratic around where they were made and weights are estimated anew after each step: a patch
    that loses its alignment in too long a step would lose its say as well, and the field would run away there.
    """
    least = equations.log_likelihood + _log_prior(coefficients, priors)
    for _ in range(_MOST_HALVINGS + 1):
        there = _assemble(patches, modes, new)
        if there.log_likelihood + _log_prior(new, priors) >= least:
            return new, there
        new = 0.5 * (new + coefficients)
    return None


def _log_prior(coefficients: Array, priors: list[smooth_prior.StepPrior]) -> float:
    """Of (F, M, 2) coefficients, up to a constant."""
    steps = np.diff(coefficients, axis=0).reshape(len(coefficients) - 1, -1).T
    return -0.5 * sum(
        float(own @ np.linalg.solve(prior.covariance(len(own)), own)) for own, prior in zip(steps, priors, strict=True)
    )


def _determined(basis: SpatialBasis, at_patches: Array, frames: int) -> Indices:
    """Functions of the basis that the patches can tell apart, whole groups; fewer where frames are very many."""
    kept = basis.up_to(0)
    for group in sorted(set(basis.groups))[1:]:
        more = basis.up_to(group)
        too_many = len(more) > 0.7 * len(at_patches) or 2 * len(more) * frames > _MOST_UNKNOWNS
        if too_many or np.linalg.cond(at_patches[:, more]) > _WORST_CONDITION:
            break
        kept = more
    return kept


def _rms_residual(patches: list[Patch], modes: Array, coefficients: Array, priors: _Priors) -> float:
    """What the patches would still move by on their own, with the loosest local prior; A."""
    prior = max(priors.local.values(), key=lambda one: one.smooth_angstrom, default=_LOCAL_START)
    residuals = [
        smooth_prior.solve(own, slopes.sum(axis=0), len(coefficients), prior, covariance_series=0).shift_angstrom
        for own, slopes in zip(*_each_patch(patches, modes, coefficients)[:2], strict=True)
    ]
    return float(np.sqrt(np.mean(np.square(residuals).sum(axis=-1))))


def _learn_local(equations: _Equations, frames: int, groups: Indices, held: Array | None, start: _Priors) -> _Priors:
    """Hyper-parameters of each group of local series (groups are nearly independent of one another)."""
    score = equations.score
    if held is not None:
        score = score - equations.information[:, : 2 * frames] @ held
    learnt = {}
    for group in (int(g) for g in np.unique(groups) if g > 0):
        prior = start.local[group]
        part = equations.only(np.flatnonzero(groups == group), frames).information
        series = (2 * np.flatnonzero(groups == group)[:, None] + np.arange(2)).reshape(-1)
        own = score.reshape(-1, frames)[series].reshape(-1)
        learnt[group] = smooth_prior.learn(part, own, frames, prior, ordinary=_LOCAL_START)
    return _Priors(start.whole, learnt)


def _solve(
    information: Array, score: Array, frames: int, groups: Indices, held: Array | None, priors: _Priors
) -> Array:
    """All series, flat."""
    if held is None:
        solved = smooth_prior.solve(information, score, frames, priors.of(groups), covariance_series=0)
        return np.asarray(solved.shift_angstrom.T.reshape(-1))
    part = slice(2 * frames, None)
    if information[part].size == 0:
        return held
    rest = score[part] - information[part, : 2 * frames] @ held
    solved = smooth_prior.solve(information[part, part], rest, frames, priors.of(groups[1:]), covariance_series=0)
    return np.concatenate((held, solved.shift_angstrom.T.reshape(-1)))


def _solve_with_sd(
    equations: _Equations,
    frames: int,
    groups: Indices,
    motion: WholeFrameMotion,
    held: Array | None,
    priors: _Priors,
) -> tuple[Array, Array]:
    """All series, flat, and the one-sigma error (F, 2) of the whole-frame part."""
    if held is not None:
        return _solve(equations.information, equations.score, frames, groups, held, priors), motion.sd_angstrom
    solved = smooth_prior.solve(equations.information, equations.score, frames, priors.of(groups), covariance_series=2)
    return solved.shift_angstrom.T.reshape(-1), solved.sd_angstrom


def _held_out_gain(
    equations: _Equations, frames: int, groups: Indices, top: int, held: Array | None, priors: _Priors
) -> float:
    """Fit modes of groups 0..top on one half of the coefficients, and none but the whole frame, and compare on the
    other half; both ways."""
    total = 0.0
    for modes, sign in ((np.flatnonzero(groups <= top), 1.0), (np.flatnonzero(groups == 0), -1.0)):
        some = equations.only(modes, frames)
        information = 0.5 * some.information
        for fit, test in ((0, 1), (1, 0)):
            estimate = _solve(information, some.scores[fit], frames, groups[modes], held, priors)
            total += sign * float(some.scores[test] @ estimate - 0.5 * estimate @ information @ estimate)
    return total
