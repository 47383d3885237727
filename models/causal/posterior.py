"""Learning from movies: information-form conjugate updates, one epoch at a time, in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frazil.models.causal.evidence import measured_bands
from frazil.models.causal.mechanisms import predicted_losses
from frazil.models.causal.prior import BAND_COUNT, MODELLED_FACTORS, PriorSnapshot, band_frequencies_per_angstrom
from frazil.models.records import MovieEvidence

_ROBUST_SD = 3.0
"""A movie whose rings lie further than this from what is expected counts less (Huber's weight)."""


def update(prior: PriorSnapshot, evidence: Sequence[MovieEvidence], temper: float = 1.0) -> PriorSnapshot:
    """The next version: `prior` and a batch of movies.

    Every movie of the batch is judged against `prior`, not against its neighbours, so their order does not matter.

    Parameters
    ----------
    temper:
        0 to 1: how far the evidence is trusted (power posterior); 1 is Bayes.
    """
    bands = band_frequencies_per_angstrom()
    precision, information = np.array(prior.precision), np.array(prior.information)
    mean, covariance = prior.moments()
    empty = prior.empty_counts_per_px or 0.0
    for movie in evidence:
        empty = max(empty, movie.dose_per_frame_e_per_px)
        index, measured = measured_bands(movie)
        if index.size == 0:
            continue
        design = np.zeros((index.size, BAND_COUNT + len(MODELLED_FACTORS)))
        design[np.arange(index.size), index] = 1.0
        design[:, BAND_COUNT:] = -predicted_losses(movie, bands)[:, index].T
        surprise = measured - design @ mean
        spread = np.sqrt(movie.log_ssnr_sd**2 + np.einsum("ij,jk,ik->i", design, covariance, design))
        score = float(np.sqrt(np.mean((surprise / spread) ** 2)))
        trust = temper * min(1.0, _ROBUST_SD / max(score, 1e-12)) / movie.log_ssnr_sd**2
        precision = precision + trust * design.T @ design
        information = information + trust * design.T @ measured
    return PriorSnapshot(
        version=prior.version + 1,
        movie_count=prior.movie_count + len(evidence),
        precision=tuple(tuple(row) for row in precision.tolist()),
        information=tuple(information.tolist()),
        empty_counts_per_px=empty or None,
    )
