"""A table as it leaves the store: column names and rows of plain scalars, ready for a socket, a screen or JSON.

Imports nothing but the standard library, because the screen's side may load it.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Table:
    """`rows[i][j]` belongs to `columns[j]`. Times are integers (UTC microseconds)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    truncated: bool = False
    """True: there were more rows than the limit, and they are not here."""
    total: int | None = None
    """The count without limit and offset, where the query knows it."""

    def as_dicts(self) -> list[dict[str, Scalar]]:
        """One dict per row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def column(self, name: str) -> list[Scalar]:
        """One column. Raises ValueError for a name that is not there."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]


def scalar(value: object) -> Scalar:
    """What a database value is on the wire: decimals become floats, dates ISO 8601, lists and structs JSON text."""
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value)  # the wire's integers have 64 bits
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, default=str)
    return str(value)


def make_table(
    columns: Iterable[str], rows: Sequence[Sequence[object]], *, truncated: bool = False, total: int | None = None
) -> Table:
    """A table from what a database cursor returned."""
    return Table(tuple(columns), tuple(tuple(scalar(v) for v in row) for row in rows), truncated, total)


def json_value(value: Scalar) -> Scalar:
    """JSON has no NaN and no infinity: both mean "not known" here."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(table: Table, *, indent: int | None = None) -> str:
    """A JSON array with one object per row (RFC 8259: NaN becomes null)."""
    return json.dumps([{k: json_value(v) for k, v in row.items()} for row in table.as_dicts()], indent=indent)
