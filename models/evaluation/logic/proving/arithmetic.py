"""Obligations that are relations between a few numbers, written once for all provers but the oracle.

A formula is a function of terms. A term knows nothing of what it stands for: z3, Coq and Lean each print it in their
own language, with variables or with literals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Term:
    """An integer term: a leaf (a name or a number), or an operation (`+ - *`) on two terms."""

    operator: str
    leaf: str | int = 0
    sides: tuple[Term, ...] = ()

    def __add__(self, other: Term | int) -> Term:
        return Term("+", sides=(self, term(other)))

    def __sub__(self, other: Term | int) -> Term:
        return Term("-", sides=(self, term(other)))

    def __mul__(self, other: Term | int) -> Term:
        return Term("*", sides=(self, term(other)))

    def __rmul__(self, other: int) -> Term:
        return Term("*", sides=(term(other), self))


@dataclass(frozen=True, slots=True)
class Relation:
    """`<=` or `=` between two terms."""

    sign: str
    left: Term
    right: Term


Formula: TypeAlias = tuple[Relation, ...]
"""All of them hold."""


def leaf(value: str | int) -> Term:
    """A name or a number."""
    return Term("", value)


def term(value: Term | int) -> Term:
    return value if isinstance(value, Term) else leaf(value)


def equal(left: Term | int, right: Term | int) -> Relation:
    return Relation("=", term(left), term(right))


def at_most(left: Term | int, right: Term | int) -> Relation:
    return Relation("<=", term(left), term(right))


def prefix(value: Term) -> str:
    """As SMT-LIB 2 writes it."""
    if value.operator:
        return f"({value.operator} {' '.join(prefix(side) for side in value.sides)})"
    return smt_number(value.leaf) if isinstance(value.leaf, int) else value.leaf


def infix(value: Term) -> str:
    """As Coq and Lean write it."""
    if value.operator:
        return "(" + f" {value.operator} ".join(infix(side) for side in value.sides) + ")"
    return number(value.leaf) if isinstance(value.leaf, int) else value.leaf


def smt_number(value: int) -> str:
    return str(value) if value >= 0 else f"(- {-value})"


def number(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"


def formula_of(name: str, terms: Mapping[str, Term]) -> Formula | None:
    """The obligation of this name about these terms; None: it is no relation of a few numbers."""
    made = _FORMULAS.get(name)
    return None if made is None else made(terms)


Terms: TypeAlias = Mapping[str, Term]


def _equals(first: str, second: str) -> Callable[[Terms], Formula]:
    return lambda n: (equal(n[first], n[second]),)


def _not_above(low: str, high: str) -> Callable[[Terms], Formula]:
    return lambda n: (at_most(n[low], n[high]),)


def _within(left: Term, right: Term, slack: Term | int) -> Formula:
    return at_most(left - right, slack), at_most(right - left, slack)


def _counts(n: Terms) -> Formula:
    return at_most(n["movies"], n["processed"]), at_most(n["particles"], n["extracted"])


def _halves_sum(n: Terms) -> Formula:
    together = n["first"] + n["second"]
    return equal(together, n["particles"]), at_most(n["in_map"], together)


def _determinant(n: Terms) -> Term:
    """Of the symmetric metric, by Sarrus."""
    plus = n["g11"] * n["g22"] * n["g33"] + 2 * n["g12"] * n["g13"] * n["g23"]
    minus = n["g11"] * n["g23"] * n["g23"] + n["g22"] * n["g13"] * n["g13"] + n["g33"] * n["g12"] * n["g12"]
    return plus - minus


def _positive(n: Terms) -> Formula:
    faces = (
        n["g11"] * n["g22"] - n["g12"] * n["g12"],
        n["g11"] * n["g33"] - n["g13"] * n["g13"],
        n["g22"] * n["g33"] - n["g23"] * n["g23"],
    )
    edges = tuple(at_most(1, n[g]) for g in ("g11", "g22", "g33"))
    return (*edges, *(at_most(1, face + n["face_slack"]) for face in faces), at_most(1, _determinant(n) + n["slack"]))


def _matthews(n: Terms) -> Formula:
    # 1.6 Z M <= V <= 4 Z M, squared: V^2 [A6] = det G / 10^9 with G in 1/1000 A2
    squared = _determinant(n)
    return (
        at_most(256 * 10**9 * n["mass_down"] * n["mass_down"], 100 * (squared + n["slack"])),
        at_most(100 * (squared - n["slack"]), 1600 * 10**9 * n["mass_up"] * n["mass_up"]),
    )


_FORMULAS: Mapping[str, Callable[[Terms], Formula]] = {
    "frames-counted": _equals("frames", "shifts"),
    "frames-promised": _equals("frames", "promised"),
    "dose-adds-up": lambda n: _within(n["frames"] * n["dose"], n["total"], n["slack"]),
    "dose-arrives": lambda n: (at_most(4 * 10**6 * n["counts"], 5 * n["dose"] * n["pixel"] * n["pixel"]),),
    "fit-above-nyquist": lambda n: (at_most(2 * n["pixel"], n["resolution"]),),
    "defocus-ordered": _not_above("v", "u"),
    "one-result-per-file": lambda n: (equal(n["results"], 1),),
    "halves-complete": lambda n: (equal(n["first"] + n["second"], n["particles"]),),
    "halves-apart": _not_above("reach", "nearest"),
    "halves-balanced": lambda n: _within(n["first"], n["second"], n["largest"]),
    "box-holds-particle": lambda n: (at_most(n["diameter"], n["box"] * n["pixel"]),),
    "group-order": _equals("order", "expected"),
    "map-counts": _counts,
    "map-halves-sum": _halves_sum,
    "map-halves-balanced": lambda n: _within(n["first"], n["second"], n["slack"]),
    "map-above-nyquist": _not_above("frequency", "last"),
    "map-within-pixels": lambda n: (at_most(2 * n["pixel"], n["resolution"]),),
    "cell-positive": _positive,
    "cell-in-box": lambda n: (at_most(n["edge"], n["box"] * n["pixel"]),),
    "matthews": _matthews,
    "operations-order": _equals("order", "expected"),
    "cell-contents": lambda n: (equal(n["copies"] * n["order"], n["molecules"]), at_most(1, n["copies"])),
    "helix-rises": lambda n: (at_most(1, n["rise"]), at_most(-180_000, n["twist"]), at_most(n["twist"], 180_000)),
    "helix-pitch": lambda n: _within(n["turn"] * n["pitch"], 360_000 * n["rise"], n["slack"]),
    "helix-handed": lambda n: (at_most(0, n["hand"] * n["twist"]),),
    "helix-in-box": lambda n: (at_most(2 * n["rise"], n["box"] * n["pixel"]),),
}
