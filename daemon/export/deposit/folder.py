"""A session as a folder that an archive takes: raw movies listed and linked, with everything that goes with them.

    FOLDER/README.md, deposition.json, manifest.tsv, SHA256SUMS, left_out.tsv, oscem.json, ispyb/TABLE.json
    FOLDER/data/movies/...           links to the raw movies and their metadata files
    FOLDER/data/gain/...             gain reference and defects
    FOLDER/data/processed/...        what `export_star` writes: sums, particles, STAR files

Raw data are read for their checksums and never written to; the session is only read, so that it may run, be finished
or lie on a disk that is closed to writing. Doing it again brings the folder up to date: links are made anew, what is
not of the session any more goes (`earlier.py`), checksums are kept, and so is what a person wrote into deposition.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frazil.config.errors import UsageError
from frazil.daemon.export.deposit import empiar
from frazil.daemon.export.deposit.earlier import Staying, remove_earlier, remove_links
from frazil.daemon.export.deposit.ispyb import data_collection, writing_tables
from frazil.daemon.export.deposit.manifest import Listed, tsv, write_manifest, write_text
from frazil.daemon.export.deposit.movies import (
    GAIN,
    MOVIES,
    DepositMovie,
    alike,
    gain_words,
    movie_set,
    sidecar_name,
)
from frazil.daemon.export.deposit.oscem import oscem
from frazil.daemon.export.deposit.processed import PROCESSED, processed_sets
from frazil.daemon.export.deposit.readme import readme_text
from frazil.daemon.export.links import link
from frazil.daemon.export.relion import export_star
from frazil.daemon.export.relion_rows import Names, Row, name_files, pages, rows_of, session_row
from frazil.daemon.store.movie_states import FINISHED, WAITING
from frazil.daemon.store.reading import SessionReader

_WRITTEN = ".imagesets.json"
"""The image sets as frazil wrote them last: what differs in deposition.json is a person's."""


@dataclass(frozen=True, slots=True)
class DepositReport:
    """What is in the folder now."""

    out: Path
    movies: int
    left_out: int
    """Set aside, or not processed yet."""
    listed: Listed
    missing: tuple[str, ...]
    """What EMPIAR asks and nobody has said yet."""
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    """What a pass over the session's movies finds."""

    movies: list[DepositMovie] = field(default_factory=list)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    """(relative path, state, reason)."""
    waiting: int = 0
    staying: Staying = field(default_factory=Staying)


def export_deposit(
    reader: SessionReader,
    session_dir: Path,
    out: Path,
    *,
    copy: bool = False,
    checksums: bool = True,
    progress: Callable[[str], None] | None = None,
) -> DepositReport:
    """Write the folder, or bring it up to date.

    Parameters
    ----------
    copy:
        Copy aligned sums instead of linking to them. Raw movies are never copied.
    checksums:
        Read every file for its SHA-256. An interrupted run goes on with the next file.
    progress:
        Told in words how far it is.

    Raises
    ------
    UsageError
        The session has no settings yet, or the folder would lie within the raw data or around them.
    OSError
        A file cannot be written.
    """
    session = session_row(reader)
    raw_root = Path(session["raw_root"])
    _check_outside(out, raw_root, session_dir)
    tell = progress or (lambda text: None)
    out.mkdir(parents=True, exist_ok=True)
    seen = _look(reader, session, out, session_dir)
    remove_links(out / "data")
    remove_earlier(out / PROCESSED, seen.staying)
    tell(f"{len(seen.movies)} movies")
    decision = None if not session["gain_verdict"] else json.loads(session["gain_verdict"])["decision"]
    groups = alike(seen.movies)
    _link_raw(out, raw_root, groups, decision)
    particles = export_star(reader, session_dir, out / PROCESSED, copy=copy, movie_name=_movie_names(groups)).particles
    sets = [movie_set(name, members, raw_root, gain_words(decision)) for name, members in groups.items()]
    sets += processed_sets(out, particles, str(session["code_version"]))
    missing = empiar.missing(sets, _write_deposition(out, sets))
    orientation = None if decision is None else str(decision["orientation"])
    write_text(out / "oscem.json", json.dumps(oscem(session, seen.movies, orientation), indent=1, ensure_ascii=False))
    write_text(out / "left_out.tsv", tsv(("movie", "state", "reason"), seen.left_out))
    notes = [*_notes(seen, raw_root), *_notes_of_gain(decision)]
    write_text(out / "README.md", readme_text(session, sets, copied=copy, missing=missing, notes=notes))
    listed = write_manifest(out, checksums=checksums, tell=tell)
    left_out = len(seen.left_out) + seen.waiting
    return DepositReport(out, len(seen.movies), left_out, listed, tuple(missing), tuple(notes))


def _movie_names(groups: Mapping[str, Sequence[DepositMovie]]) -> Callable[[str], str]:
    """Where a movie lies, as seen from the RELION folder."""
    elsewhere = {movie.relative_path: name for name, members in groups.items() for movie in members if name != MOVIES}

    def name(relative_path: str) -> str:
        return os.path.relpath(f"{elsewhere.get(relative_path, MOVIES)}/{relative_path}", PROCESSED)

    return name


def _check_outside(out: Path, raw_root: Path, session_dir: Path) -> None:
    """What is written to, and what is removed from, is neither in nor around what is only read."""
    raw, session = raw_root.resolve(), session_dir.resolve()
    for folder in (out.resolve(), (out / "data").resolve()):
        if folder == raw or raw in folder.parents:
            raise UsageError(
                "the deposit would lie within the raw data, which are never written to",
                path=out,
                remedy="give a folder elsewhere",
            )
        if folder in raw.parents:
            raise UsageError(
                "the raw data lie within the folder of the deposit, and could be taken for a part of it",
                path=out,
                remedy="give a folder beside them",
            )
    if session.is_relative_to((out / "data").resolve()):
        raise UsageError(
            "the session lies within the folder of the deposit, and could be taken for a part of it",
            path=out,
            remedy="give a folder beside it",
        )


def _look(reader: SessionReader, session: Row, out: Path, session_dir: Path) -> _Seen:
    """Every movie of the session once; what ISPyB keeps of it is written on the way."""
    seen, stems = _Seen(), dict[str, str]()
    names = Names(out, "", session_dir, str)
    (particles,) = (dict(row) for row in reader.named("particle_columns").as_dicts())
    diameter = None if particles["diameter_angstrom"] is None else float(str(particles["diameter_angstrom"]))
    with writing_tables(out / "ispyb", session_dir, Path(session["raw_root"])) as tables:
        for after, page in pages(reader):
            shifts: dict[str, list[Row]] = {}
            for shift in rows_of(reader, "export_shifts", after, page):
                shifts.setdefault(shift["movie_id"], []).append(shift)
            for row in page:
                name_files(row, stems, names)
                if row["state"] in FINISHED:
                    seen.movies.append(DepositMovie.of(row, session))
                    seen.staying.add(row, session_dir)
                    tables.add_movie(row, shifts.get(row["movie_id"], []), diameter)
                elif row["state"] in WAITING:
                    seen.waiting += 1
                else:
                    seen.left_out.append((row["relative_path"], row["state"], row["failure_reason"] or ""))
        tables.add("DataCollection", data_collection(session, seen.movies))
    seen.movies.sort(key=lambda movie: movie.relative_path)
    return seen


def _link_raw(
    out: Path, raw_root: Path, groups: Mapping[str, Sequence[DepositMovie]], decision: Mapping[str, Any] | None
) -> None:
    """Movies and their metadata files under their own names, gain reference and defects."""
    wanted: dict[str, Path] = {}
    for directory, members in groups.items():
        for movie in members:
            wanted[f"{directory}/{movie.relative_path}"] = raw_root / movie.relative_path
            if movie.sidecar_path is not None:
                sidecar = raw_root / movie.sidecar_path  # an absolute path stays what it is
                wanted[sidecar_name(sidecar, raw_root, directory)] = sidecar
    for role in ("gain_path", "defects_path"):
        if decision is not None and decision[role]:
            wanted[f"{GAIN}/{Path(decision[role]).name}"] = Path(decision[role])
    for name, source in wanted.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        link(source, out / name)


def _write_deposition(out: Path, sets: Sequence[empiar.ImageSet]) -> dict[str, Any]:
    path = out / "deposition.json"
    try:
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UsageError(f"is not JSON any more ({error})", path=path, remedy="mend it, or move it away") from error
    written_path = out / _WRITTEN
    written = json.loads(written_path.read_text(encoding="utf-8")) if written_path.exists() else []
    said = empiar.deposition(sets, earlier, written)
    write_text(path, json.dumps(said, indent=1, ensure_ascii=False))
    write_text(written_path, json.dumps([one.as_json() for one in sets]))
    return said


def _notes(seen: _Seen, raw_root: Path) -> list[str]:
    """What a person should look at before the deposit is sent."""
    gone, changed = [], []
    for movie in seen.movies:
        try:
            size_bytes = os.stat(raw_root / movie.relative_path).st_size
        except OSError:
            gone.append(movie.relative_path)
            continue
        if movie.size_bytes is not None and size_bytes != movie.size_bytes:
            changed.append(movie.relative_path)
    notes = []
    if seen.waiting:
        notes.append(f"movies that are not processed yet: {seen.waiting}; export again when they are")
    if gone:
        notes.append(f"movies that are not where they were: {len(gone)}, {gone[0]} for one; their links lead nowhere")
    if changed:
        notes.append(f"movies of another size than when they were processed: {len(changed)}, {changed[0]} for one")
    return notes


def _notes_of_gain(decision: Mapping[str, Any] | None) -> list[str]:
    paths = [] if decision is None else [decision[role] for role in ("gain_path", "defects_path") if decision[role]]
    return [f"{path} is not where it was; its link leads nowhere" for path in paths if not Path(path).exists()]
