"""How well the session's causes are known: each factor's mean loss with its sd, and what the session has told of it.

The self-evaluation loop ends for a factor when its share is known to within one standard deviation of the tolerance,
and known from the session: what version 0 believed before the first movie may be narrow and wrong for this microscope
(design of the loop, docs/science.md). That a belief is narrow is its own word; so movies that it has not seen are
asked too (`prediction_record`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.attribution import unexplained_share
from frazil.models.causal.bands import Array
from frazil.models.causal.causes import centre_and_sd
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.information import has_told, told_nats
from frazil.models.causal.naming import losses_at_5_angstrom
from frazil.models.causal.prediction_record import Held
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.records import MovieEvidence

SHARED = (*MODELLED_FACTORS, "aberrations", "defocus_spread")
"""Factors that follow from a movie's causes; `unexplained` is told beside them, `heterogeneity` waits for particles."""
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
    """Known to within one sd of the tolerance, from the session, and by what foretells movies that were not seen."""
    held: Held = Held.NOT_ASKED
    """What movies that were not seen say of the forecasts that it rests on ..."""
    unseen: str = ""
    """... in words, without a full stop."""


def shares(
    movies: Sequence[MovieEvidence], prior: PriorSnapshot, first: PriorSnapshot | None = None
) -> tuple[Share, ...]:
    """Of every factor that needs no particles, the largest first; empty without movies.

    `first`: the session's version 0 (None: physics alone); what a movie's own frames and counts say is in both, so that
    what is compared is what the movies have told of each other.
    """
    if not movies:
        return ()
    before = physics_prior() if first is None else first
    now, then = _known(movies, prior), _known(movies, before)
    rows = [_share(name, prior, now[name], then[name]) for name in now]
    return tuple(sorted(rows, key=lambda share: -share.loss_ln_ssnr))


def _share(factor: str, prior: PriorSnapshot, now: tuple[float, float], first: tuple[float, float]) -> Share:
    """`now`, `first`: mean loss and its sd by this version and by version 0."""
    nats = 0.0 if prior.version == 0 else told_nats(*now, *first)
    held, unseen = prior.predictions.held(factor)
    known = prior.version > 0 and now[1] <= TOLERANCE_LN_SSNR and has_told(*now, *first) and held is Held.HOLDS
    return Share(factor, max(now[0], 0.0), now[1], first[1], nats, known, held, unseen)


def _known(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> dict[str, tuple[float, float]]:
    """By factor the mean loss at 5 A and its sd."""
    known = {}
    for name, draws in _mean_losses(movies, prior).items():
        centre, sd = centre_and_sd(draws)
        known[name] = (float(centre), float(sd))
    return {**known, "unexplained": unexplained_share(movies, prior)}


def _mean_losses(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> dict[str, Array]:
    """(S,) draws of the mean loss at 5 A by factor."""
    total: dict[str, Array] = dict.fromkeys(SHARED, np.zeros(1))
    for movie in movies:
        loss = losses_at_5_angstrom(movie, draw_causes(movie, prior), SHARED)
        total = {name: total[name] + loss[name] / len(movies) for name in SHARED}
    return total
