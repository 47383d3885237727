"""How a summary asks: named queries as rows, and their values as numbers and words."""

from __future__ import annotations

from dataclasses import dataclass

from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.table import Scalar

Row = dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class Asker:
    """Named queries of one session. Raises what the reader raises."""

    reader: SessionReader

    def rows(self, name: str, /, **params: Scalar) -> list[Row]:
        """All rows of the answer."""
        return self.reader.named(name, params).as_dicts()

    def one(self, name: str, /, **params: Scalar) -> Row:
        """The first row; empty where there is none."""
        return next(iter(self.rows(name, **params)), {})


def number(value: Scalar) -> float | None:
    """A database value as a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def integer(value: Scalar) -> int | None:
    """A database value as a whole number; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: Scalar) -> str | None:
    """A database value as words; None where there are none."""
    return None if value is None or value == "" else str(value)
