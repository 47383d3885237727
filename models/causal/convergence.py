"""How well the session's causes are known: each factor's mean loss with its sd, and what the session has told of it.

The self-evaluation loop ends for a factor when its share is known to within one standard deviation of the tolerance,
and known from the session: what version 0 believed before the first movie may be narrow and wrong for this microscope
(design of the loop, docs/science.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import MODELLED_FACTORS, Array, band_frequencies_per_angstrom, curves_at
from frazil.models.causal.information import has_told, told_nats
from frazil.models.causal.naming import NAMED_PER_ANGSTROM
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.structural_model import structural_model
from frazil.models.records import MovieEvidence

SHARED = (*MODELLED_FACTORS, "aberrations", "defocus_spread")
"""`unexplained` is of single movies, `heterogeneity` waits for particles."""
TOLERANCE_LN_SSNR = 0.25
"""A quarter of a natural logarithm: the precision that attribution is held to, and about 5 % of a resolution."""


@dataclass(frozen=True, slots=True)
class Share:
    """One factor's mean loss over some movies at 5 A, in ln SSNR."""

    factor: str
    loss_ln_ssnr: float
    sd: float
    """Of the mean over these movies: what draws of the session's unknowns do to all of them together."""
    first_sd: float
    """Of the same movies by version 0."""
    told_nats: float
    """What the session has told of it beyond version 0 (Kullback-Leibler)."""
    converged: bool
    """Known to within one sd of the tolerance, and from the session."""


def shares(
    movies: Sequence[MovieEvidence], prior: PriorSnapshot, first: PriorSnapshot | None = None
) -> tuple[Share, ...]:
    """Of every factor that needs no particles, the largest first; empty without movies.

    `first`: the session's version 0 (None: physics alone); what a movie's own frames and counts say is in both, so that
    what is compared is what the movies have told of each other.
    """
    if not movies:
        return ()
    now = _mean_losses(movies, prior)
    before = _mean_losses(movies, physics_prior() if first is None else first)
    rows = []
    for name in SHARED:
        mean, sd = float(now[name].mean()), float(now[name].std())
        first_mean, first_sd = float(before[name].mean()), float(before[name].std())
        nats = 0.0 if prior.version == 0 else told_nats(mean, sd, first_mean, first_sd)
        known = prior.version > 0 and sd <= TOLERANCE_LN_SSNR and has_told(mean, sd, first_mean, first_sd)
        rows.append(Share(name, max(mean, 0.0), sd, first_sd, nats, known))
    return tuple(sorted(rows, key=lambda share: -share.loss_ln_ssnr))


def _mean_losses(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> dict[str, Array]:
    """(S,) draws of the mean loss at 5 A by factor."""
    bands = band_frequencies_per_angstrom()
    total = dict.fromkeys(SHARED, np.zeros(1))
    for movie in movies:
        world = structural_model().world(movie, draw_causes(movie, prior), bands, wanted=SHARED)
        for name in SHARED:
            loss = curves_at(NAMED_PER_ANGSTROM, world.values[name])
            total[name] = total[name] + loss / len(movies)
    return total
