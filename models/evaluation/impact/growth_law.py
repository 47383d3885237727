"""The law of a work's next citations: a reinforced Poisson process with ageing whose fitness is not quite known.

A work with c citations attracts the next at a rate lambda f(age) (c + m), f the lognormal density of its age (Wang,
Song & Barabasi 2013, Science 342, 127; as a process: Shen et al. 2014, AAAI, 291). This is a linear birth process with
immigration, so that the number of further citations between two ages is *exactly* negative binomial,

    size c + m, mean (c + m) (exp(Lambda) - 1), Lambda = lambda (Phi((ln a2 - mu) / sigma) - Phi((ln a1 - mu) / sigma)).

ln lambda is known to a Gaussian of sd tau. 0.36 tau^2 of its variance is summed over five Gauss-Hermite nodes, the rest
widens each node's negative binomial (by its mean's relative variance): one smooth mixture, for c = 0 and for c = 1,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

_NODES = 5
_BETWEEN, _WITHIN = 0.6, 0.8
"""Shares of tau: 0.6^2 + 0.8^2 = 1. Nodes lie 1.36 x 0.6 tau apart, about as wide as each is."""
_MOST_LAMBDA = 6.0
"""A factor of 400 in five years: nothing is followed further."""
PARAMETERS = 5
"""ln lambda, ln tau, mu, ln sigma, ln m of each work."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """(n, 5) negative binomials with common weights (5,): mean and size of each."""

    mean: Tensor
    size: Tensor
    log_weight: Tensor

    def log_probability(self, count: Tensor) -> Tensor:
        """(n,) of (n,) counts."""
        k, r, mu = count[:, None], self.size, self.mean
        each = (
            torch.lgamma(k + r)
            - torch.lgamma(r)
            - torch.lgamma(k + 1.0)
            - r * torch.log1p(mu / r)
            + k * (torch.log(mu) - torch.log(r + mu))
        )
        return torch.logsumexp(each + self.log_weight, dim=1)

    def expected(self) -> NDArray[np.float64]:
        """(n,) mean."""
        return np.asarray((self.mean * self.log_weight.exp()).sum(1).numpy(), np.float64)

    def cumulative(self, count: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) probability of (n,) `count` or fewer; 0 below zero."""
        r, mu = self.size.numpy().astype(np.float64), self.mean.numpy().astype(np.float64)
        inside = np.maximum(count, 0)[:, None].astype(np.float64)
        each = special.betainc(r, inside + 1.0, r / (r + mu))
        return np.where(count >= 0, each @ self.log_weight.exp().numpy().astype(np.float64), 0.0)

    def quantile(self, probability: float) -> NDArray[np.int64]:
        """(n,) the smallest count with at least this much probability up to it."""
        low = np.full(len(self.mean), -1, np.int64)
        high = np.ones(len(self.mean), np.int64)
        while np.any(short := self.cumulative(high) < probability):
            high = np.where(short, 2 * high, high)
        while np.any(high - low > 1):
            middle = (low + high) // 2
            enough = self.cumulative(middle) >= probability
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high

    def rows(self, index: NDArray[np.int64]) -> Mixture:
        """Of some works."""
        chosen = torch.from_numpy(np.asarray(index, np.int64))
        return Mixture(self.mean[chosen], self.size[chosen], self.log_weight)


def growth_mixture(parameters: Tensor, citations: Tensor, age_years: Tensor, horizon_years: float) -> Mixture:
    """What (n, 5) `parameters` say of the next `horizon_years` of works that are `age_years` (n,) old and have
    `citations` (n,)."""
    log_fitness, log_tau, mu, log_sigma, log_m = parameters.unbind(1)
    tau, sigma = log_tau.exp(), log_sigma.exp()
    immigrated = citations + log_m.exp()
    share = _ripened(age_years + horizon_years, mu, sigma) - _ripened(age_years, mu, sigma)
    log_middle = log_fitness + torch.log(share.clamp_min(1e-8))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    z = torch.as_tensor(nodes, dtype=parameters.dtype, device=parameters.device)
    log_weight = torch.as_tensor(np.log(weights / weights.sum()), dtype=parameters.dtype, device=parameters.device)
    log_lambda = log_middle[:, None] + _BETWEEN * tau[:, None] * z
    total = _bounded(log_lambda)
    mean = immigrated[:, None] * torch.expm1(total)
    steepness = total / -torch.expm1(-total)
    relative = torch.expm1((_WITHIN * tau[:, None] * steepness).square().clamp(max=6.0))
    reinforced = 1.0 / immigrated[:, None]
    size = 1.0 / (reinforced + relative + reinforced * relative)
    return Mixture(mean.clamp_min(1e-8), size.clamp(1e-4, 1e7), log_weight)


def _ripened(age_years: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Share of a work's attraction that lies before an age."""
    return 0.5 * torch.erfc(-(torch.log(age_years.clamp_min(1e-3)) - mu) / (sigma * math.sqrt(2.0)))


def _bounded(log_lambda: Tensor) -> Tensor:
    """exp(x), bent over towards `_MOST_LAMBDA` smoothly, so that a gradient is left there; below 2 within 0.3 %."""
    free = torch.exp(log_lambda.clamp(max=6.0))
    return free / (1.0 + (free / _MOST_LAMBDA).pow(4)).pow(0.25)
