"""The causal graph as data."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest

from frazil.config.errors import SettingsError
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.graph import as_svg, as_tree, causal_graph, factors_reached, node_of
from frazil.models.causal.structural_model import structural_model


def test_the_shipped_graph_is_a_dag_with_every_factor_of_the_total_leading_to_the_map() -> None:
    graph = causal_graph()
    assert nx.is_directed_acyclic_graph(graph)
    for factor in ALL_FACTORS:
        if factor != "motion_uncorrected":  # what processing has undone acts on nothing any more
            assert nx.has_path(graph, factor, "map_resolution"), factor
    assert all(node_of(graph, name).words for name in graph)


def test_an_intervention_reaches_all_that_lies_downstream() -> None:
    graph = causal_graph()
    assert set(factors_reached(graph, "settle_time")) == {"motion"}
    assert set(factors_reached(graph, "dose_rate")) == {"motion", "coincidence"}
    assert {"ice", "defocus_spread", "coincidence"} <= set(factors_reached(graph, "ice_thickness"))
    assert "settle_time" in nx.ancestors(graph, "motion")


def test_interventions_compute_what_the_graph_says_they_reach() -> None:
    wanted = {
        "settle_time": {"motion"},
        "dose_rate": {"coincidence", "motion"},
        "ice_thickness": {"ice", "coincidence", "defocus_spread", "motion"},
        "image_shift": {"aberrations"},
        "dose_e_per_a2": {"radiation_damage", "ice", "motion", "detector"},
        "illumination_angle": {"spatial_coherence", "ice"},
    }
    assert {node: set(structural_model().factors_reached(node)) for node in wanted} == wanted


def test_a_session_can_add_a_cause_of_its_own(tmp_path: Path) -> None:
    more = tmp_path / "graph.yaml"
    more.write_text("nodes: {door: {kind: event, unit: '', words: door}}\nedges: {door: [steady_drift]}\n")
    assert "door" in nx.ancestors(causal_graph(more), "motion")
    assert "door" not in causal_graph()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("edges: {map_resolution: [settle_time]}", "circle"),
        ("edges: {door: [motion]}", "unknown node `door`"),
        ("nodes: {door: {kind: thing}}", "needs a kind"),
        ("- 1", "nothing else"),
        ("nodes: [", "cannot be read"),
    ],
)
def test_a_wrong_graph_is_refused_with_its_reason(tmp_path: Path, text: str, says: str) -> None:
    wrong = tmp_path / "graph.yaml"
    wrong.write_text(text)
    with pytest.raises(SettingsError, match=says):
        causal_graph(wrong)


def test_it_draws_itself_as_text_and_picture() -> None:
    graph = causal_graph()
    lines = list(as_tree(graph, {"ice": 0.7, "motion": 0.2}))
    assert lines[0] == "ice thickness  0.70"
    picture = ElementTree.fromstring(as_svg(graph, {"ice": 0.7}))
    texts = [element.text for element in picture.iter() if element.tag.endswith("text")]
    assert len(texts) == len(graph)
    assert "ice thickness 0.70" in texts
