"""From a first path to the likeliest one: Fisher scoring, and the choices that only an aligned movie can make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.models.motion.estimate import smooth_prior
from frazil.models.motion.estimate.band import Band
from frazil.models.motion.estimate.band_sums import align_sums, align_sums_torch
from frazil.models.motion.estimate.likelihood import evaluate, fisher_information, log_likelihood, log_likelihoods
from frazil.models.motion.estimate.spectra import (
    MotionSpectra,
    each_of,
    estimate_spectra,
    measure_moments,
    moments_on_device,
)

TEMPER = 0.8
"""A likelihood is trusted a little less than it claims: measured chi-square at the truth is 1.1-1.3, since windows
correlate neighbouring coefficients and particles are not a Gaussian field."""
CLEAR_EVIDENCE = 10.0
"""ln odds of 20,000 to 1: the evidence is that of a Gaussian model, which particles are not."""
CONVERGED_ANGSTROM = 0.03
"""A round that moves no frame by more is the last one: a tenth of the smallest errors that are stated."""
_PRIOR_LEARNT_IN_ROUNDS = (0, 1, 3)
"""Later the path, and with it what the prior can learn, hardly changes; a search takes as long as a round."""
_LONGEST_MOVE_ANGSTROM = 4.0
"""Of any frame in a round. The likelihood is quadratic over about a quarter of the finest wave that has weight yet,
16 A in the first rounds."""
_LEAST_EIGENVALUE = 1e-6
"""Of the largest: directions that the information leaves open (the common offset among them) are not tested."""


@dataclass(frozen=True, slots=True)
class Refined:
    """A maximum of the posterior."""

    shift_angstrom: npt.NDArray[np.float64]
    posterior: smooth_prior.Posterior
    spectra: MotionSpectra
    log_likelihood: float
    """Evidence of a specimen that moves like this, over noise and fixed pattern."""
    log_evidence: float
    prior: smooth_prior.StepPrior


def refine(
    band: Band,
    start_angstrom: npt.NDArray[np.float64],
    *,
    rounds: int,
    floor: float | None,
    prior: smooth_prior.StepPrior | None = None,
) -> Refined:
    """Fisher scoring with weights and smoothness re-estimated as the alignment improves.

    `floor` is what `pattern_floor` found; None: there is no fixed pattern. Shells in which the frames do not agree yet
    have no weight, so that the fit goes from coarse to fine by itself.
    """
    shift = start_angstrom.astype(np.float64)
    prior = smooth_prior.StepPrior() if prior is None else prior
    frames = band.frame_count
    sums = align_sums(band, torch.as_tensor(shift))
    spectra = estimate_spectra(measure_moments(band, sums), frames, floor=floor)
    posterior: smooth_prior.Posterior | None = None
    for index in range(rounds):
        at = torch.as_tensor(shift)
        evaluation = evaluate(band, at, sums, spectra)
        trust = TEMPER * band.independent_fraction
        information = trust * fisher_information(band, at, spectra)
        score = trust * evaluation.gradient_per_angstrom.T.reshape(-1) + information @ shift.T.reshape(-1)
        if index in _PRIOR_LEARNT_IN_ROUNDS:
            prior = smooth_prior.learn(information, score, frames, prior)
        posterior = smooth_prior.solve(information, score, frames, prior)
        move = posterior.shift_angstrom - shift
        largest = float(np.abs(move).max())
        shift = shift + move * min(1.0, _LONGEST_MOVE_ANGSTROM / max(largest, 1e-9))
        sums = align_sums(band, torch.as_tensor(shift))
        spectra = estimate_spectra(measure_moments(band, sums), frames, floor=floor)
        if largest < CONVERGED_ANGSTROM:
            break
    assert posterior is not None
    likelihood, pattern_likelihood = log_likelihood(band, sums, spectra)
    steps = np.diff(shift, axis=0)
    v = prior.covariance(frames - 1)
    quadratic = float(np.einsum("ta,ta->", steps, np.linalg.solve(v + 1e-9 * np.eye(len(v)), steps)))
    # Laplace: height times volume, or a path that hardly moves would win by its tight prior alone.
    evidence = TEMPER * band.independent_fraction * likelihood - 0.5 * quadratic + posterior.log_volume
    return Refined(
        shift,
        posterior,
        spectra,
        likelihood - pattern_likelihood,
        evidence,
        prior,
    )


def without_needless_pattern(
    band: Band, found: Refined, floor: float | None, rounds: int
) -> tuple[Refined, float | None]:
    """The refinement without a fixed pattern if the frames clearly say that there is none, and the floor to go on with.

    Where motion tells little, a pattern is assumed: a specimen that stands still loses less by that than a gain
    residual that is taken for one would cost.
    """
    if not found.spectra.has_pattern:
        return found, floor
    without = refine(band, found.shift_angstrom, rounds=rounds, floor=None, prior=found.prior)
    with_pattern = refine(band, found.shift_angstrom, rounds=1, floor=floor, prior=found.prior)
    if without.log_evidence > with_pattern.log_evidence + CLEAR_EVIDENCE:
        return without, None
    return found, floor


def likeliest_damage(
    band: Band, shift_angstrom: npt.NDArray[np.float64], amplitudes: dict[float, Tensor], floor: float | None
) -> float:
    """The strength of radiation damage, among those offered, under which the aligned frames are likeliest.

    Specimens differ in how fast they fade, and ice hardly fades at all. With too much damage assumed, what the late
    frames still show looks like a pattern that stands still, and they are pulled towards it.
    """
    at = torch.as_tensor(shift_angstrom)
    if band.on_host is not None:
        return _likeliest_damage_on_device(band, at, amplitudes, floor)

    def likelihood(strength: float) -> float:
        faded = band.with_amplitude(amplitudes[strength])
        sums = align_sums(faded, at)
        spectra = estimate_spectra(measure_moments(faded, sums), band.frame_count, floor=floor)
        return log_likelihood(faded, sums, spectra)[0]

    return max(amplitudes, key=likelihood)


def _likeliest_damage_on_device(band: Band, at: Tensor, amplitudes: dict[float, Tensor], floor: float | None) -> float:
    """`likeliest_damage`, all strengths at once."""
    faded = band.with_amplitude(torch.stack(list(amplitudes.values())))
    sums = align_sums_torch(faded, at)
    moments = each_of(moments_on_device(faded, sums, faded.frame_moments), len(amplitudes))
    spectra = [estimate_spectra(own, band.frame_count, floor=floor) for own in moments]
    likelihoods = log_likelihoods(faded, sums, spectra)
    return max(zip(likelihoods, amplitudes, strict=True), key=lambda pair: pair[0])[1]


def split_agreement(band: Band, final: Refined) -> float:
    """Reduced chi-square between estimates from two interleaved halves of the coefficients (prior-free, 1 expected)."""
    frames = band.frame_count
    at = torch.as_tensor(final.shift_angstrom)
    sums = align_sums(band, at)
    first, second = evaluate(band, at, sums, final.spectra).gradient_parts_per_angstrom
    # At the same point both gradients are noise of known covariance: their difference is tested without inverting
    # the poorly determined directions.
    difference = (first - second).T.reshape(-1)
    covariance = fisher_information(band, at, final.spectra)
    values, vectors = np.linalg.eigh(covariance)
    keep = values > _LEAST_EIGENVALUE * values[-1] if values[-1] > 0 else np.zeros(values.shape, dtype=bool)
    if not keep.any():
        return float("inf")
    z = (vectors.T @ difference)[keep] / np.sqrt(values[keep])
    return float((z**2).sum() / max(1, min(int(keep.sum()), 2 * (frames - 1))))
