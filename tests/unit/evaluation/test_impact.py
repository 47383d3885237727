"""The forecast of citations: where its answer is known, where there is none, and what the verdict says of itself."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from frazil.models.evaluation.impact import evaluator as impact
from frazil.models.evaluation.impact.baselines import fit_preferential_attachment, fit_regression
from frazil.models.evaluation.impact.citation_graph import CitationGraph
from frazil.models.evaluation.impact.citation_growth import synthetic_graph
from frazil.models.evaluation.impact.forecast import (
    LEAST_WORKS,
    adapted_layer,
    backtest,
    forecast_laws,
    forecast_of_graph,
    log_likelihood,
    past_of,
    pit,
    shipped_layer,
)
from frazil.models.evaluation.impact.weights import shipped_network
from frazil.models.evaluation.verdict import LEAST_RELIABILITY, Verdict

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def graph() -> CitationGraph:
    return synthetic_graph(31)


@pytest.fixture(scope="module")
def verdict(graph: CitationGraph) -> Verdict:
    return ask(graph, impact.ImpactRequest(popular(graph), ()))


def ask(graph: CitationGraph, request: impact.ImpactRequest) -> Verdict:
    return impact.forecast(graph, request, shipped_network(CPU), CPU)


def popular(graph: CitationGraph) -> str:
    """The work that was cited most in the last two years."""
    return graph.work_ids[int(graph.citations_between(graph.as_of_year - 2.0, math.inf).argmax())]


def empty(years: list[float]) -> CitationGraph:
    n, none = len(years), np.zeros(0, np.int64)
    return CitationGraph(
        tuple(f"W{i}" for i in range(n)),
        np.array(years),
        np.zeros(n, np.int8),
        np.full(n, -1, np.int32),
        (),
        none,
        none,
        2020.0,
    )


def pure_attachment(seed: int) -> CitationGraph:
    """Yule's process by another hand than the generator's: in each month the works of then share a number of
    citations by c + 3, whatever their age; 60 works a year, 30 years."""
    rng = np.random.default_rng(seed)
    years, count = [], np.zeros(0)
    citing, cited = [], []
    for month in range(360):
        for _ in range(5):
            if len(count) > 20:
                chance = count + 3.0
                targets = rng.choice(len(count), 6, replace=False, p=chance / chance.sum())
                citing += [len(count)] * 6
                cited += targets.tolist()
                count[targets] += 1.0
            years.append(1990.0 + (month + rng.random()) / 12.0)
            count = np.append(count, 0.0)
    n = len(years)
    return CitationGraph(
        tuple(f"W{i}" for i in range(n)),
        np.array(years),
        np.zeros(n, np.int8),
        np.zeros(n, np.int32),
        ("one",),
        np.array(citing),
        np.array(cited),
        2020.0,
    )


def test_where_attachment_is_all_there_is_its_baseline_is_not_beaten() -> None:
    whole = pure_attachment(2)
    now = past_of(whole, 2015.0)
    before = past_of(now.graph, 2010.0)
    baseline = fit_preferential_attachment(before.graph, before.gained)
    network = shipped_network(CPU)
    layer, _ = forecast_of_graph(network, now.graph, CPU)
    told = log_likelihood(forecast_laws(network, layer, now.graph, CPU)[0], now.gained)
    known = log_likelihood(baseline.law(now.graph), now.gained)
    assert baseline.offset == pytest.approx(3.0, rel=0.5)
    assert told < known + 0.01
    # Nor does the network, which has never seen such a graph, fall far behind it.
    assert told > known - 0.1


def test_more_than_the_baselines_is_known_where_there_is_more_to_know(graph: CitationGraph) -> None:
    now = past_of(graph, graph.as_of_year - 5.0)
    before = past_of(now.graph, graph.as_of_year - 10.0)
    network = shipped_network(CPU)
    told = log_likelihood(forecast_laws(network, shipped_layer(network), now.graph, CPU)[0], now.gained)
    attachment = fit_preferential_attachment(before.graph, before.gained).law(now.graph)
    regression = fit_regression((before.graph, before.gained)).law(now.graph)
    assert told > log_likelihood(attachment, now.gained) + 0.1
    assert told > log_likelihood(regression, now.gained)


def test_neither_the_order_nor_the_names_of_works_matter(graph: CitationGraph, verdict: Verdict) -> None:
    rng = np.random.default_rng(4)
    order, edges = rng.permutation(len(graph)), rng.permutation(len(graph.citing))
    place = np.empty(len(graph), np.int64)
    place[order] = np.arange(len(graph))
    asked = place[graph.index_of(popular(graph))]
    turned = CitationGraph(
        tuple(f"X{i}" for i in range(len(graph))),
        graph.published_year[order],
        graph.kind[order],
        graph.field[order],
        graph.field_names,
        place[graph.citing[edges]],
        place[graph.cited[edges]],
        graph.as_of_year,
    )
    again = ask(turned, impact.ImpactRequest(f"X{asked}", ()))
    assert again.verdict == pytest.approx(verdict.verdict, abs=1.0)
    assert again.evidence["mean"] == pytest.approx(verdict.evidence["mean"], rel=2e-3)
    assert again.evidence["citations_so_far"] == verdict.evidence["citations_so_far"]


def test_the_same_question_has_the_same_answer(graph: CitationGraph, verdict: Verdict) -> None:
    assert ask(graph, impact.ImpactRequest(popular(graph), ())) == verdict


def test_a_verdict_says_what_it_rests_on(graph: CitationGraph, verdict: Verdict) -> None:
    evidence = verdict.evidence
    low, high = evidence["interval_80"]
    assert low <= evidence["median"] == verdict.verdict <= high
    assert verdict.verdict > 5.0  # the most cited work of the last two years
    sigma = verdict.uncertainty / (1.0 + verdict.verdict)
    assert 2 * 1.2816 * sigma == pytest.approx(math.log1p(high) - math.log1p(low))
    assert 0.7 < evidence["backtest"]["coverage_80"] < 0.9
    assert evidence["backtest"]["log_likelihood"] > evidence["backtest"]["log_likelihood_preferential_attachment"]
    works, distance = evidence["backtest"]["works"], evidence["backtest"]["pit_distance"]
    assert verdict.reliability == pytest.approx((1 - distance) * works / (works + 20))
    assert verdict.does_not_know == ()
    json.dumps(dict(evidence), allow_nan=False)


def test_a_new_structure_is_forecast_by_what_it_will_cite(graph: CitationGraph) -> None:
    recent = graph.citations_between(graph.as_of_year - 2.0, math.inf)
    hot = [graph.work_ids[i] for i in np.argsort(-recent)[:8]]
    old = graph.published_year < graph.as_of_year - 12.0
    cold = [graph.work_ids[i] for i in np.flatnonzero(old & (recent == 0))[:8]]
    warm, cool = (ask(graph, impact.ImpactRequest(None, tuple(ids))) for ids in (hot, [*cold, "W-unknown"]))
    assert warm.evidence["mean"] > 1.5 * cool.evidence["mean"]
    assert warm.evidence["citations_so_far"] == 0
    assert warm.evidence["references_in_graph"] == 8
    assert "cites the named references" in warm.does_not_know[0]
    assert "1 of the references are not in the graph" in cool.does_not_know


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (impact.ImpactRequest("W-unknown", ()), "work W-unknown is not in the citation graph"),
        (impact.ImpactRequest(None, ("A", "B")), "none of the references is in the citation graph"),
        (impact.ImpactRequest(None, ()), "neither a work nor references were named"),
    ],
)
def test_what_cannot_be_said_is_never_a_number(graph: CitationGraph, request_: impact.ImpactRequest, why: str) -> None:
    said = ask(graph, request_)
    assert said.verdict is None
    assert why in said.does_not_know[0]


def test_a_graph_without_citations_gives_a_doubted_answer_and_an_empty_one_none() -> None:
    lonely = ask(empty([2019.5]), impact.ImpactRequest("W0", ()))
    assert lonely.verdict is not None
    assert lonely.reliability == LEAST_RELIABILITY
    assert "too little past" in lonely.does_not_know[0]
    assert ask(empty([]), impact.ImpactRequest("W0", ())).verdict is None
    many = empty(np.linspace(1990.0, 2019.9, 3 * LEAST_WORKS).tolist())
    assert backtest(shipped_network(CPU), many, CPU) is None  # nothing was ever cited: nothing to hold it against
    assert ask(many, impact.ImpactRequest("W7", ())).reliability == LEAST_RELIABILITY


def test_a_layer_moves_to_the_graphs_past_as_far_as_its_ridge_lets_it(graph: CitationGraph) -> None:
    network = shipped_network(CPU)
    past = past_of(graph, graph.as_of_year - 5.0)
    free, stiff = (adapted_layer(network, past, CPU, ridge=ridge) for ridge in (1e3, 1e12))
    shipped = shipped_layer(network)

    def score(layer: object) -> float:
        return log_likelihood(forecast_laws(network, layer, past.graph, CPU)[0], past.gained)

    assert score(free) > score(shipped)
    torch.testing.assert_close(stiff.weight, shipped.weight, rtol=0, atol=1e-3)


def test_the_pit_of_a_true_law_is_uniform(graph: CitationGraph) -> None:
    """Counts drawn from the forecast itself."""
    network = shipped_network(CPU)
    law = forecast_laws(network, shipped_layer(network), graph, CPU)[0]
    rng = np.random.default_rng(3)
    component = rng.choice(5, len(graph), p=law.log_weight.exp().numpy() / law.log_weight.exp().numpy().sum())
    row = np.arange(len(graph))
    size, mean = law.size.numpy()[row, component].astype(float), law.mean.numpy()[row, component].astype(float)
    counts = rng.poisson(rng.gamma(size, mean / size))
    u = pit(law, counts, rng)
    assert np.mean((u > 0.1) & (u < 0.9)) == pytest.approx(0.8, abs=0.03)
    assert np.mean(u < 0.5) == pytest.approx(0.5, abs=0.04)
    assert np.mean(pit(law, counts + 5, rng) < 0.5) < 0.1
