"""`frazil why`: what costs a movie, or the session, its signal, and what changing it would buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.store.engine import DATABASE_NAME
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.why import why_movie, why_session
from frazil.daemon.store.why_text import to_json, to_text


def why(
    movie: Annotated[
        str | None,
        typer.Argument(help="A movie: its id, or (the end of) its path [default: the whole session]"),
    ] = None,
    session: Annotated[Path | None, typer.Option("--session", help="The session's folder [default: this one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what costs signal: losses of ln SSNR by cause with 95 % credible intervals, and what to change.

    Works while the session runs and afterwards. A session's folder may stand in the place of the movie.

    \b
    Examples:
      frazil why --session /data/2026-09-21_apoferritin
      frazil why FoilHole_4711_Data --session /data/2026-09-21_apoferritin
      frazil why --session /data/2026-09-21_apoferritin --json | jq .advice
    """
    if session is None and movie is not None and (Path(movie) / DATABASE_NAME).is_file():
        session, movie = Path(movie), None
    with open_session(session or Path()) as reader:
        found = why_session(reader) if movie is None else why_movie(reader, movie)
    typer.echo(to_json(found) if as_json else to_text(found))
