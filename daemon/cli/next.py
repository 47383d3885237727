"""`frazil next`: which holes to take next, when to leave a square, and what people say about it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.client import Client, connect, user_name
from frazil.daemon.transport.messages import CommandName

if TYPE_CHECKING:
    from frazil.daemon.report.next_targets import NextAnswer

_HEARD_S = 20.0
"""The next round of a running session hears what was said within a few seconds."""
_FILES_LIMIT = 1000

_Order = tuple[CommandName, dict[str, str | float]]


def next(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many holes are listed.")] = 10,
    pick: Annotated[list[str] | None, typer.Option(help="Take this hole, patch or square first (name or id).")] = None,
    avoid: Annotated[list[str] | None, typer.Option(help="Leave this hole, patch or square out.")] = None,
    forget: Annotated[list[str] | None, typer.Option(help="What was said of it is over; `all`: of everything.")] = None,
    hours_left: Annotated[float | None, typer.Option(help="Hours left at the microscope, from now on.")] = None,
    nav: Annotated[Path | None, typer.Option(help="SerialEM's navigator file, which stays as it is.")] = None,
    serialem_nav: Annotated[Path | None, typer.Option(help="Write it anew with the holes marked, in order.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the list for whoever sits at EPU.")] = None,
    grid: Annotated[str, typer.Option(help="Of this grid (name or id) [default: the one in the microscope].")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say which holes to take next and why, what is left in each square, and when to leave.

    frazil never drives the microscope: it lists, and a person or a script goes there. What a person picks comes first,
    what a person avoids is left out, until it is forgotten. Works without a running daemon, too.

    \b
    Examples:
      frazil next /data/s1
      frazil next /data/s1 --hours-left 6 --avoid 4590776
      frazil next /data/s1 --nav grid.nav --serialem-nav grid_next.nav
      frazil next /data/s1 --csv next.csv --limit 40
      frazil next /data/s1 --grid "sample 2"
    """
    _check_files(nav, serialem_nav, csv)
    orders = _orders(pick or [], avoid or [], forget or [], hours_left)
    said = _say(session, orders) if orders else []

    from frazil.daemon.report.next_targets import left_out_ids, next_answer, next_lines  # slow, and not for --help
    from frazil.daemon.store.reading import open_session

    with open_session(session) as reader:
        files = serialem_nav is not None or csv is not None
        answer = next_answer(reader, limit=max(limit, _FILES_LIMIT) if files else limit, grid=grid)
        left_out = left_out_ids(reader) if files else frozenset()
    notes = _written(answer, nav, serialem_nav, csv, left_out=left_out)
    if as_json:
        typer.echo(json.dumps({**asdict(answer), "said": said, "files": notes}, indent=1))
        return
    for line in (*said, *next_lines(answer, limit=limit), *notes):
        typer.echo(line)


def _written(
    answer: NextAnswer, nav: Path | None, serialem_nav: Path | None, csv: Path | None, *, left_out: frozenset[str]
) -> list[str]:
    """The files that were asked for; says what became of them. Raises `UsageError` where one cannot be written."""
    from frazil.daemon.report.next_targets import as_ranked, next_csv
    from frazil.models.formats.grid.navigator import read_navigator_text, write_navigator_text
    from frazil.models.formats.grid.navigator_write import unmarked, write_nav

    notes: list[str] = []
    try:
        if csv is not None:
            csv.write_text(next_csv(answer.targets), encoding="utf-8")
            notes.append(f"wrote {csv}: {len(answer.targets)} holes")
        if serialem_nav is not None and nav is not None:
            text = unmarked(read_navigator_text(nav), left_out, path=nav)
            made = write_nav(text, as_ranked(answer.targets), path=nav)
            if answer.targets and len(made.notes) >= len(answer.targets):
                raise UsageError(
                    f"none of the {len(answer.targets)} holes is an item of it or lies on a map in it",
                    path=nav,
                    remedy="give the navigator file of this grid",
                )
            write_navigator_text(serialem_nav, made.text)
            notes += [f"wrote {serialem_nav}", *(f"{note.file} {note.what}; {note.remedy}" for note in made.notes)]
    except OSError as error:
        raise UsageError(f"it cannot be written: {error}", remedy="give a file in a folder that is there") from error
    return notes


def _check_files(nav: Path | None, serialem_nav: Path | None, csv: Path | None) -> None:
    if (nav is None) != (serialem_nav is None):
        raise UsageError("a .nav is made of a .nav", remedy="give both --nav IN.nav and --serialem-nav OUT.nav")
    for new in (serialem_nav, csv):
        if new is not None and new.exists():
            raise UsageError("it is there already", path=new, remedy="give a name for a new file")


def _orders(pick: list[str], avoid: list[str], forget: list[str], hours_left: float | None) -> list[_Order]:
    orders: list[_Order] = [("target-forget", {"target_id": place}) for place in forget]
    orders += [("target-pick", {"target_id": place}) for place in pick]
    orders += [("target-avoid", {"target_id": place}) for place in avoid]
    if hours_left is not None:
        orders.append(("target-hours", {"hours": hours_left}))
    return orders


def _say(session: Path, orders: list[_Order]) -> list[str]:
    """Have it kept; the answer that follows has heard it."""
    client = connect(session)
    if client is None:
        return _say_without_daemon(session, orders)
    with client:
        said_utc_us = time.time_ns() // 1000
        said = [client.command(name, **args).message for name, args in orders]
        _wait_until_heard(client, said_utc_us)
    return said


def _wait_until_heard(client: Client, said_utc_us: int) -> None:
    ends_s = time.monotonic() + _HEARD_S
    while time.monotonic() < ends_s:
        rounds = client.named("next_rounds").as_dicts()
        if not rounds or int(rounds[0]["words_utc_us"] or 0) >= said_utc_us:
            return
        time.sleep(0.5)


def _say_without_daemon(session: Path, orders: list[_Order]) -> list[str]:
    from frazil.daemon.analysis.targets.grid_work import judge_without_daemon
    from frazil.daemon.changes.interventions import store_without_daemon
    from frazil.daemon.changes.targets import WORDS_OF_ORDERS, note_hours, note_word

    said = []
    with store_without_daemon(session, now_utc_us=time.time_ns() // 1000) as store:
        for name, args in orders:
            now_utc_us = time.time_ns() // 1000
            if name == "target-hours":
                hours = float(args["hours"])
                said.append(note_hours(store, session, hours, who=user_name(), now_utc_us=now_utc_us))
            else:
                place, word = str(args["target_id"]), WORDS_OF_ORDERS[name]
                said.append(note_word(store, session, place, word, who=user_name(), now_utc_us=now_utc_us))
        judge_without_daemon(store, utc_us=time.time_ns() // 1000)
    return said
