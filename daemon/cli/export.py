"""`frazil export`: a session for RELION, or its tables for one's own analysis."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.export.local_resolution import export_local_resolution
from frazil.daemon.export.relion import ExportReport, export_star
from frazil.daemon.export.tables import export_all, export_table
from frazil.daemon.store.reading import SessionReader, open_session


def export(
    session: Annotated[Path, typer.Argument(help="The session's folder.")] = Path(),
    star: Annotated[Path | None, typer.Option("--star", help="Folder for RELION STAR files.")] = None,
    project: Annotated[
        Path | None, typer.Option("--project", help="Folder in which RELION will run, if not the --star folder itself.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy micrographs instead of linking to them.")] = False,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="TABLE=FILE.csv, .parquet or .json; may be repeated.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Folder for all tables, one Parquet file each.")
    ] = None,
    local_resolution: Annotated[
        Path | None, typer.Option("--local-resolution", help="MRC file for the local resolution of the newest map.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was written as JSON.")] = False,
) -> None:
    """Write a session's results for other programs; works while it runs and afterwards.

    Run RELION in the --star folder: names are relative to it, micrographs are linked into it.

    \b
    Examples:
      frazil export /data/session1 --star relion
      cd relion && relion_preprocess --i micrographs_ctf.star --coord_dir coordinates/ --coord_suffix .star \\
          --extract --extract_size 256 --part_dir Extract/job003/ --part_star Extract/job003/particles.star
      frazil export /data/session1 --table ctf=ctf.csv --table frame_shifts=shifts.parquet
      frazil export /data/session1 --parquet tables      (units are in the names; tables.json says what each column is)
      frazil export /data/session1 --local-resolution local.mrc     (colour SESSION/maps/map.mrc by it)
    """
    if star is None and not table and parquet is None and local_resolution is None:
        raise UsageError(
            "nothing to export was asked for",
            remedy="give --star FOLDER, --parquet FOLDER, --table TABLE=FILE or --local-resolution FILE",
        )
    answer: dict[str, object] = {}
    with open_session(session) as reader:
        if star is not None:
            progress = _tell if sys.stderr.isatty() else None
            report = export_star(reader, session.resolve(), star, project=project, copy=copy, progress=progress)
            answer["star"] = asdict(report) | {"out": str(star)}
        tables = _export_tables(reader, table or [])
        answer |= tables
        if parquet is not None:
            rows_by_table = export_all(reader, parquet)
            answer["parquet"] = rows_by_table
        if local_resolution is not None:
            low, high = export_local_resolution(reader, session.resolve(), local_resolution)
            answer["local_resolution"] = {"out": str(local_resolution), "p10_angstrom": low, "p90_angstrom": high}
    if as_json:
        typer.echo(json.dumps(answer, indent=1))
        return
    if star is not None:
        _show_star(star, report)
    if local_resolution is not None:
        typer.echo(f"{local_resolution}: {low:.1f} to {high:.1f} A where the map is dense (10th to 90th percentile)")
    if parquet is not None:
        total = sum(rows_by_table.values())
        typer.echo(f"{parquet}: {len(rows_by_table)} tables, {total:,} rows, described in tables.json")
    for file, rows in tables.items():
        typer.echo(f"{file}: {rows} rows")


def _export_tables(reader: SessionReader, requests: Sequence[str]) -> dict[str, int]:
    """Write each TABLE=FILE; returns the number of rows by file. Raises `UsageError` for what is not TABLE=FILE."""
    rows_by_file = {}
    for request in requests:
        name, separator, file = request.partition("=")
        if not separator or not file:
            raise UsageError(f"{request!r} is not TABLE=FILE", remedy="for example --table ctf=ctf.csv")
        rows_by_file[file] = export_table(reader, name, Path(file))
    return rows_by_file


def _show_star(star: Path, report: ExportReport) -> None:
    typer.echo(
        f"{star.absolute()}: {report.kept} micrographs in micrographs_ctf.star, {report.rejected} in "
        f"rejected.star, {report.motion_files} motion and {report.coordinate_files} coordinate files, "
        f"{report.particles} particles"
    )
    if report.not_usable:
        typer.echo(f"{report.not_usable} kept micrographs have no usable CTF or no file: see rejected.star", err=True)


def _tell(done: int) -> None:
    typer.echo(f"\r{done} movies written", nl=False, err=True)
