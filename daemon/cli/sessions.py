"""`frazil sessions`: the sessions that lie below a folder, a line each."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.cli.query import text_table
from frazil.daemon.cli.status import state_of
from frazil.daemon.report.sessions_list import SessionLine, sessions_list
from frazil.daemon.store.queries.many_sessions import hidden_words, sessions_below
from frazil.daemon.store.table import Table

_COLUMNS = ("session", "began (UTC)", "state", "movies", "kept", "map", "size")
_NO_MAP = "none"
_STATES = {
    "finished": "finished",
    "stopped": "stopped, movies left",
    "ended": "ended without being closed",
    "running": "running",
    "unreadable": "cannot be read",
}


def sessions(
    root: Annotated[Path, typer.Argument(help="A folder in which sessions lie, or folders of sessions.")] = Path(),
    no_size: Annotated[
        bool, typer.Option("--no-size", help="Leave out sizes, which need a look at every file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List sessions: when, how many movies, how many were kept, how they ended, how far the map came.

    Nothing is written into any of them. `frazil tui` on the same folder lets you choose one to look at.

    \b
    Examples:
      frazil sessions /data
      frazil sessions /data --json | jq '.[] | select(.state == "ended") | .folder'
    """
    hidden = sessions_below(root.resolve()).not_readable
    found = list(sessions_list(root.resolve(), state_of, with_size=not no_size))
    if as_json:
        typer.echo(json.dumps([line.as_row() for line in found], indent=1))
        _say_hidden(hidden)
        return
    typer.echo(text_table(Table(_COLUMNS, tuple(_cells(line, root.resolve()) for line in found))))
    for line in found:
        if line.why:
            typer.echo(f"{line.folder}: {line.why}", err=True)
    _say_hidden(hidden)


def _say_hidden(count: int) -> None:
    if count:
        typer.echo(hidden_words(count), err=True)


def _cells(line: SessionLine, root: Path) -> tuple[str, ...]:
    folder = Path(line.folder)
    state = _STATES[line.state]
    return (
        _name(line, folder, root),
        _time(line.began_utc_us),
        state if line.ended_utc_us is None else f"{state} {_time(line.ended_utc_us)}",
        "" if line.movies is None else str(line.movies),
        "" if line.kept_share is None else f"{line.kept_share:.0%}",
        _NO_MAP if line.resolution_angstrom is None else f"{line.resolution_angstrom:.2f} A",
        "" if line.size_bytes is None else _size(line.size_bytes),
    )


def _name(line: SessionLine, folder: Path, root: Path) -> str:
    """The folder, and what the session is called where that is another name."""
    name = folder.name if folder == root else str(folder.relative_to(root))
    return name if line.name in (folder.name, name) else f"{name} ({line.name})"


def _time(utc_us: int | None) -> str:
    if utc_us is None:
        return ""
    return datetime.datetime.fromtimestamp(utc_us / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _size(size_bytes: int) -> str:
    """In powers of 1000, as disks are sold."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.1f} MB"
