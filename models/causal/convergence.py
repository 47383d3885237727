"""How well the session's causes are known: each factor's mean loss with its sd, and whether that is enough.

The self-evaluation loop ends for a factor when its share is known to within one standard deviation of the tolerance
(design of the loop, docs/science.md): then more movies of the same kind no longer change what is worth doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.attribution import all_losses
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import FACTORS, band_frequencies_per_angstrom, curves_at
from frazil.models.causal.naming import NAMED_PER_ANGSTROM
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.records import MovieEvidence

TOLERANCE_LN_SSNR = 0.25
"""A quarter of a natural logarithm: the precision that attribution is held to, and about 5 % of a resolution."""


@dataclass(frozen=True, slots=True)
class Share:
    """One factor's mean loss over some movies at 5 A, in ln SSNR."""

    factor: str
    loss_ln_ssnr: float
    sd: float
    """Of the mean over these movies: what draws of the session's unknowns do to all of them together."""
    converged: bool
    """Known to within one sd of the tolerance."""


def shares(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> tuple[Share, ...]:
    """Of the modelled factors, the largest first; empty without movies. `heterogeneity` waits for particles."""
    if not movies:
        return ()
    bands = band_frequencies_per_angstrom()
    total: dict[str, np.ndarray] = {}
    for movie in movies:
        for name, loss in all_losses(movie, draw_causes(movie, prior), bands).items():
            total[name] = total.get(name, 0.0) + curves_at(NAMED_PER_ANGSTROM, loss) / len(movies)
    found = [
        Share(
            name,
            float(max(total[name].mean(), 0.0)),
            float(total[name].std()),
            bool(total[name].std() <= TOLERANCE_LN_SSNR),
        )
        for name in FACTORS
        if name in total and name != "heterogeneity"
    ]
    return tuple(sorted(found, key=lambda share: -share.loss_ln_ssnr))
