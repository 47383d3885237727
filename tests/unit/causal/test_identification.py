"""Back doors and front doors of graphs whose answers stand in textbooks."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest

from frazil.models.causal.graph import causal_graph
from frazil.models.causal.identification import (
    Way,
    back_door_sets,
    front_door_sets,
    identify,
    separating_set,
    unmeasured_common_causes,
)


def arrows(text: str) -> nx.DiGraph:
    """`a>b b>c`."""
    return nx.DiGraph([tuple(arrow.split(">")) for arrow in text.split()])


def test_a_measured_common_cause_is_held_fixed() -> None:
    found = identify(arrows("z>x z>y x>y"), "x", "y", "xyz")
    assert (found.way, found.nodes) == (Way.BACK_DOOR, ("z",))


def test_a_bow_is_not_identified() -> None:
    assert identify(arrows("u>x u>y x>y"), "x", "y", "xy").way is Way.NOT_IDENTIFIED


def test_a_latent_is_stood_in_for_by_what_lies_on_its_way() -> None:
    """The latent confounds through z, or through w: either closes it (Pearl 2009, Causality, fig. 3.4)."""
    graph = arrows("u>z z>x u>w w>y x>y")
    assert list(back_door_sets(graph, "x", "y", "xyzw")) == [("z",), ("w",)]
    assert identify(graph, "x", "y", "xyw").nodes == ("w",)


def test_an_m_needs_nothing_and_is_opened_by_its_middle() -> None:
    """M-bias: x <- a -> m <- b -> y (Greenland et al. 1999, Epidemiology 10, 37)."""
    graph = arrows("a>x a>m b>m b>y x>y")
    assert identify(graph, "x", "y", "xym").nodes == ()
    assert list(back_door_sets(graph, "x", "y", "xyabm")) == [()]
    assert not nx.is_d_separator(graph.subgraph("xyabm").copy(), {"a"}, {"b"}, {"m"})


def test_an_m_whose_middle_confounds_needs_a_wing_too() -> None:
    """The butterfly: m is a common cause and the middle of an M."""
    graph = arrows("a>x a>m b>m b>y m>x m>y x>y")
    assert list(back_door_sets(graph, "x", "y", "xyabm")) == [("a", "m"), ("m", "b")]
    assert identify(graph, "x", "y", "xym").way is Way.NOT_IDENTIFIED


def test_smoking_is_told_through_tar() -> None:
    """Pearl 1995: a genotype confounds smoking and cancer; all of the effect goes through tar."""
    graph = arrows("genotype>smoking genotype>cancer smoking>tar tar>cancer")
    found = identify(graph, "smoking", "cancer", ("smoking", "tar", "cancer"))
    assert (found.way, found.nodes) == (Way.FRONT_DOOR, ("tar",))
    # Not where smoking acts past tar, nor where the genotype makes tar.
    assert not list(front_door_sets(arrows("u>s u>c s>t t>c s>c"), "s", "c", "stc"))
    assert not list(front_door_sets(arrows("u>s u>c u>t s>t t>c"), "s", "c", "stc"))


def test_what_the_treatment_makes_is_never_held_fixed() -> None:
    graph = arrows("x>m m>y z>x z>y")
    assert all("m" not in nodes for nodes in back_door_sets(graph, "x", "y", "xyzm"))


def test_where_no_arrow_leads_there_is_no_effect_and_it_can_be_checked() -> None:
    found = identify(arrows("z>x z>n x>y"), "x", "n", "xynz")
    assert (found.way, found.nodes) == (Way.NO_EFFECT, ("z",))
    assert identify(arrows("u>x u>n x>y"), "x", "n", "xyn").way is Way.NOT_IDENTIFIED


def test_unknown_ends_are_refused() -> None:
    with pytest.raises(ValueError, match="two measured nodes"):
        identify(arrows("x>y"), "x", "y", "x")
    with pytest.raises(ValueError, match="two measured nodes"):
        identify(arrows("x>y"), "x", "x", "xy")


def test_smallest_sets_are_those_that_trying_all_finds() -> None:
    """Against brute force on drawn graphs of seven nodes, two of them latent."""
    for seed in range(60):
        graph = nx.gnp_random_graph(7, 0.4, seed=seed, directed=True)
        dag = nx.DiGraph((f"n{a}", f"n{b}") for a, b in graph.edges if a < b)
        dag.add_nodes_from(f"n{number}" for number in range(7))
        measured = [f"n{number}" for number in (0, 2, 3, 4, 6)]
        for one, other in itertools.combinations(measured, 2):
            rest = [name for name in measured if name not in (one, other)]
            sizes = [
                size
                for size in range(len(rest) + 1)
                for nodes in itertools.combinations(rest, size)
                if nx.is_d_separator(dag, {one}, {other}, set(nodes))
            ]
            found = separating_set(dag, one, other, measured)
            assert (None if found is None else len(found)) == (min(sizes) if sizes else None)


def test_hidden_common_causes_are_those_that_nothing_measured_stands_before() -> None:
    graph = arrows("u>x u>m m>y v>w w>x v>y x>y far>v z>x z>y")
    assert unmeasured_common_causes(graph, "x", "y", "xyz") == ("u", "v")
    assert unmeasured_common_causes(graph, "x", "y", "xyzm") == ("v",)
    assert unmeasured_common_causes(graph, "x", "y", "xyzmw") == ()
    assert identify(graph, "x", "y", "xyzmw").way is Way.BACK_DOOR


def test_the_order_of_holes_is_held_fixed_before_settling_is_judged() -> None:
    graph = causal_graph()
    measured = ("settle_time", "steady_drift", "hole_order", "session_time", "stage_move")
    found = identify(graph, "settle_time", "steady_drift", measured)
    assert found.way is Way.BACK_DOOR
    assert "hole_order" in found.nodes
    assert "session_time" in found.nodes
    unseen = identify(graph, "settle_time", "steady_drift", ("settle_time", "steady_drift"))
    assert unseen.way is Way.NOT_IDENTIFIED
