"""The citation-graph network: messages along citations in both directions, the law of growth as its head.

Two rounds of messages (Gilmer et al. 2017, Proc. ICML 70, 1263) by index_add: a work hears the mean of those that cite
it, the same weighted by how recent the citation is, the sum of the recent ones, and the mean of what it cites. After
two rounds it has heard of works that are cited together with it, which is where a topic's popularity shows. The last
layer is linear in what was heard and in the work's own features, so that it can be fitted again to a graph's own past
without the rest (`impact_forecast.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from frazil.models.evaluation.impact.citation_features import FEATURES, work_features
from frazil.models.evaluation.impact.citation_graph import PATENT, CitationGraph
from frazil.models.evaluation.impact.growth_law import PARAMETERS, Mixture, growth_mixture

_HIDDEN = 32
_LAYERS = 2
_MESSAGES = 4
_RECENT_YEARS = 2.0
READ_OUT = _HIDDEN + len(FEATURES)
"""Inputs of the last layer."""
_START = (-0.5, -0.5, 1.5, 0.0, 1.5)
"""ln lambda, ln tau, mu, ln sigma, ln m before anything was learned: mu of 4.5 years, m of 4.5 citations."""


@dataclass(frozen=True, slots=True)
class GraphTensors:
    """A graph as the network takes it. features: (n, F); citing, cited: (m,); recency: (m,) exp(-age of the citation
    / 2 years); citations, patent_citations, age_years: (n,)."""

    features: Tensor
    citing: Tensor
    cited: Tensor
    recency: Tensor
    citations: Tensor
    patent_citations: Tensor
    age_years: Tensor


def graph_tensors(graph: CitationGraph, device: torch.device) -> GraphTensors:
    """At the graph's end."""
    n = len(graph)
    by_patents = graph.kind[graph.citing] == PATENT
    recency = np.exp((graph.published_year[graph.citing] - graph.as_of_year) / _RECENT_YEARS)

    def floats(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(device)

    return GraphTensors(
        floats(work_features(graph)),
        torch.from_numpy(graph.citing).to(device),
        torch.from_numpy(graph.cited).to(device),
        floats(recency),
        floats(np.bincount(graph.cited, minlength=n)),
        floats(np.bincount(graph.cited[by_patents], minlength=n)),
        floats(graph.as_of_year - graph.published_year),
    )


class _Round(nn.Module):
    """h -> h + silu(W [h, messages])."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(_HIDDEN * (1 + _MESSAGES), _HIDDEN)

    def forward(self, h: Tensor, graph: GraphTensors) -> Tensor:
        heard = [h, *_messages(h, graph)]
        result: Tensor = h + nn.functional.silu(self.mix(torch.cat(heard, 1)))
        return result


def _messages(h: Tensor, graph: GraphTensors) -> list[Tensor]:
    def gathered(values: Tensor, to: Tensor) -> Tensor:
        return torch.zeros((len(h), values.shape[1]), dtype=h.dtype, device=h.device).index_add_(0, to, values)

    ones = torch.ones_like(graph.recency)[:, None]
    recency = graph.recency[:, None]
    citers = h[graph.citing]
    recent, weight = gathered(citers * recency, graph.cited), gathered(recency, graph.cited)
    return [
        gathered(citers, graph.cited) / gathered(ones, graph.cited).clamp_min(1.0),
        recent / (weight + 0.1),
        recent / (1.0 + weight).sqrt(),
        gathered(h[graph.cited], graph.citing) / gathered(ones, graph.citing).clamp_min(1.0),
    ]


class ImpactNetwork(nn.Module):
    """11,674 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(len(FEATURES), _HIDDEN)
        self.rounds = nn.ModuleList(_Round() for _ in range(_LAYERS))
        self.last = nn.Linear(READ_OUT, 2 * PARAMETERS)
        with torch.no_grad():
            self.last.weight *= 0.1
            self.last.bias.copy_(torch.tensor([*_START, *_START]))

    def read_out(self, graph: GraphTensors) -> Tensor:
        """(n, READ_OUT): what the last layer sees."""
        h = nn.functional.silu(self.first(graph.features))
        for one in self.rounds:
            h = one(h, graph)
        return torch.cat([h, graph.features], 1)

    def forward(self, graph: GraphTensors) -> Tensor:
        """(n, 10): parameters of the law for all citations, then for those by patents."""
        result: Tensor = self.last(self.read_out(graph))
        return bounded(result)


def bounded(parameters: Tensor) -> Tensor:
    """Keeps parameters of the law where it can be computed: tau in 0.02 to 2, mu in -1 to 4, sigma in 0.3 to 3,
    m in 0.05 to 400 citations."""
    low = torch.tensor([-8.0, -4.0, -1.0, -1.2, -3.0] * 2, dtype=parameters.dtype, device=parameters.device)
    high = torch.tensor([4.0, 0.7, 4.0, 1.1, 6.0] * 2, dtype=parameters.dtype, device=parameters.device)
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + half * torch.tanh((parameters - middle) / half)


def mixtures(parameters: Tensor, graph: GraphTensors, horizon_years: float) -> tuple[Mixture, Mixture]:
    """Of all citations, and of those by patents, within the years after the graph's end."""
    return (
        growth_mixture(parameters[:, :PARAMETERS], graph.citations, graph.age_years, horizon_years),
        growth_mixture(parameters[:, PARAMETERS:], graph.patent_citations, graph.age_years, horizon_years),
    )
