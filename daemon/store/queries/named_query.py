"""What a named question is: its SQL with typed parameters, and parameters that many of them take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from frazil.daemon.store.table import Scalar


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its type, its default (None with `required` False: may be left out), its allowed values."""

    kind: type[str] | type[int] | type[float] | type[bool]
    default: Scalar = None
    required: bool = False
    choices: tuple[str, ...] = ()
    several: bool = False
    """A comma-separated list of choices."""
    least: int | None = None
    """Smallest number that makes sense; None: there is none."""
    most: int | None = None
    setting: str = ""
    """Left out, it is what the session keeps under this name; `default` where it keeps none."""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """`text` holds `$name` for bound parameters and `{name}` for those with `choices`."""

    doc: str
    text: str
    params: Mapping[str, Param]
    count_text: str | None = None
    """Counts the rows without limit and offset."""


RATE_IDLE_US = 120_000_000
"""Rates of a running session (`rate_per_hour`) end so long after its last event: longer pauses are no part of them."""
MOST_ROWS = 1_000_000_000
"""DuckDB adds LIMIT and OFFSET up, in 64 bits."""
_LAST_UTC_US = 253_402_300_800_000_000
"""The end of the year 9999."""


def utc_us_param() -> Param:
    """A moment that has to be given."""
    return Param(int, required=True, least=0, most=_LAST_UTC_US)


def rows_param(default: int) -> Param:
    """How many rows, or where they begin."""
    return Param(int, default, least=0, most=MOST_ROWS)


MOVIE_PARAM = {"movie_id": Param(str, required=True)}
PAGE_PARAMS = {"limit": rows_param(100), "offset": rows_param(0)}
LAST_PARAM = {"last": rows_param(200)}
RESOLUTION_PARAM = {"resolution_angstrom": Param(float, 5.0)}
