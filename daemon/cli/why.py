"""`frazil why`: what costs a movie, or the session, its signal, and what changing it would buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.report.why import losses_at_5_angstrom, session_graph, why_movie, why_session
from frazil.daemon.report.why_text import to_json, to_text
from frazil.daemon.store.engine import DATABASE_NAME
from frazil.daemon.store.reading import open_session
from frazil.models.causal.graph import as_svg, as_tree


def why(
    movie: Annotated[
        str | None,
        typer.Argument(help="A movie: its id, or (the end of) its path [default: the whole session]"),
    ] = None,
    session: Annotated[Path | None, typer.Option("--session", help="The session's folder [default: this one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Also what acts on each cause, as a tree.")] = False,
    how: Annotated[
        bool, typer.Option("--how", help="Also how each advice is known, and how well new movies were predicted.")
    ] = False,
    graph: Annotated[Path | None, typer.Option("--graph", help="Draw what acts on what into this SVG file.")] = None,
) -> None:
    """Say what costs signal, how much each cause takes of it, and what changing it would bring.

    A loss is a logarithm: 0.1 is 10 % of the signal, 0.7 half of it, 2.3 nine tenths (docs/numbers.md); in brackets
    stands where it lies in 19 of 20 cases. Works while the session runs and afterwards. A session's folder may stand in
    the place of the movie.

    \b
    Examples:
      frazil why --session /data/2026-09-21_apoferritin
      frazil why FoilHole_4711_Data --session /data/2026-09-21_apoferritin
      frazil why --session /data/2026-09-21_apoferritin --how
      frazil why --session /data/2026-09-21_apoferritin --json | jq .advice
      frazil why --session /data/2026-09-21_apoferritin --graph causes.svg
    """
    if session is None and movie is not None and (Path(movie) / DATABASE_NAME).is_file():
        session, movie = Path(movie), None
    with open_session(session or Path()) as reader:
        found = why_session(reader) if movie is None else why_movie(reader, movie)
        causes = session_graph(reader)
    at_5 = losses_at_5_angstrom(found)
    if graph is not None:
        graph.write_text(as_svg(causes, at_5), encoding="utf-8")
        if not as_json:
            typer.echo(f"wrote {graph}")
    if as_json:
        typer.echo(to_json(found))
    elif tree:
        typer.echo(
            "\n".join(
                [to_text(found, how=how), "", "What acts on what (loss of ln SSNR at 5 A)", *as_tree(causes, at_5)]
            )
        )
    elif graph is None or how:
        typer.echo(to_text(found, how=how))
