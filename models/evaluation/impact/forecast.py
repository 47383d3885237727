"""How often a work will be cited in five years, from a graph that ends now; how well that has held on its past.

The shipped network comes from synthetic graphs, and no field of science is one of those. So its last layer can be
fitted again on the graph itself, five years back: what the works of then have gained since, with a ridge (a Gaussian
prior around the shipped weights). Works of one graph share its fashions, so that a fit takes the chance of one period
for a rule; how stiff the ridge has to be is asked of the graph: fitted ten years back, scored on the five years after
that. That score is also the measure of how far to believe the forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from frazil.models.evaluation.impact.baselines import (
    fit_preferential_attachment,
    fit_regression,
)
from frazil.models.evaluation.impact.citation_graph import CitationGraph, Floats, Indices
from frazil.models.evaluation.impact.growth_law import Mixture
from frazil.models.evaluation.impact.network import (
    GraphTensors,
    ImpactNetwork,
    bounded,
    graph_tensors,
    mixtures,
)

HORIZON_YEARS = 5.0
RIDGES = (1e4, 1e5)
"""Nats for moving an output by one (through an input that varies by one): the graph may say a lot, or little."""
_LEAST_GAIN = 0.03
"""Nats a work by which a fitted layer must have forecast better than the shipped one: two standard errors for 1,000
works that were independent. They are not, and what is fitted for nothing costs coverage."""
LEAST_WORKS = 100
"""Fewer teach nothing about 570 weights, and their calibration could not be told from chance."""
_MOST_WORKS = 20_000
"""To fit the last layer on: more change nothing and take time."""
_SEED = 5


@dataclass(frozen=True, slots=True)
class Past:
    """A graph as it was, and what its works have gained since within `HORIZON_YEARS`."""

    graph: CitationGraph
    gained: Indices
    gained_from_patents: Indices


def past_of(whole: CitationGraph, now_year: float) -> Past:
    """`whole` must reach `HORIZON_YEARS` beyond `now_year`."""
    graph, index = whole.until(now_year)
    end = now_year + HORIZON_YEARS
    return Past(
        graph,
        whole.citations_between(now_year, end)[index],
        whole.citations_between(now_year, end, patents_only=True)[index],
    )


@dataclass(frozen=True, slots=True)
class LastLayer:
    """(10, READ_OUT) and (10,)."""

    weight: Tensor
    bias: Tensor

    def parameters(self, read_out: Tensor) -> Tensor:
        return bounded(read_out @ self.weight.T + self.bias)


def shipped_layer(network: ImpactNetwork) -> LastLayer:
    return LastLayer(network.last.weight.detach(), network.last.bias.detach())


def adapted_layer(network: ImpactNetwork, past: Past, device: torch.device, *, ridge: float) -> LastLayer:
    """The last layer as the graph's own past would have it; the shipped one if the past has fewer than 100 works."""
    shipped = shipped_layer(network)
    if len(past.graph) < LEAST_WORKS:
        return shipped
    tensors = graph_tensors(past.graph, device)
    with torch.no_grad():
        read_out = network.read_out(tensors)
    chosen = np.arange(len(past.graph))
    if len(chosen) > _MOST_WORKS:
        chosen = np.sort(np.random.default_rng(_SEED).choice(chosen, _MOST_WORKS, replace=False))
    index = torch.from_numpy(chosen).to(device)
    counts = [
        torch.from_numpy(c[chosen].astype(np.float32)).to(device) for c in (past.gained, past.gained_from_patents)
    ]
    read_out, few = read_out[index], _rows(tensors, index)
    scale = read_out.std(0, correction=0)
    weight = torch.zeros_like(shipped.weight, requires_grad=True)
    bias = torch.zeros_like(shipped.bias, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe", tolerance_change=1e-7)

    def closure() -> Tensor:
        optimiser.zero_grad()
        parameters = bounded(read_out @ (shipped.weight + weight).T + shipped.bias + bias)
        laws = mixtures(parameters, few, HORIZON_YEARS)
        cost = sum(
            (-law.log_probability(count).sum() for law, count in zip(laws, counts, strict=True)), torch.zeros(())
        )
        cost = cost + ridge * ((weight * scale).square().sum() + bias.square().sum())
        cost.backward()  # type: ignore[no-untyped-call]
        return cost

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    moved = LastLayer(shipped.weight + weight.detach(), shipped.bias + bias.detach())
    return moved if bool(torch.isfinite(moved.weight).all() and torch.isfinite(moved.bias).all()) else shipped


def _rows(graph: GraphTensors, index: Tensor) -> GraphTensors:
    """Some works; citations among them are left out (the last layer looks at none)."""
    none = torch.zeros(0, dtype=torch.int64, device=index.device)
    return GraphTensors(
        graph.features[index],
        none,
        none,
        graph.recency[:0],
        graph.citations[index],
        graph.patent_citations[index],
        graph.age_years[index],
    )


@torch.no_grad()
def forecast_laws(
    network: ImpactNetwork, layer: LastLayer, graph: CitationGraph, device: torch.device
) -> tuple[Mixture, Mixture]:
    """The laws of all works: citations, and citations by patents, in the next five years."""
    tensors = graph_tensors(graph, device)
    return mixtures(layer.parameters(network.read_out(tensors)), tensors, HORIZON_YEARS)


@dataclass(frozen=True, slots=True)
class Backtest:
    """What would have been forecast five years ago, against what came. Log-likelihoods in nats a work."""

    year: float
    works: int
    ridge: float | None
    """Of the last layer that forecast best; None: the shipped one did, or lost less than `_LEAST_GAIN`."""
    log_likelihood: float
    log_likelihood_preferential_attachment: float
    log_likelihood_regression: float
    rank_correlation: float
    """Spearman's, of the expected and the true count."""
    coverage_80: float
    """Share of works whose randomised PIT lies in the middle 0.8: 80 % intervals, were counts not whole numbers."""
    pit_distance: float
    """Largest distance of the PIT's distribution from the uniform one (Kolmogorov's)."""


def backtest(network: ImpactNetwork, graph: CitationGraph, device: torch.device) -> Backtest | None:
    """None where the graph of five years ago, or of ten years ago, has fewer than 100 works."""
    now = past_of(graph, graph.as_of_year - HORIZON_YEARS)
    before = past_of(now.graph, graph.as_of_year - 2 * HORIZON_YEARS)
    if len(before.graph) < LEAST_WORKS or not before.gained.any() or not now.gained.any():
        return None
    laws: dict[float | None, Mixture] = {}
    for ridge in (None, *RIDGES):
        layer = shipped_layer(network) if ridge is None else adapted_layer(network, before, device, ridge=ridge)
        laws[ridge] = forecast_laws(network, layer, now.graph, device)[0]
    scores = {ridge: log_likelihood(law, now.gained) for ridge, law in laws.items()}
    best = max(scores, key=lambda ridge: scores[ridge] - (0.0 if ridge is None else _LEAST_GAIN))
    u = np.sort(pit(laws[best], now.gained, np.random.default_rng(_SEED)))
    steps = np.arange(len(u) + 1) / len(u)
    return Backtest(
        year=now.graph.as_of_year,
        works=len(now.graph),
        ridge=best,
        log_likelihood=scores[best],
        log_likelihood_preferential_attachment=log_likelihood(
            fit_preferential_attachment(before.graph, before.gained).law(now.graph), now.gained
        ),
        log_likelihood_regression=log_likelihood(
            fit_regression((before.graph, before.gained)).law(now.graph), now.gained
        ),
        rank_correlation=float(stats.spearmanr(laws[best].expected(), now.gained).statistic),
        coverage_80=float(np.mean((u > 0.1) & (u < 0.9))),
        pit_distance=float(np.max(np.maximum(np.abs(u - steps[1:]), np.abs(u - steps[:-1])))),
    )


def forecast_of_graph(
    network: ImpactNetwork, graph: CitationGraph, device: torch.device
) -> tuple[LastLayer, Backtest | None]:
    """The last layer with which this graph is to be forecast, and how it has held."""
    held = backtest(network, graph, device)
    if held is None or held.ridge is None:
        return shipped_layer(network), held
    return adapted_layer(network, past_of(graph, held.year), device, ridge=held.ridge), held


def log_likelihood(law: Mixture, counts: Indices) -> float:
    """Mean over works."""
    return float(law.log_probability(torch.from_numpy(counts).to(law.mean)).mean())


def pit(law: Mixture, counts: Indices, generator: np.random.Generator) -> Floats:
    """(n,) randomised probability integral transform: uniform if the law is right, for counts too (Czado, Gneiting &
    Held 2009, Biometrics 65, 1254)."""
    below, at = law.cumulative(counts - 1), law.cumulative(counts)
    return np.asarray(below + generator.random(len(counts)) * (at - below))
