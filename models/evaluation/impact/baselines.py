"""What the forecast has to beat: preferential attachment, and a regression on the same features.

Both are fitted by maximum likelihood to what a graph's works gained in the years before, and both have a dispersion of
their own, so that log-likelihoods can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frazil.models.evaluation.impact.citation_features import work_features
from frazil.models.evaluation.impact.citation_graph import CitationGraph, Indices
from frazil.models.evaluation.impact.growth_law import Mixture

_RIDGE = 1.0
"""Squared standardised coefficients weigh as much as this many nats each: a hundredth of a work's information."""


@dataclass(frozen=True, slots=True)
class PreferentialAttachment:
    """Mean rate * (citations + offset); size size_constant + size_share * (citations + offset).

    A pure linear birth process has size_share 1 and size_constant 0 (`growth_law.py`); less is a wider law, for works
    that differ in more than their citations.
    """

    rate: float
    offset: float
    size_share: float
    size_constant: float

    def law(self, graph: CitationGraph) -> Mixture:
        """(n,) negative binomials, as a mixture of one."""
        citations = torch.from_numpy(np.bincount(graph.cited, minlength=len(graph)).astype(np.float64))
        attraction = citations + self.offset
        size = self.size_constant + self.size_share * attraction
        return _single(self.rate * attraction, size)


def fit_preferential_attachment(graph: CitationGraph, gained: Indices) -> PreferentialAttachment:
    """From the graph at a time and the (n,) citations that its works gained after it."""
    citations = torch.from_numpy(np.bincount(graph.cited, minlength=len(graph)).astype(np.float64))
    counts = torch.from_numpy(gained.astype(np.float64))

    def law(p: Tensor) -> Mixture:
        rate, offset, share, constant = p.exp().unbind()
        return _single(rate * (citations + offset), constant + share * (citations + offset))

    rate = (gained.sum() + 1.0) / (float(citations.sum()) + len(graph) + 1.0)
    start = torch.tensor([float(np.log(rate)), 1.0, -1.0, -1.0], dtype=torch.float64)
    best = _minimise(start, lambda p: -law(p).log_probability(counts).sum() + 0.01 * p.square().sum())
    rate, offset, share, constant = best.exp().tolist()
    return PreferentialAttachment(rate, offset, share, constant)


@dataclass(frozen=True, slots=True)
class FeatureRegression:
    """Negative binomial regression with a logarithmic link; the size, too, is log-linear in the features (Hilbe 2011,
    Negative Binomial Regression, ch. 10)."""

    centre: Tensor
    scale: Tensor
    mean_coefficients: Tensor
    """Constant last."""
    size_coefficients: Tensor

    def law(self, graph: CitationGraph) -> Mixture:
        """(n,) negative binomials, as a mixture of one."""
        design = _design(torch.from_numpy(work_features(graph)), self.centre, self.scale)
        return _regression_law(design, self.mean_coefficients, self.size_coefficients)


def fit_regression(*examples: tuple[CitationGraph, Indices]) -> FeatureRegression:
    """From graphs at a time, each with the (n,) citations that its works gained after it."""
    features = torch.cat([torch.from_numpy(work_features(graph)) for graph, _ in examples])
    centre, scale = features.mean(0), features.std(0, correction=0)
    # A column that never changes here says nothing here.
    scale = torch.where(scale > 1e-6, scale, torch.inf)
    design = _design(features, centre, scale)
    counts = torch.from_numpy(np.concatenate([gained for _, gained in examples]).astype(np.float64))
    columns = design.shape[1]

    def cost(p: Tensor) -> Tensor:
        mean, size = p[:columns], p[columns:]
        penalty = _RIDGE * (mean[:-1].square().sum() + 10.0 * size[:-1].square().sum())
        return -_regression_law(design, mean, size).log_probability(counts).sum() + penalty

    start = torch.zeros(2 * columns, dtype=torch.float64)
    start[columns - 1] = float(torch.log(counts.mean() + 0.01))
    best = _minimise(start, cost)
    return FeatureRegression(centre, scale, best[:columns], best[columns:])


def _design(features: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    standardised = ((features - centre) / scale).clamp(-6.0, 6.0)
    return torch.cat([standardised, torch.ones(len(features), 1, dtype=torch.float64)], 1)


def _regression_law(design: Tensor, mean: Tensor, size: Tensor) -> Mixture:
    return _single((design @ mean).clamp(-12.0, 12.0).exp(), (design @ size).clamp(-6.0, 12.0).exp())


def _single(mean: Tensor, size: Tensor) -> Mixture:
    return Mixture(mean.clamp_min(1e-8)[:, None], size[:, None], torch.zeros(1, dtype=mean.dtype))


def _minimise(start: Tensor, cost: Callable[[Tensor], Tensor]) -> Tensor:
    p = start.clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([p], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-8)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = cost(p)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return p.detach()
