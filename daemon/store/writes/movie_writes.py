"""All that is written about movies: registration, states, results. Each function is one idempotent upsert.

They are given to `Store.submit` and run in the writer thread's transaction: no clocks, no files, nothing but the
connection. Writing the same result twice leaves the tables as they were. Writes about the session's other matters
(priors, maps, alerts, feedback) are in `session_writes.py`.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from frazil.config.stages import Stage, outdated_from
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.movie_states import current, finished, not_in_state
from frazil.daemon.store.rows import KnownMovie, MovieRow
from frazil.daemon.store.writes.causal_writes import insert_losses
from frazil.models.particles.half_sets import half_sets
from frazil.models.records import ACCEPTED_AS_IS, AcquisitionMetadata, MovieResult, MovieState

_UNFINISHED = (
    MovieState.FOUND,
    MovieState.SETTLING,
    MovieState.QUEUED,
    MovieState.PROCESSING,
    MovieState.FAILED,
)
_REGISTERED_COLUMNS = (
    "file_format",
    "size_bytes",
    "mtime_ns",
    "inode",
    "frame_count",
    "height_px",
    "width_px",
    "pixel_size_angstrom",
    "voltage_kv",
    "dose_per_frame_e_per_a2",
    "sidecar_path",
    "grid_square",
    "hole",
    "stage_x_um",
    "stage_y_um",
    "stage_z_um",
    "stage_tilt_deg",
    "image_shift_x_um",
    "image_shift_y_um",
    "beam_tilt_x_mrad",
    "beam_tilt_y_mrad",
    "target_defocus_um",
    "acquired_utc_us",
    "metadata_json",
    "complete_utc_us",
)
_RESULT_TABLES = (
    "stages",
    "frame_shift_arrays",
    "ctf",
    "quality",
    "local_motion_arrays",
    "spectra_arrays",
    "causal_loss_arrays",
    "named_causes",
    "restorations",
)
"""What a result replaces as a whole; particles are looked at one by one (`_insert_particles`)."""


def register_movie(connection: Connection, row: MovieRow) -> None:
    """Make a movie known. For a known one: take over what is now known of it; its state stays."""
    metadata = asdict(row.metadata)
    known = {name: getattr(row, name) if hasattr(row, name) else metadata.get(name) for name in _REGISTERED_COLUMNS}
    said = {name: value for name, value in metadata.items() if value is not None and value != ()}
    known["metadata_json"] = json.dumps(said) if said else None
    if connection.execute("SELECT 1 FROM movies WHERE movie_id = ?", [row.movie_id]).fetchone() is None:
        columns = {
            "movie_id": row.movie_id,
            "relative_path": row.relative_path,
            "generation": row.generation,
            "state": row.state.value,
            "found_utc_us": row.found_utc_us,
            "sequence": row.sequence,
            "stem": row.stem,
            **known,
        }
        values = list(columns.values())
        connection.execute(f"INSERT INTO movies ({', '.join(columns)}) VALUES ({_marks(values)})", values)
        return
    news = {name: value for name, value in known.items() if value is not None}
    sets = [f"{name} = ?" for name in news] + ["sequence = coalesce(sequence, ?)", "stem = coalesce(stem, ?)"]
    connection.execute(
        f"UPDATE movies SET {', '.join(sets)} WHERE movie_id = ?",
        [*news.values(), row.sequence, row.stem, row.movie_id],
    )


def update_metadata(connection: Connection, movie_id: str, metadata: AcquisitionMetadata, sidecar_path: str) -> None:
    """What a sidecar that came late says of a movie; only columns that it fills change."""
    said = {name: value for name, value in asdict(metadata).items() if value is not None}
    columns = {name: said[name] for name in _REGISTERED_COLUMNS if name in said}
    columns["sidecar_path"], columns["metadata_json"] = sidecar_path, json.dumps(said)
    marks = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE movies SET {marks} WHERE movie_id = ?", [*columns.values(), movie_id])


def set_optics_groups(connection: Connection, groups: Mapping[str, int]) -> None:
    """Numbers by movie id. A number that a movie has is never changed."""
    connection.executemany(
        "UPDATE movies SET optics_group = ? WHERE movie_id = ? AND optics_group IS NULL",
        [(number, movie_id) for movie_id, number in groups.items()],
    )


def set_state(
    connection: Connection,
    movie_id: str,
    state: MovieState,
    *,
    reason: str | None = None,
    complete_utc_us: int | None = None,
) -> bool:
    """Set the state; `reason` (why rejected) replaces the old one only for `rejected`. False: no such movie."""
    row = connection.execute(
        "UPDATE movies SET state = ?, complete_utc_us = coalesce(?, complete_utc_us), "
        "rejection_reason = CASE WHEN ? = 'rejected' THEN ? ELSE rejection_reason END WHERE movie_id = ? "
        "RETURNING movie_id",
        [state.value, complete_utc_us, state.value, reason, movie_id],
    ).fetchone()
    return row is not None


def start_attempt(connection: Connection, movie_id: str) -> int:
    """Count one attempt more and return how many there are: durable *before* the movie goes to a worker, so that a
    movie that kills its worker (or us) cannot be tried for ever. Raises LookupError for an unknown movie."""
    row = connection.execute(
        "UPDATE movies SET attempts = attempts + 1, state = 'processing' WHERE movie_id = ? RETURNING attempts",
        [movie_id],
    ).fetchone()
    if row is None:
        raise LookupError(f"no movie {movie_id} in the session")
    return int(row[0])


def give_attempt_back(connection: Connection, movie_id: str) -> None:
    """The attempt was not the movie's fault (sick device, worker replaced): queue it again without counting."""
    connection.execute(
        "UPDATE movies SET attempts = greatest(attempts - 1, 0), state = 'queued' WHERE movie_id = ? "
        f"AND {not_in_state([MovieState.OUTDATED, MovieState.QUARANTINED])}",
        [movie_id],
    )


def record_result(
    connection: Connection,
    result: MovieResult,
    *,
    ready_utc_us: int,
    lag_s: float | None,
    rejection_reason: str | None = None,
) -> MovieState | None:
    """Write all of a result and make the movie `ready`, or `rejected` with the reason.

    A person's last verdict on this movie outweighs the thresholds. Delivered again with the same parameters and code,
    the first ready time and lag stay. Returns the state, or None when the result came too late to matter: the movie
    is unknown or outdated, and nothing was written.
    """
    movie_id = result.movie_id
    movie = connection.execute("SELECT state FROM movies WHERE movie_id = ?", [movie_id]).fetchone()
    if movie is None or movie[0] == MovieState.OUTDATED:
        return None
    if connection.execute("SELECT 1 FROM quality WHERE movie_id = ?", [movie_id]).fetchone() is not None:
        before = connection.execute(
            "SELECT any_value(m.ready_utc_us), any_value(m.lag_s) FROM stages s JOIN movies m USING (movie_id) "
            "WHERE movie_id = ? AND s.parameter_hash = ? AND s.code_version = ? HAVING count(m.ready_utc_us) > 0",
            [movie_id, result.parameter_hash, result.code_version],
        ).fetchone()
        if before is not None:
            ready_utc_us, lag_s = before
        # Only here: two of these keys begin with, and are more than, the movie, so that a delete reads the table.
        for table in _RESULT_TABLES:
            connection.execute(f"DELETE FROM {table} WHERE movie_id = ?", [movie_id])
    _insert_stages(connection, result, ready_utc_us)
    _insert_motion(connection, result)
    _insert_ctf(connection, result)
    _insert_quality(connection, result)
    _insert_curves(connection, result)
    _insert_restoration(connection, result)
    _insert_particles(connection, result)
    state, reason = _verdict(connection, movie_id, rejection_reason)
    header = result.header
    connection.execute(
        "UPDATE movies SET state = ?, rejection_reason = ?, failure_stage = NULL, failure_reason = NULL, "
        "failure_evidence = NULL, file_format = ?, frame_count = ?, raw_frame_count = ?, height_px = ?, width_px = ?, "
        "pixel_size_angstrom = coalesce(pixel_size_angstrom, ?), ready_utc_us = ?, lag_s = ?, flags = ? "
        "WHERE movie_id = ?",
        [
            state.value,
            reason,
            header.file_format,
            header.frame_count,
            header.raw_frame_count,
            header.height_px,
            header.width_px,
            header.pixel_size_angstrom,
            ready_utc_us,
            lag_s,
            ",".join(result.quality.flags),
            movie_id,
        ],
    )
    return state


def record_failure(
    connection: Connection,
    movie_id: str,
    *,
    stage: str,
    reason: str,
    evidence: Mapping[str, object] | None = None,
    state: MovieState = MovieState.FAILED,
) -> bool:
    """An attempt failed; another will be made. `reason` is a sentence for a person. False: no such movie."""
    row = connection.execute(
        "UPDATE movies SET state = ?, failure_stage = ?, failure_reason = ?, failure_evidence = ? "
        "WHERE movie_id = ? RETURNING movie_id",
        [state.value, stage, reason, None if evidence is None else json.dumps(dict(evidence), default=str), movie_id],
    ).fetchone()
    return row is not None


def quarantine(
    connection: Connection, movie_id: str, *, stage: str, reason: str, evidence: Mapping[str, object] | None = None
) -> bool:
    """Set a movie aside for good with its evidence (error class, traceback, header, versions).

    That the intake sets it aside also ends that a person took it as it is: the file is not even that, and what may
    come in its place is judged as any other.
    """
    if stage == "intake":
        for (flags,) in connection.execute("SELECT flags FROM movies WHERE movie_id = ?", [movie_id]).fetchall():
            if flags and ACCEPTED_AS_IS in flags:
                _set_accepted(connection, movie_id, flags, False)
    return record_failure(
        connection, movie_id, stage=stage, reason=reason, evidence=evidence, state=MovieState.QUARANTINED
    )


def requeue(connection: Connection, movie_id: str, *, accept_as_is: bool | None = None) -> bool:
    """A person wants it tried again: attempts from zero, the old failure forgotten. False: no such movie.

    `accept_as_is`: with the frames that it has, which is kept among its flags; None: as was said before.
    """
    row = connection.execute(
        "UPDATE movies SET state = 'queued', attempts = 0, failure_stage = NULL, failure_reason = NULL, "
        "failure_evidence = NULL, rejection_reason = NULL WHERE movie_id = ? RETURNING flags",
        [movie_id],
    ).fetchone()
    if row is not None and accept_as_is is not None:
        _set_accepted(connection, movie_id, row[0], accept_as_is)
    return row is not None


def _set_accepted(connection: Connection, movie_id: str, flags: str | None, accepted: bool) -> None:
    words = [word for word in (flags or "").split(",") if word not in ("", ACCEPTED_AS_IS)]
    words += [ACCEPTED_AS_IS] * accepted
    connection.execute("UPDATE movies SET flags = ? WHERE movie_id = ?", [",".join(words) or None, movie_id])


REDO_STAGE = "redo"
"""`movies.failure_stage` of a movie whose result was to be made again and could not: the old one stays."""


def mark_results(connection: Connection, parameter_hash: str, code_version: str) -> dict[Stage, int]:
    """Mark each result with what in it is outdated under the settings in force (`outdated-ctf` among the movie's
    flags), and take the mark from those that are right (again). State and result stay until a new one takes their
    place. Returns how many movies are to be done again, by the stage from which on.

    What another frazil made is not marked: it is done again as a whole, as a movie that never had a result. A movie
    whose mark changes is tried again, also where an earlier try was given up (`keep_result`).
    """
    known = connection.execute(
        "SELECT DISTINCT parameter_hash FROM stages JOIN movies USING (movie_id) WHERE code_version = ? "
        f"AND {finished()}",
        [code_version],
    ).fetchall()
    for (made_with,) in known:
        stage = outdated_from(made_with, parameter_hash)
        mark = "" if stage is None else f"outdated-{stage.value}"
        connection.execute(
            "UPDATE movies SET flags = concat_ws(',', nullif(trim(regexp_replace(coalesce(flags, ''), "
            "'(^|,)outdated-[a-z]+', ''), ','), ''), nullif($mark, '')), "
            "failure_reason = CASE WHEN failure_stage = $redo THEN NULL ELSE failure_reason END, "
            "failure_evidence = CASE WHEN failure_stage = $redo THEN NULL ELSE failure_evidence END, "
            "failure_stage = CASE WHEN failure_stage = $redo THEN NULL ELSE failure_stage END "
            f"WHERE {finished()} AND movie_id IN "
            "(SELECT movie_id FROM stages WHERE parameter_hash = $made_with AND code_version = $code_version) "
            "AND regexp_extract(coalesce(flags, ''), 'outdated-[a-z]+') <> $mark",
            {"mark": mark, "redo": REDO_STAGE, "made_with": made_with, "code_version": code_version},
        )
    counts = connection.execute(
        "SELECT regexp_extract(flags, 'outdated-([a-z]+)', 1) AS stage, count(*) FROM movies "
        f"WHERE {finished()} AND contains(flags, 'outdated-') "
        "AND failure_stage IS DISTINCT FROM ? GROUP BY stage",
        [REDO_STAGE],
    ).fetchall()
    return {Stage(stage): int(count) for stage, count in counts}


def try_kept_again(connection: Connection) -> None:
    """Settings have changed: whatever stood in the way of making a result again may be gone."""
    connection.execute(
        "UPDATE movies SET failure_stage = NULL, failure_reason = NULL, failure_evidence = NULL "
        "WHERE failure_stage = ?",
        [REDO_STAGE],
    )


def keep_result(connection: Connection, movie_id: str, reason: str) -> None:
    """A result that was to be made again stays as it is, and why; it is not tried again until settings change again or
    a person asks for it."""
    connection.execute(
        f"UPDATE movies SET failure_stage = ?, failure_reason = ? WHERE movie_id = ? AND {finished()}",
        [REDO_STAGE, reason, movie_id],
    )


def mark_outdated(connection: Connection, relative_path: str, before_generation: int) -> int:
    """The file was replaced: older generations are `outdated` (their rows stay). Returns how many."""
    rows = connection.execute(
        f"UPDATE movies SET state = 'outdated' WHERE relative_path = ? AND generation < ? AND {current()} "
        "RETURNING movie_id",
        [relative_path, before_generation],
    ).fetchall()
    return len(rows)


def known_movies(connection: Connection) -> list[KnownMovie]:
    """All movies of the session, oldest first: what intake starts from when it resumes."""
    rows = connection.execute(
        "SELECT movie_id, relative_path, generation, state, attempts, size_bytes, mtime_ns, inode, frame_count, "
        "found_utc_us, sequence, stem, s.parameter_hash, s.code_version FROM movies LEFT JOIN (SELECT movie_id, "
        "any_value(parameter_hash) AS parameter_hash, any_value(code_version) AS code_version FROM stages "
        "GROUP BY movie_id) s USING (movie_id) ORDER BY found_utc_us, relative_path, generation"
    ).fetchall()
    return [KnownMovie(row[0], row[1], row[2], MovieState(row[3]), *row[4:]) for row in rows]


def unfinished_movies(connection: Connection) -> list[KnownMovie]:
    """Those that still want work, oldest first."""
    return [movie for movie in known_movies(connection) if movie.state in _UNFINISHED]


# --- parts of a result ---


def _insert_stages(connection: Connection, result: MovieResult, ready_utc_us: int) -> None:
    device = result.device
    # A result without timings still leaves the row that says what it was made with.
    timings = [(t.stage, t.seconds) for t in result.timings] or [("all", 0.0)]
    rows = [
        (
            *(result.movie_id, stage, seconds, result.parameter_hash, result.code_version),
            *(device.worker, device.node, device.device, device.device_name, device.device_uuid, ready_utc_us),
        )
        for stage, seconds in dict(timings).items()
    ]
    _insert(connection, "stages", rows)


def _insert_motion(connection: Connection, result: MovieResult) -> None:
    shifts = result.shifts
    row = (result.movie_id, list(shifts.shift_x_angstrom), list(shifts.shift_y_angstrom), list(shifts.sd_angstrom))
    _insert(connection, "frame_shift_arrays", [(*row, shifts.converged)])
    local = result.local_motion
    if local is not None:
        curves = (list(local.coefficients_x_angstrom), list(local.coefficients_y_angstrom))
        grid = (local.patch_grid_x, local.patch_grid_y)
        rms = _known(local.rms_residual_angstrom)
        _insert(connection, "local_motion_arrays", [(result.movie_id, *curves, *grid, rms, local.accepted)])


def _insert_ctf(connection: Connection, result: MovieResult) -> None:
    ctf = result.ctf
    _insert(
        connection,
        "ctf",
        [
            (
                result.movie_id,
                ctf.defocus_u_angstrom,
                ctf.defocus_v_angstrom,
                ctf.defocus_u_angstrom - ctf.defocus_v_angstrom,
                ctf.astigmatism_angle_deg,
                ctf.phase_shift_deg,
                _known(ctf.defocus_sd_angstrom),
                _known(ctf.astigmatism_sd_angstrom),
                _known(ctf.fit_resolution_angstrom),
                _known(ctf.score),
                _known(ctf.ice_ring_density),
                ctf.reliable,
                ctf.flag,
                ctf.tilt_angle_deg,
                ctf.tilt_sd_deg,
                ctf.tilt_axis_deg,
                _known(ctf.fit_resolution_sd_angstrom),
                _known(ctf.defocus_systematic_sd_angstrom),
            )
        ],
    )


def _insert_restoration(connection: Connection, result: MovieResult) -> None:
    if result.restoration is not None:  # a result file of an earlier frazil says nothing of it
        values = {"movie_id": result.movie_id, **asdict(result.restoration)}
        connection.execute(
            f"INSERT INTO restorations ({', '.join(values)}) VALUES ({_marks(list(values))})", list(values.values())
        )


def _insert_quality(connection: Connection, result: MovieResult) -> None:
    quality, shifts, files, local = result.quality, result.shifts, result.files, result.local_motion
    values = {
        "movie_id": result.movie_id,
        "motion_total_angstrom": _known(shifts.total_angstrom),
        "motion_early_angstrom": _known(shifts.early_angstrom),
        "motion_late_angstrom": _known(shifts.late_angstrom),
        "local_motion_rms_angstrom": None if local is None else _known(local.rms_residual_angstrom),
        "mean_counts_per_px": _known(quality.mean_counts_per_px),
        "dose_per_frame_e_per_px": _known(quality.dose_per_frame_e_per_px),
        "hot_pixel_count": quality.hot_pixel_count,
        "relative_ice_thickness": _known(quality.relative_ice_thickness),
        "fixed_pattern": _known(quality.fixed_pattern),
        "fixed_pattern_rms": None if quality.fixed_pattern_rms is None else _known(quality.fixed_pattern_rms),
        "half_frc_0143_angstrom": crossing_angstrom(
            result.spectra.frequency_per_angstrom, result.spectra.half_frc, 0.143
        ),
        "particle_count": len(result.picks.x_px),
        "already_summed": quality.already_summed,
        "micrograph_path": files.micrograph,
        "micrograph_no_dose_weighting_path": files.micrograph_no_dose_weighting,
        "even_path": files.even,
        "odd_path": files.odd,
        "motion_star_path": files.motion_star,
        "thumbnail_path": files.thumbnail,
        "power_spectrum_path": files.power_spectrum,
        "restored_path": files.restored,
        "particles_path": files.particles,
        "micrograph_pixel_size_angstrom": result.pixel_size_angstrom,
    }
    connection.execute(
        f"INSERT INTO quality ({', '.join(values)}) VALUES ({_marks(list(values))})", list(values.values())
    )


def _insert_curves(connection: Connection, result: MovieResult) -> None:
    spectra, losses = result.spectra, result.losses
    curves = (spectra.power, spectra.noise_power, spectra.ring_amplitude, spectra.half_frc)
    row = (result.movie_id, list(spectra.frequency_per_angstrom), *(list(curve) or None for curve in curves))
    _insert(connection, "spectra_arrays", [row])
    if losses is not None:
        insert_losses(connection, [(result.movie_id, losses)])


_OF_PICKS = "diameter_angstrom, x_px, y_px, score, fibre, along_angstrom, axis_deg, defocus_offset_angstrom"


def _insert_particles(connection: Connection, result: MovieResult) -> None:
    """The picks, unless just these are there already: then they keep what later stages found out about them."""
    picks = result.picks
    told = (picks.score, picks.fibre, picks.along_angstrom, picks.axis_deg, picks.defocus_offset_angstrom)
    columns = [picks.diameter_angstrom, list(picks.x_px), list(picks.y_px), *(list(values) or None for values in told)]
    there = connection.execute(
        f"SELECT {_OF_PICKS} FROM particle_arrays WHERE movie_id = ?", [result.movie_id]
    ).fetchone()
    if there is not None and list(there) == columns:
        return
    # Also when nothing is picked now: what an earlier result left must not be exported.
    for table in ("particle_arrays", "particle_evidence_arrays"):
        connection.execute(f"DELETE FROM {table} WHERE movie_id = ?", [result.movie_id])
    if not picks.x_px:
        return
    connection.execute(
        f"INSERT INTO particle_arrays (movie_id, {_OF_PICKS}, half_set) VALUES (?, {_marks(columns)}, ?)",
        [result.movie_id, *columns, list(half_sets(result.movie_id, len(picks.x_px), picks.fibre))],
    )


def _verdict(connection: Connection, movie_id: str, rejection_reason: str | None) -> tuple[MovieState, str | None]:
    said = connection.execute(
        "SELECT verdict, note, who FROM feedback WHERE movie_id = ? AND verdict IN ('accept', 'reject') "
        "ORDER BY created_utc_us DESC, feedback_id DESC LIMIT 1",
        [movie_id],
    ).fetchone()
    if said is not None and said[0] == "reject":
        return MovieState.REJECTED, said[1] or f"rejected by {said[2]}"
    if rejection_reason is not None and said is None:
        return MovieState.REJECTED, rejection_reason
    return MovieState.READY, None


def crossing_angstrom(
    frequency_per_angstrom: Sequence[float], correlation: Sequence[float], threshold: float
) -> float | None:
    """Resolution at which a Fourier correlation first falls below the threshold, linear between points.

    None: no curve, or it starts below. A curve that never falls below gives its last frequency.
    """
    if not correlation or not correlation[0] > threshold:
        return None
    points = list(zip(frequency_per_angstrom, correlation, strict=True))
    for (f0, c0), (f1, c1) in itertools.pairwise(points):
        if not c1 >= threshold:  # also NaN: nothing is known beyond it
            f = f1 if math.isnan(c1) else f0 + (f1 - f0) * (c0 - threshold) / (c0 - c1)
            return 1.0 / f if f > 0 else None
    return 1.0 / points[-1][0] if points[-1][0] > 0 else None


def _known(value: float | None) -> float | None:
    """NaN is how arrays say "not known"; the tables say NULL."""
    return None if value is None or math.isnan(value) else value


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _insert(connection: Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Several rows in one statement (row by row costs milliseconds each)."""
    if rows:
        marks = ", ".join(f"({_marks(row)})" for row in rows)
        connection.execute(f"INSERT INTO {table} VALUES {marks}", [value for row in rows for value in row])
