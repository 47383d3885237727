"""A person's equation of a node of the causal graph: read, its units checked, computed for the draws of a movie.

    charging: {kind: mechanism, unit: e/A2, equation: "dose_e_per_a2 * exp(-settle_time / 30 s)"}

It names the nodes from which arrows come, quantities of the movie (`node_values.QUANTITIES`) and, in a loss,
`k_per_angstrom`. A number may have a unit after a space (`30 s`, `2 e/A2`); one without is dimensionless. Everything is
computed in base units and given back in the node's own, so that nm and A may be added and nm and s may not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import networkx as nx
import numpy as np

from frazil.config.errors import SettingsError
from frazil.models.causal.bands import Array
from frazil.models.causal.graph import listed, node_of
from frazil.models.causal.mechanisms import GREATEST_LOSS
from frazil.models.causal.node_values import FREQUENCY, FREQUENCY_UNIT, QUANTITIES, VALUES
from frazil.models.causal.nodes import Node, refused
from frazil.models.causal.structural_equations import World
from frazil.models.causal.unit_check import UnitMismatchError, dimension_of
from frazil.models.causal.units import ATOM_PATTERN, Unit, dimension_words, unit_of
from frazil.models.formula import Formula, parse_formula

_NUMBER_WITH_UNIT = re.compile(
    r"(?<![\w.])(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) +"
    rf"(?P<unit>{ATOM_PATTERN}(?:/{ATOM_PATTERN})*)(?!\w)"
)
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Computed:
    """What an equation gave for one movie."""

    value: Array | None
    """(S,) in the node's unit, or (S, K) of a loss; None: not known."""
    note: str = ""
    """What a person has to be told of it."""


@dataclass(frozen=True, slots=True)
class NodeEquation:
    """Made by `node_equation`, which has checked it."""

    node: Node
    formula: Formula
    scales: Mapping[str, float]
    """By name that it uses, what its unit is in base units."""
    words: Mapping[str, str]
    """The same names as a person calls them."""
    scale: float
    """Of the node's own unit."""

    @property
    def is_loss(self) -> bool:
        return self.node.kind == "factor"

    def compute(self, world: World) -> Computed:
        """For the draws of a movie; not known where anything that it needs is not, or where there is no such number."""
        draws, words = world.causes.blur_scale.size, self.node.words
        values = {name: _value(world, name) for name in self.scales}
        missing = [self.words[name] for name, value in values.items() if value is None]
        if missing:
            return Computed(None, f"{words}: not known, this movie does not say its {listed(missing)}")
        arrays = {
            name: self._shaped(np.asarray(value, dtype=np.float64)) * self.scales[name]
            for name, value in values.items()
            if value is not None
        }
        found = self.formula.values(arrays) / self.scale
        found = np.broadcast_to(found, (draws, world.k_per_angstrom.size) if self.is_loss else (draws,))
        if not np.all(np.isfinite(found)):
            return Computed(None, f"{words}: not known, its equation gives no number here")
        return self._clipped(found) if self.is_loss else Computed(np.asarray(found))

    def _shaped(self, value: Array) -> Array:
        """Draws (S,) stand above the frequencies of a loss."""
        return value[:, None] if self.is_loss and value.ndim == 1 else value

    def _clipped(self, loss: Array) -> Computed:
        notes = []
        if loss.min() < -_NEGLIGIBLE:
            notes.append("a loss below 0 is taken for 0")
        if loss.max() > GREATEST_LOSS:
            notes.append(f"a loss above {GREATEST_LOSS:g}, which leaves nothing, is taken for {GREATEST_LOSS:g}")
        note = f"{self.node.words}: {'; '.join(notes)}" if notes else ""
        return Computed(np.clip(loss, 0.0, GREATEST_LOSS), note)


def node_equation(graph: nx.DiGraph, node: Node, path: Path | None) -> NodeEquation:
    """Read and check the equation of a node.

    Raises
    ------
    SettingsError
        With file, node, column and what to do: it is no formula, names what is not there, has no arrow or no value, or
        its units do not agree.
    """
    unit = unit_of(node.unit)
    if unit is None:
        raise refused(node.name, f"has the unknown unit `{node.unit}`", "write it like e/A2, nm, mrad, e/px/s", path)
    text, numbers = _without_units(node, path)
    try:
        formula = parse_formula(f"{node.name}.equation", text, of="nodes")
    except SettingsError as error:
        raise SettingsError(error.what, path=path, remedy=error.remedy) from None
    units = {name: _unit_of_name(graph, node, name, formula, path) for name in formula.variables}
    try:
        found = dimension_of(
            formula,
            {name: one.dimension for name, one in units.items()},
            {column: one.dimension for column, one in numbers.items()},
        )
    except UnitMismatchError as error:
        raise refused(
            node.name,
            f"has an equation whose units do not agree: {error.what}, column {error.column} of `{node.equation}`",
            "give numbers their unit (`30 s`), or divide by a quantity of the same unit",
            path,
        ) from None
    if found is not None and found != unit.dimension:
        raise refused(
            node.name,
            f"is in {node.unit or 'no unit'}, and its equation gives {dimension_words(found)}: `{node.equation}`",
            "correct the unit or the equation",
            path,
        )
    scaled = Formula(formula.name, formula.text, formula.variables, _scaled(formula.tree, numbers))
    words = {name: node_of(graph, name).words if name in graph else name for name in units}
    return NodeEquation(node, scaled, {name: one.scale for name, one in units.items()}, words, unit.scale)


def _without_units(node: Node, path: Path | None) -> tuple[str, dict[int, Unit]]:
    """The equation with blanks in the place of its numbers' units, and these by the column of their number."""
    text = node.equation
    if not text.isascii():
        raise refused(node.name, "has an equation with letters beyond ASCII", "write it in ASCII", path)
    numbers: dict[int, Unit] = {}

    def blank(match: re.Match[str]) -> str:
        unit = unit_of(match["unit"])
        assert unit is not None, "the pattern is made of the units"
        numbers[match.start()] = unit
        return match["number"] + " " * (len(match[0]) - len(match["number"]))

    return _NUMBER_WITH_UNIT.sub(blank, text), numbers


def _unit_of_name(graph: nx.DiGraph, node: Node, name: str, formula: Formula, path: Path | None) -> Unit:
    """Of what an equation names, if it may."""
    column = 1 + next(
        part.col_offset for part in ast.walk(formula.tree) if isinstance(part, ast.Name) and part.id == name
    )
    at = f"column {column} of `{node.equation}`"
    if name == FREQUENCY:
        if node.kind != "factor":
            raise refused(node.name, f"is one value and names {FREQUENCY}, {at}", "make it a factor", path)
        return _known_unit(FREQUENCY_UNIT)
    if name in QUANTITIES and name not in graph:
        return _known_unit(QUANTITIES[name][0])
    if name not in graph:
        there = [*graph.predecessors(node.name), *QUANTITIES, *((FREQUENCY,) if node.kind == "factor" else ())]
        near = get_close_matches(name, there, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}"
        raise refused(node.name, f"has an equation that names the unknown {name}, {at}", hint, path)
    return _unit_of_parent(graph, node, name, at, path)


def _unit_of_parent(graph: nx.DiGraph, node: Node, name: str, at: str, path: Path | None) -> Unit:
    """Of a node that an equation names, if an arrow comes from it and a movie knows its value."""
    if not graph.has_edge(name, node.name):
        raise refused(
            node.name,
            f"is computed from {name}, from where no arrow comes, {at}",
            f"draw the arrow: `edges: {{{name}: [{node.name}]}}`",
            path,
        )
    parent = node_of(graph, name)
    if parent.kind == "factor":
        if node.kind != "factor":
            raise refused(node.name, f"is one value and names the loss {name}, {at}", "make it a factor", path)
        if not parent.computed:
            raise _without_value(node, name, at, path)
    elif name not in VALUES and not parent.equation:
        raise _without_value(node, name, at, path)
    unit = unit_of(parent.unit)
    if unit is None:
        raise refused(name, f"has the unknown unit `{parent.unit}`", "write it like e/A2, nm, mrad, e/px/s", path)
    return unit


def _without_value(node: Node, name: str, at: str, path: Path | None) -> SettingsError:
    return refused(
        node.name,
        f"is computed from {name}, of which a movie knows no value, {at}",
        f"give {name} an equation, or use one of: {', '.join(VALUES)}",
        path,
    )


def _known_unit(text: str) -> Unit:
    unit = unit_of(text)
    assert unit is not None, text
    return unit


def _scaled(tree: ast.expr, numbers: Mapping[int, Unit]) -> ast.expr:
    """The tree with its numbers in base units."""

    class InBaseUnits(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            if node.col_offset not in numbers or not isinstance(node.value, int | float):
                return node
            return ast.copy_location(ast.Constant(node.value * numbers[node.col_offset].scale), node)

    scaled = InBaseUnits().visit(tree)
    assert isinstance(scaled, ast.expr)
    return scaled


def _value(world: World, name: str) -> Array | float | None:
    if name == FREQUENCY:
        return world.k_per_angstrom[None, :]
    if name in world.unknown:
        return None
    if name in world.values:
        return world.values[name]
    return (VALUES[name] if name in VALUES else QUANTITIES[name][1])(world)
