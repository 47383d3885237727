"""What a version of the prior says of a movie that it has not seen: a distribution for each number that will be seen.

- `counted_electrons`: ln of counted over stated electrons, from the belief about zero, ice and lost coincidences;
- `steady_drift`: ln of the drift's speed in A/s, from the belief about how the stage settles;
- `ring_level`, `ring_fall`: by weighted least squares the level of ln SSNR from the rings and its change to 5 A (as
  (k / 0.2)^2), from the belief about the session's curve and strengths.

What a movie's settings are (dose rate, settle time, where its rings were measured) is given; what it shows is foretold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from frazil.models.causal import counts, settle
from frazil.models.causal.bands import Array
from frazil.models.causal.draws import unit_losses
from frazil.models.causal.forecast_score import Scored, of_distribution, of_normal
from frazil.models.causal.measured import ln_drift_speed
from frazil.models.causal.mechanisms import coincidence_loss, dose_rate_e_per_px_per_s
from frazil.models.causal.prediction_record import Seen
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.rings import EFFECTS_COVARIANCE, RingRows, ring_rows
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import MovieEvidence

_PLACES = 101
_FAR = 8.0
"""In scales of a component: where a distribution is written down ends."""
_LEAST_WEIGHT = 1e-4
"""Of a component, against the heaviest: what is lighter is not worth its time."""
_SAMPLES = 256
"""Of zero, ice and lost coincidences; each is smoothed by the scatter of counting."""
_LEAST_BANDS = 3


class Forecaster:
    """Forecasts of one version of the prior for movies to come; what is common to all movies is computed once."""

    def __init__(self, prior: PriorSnapshot) -> None:
        self._mean, self._covariance = prior.moments()
        self._settle = settle.foretold(prior.settle_belief())
        self._counts = _CountSamples.of(prior.count_belief())

    def counted_electrons(self, movie: MovieEvidence, came: float) -> Scored:
        """`came`: `counts.log_count_ratio`."""
        return self._counts.score(movie, came)

    def steady_drift(self, movie: MovieEvidence, came: float) -> Scored:
        """`came`: ln of A/s; the movie's settle time is known."""
        weight, centre, scale, freedom = self._settle
        centre = centre + np.log(settle.relative_speed(_middle_s(movie)))
        heavy = weight > _LEAST_WEIGHT * weight.max()
        weight, centre, scale = weight[heavy] / weight[heavy].sum(), centre[heavy], scale[heavy]
        at = np.linspace((centre - _FAR * scale).min(), (centre + _FAR * scale).max(), _PLACES)
        return of_distribution(at, weight @ stdtr(freedom, (at - centre[:, None]) / scale[:, None]), came)

    def rings(self, rows: RingRows) -> tuple[Scored, Scored]:
        """Level and fall."""
        gain = _level_and_fall(rows)
        spread = (
            rows.design @ self._covariance @ rows.design.T
            + rows.effects @ EFFECTS_COVARIANCE @ rows.effects.T
            + np.diag(rows.noise_variance)
        )
        mean, variance = gain @ rows.design @ self._mean, np.diag(gain @ spread @ gain.T)
        level, fall = (of_normal(m, np.sqrt(v), y) for m, v, y in zip(mean, variance, gain @ rows.y, strict=True))
        return level, fall


def compared(movie: MovieEvidence, now: Forecaster, first: Forecaster) -> dict[str, Seen]:
    """By quantity what a movie shows; a quantity that it does not show is left out. The movie has its settle time."""
    found = {}
    came = counts.log_count_ratio(movie)
    if came is not None and np.isfinite(came):
        found["counted_electrons"] = Seen(
            came, now.counted_electrons(movie, came), first.counted_electrons(movie, came)
        )
    speed = ln_drift_speed(movie)
    if speed is not None and movie.settle_time_s is not None and np.isfinite(speed):
        found["steady_drift"] = Seen(speed, now.steady_drift(movie, speed), first.steady_drift(movie, speed))
    rows = ring_rows(movie, unit_losses(movie))
    if rows is not None and rows.index.size >= _LEAST_BANDS:
        measured = _level_and_fall(rows) @ rows.y
        for name, value, one, other in zip(
            ("ring_level", "ring_fall"), measured, now.rings(rows), first.rings(rows), strict=True
        ):
            found[name] = Seen(float(value), one, other)
    return found


def _middle_s(movie: MovieEvidence) -> float:
    return (movie.settle_time_s or 0.0) + settle.middle_of_late_frames_s(movie)


def _level_and_fall(rows: RingRows) -> Array:
    """(2, n): what makes level and fall of the measured bands, weighted by their noise."""
    weighted = rows.effects / rows.noise_variance[:, None]
    return np.asarray(np.linalg.solve(rows.effects.T @ weighted, weighted.T))


@dataclass(frozen=True, slots=True)
class _CountSamples:
    """(S,) equally likely states of zero, lost coincidences and ice."""

    zero: Array
    count_loss_s_px_per_e: Array
    thickness_nm: Array

    @classmethod
    def of(cls, ln_weight: Array) -> _CountSamples:
        weight = np.exp(ln_weight - ln_weight.max()).ravel()
        # One state for each part of equal weight; golden-section steps (Weyl 1916) keep the thickness apart from it.
        rank = np.arange(_SAMPLES) + 0.5
        cell = np.searchsorted(np.cumsum(weight) / weight.sum(), np.minimum(rank / _SAMPLES, 1 - 1e-12))
        g, zero, law = np.unravel_index(cell, counts.SHAPE)
        golden = (np.sqrt(5.0) - 1.0) / 2.0
        z = ndtri(np.clip(np.mod(rank * golden, 1.0), 0.5 / _SAMPLES, 1 - 0.5 / _SAMPLES))
        thickness = counts.MEDIAN_NM[law] * np.exp(counts.THICKNESS_LN_SD[law] * z)
        return cls(counts.ZERO[zero], np.exp(counts.LN_COUNT_LOSS[g]), thickness)

    def score(self, movie: MovieEvidence, came: float) -> Scored:
        centre, sd = self.zero, 2 * counts.COUNT_SD
        if movie.exposure.energy_filter is not False:
            centre, sd = centre - self.thickness_nm / inelastic_mean_free_path_nm(movie.voltage_kv), counts.COUNT_SD
        rate = dose_rate_e_per_px_per_s(movie) or 0.0
        before = centre
        for _ in range(2):  # what ice and zero took cannot coincide
            arriving = rate * np.minimum(np.exp(centre), 1.0)
            centre = before - coincidence_loss(self.count_loss_s_px_per_e * arriving)
        at = np.linspace(centre.min() - _FAR * sd, centre.max() + _FAR * sd, _PLACES)
        return of_distribution(at, ndtr((at[:, None] - centre) / sd).mean(axis=1), came)
