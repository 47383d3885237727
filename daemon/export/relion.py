"""A session as RELION >= 3.1 reads it without edits.

Run RELION in the export folder `OUT` (or in the folder given as `project`, which must hold `OUT`): every name in the
STAR files is relative to it. Nothing is copied: `OUT/Frazil/job001/STEM.mrc` are links to the session's micrographs and
`OUT/raw` is a link to the movies. The `job001` is what lets RELION find `coordinates/STEM.star` for a micrograph.

    micrographs_ctf.star  kept micrographs that have a usable CTF (RELION would use any defocus, so others stay out)
    rejected.star         all others that were processed or set aside, with the reason
    motion/STEM.star      whole-frame and local motion, for Bayesian polishing
    coordinates/STEM.star, coordinates.star (RELION >= 4 finds the former through it)
    particles.star        particles of the kept micrographs that are chosen by their 2-D classes (or all)

A column is written when it is known of every row; RELION has no "not known".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from frazil.daemon.export.beam_tilt import beam_tilt_columns, told_by_particles
from frazil.daemon.export.links import link, place, prefix_in
from frazil.daemon.export.relion_particles import write_particles
from frazil.daemon.export.relion_rows import (
    JOB,
    STACKS,
    Names,
    Row,
    name_files,
    optics_of,
    pages,
    rows_of,
    session_row,
    why_not_kept,
)
from frazil.daemon.export.relion_tables import Optics, OpticsGroups, micrographs_block, rejected_block
from frazil.daemon.store.reading import SessionReader
from frazil.models.formats.relion_motion import MovieMotion, write_motion
from frazil.models.formats.star import StarBlock, StarValue, write_star
from frazil.models.records import MovieState


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
    movies_missing: bool = False
    """Their folder is not where it was."""
    angles: bool = True
    """Every particle has its angles in the map."""
    diameter_angstrom: float | None = None
    """Of the particles."""


@dataclass(slots=True)
class _Listed:
    """Movies by the table in which they stand."""

    kept: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    not_usable: int = 0
    beam_tilts: dict[str, Row] = field(default_factory=dict)
    """What movies' particles tell of it, by movie id."""


def export_star(
    reader: SessionReader,
    session_dir: Path,
    out: Path,
    *,
    project: Path | None = None,
    copy: bool = False,
    movie_name: Callable[[str], str] | None = None,
    every_particle: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """Write the STAR files of a session; doing it again replaces them.

    Parameters
    ----------
    project, copy:
        The folder in which RELION runs; must hold `out` (None: `out` itself). Copy micrographs and particle stacks.
    movie_name:
        Where the movie of a relative path lies, as seen from `out`. None: in `raw`, which becomes a link to all.
    every_particle:
        Particles of 2-D classes that are not chosen, too.
    progress:
        Told the number of movies written so far.

    Raises `UsageError` for a session without settings or a project that does not hold `out`, OSError when a file
    cannot be written.
    """
    names = Names(out, prefix_in(out, project), session_dir, movie_name or "raw/{}".format)
    session = session_row(reader)
    (out / JOB).mkdir(parents=True, exist_ok=True)
    if movie_name is None:
        link(Path(session["raw_root"]), out / "raw")
    listed = _Listed()
    stems: dict[str, str] = {}
    motion_files = coordinate_files = done = 0
    for after, page in pages(reader):
        for row in page:
            name_files(row, stems, names)
            _list_movie(row, listed, names, session, copy=copy)
        motion_files += _write_motion_files(reader, out, session, after, page)
        coordinate_files += _write_coordinates(_particles(reader, after, page, every=every_particle), out, page)
        listed.beam_tilts |= told_by_particles(reader, after, page)
        done += len(page)
        if progress is not None:
            progress(done)
    kept, rejected = (sorted(rows, key=lambda row: row["relative_path"]) for rows in (listed.kept, listed.rejected))
    # Only now: RELION's numbers have no gap, and the same session gives the same numbers.
    groups = OpticsGroups(row["optics"] for row in kept)
    for row in kept:
        row["optics_group"] = groups.number(row["optics"])
    tilts = beam_tilt_columns(kept, listed.beam_tilts, groups)
    comment = _comment(names)
    write_star(out / "micrographs_ctf.star", [groups.block(tilts), micrographs_block(kept)], comment=comment)
    write_star(out / "rejected.star", [groups.block(), rejected_block(rejected)], comment=comment)
    write_star(out / "coordinates.star", [_coordinate_files(kept, names)])
    (columns,) = reader.named("particle_columns").as_dicts()
    particles = _write_particles(reader, columns, names, kept, groups, tilts, comment, every=every_particle, copy=copy)
    counts = (len(kept), len(rejected), motion_files, coordinate_files, particles, listed.not_usable)
    return ExportReport(out, *counts, *_told_of(session, columns))


def _told_of(session: Row, columns: Row) -> tuple[bool, bool, float | None]:
    """Whether movies are missing, whether all particles have angles, and their diameter (A)."""
    angles = columns["rot_deg"] == columns["particles"]
    return not Path(session["raw_root"]).is_dir(), angles, _float(columns["diameter_angstrom"])


def _float(value: object) -> float | None:
    return None if value is None else float(str(value))


def _comment(names: Names) -> str:
    where = f"the folder that holds {names.prefix}" if names.prefix else "this folder"
    return f"Written by frazil. Run RELION in {where}: all names are relative to it."


def _list_movie(row: Row, listed: _Listed, names: Names, session: Row, *, copy: bool) -> None:
    """Put a movie into the table to which it belongs, and its micrograph into the folder."""
    reason = why_not_kept(row, names.session_dir)
    if reason is not None:
        listed.not_usable += row["state"] == MovieState.READY
        if row["state"] in (MovieState.READY, MovieState.REJECTED, MovieState.QUARANTINED):
            listed.rejected.append(row | {"reason": reason})
    micrograph = None if row["micrograph_path"] is None else names.session_dir / row["micrograph_path"]
    if micrograph is None or not micrograph.exists():
        return
    place(micrograph, names.out / JOB / f"{row['stem']}.mrc", copy=copy)
    row["optics"] = optics_of(row, session)
    if reason is None:
        listed.kept.append(row)


def _coordinate_files(kept: Sequence[Row], names: Names) -> StarBlock:
    """What lets RELION 4 and later find each micrograph's coordinates."""
    with_file = [row for row in kept if (names.out / "coordinates" / f"{row['stem']}.star").exists()]
    return StarBlock(
        "coordinate_files",
        {
            "rlnMicrographName": [row["name"] for row in with_file],
            "rlnMicrographCoordinates": [names.of(f"coordinates/{row['stem']}.star") for row in with_file],
        },
    )


def _write_motion_files(reader: SessionReader, out: Path, session: Row, after: str, page: Sequence[Row]) -> int:
    by_id = {row["movie_id"]: row for row in page if "optics" in row}
    local: dict[str, dict[str, list[float]]] = {}
    for row in rows_of(reader, "export_local_motion", after, page):
        local.setdefault(row["movie_id"], {}).setdefault(row["axis"], []).append(row["value_angstrom"])
    written = 0
    for movie_id, frames in groupby(rows_of(reader, "export_shifts", after, page), key=lambda row: row["movie_id"]):
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


def _particles(reader: SessionReader, after: str, page: Sequence[Row], *, every: bool) -> list[Row]:
    """Of a page of movies."""
    return [row for row in rows_of(reader, "export_particles", after, page) if every or row["chosen"]]


def _write_coordinates(particles_of_page: Sequence[Row], out: Path, page: Sequence[Row]) -> int:
    by_id = {row["movie_id"]: row for row in page if "optics" in row}
    written = 0
    for movie_id, particles in groupby(particles_of_page, key=lambda r: r["movie_id"]):
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
    reader: SessionReader,
    columns: Row,
    names: Names,
    kept: Sequence[Row],
    groups: OpticsGroups,
    beam_tilts: Mapping[str, Sequence[StarValue]],
    comment: str,
    *,
    every: bool,
    copy: bool,
) -> int:
    of_all = columns["particles"]
    known = [n for n, count in columns.items() if n not in ("particles", "diameter_angstrom") and count == of_all]
    out = names.out
    with_particles = [row for row in kept if row["particle_count"]]
    stacks = {row["movie_id"]: names.session_dir / str(row["particles_path"]) for row in with_particles}
    all_there = bool(stacks) and all(row["particles_path"] for row in with_particles)
    if all_there:
        for row in with_particles:
            (out / STACKS).mkdir(parents=True, exist_ok=True)
            place(stacks[row["movie_id"]], out / STACKS / f"{row['stem']}.mrcs", copy=copy)
    return write_particles(
        out / "particles.star",
        kept,
        known,
        (_particles(reader, after, page, every=every) for after, page in pages(reader)),
        (lambda row: names.of(f"{STACKS}/{row['stem']}.mrcs")) if all_there else None,
        out / STACKS / f"{with_particles[0]['stem']}.mrcs" if all_there else None,
        groups=groups,
        beam_tilts=beam_tilts,
        diameter_angstrom=_float(columns["diameter_angstrom"]),
        comment=comment,
    )
