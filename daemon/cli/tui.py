"""`frazil tui`: the live screen of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.client import connect, connected


def tui(
    session: Annotated[Path | None, typer.Argument(help="The session's folder [default: the current one]")] = None,
    session_option: Annotated[Path | None, typer.Option("--session", help="The same as a flag.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Open the screen also while no daemon runs.")] = False,
) -> None:
    """Show a running session live: movies, trends, workers, alerts.

    The screen only looks: it may be opened, closed and opened again, several times at once, over ssh too; the daemon
    goes on. Press ? for the keys.

    \b
    Examples:
      frazil tui /data/2026-09-21_apoferritin
      ssh -t scope frazil tui /data/2026-09-21_apoferritin
    """
    session = session or session_option or Path()
    if not wait:
        remedy = "start it with `frazil watch RAW --session SESSION`, or give --wait to wait for it"
        connected(session.resolve(), remedy=remedy).close()
    from frazil.tui.app import FrazilApp  # Textual: not for the other verbs

    app = FrazilApp(session)
    app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)
    if connect(session) is None:
        typer.echo("The daemon has ended; `frazil summary` sums its session up.")
    else:
        typer.echo("Detached; the daemon goes on. `frazil status` shows the same in text.")
