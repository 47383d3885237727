"""The citation graph, its features and the process that makes synthetic ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from frazil.models.evaluation.impact.citation_features import FEATURES, work_features
from frazil.models.evaluation.impact.citation_graph import ARTICLE, PATENT, CitationGraph
from frazil.models.evaluation.impact.citation_growth import GrowthParameters, draw_parameters, grow, synthetic_graph


def graph_of(
    years: list[float], edges: list[tuple[int, int]], *, end: float, patents: tuple[int, ...] = ()
) -> CitationGraph:
    kind = np.full(len(years), ARTICLE, np.int8)
    kind[list(patents)] = PATENT
    ends = np.array(edges, np.int64).reshape(-1, 2)
    return CitationGraph(
        tuple(f"W{i}" for i in range(len(years))),
        np.array(years),
        kind,
        np.zeros(len(years), np.int32),
        ("physics",),
        ends[:, 0],
        ends[:, 1],
        end,
    )


def small() -> CitationGraph:
    """W0 is cited in 2001, 2003 (by a patent) and 2006; W1 in 2006."""
    return graph_of([2000.0, 2001.0, 2003.0, 2006.0], [(1, 0), (2, 0), (3, 0), (3, 1)], end=2007.0, patents=(2,))


def test_citations_are_counted_when_the_citing_work_is_published() -> None:
    graph = small()
    assert graph.citations_between(2001.0, 2006.0).tolist() == [2, 0, 0, 0]
    assert graph.citations_between(2001.0, 2006.1).tolist() == [3, 1, 0, 0]
    assert graph.citations_between(2000.0, 2010.0, patents_only=True).tolist() == [1, 0, 0, 0]


def test_a_graph_until_a_year_knows_nothing_of_what_came_after() -> None:
    earlier, index = small().until(2003.5)
    assert earlier.work_ids == ("W0", "W1", "W2")
    assert index.tolist() == [0, 1, 2]
    assert sorted(zip(earlier.citing.tolist(), earlier.cited.tolist(), strict=True)) == [(1, 0), (2, 0)]
    assert earlier.as_of_year == 2003.5
    # The features of then are the same whatever came after.
    other = graph_of([2000.0, 2001.0, 2003.0, 2004.0], [(1, 0), (2, 0), (3, 2)], end=2007.0, patents=(2,))
    np.testing.assert_array_equal(work_features(earlier), work_features(other.until(2003.5)[0]))


def test_a_new_work_is_an_article_of_its_references_field_at_the_end() -> None:
    asked = small().with_work("new", [2, 0, 0])
    assert len(asked) == 5
    assert asked.published_year[4] == 2007.0
    assert asked.cited[asked.citing == 4].tolist() == [0, 2]
    assert asked.field[4] == 0
    assert asked.citations_between(0, 3000).tolist() == [4, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cited": np.array([0, 0, 0, 9])}, "not in the graph"),
        ({"cited": np.array([1, 0, 0, 1])}, "cites itself"),
        ({"as_of_year": 2005.0}, "after the end"),
        ({"published_year": np.array([2000.0, np.nan, 2003.0, 2006.0])}, "no number"),
        ({"field": np.zeros(3, np.int32)}, "one field for each"),
    ],
)
def test_what_is_no_graph_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(small(), **changes)


def test_features_of_a_work_by_hand() -> None:
    features = dict(zip(FEATURES, work_features(small()).T, strict=True))
    assert features["log_citations"].tolist() == pytest.approx(np.log1p([3, 1, 0, 0]).tolist())
    # 2006 lies in the last year before 2007, where the two windows meet: it counts once.
    assert features["log_citations_0_1_years_ago"][0] == pytest.approx(np.log(2))
    assert features["log_citations_1_2_years_ago"][0] == 0.0
    assert features["log_patent_citations"].tolist() == pytest.approx([np.log(2), 0, 0, 0])
    assert features["log_age"].tolist() == pytest.approx(np.log1p([7, 6, 4, 1]).tolist())
    assert features["is_patent"].tolist() == [0, 0, 1, 0]
    assert features["log_references"].tolist() == pytest.approx(np.log1p([0, 1, 1, 2]).tolist())
    assert features["references_log_age"][3] == pytest.approx(np.log1p((6 + 5) / 2))


def test_features_of_nothing_are_finite() -> None:
    assert work_features(graph_of([], [], end=2000.0)).shape == (0, len(FEATURES))
    lonely = work_features(graph_of([1990.0, 2000.0], [], end=2000.0))
    assert np.isfinite(lonely).all()


def test_the_order_of_works_does_not_matter_to_features() -> None:
    graph, _ = synthetic_graph(11).until(2008.0)
    turned, order = shuffled(graph, 3)
    np.testing.assert_allclose(work_features(turned), work_features(graph)[order], rtol=0, atol=1e-12)


def shuffled(graph: CitationGraph, seed: int) -> tuple[CitationGraph, np.ndarray]:
    """The same graph with its works and citations in another order; row i of it is row order[i] of the first."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(graph))
    place = np.empty(len(graph), np.int64)
    place[order] = np.arange(len(graph))
    edges = rng.permutation(len(graph.citing))
    turned = CitationGraph(
        tuple(graph.work_ids[i] for i in order),
        graph.published_year[order],
        graph.kind[order],
        graph.field[order],
        graph.field_names,
        place[graph.citing[edges]],
        place[graph.cited[edges]],
        graph.as_of_year,
    )
    return turned, order


# --- the generator -------------------------------------------------------------------------------------------------


def plain(**changes: object) -> GrowthParameters:
    """One topic, nothing but what the test turns on."""
    base = GrowthParameters(
        years=20.0,
        works_per_year=150.0,
        growth_per_year=0.0,
        references_mean=10.0,
        references_size=1e6,
        offset=5.0,
        attachment_exponent=1.0,
        fitness_log_sd=0.0,
        fitness_inherited=0.0,
        ageing_log_years_mean=(3.0,),
        ageing_log_sd=(50.0,),
        topics_per_field=1,
        topic_heat_sd=0.0,
        topic_heat_memory_years=5.0,
        own_topic_share=0.9,
        own_field_share=0.9,
        patent_share=0.0,
        dataset_share=0.0,
        patent_delay_log=0.0,
    )
    return replace(base, **changes)


def test_a_seed_is_a_graph_and_another_seed_another() -> None:
    one, again, other = synthetic_graph(4), synthetic_graph(4), synthetic_graph(5)
    np.testing.assert_array_equal(one.citing, again.citing)
    np.testing.assert_array_equal(one.published_year, again.published_year)
    assert len(one) != len(other)


def test_nothing_cites_what_is_not_published_yet_and_nothing_twice() -> None:
    graph = synthetic_graph(6)
    assert np.all(graph.published_year[graph.citing] > graph.published_year[graph.cited])
    assert len(np.unique(graph.citing * len(graph) + graph.cited)) == len(graph.citing)


def test_citations_go_where_citations_are() -> None:
    """Without fitness and (next to) without ageing the chance of the next citation is linear in citations + m: the
    slope of new citations against old ones is that of (c + 5), for works of one age."""
    parameters = plain(ageing_log_years_mean=(0.0,), ageing_log_sd=(1e4,), works_per_year=800.0)
    graph = grow(parameters, np.random.default_rng(8))
    now = 2012.0
    # ln age still enters by the density's 1 / age: works of nearly one age are compared.
    cohort = (graph.published_year > 2002.0) & (graph.published_year < 2002.5)
    before = graph.citations_between(0.0, now)[cohort]
    gained = graph.citations_between(now, now + 2.0)[cohort]
    slope, constant = np.polyfit(before, gained, 1)
    assert constant / slope == pytest.approx(5.0, abs=2.5)


def test_works_age_as_the_lognormal_says() -> None:
    """Ages at which works are cited, from works that came when there was much to cite and had ten years: the mean and
    sd of their logarithms."""
    graph = grow(plain(ageing_log_years_mean=(1.0,), ageing_log_sd=(0.5,), offset=1e6), np.random.default_rng(9))
    old = (graph.published_year[graph.cited] > 2006.0) & (graph.published_year[graph.cited] < 2008.0)
    age = (graph.published_year[graph.citing] - graph.published_year[graph.cited])[old]
    log_age = np.log(age)
    assert log_age.mean() == pytest.approx(1.0, abs=0.12)
    assert log_age.std() == pytest.approx(0.5, abs=0.08)


def test_fitter_works_are_cited_more_unevenly() -> None:
    def unevenness(sd: float) -> float:
        graph = grow(plain(fitness_log_sd=sd, offset=1e6), np.random.default_rng(10))
        cohort = graph.published_year < 2005.0
        counts = graph.citations_between(0.0, 3000.0)[cohort].astype(float)
        return float(counts.var() / counts.mean())

    assert unevenness(1.0) > 2.0 * unevenness(0.0)


def test_drawn_parameters_differ_and_make_graphs_of_the_stated_size() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_parameters(rng) for _ in range(6)]
    assert len({p.references_mean for p in drawn}) == 6
    assert all(1000 < len(grow(p, rng)) < 6000 for p in drawn[:2])
