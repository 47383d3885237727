"""How far rings go, where the truth is known: spectra whose rings end at 3.2 to 4.6 A, through and beneath water's own
peak at 3.7 A. Nothing here is code of the fit but the function under test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from frazil.models.ctf_fit.fit_end import FitEnd, fit_end
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.profiles import RingProfile
from frazil.models.ctf_fit.ring_model import RingParameters

WAVELENGTH_ANGSTROM, CS_ANGSTROM = 0.019687, 2.7e7
OPTICS = RingOptics(300.0, 2.7, 0.1)
ENDS = (4.6, 4.5, 4.4, 4.3, 4.2, 4.1, 4.0, 3.9, 3.8, 3.7, 3.6, 3.5, 3.4, 3.3, 3.2)


def spectrum(
    end_angstrom: float, seed: int, *, defocus: float = 15_000.0, noise: float = 0.05, ice: float = 0.5,
    crystals: float = 0.0,
) -> RingProfile:  # fmt: skip
    """Means of exponential samples about 1 + rings + water. `noise`: of a bin at 4 A."""
    width = 0.0008
    k = 0.033 + (np.arange(500) + 0.5) * width
    twice_chi = (
        2 * math.pi * WAVELENGTH_ANGSTROM * defocus * k**2 - math.pi * CS_ANGSTROM * WAVELENGTH_ANGSTROM**3 * k**4
    )
    pattern = -np.cos(twice_chi + 2 * math.asin(0.1))
    amplitude = 0.2 * (k < 1 / end_angstrom)
    water = ice * np.where(np.abs(k - 0.266) < 0.021, 0.5 * (1 + np.cos(np.pi * (k - 0.266) / 0.021)), 0.0)
    for place in (1 / 3.90, 1 / 3.67, 1 / 3.44):
        water = water + crystals * np.exp(-0.5 * ((k - place) / 0.0012) ** 2)
    count = (k / 0.25) / noise**2
    scatter = 1 + np.random.default_rng(seed).normal(0, 1, k.size) / np.sqrt(count)
    return RingProfile(0.033, width, (1 + amplitude * pattern + water) * scatter - 1, pattern, count)


def end_of(profile: RingProfile, defocus: float = 15_000.0) -> FitEnd:
    found = fit_end(profile, OPTICS, RingParameters(defocus, 0.0, 0.0, 0.0))
    assert found is not None
    return found


def mean_end(end: float, **how: float) -> float:
    """(A) of eight spectra, averaged as frequency."""
    defocus = how.get("defocus", 15_000.0)
    return 1 / float(
        np.mean([1 / end_of(spectrum(end, seed, **how), defocus).resolution_angstrom for seed in range(8)])
    )


@pytest.mark.parametrize("ice", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("defocus", [12_000.0, 15_000.0, 25_000.0])
def test_the_end_is_unbiased_and_monotone_through_waters_band(defocus: float, ice: float) -> None:
    told = [mean_end(end, defocus=defocus, ice=ice) for end in ENDS]
    off = np.array([1 / one - 1 / end for one, end in zip(told, ENDS, strict=True)])
    within = np.array([3.5 < end < 4.1 for end in ENDS])
    # 0.006 1/A are half a window, 0.09 A at 3.9 A; the former mask was 0.036 1/A wide.
    assert np.abs(off).max() < 0.006
    assert abs(off[within].mean() - off[~within].mean()) < 0.003, "in the band as outside of it"
    assert all(later < earlier for earlier, later in itertools.pairwise(told)), told


def test_no_value_is_avoided() -> None:
    """Ends drawn evenly over 3.3 to 4.3 A: the former criterion told none between 3.53 and 4.05."""
    ends = 1 / np.random.default_rng(1).uniform(1 / 4.3, 1 / 3.3, 300)
    told = 1 / np.array([end_of(spectrum(end, seed)).resolution_angstrom for seed, end in enumerate(ends)])
    edges = np.linspace(1 / 4.3, 1 / 3.3, 8)
    counts = np.histogram(told, edges)[0]
    assert counts.min() > 0.5 * 300 / 7
    assert counts.max() < 1.7 * 300 / 7


def test_the_error_is_what_it_scatters_by() -> None:
    """68 % of the ends lie within it, give or take; none is far out."""
    rng = np.random.default_rng(2)
    off = []
    for seed in range(200):
        end = float(1 / rng.uniform(1 / 4.6, 1 / 3.2))
        found = end_of(spectrum(end, seed))
        off.append((found.resolution_angstrom - end) / found.sd_angstrom)
    share = float(np.mean(np.abs(off) < 1.0))
    assert 0.6 < share < 0.95
    assert np.abs(off).max() < 4.0


@pytest.mark.parametrize("crystals", [2.0, 3.0])
def test_crystalline_ice_leaves_its_band_out_and_the_error_says_so(crystals: float) -> None:
    """Rings that go beyond it are seen to, rings that end before it end there; in between the error is wide."""
    beyond, before, within = (
        [end_of(spectrum(end, seed, crystals=crystals)) for seed in range(8)] for end in (3.1, 4.6, 3.7)
    )
    assert np.median([one.resolution_angstrom for one in beyond]) == pytest.approx(3.1, abs=0.1)
    assert np.median([one.resolution_angstrom for one in before]) == pytest.approx(4.6, abs=0.15)
    assert all(one.sd_angstrom > 0.15 for one in within)
    assert all(abs(one.resolution_angstrom - 3.7) < 2.5 * one.sd_angstrom for one in within)


def test_noise_has_no_end() -> None:
    profile = spectrum(1e6, 3)
    assert fit_end(profile, OPTICS, RingParameters(15_000.0, 0.0, 0.0, 0.0)) is None
