"""`frazil tui`: the live screen of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.client import connect
from frazil.daemon.transport.endpoints import find_endpoints
from frazil.daemon.transport.file_line import SessionFile


def tui(
    session: Annotated[Path | None, typer.Argument(help="The session's folder [default: the current one]")] = None,
    session_option: Annotated[Path | None, typer.Option("--session", help="The same as a flag.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Open the screen before there is a session.")] = False,
) -> None:
    """Show a session live: movies, trends, workers, alerts; or a finished one, which only needs its folder.

    The screen only looks: it may be opened, closed and opened again, several times at once, over ssh too; the daemon
    goes on. Of a session that has ended it reads the folder, which may be a copy, on another machine or closed to
    writing. Press ? for the keys.

    \b
    Examples:
      frazil tui /data/2026-09-21_apoferritin
      ssh -t scope frazil tui /data/2026-09-21_apoferritin
    """
    session = session or session_option or Path()
    if not wait and find_endpoints(session) is None:
        _check_is_session(session)
    from frazil.tui.app import FrazilApp  # Textual: not for the other verbs

    app = FrazilApp(session, open_file=_open_file)
    app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)
    if connect(session) is not None:
        typer.echo("Detached; the daemon goes on. `frazil status` shows the same in text.")


def _check_is_session(session_dir: Path) -> None:
    from frazil.daemon.store.reading import check_is_session

    check_is_session(session_dir)


def _open_file(session_dir: Path) -> SessionFile:
    from frazil.daemon.status.finished import open_finished  # DuckDB: beside the start of the screen, not before it

    return open_finished(session_dir)
