"""The oracle on claims about crystals: exact integer arithmetic on operations, metrics and spheres."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TypeAlias

from frazil.models.symmetry_model import TRANSLATION_UNIT

CounterExample: TypeAlias = dict[str, int | str]
_Operation: TypeAlias = tuple[int, ...]

_GRID = 1000 * TRANSLATION_UNIT
_IDENTITY: _Operation = (1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)


def operations_of(numbers: tuple[int, ...]) -> list[_Operation]:
    """Twelve integers each, translations within 0 to 23."""
    chunks = [tuple(numbers[i : i + 12]) for i in range(0, len(numbers), 12)]
    return [(*chunk[:9], *(w % TRANSLATION_UNIT for w in chunk[9:])) for chunk in chunks]


def product(left: _Operation, right: _Operation) -> _Operation:
    """First `right`, then `left`, modulo lattice translations."""
    rotation = [sum(left[3 * i + k] * right[3 * k + j] for k in range(3)) for i in range(3) for j in range(3)]
    shift = [sum(left[3 * i + k] * right[9 + k] for k in range(3)) + left[9 + i] for i in range(3)]
    return (*rotation, *(w % TRANSLATION_UNIT for w in shift))


def determinant(m: tuple[int, ...]) -> int:
    """Of nine integers by rows."""
    return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6])


def positive(n: Mapping[str, Any]) -> CounterExample | None:
    for edge in ("g11", "g22", "g33"):
        if n[edge] < 1:
            return {edge: n[edge]}
    for i, j in ((1, 2), (1, 3), (2, 3)):
        minor = n[f"g{i}{i}"] * n[f"g{j}{j}"] - n[f"g{i}{j}"] ** 2
        if minor + n["face_slack"] < 1:
            return {"face": f"{i}{j}", "area_squared": minor, "slack": n["face_slack"]}
    volume = _volume_squared(n)
    return None if volume + n["slack"] >= 1 else {"volume_squared": volume, "slack": n["slack"]}


def matthews(n: Mapping[str, Any]) -> CounterExample | None:
    volume = _volume_squared(n)
    low = 100 * (volume + n["slack"]) >= 256 * 10**9 * n["mass_down"] ** 2
    high = 100 * (volume - n["slack"]) <= 1600 * 10**9 * n["mass_up"] ** 2
    return None if low and high else {"volume_squared": volume, "mass_da": n["mass_up"], "slack": n["slack"]}


def fits_operations(n: Mapping[str, Any]) -> CounterExample | None:
    """|W^T G W - G| <= |W|^T D |W| + D, entry by entry."""
    metric, error = n["metric"], n["error"]
    for index, operation in enumerate(operations_of(n["operations"])):
        turned = _congruence(operation, metric)
        allowed = _congruence(tuple(abs(w) for w in operation), error)
        for entry in range(9):
            off = abs(turned[entry] - metric[entry])
            if off > allowed[entry] + error[entry]:
                return {"operation": index, "row": entry // 3, "column": entry % 3, "off": off}
    return None


def closed(n: Mapping[str, Any]) -> CounterExample | None:
    """The identity is there, nothing is twice, every product is there, and so (being finite) every inverse."""
    operations = operations_of(n["operations"])
    place = {operation: i for i, operation in enumerate(operations)}
    if _IDENTITY not in place:
        return {"why": "the identity is missing"}
    for index, operation in enumerate(operations):
        if place[operation] != index:
            return {"left": index, "right": place[operation], "why": "they are the same operation"}
    for (i, left), (j, right) in itertools.product(enumerate(operations), repeat=2):
        if product(left, right) not in place:
            return {"left": i, "right": j, "why": "their product is none of the operations"}
    return None


def proper(n: Mapping[str, Any]) -> CounterExample | None:
    for index, operation in enumerate(operations_of(n["operations"])):
        if determinant(operation) != 1:
            return {"operation": index, "determinant": determinant(operation)}
    return None


def apart(n: Mapping[str, Any]) -> CounterExample | None:
    """v^T G v + |v|^T D |v| >= (r1 + r2)^2 for every sphere against every mate's, v between their centres."""
    numbers, metric, error = n["spheres"], n["metric"], n["error"]
    spheres = [numbers[i : i + 4] for i in range(0, len(numbers), 4)]
    shifts = [range(-s, s + 1) for s in n["shifts"]]
    for index, operation in enumerate(operations_of(n["operations"])):
        for i, first in enumerate(spheres):
            mate = [
                (sum(operation[3 * r + k] * first[k] for k in range(3)) + 1000 * operation[9 + r]) % _GRID
                for r in range(3)
            ]
            for j, second in enumerate(spheres):
                touching = (first[3] + second[3]) ** 2 * _GRID**2
                for shift in itertools.product(*shifts):
                    if operation == _IDENTITY and not any(shift):
                        continue
                    v = [mate[r] + _GRID * shift[r] - second[r] for r in range(3)]
                    square = _form(metric, v) + _form(error, [abs(x) for x in v])
                    if 1000 * square < touching:
                        return {
                            "operation": index,
                            "first": i,
                            "second": j,
                            **dict(zip(("shift_x", "shift_y", "shift_z"), shift, strict=True)),
                        }
    return None


def _volume_squared(n: Mapping[str, Any]) -> int:
    g = [n["g11"], n["g12"], n["g13"], n["g12"], n["g22"], n["g23"], n["g13"], n["g23"], n["g33"]]
    return determinant(tuple(g))


def _congruence(w: tuple[int, ...], g: tuple[int, ...]) -> list[int]:
    return [
        sum(w[3 * k + i] * g[3 * k + m] * w[3 * m + j] for k in range(3) for m in range(3))
        for i in range(3)
        for j in range(3)
    ]


def _form(g: tuple[int, ...], v: list[int]) -> int:
    return sum(v[i] * g[3 * i + j] * v[j] for i in range(3) for j in range(3))
