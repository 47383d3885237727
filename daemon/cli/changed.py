"""`frazil changed`: a person says what was changed at the microscope just now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.client import connect, user_name


def changed(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    what: Annotated[str, typer.Argument(help="What was changed, in a sentence.")],
    factor: Annotated[
        str | None, typer.Option(help="The cause that it is about (`frazil query --named causal_nodes`), if one is")
    ] = None,
) -> None:
    """Say what was changed at the microscope just now; the summary tells what became better or worse after it.

    Without a running daemon it is kept with the session all the same.

    \b
    Example:
      frazil changed /data/s1 "waiting 20 s after stage moves" --factor motion
    """
    client = connect(session)
    if client is None:
        from frazil.daemon.changes.interventions import note_change, store_without_daemon  # slow, and not for --help

        now_utc_us = time.time_ns() // 1000
        with store_without_daemon(session, now_utc_us=now_utc_us) as store:
            note_change(store, session, sentence=what, factor=factor, who=user_name(), now_utc_us=now_utc_us)
        typer.echo("noted with the session; no daemon is running on it")
        return
    told = {"sentence": what} | ({} if factor is None else {"factor": factor})
    with client:
        typer.echo(client.command("intervention", **told).message)
