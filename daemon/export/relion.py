"""A session as RELION >= 3.1 reads it without edits.

Run RELION in the export folder `OUT` (or in the folder given as `project`, which must hold `OUT`): every name in the
STAR files is relative to it. Nothing is copied: `OUT/Frazil/job001/STEM.mrc` are links to the session's micrographs and
`OUT/raw` is a link to the movies. The `job001` is what lets RELION find `coordinates/STEM.star` for a micrograph.

    micrographs_ctf.star  kept micrographs that have a usable CTF (RELION would use any defocus, so others stay out)
    rejected.star         all others that were processed or set aside, with the reason
    motion/STEM.star      whole-frame and local motion, for Bayesian polishing
    coordinates/STEM.star, coordinates.star (RELION >= 4 finds the former through it)
    particles.star        particles of the kept micrographs

A column is written when it is known of every row; RELION has no "not known".
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from frazil.config.errors import QueryError, UsageError
from frazil.daemon.export.relion_particles import PARTICLE_COLUMNS, write_particles
from frazil.daemon.export.relion_tables import Optics, OpticsGroups, micrographs_block, rejected_block
from frazil.daemon.session.folder import output_stem
from frazil.daemon.store.reading import SessionReader
from frazil.models.formats.relion_motion import MovieMotion, write_motion
from frazil.models.formats.star import StarBlock, write_star

Row = dict[str, Any]
_PAGE = 500
JOB = "Frazil/job001"
STACKS = "Frazil/job002"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    out: Path
    kept: int
    rejected: int
    motion_files: int
    coordinate_files: int
    particles: int
    not_usable: int
    """Kept by the session, but without a usable CTF or without a micrograph: listed in rejected.star."""


@dataclass(frozen=True, slots=True)
class Names:
    """Where things are as RELION, run in the project folder, finds them."""

    out: Path
    prefix: str
    """`OUT` relative to the project folder, with a slash, or empty."""
    session_dir: Path

    def of(self, relative: str) -> str:
        """Name in a STAR file of a file below `OUT`."""
        return self.prefix + relative


def export_star(
    reader: SessionReader,
    session_dir: Path,
    out: Path,
    *,
    project: Path | None = None,
    copy: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """Write the STAR files of a session; doing it again replaces them.

    Parameters
    ----------
    project:
        The folder in which RELION runs; must hold `out`. None: `out` itself.
    copy:
        Copy micrographs instead of linking to them.
    progress:
        Told the number of movies written so far.

    Raises `UsageError` for a session without settings or a project that does not hold `out`, OSError when a file
    cannot be written.
    """
    names = Names(out, _prefix(out, project), session_dir)
    session = _session(reader)
    (out / JOB).mkdir(parents=True, exist_ok=True)
    _link(Path(session["raw_root"]), out / "raw")
    kept: list[Row] = []
    rejected: list[Row] = []
    stems: dict[str, str] = {}
    motion_files = coordinate_files = done = not_usable = 0
    for after, page in _pages(reader):
        for row in page:
            _name(row, stems, names)
            why_not = _why_not_kept(row, session_dir)
            if why_not is not None:
                not_usable += row["state"] == "ready"
                if row["state"] in ("ready", "rejected", "quarantined"):
                    rejected.append(row | {"reason": why_not})
            if row["micrograph_path"] is None or not (session_dir / row["micrograph_path"]).exists():
                continue
            _place(session_dir / row["micrograph_path"], out / JOB / f"{row['stem']}.mrc", copy=copy)
            row["optics"] = _optics(row, session)
            if why_not is None:
                kept.append(row)
        motion_files += _write_motion_files(reader, out, names, session, after, page)
        coordinate_files += _write_coordinates(reader, out, after, page)
        done += len(page)
        if progress is not None:
            progress(done)
    kept.sort(key=lambda row: row["relative_path"])
    rejected.sort(key=lambda row: row["relative_path"])
    # Only now: RELION's numbers have no gap, and the same session gives the same numbers.
    groups = OpticsGroups(row["optics"] for row in kept)
    for row in kept:
        row["optics_group"] = groups.number(row["optics"])
    with_coordinates = [row for row in kept if (out / "coordinates" / f"{row['stem']}.star").exists()]
    comment = "Written by frazil. Run RELION in this folder: all names are relative to it."
    if names.prefix:
        comment = f"Written by frazil. Run RELION in the folder that holds {names.prefix}: names are relative to it."
    write_star(out / "micrographs_ctf.star", [groups.block(), micrographs_block(kept)], comment=comment)
    write_star(out / "rejected.star", [groups.block(), rejected_block(rejected)], comment=comment)
    write_star(
        out / "coordinates.star",
        [
            StarBlock(
                "coordinate_files",
                {
                    "rlnMicrographName": [row["name"] for row in with_coordinates],
                    "rlnMicrographCoordinates": [
                        names.of(f"coordinates/{row['stem']}.star") for row in with_coordinates
                    ],
                },
            )
        ],
    )
    particles = _write_particles(reader, out, names, kept, groups, comment)
    return ExportReport(out, len(kept), len(rejected), motion_files, coordinate_files, particles, not_usable)


# --- reading, a page at a time: a session may be larger than memory or one answer of the daemon ---


def _session(reader: SessionReader) -> Row:
    rows = reader.named("session").as_dicts()
    if not rows:
        raise UsageError("the session has no settings yet", remedy="try again when the first movies are processed")
    session: Row = dict(rows[0])
    settings = yaml.safe_load(str(session["settings_yaml"])) or {}
    microscope = settings.get("microscope", {}) if isinstance(settings, dict) else {}
    session["pre_exposure_e_per_a2"] = float(microscope.get("pre_exposure_e_per_a2") or 0.0)
    return session


def _pages(reader: SessionReader) -> Iterator[tuple[str, list[Row]]]:
    after = ""
    while page := reader.named("export_movies", {"after": after, "limit": _PAGE}).as_dicts():
        yield after, [dict(row) for row in page]
        after = str(page[-1]["movie_id"])


def _rows(reader: SessionReader, name: str, after: str, page: Sequence[Row]) -> list[Row]:
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
    return _rows(reader, name, after, page[:half]) + _rows(reader, name, middle, page[half:])


# --- what belongs to one movie ---


def _name(row: Row, stems: dict[str, str], names: Names) -> None:
    stem = str(row["stem"] or output_stem(row["relative_path"], stems))
    stems[stem] = row["relative_path"]
    if row["generation"] and not row["stem"]:
        stem += f"_{row['generation']}"
    row["stem"] = "_".join(stem.split())  # blanks: many STAR tools cut words there
    row["name"] = names.of(f"{JOB}/{row['stem']}.mrc")
    row["motion_name"] = names.of(f"motion/{row['stem']}.star")
    row["movie_name"] = names.of(f"raw/{row['relative_path']}")
    metadata = row.pop("metadata_json")
    row["metadata"] = json.loads(metadata) if metadata else {}


def _why_not_kept(row: Row, session_dir: Path) -> str | None:
    if row["state"] != "ready":
        return str(row["rejection_reason"] or row["failure_reason"] or row["state"])
    if row["micrograph_path"] is None or not (session_dir / row["micrograph_path"]).exists():
        return "kept, but its micrograph is not there"
    if not row["reliable"] or row["fit_resolution_angstrom"] is None:
        return f"kept, but without a usable CTF ({row['flag'] or 'no rings'})"
    return None


def _optics(row: Row, session: Row) -> Optics:
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


def _write_motion_files(
    reader: SessionReader, out: Path, names: Names, session: Row, after: str, page: Sequence[Row]
) -> int:
    by_id = {row["movie_id"]: row for row in page if "optics" in row}
    local: dict[str, dict[str, list[float]]] = {}
    for row in _rows(reader, "export_local_motion", after, page):
        local.setdefault(row["movie_id"], {}).setdefault(row["axis"], []).append(row["value_angstrom"])
    written = 0
    for movie_id, frames in groupby(_rows(reader, "export_shifts", after, page), key=lambda row: row["movie_id"]):
        movie = by_id.get(movie_id)
        if movie is None:
            continue
        shifts = list(frames)
        optics: Optics = movie["optics"]
        dose = movie["dose_per_frame_e_per_a2"] or session["dose_per_frame_e_per_a2"]
        coefficients = local.get(movie_id, {})
        raw_frames = movie["raw_frame_count"]
        motion = MovieMotion(
            movie_name=movie["movie_name"],
            width_px=movie["width_px"],
            height_px=movie["height_px"],
            pixel_size_angstrom=optics.movie_pixel_size_angstrom,
            binning=optics.pixel_size_angstrom / optics.movie_pixel_size_angstrom,
            voltage_kv=optics.voltage_kv,
            dose_per_frame_e_per_a2=float(dose or 0.0),
            pre_exposure_e_per_a2=session["pre_exposure_e_per_a2"],
            shift_x_angstrom=tuple(row["shift_x_angstrom"] for row in shifts),
            shift_y_angstrom=tuple(row["shift_y_angstrom"] for row in shifts),
            local_x_angstrom=tuple(coefficients["x"]) if coefficients else None,
            local_y_angstrom=tuple(coefficients["y"]) if coefficients else None,
            eer_grouping=None if raw_frames is None else max(1, raw_frames // len(shifts)),
        )
        write_motion(out / "motion" / f"{movie['stem']}.star", motion)
        written += 1
    return written


def _write_coordinates(reader: SessionReader, out: Path, after: str, page: Sequence[Row]) -> int:
    by_id = {row["movie_id"]: row for row in page if "optics" in row}
    written = 0
    for movie_id, particles in groupby(_rows(reader, "export_particles", after, page), key=lambda r: r["movie_id"]):
        if movie_id not in by_id:
            continue
        picks = list(particles)
        columns: dict[str, list[float]] = {
            "rlnCoordinateX": [row["x_px"] for row in picks],
            "rlnCoordinateY": [row["y_px"] for row in picks],
        }
        if all(row["score"] is not None for row in picks):
            columns["rlnAutopickFigureOfMerit"] = [row["score"] for row in picks]
        write_star(out / "coordinates" / f"{by_id[movie_id]['stem']}.star", [StarBlock("", columns)])
        written += 1
    return written


def _write_particles(
    reader: SessionReader, out: Path, names: Names, kept: Sequence[Row], groups: OpticsGroups, comment: str
) -> int:
    (counts,) = reader.named("particle_columns").as_dicts()
    known = [name for name in PARTICLE_COLUMNS if counts[name] == counts["particles"]]
    with_particles = [row for row in kept if row["particle_count"]]
    stacks = {row["movie_id"]: names.session_dir / str(row["particles_path"]) for row in with_particles}
    all_there = bool(stacks) and all(row["particles_path"] for row in with_particles)
    if all_there:
        for row in with_particles:
            (out / STACKS).mkdir(parents=True, exist_ok=True)
            _link(stacks[row["movie_id"]], out / STACKS / f"{row['stem']}.mrcs")
    return write_particles(
        out / "particles.star",
        kept,
        known,
        (_rows(reader, "export_particles", after, page) for after, page in _pages(reader)),
        (lambda row: names.of(f"{STACKS}/{row['stem']}.mrcs")) if all_there else None,
        next(iter(stacks.values())) if all_there else None,
        groups=groups,
        diameter_angstrom=None if counts["diameter_angstrom"] is None else float(str(counts["diameter_angstrom"])),
        comment=comment,
    )


# --- files ---


def _prefix(out: Path, project: Path | None) -> str:
    if project is None:
        return ""
    relative = os.path.relpath(out.resolve(), project.resolve())
    if relative.startswith(".."):
        raise UsageError(
            "the export folder does not lie in the project folder",
            path=project,
            remedy="give as --project the folder in which RELION runs, and as --star a folder in it",
        )
    return "" if relative == "." else relative.replace(os.sep, "/") + "/"


def _place(source: Path, target: Path, *, copy: bool) -> None:
    if copy:
        if target.is_symlink():
            target.unlink()
        shutil.copyfile(source, target)
    else:
        _link(source, target)


def _link(source: Path, target: Path) -> None:
    """A relative link where both lie in one tree, so that the session can be moved as a whole."""
    source, folder = source.resolve(), target.parent.resolve()
    common = os.path.commonpath([source, folder])
    text = os.path.relpath(source, folder) if common != os.sep else str(source)
    if target.is_symlink():
        if os.readlink(target) == text:
            return
        target.unlink()
    elif target.exists():
        if target.is_dir():
            return  # not ours: a folder of that name was there before
        target.unlink()
    target.symlink_to(text)
