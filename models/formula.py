"""Formulas that a person writes: arithmetic on named quantities, and nothing else that Python can do.

The text is parsed by Python's own parser and every node of the tree is looked at: numbers, names, `+ - * / **`,
comparisons, `and or not`, `a if b else c` and the functions of `FUNCTIONS` are all there is. No attribute, index,
string or call of anything else exists in the language, nothing is ever handed to `eval`, all numbers are floats (a
power cannot grow into gigabytes), and the tree's size and depth are limited before it is evaluated: a formula ends.

Quantities are numbers or arrays of draws. Where there is no such number (a division by zero, the root of a negative
number, beyond the largest float) the value is NaN there and stays so, whatever follows.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from frazil.config.errors import SettingsError

Array = NDArray[np.float64]

LONGEST = 500
"""Characters."""
MOST_NODES, DEEPEST = 200, 30
FUNCTIONS: Mapping[str, tuple[Callable[..., Array], int, int]] = {
    "sqrt": (np.sqrt, 1, 1),
    "exp": (np.exp, 1, 1),
    "log": (np.log, 1, 1),
    "log10": (np.log10, 1, 1),
    "sin": (np.sin, 1, 1),
    "cos": (np.cos, 1, 1),
    "tan": (np.tan, 1, 1),
    "atan": (np.arctan, 1, 1),
    "atan2": (np.arctan2, 2, 2),
    "hypot": (np.hypot, 2, 2),
    "abs": (np.abs, 1, 1),
    "floor": (np.floor, 1, 1),
    "min": (lambda *values: reduce(np.minimum, values), 2, 20),
    "max": (lambda *values: reduce(np.maximum, values), 2, 20),
}
"""Each with the least and most arguments. Angles are in radians."""
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
_BINARY: Mapping[type[ast.AST], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARED: Mapping[type[ast.AST], Callable[[Array, Array], NDArray[np.bool_]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read and found well-formed (`parse_formula`)."""

    name: str
    text: str
    variables: tuple[str, ...]
    """Names of the quantities that it needs, sorted."""
    tree: ast.expr
    """Of the language and nothing else; columns are those of `text`."""

    def value(self, quantities: Mapping[str, float | None]) -> float | None:
        """The formula's value; a comparison is 1 or 0. None: a quantity is not known, or there is no such number
        (a division by zero, the root of a negative number, beyond the largest float)."""
        known = {name: quantities.get(name) for name in self.variables}
        if any(value is None for value in known.values()):
            return None
        found = float(self.values({name: np.asarray(value, dtype=np.float64) for name, value in known.items()}))
        return found if math.isfinite(found) else None

    def values(self, quantities: Mapping[str, Array]) -> Array:
        """The formula of arrays that can be broadcast together; NaN where there is no such number."""
        with np.errstate(all="ignore"):
            return np.asarray(_value(self.tree, quantities))


def parse_formula(
    name: str, text: str, known: Mapping[str, str] | None = None, *, of: str = "evaluation.formulas"
) -> Formula:
    """Read a formula. `known`: the quantities that there are (with their meaning); None: any name is one. `of`: where
    it stands, for errors.

    Raises
    ------
    SettingsError
        It is not of the language, too long or too deep, or names a quantity that is not known; with the column.
    """
    where = f"{of}.{name}"
    if len(text) > LONGEST:
        raise SettingsError(f"{where} has {len(text)} characters", remedy=f"write at most {LONGEST}")
    stripped = text.strip()
    try:
        tree = ast.parse(stripped, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None) or 1
        raise SettingsError(
            f"{where} is no formula: {getattr(error, 'msg', error)}, column {column}",
            remedy="write arithmetic on named quantities, such as defocus_u_angstrom - defocus_v_angstrom",
        ) from None
    names: set[str] = set()
    count = _check(tree.body, where, names, 1)
    if count > MOST_NODES:
        raise SettingsError(f"{where} has {count} parts", remedy=f"write at most {MOST_NODES}")
    variables = sorted(names - set(CONSTANTS))
    if known is not None:
        for variable in variables:
            if variable not in known:
                near = get_close_matches(variable, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
                column = next(
                    node.col_offset + 1 for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == variable
                )
                raise SettingsError(f"{where} names {variable}, which is no quantity, column {column}", remedy=hint)
    return Formula(name, stripped, tuple(variables), tree.body)


def _check(node: ast.expr, where: str, names: set[str], depth: int) -> int:
    """How many parts the tree has; all of them are of the language."""
    if depth > DEEPEST:
        raise SettingsError(f"{where} is nested deeper than {DEEPEST}", remedy="write it as several formulas")
    children: list[ast.expr] = []
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(node, value, where)
        case ast.Name(id=name):
            if name in FUNCTIONS:
                raise _refused(where, node, f"{name} is a function and needs its argument")
            names.add(name)
        case ast.Call(func=ast.Name(id=name)):
            children = _arguments(node, name, where)
        case _:
            children = _operands(node, where)
    return 1 + sum(_check(child, where, names, depth + 1) for child in children)


def _check_number(node: ast.expr, value: int | float, where: str) -> None:
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise SettingsError(f"{where}: the number in column {node.col_offset + 1} is too large", remedy="mend it")


def _operands(node: ast.expr, where: str) -> list[ast.expr]:
    """What an operator of the language works on; SettingsError for anything else."""
    match node:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            return [operand]
        case ast.BoolOp(values=values):
            return values
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARED for op in ops):
            return [left, *others]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return [test, body, orelse]
    raise _refused(where, node, f"{type(node).__name__.lower()} is not part of the language")


def _arguments(call: ast.Call, name: str, where: str) -> list[ast.expr]:
    """Of a function of the language, as many as it takes."""
    if name not in FUNCTIONS or call.keywords:
        raise _refused(where, call, f"there is no function {name}")
    _, least, most = FUNCTIONS[name]
    if not least <= len(call.args) <= most:
        raise _refused(where, call, f"{name} takes {least if least == most else f'{least} to {most}'} numbers")
    return call.args


def _refused(where: str, node: ast.expr, why: str) -> SettingsError:
    return SettingsError(
        f"{where}: {why}, column {node.col_offset + 1}",
        remedy=f"use numbers, quantities, + - * / **, comparisons and {', '.join(FUNCTIONS)}",
    )


def _value(node: ast.expr, quantities: Mapping[str, Array]) -> Array:
    """Every operation's value, NaN where there is none."""
    match node:
        case ast.Constant(value=value):
            return np.asarray(float(value))  # type: ignore[arg-type]
        case ast.Name(id=name):
            return np.asarray(quantities[name] if name in quantities else CONSTANTS[name])
        case ast.BinOp(left=left, op=op, right=right):
            return _finite(_BINARY[type(op)](_value(left, quantities), _value(right, quantities)))
        case ast.UnaryOp(op=op, operand=operand):
            inner = _value(operand, quantities)
            return (
                _truth(inner == 0.0, inner)
                if isinstance(op, ast.Not)
                else -inner
                if isinstance(op, ast.USub)
                else inner
            )
        case ast.BoolOp(op=op, values=values):
            return _decided([_value(one, quantities) for one in values], stops=not isinstance(op, ast.And))
        case ast.Compare(left=left, ops=ops, comparators=others):
            numbers = [_value(one, quantities) for one in (left, *others)]
            pairs = zip(ops, numbers, numbers[1:], strict=False)
            return _truth(reduce(np.logical_and, [_COMPARED[type(op)](a, b) for op, a, b in pairs]), *numbers)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            chosen = _value(test, quantities)
            either = np.where(chosen != 0.0, _value(body, quantities), _value(orelse, quantities))
            return np.where(np.isnan(chosen), np.nan, either)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _finite(FUNCTIONS[name][0](*(_value(one, quantities) for one in arguments)))
    raise ValueError(f"{type(node).__name__} slipped through")  # `_check` has seen every node


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _truth(found: NDArray[np.bool_], *of: Array) -> Array:
    """1 or 0; NaN where one of the numbers is not known that it is made `of`."""
    return np.where(reduce(np.logical_or, [np.isnan(one) for one in of]), np.nan, found)


def _decided(values: list[Array], *, stops: bool) -> Array:
    """`or` where truth `stops` the search from left to right, else `and`: what comes later is not asked any more."""
    found = _truth(values[0] != 0.0, values[0])
    for value in values[1:]:
        found = np.where((found == float(stops)) | np.isnan(found), found, _truth(value != 0.0, value))
    return found
