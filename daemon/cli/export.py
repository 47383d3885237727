"""`frazil export`: a session for RELION, for an archive, or its tables for one's own analysis."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.export.deposit.folder import DepositReport, export_deposit
from frazil.daemon.export.relion import ExportReport, export_star
from frazil.daemon.export.tables import export_all, export_table
from frazil.daemon.report.verdict_seen import kept_faults
from frazil.daemon.store.reading import SessionReader, open_session


def export(
    session: Annotated[Path, typer.Argument(help="The session's folder.")] = Path(),
    star: Annotated[Path | None, typer.Option("--star", help="Folder for RELION STAR files.")] = None,
    project: Annotated[
        Path | None, typer.Option("--project", help="Folder in which RELION will run, if not the --star folder itself.")
    ] = None,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy",
            help="Copy micrographs and particle stacks instead of linking to them: a folder that can be moved.",
        ),
    ] = False,
    all_particles: Annotated[
        bool, typer.Option("--all-particles", help="Those of 2-D classes that are not chosen, too.")
    ] = False,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="TABLE=FILE.csv, .parquet or .json; may be repeated.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Folder for all tables, one Parquet file each.")
    ] = None,
    local_resolution: Annotated[
        Path | None, typer.Option("--local-resolution", help="MRC file for the local resolution of the newest map.")
    ] = None,
    deposit: Annotated[
        Path | None, typer.Option("--deposit", help="Folder for a deposition (EMPIAR), with ISPyB's tables.")
    ] = None,
    no_checksums: Annotated[
        bool, typer.Option("--no-checksums", help="Of a deposition: list the files without reading them.")
    ] = False,
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
      frazil export /data/session1 --deposit deposit     (deposit/README.md says the rest; interrupted: say it again)
    """
    if not any((star, table, parquet, local_resolution, deposit)):
        raise UsageError(
            "nothing to export was asked for",
            remedy="give --star FOLDER, --parquet FOLDER, --deposit FOLDER, --table TABLE=FILE or "
            "--local-resolution FILE",
        )
    said = _Said()
    with open_session(session) as reader:
        if star is not None:
            progress = _tell if sys.stderr.isatty() else None
            exported = export_star(
                reader,
                session.resolve(),
                star,
                project=project,
                copy=copy,
                every_particle=all_particles,
                progress=progress,
            )
            said.star(star, exported, kept_faults(reader))
            if copy and not exported.movies_missing:
                said.remarks.append(
                    "the movies are not copied: raw leads to them, and only polishing needs them; `cp -rL` takes them "
                    "along"
                )
        said.tables(_export_tables(reader, table or []))
        if parquet is not None:
            said.parquet(parquet, export_all(reader, parquet))
        if local_resolution is not None:
            from frazil.daemon.export.local_resolution import export_local_resolution  # torch: not for STAR files

            found = export_local_resolution(reader, session.resolve(), local_resolution)
            said.local_resolution(local_resolution, *found)
        if deposit is not None:
            words = _tell_words if sys.stderr.isatty() else None
            report = export_deposit(
                reader, session.resolve(), deposit, copy=copy, checksums=not no_checksums, progress=words
            )
            said.deposit(deposit, report)
    if as_json:
        typer.echo(json.dumps(said.answer, indent=1))
        return
    for line in said.lines:
        typer.echo(line)
    for line in said.remarks:
        typer.echo(line, err=True)


class _Said:
    """What was written: for a script, in lines, and what a person should look at besides."""

    def __init__(self) -> None:
        self.answer: dict[str, object] = {}
        self.lines: list[str] = []
        self.remarks: list[str] = []

    def star(self, folder: Path, report: ExportReport, faults: Mapping[str, int]) -> None:
        self.answer["star"] = asdict(report) | {"out": str(folder), "not_good": dict(faults)}
        diameter = report.diameter_angstrom
        wide = "" if diameter is None or not report.particles else f" of {diameter:.0f} A in diameter"
        self.lines.append(
            f"{folder.absolute()}: {report.kept} micrographs in micrographs_ctf.star, {report.rejected} in "
            f"rejected.star, {report.motion_files} motion and {report.coordinate_files} coordinate files, "
            f"{report.particles} particles{wide}"
        )
        if faults:
            each = ", ".join(f"{fault} {count}" for fault, count in faults.items())
            all_of_them = sum(faults.values())
            self.remarks.append(
                f"{all_of_them} of the kept micrographs {'is' if all_of_them == 1 else 'are'} not good ({each}), but "
                "passed the thresholds; "
                "other thresholds: `frazil what-if`, then `frazil set`"
            )
        if report.particles and not report.angles:
            self.remarks.append("particles.star has no angles: not all particles are in a map; begin with 2-D classes")
        if report.not_usable:
            self.remarks.append(
                f"{report.not_usable} kept micrographs have no usable CTF or no file: see rejected.star"
            )
        if report.movies_missing:
            self.remarks.append("the movies are not where they were: raw leads nowhere, and polishing would miss them")

    def tables(self, rows_by_file: dict[str, int]) -> None:
        self.answer |= rows_by_file
        self.lines += [f"{file}: {rows} rows" for file, rows in rows_by_file.items()]

    def parquet(self, folder: Path, rows_by_table: dict[str, int]) -> None:
        self.answer["parquet"] = rows_by_table
        total = sum(rows_by_table.values())
        self.lines.append(f"{folder}: {len(rows_by_table)} tables, {total:,} rows, described in tables.json")

    def local_resolution(self, file: Path, low: float, high: float) -> None:
        self.answer["local_resolution"] = {"out": str(file), "p10_angstrom": low, "p90_angstrom": high}
        self.lines.append(f"{file}: {low:.1f} to {high:.1f} A where the map is dense (10th to 90th percentile)")

    def deposit(self, folder: Path, report: DepositReport) -> None:
        self.answer["deposit"] = asdict(report) | {"out": str(folder)}
        listed = report.listed
        without = len(listed.without_checksum)
        self.lines.append(
            f"{folder.absolute()}: {report.movies} movies, {report.left_out} left out; {listed.files} files, "
            f"{listed.size_bytes / 1e9:.1f} GB" + (f", {without} of them without a checksum" if without else "")
        )
        self.remarks += report.notes
        if report.missing:
            self.remarks.append(f"{len(report.missing)} things are still to be said in deposition.json: see README.md")


def _export_tables(reader: SessionReader, requests: Sequence[str]) -> dict[str, int]:
    """Write each TABLE=FILE; returns the number of rows by file. Raises `UsageError` for what is not TABLE=FILE."""
    rows_by_file = {}
    for request in requests:
        name, separator, file = request.partition("=")
        if not separator or not file:
            raise UsageError(f"{request!r} is not TABLE=FILE", remedy="for example --table ctf=ctf.csv")
        rows_by_file[file] = export_table(reader, name, Path(file))
    return rows_by_file


def _tell_words(words: str) -> None:
    typer.echo(f"\r\x1b[K{words}", nl=False, err=True)


def _tell(done: int) -> None:
    typer.echo(f"\r{done} movies written", nl=False, err=True)
