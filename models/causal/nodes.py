"""Nodes of the causal graph as they are written: kind, unit, words, and what computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frazil.config.errors import SettingsError

KINDS = ("setting", "event", "latent", "mechanism", "factor", "outcome")
COMPUTED_KINDS = ("mechanism", "factor")
"""What a person's equation can compute: what is given or only seen follows from nothing."""
_MAY_HAVE = ("source", "mechanism", "equation", "replaces")
_FACTS = {"kind", "unit", "words", *_MAY_HAVE}


@dataclass(frozen=True, slots=True)
class Node:
    """A cause, a mechanism or an outcome."""

    name: str
    kind: str
    unit: str
    words: str
    source: str = ""
    mechanism: str = ""
    """Name of the registered structural equation that computes it."""
    equation: str = ""
    """Formula of a person's own that computes it (`node_equation`)."""
    replaces: bool = False
    """Whether it takes the place of a shipped node of this name."""

    @property
    def computed(self) -> bool:
        return bool(self.mechanism or self.equation)


def node_from(name: str, facts: Any, path: Path | None) -> Node:
    """A node as the file has it.

    Raises
    ------
    SettingsError
        Naming file, node and what is wrong.
    """
    if not isinstance(facts, Mapping) or facts.get("kind") not in KINDS or not set(facts) <= _FACTS:
        raise SettingsError(
            f"node `{name}` of the causal graph needs a kind ({', '.join(KINDS)}), a unit and words, and may have "
            f"{', '.join(_MAY_HAVE)}",
            path=path,
            remedy="see graph.yaml",
        )
    kind, equation, replaces = facts["kind"], facts.get("equation", ""), facts.get("replaces", False)
    if not isinstance(replaces, bool):
        raise refused(name, "has a `replaces` that is neither true nor false", "write `replaces: true`", path)
    if equation and kind not in COMPUTED_KINDS:
        raise refused(
            name, f"is a {kind} and cannot have an equation", f"make it a {' or a '.join(COMPUTED_KINDS)}", path
        )
    if equation and facts.get("mechanism"):
        raise refused(name, "has a mechanism and an equation", "leave one of them out", path)
    return Node(
        name,
        kind,
        str(facts.get("unit", "")),
        str(facts.get("words", name)),
        str(facts.get("source", "")),
        mechanism=str(facts.get("mechanism", "")),
        equation=" ".join(str(equation).split()),
        replaces=replaces,
    )


def refused(name: str, reason: str, remedy: str, path: Path | None) -> SettingsError:
    """The error about a node."""
    return SettingsError(f"node `{name}` of the causal graph {reason}", path=path, remedy=remedy)
