"""What a shot into a hole gives: particles by ice, loss at the target resolution, how far the CTF can be fitted.

- Particles: kept out of ice thinner than they are, in one layer up to some 2 diameters, on top of each other beyond 3.
- Loss of ln SSNR at the target resolution: electrons lost in the ice and the ice's own noise (Beer-Lambert; mean free
  path of `frazil.models.optics.ice`), the spread of heights (phase pi lambda k^2 z), preferred orientations in thin
  ice, crystals; and by what happens in the shot: drift since the stage moved, coma of the image shift.
- CTF: fitted less far in thick ice, under crystals and with drift; in vacuum there is nothing to fit.

Luck is drawn once for every hole: whoever shoots it, and whenever, has the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.simulation.grid.truth import Array, GridTruth

USABLE_ANGSTROM = 6.0
VOLTAGE_KV = 300.0
_WAVELENGTH_ANGSTROM = 0.0197
BEST_FIT_ANGSTROM = 3.1
FIT_HALVES_NM, FIT_POWER = 92.0, 1.7
"""At this thickness rings reach half as far."""
_NOISE_NM = 80.0
_VACUUM_NM = 4.0
_HEIGHTS_LEFT = 0.3
"""Share of the spread of heights that later refinement of each particle's defocus leaves."""
_DRIFT_HARMS_A_S, _MOST_DRIFT_LOSS = 4.0, 3.0
_COMA_HARMS_UM = 8.0
_FAILS = 0.025
_WORST_FIT_ANGSTROM = 100.0
_LUCK = 3  # purpose of random streams


@dataclass(frozen=True, slots=True)
class Luck:
    """Per hole; standard normal unless said otherwise."""

    fit: Array
    """Student t with 5 degrees of freedom."""
    fails: npt.NDArray[np.bool_]
    """The fit runs off."""
    particles: Array
    """Uniform on 0 to 1."""
    drift_start: Array
    drift_end: Array


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one exposure, or (holes,) of every hole's."""

    wait_s: float | Array = 12.0
    """Since the stage stopped."""
    image_shift_um: float | Array = 0.0


@dataclass(frozen=True, slots=True)
class Shots:
    """What exposures give: arrays of the holes' length, or of what was asked for."""

    particles: Array
    loss_ln: Array
    """Of ln SSNR at the target resolution."""
    resolution_angstrom: Array
    """To which the CTF is fitted."""
    drift_angstrom_per_s: Array
    fit_quality: Array
    """Cross-correlation of the fit, 0 to 1."""

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.resolution_angstrom <= USABLE_ANGSTROM)

    @property
    def effective_signal(self) -> Array:
        """Particles of undamaged exposures that would bring as much; none where the movie is thrown away."""
        return np.asarray(np.where(self.usable, self.particles * np.exp(-self.loss_ln), 0.0))


def draw_luck(truth: GridTruth, again: int = 0) -> Luck:
    """`again` > 0: other luck on the same grid."""
    rng, count = truth.rng(_LUCK, again), len(truth.holes)
    return Luck(
        rng.standard_t(5, count), rng.random(count) < _FAILS, rng.random(count), rng.normal(size=count),
        rng.normal(size=count),
    )  # fmt: skip


def mean_particles(truth: GridTruth) -> Array:
    """Expected number that can be used, per exposure, (holes,)."""
    holes, particle = truth.holes, truth.settings.particle
    size, ice = particle.diameter_nm, holes.ice_nm
    room = 1.0 / (1.0 + np.exp(-(ice - size - 2.0) / 2.0))
    layers = 1.0 + np.maximum(ice - 2.0 * size, 0.0) / 60.0
    apart = np.exp(-np.maximum(ice - 3.0 * size, 0.0) / 45.0)
    crowd = np.minimum(np.exp(holes.density_ln), 2.5)
    found = particle.per_um2 * particle.exposure_area_um2 * room * layers * apart * crowd * (1.0 - holes.cover) ** 2
    return np.asarray(np.where(ice > 0.0, found, 0.0))


def standing_loss_ln(truth: GridTruth, resolution_angstrom: float | None = None) -> Array:
    """Loss by the hole itself at a resolution (None: the target), (holes,). Heights: with k^4, the rest at all k."""
    holes, particle = truth.holes, truth.settings.particle
    ice, k = holes.ice_nm, 1.0 / (resolution_angstrom or particle.target_resolution_angstrom)
    electrons = ice / inelastic_mean_free_path_nm(VOLTAGE_KV) + np.log1p(ice / _NOISE_NM)
    phase = math.pi * _WAVELENGTH_ANGSTROM * k**2 * 10.0 * ice / math.sqrt(12.0)
    lying = 0.45 + 0.55 / (1.0 + np.exp(-(ice - 1.6 * particle.diameter_nm) / 4.0))
    return np.asarray(electrons + _HEIGHTS_LEFT * phase**2 - np.log(lying) + holes.cover)


def drift_angstrom_per_s(luck: Luck, wait_s: float | Array) -> Array:
    """Speed of the specimen after a wait: settles over some 8 s to what the stage always does."""
    start, end = 6.0 * np.exp(0.6 * luck.drift_start), 0.6 * np.exp(0.5 * luck.drift_end)
    return np.asarray(start * np.exp(-np.asarray(wait_s) / 8.0) + end)


def passing_loss_ln(
    truth: GridTruth, luck: Luck, conditions: Conditions, resolution_angstrom: float | None = None
) -> Array:
    """Loss by drift (with k^2) and by the coma of the image shift (with k^6) in a shot, (holes,)."""
    target = truth.settings.particle.target_resolution_angstrom
    k_ratio = target / (resolution_angstrom or target)
    drift = _drift_loss(drift_angstrom_per_s(luck, conditions.wait_s))
    return np.asarray(drift * k_ratio**2 + (np.asarray(conditions.image_shift_um) / _COMA_HARMS_UM) ** 2 * k_ratio**6)


def _drift_loss(speed_angstrom_per_s: Array) -> Array:
    """At the target resolution."""
    return np.asarray(np.minimum((speed_angstrom_per_s / _DRIFT_HARMS_A_S) ** 2, _MOST_DRIFT_LOSS))


def shoot(truth: GridTruth, luck: Luck, conditions: Conditions | None = None) -> Shots:
    """Every hole under the same conditions."""
    asked, holes = conditions or Conditions(), truth.holes
    speed = drift_angstrom_per_s(luck, asked.wait_s)
    drift_loss = _drift_loss(speed)
    rings = BEST_FIT_ANGSTROM * (1.0 + (holes.ice_nm / FIT_HALVES_NM) ** FIT_POWER) * (1.0 + 1.5 * holes.cover)
    rings = rings * np.sqrt(1.0 + 0.6 * drift_loss) * np.exp(0.07 * luck.fit)
    rings = np.where(luck.fails, 3.0 * rings, rings)
    nothing = holes.ice_nm < _VACUUM_NM
    rings = np.minimum(np.where(nothing, 11.0 * np.exp(0.25 * luck.fit), rings), _WORST_FIT_ANGSTROM)
    # Particles lie in clumps: gamma-mixed Poisson, by its quantiles (a cube-root normal: Wilson & Hilferty 1931).
    mean = mean_particles(truth)
    shape = 12.0
    normal = ndtri(np.clip(luck.particles, 1e-6, 1.0 - 1e-6))
    count = np.floor(mean * np.maximum(1.0 - 1.0 / (9.0 * shape) + normal / math.sqrt(9.0 * shape), 0.0) ** 3 + 0.5)
    quality = np.clip(1.0 - 0.02 * np.exp(np.abs(rings - 3.0) / 3.0), 0.0, 1.0)
    loss_ln = standing_loss_ln(truth) + passing_loss_ln(truth, luck, asked)
    return Shots(count, loss_ln, rings, speed, quality)


def expected_signal(truth: GridTruth, draws: int = 64) -> Array:
    """Mean effective signal of each hole over luck: all that can be known before a shot, (holes,)."""
    total = np.zeros(len(truth.holes))
    for again in range(1, draws + 1):
        total += shoot(truth, draw_luck(truth, again)).effective_signal
    return np.asarray(total / draws)
