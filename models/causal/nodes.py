"""Nodes of the causal graph as they are written: kind, unit, words, and what computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frazil.config.errors import SettingsError

KINDS = ("setting", "event", "latent", "mechanism", "factor", "outcome")


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


def node_from(name: str, facts: Any, path: Path | None) -> Node:
    """A node as the file has it.

    Raises
    ------
    SettingsError
        Naming file, node and what is wrong.
    """
    known = {"kind", "unit", "words", "source", "mechanism"}
    if not isinstance(facts, Mapping) or facts.get("kind") not in KINDS or not set(facts) <= known:
        raise SettingsError(
            f"node `{name}` of the causal graph needs a kind ({', '.join(KINDS)}), a unit and words",
            path=path,
            remedy="see graph.yaml",
        )
    return Node(
        name,
        facts["kind"],
        str(facts.get("unit", "")),
        str(facts.get("words", name)),
        str(facts.get("source", "")),
        mechanism=str(facts.get("mechanism", "")),
    )


def refused(name: str, reason: str, remedy: str, path: Path | None) -> SettingsError:
    """The error about a node."""
    return SettingsError(f"node `{name}` of the causal graph {reason}", path=path, remedy=remedy)
