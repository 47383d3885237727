"""All movies of a session in a page that has no server: columns for a script, and the first rows for who has none.

The columns are JSON, deflated (names of movies repeat themselves) and in base64. What is more than the limit is left
out: those are the movies whose CTF fits best.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from frazil.daemon.page.frame import part
from frazil.daemon.page.movie_words import NOT_KNOWN, movie_name, quantity, reason, state_words, time_words
from frazil.daemon.page.source import PageSource
from frazil.daemon.transport.messages import Row, Scalar

MOST_BYTES = 2_000_000
"""Of the columns as they stand in the file."""
WITHOUT_A_SCRIPT = 100
_PAGE = 10_000
_LONGEST_REASON = 160
_COLUMNS: tuple[tuple[str, str, str, str, int], ...] = (
    ("number", "#", "number", "", 0),
    ("name", "Movie", "relative_path", "", 0),
    ("state", "State", "state", "", 0),
    ("time", "Finished, UTC", "ready_utc_us", "", 0),
    ("fit", "CTF fits to", "ctf_fit_angstrom", "A", 2),
    ("defocus", "Defocus", "defocus_um", "um", 2),
    ("motion", "Motion", "motion_total_angstrom", "A", 1),
    ("particles", "Particles", "particle_count", "", 0),
    ("reason", "Why not", "reason", "", 0),
)
"""Name, heading, column of the named query `movies`, unit, decimals."""


@dataclass(frozen=True, slots=True)
class AllMovies:
    """The part of the page, and the columns as they stand in the file (empty: there is no movie)."""

    part: str
    data: str


def all_movies(source: PageSource, most_bytes: int = MOST_BYTES) -> AllMovies:
    """Every movie, those whose CTF fits worst first. Raises what the source raises."""
    rows, total = _rows(source)
    if not rows:
        return AllMovies("", "")
    kept = rows
    while len(data := _packed(kept)) > most_bytes:
        kept = kept[: int(len(kept) * 0.95 * most_bytes / len(data))]
    return AllMovies(part("all", "All movies", _table(kept, total)), data)


def _rows(source: PageSource) -> tuple[list[Row], int]:
    found: list[Row] = []
    while True:
        asked: dict[str, Scalar] = {"sort": "ctf_fit_angstrom", "order": "desc", "limit": _PAGE, "offset": len(found)}
        page = source.table("movies", asked)
        found += page.as_dicts()
        if len(page.rows) < _PAGE:
            return found, page.total or len(found)


def _packed(rows: Sequence[Row]) -> str:
    """Columns of values as JSON: times in seconds, numbers rounded to what is shown."""
    columns: dict[str, Any] = {}
    for name, _, key, _, digits in _COLUMNS:
        columns[name] = [_value(name, row, key, digits) for row in rows]
    text = json.dumps({"columns": columns}, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _value(name: str, row: Row, key: str, digits: int) -> str | float | None:
    value = row.get(key)
    if name == "name":
        return movie_name(value)
    if name == "state":
        return state_words(value)
    if name == "reason":
        return reason(row)[:_LONGEST_REASON]
    if name == "time":
        return value // 1_000_000 if isinstance(value, int) and value > 0 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return round(value, digits) if digits else int(value)


def _table(rows: Sequence[Row], total: int) -> str:
    """The first rows; the script puts its own in their place."""
    shown = rows[:WITHOUT_A_SCRIPT]
    cut = "" if len(rows) == total else f" Of {total:,} movies the file holds {len(rows):,}, those that fit worst."
    said = f"The {len(shown):,} whose CTF fits worst; with JavaScript all of them, sorted and searched." + cut
    heads = "".join(
        f"<th scope=col data-column={name} data-unit='{unit}' data-digits={digits}>{words}</th>"
        for name, words, _, unit, digits in _COLUMNS
    )
    body = "".join(f"<tr>{''.join(_cell(row, *column) for column in _COLUMNS)}</tr>" for row in shown)
    return (
        f"<p class=dim id=all-said>{escape(said)}</p><div class='wide all-movies' id=all-movies tabindex=0 role=region "
        f"aria-label='List of all movies'><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(row: Row, name: str, words: str, key: str, unit: str, digits: int) -> str:
    value = row.get(key)
    if name == "time":
        return f"<td>{escape(time_words(value))}</td>"
    if name in ("name", "state", "reason"):
        said = str(_value(name, row, key, digits))
        return f"<td>{escape(said) if said else NOT_KNOWN}</td>"
    return f"<td class=n>{escape(quantity(value, unit, digits))}</td>"
