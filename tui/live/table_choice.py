"""Which columns a person has chosen, and what sorts: kept in the person's own configuration folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from frazil.tui.live.movie_columns import ALWAYS, BY_KEY
from frazil.tui.live.pages import View

_LARGEST_BYTES = 65536


@dataclass(frozen=True, slots=True)
class TableChoice:
    """`columns`: keys of those that are shown, as far as there is room; None: as many as there is room for."""

    columns: tuple[str, ...] | None = None
    sort: str = View().sort
    descending: bool = View().descending


def choice_path(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CONFIG_HOME/frazil/movie-table.json` (XDG Base Directory Specification 0.8)."""
    base = environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".config"
    return folder / "frazil" / "movie-table.json"


def load_choice(path: Path) -> TableChoice:
    """What was kept; of a file that is not there, damaged or of another frazil as much as can be used."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return TableChoice()
    if not isinstance(said, dict):
        return TableChoice()
    names = said.get("columns")
    columns = None
    if isinstance(names, list):
        known = [name for name in names if isinstance(name, str) and name in BY_KEY and name not in ALWAYS]
        columns = tuple(dict.fromkeys([*ALWAYS, *known]))
    sort, descending = said.get("sort"), said.get("descending")
    if not (isinstance(sort, str) and sort in BY_KEY and isinstance(descending, bool)):
        return TableChoice(columns)
    return TableChoice(columns, sort, descending)


def save_choice(path: Path, choice: TableChoice) -> bool:
    """False: it could not be kept (a home that is closed to writing)."""
    text = json.dumps({"columns": choice.columns, "sort": choice.sort, "descending": choice.descending}, indent=1)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True
