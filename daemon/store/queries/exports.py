"""Questions that exports ask, a page of movies at a time."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import current
from frazil.daemon.store.queries.movie_columns import JOINED
from frazil.daemon.store.queries.named_query import NamedQuery, Param, rows_param

EXPORT_MOVIES = (
    "SELECT m.movie_id, m.relative_path, m.generation, m.stem, m.state, m.rejection_reason, m.failure_reason, "
    "m.file_format, m.frame_count, m.raw_frame_count, m.height_px, m.width_px, m.pixel_size_angstrom, m.voltage_kv, "
    "m.dose_per_frame_e_per_a2, m.flags, m.optics_group, m.beam_tilt_x_mrad, m.beam_tilt_y_mrad, m.metadata_json, "
    "m.sequence, m.size_bytes, m.sidecar_path, m.stage_x_um, m.stage_y_um, m.target_defocus_um, m.acquired_utc_us, "
    "c.* EXCLUDE (movie_id), q.* EXCLUDE (movie_id) "
    f"{JOINED} WHERE m.movie_id > $after AND {current('m')} ORDER BY m.movie_id LIMIT $limit"
)
EXPORT_SHIFTS = (
    "SELECT movie_id, frame, shift_x_angstrom, shift_y_angstrom FROM frame_shifts "
    "WHERE movie_id > $after AND movie_id <= $upto ORDER BY movie_id, frame"
)
EXPORT_LOCAL_MOTION = (
    "SELECT movie_id, axis, coefficient, value_angstrom FROM local_motion "
    "WHERE movie_id > $after AND movie_id <= $upto "
    "AND movie_id IN (SELECT movie_id FROM local_motion_arrays WHERE accepted) ORDER BY movie_id, axis, coefficient"
)
EXPORT_PARTICLES = (
    "SELECT * FROM chosen_particles WHERE movie_id > $after AND movie_id <= $upto ORDER BY movie_id, particle"
)
EXPORT_BEAM_TILTS = (
    "SELECT movie_id, beam_tilt_x_mrad, beam_tilt_y_mrad, beam_tilt_xx_mrad2, beam_tilt_xy_mrad2, beam_tilt_yy_mrad2 "
    "FROM particle_evidence_arrays WHERE movie_id > $after AND movie_id <= $upto "
    "AND beam_tilt_xx_mrad2 IS NOT NULL ORDER BY movie_id"
)

QUERIES: Mapping[str, NamedQuery] = {
    "export_movies": NamedQuery(
        "What an export writes of each movie, a page after a movie id.",
        EXPORT_MOVIES,
        {"after": Param(str, ""), "limit": rows_param(500)},
    ),
    "export_shifts": NamedQuery(
        "Frame shifts of a page of movies: those after one id up to another.",
        EXPORT_SHIFTS,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
    "export_local_motion": NamedQuery(
        "Local motion of a page of movies.",
        EXPORT_LOCAL_MOTION,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
    "export_beam_tilts": NamedQuery(
        "What the particles of a page of movies tell of their beam tilt.",
        EXPORT_BEAM_TILTS,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
    "export_particles": NamedQuery(
        "Particles of a page of movies.",
        EXPORT_PARTICLES,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
}
