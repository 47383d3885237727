"""The causal graph as data: which settings and events act through which mechanisms on which losses.

It ships as graph.yaml, is a networkx DAG, and can be extended by a file of the same shape. Its nodes say what computes
them; `structural_model` evaluates them, also after an intervention. Here it is read, checked, and draws itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import networkx as nx
import yaml

from frazil.config.errors import SettingsError
from frazil.models.causal.factors import FACTORS
from frazil.models.causal.nodes import Node, node_from, refused

_LAYER = {"setting": 0, "event": 0, "latent": 1, "mechanism": 1, "factor": 2, "outcome": 3}
_COLUMN_WIDTH_PX, _ROW_HEIGHT_PX, _BOX_WIDTH_PX, _BOX_HEIGHT_PX = 260, 34, 190, 24
_FILL = {
    "setting": "#d9e8f6",
    "event": "#e9e9e9",
    "latent": "#fdf1d5",
    "mechanism": "#fdf1d5",
    "factor": "#f7dedb",
    "outcome": "#dcefdc",
}


@lru_cache(maxsize=1)
def _shipped_graph() -> nx.DiGraph:
    graph = nx.DiGraph()
    _add(graph, yaml.safe_load(resources.files("frazil.models.causal").joinpath("graph.yaml").read_text("utf-8")), None)
    return nx.freeze(graph)


def causal_graph(extension: Path | None = None) -> nx.DiGraph:
    """The DAG; every node carries its `Node` as attribute `node`. A session's file is read anew at every call.

    Raises
    ------
    SettingsError
        The extension is no graph of this shape, names an unknown node, or closes a circle.
    """
    if extension is None:
        return _shipped_graph()
    graph = nx.DiGraph(_shipped_graph())
    try:
        more = yaml.safe_load(extension.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(
            f"the causal graph cannot be read ({error})", path=extension, remedy="correct the file"
        ) from error
    _add(graph, more, extension)
    missing = [factor for factor in FACTORS if factor not in graph]
    if missing:
        raise SettingsError(
            f"the causal graph has no node {', '.join(missing)}",
            path=extension,
            remedy="leave these as they are shipped",
        )
    return graph


def _add(graph: nx.DiGraph, content: Any, path: Path | None) -> None:
    if not isinstance(content, Mapping) or not set(content) <= {"nodes", "edges"}:
        raise SettingsError(
            "a causal graph has `nodes` and `edges` and nothing else", path=path, remedy="see graph.yaml"
        )
    for name, facts in (content.get("nodes") or {}).items():
        node = node_from(str(name), facts, path)
        _check_place(graph, node, path)
        graph.add_node(node.name, node=node)  # the arrows of a node that it replaces stay
    for cause, effects in (content.get("edges") or {}).items():
        for effect in effects:
            for end in (cause, effect):
                if end not in graph:
                    raise SettingsError(
                        f"an edge of the causal graph ends at the unknown node `{end}`",
                        path=path,
                        remedy="add it below `nodes`, or correct its name (`frazil why --tree` has them)",
                    )
            graph.add_edge(cause, effect)
    if not nx.is_directed_acyclic_graph(graph):
        circle = " -> ".join(edge[0] for edge in nx.find_cycle(graph))
        raise SettingsError(f"the causal graph goes round in a circle: {circle}", path=path, remedy="remove one arrow")


def _check_place(graph: nx.DiGraph, node: Node, path: Path | None) -> None:
    """A new name, or a node that says that it replaces the shipped one of its name, and can."""
    if node.name not in graph:
        if node.replaces:
            raise refused(node.name, "replaces a node that is not there", "leave `replaces` out", path)
        return
    shipped = node_of(graph, node.name)
    if not node.replaces:
        raise refused(
            node.name, "is there already", "give yours another name, or `replaces: true` and an equation", path
        )
    if not node.equation:
        raise refused(node.name, "replaces a shipped node and has no equation", "give it one", path)
    if node.unit != shipped.unit or (node.kind == "factor") != (shipped.kind == "factor"):
        now, was = (f"a {one.kind} in {one.unit or 'no unit'}" for one in (node, shipped))
        raise refused(node.name, f"is {now} and replaces {was}", "keep unit and kind", path)


def graph_of(nodes: Iterable[Node], edges: Iterable[tuple[str, str]]) -> nx.DiGraph:
    """The graph of these nodes and arrows, which came from a graph that was checked."""
    graph = nx.DiGraph()
    for node in nodes:
        graph.add_node(node.name, node=node)
    graph.add_edges_from(edges)
    return graph


def node_of(graph: nx.DiGraph, name: str) -> Node:
    node: Node = graph.nodes[name]["node"]
    return node


def listed(words: Sequence[str]) -> str:
    """
    >>> listed(["ice", "drift", "tilt"])
    'ice, drift and tilt'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def factors_reached(graph: nx.DiGraph, cause: str) -> tuple[str, ...]:
    """Factors through which a cause acts, in the graph's order: what an intervention on it changes."""
    reached = nx.descendants(graph, cause) | {cause}
    return tuple(
        name for name in nx.topological_sort(graph) if name in reached and node_of(graph, name).kind == "factor"
    )


def as_tree(graph: nx.DiGraph, losses_ln_ssnr: Mapping[str, float] | None = None) -> Iterator[str]:
    """Lines of text: every factor, largest loss first, with what acts on it."""
    losses = losses_ln_ssnr or {}
    factors = [name for name in graph if node_of(graph, name).kind == "factor"]
    for factor in sorted(factors, key=lambda name: -losses.get(name, 0.0)):
        said = f"  {losses[factor]:.2f}" if factor in losses else ""
        yield f"{node_of(graph, factor).words}{said}"
        parents = list(graph.predecessors(factor))
        for index, parent in enumerate(parents):
            last = index == len(parents) - 1
            above = ", ".join(node_of(graph, name).words for name in graph.predecessors(parent))
            yield f"{'└─' if last else '├─'} {node_of(graph, parent).words}{f' ← {above}' if above else ''}"


def as_svg(graph: nx.DiGraph, losses_ln_ssnr: Mapping[str, float] | None = None) -> str:
    """A picture in four columns, causes on the left; widths of arrows into ln SSNR grow with the losses."""
    losses = losses_ln_ssnr or {}
    columns: dict[int, list[str]] = {}
    for name in nx.topological_sort(graph):
        columns.setdefault(_LAYER[node_of(graph, name).kind], []).append(name)
    place: dict[str, tuple[float, float]] = {}
    height = max(len(names) for names in columns.values()) * _ROW_HEIGHT_PX + 20
    for column, names in columns.items():
        step = height / (len(names) + 1)
        for row, name in enumerate(names):
            place[name] = (10 + column * _COLUMN_WIDTH_PX, (row + 1) * step)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{4 * _COLUMN_WIDTH_PX}" height="{height:.0f}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="causal graph">'
    ]
    for cause, effect in graph.edges:
        (x0, y0), (x1, y1) = place[cause], place[effect]
        width = 1.0 + 3.0 * min(losses.get(cause, 0.0), 3.0)
        start = x0 + _BOX_WIDTH_PX
        bend = max((x1 - start) / 2, 20.0)
        parts.append(
            f'<path d="M{start:.0f} {y0:.0f} C{start + bend:.0f} {y0:.0f} {x1 - bend:.0f} {y1:.0f} {x1:.0f} {y1:.0f}" '
            f'fill="none" stroke="#8a8a8a" stroke-width="{width:.1f}" stroke-opacity="0.6"/>'
        )
    for name, (x, y) in place.items():
        node = node_of(graph, name)
        said = f" {losses[name]:.2f}" if name in losses else ""
        parts.append(
            f'<rect x="{x:.0f}" y="{y - _BOX_HEIGHT_PX / 2:.0f}" width="{_BOX_WIDTH_PX}" '
            f'height="{_BOX_HEIGHT_PX}" rx="4" fill="{_FILL[node.kind]}" stroke="#555"/>'
            f'<text x="{x + 6:.0f}" y="{y + 4:.0f}">{_escaped(node.words)}{said}</text>'
        )
    return "".join([*parts, "</svg>"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
