"""Claims as calls of the functions that Coq's and Lean's preludes define, and what the numbers of a fault mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from frazil.models.evaluation.logic.exact_models import CounterExample
from frazil.models.evaluation.logic.proving.arithmetic import number
from frazil.models.evaluation.logic.statements import Claim
from frazil.models.symmetry_model import TRANSLATION_UNIT

_GRID = 1000 * TRANSLATION_UNIT


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a language writes a list, and a matrix, an operation and a ball from their numbers."""

    separator: str
    matrix: str
    operation: str
    ball: str

    def row(self, items: Sequence[str]) -> str:
        return f"[{self.separator.join(items)}]"

    def numbers(self, values: Sequence[int]) -> str:
        return self.row([number(value) for value in values])


COQ = Syntax("; ", "Mat", "Op", "Ball")
LEAN = Syntax(", ", "Mat.mk", "Op.mk", "Ball.mk")


def call(claim: Claim, syntax: Syntax) -> str:
    """The fault of a claim that is no relation of a few numbers, as a term of the language."""
    return _CALLS[claim.name](claim.integers, syntax)


def is_relation(claim: Claim) -> bool:
    """Whether it is a relation of a few numbers (`arithmetic`), not a call."""
    return claim.name not in _CALLS


def case_count(claim: Claim) -> int:
    """How many elementary comparisons a claim takes, roughly."""
    n: Mapping[str, Any] = claim.integers
    if claim.name in ("halves-disjoint", "fibres-whole"):
        return len(n["first"]) * len(n["second"])
    if claim.name == "operations-closed":
        return int(len(n["operations"]) // 12) ** 3
    if claim.name == "mates-apart":
        x, y, z = (2 * shift + 1 for shift in n["shifts"])
        return int(len(n["operations"]) // 12 * (len(n["spheres"]) // 4) ** 2 * x * y * z)
    return sum(len(value) for value in n.values() if isinstance(value, tuple))


def fault_numbers(name: str, numbers: Sequence[int]) -> CounterExample:
    """The numbers that a prelude's function returned, by their names."""
    if name == "halves-disjoint":
        return {"x_tenth_px": numbers[0] % 10**7, "y_tenth_px": numbers[0] // 10**7}
    if name in KINDS:
        words, names = KINDS[name][numbers[0]]
        return {**dict(zip(names, numbers[1:], strict=True)), "why": words}
    if name == "cell-fits-operations":
        operation, entry, off = numbers
        return {"operation": operation, "row": entry // 3, "column": entry % 3, "off": off}
    return dict(zip(_NAMES[name], numbers, strict=True))


_SHELL = ("shell", "fsc_x_10000")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "fibres-whole": ("fibre",),
    "fsc-in-range": _SHELL,
    "fsc-starts-high": _SHELL,
    "fsc-crosses-where-claimed": ("shell", "first_below", "fsc_x_10000", "claimed"),
    "operations-proper": ("operation", "determinant"),
    "mates-apart": ("operation", "first", "second", "shift_x", "shift_y", "shift_z"),
}
KINDS: Mapping[str, Mapping[int, tuple[str, tuple[str, ...]]]] = {
    "group-closed": {
        1: ("it is no rotation", ("element",)),
        2: ("their product is not in the group", ("left", "right")),
        3: ("there is no identity", ()),
        4: ("it has no inverse", ("element",)),
    },
    "operations-closed": {
        1: ("the identity is missing", ()),
        2: ("they are the same operation", ("left", "right")),
        3: ("their product is none of the operations", ("left", "right")),
    },
}
"""What the first number of a fault says (`kind` in a solver's model), and which numbers then belong to it."""


def _matrix(values: Sequence[int], syntax: Syntax) -> str:
    return f"({syntax.matrix} {' '.join(number(value) for value in values)})"


def _operations(values: Sequence[int], syntax: Syntax) -> str:
    chunks = [values[i : i + 12] for i in range(0, len(values), 12)]
    return syntax.row(
        [f"{syntax.operation} {_matrix(c[:9], syntax)} {' '.join(number(w) for w in c[9:])}" for c in chunks]
    )


def _group(n: Mapping[str, Any], syntax: Syntax) -> str:
    order, table = n["order"], n["table"]
    rows = syntax.row([syntax.numbers(table[i * order : (i + 1) * order]) for i in range(order)])
    return f"group_closed {order} {rows} {syntax.numbers(n['handed'])}"


def _apart(n: Mapping[str, Any], syntax: Syntax) -> str:
    balls = [n["spheres"][i : i + 4] for i in range(0, len(n["spheres"]), 4)]
    listed = syntax.row([f"{syntax.ball} {' '.join(number(value) for value in ball)}" for ball in balls])
    metric, error = _matrix(n["metric"], syntax), _matrix(n["error"], syntax)
    shifts = " ".join(str(shift) for shift in n["shifts"])
    return f"mates_apart {_GRID} {_operations(n['operations'], syntax)} {listed} {metric} {error} {shifts}"


_Call: TypeAlias = Callable[[Mapping[str, Any], Syntax], str]
_CALLS: Mapping[str, _Call] = {
    "halves-disjoint": lambda n, s: f"disjoint {s.numbers(n['first'])} {s.numbers(n['second'])}",
    "fibres-whole": lambda n, s: f"disjoint {s.numbers(n['first'])} {s.numbers(n['second'])}",
    "group-closed": _group,
    "fsc-in-range": lambda n, s: f"fsc_in_range {s.numbers(n['fsc'])}",
    "fsc-starts-high": lambda n, s: f"fsc_starts_high {s.numbers(n['fsc'])}",
    "fsc-crosses-where-claimed": lambda n, s: (
        f"fsc_crosses {s.numbers(n['fsc'])} {s.numbers(n['at'])} {number(n['claimed'])}"
    ),
    "operations-closed": lambda n, s: f"operations_closed {_operations(n['operations'], s)}",
    "operations-proper": lambda n, s: f"operations_proper {_operations(n['operations'], s)}",
    "cell-fits-operations": lambda n, s: (
        f"fits_operations {_operations(n['operations'], s)} {_matrix(n['metric'], s)} {_matrix(n['error'], s)}"
    ),
    "mates-apart": _apart,
}
