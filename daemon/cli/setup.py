"""`frazil setup`: settings proposed from documents that people have already."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from frazil.actors.document_reader import read_behind_walls
from frazil.config.errors import FormatError, FrazilError, SettingsError, UsageError
from frazil.config.loading import load_settings
from frazil.daemon.report.proposal import Reading, to_json, to_text, to_yaml
from frazil.daemon.session.folder import SETTINGS_FILE
from frazil.models.documents.findings import Finding
from frazil.models.documents.gathering import findings_of
from frazil.models.documents.proposing import Proposal, propose
from frazil.models.formats.atomic import atomic_path


def setup(
    documents: Annotated[
        list[Path],
        typer.Argument(help="PDF, DOCX, HTML, JATS, mmCIF, EMDB or EMPIAR XML, JSON, EPU XML, mdoc, text, PNG, JPEG."),
    ],
    session: Annotated[
        Path | None, typer.Option("--session", metavar="DIR", help="A session's folder: say what is in force there.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE.yaml", help="Write the proposal as a file for frazil watch --config."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="With --json: also the documents as trees.")] = False,
) -> None:
    """Propose settings from documents: papers, forms, headers, screens.

    Each value comes with the file, the page and the words that it stands in, how sure its reading is, and what
    contradicts it. What no document says is missing; nothing is guessed, and nothing is in force before you say so.

    \b
    Examples:
      frazil setup proposal.pdf session_form.docx EpuSession.dm
      frazil setup paper.pdf FoilHole_1_Data_2.xml --write setup.yaml
      frazil watch /data/raw --config setup.yaml        (after you have looked at setup.yaml)
      frazil setup screen.png --json | jq .settings
    """
    if write is not None and write.exists():
        raise UsageError("exists already, and is not overwritten", path=write, remedy="give another name")
    in_force = None if session is None else _in_force(session)
    readings, findings, errors = _read(documents)
    refused = [str(error) for error in errors]
    if not readings:
        kind = UsageError if all(isinstance(error, UsageError) for error in errors) else FormatError
        raise kind("none of the documents could be read: " + "; ".join(refused))
    proposal = propose(findings)
    if as_json:
        typer.echo(to_json(proposal, readings, refused, with_trees=tree))
    else:
        typer.echo(to_text(proposal, readings, refused, in_force))
    if write is not None:  # after the report, which a disk that is full must not lose
        _write(proposal, readings, write)
        if not as_json:
            typer.echo(f"\nwrote {write}; look at it, then: frazil watch RAW --config {write}")


def _read(documents: list[Path]) -> tuple[list[Reading], list[Finding], list[FrazilError]]:
    """Readings, findings, and the error of each document that could not be read."""
    readings: list[Reading] = []
    findings: list[Finding] = []
    refused: list[FrazilError] = []
    names = _short_names(documents)
    for path, name in zip(documents, names, strict=True):
        try:
            read = read_behind_walls(path)
        except (FormatError, UsageError) as error:
            refused.append(error)
            typer.echo(f"frazil: {error}", err=True)
            continue
        readings.append(Reading(name, read.tree))
        findings += findings_of(read.tree, name)
        if sys.stderr.isatty():
            typer.echo(f"read {path} in {read.seconds:.1f} s", err=True)
    return readings, findings, refused


def _short_names(documents: list[Path]) -> list[str]:
    """File names, with their folders where two are called the same."""
    names = [path.name for path in documents]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, documents, strict=True)]


def _in_force(session: Path) -> dict[str, Any]:
    if not (session / SETTINGS_FILE).is_file():
        raise UsageError("is no session's folder", path=session, remedy="give the folder that `frazil watch` made")
    settings = load_settings(yaml_path=session / SETTINGS_FILE).model_dump()
    return {
        f"{section}.{key}": value
        for section, content in settings.items()
        if isinstance(content, dict)
        for key, value in content.items()
    }


def _write(proposal: Proposal, readings: list[Reading], write: Path) -> None:
    try:
        with atomic_path(write) as unfinished:
            unfinished.write_text(to_yaml(proposal, [reading.name for reading in readings]), encoding="utf-8")
            load_settings(yaml_path=unfinished)  # what is written is what `frazil watch --config` takes
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", path=write, remedy="give another place") from error
