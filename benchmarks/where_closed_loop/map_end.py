"""The map at the end of a run: what it truly comes to, and what was foretold from the signal at one resolution.

Truth: SSNR(k) = sum over usable exposures of particles * exp(-loss(k)), times a structure's fall-off; each cause of
loss has its own course with k. Foretold: ln S against 1/d^2 is a line of slope B/2 (Rosenthal & Henderson 2003, J. Mol.
Biol. 333, 721) through an early map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.simulation.grid.microscope import Exposure, SimulatedMicroscope

B_A2 = 90.0
SIGNAL_AT_3_ANGSTROM = 20_000.0
"""Effective particles that make a map of 3 A."""
_SSNR = 1.0 / 3.0
"""Where FSC is 0.143."""
B_ERROR, EARLY_MAP_ERROR = 0.15, 0.015
"""Relative, of what a running map tells of its B-factor and its resolution."""
_TENTH = 1.2816


@dataclass(frozen=True, slots=True)
class ForetoldMap:
    """Median and 80 % interval, angstrom."""

    middle: float
    low: float
    high: float


def true_resolution_angstrom(microscope: SimulatedMicroscope, exposures: Sequence[Exposure]) -> float:
    """Of the map from these exposures; infinite where there is no particle."""
    usable = [one for one in exposures if one.usable and one.particles > 0]
    if not usable:
        return math.inf
    level = math.log(_SSNR) + 0.5 * B_A2 / 9.0 - math.log(SIGNAL_AT_3_ANGSTROM)
    resolution = np.geomspace(1.8, 30.0, 57)
    ln_ssnr = np.array([_ln_ssnr(microscope, usable, float(d)) for d in resolution]) + level - math.log(_SSNR)
    above = np.flatnonzero(ln_ssnr >= 0.0)
    if not above.size:
        return math.inf
    at = int(above[0])
    if at == 0:
        return float(resolution[0])
    k2 = resolution**-2.0
    share = ln_ssnr[at] / (ln_ssnr[at] - ln_ssnr[at - 1])
    return float((k2[at] + share * (k2[at - 1] - k2[at])) ** -0.5)


def _ln_ssnr(microscope: SimulatedMicroscope, usable: Sequence[Exposure], resolution_angstrom: float) -> float:
    particles = np.array([one.particles for one in usable])
    signal = float(particles @ np.exp(-microscope.losses_ln(usable, resolution_angstrom)))
    return math.log(max(signal, 1e-9)) - 0.5 * B_A2 / resolution_angstrom**2


def foretold_map(
    early_angstrom: float, ln_gain: float, ln_gain_sd: float, rng: np.random.Generator
) -> ForetoldMap | None:
    """From an early map and by how much the signal will have grown (ln); None: there is no early map."""
    if not math.isfinite(early_angstrom):
        return None
    b_a2 = B_A2 * math.exp(B_ERROR * rng.normal())
    seen = early_angstrom * math.exp(EARLY_MAP_ERROR * rng.normal())
    gain = 2.0 / b_a2 * ln_gain
    middle = seen**-2.0 + gain
    sd = math.hypot(2.0 * EARLY_MAP_ERROR * seen**-2.0, B_ERROR * gain, 2.0 / b_a2 * ln_gain_sd)
    ends = [max(middle + sign * _TENTH * sd, 1e-4) ** -0.5 for sign in (1.0, -1.0)]
    return ForetoldMap(max(middle, 1e-4) ** -0.5, ends[0], ends[1])
