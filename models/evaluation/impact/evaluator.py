"""Impact: how often the session's structure will be cited within five years of the graph's end.

From a citation graph that the settings name, for a work that is in it or, for a new structure, by the works that it
will cite. The graph does not change during a session: the forecast is made once (`forecast`) and handed to every round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.impact.citation_graph import CitationGraph
from frazil.models.evaluation.impact.forecast import HORIZON_YEARS, Backtest, forecast_laws, forecast_of_graph
from frazil.models.evaluation.impact.network import ImpactNetwork
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "impact"
UNIT = "citations in 5 years"
_LOW, _HIGH = 0.1, 0.9
_NORMAL_HALF_WIDTH = 1.2816
"""Of the middle 0.8, in sigma."""
_DOUBTED_WORKS = 20
"""A calibration on so few works counts half."""
_NEW = "the session's structure"


@dataclass(frozen=True, slots=True)
class ImpactRequest:
    """What is to be forecast: a work of the graph, or one that will cite `reference_ids`."""

    work_id: str | None
    reference_ids: tuple[str, ...]


def evaluate(facts: RoundFacts) -> Verdict:
    """What was forecast for the session; None with the reason where there is no graph."""
    if facts.impact is None:
        return nothing("no citation graph supplied")
    return facts.impact


def nothing(*reasons: str) -> Verdict:
    """No number stands for "unknown"."""
    return Verdict(evaluator=NAME, verdict=None, unit=UNIT, evidence={"graph_nodes": 0}, does_not_know=reasons)


def forecast(
    graph: CitationGraph,
    request: ImpactRequest,
    network: ImpactNetwork,
    device: torch.device,
    *,
    notes: Sequence[str] = (),
) -> Verdict:
    """Median of the citations in the five years after the graph's end, with the 80 % interval as evidence.

    uncertainty: one sigma such that ln(impact + 1), the term of V, has the one that its interval says. reliability:
    1 minus Kolmogorov's distance of the PIT in the backtest, less where the backtest has few works; the least there is
    without one. The same graph and request give the same verdict. `notes` go to what is not known.
    """
    work = _requested_work(graph, request)
    if isinstance(work, str):
        return nothing(work, *notes)
    asked, index, doubts = work
    unknown = [*notes, *doubts]
    layer, held = forecast_of_graph(network, graph, device)
    # Message passing sums in parallel order; a graph and a request fix it.
    citations, patents = (law.rows(np.array([index])) for law in forecast_laws(network, layer, asked, device))
    low, median, high = (int(citations.quantile(q)[0]) for q in (_LOW, 0.5, _HIGH))
    unknown += _doubts(held)
    evidence: dict[str, Json] = {
        "graph_nodes": len(graph),
        "graph_citations": len(graph.citing),
        "graph_end_year": graph.as_of_year,
        "horizon_years": HORIZON_YEARS,
        "work": asked.work_ids[index],
        "field": asked.field_names[asked.field[index]] if asked.field[index] >= 0 else None,
        "age_years": graph.as_of_year - float(asked.published_year[index]),
        "citations_so_far": int(np.count_nonzero(asked.cited == index)),
        "references_in_graph": int(np.count_nonzero(asked.citing == index)),
        "median": median,
        "interval_80": [low, high],
        "mean": float(citations.expected()[0]),
        "patents_median": int(patents.quantile(0.5)[0]),
        "patents_interval_80": [int(patents.quantile(_LOW)[0]), int(patents.quantile(_HIGH)[0])],
        "backtest": None if held is None else asdict(held),
    }
    return Verdict(
        evaluator=NAME,
        verdict=float(median),
        unit=UNIT,
        uncertainty=(1.0 + median) * (math.log1p(high) - math.log1p(low)) / (2.0 * _NORMAL_HALF_WIDTH),
        reliability=_reliability(held),
        evidence=evidence,
        does_not_know=tuple(unknown),
    )


def _requested_work(graph: CitationGraph, request: ImpactRequest) -> tuple[CitationGraph, int, list[str]] | str:
    """The graph with the requested work in it, the work's index, and what makes that work doubtful; or why there is no
    such work."""
    index = None if request.work_id is None else graph.index_of(request.work_id)
    if index is not None:
        return graph, index, []
    if request.work_id is not None:
        return f"work {request.work_id} is not in the citation graph"
    places = [graph.index_of(work_id) for work_id in request.reference_ids]
    references = [place for place in places if place is not None]
    if not references:
        return (
            "none of the references is in the citation graph"
            if request.reference_ids
            else "neither a work nor references were named for the citation graph"
        )
    doubts = ["the structure is not in the graph: forecast as an article that cites the named references"]
    if len(references) < len(places):
        doubts.append(f"{len(places) - len(references)} of the references are not in the graph")
    return graph.with_work(_NEW, references), len(graph), doubts


def _reliability(held: Backtest | None) -> float:
    if held is None:
        return reliability(0.0)
    return reliability((1.0 - held.pit_distance) * held.works / (held.works + _DOUBTED_WORKS))


def _doubts(held: Backtest | None) -> list[str]:
    if held is None:
        return [
            "how well such forecasts hold on this graph: it has too little past (100 works ten years ago are needed)"
        ]
    best = max(held.log_likelihood_preferential_attachment, held.log_likelihood_regression)
    if held.log_likelihood < best:
        return ["more than a simple baseline does: on this graph's past the forecast was no better"]
    return []
