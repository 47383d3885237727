"""The versioned state of the causal prior that travels to workers and into the store.

Three beliefs, each with conjugate updates that add up, so that the order of movies does not matter and a movie costs
the same however many came before (docs/science.md):
- rings: for movie i and frequency band j, ln SSNR_i(k_j) = a_j - sum_f beta_f x_if(k_j) + noise, with a_j the
  specimen's own ln SSNR, x_if the loss that the physics of factor f predicts and beta_f how strongly it acts;
  Gaussian, in information form;
- counts: the session's zero, its ice and its camera's lost coincidences (`counts`), a weight on a grid;
- settling: how drift follows from the time since the stage moved (`settle`), sums per hypothesis.
"""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from frazil.models.causal import counts, settle
from frazil.models.causal.bands import BAND_COUNT, Array
from frazil.models.causal.change_points import ChangePoint, WindowRow
from frazil.models.causal.evidence_weight import EvidenceWeight
from frazil.models.causal.factors import MODELLED_FACTORS
from frazil.models.causal.independence import IndependenceRecord
from frazil.models.causal.learned_arrows import ArrowSums
from frazil.models.causal.prediction_record import PredictionRecord
from frazil.models.records import ExposureFacts

COLUMNS = BAND_COUNT + len(MODELLED_FACTORS) + 1
"""Of the ring model: bands, strengths, and the wash-out of the rings themselves (no loss of any particle)."""
_SIGNAL_SD = 4.0
"""Prior sd of a_j: specimens differ by orders of magnitude."""
STRENGTH_MEAN_SD: dict[str, tuple[float, float]] = {
    "motion": (1.0, 0.15),
    "radiation_damage": (1.0, 0.03),
    "spatial_coherence": (4.0, 6.0),
    "temporal_coherence": (1.0, 0.05),
    "ice": (1.0, 0.03),
    "detector": (1.0, 0.03),
    "coincidence": (1.5, 0.05),
}
"""Of beta, as far as rings may move it. Spatial coherence: (angle / 0.02 mrad)^2, half of it below 0.03 mrad, and 0.09
is not out of the question: nobody may have aligned the beam. Coincidence, in -ln of the share that is counted: signal
loses as much as the counts where one of two electrons is kept, up to three times that at high frequencies where both
are counted as one at their middle (docs/science.md). Rings can say little of the others: the water that makes them
grows with the ice and does not fade as protein does."""
PHYSICAL_SD: dict[str, float] = {"radiation_damage": 0.07, "ice": 0.12, "coincidence": 0.55, "motion": 0.1}
"""Relative error of a mechanism's own constants, which no ring tells: critical exposures of different specimens, the
ice's structure, how noise falls with coincidences."""
PRIOR_STRENGTH_SD = np.array([STRENGTH_MEAN_SD[name][1] for name in MODELLED_FACTORS])
RING_DISCREPANCY = 0.2
"""Relative error that a strength learnt from rings keeps however many movies: ring amplitudes fall with defocus and ice
for reasons of the fit, too. Over seven sessions by two other authors in which rings tell of the beam's convergence its
strength was off by 0.17 (root mean square; benchmarks/attribution, benchmarks/drawn_sessions)."""
_WASHOUT_MEAN_SD = (1.0, 0.3)
"""Of the rings' wash-out."""
_LN_WEIGHT_STEP = 0.002


@dataclass(frozen=True, slots=True)
class PriorSnapshot:
    """Belief after `movie_count` movies."""

    version: int
    """0 is physics alone; each version adds one epoch of movies."""
    movie_count: int
    precision: tuple[tuple[float, ...], ...]
    """(COLUMNS, COLUMNS) symmetric, positive definite, of theta = (a, beta, wash-out)."""
    information: tuple[float, ...]
    """(COLUMNS,) = precision @ mean."""
    count_weights: str = ""
    """`counts.SHAPE` ln weights as `packed` keeps them; empty: no movie yet."""
    settle_sums: tuple[tuple[float, ...], ...] = ()
    """As `settle.no_sums`; empty: no movie yet."""
    empty_counts_per_px: float | None = None
    """Most electrons per pixel and frame seen so far: the zero of the ice thickness. None: nothing seen."""
    last_exposure: ExposureFacts | None = None
    stage_moved_utc_us: int | None = None
    window: tuple[WindowRow, ...] = ()
    """The newest movies in a few numbers each: what is typical now, and whether something changed."""
    change_points: tuple[ChangePoint, ...] = ()
    usual_before: tuple[float, ...] = ()
    """ln SSNR at 5 A by factor that movies lost before the last change, the least of what was usual so far: what a
    change has brought is no news only to those who never saw the session before it. Empty: nothing has changed."""
    before: tuple[WindowRow, ...] = ()
    """Some movies of before the last change, if they can be judged by what was learnt since: the beam is the same."""
    usual_before_by_draw: tuple[tuple[float, ...], ...] = ()
    """As `usual`, of those movies. Empty: there are none."""
    usual: tuple[tuple[float, ...], ...] = ()
    """(roots, S) ln SSNR at 5 A that the newest movies lose by root cause, under each draw of the causes by this
    version (`naming.usual_by_root`). Empty: too few movies."""
    change_sd: tuple[float, ...] = ()
    """Root mean square change of each factor's mean loss at 5 A by the last epoch, in its sd: the loop's log."""
    independence: IndependenceRecord = field(default_factory=IndependenceRecord)
    """What the session has said so far of the independences that the causal graph claims."""
    predictions: PredictionRecord = field(default_factory=PredictionRecord)
    """How well versions so far foretold movies that they had not seen, since the last change."""
    arrows: ArrowSums = field(default_factory=ArrowSums)
    """What movies since the last change of grid say of arrows whose strength physics does not know."""
    weight: EvidenceWeight = field(default_factory=EvidenceWeight)
    """g of the epoch that made this version, and what it follows from."""

    def moments(self) -> tuple[Array, Array]:
        """Mean (COLUMNS,) and covariance (COLUMNS, COLUMNS) of theta; not to be written to."""
        return _moments(self.precision, self.information)

    def strengths(self) -> tuple[Array, Array]:
        """Mean and sd of beta, in the order of `MODELLED_FACTORS`."""
        mean, covariance = self.moments()
        factors = slice(BAND_COUNT, BAND_COUNT + len(MODELLED_FACTORS))
        return mean[factors], np.sqrt(np.diag(covariance)[factors])

    def count_belief(self) -> Array:
        """`counts.SHAPE` ln weights; not to be written to."""
        return _unpacked(self.count_weights)

    def settle_belief(self) -> Array:
        sums, nothing = np.array(self.settle_sums), settle.no_sums()
        return sums if sums.shape == nothing.shape else nothing  # of before the grid was widened: nothing is known


@lru_cache(maxsize=8)
def _moments(precision: tuple[tuple[float, ...], ...], information: tuple[float, ...]) -> tuple[Array, Array]:
    """Every movie asks a version again."""
    covariance = np.linalg.inv(np.array(precision))
    mean = covariance @ np.array(information)
    mean.flags.writeable = covariance.flags.writeable = False
    return mean, covariance


@lru_cache(maxsize=8)
def _unpacked(weights: str) -> Array:
    """What `packed` made; nothing is known where it made nothing, or had another grid."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(weights)) if weights else b"", dtype="<i2")
    if steps.size != math.prod(counts.SHAPE):
        return counts.prior_ln_weight()
    ln_weight: Array = steps.reshape(counts.SHAPE) * _LN_WEIGHT_STEP
    ln_weight.flags.writeable = False
    return ln_weight


def packed(ln_weight: Array) -> str:
    """A grid of ln weights as a snapshot keeps it: in steps of 0.002, the best at 0, the hopeless cut off."""
    steps = np.round(np.maximum(ln_weight - ln_weight.max(), -60.0) / _LN_WEIGHT_STEP).astype("<i2")
    return base64.b64encode(zlib.compress(steps.tobytes(), level=6)).decode("ascii")


def physics_prior() -> PriorSnapshot:
    """Version 0: every mechanism acts as its physics says, nothing is known of the specimen."""
    strengths = [STRENGTH_MEAN_SD[name] for name in MODELLED_FACTORS]
    sd = np.array([_SIGNAL_SD] * BAND_COUNT + [sd for _, sd in strengths] + [_WASHOUT_MEAN_SD[1]])
    mean = np.array([0.0] * BAND_COUNT + [mean for mean, _ in strengths] + [_WASHOUT_MEAN_SD[0]])
    return PriorSnapshot(
        version=0,
        movie_count=0,
        precision=tuple(tuple(row) for row in np.diag(1 / sd**2).tolist()),
        information=tuple((mean / sd**2).tolist()),
    )
