"""The law of the next citations against a simulated process and against scipy's negative binomial."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from frazil.models.evaluation.impact.growth_law import Mixture, growth_mixture


def law(
    *,
    citations: float,
    age: float,
    horizon: float,
    fitness: float,
    tau: float,
    mu: float = 1.0,
    sigma: float = 0.8,
    m: float = 4.0,
) -> Mixture:
    parameters = torch.tensor(
        [[math.log(fitness), math.log(tau), mu, math.log(sigma), math.log(m)]], dtype=torch.float64
    )
    one = torch.ones(1, dtype=torch.float64)
    return growth_mixture(parameters, citations * one, age * one, horizon)


def simulated(
    citations: int, age: float, horizon: float, fitness: float, mu: float, sigma: float, m: float
) -> np.ndarray:
    """Counts of 20,000 works, event by event: waiting times of the rate lambda (c + m), in the time that the ageing
    makes of years."""
    rng = np.random.default_rng(1)
    share = stats.norm.cdf((math.log(age + horizon) - mu) / sigma) - stats.norm.cdf((math.log(age) - mu) / sigma)
    left = np.full(20_000, fitness * share)
    count = np.zeros(20_000, int)
    while np.any(left > 0):
        left = left - rng.exponential(1.0 / (citations + count + m))
        count += left > 0
    return count


def test_a_known_fitness_gives_the_count_of_the_simulated_process() -> None:
    found = simulated(6, 2.0, 5.0, 1.5, 1.0, 0.8, 4.0)
    said = law(citations=6, age=2.0, horizon=5.0, fitness=1.5, tau=0.001)
    assert said.expected()[0] == pytest.approx(found.mean(), rel=0.02)
    share = 1.5 * (stats.norm.cdf((math.log(7) - 1) / 0.8) - stats.norm.cdf((math.log(2) - 1) / 0.8))
    assert said.expected()[0] == pytest.approx(10.0 * math.expm1(share), rel=0.002)
    for count in (0, 3, 8, 20):
        assert said.cumulative(np.array([count]))[0] == pytest.approx(np.mean(found <= count), abs=0.015)


def test_one_component_is_the_negative_binomial() -> None:
    mean, size = 3.7, 2.5
    one = Mixture(
        torch.tensor([[mean]], dtype=torch.float64),
        torch.tensor([[size]], dtype=torch.float64),
        torch.zeros(1).double(),
    )
    reference = stats.nbinom(size, size / (size + mean))
    for count in (0, 1, 5, 40):
        k = torch.tensor([float(count)], dtype=torch.float64)
        assert float(one.log_probability(k)[0]) == pytest.approx(reference.logpmf(count), abs=1e-9)
        assert one.cumulative(np.array([count]))[0] == pytest.approx(reference.cdf(count), abs=1e-9)
    for q in (0.01, 0.1, 0.5, 0.9, 0.999):
        assert one.quantile(q)[0] == reference.ppf(q)
    assert one.cumulative(np.array([-1]))[0] == 0.0


@pytest.mark.parametrize(("citations", "tau"), [(0, 0.3), (0, 1.5), (40, 0.8), (2000, 0.5)])
def test_probabilities_sum_to_one_and_agree_with_the_cumulative(citations: int, tau: float) -> None:
    said = law(citations=citations, age=1.0, horizon=5.0, fitness=0.8, tau=tau)
    top = int(said.quantile(0.999)[0])
    counts = torch.arange(0, top + 1, dtype=torch.float64)
    wide = Mixture(said.mean.expand(len(counts), -1), said.size.expand(len(counts), -1), said.log_weight)
    assert float(wide.log_probability(counts).exp().sum()) == pytest.approx(
        said.cumulative(np.array([top]))[0], abs=1e-6
    )
    assert said.cumulative(np.array([int(said.quantile(0.1)[0]) - 1]))[0] < 0.1


def test_an_uncertain_fitness_is_one_smooth_hill() -> None:
    """Nodes must not stand apart as peaks, also where a single one is sharp (many citations)."""
    said = law(citations=3000, age=2.0, horizon=5.0, fitness=1.0, tau=0.6)
    counts = torch.linspace(
        float(said.quantile(0.01)[0]), float(said.quantile(0.99)[0]), 200, dtype=torch.float64
    ).round()
    wide = Mixture(said.mean.expand(200, -1), said.size.expand(200, -1), said.log_weight)
    rising = torch.diff(wide.log_probability(counts)) > 0
    assert int((rising[1:] != rising[:-1]).sum()) <= 1


def test_more_years_more_fitness_and_more_citations_bring_more() -> None:
    base = {"citations": 5.0, "age": 1.0, "horizon": 5.0, "fitness": 0.8, "tau": 0.5}
    first = law(**base).expected()[0]
    for change in ({"horizon": 8.0}, {"fitness": 1.2}, {"citations": 9.0}):
        assert law(**{**base, **change}).expected()[0] > first
    assert law(**{**base, "age": 60.0}).expected()[0] < 0.05 * first
