"""`frazil fetch`: a public entry to try frazil on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def fetch(
    accession: Annotated[str, typer.Argument(help="EMPIAR-10204, EMD-3001 or a PDB code")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to [default: the accession]")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many movies of an EMPIAR entry")] = 24,
    base_url: Annotated[str | None, typer.Option(help="A mirror of the archive")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be fetched")] = False,
) -> None:
    """Download movies with their gain reference and sidecars (EMPIAR), a map (EMDB) or a model (PDB).

    Broken downloads go on where they stopped when the same command is given again.

    Example: frazil fetch EMPIAR-10204 --limit 24
    """
    from frazil.daemon import archive

    folder = out if out is not None else Path(accession.upper())
    remotes = archive.plan(accession, limit=limit, base_url=base_url)
    for number, remote in enumerate(remotes, start=1):
        if dry_run:
            typer.echo(remote.url)
            continue
        path = archive.fetch(remote, folder, on_bytes=_Progress(f"{number}/{len(remotes)} {remote.relative_path}"))
        typer.echo(path)
    if not dry_run and accession.upper().startswith("EMPIAR"):
        typer.echo(f"\nnow: frazil watch {folder} --once --pixel-size-angstrom ... (see the entry's page)", err=True)


class _Progress:
    """Rewrites one line on a terminal; silent elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None:
        if sys.stderr.isatty():
            total = "" if total_bytes is None else f" of {total_bytes / 1e6:.0f}"
            end = "\n" if done_bytes == total_bytes else ""
            sys.stderr.write(f"\r\x1b[K{self._name}: {done_bytes / 1e6:.0f}{total} MB{end}")
            sys.stderr.flush()
