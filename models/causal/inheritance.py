"""What earlier sessions of the same instrument taught: the prior with which the next one starts.

A session's belief about something that belongs to the instrument (its camera's lost coincidences, the zero of its
dose, the angle of its beam, how its stage settles) is one measurement of it; sessions differ by a variance of their
own, which is estimated from how far they lie apart (random effects, DerSimonian & Laird 1986, Control. Clin. Trials 7,
177). What belongs to the specimen is not handed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from frazil.models.causal import counts
from frazil.models.causal.bands import BAND_COUNT, Array
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.prior import STRENGTH_MEAN_SD, PriorSnapshot, packed, physics_prior

_LEAST_SPREAD = {"ln_count_loss": 0.15, "zero": 0.03, "spatial_coherence": 0.5}
"""Sd between sessions that is assumed at least: settings are touched from day to day."""
_SETTLE_SHARE = 0.2
"""Of what a session's movies said of settling: the stage is the same, its drift at rest is not."""
_LEAST_MOVIES = 10


def inherit(sessions: Sequence[PriorSnapshot]) -> PriorSnapshot:
    """Version 0 for a new session from the last versions of earlier ones; physics alone without any.

    Never narrower than the sessions differ, never wider than physics: three sessions that agree teach more than one.
    """
    start = physics_prior()
    taught = [session for session in sessions if session.movie_count >= _LEAST_MOVIES]
    if not taught:
        return start
    moments = np.array([counts.zero_and_loss(session.count_belief()) for session in taught])  # zero, sd, ln g, sd
    zero = _predictive(moments[:, 0], moments[:, 1], counts.ZERO_MEAN, counts.ZERO_SD, _LEAST_SPREAD["zero"])
    loss = _predictive(
        moments[:, 2],
        moments[:, 3],
        float(np.log(counts.COUNT_LOSS_MEDIAN_S_PX_PER_E)),
        counts.COUNT_LOSS_LN_SD,
        _LEAST_SPREAD["ln_count_loss"],
    )
    ln_weight = counts.prior_ln_weight()
    ln_weight = ln_weight - norm.logpdf(counts.ZERO, counts.ZERO_MEAN, counts.ZERO_SD)[None, :, None]
    ln_weight = ln_weight + norm.logpdf(counts.ZERO, *zero)[None, :, None]
    usual = norm.logpdf(counts.LN_COUNT_LOSS, np.log(counts.COUNT_LOSS_MEDIAN_S_PX_PER_E), counts.COUNT_LOSS_LN_SD)
    ln_weight = ln_weight - usual[:, None, None] + norm.logpdf(counts.LN_COUNT_LOSS, *loss)[:, None, None]

    column = BAND_COUNT + MODELLED_FACTORS.index("spatial_coherence")
    beam = np.array([[values[column - BAND_COUNT] for values in session.strengths()] for session in taught])
    mean, sd = _predictive(
        beam[:, 0], beam[:, 1], *STRENGTH_MEAN_SD["spatial_coherence"], _LEAST_SPREAD["spatial_coherence"]
    )
    precision, information = np.array(start.precision), np.array(start.information)
    precision[column, column], information[column] = 1 / sd**2, mean / sd**2
    settle_sums = _SETTLE_SHARE * sum(session.settle_belief() for session in taught) / len(taught)
    return replace(
        start,
        precision=tuple(tuple(row) for row in precision.tolist()),
        information=tuple(information.tolist()),
        count_weights=packed(ln_weight),
        settle_sums=tuple(tuple(row) for row in np.asarray(settle_sums).tolist()),
    )


def _predictive(mean: Array, sd: Array, prior_mean: float, prior_sd: float, least_spread: float) -> tuple[float, float]:
    """(mean, sd) of the next session's value: sessions' values about a common one, physics as its prior."""
    weight = 1 / sd**2
    pooled = float((weight * mean).sum() / weight.sum())
    spare = weight.sum() - (weight**2).sum() / weight.sum()
    excess = float((weight * (mean - pooled) ** 2).sum()) - (mean.size - 1)
    spread2 = max(excess / spare, 0.0) if spare > 0 else 0.0
    spread2 = max(spread2, least_spread**2)
    weight = 1 / (sd**2 + spread2)
    precision = weight.sum() + 1 / prior_sd**2
    common = ((weight * mean).sum() + prior_mean / prior_sd**2) / precision
    return float(common), float(min(np.sqrt(1 / precision + spread2), prior_sd))
