"""Whether a formula's units agree: dimensional analysis of its tree, before anything is computed.

Multiplication, division, powers by numbers and roots make new units; what is added, compared or chosen between has to
be alike; exponentials, logarithms and `floor` are of numbers only, sines of numbers and angles. A bare 0 is of any
unit.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from frazil.models.causal.units import NO_DIMENSION, Dimension, dimension_words, powered, product, unit_of
from frazil.models.formula import CONSTANTS, Formula

_OF_NUMBERS = ("exp", "log", "log10", "floor", "atan")
_OF_ANGLES = ("sin", "cos", "tan")
_SAME = ("abs", "min", "max", "hypot")
"""Functions whose value has the unit of what they are given."""
_FINEST_POWER = 12
_ANGLE = unit_of("rad").dimension  # type: ignore[union-attr]


class UnitMismatchError(ValueError):
    """Units do not agree; `column` from 1."""

    def __init__(self, what: str, column: int) -> None:
        super().__init__(what)
        self.what, self.column = what, column


def dimension_of(
    formula: Formula, dimensions: Mapping[str, Dimension], numbers: Mapping[int, Dimension]
) -> Dimension | None:
    """Of a formula's value; None: of any (it is 0).

    Parameters
    ----------
    dimensions:
        Of its quantities.
    numbers:
        Of the numbers that have a unit, by their column from 0.

    Raises
    ------
    UnitMismatchError
        With what cannot be.
    """
    return _Check(dimensions, numbers).of(formula.tree)


class _Check:
    def __init__(self, dimensions: Mapping[str, Dimension], numbers: Mapping[int, Dimension]) -> None:
        self._dimensions, self._numbers = dimensions, numbers

    def of(self, node: ast.expr) -> Dimension | None:
        match node:
            case ast.Constant(value=value):
                bare = NO_DIMENSION if value else None
                return self._numbers.get(node.col_offset, bare)
            case ast.Name(id=name):
                return NO_DIMENSION if name in CONSTANTS else self._dimensions[name]
            case ast.BinOp():
                return self._operation(node)
            case ast.Call():
                return self._call(node)
        return self._choice(node)

    def _operation(self, node: ast.BinOp) -> Dimension | None:
        match node.op:
            case ast.Add() | ast.Sub():
                return self._alike([node.left, node.right], "added" if isinstance(node.op, ast.Add) else "subtracted")
            case ast.Pow():
                return self._power(node)
        left, right = self.of(node.left), self.of(node.right)
        if left is None or right is None:
            return None
        return product(left, right, 1 if isinstance(node.op, ast.Mult) else -1)

    def _power(self, node: ast.BinOp) -> Dimension | None:
        base = self.of(node.left)
        self._number(node.right, "a power")
        if base is None or base == NO_DIMENSION:
            return base
        if any(isinstance(part, ast.Name) and part.id not in CONSTANTS for part in ast.walk(node.right)):
            raise UnitMismatchError(
                f"{dimension_words(base)} is raised to a power that is no fixed number", node.right.col_offset + 1
            )
        power = float(Formula("power", "", (), node.right).values({}))
        if not np.isfinite(power):
            raise UnitMismatchError("a power is no number", node.right.col_offset + 1)
        return powered(base, Fraction(power).limit_denominator(_FINEST_POWER))

    def _call(self, node: ast.Call) -> Dimension | None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "sqrt":
            inner = self.of(node.args[0])
            return inner if inner is None else powered(inner, Fraction(1, 2))
        if name in _OF_NUMBERS:
            self._number(node.args[0], f"{name}()")
        elif name in _OF_ANGLES:
            inner = self.of(node.args[0])
            if inner not in (None, NO_DIMENSION, _ANGLE):
                raise UnitMismatchError(
                    f"{name}() is of an angle or a number, not of {_words(inner)}", node.args[0].col_offset + 1
                )
        else:
            alike = self._alike(node.args, f"given to {name}()")
            if name in _SAME:
                return alike
        return _ANGLE if name in ("atan", "atan2") else NO_DIMENSION

    def _choice(self, node: ast.expr) -> Dimension | None:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.of(operand)
                return NO_DIMENSION
            case ast.UnaryOp(operand=operand):
                return self.of(operand)
            case ast.BoolOp(values=values):
                for value in values:
                    self.of(value)
                return NO_DIMENSION
            case ast.Compare(left=left, comparators=others):
                self._alike([left, *others], "compared")
                return NO_DIMENSION
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.of(test)
                return self._alike([body, orelse], "chosen between")
        raise TypeError(f"{type(node).__name__} is not of the language")

    def _alike(self, parts: Sequence[ast.expr], how: str) -> Dimension | None:
        found: Dimension | None = None
        for part in parts:
            here = self.of(part)
            if here is not None and found is not None and here != found:
                raise UnitMismatchError(f"{_words(found)} and {_words(here)} are {how}", part.col_offset + 1)
            found = here if found is None else found
        return found

    def _number(self, part: ast.expr, what: str) -> None:
        here = self.of(part)
        if here not in (None, NO_DIMENSION):
            raise UnitMismatchError(f"{what} is of a number, not of {_words(here)}", part.col_offset + 1)


def _words(dimension: Dimension | None) -> str:
    return "a number" if dimension is None else dimension_words(dimension)
