"""`frazil summary`: what a session was like, in text, JSON or one HTML file."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.cli.query import tell_skipped, text_table
from frazil.daemon.report.html.page import to_html
from frazil.daemon.report.html.pictures import collect
from frazil.daemon.report.sessions_overview import overview
from frazil.daemon.report.summary.collect import raw_folder, summarise
from frazil.daemon.report.summary.text import to_json, to_text
from frazil.daemon.report.why import losses_at_5_angstrom, session_graph, why_session
from frazil.daemon.store.queries.many_sessions import ask_all, find_sessions
from frazil.daemon.store.reading import LiveReader, open_session
from frazil.daemon.store.table import to_json as table_json
from frazil.models.causal.graph import as_svg


def summary(
    session: Annotated[Path, typer.Argument(help="The session's folder.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    with_trend: Annotated[bool, typer.Option("--trend", help="With --json: also every metric movie by movie.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write one self-contained HTML file.")] = None,
    sessions: Annotated[
        str | None, typer.Option("--sessions", metavar="'DIR/*'", help="One line a session instead, of many.")
    ] = None,
) -> None:
    """Sum a session up: what was collected, how good it is, what went wrong and what to do.

    Works while the session runs and afterwards.

    \b
    Examples:
      frazil summary /data/2026-09-21_apoferritin
      frazil summary /data/2026-09-21_apoferritin --json | jq .counts
      frazil summary /data/2026-09-21_apoferritin --html report.html
      frazil summary --sessions '/data/*'
    """
    if sessions is not None:
        if html is not None or with_trend:
            raise UsageError("--sessions is one line a session", remedy="leave out --html and --trend")
        table, skipped = ask_all(find_sessions(sessions), overview)
        tell_skipped(skipped)
        typer.echo(table_json(table, indent=1) if as_json else text_table(table))
        return
    with open_session(session) as reader:
        live = isinstance(reader, LiveReader)
        raw = raw_folder(reader)
        found = summarise(
            reader,
            session.resolve(),
            now_utc_us=time.time_ns() // 1000,
            live=live,
            raw_is_there=live
            or raw is None
            or os.path.isdir(raw),  # a running daemon may see another machine's folders
            verdict=reader.verdict() if isinstance(reader, LiveReader) else None,
        )
        causes_svg = ""
        if html is not None:
            causes_svg = as_svg(session_graph(reader), losses_at_5_angstrom(why_session(reader)))
    if html is not None:
        html.write_text(to_html(found, causes_svg, collect(session.resolve(), found)), encoding="utf-8")
        if not as_json:
            typer.echo(f"wrote {html}")
            return
    typer.echo(to_json(found, with_trend=with_trend) if as_json else to_text(found))
