"""The causal graph as a structural causal model: what is computed of a movie, and of the movie that might have been.

Values follow the arrows in topological order. An intervention do(node := value) is surgery on the graph (Pearl 2009,
"Causality", section 3.2): the arrows into the node are cut, the value is set, and all that lies downstream is computed
again with the same draws, so that the difference is the intervention's alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path

import networkx as nx
import numpy as np

from frazil.models.causal.bands import Array
from frazil.models.causal.causes import CauseDraws
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.graph import causal_graph, factors_reached, graph_of, node_of
from frazil.models.causal.learned_arrows import LearnedArrows
from frazil.models.causal.node_equation import node_equation
from frazil.models.causal.node_values import REPLACEABLE
from frazil.models.causal.nodes import Node, refused
from frazil.models.causal.structural_equations import EQUATIONS, SLOTS, NodeValue, StageHistory, World
from frazil.models.records import MovieEvidence


class StructuralModel:
    """A checked graph whose nodes compute. Travels between processes as its nodes and arrows.

    Raises
    ------
    SettingsError
        A node names a mechanism that is not registered, or has no arrow from what it reads; or a person's equation is
        none, or its units do not agree.
    """

    def __init__(self, graph: nx.DiGraph, path: Path | None = None) -> None:
        self.graph = nx.freeze(graph)
        self._nodes: dict[str, Node] = {name: node_of(graph, name) for name in graph}
        self._order = tuple(nx.topological_sort(graph))
        self._after: dict[str, tuple[str, ...]] = {}
        self._before: dict[frozenset[str], tuple[str, ...]] = {}
        for node in self._nodes.values():
            _check(graph, node, path)
        self._equations = {
            name: node_equation(graph, node, path) for name, node in self._nodes.items() if node.equation
        }

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _model_again, (tuple(self._nodes.values()), tuple(self.graph.edges))

    @cached_property
    def losses(self) -> tuple[str, ...]:
        """Nodes that are a loss with an equation, in the order of causes before effects."""
        return tuple(name for name in self._order if self._is_loss(self._nodes[name]))

    @cached_property
    def own_losses(self) -> tuple[str, ...]:
        """Those of a person's own nodes: they act with strength 1, and add to the total."""
        return tuple(name for name in self.losses if name not in ALL_FACTORS)

    @cached_property
    def replaces(self) -> bool:
        """Whether a person's equation stands in the place of a shipped one."""
        return any(node.replaces for node in self._nodes.values())

    @cached_property
    def reads_settle_time(self) -> bool:
        """Whether a loss that is a person's own depends on how long the stage has stood."""
        return any("settle_time" in nx.ancestors(self.graph, name) for name in self._equations)

    def losses_of(self, world: World) -> dict[str, Array]:
        """(S, K) by name of what was computed of a movie."""
        return {name: value for name, value in world.values.items() if self._nodes[name].kind in _LOSS_KINDS}

    def world(
        self,
        evidence: MovieEvidence,
        causes: CauseDraws,
        k_per_angstrom: Array,
        *,
        stage: StageHistory | None = None,
        arrows: LearnedArrows | None = None,
        wanted: Collection[str] | None = None,
    ) -> World:
        """A movie as it was taken, with the values of the `wanted` nodes (None: all) and of what they follow from."""
        world = World(evidence, causes, k_per_angstrom, stage, arrows=arrows)
        return self._computed(world, self._order if wanted is None else self._leading_to(frozenset(wanted)))

    def done(self, world: World, node: str, value: NodeValue) -> World:
        """The movie under do(node := value); what leads to no loss is not computed."""
        if world.taken_ice_nm is None:
            world = replace(world, taken_ice_nm=world.causes.ice_thickness_nm)
        return self._computed(world.with_value(node, value).told(node, "", known=True), self._downstream(node))

    def _leading_to(self, wanted: frozenset[str]) -> tuple[str, ...]:
        if wanted not in self._before:
            needed = wanted.union(*(nx.ancestors(self.graph, name) for name in wanted))
            self._before[wanted] = tuple(name for name in self._order if name in needed)
        return self._before[wanted]

    def factors_reached(self, node: str) -> tuple[str, ...]:
        """Factors with an equation that an intervention on a node changes, in the graph's order."""
        return tuple(name for name in factors_reached(self.graph, node) if name in self.losses)

    def _downstream(self, node: str) -> tuple[str, ...]:
        """What is computed again once the arrows into a node are cut."""
        if node not in self._after:
            cut = nx.DiGraph(self.graph)
            cut.remove_edges_from(list(cut.in_edges(node)))
            reached = nx.descendants(cut, node)
            leading = self._leading_to(frozenset(self.losses))
            self._after[node] = tuple(name for name in leading if name in reached)
        return self._after[node]

    def _computed(self, world: World, names: Collection[str]) -> World:
        for name in names:
            if name in self._equations:
                world = self._by_equation(world, name)
            elif self._nodes[name].mechanism:
                world = world.with_value(name, EQUATIONS[self._nodes[name].mechanism].compute(world))
        return world

    def _by_equation(self, world: World, name: str) -> World:
        """Where the movie does not know what it takes, a loss is 0 and anything else stays as it was drawn."""
        found = self._equations[name].compute(world)
        world = world.told(name, found.note, known=found.value is not None)
        if found.value is not None:
            return world.with_value(name, found.value * REPLACEABLE[name] if name in SLOTS else found.value)
        if self._is_loss(self._nodes[name]):
            nothing = np.zeros((world.causes.blur_scale.size, world.k_per_angstrom.size))
            return world.with_value(name, nothing)
        return world

    def _is_loss(self, node: Node) -> bool:
        return node.kind == "factor" and node.computed


_LOSS_KINDS = ("factor", "outcome")
_LEFT_OVER = "unexplained"
"""The factor that is no loss by anything: what the others leave."""


def _check(graph: nx.DiGraph, node: Node, path: Path | None) -> None:
    if node.replaces and (node.name == _LEFT_OVER or (node.kind != "factor" and node.name not in REPLACEABLE)):
        raise refused(
            node.name,
            "replaces a node whose value no equation can give",
            f"replace a loss or one of: {', '.join(REPLACEABLE)}",
            path,
        )
    if not node.mechanism:
        return
    if node.mechanism not in EQUATIONS:
        raise refused(
            node.name,
            f"names the unknown mechanism `{node.mechanism}`",
            f"use one of: {', '.join(EQUATIONS)}",
            path,
        )
    missing = [read for read in EQUATIONS[node.mechanism].reads if not graph.has_edge(read, node.name)]
    if missing:
        raise refused(
            node.name, f"is computed from {', '.join(missing)}, from where no arrow comes", "draw the arrow", path
        )


@lru_cache(maxsize=1)
def _shipped_model() -> StructuralModel:
    return StructuralModel(causal_graph())


def structural_model(extension: Path | None = None) -> StructuralModel:
    """The shipped graph, or a session's (setting `causal.graph`), read anew. Raises `SettingsError`."""
    return _shipped_model() if extension is None else StructuralModel(causal_graph(extension), extension)


@lru_cache(maxsize=8)
def _model_again(nodes: tuple[Node, ...], edges: tuple[tuple[str, str], ...]) -> StructuralModel:
    return StructuralModel(graph_of(nodes, edges))
