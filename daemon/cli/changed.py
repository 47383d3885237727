"""`frazil changed`: a person says what was changed at the microscope, just now or a while ago."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.client import connect, user_name
from frazil.daemon.transport.when import time_ago, time_of


def changed(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    what: Annotated[str, typer.Argument(help="What was changed, in a sentence.")],
    factor: Annotated[
        str | None, typer.Option(help="The cause that it is about (`frazil query --named causal_nodes`), if one is")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When it was: 02:40 (local time) or 2026-11-25T02:40 [default: now]")
    ] = None,
    ago: Annotated[str | None, typer.Option(help="How long ago it was: 20min, 1h30, 90s")] = None,
) -> None:
    """Say what was changed at the microscope; the summary tells what became better or worse after it.

    Without a running daemon it is kept with the session all the same. A time that is still to come, or before the
    session began, is refused.

    \b
    Examples:
      frazil changed /data/s1 "waiting 20 s after stage moves" --factor motion
      frazil changed /data/s1 "C2 aperture 50" --at 02:40
      frazil changed /data/s1 "new grid" --ago 20min
    """
    now_utc_us = time.time_ns() // 1000
    at_utc_us = _when(at, ago, now_utc_us=now_utc_us)
    client = connect(session)
    if client is None:
        from frazil.daemon.changes.interventions import note_change, store_without_daemon  # slow, and not for --help

        with store_without_daemon(session, now_utc_us=now_utc_us) as store:
            noted = note_change(
                store,
                session,
                sentence=what,
                factor=factor,
                who=user_name(),
                now_utc_us=now_utc_us,
                at_utc_us=at_utc_us,
            )
        typer.echo(f"{noted}, with the session: no daemon is running on it")
        return
    said = {"sentence": what, "factor": factor, "at_utc_us": at_utc_us}
    with client:
        typer.echo(
            client.command("intervention", **{name: one for name, one in said.items() if one is not None}).message
        )


def _when(at: str | None, ago: str | None, *, now_utc_us: int) -> int | None:
    if at is not None and ago is not None:
        raise UsageError("--at and --ago both say when it was", remedy="give one of them")
    if at is not None:
        return time_of(at, now_utc_us=now_utc_us)
    return None if ago is None else time_ago(ago, now_utc_us=now_utc_us)
