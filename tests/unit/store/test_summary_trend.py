"""Advice about a trend is for trends: not for the noise of a few movies, not for changes too small to matter."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.daemon.report.summary.advice import is_worse
from frazil.daemon.report.summary.collect import METRICS, chance_of_larger, quarters
from frazil.daemon.report.summary.records import Metric

SPREAD = {
    "ctf_fit_angstrom": (4.5, 0.9),
    "astigmatism_angstrom": (70.0, 45.0),
    "motion_total_angstrom": (12.0, 5.0),
    "motion_early_angstrom": (3.0, 1.5),
    "ice_ring_density": (0.3, 0.2),
    "ice_nm": (45.0, 15.0),
    "relative_ice_thickness": (0.4, 0.2),
}
"""Median and spread of noisy sessions; astigmatism as in the one that was told of 48 A against 86 A."""


def metric(name: str, values: list[float]) -> Metric:
    early, late, p = quarters(values)
    return Metric(name, name, "", True, len(values), float(np.median(values)), 0.0, 0.0, early, late, p)


def noise(rng: np.random.Generator, name: str, count: int) -> list[float]:
    middle, spread = SPREAD[name]
    sigma = float(np.log1p(spread / middle))
    return list((middle * np.exp(rng.normal(0.0, sigma, count))).tolist())


@pytest.mark.parametrize("movies", [20, 24, 200])
def test_sessions_without_a_trend_are_told_of_none(movies: int) -> None:
    assert set(SPREAD) == {name for name, _, _, less_is_better in METRICS if less_is_better}
    rng = np.random.default_rng(movies)
    told = sum(any(is_worse(metric(name, noise(rng, name, movies))) for name in SPREAD) for _ in range(200))
    assert told < 10


@pytest.mark.parametrize("name", SPREAD)
def test_a_doubling_is_told(name: str) -> None:
    rng = np.random.default_rng(1)
    rising = np.array(noise(rng, name, 200)) * np.linspace(1.0, 2.5, 200)
    scale = 3.0 if name == "astigmatism_angstrom" else 1.0  # 70 A more is nothing to correct
    assert is_worse(metric(name, (scale * rising).tolist()))


def test_a_sure_change_that_does_not_matter_is_not_told() -> None:
    assert not is_worse(metric("astigmatism_angstrom", np.linspace(20.0, 120.0, 400).tolist()))
    assert is_worse(metric("astigmatism_angstrom", np.linspace(20.0, 520.0, 400).tolist()))


def test_chance_of_two_separate_fives() -> None:
    assert chance_of_larger([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(1 / 252)
    assert chance_of_larger([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == pytest.approx(1.0)
    assert chance_of_larger([], []) is None
