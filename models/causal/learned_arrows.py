"""Arrows whose strength a session's own movies tell: ice and dose rate on motion by the beam, ice on particles.

    ln d = a + b (t - t0) + c ln(r / r0) + noise,        ln(1 + particles) = a' + b' (t - t0) + noise'

d is the early displacement that is not the stage's, t the ice in nm, r the dose rate. Of each grid square there are
sums, so that what a square shares (its ice, crowding, foil) is compared with nothing; sums add up, in any order. The
ice is known from counts, up to the session's zero (which a straight line in nm does not feel) and an error of known
size u: as measured, slopes would be too flat by var(t) / (var(t) + u^2). So the slope is asked of the covariance of
(t, y), whose true spread of the ice tau and scatter sigma are unknown, too (structural errors in variables: Fuller
1987, "Measurement Error Models", 1.2), over a grid of (b, tau, sigma): where the ice hardly differs the slope stays
unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal import counts
from frazil.models.causal.bands import Array
from frazil.models.causal.causes import normals_of
from frazil.models.causal.information import has_told
from frazil.models.causal.mechanisms import dose_rate_e_per_px_per_s, steady_drift_angstrom_per_frame
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import MovieEvidence

MOTION_PER_NM_SD = 0.03
"""Prior of b about 0, in ln of a displacement per nm: a film moves less the thicker it is for its hole (Naydenova et
al. 2020, Science 370, 223), by how much on this grid nobody has measured; a factor of two over 20 nm is not out of the
question, and neither is the other sign."""
PARTICLES_PER_NM_SD = 0.05
"""Prior of b' about 0: thin ice may hold no particles, thick ice several layers."""
MOTION_BY_RATE_SD = 0.3
"""Prior of c about 0, wide: nobody knows the power of the dose rate with which early motion goes."""
_ICE_NM, _RATE_E_PER_PX_PER_S = 40.0, 10.0
"""t0 and r0: near what is usual, so that sums do not cancel."""
_EARLY_E_PER_A2 = 4.0
_LEAST_ANGSTROM = 0.1
"""Of a displacement: less is the error of shifts."""
_LEAST_RATE_SQUARES = 1e-3
"""Below it the dose rate never varied."""
_LEAST_FREEDOM = 3.0
_COLUMNS = 3
"""t, ln r, y."""
_SIZE = 2 + _COLUMNS + _COLUMNS * _COLUMNS
"""Number, squared error of t, sums, sums of products."""
_GRID_SD, _GRID = 5.0, 33
_PLACES = np.linspace(-1.0, 1.0, _GRID)
_ITERATIONS = 5


@dataclass(frozen=True, slots=True)
class ArrowSums:
    """What movies so far say: for each grid square `_SIZE` numbers, by its name (empty: nobody named it)."""

    motion: tuple[tuple[str, tuple[float, ...]], ...] = ()
    particles: tuple[tuple[str, tuple[float, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Slope:
    """A normal belief."""

    mean: float
    sd: float
    told: bool
    """Whether the session has told of it: before, physics alone speaks and the arrow is drawn, not used."""

    def draws(self, name: str) -> Array:
        """(S,) by the column of normals of this name."""
        return np.asarray(self.mean + self.sd * normals_of(name))


@dataclass(frozen=True, slots=True)
class LearnedArrows:
    """Slopes by a session's movies."""

    motion_per_nm: Slope
    motion_by_ln_rate: Slope
    particles_per_nm: Slope


def with_movies(
    sums: ArrowSums, movies: Sequence[MovieEvidence], *, temper: float = 1.0, kept: float = 1.0
) -> ArrowSums:
    """The sums with more movies taken in, each with weight `temper`; `kept`: share of those before."""
    motion = {name: kept * np.array(values) for name, values in sums.motion}
    particles = {name: kept * np.array(values) for name, values in sums.particles}
    for movie in movies:
        ice_nm = _ice_nm(movie)
        if ice_nm is None:
            continue
        square, rate = movie.exposure.grid_square or "", dose_rate_e_per_px_per_s(movie)
        ln_rate = float(np.log(rate / _RATE_E_PER_PX_PER_S)) if rate else 0.0
        for table, y in ((motion, _ln_early_angstrom(movie)), (particles, _ln_particles(movie))):
            if y is not None:
                table[square] = table.get(square, np.zeros(_SIZE)) + temper * _row(movie, ice_nm, ln_rate, y)
    return ArrowSums(*(_kept(table) for table in (motion, particles)))


def learned(sums: ArrowSums) -> LearnedArrows:
    """Beliefs from the sums."""
    motion, by_rate = _motion_slopes(_within(sums.motion))
    n, error, products = _within(sums.particles)
    particles = _slope_with_errors(n, _without_rate(products), error, PARTICLES_PER_NM_SD)[:2]
    return LearnedArrows(motion, by_rate, _slope(*particles, PARTICLES_PER_NM_SD))


def _kept(table: dict[str, Array]) -> tuple[tuple[str, tuple[float, ...]], ...]:
    return tuple((name, tuple(table[name].tolist())) for name in sorted(table))


def _ice_nm(movie: MovieEvidence) -> float | None:
    """Up to a constant of the session, by its counts alone; None: they do not say."""
    y = counts.log_count_ratio(movie)
    if y is None or movie.exposure.energy_filter is False:
        return None
    return -y * inelastic_mean_free_path_nm(movie.voltage_kv)


def _ln_early_angstrom(movie: MovieEvidence) -> float | None:
    """ln of the displacement over the first 4 e/A2, the steady drift taken off; None: frames are too coarse."""
    frames = round(_EARLY_E_PER_A2 / movie.dose_per_frame_e_per_a2) if movie.dose_per_frame_e_per_a2 > 0 else 0
    path = np.array([movie.shift_x_angstrom, movie.shift_y_angstrom])
    if not 1 <= frames < path.shape[1] - 3:
        return None
    moved = path[:, frames] - path[:, 0] - frames * steady_drift_angstrom_per_frame(movie)
    return float(np.log(max(float(np.hypot(*moved)), _LEAST_ANGSTROM)))


def _ln_particles(movie: MovieEvidence) -> float | None:
    return None if movie.particle_count is None else float(np.log1p(movie.particle_count))


def _row(movie: MovieEvidence, ice_nm: float, ln_rate: float, y: float) -> Array:
    """(_SIZE,) what one movie adds."""
    values = np.array([ice_nm - _ICE_NM, ln_rate, y])
    error_nm = counts.COUNT_SD * inelastic_mean_free_path_nm(movie.voltage_kv)
    return np.concatenate([[1.0, error_nm**2], values, np.outer(values, values).ravel()])


def _within(table: tuple[tuple[str, tuple[float, ...]], ...]) -> tuple[float, float, Array]:
    """Degrees of freedom, mean squared error of the ice, and sums of products (3, 3) about each square's own means."""
    freedom, error, movies, products = 0.0, 0.0, 0.0, np.zeros((_COLUMNS, _COLUMNS))
    for _, numbers in table:
        values = np.array(numbers)
        n, total = values[0], values[2 : 2 + _COLUMNS]
        products += values[2 + _COLUMNS :].reshape(_COLUMNS, _COLUMNS) - np.outer(total, total) / n
        freedom, movies, error = freedom + max(n - 1.0, 0.0), movies + n, error + values[1]
    return freedom, error / max(movies, 1e-9), products


def _without_rate(products: Array) -> Array:
    """(2, 2) of (t, y), a straight line in the dose rate taken off both: it also takes coincidences off the ice."""
    rate = products[1, 1]
    kept = np.ix_((0, 2), (0, 2))
    if rate < _LEAST_RATE_SQUARES:
        return products[kept]
    return np.asarray((products - np.outer(products[:, 1], products[1]) / rate)[kept])


def _motion_slopes(within: tuple[float, float, Array]) -> tuple[Slope, Slope]:
    freedom, error, products = within
    varied = products[1, 1] >= _LEAST_RATE_SQUARES
    mean, sd, scatter2 = _slope_with_errors(freedom - varied, _without_rate(products), error, MOTION_PER_NM_SD)
    by_ice = _slope(mean, sd, MOTION_PER_NM_SD)
    if not varied or freedom < _LEAST_FREEDOM:
        return by_ice, Slope(0.0, MOTION_BY_RATE_SD, told=False)
    together = products[0, 1] / products[1, 1]
    plain = products[1, 2] / products[1, 1] - together * mean
    variance = scatter2 / products[1, 1] + (together * sd) ** 2
    precision = 1 / variance + 1 / MOTION_BY_RATE_SD**2
    return by_ice, _slope(float(plain / variance / precision), float(precision**-0.5), MOTION_BY_RATE_SD)


def _slope(mean: float, sd: float, first_sd: float) -> Slope:
    return Slope(mean, sd, told=has_told(mean, sd, 0.0, first_sd))


def _slope_with_errors(freedom: float, products: Array, error: float, prior_sd: float) -> tuple[float, float, float]:
    """Mean and sd of b, and the mean scatter's variance, from the covariance of t (with errors of variance `error`) and
    y; priors: b normal about 0, tau and sigma even in their logarithm."""
    if freedom < _LEAST_FREEDOM:
        return 0.0, prior_sd, 1.0
    seen = products / freedom
    # (b, ln tau^2, ln sigma^2): wide at first, then about what has weight, so that no axis is too coarse.
    tau = np.log([0.02 * error, max(4.0 * seen[0, 0], error)])
    sigma = np.log(np.array([0.05, 3.0]) * max(seen[1, 1], 1e-6))
    centre = np.array([0.0, tau.mean(), sigma.mean()])
    half = np.array([_GRID_SD * prior_sd, *(0.5 * (ends[1] - ends[0]) for ends in (tau, sigma))])
    for step in range(_ITERATIONS):
        axes = centre[:, None] + half[:, None] * _PLACES
        weight = _weights(axes[0], np.exp(axes[1]), np.exp(axes[2]), seen, freedom, error, prior_sd)
        alone = [weight.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
        mean = np.array([one @ values for one, values in zip(alone, axes, strict=True)])
        spread = np.array([one @ (values - m) ** 2 for one, values, m in zip(alone, axes, mean, strict=True)])
        sd = np.sqrt(spread + (half / _GRID) ** 2 * (step < _ITERATIONS - 1))
        centre, half = mean, np.minimum(half, _GRID_SD * sd)
    return float(mean[0]), float(min(sd[0], prior_sd)), float(np.exp(mean[2]))


def _weights(b: Array, tau2: Array, sigma2: Array, seen: Array, freedom: float, error: float, prior_sd: float) -> Array:
    """(b, tau^2, sigma^2) posterior weights, summing to 1: the covariance of (t, y) is Wishart about
    [[tau^2 + u^2, b tau^2], [b tau^2, b^2 tau^2 + sigma^2]]."""
    slope, spread, scatter = b[:, None, None], tau2[None, :, None], sigma2[None, None, :]
    tt, ty, yy = spread + error, slope * spread, slope**2 * spread + scatter
    determinant = tt * yy - ty**2
    trace = (yy * seen[0, 0] - 2.0 * ty * seen[0, 1] + tt * seen[1, 1]) / determinant
    ln_weight = -0.5 * freedom * (np.log(determinant) + trace) - 0.5 * (slope / prior_sd) ** 2
    weight = np.exp(ln_weight - ln_weight.max())
    return np.asarray(weight / weight.sum())
