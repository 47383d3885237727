"""`frazil requeue`: movies are tried again, also as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.client import Client, connected


def requeue(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    movies: Annotated[list[str], typer.Argument(help="Ends of their paths, or ids.")],
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="With the frames that they have: for files that were set aside as truncated."),
    ] = False,
) -> None:
    """Have movies processed again that were set aside or have failed, or whose result is doubted.

    \b
    Examples:
      frazil requeue /data/s1 FoilHole_123_Data_1.tiff
      frazil requeue /data/s1 grid2/movie_0007.eer --as-is
    """
    with connected(session, remedy="start `frazil watch` on it") as client:
        for movie_id in [found for name in movies for found in _movie_ids(client, name)]:
            typer.echo(client.command("requeue", movie_id=movie_id, accept_as_is=as_is).message)


def _movie_ids(client: Client, name: str) -> list[str]:
    """The movie that is meant: one. Raises `NotThereError`, `UsageError`."""
    if client.named("movie", movie_id=name).rows:
        return [name]
    rows = [row for row in client.named("movie_by_path", path=name).as_dicts() if row["state"] != "outdated"]
    paths = sorted({str(row["relative_path"]) for row in rows})
    if not paths:
        raise NotThereError(f"no movie of this session ends with {name}", remedy="see `frazil query --named failures`")
    if len(paths) > 1:
        raise UsageError(
            f"{len(paths)} movies end with {name}: {', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}",
            remedy="give more of the path",
        )
    return [str(rows[0]["movie_id"])]
