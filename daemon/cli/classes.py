"""`frazil classes`: the 2-D classes of a session, what the judge says of them, and what a person does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.client import connect, user_name
from frazil.daemon.transport.messages import Row


def classes(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    keep: Annotated[str, typer.Option(help="Keep these: numbers with commas.")] = "",
    reject: Annotated[str, typer.Option(help="Leave these out of map and export.")] = "",
    undecided: Annotated[str, typer.Option(help="Nobody decides of these: the judge does.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the newest word back: what held before holds.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the class averages to this .mrcs, as listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """List the 2-D classes with their scores, and say which are to be kept or left out.

    A score is the share of a class's members that are particles, as the judge sees it. Without a person's word only
    classes that are junk for certain are left out of the map and of what is exported. A word holds for the class, for
    what it becomes and for what is split from it; a later word replaces it. Works without a running daemon, too.

    \b
    Examples:
      frazil classes /data/s1
      frazil classes /data/s1 --keep 3,7 --reject 5
      frazil classes /data/s1 --undo
      frazil classes /data/s1 --out classes.mrcs --json
    """
    args: dict[str, str | bool] = {"keep": keep, "reject": reject, "undecided": undecided, "undo": undo}
    said = _say(session, args) if any(args.values()) else ""

    from frazil.daemon.report.classes import class_lines, class_rows  # slow, and not for --help
    from frazil.daemon.store.reading import open_session

    with open_session(session) as reader:
        rows = class_rows(reader)
        (counts,) = reader.named("chosen_particles").as_dicts()
    written = "" if out is None else _write_averages(session, rows, out)
    if as_json:
        typer.echo(json.dumps({"classes": rows, **counts, "said": said, "written": written}, indent=1))
        return
    for line in (said, *class_lines(rows, counts), written):
        if line:
            typer.echo(line)


def _say(session: Path, args: dict[str, str | bool]) -> str:
    client = connect(session)
    if client is not None:
        with client:
            return client.command("class-verdict", **args).message
    from frazil.daemon.changes.classes import ClassWords, note_classes
    from frazil.daemon.changes.interventions import store_without_daemon

    now_utc_us = time.time_ns() // 1000
    with store_without_daemon(session, now_utc_us=now_utc_us) as store:
        return note_classes(store, session, ClassWords.of(args), who=user_name(), now_utc_us=now_utc_us)


def _write_averages(session: Path, rows: list[Row], out: Path) -> str:
    """A stack in the order of the list. Raises `UsageError` where there is none, or it cannot be written."""
    from frazil.daemon.report.classes import averages_in_order

    if out.exists():
        raise UsageError("it is there already", path=out, remedy="give a name for a new file")
    try:
        count = averages_in_order(session, rows, out)
    except OSError as error:
        raise UsageError(f"it cannot be written: {error}", remedy="give a file in a folder that is there") from error
    return f"wrote {out}: {count} class averages in the order of the list"
