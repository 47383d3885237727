"""Attribution of one movie's losses under a given prior, and the SSNR that this movie is predicted to have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frazil.models.causal.evidence import measured_bands
from frazil.models.causal.mechanisms import predicted_losses
from frazil.models.causal.prior import (
    BAND_COUNT,
    FACTORS,
    MODELLED_FACTORS,
    PriorSnapshot,
    band_frequencies_per_angstrom,
)
from frazil.models.records import CausalLosses, MovieEvidence

_HETEROGENEITY_SD = 0.2
"""Without particles nothing is known of heterogeneity: loss 0 with this sd."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Losses by cause, and the posterior predictive ln SSNR of this micrograph on the prior's bands."""

    losses: CausalLosses
    frequency_per_angstrom: tuple[float, ...]
    log_ssnr: tuple[float, ...]
    log_ssnr_sd: tuple[float, ...]


def attribute(evidence: MovieEvidence, prior: PriorSnapshot) -> Attribution:
    """Split the loss of ln(SSNR) into causes.

    Each factor's loss is beta_f x_f(k) with the posterior of beta given the prior *and this movie*. What the movie's
    own rings show beyond that is `unexplained`; it is never spread over the other causes, and it is only known where
    rings were measured (elsewhere it is 0 with the sd of the specimen's own curve).
    """
    bands = band_frequencies_per_angstrom()
    predicted = predicted_losses(evidence, bands)  # (F, J)
    index, measured = measured_bands(evidence)
    design = np.zeros((index.size, BAND_COUNT + len(MODELLED_FACTORS)))
    design[np.arange(index.size), index] = 1.0
    design[:, BAND_COUNT:] = -predicted[:, index].T

    weight = 1 / evidence.log_ssnr_sd**2
    precision = np.array(prior.precision) + weight * design.T @ design
    covariance = np.linalg.inv(precision)
    mean = covariance @ (np.array(prior.information) + weight * design.T @ measured)
    strength, strength_covariance = mean[BAND_COUNT:], covariance[BAND_COUNT:, BAND_COUNT:]

    losses = np.maximum(strength, 0.0)[:, None] * predicted
    sd = np.sqrt(np.diag(strength_covariance))[:, None] * predicted
    # The prior alone says what was to be expected: the movie's own rings below that are unexplained.
    prior_mean, prior_covariance = prior.moments()
    full = np.concatenate([np.eye(BAND_COUNT), -predicted.T], axis=1)  # (J, J + F)
    expected = full @ prior_mean
    expected_sd = np.sqrt(np.einsum("ij,jk,ik->i", full, prior_covariance, full))
    unexplained = np.zeros(BAND_COUNT)
    unexplained_sd = expected_sd.copy()
    # Shrunk towards zero by how well the specimen's own curve is known: an unknown specimen explains anything.
    known = evidence.log_ssnr_sd**2 / (evidence.log_ssnr_sd**2 + expected_sd[index] ** 2)
    unexplained[index] = np.maximum(expected[index] - measured, 0.0) * known
    unexplained_sd[index] = np.hypot(evidence.log_ssnr_sd, expected_sd[index]) * known

    predictive = full @ mean
    predictive_sd = np.sqrt(np.einsum("ij,jk,ik->i", full, covariance, full))
    all_losses = [*losses, np.zeros(BAND_COUNT), unexplained]
    all_sd = [*sd, np.full(BAND_COUNT, _HETEROGENEITY_SD), unexplained_sd]
    frequency = tuple(bands.tolist())
    return Attribution(
        losses=CausalLosses(
            factor_names=FACTORS,
            frequency_per_angstrom=frequency,
            loss_ln_ssnr=tuple(tuple(row.tolist()) for row in all_losses),
            loss_sd=tuple(tuple(row.tolist()) for row in all_sd),
            prior_version=prior.version,
        ),
        frequency_per_angstrom=frequency,
        log_ssnr=tuple(predictive.tolist()),
        log_ssnr_sd=tuple(predictive_sd.tolist()),
    )
