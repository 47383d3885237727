"""Whether a session's own movies can tell what a cause does, read off the causal graph.

An effect can be had from movies that nobody took as an experiment where the graph leaves no way from treatment to
outcome open but the causal ones (back-door sets), or where all that the treatment does goes through something measured
(front-door sets; both Pearl 1995, Biometrika 82, 669). Ways are judged by d-separation; only measured nodes can be held
fixed, everything else is latent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import networkx as nx

_LARGEST_SET = 5
"""Nodes of a back-door set that is looked for one by one; larger ones are found, but not all of them."""
_LARGEST_FRONT = 3


class Way(StrEnum):
    """How an effect can be told from movies as they come."""

    BACK_DOOR = "back-door"
    FRONT_DOOR = "front-door"
    NO_EFFECT = "no-effect"
    """The graph has no arrows from the treatment to the outcome: a negative control."""
    NOT_IDENTIFIED = "not-identified"


@dataclass(frozen=True, slots=True)
class Identification:
    """What has to be held fixed so that movies tell the effect of `treatment` on `outcome`."""

    treatment: str
    outcome: str
    way: Way
    nodes: tuple[str, ...] = ()
    """Back-door: what is held fixed. Front-door: what the effect goes through. In the graph's order."""


def identify(graph: nx.DiGraph, treatment: str, outcome: str, measured: Iterable[str]) -> Identification:
    """The smallest back-door set among measured nodes, else a front-door set, else that the effect is not identified.

    Raises
    ------
    ValueError
        If treatment and outcome are one node, or one of them is none of the graph's or not measured.
    """
    known = frozenset(measured)
    if treatment == outcome or not {treatment, outcome} <= known & set(graph):
        raise ValueError(f"{treatment} and {outcome} must be two measured nodes of the graph")
    if not nx.has_path(graph, treatment, outcome):
        nodes = next(_separators(graph, treatment, outcome, known), None)
        return Identification(treatment, outcome, Way.NOT_IDENTIFIED if nodes is None else Way.NO_EFFECT, nodes or ())
    nodes = next(back_door_sets(graph, treatment, outcome, known), None)
    if nodes is not None:
        return Identification(treatment, outcome, Way.BACK_DOOR, nodes)
    nodes = next(front_door_sets(graph, treatment, outcome, known), None)
    if nodes is not None:
        return Identification(treatment, outcome, Way.FRONT_DOOR, nodes)
    return Identification(treatment, outcome, Way.NOT_IDENTIFIED)


def back_door_sets(
    graph: nx.DiGraph, treatment: str, outcome: str, measured: Iterable[str]
) -> Iterator[tuple[str, ...]]:
    """Minimal back-door sets of measured nodes, the smallest first.

    A set holds nothing that the treatment acts upon, and separates treatment and outcome once the arrows out of the
    treatment are taken away.
    """
    allowed = frozenset(measured) - nx.descendants(graph, treatment)
    return _separators(without_arrows_from(graph, treatment), treatment, outcome, allowed)


def front_door_sets(
    graph: nx.DiGraph, treatment: str, outcome: str, measured: Iterable[str]
) -> Iterator[tuple[str, ...]]:
    """Minimal front-door sets of measured nodes, the smallest first: all of the effect goes through them, nothing
    confounds the treatment with them, and the treatment closes every back door from them to the outcome."""
    between = nx.descendants(graph, treatment) & nx.ancestors(graph, outcome)
    candidates = _in_order(graph, between & frozenset(measured))
    found: list[frozenset[str]] = []
    for size in range(1, min(_LARGEST_FRONT, len(candidates)) + 1):
        for nodes in map(frozenset, itertools.combinations(candidates, size)):
            if not any(smaller <= nodes for smaller in found) and _is_front_door(graph, treatment, outcome, nodes):
                found.append(nodes)
                yield _in_order(graph, nodes)


def _is_front_door(graph: nx.DiGraph, treatment: str, outcome: str, nodes: frozenset[str]) -> bool:
    through = graph.subgraph(set(graph) - nodes)
    if nx.has_path(through, treatment, outcome):
        return False
    if not nx.is_d_separator(without_arrows_from(graph, treatment), {treatment}, set(nodes), set()):
        return False
    return bool(nx.is_d_separator(without_arrows_from(graph, *nodes), set(nodes), {outcome}, {treatment}))


def unmeasured_common_causes(
    graph: nx.DiGraph, treatment: str, outcome: str, measured: Iterable[str]
) -> tuple[str, ...]:
    """What acts on both past everything that is measured, in the graph's order: no set of measured nodes closes these
    back doors. What only stands between such a cause and one of the two is left out."""
    hidden = set(graph) - frozenset(measured)
    reaching_treatment = nx.ancestors(graph.subgraph(hidden | {treatment}), treatment)
    both = reaching_treatment & nx.ancestors(graph.subgraph(hidden | {outcome}), outcome)
    nearest = [one for one in both if not nx.descendants(graph, one) & both]
    return _in_order(graph, nearest)


def separating_set(graph: nx.DiGraph, one: str, other: str, measured: Iterable[str]) -> tuple[str, ...] | None:
    """The smallest set of measured nodes given which two nodes tell nothing of each other; None: there is none."""
    return next(_separators(graph, one, other, frozenset(measured)), None)


def without_arrows_from(graph: nx.DiGraph, *nodes: str) -> nx.DiGraph:
    """The graph in which these nodes act on nothing."""
    cut = graph.copy()
    cut.remove_edges_from([edge for edge in graph.edges if edge[0] in nodes])
    return cut


def _separators(graph: nx.DiGraph, one: str, other: str, allowed: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """Minimal sets of `allowed` nodes that d-separate two nodes, the smallest first. All minimal ones lie among their
    ancestors, and if any set separates, all allowed ancestors together do (van der Zander et al. 2014, UAI)."""
    ancestors = nx.ancestors(graph, one) | nx.ancestors(graph, other)
    # What is no ancestor of either is no part of any minimal set: without it each look is quicker.
    small = graph.subgraph(ancestors | {one, other})
    candidates = _in_order(graph, (ancestors & allowed) - {one, other})
    if not nx.is_d_separator(small, {one}, {other}, set(candidates)):
        return
    found: list[frozenset[str]] = []
    for size in range(min(_LARGEST_SET, len(candidates)) + 1):
        for nodes in map(frozenset, itertools.combinations(candidates, size)):
            if any(smaller <= nodes for smaller in found) or not nx.is_d_separator(small, {one}, {other}, set(nodes)):
                continue
            found.append(nodes)
            yield _in_order(graph, nodes)
    if not found:
        large = nx.find_minimal_d_separator(small, {one}, {other}, restricted=set(candidates))
        if large is not None:
            yield _in_order(graph, large)


def _in_order(graph: nx.DiGraph, nodes: Iterable[str]) -> tuple[str, ...]:
    """As the graph lists them."""
    wanted = frozenset(nodes)
    return tuple(name for name in graph if name in wanted)
