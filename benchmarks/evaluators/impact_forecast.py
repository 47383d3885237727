"""Does the forecast of citations hold? Held-out synthetic graphs, five years ahead, beside two baselines.

    ./run bench impact_forecast [--graphs 10] [--outside 5] [--seed 9300] [--json OUT]

Claim: on 10 graphs that were not trained on, log-likelihood and rank correlation are better than those of both
baselines (preferential attachment; regression on the same features), and 80 % intervals hold 72 to 88 %. Each graph is
cut five years before its end; everything is fitted on what lies before the cut, the regression also in a second form,
on 40 graphs of the same making (the better of the two counts). All works published before the cut are asked for.

Counts are whole numbers: an interval for a work that will hardly be cited is [0, 0] or [0, 1] and holds more than 80 %.
So three coverages are shown: of the randomised PIT (nominal 0.80 exactly), of the whole-number intervals beside what
these say of themselves, and of the latter for works whose forecast is 5 citations or more.

`--outside`: graphs of a making that the network was never shown (50 references a work; ageing over 25 years in a field
that grows by 12 % a year; a far wider fitness; attachment with the exponent 1/2; hardly any ageing and no fitness).
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy import stats

from frazil.models.evaluation.impact.baselines import (
    FeatureRegression,
    fit_preferential_attachment,
    fit_regression,
)
from frazil.models.evaluation.impact.citation_graph import CitationGraph, Indices
from frazil.models.evaluation.impact.citation_growth import draw_parameters, grow, synthetic_graph
from frazil.models.evaluation.impact.forecast import (
    HORIZON_YEARS,
    forecast_laws,
    forecast_of_graph,
    log_likelihood,
    past_of,
    pit,
    shipped_layer,
)
from frazil.models.evaluation.impact.growth_law import Mixture
from frazil.models.evaluation.impact.weights import shipped_network

CPU = torch.device("cpu")
BASELINES = ("preferential attachment", "regression, own past", "regression, 40 graphs")
_POOL_SEED = 2_000_000


@dataclass(frozen=True)
class Score:
    """Of one forecaster on one graph; log-likelihoods in nats a work."""

    log_likelihood: float
    rank_correlation: float
    log_likelihood_young: float
    """Works of the last three years."""
    rank_correlation_young: float
    coverage_pit: float
    coverage_whole: float
    coverage_whole_claimed: float
    coverage_whole_cited: float | None
    """Where 5 citations or more are forecast."""
    bias: float
    """All citations that were forecast / that came."""


def score(law: Mixture, counts: Indices, young: np.ndarray[tuple[int], np.dtype[np.bool_]], seed: int) -> Score:
    expected = law.expected()
    u = pit(law, counts, np.random.default_rng([seed, 11]))
    low, high = law.quantile(0.1), law.quantile(0.9)
    held = (counts >= low) & (counts <= high)
    claimed = law.cumulative(high) - law.cumulative(low - 1)
    cited = expected >= 5.0
    index = np.flatnonzero(young)
    return Score(
        log_likelihood(law, counts),
        float(stats.spearmanr(expected, counts).statistic),
        log_likelihood(law.rows(index), counts[index]),
        float(stats.spearmanr(expected[index], counts[index]).statistic),
        float(np.mean((u > 0.1) & (u < 0.9))),
        float(held.mean()),
        float(claimed.mean()),
        float(held[cited].mean()) if cited.sum() >= 20 else None,
        float(expected.sum() / max(counts.sum(), 1)),
    )


def scores_of(whole: CitationGraph, seed: int, pooled: FeatureRegression) -> dict[str, Score]:
    """Every forecaster on one graph; "citations by patents" is the forecast's own second law."""
    network = shipped_network(CPU)
    test = past_of(whole, whole.as_of_year - HORIZON_YEARS)
    train = past_of(test.graph, test.graph.as_of_year - HORIZON_YEARS)
    layer, held = forecast_of_graph(network, test.graph, CPU)
    citations, patents = forecast_laws(network, layer, test.graph, CPU)
    laws = {
        "frazil": citations,
        "shipped weights alone": forecast_laws(network, shipped_layer(network), test.graph, CPU)[0],
        "preferential attachment": fit_preferential_attachment(train.graph, train.gained).law(test.graph),
        "regression, own past": fit_regression((train.graph, train.gained)).law(test.graph),
        "regression, 40 graphs": pooled.law(test.graph),
    }
    young = test.graph.as_of_year - test.graph.published_year < 3.0
    found = {name: score(law, test.gained, young, seed) for name, law in laws.items()}
    found["citations by patents"] = score(patents, test.gained_from_patents, young, seed)
    first = found["frazil"]
    said = "none" if held is None else f"coverage {held.coverage_80:.2f}, ridge {held.ridge or 'as shipped'}"
    print(
        f"{seed}: {len(test.graph)} works, log-likelihood {first.log_likelihood:.3f} against "
        + ", ".join(f"{found[name].log_likelihood:.3f}" for name in BASELINES)
        + f"; rank {first.rank_correlation:.3f} against "
        + ", ".join(f"{found[name].rank_correlation:.3f}" for name in BASELINES)
        + f"; 80 %: {first.coverage_pit:.3f}; its own backtest: {said}",
        flush=True,
    )
    return found


def outside(number: int, seed: int) -> CitationGraph:
    """A graph of a making that the network was not trained on."""
    rng = np.random.default_rng([seed, 78])
    p = draw_parameters(rng)
    ones = tuple(1.0 for _ in range(p.fields))
    made = (
        replace(p, references_mean=50.0, offset=40.0),
        replace(p, ageing_log_years_mean=tuple(3.2 * x for x in ones), growth_per_year=0.12, works_per_year=25.0),
        replace(p, fitness_log_sd=1.6, fitness_inherited=0.0),
        replace(p, attachment_exponent=0.5, offset=1.0),
        replace(
            p,
            attachment_exponent=1.0,
            fitness_log_sd=0.0,
            fitness_inherited=0.0,
            topic_heat_sd=0.0,
            ageing_log_years_mean=tuple(3.0 * x for x in ones),
            ageing_log_sd=tuple(5.0 * x for x in ones),
        ),
    )
    return grow(made[number % len(made)], rng)


def pooled_regression(graphs: int = 40) -> FeatureRegression:
    pairs = []
    for number in range(graphs):
        whole = synthetic_graph(_POOL_SEED + number)
        past = past_of(whole, whole.as_of_year - HORIZON_YEARS)
        pairs.append((past.graph, past.gained))
    return fit_regression(*pairs)


def table(title: str, graphs: list[dict[str, Score]]) -> None:
    print(f"\n{title}: means over {len(graphs)} graphs (smallest to largest coverage)")
    print(
        f"{'':26}{'log-lik.':>9}{'rank':>7}{'young:':>9}{'rank':>7}{'80 % PIT':>19}{'whole':>7}{'(claim)':>8}"
        f"{'>= 5':>6}{'bias':>6}"
    )
    for name in graphs[0]:
        rows = [graph[name] for graph in graphs]

        def mean(field: str, rows: list[Score] = rows) -> float:
            values = [value for row in rows if (value := getattr(row, field)) is not None]
            return float(np.mean(values)) if values else float("nan")

        spread = [row.coverage_pit for row in rows]
        print(
            f"{name:26}{mean('log_likelihood'):9.3f}{mean('rank_correlation'):7.3f}{mean('log_likelihood_young'):9.3f}"
            f"{mean('rank_correlation_young'):7.3f}{mean('coverage_pit'):7.3f} ({min(spread):.3f}-{max(spread):.3f})"
            f"{mean('coverage_whole'):6.3f}{mean('coverage_whole_claimed'):8.3f}{mean('coverage_whole_cited'):6.2f}"
            f"{mean('bias'):6.2f}"
        )
    for field in ("log_likelihood", "rank_correlation", "log_likelihood_young", "rank_correlation_young"):
        won = sum(all(getattr(g["frazil"], field) > getattr(g[name], field) for name in BASELINES) for g in graphs)
        print(f"{field}: better than every baseline on {won} of {len(graphs)} graphs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=10)
    parser.add_argument("--outside", type=int, default=5)
    parser.add_argument("--seed", type=int, default=9300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pooled = pooled_regression()
    inside = [
        scores_of(synthetic_graph(s), s, pooled) for s in range(arguments.seed, arguments.seed + arguments.graphs)
    ]
    table("held-out graphs", inside)
    foreign = [
        scores_of(outside(number, arguments.seed + 500 + number), arguments.seed + 500 + number, pooled)
        for number in range(arguments.outside)
    ]
    if foreign:
        table("graphs of another making", foreign)
    if arguments.json:
        found = {
            name: [{who: asdict(one) for who, one in graph.items()} for graph in graphs]
            for name, graphs in (("held_out", inside), ("outside", foreign))
        }
        arguments.json.write_text(json.dumps({"seed": arguments.seed, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
