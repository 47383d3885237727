"""What RELION's tables need of each movie: read from the session a page at a time, with names and optics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from frazil.config.errors import QueryError, UsageError
from frazil.daemon.export.relion_tables import Optics
from frazil.daemon.session.folder import output_stem
from frazil.daemon.store.reading import SessionReader
from frazil.models.records import MovieState

Row = dict[str, Any]
_PAGE = 500
JOB = "Frazil/job001"
"""Micrographs, in the export folder."""
STACKS = "Frazil/job002"
"""Particle stacks."""


@dataclass(frozen=True, slots=True)
class Names:
    """Where things are as RELION, run in the project folder, finds them."""

    out: Path
    prefix: str
    """`OUT` relative to the project folder, with a slash, or empty."""
    session_dir: Path
    movie: Callable[[str], str]
    """Where the movie of a relative path lies, below `OUT`."""

    def of(self, relative: str) -> str:
        """Name in a STAR file of a file below `OUT`."""
        return self.prefix + relative


def session_row(reader: SessionReader) -> Row:
    """The session's row with `pre_exposure_e_per_a2`. Raises `UsageError` where no settings are stored yet."""
    rows = reader.named("session").as_dicts()
    if not rows:
        raise UsageError("the session has no settings yet", remedy="try again when the first movies are processed")
    session: Row = dict(rows[0])
    settings = yaml.safe_load(str(session["settings_yaml"])) or {}
    microscope = settings.get("microscope", {}) if isinstance(settings, dict) else {}
    session["pre_exposure_e_per_a2"] = float(microscope.get("pre_exposure_e_per_a2") or 0.0)
    return session


def pages(reader: SessionReader) -> Iterator[tuple[str, list[Row]]]:
    """The movies page by page, each with the id after which it begins: a session may be larger than memory."""
    after = ""
    while page := reader.named("export_movies", {"after": after, "limit": _PAGE}).as_dicts():
        yield after, [dict(row) for row in page]
        after = str(page[-1]["movie_id"])


def rows_of(reader: SessionReader, name: str, after: str, page: Sequence[Row]) -> list[Row]:
    """Rows of the movies of a page; asked for in halves when the answer was cut."""
    table = reader.named(name, {"after": after, "upto": page[-1]["movie_id"]})
    if not table.truncated:
        return [dict(row) for row in table.as_dicts()]
    if len(page) == 1:
        raise QueryError(
            f"{page[0]['relative_path']} alone has more rows than one answer may hold",
            remedy="raise store.query_max_rows",
        )
    half = len(page) // 2
    middle = str(page[half - 1]["movie_id"])
    return rows_of(reader, name, after, page[:half]) + rows_of(reader, name, middle, page[half:])


def name_files(row: Row, stems: dict[str, str], names: Names) -> None:
    """Give a movie's row its stem and the names of its files; `stems` maps those given so far to their movies."""
    stem = str(row["stem"] or output_stem(row["relative_path"], stems))
    stems[stem] = row["relative_path"]
    if row["generation"] and not row["stem"]:
        stem += f"_{row['generation']}"
    row["stem"] = "_".join(stem.split())  # blanks: many STAR tools cut words there
    row["name"] = names.of(f"{JOB}/{row['stem']}.mrc")
    row["motion_name"] = names.of(f"motion/{row['stem']}.star")
    row["movie_name"] = names.of(names.movie(row["relative_path"]))
    metadata = row.pop("metadata_json")
    row["metadata"] = json.loads(metadata) if metadata else {}


def why_not_kept(row: Row, session_dir: Path) -> str | None:
    """The reason why a movie stands in rejected.star; None: it is among the micrographs."""
    if row["state"] != MovieState.READY:
        return str(row["rejection_reason"] or row["failure_reason"] or row["state"])
    if row["micrograph_path"] is None or not (session_dir / row["micrograph_path"]).exists():
        return "kept, but its micrograph is not there"
    if not row["reliable"] or row["fit_resolution_angstrom"] is None:
        return f"kept, but without a usable CTF ({row['flag'] or 'no rings'})"
    return None


def optics_of(row: Row, session: Row) -> Optics:
    """What a movie was taken with: its own values first, then the session's. Raises `UsageError` for a missing one."""
    metadata = row["metadata"]

    def first(*values: float | None) -> float | None:
        return next((float(value) for value in values if value is not None), None)

    micrograph_pixel = first(row["micrograph_pixel_size_angstrom"])
    optics = {
        "voltage_kv": first(row["voltage_kv"], metadata.get("voltage_kv"), session["voltage_kv"]),
        "cs_mm": first(metadata.get("cs_mm"), session["cs_mm"]),
        "amplitude_contrast": first(metadata.get("amplitude_contrast"), session["amplitude_contrast"]),
        "pixel_size_angstrom": micrograph_pixel,
        "movie_pixel_size_angstrom": first(
            row["pixel_size_angstrom"], session["pixel_size_angstrom"], micrograph_pixel
        ),
    }
    unknown = [name for name, value in optics.items() if value is None]
    if unknown:
        raise UsageError(
            f"the session does not say the {unknown[0]} of {row['relative_path']}",
            remedy="run `frazil watch` again with the missing flag; it fills the session and processes nothing twice",
        )
    known = {name: value for name, value in optics.items() if value is not None}
    return Optics(**known, beam_shift_group=row["optics_group"])
