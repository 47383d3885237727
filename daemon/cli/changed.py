"""`frazil changed`: a person says what was changed at the microscope just now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import DaemonGoneError
from frazil.daemon.client import connect


def changed(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    what: Annotated[str, typer.Argument(help="What was changed, in a sentence.")],
    factor: Annotated[
        str | None, typer.Option(help="The cause that it is about (`frazil query --named causal_nodes`), if one is")
    ] = None,
) -> None:
    """Say what was changed at the microscope just now; the summary tells what became better or worse after it.

    \b
    Example:
      frazil changed /data/s1 "waiting 20 s after stage moves" --factor motion
    """
    client = connect(session)
    if client is None:
        raise DaemonGoneError("no daemon is running on this session", path=session, remedy="start `frazil watch`")
    told = {"sentence": what} | ({} if factor is None else {"factor": factor})
    with client:
        typer.echo(client.command("intervention", **told).message)
