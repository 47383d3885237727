"""Questions about grids: their squares and holes, what came of them, and where to shoot next.

`state` is what the acquisition program says, or more where movies say more: a hole with a movie is exposed, one with a
processed movie is processed. `word` is what a person says beside it (picked, avoided). *Holes* are places to shoot at:
one at a bar of the grid counts only where the program or a person has chosen it. A question with `grid` is about that
one, by name or id; without, about the grid in the microscope, which the newest round is of.
"""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import current, finished, kept
from frazil.daemon.store.queries.named_query import NamedQuery, Param, rows_param

_IN_MICROSCOPE = (
    "coalesce((SELECT grid_id FROM target_rounds ORDER BY round DESC LIMIT 1), (SELECT min(grid_id) FROM grid_targets))"
)
_GRID = (
    f"(CASE WHEN $grid = '' THEN {_IN_MICROSCOPE} "
    "ELSE (SELECT min(grid_id) FROM grid_names WHERE $grid IN (grid_id, name)) END)"
)
_ROUND = f"(SELECT max(round) FROM target_rounds WHERE grid_id = {_GRID})"
_ROUND_OF_SQUARE = (
    "(SELECT max(r.round) FROM target_rounds r JOIN grid_targets q USING (grid_id) WHERE q.target_id = $square_id)"
)
_WORDS = "(SELECT target_id, word, who AS word_by FROM target_words WHERE word IN ('picked', 'avoided'))"
# What came of each hole, by its movies.
_SHOTS = (
    "SELECT l.hole_id, count(*) AS movies, "
    f"count(*) FILTER ({finished('m')}) AS processed, count(*) FILTER ({kept('m')}) AS kept, "
    f"median(c.fit_resolution_angstrom) FILTER ({finished('m')}) AS ctf_fit_angstrom, "
    f"avg(q.particle_count) FILTER ({finished('m')}) AS particles_per_movie, max(m.acquired_utc_us) AS exposed_utc_us, "
    "min(l.linked_by) AS linked_by "
    "FROM movie_targets l JOIN movies m USING (movie_id) LEFT JOIN ctf c USING (movie_id) "
    f"LEFT JOIN quality q USING (movie_id) WHERE {current('m')} GROUP BY l.hole_id"
)
_OF_SQUARE = "(SELECT target_id FROM grid_targets WHERE square_id = $square_id)"
_STATE = (
    "CASE WHEN s.processed > 0 THEN 'processed' WHEN s.movies > 0 AND t.state <> 'processed' THEN 'exposed' "
    "ELSE t.state END"
)
_ICE_OF_SQUARE = (
    "(SELECT h.square_id, median(i.ice_nm) AS ice_nm, stddev_samp(i.ice_nm) AS ice_spread_nm "
    "FROM hole_ice i JOIN hole_images h USING (hole_id) GROUP BY h.square_id)"
)
# Where no holes are told, exposures are what is shot at.
_SHOT_AT = (
    "(t.level = 'hole' OR (t.level = 'exposure' AND NOT EXISTS "
    "(FROM grid_targets h WHERE h.target_id = t.parent_id AND h.level = 'hole')))"
)
_HOLES = (
    f"SELECT t.* EXCLUDE (state), {_STATE} AS state, coalesce(s.movies, 0) AS movies, s.processed, s.kept, "
    "s.ctf_fit_angstrom, s.particles_per_movie, s.exposed_utc_us, s.linked_by, w.word, w.word_by, "
    "coalesce(t.at_bar, false) AND t.state = 'seen' AND coalesce(s.movies, 0) = 0 AND coalesce(w.word, '') <> 'picked' "
    "AS left_at_bar FROM grid_targets t LEFT JOIN shot s ON s.hole_id = t.target_id "
    f"LEFT JOIN {_WORDS} w ON w.target_id = t.target_id WHERE {_SHOT_AT}"
)
_TAKEN = "state IN ('exposed', 'processed')"
_COUNTS = (
    f"count(*) FILTER (({_TAKEN} OR NOT gone) AND NOT left_at_bar) AS holes, "
    "count(*) FILTER (left_at_bar AND NOT gone) AS holes_at_bars, "
    "count(*) FILTER (state = 'chosen' AND NOT gone) AS chosen, "
    f"count(*) FILTER ({_TAKEN}) AS exposed, count(*) FILTER (state = 'processed') AS processed, "
    "count(*) FILTER (state = 'avoided') AS avoided, coalesce(sum(movies), 0)::BIGINT AS movies, "
    "coalesce(sum(kept), 0)::BIGINT AS kept"
)
GRID = (
    f"WITH shot AS ({_SHOTS}), hole AS ({_HOLES} AND t.grid_id = {_GRID}), "
    f"there AS (FROM grid_targets WHERE grid_id = {_GRID}) "
    f"SELECT {_GRID} AS grid_id, (SELECT name FROM grid_names WHERE grid_id = {_GRID}) AS name, "
    "(SELECT count(*) FROM grid_names) AS grids, "
    "(SELECT string_agg(DISTINCT program, ', ' ORDER BY program) FROM there) AS programs, "
    "(SELECT max(image_path) FROM there WHERE level = 'grid') AS image_path, "
    "(SELECT count(*) FROM there WHERE level = 'square' AND NOT gone) AS squares, "
    f"{_COUNTS}, (SELECT count(*) FROM movies m WHERE {finished('m')} AND NOT EXISTS "
    "(FROM movie_targets l WHERE l.movie_id = m.movie_id)) AS movies_without_a_hole, "
    "(SELECT min(first_seen_utc_us) FROM there) AS first_seen_utc_us, "
    "(SELECT max(last_seen_utc_us) FROM there) AS last_seen_utc_us FROM hole"
)
GRIDS = (
    f"WITH shot AS ({_SHOTS}), hole AS ({_HOLES}), counted AS (SELECT grid_id, {_COUNTS} FROM hole GROUP BY grid_id), "
    "square AS (SELECT grid_id, count(*) FILTER (level = 'square' AND NOT gone) AS squares, "
    "min(program) AS program, min(first_seen_utc_us) AS first_seen_utc_us FROM grid_targets GROUP BY grid_id), "
    "newest AS (SELECT grid_id, max(round) AS round FROM target_rounds GROUP BY grid_id) "
    "SELECT n.grid_id, n.name, s.program, "
    f"CASE WHEN n.grid_id = {_IN_MICROSCOPE} AND r.round IS NOT NULL THEN 'in the microscope' "
    "WHEN h.exposed > 0 THEN 'exposed' WHEN h.holes > 0 THEN 'holes known' ELSE 'atlas only' END AS state, "
    "s.squares, coalesce(h.holes, 0) AS holes, coalesce(h.holes_at_bars, 0) AS holes_at_bars, "
    "coalesce(h.exposed, 0) AS exposed, coalesce(h.movies, 0) AS movies, "
    "CASE WHEN h.processed > 0 THEN h.kept / h.movies END AS kept_share, "
    "o.counted, o.times, o.times_low, o.times_high, o.exchange_minutes, r.round, r.line, r.verdict, "
    "s.first_seen_utc_us "
    "FROM grid_names n JOIN square s USING (grid_id) LEFT JOIN counted h USING (grid_id) "
    "LEFT JOIN grid_outlooks o USING (grid_id) LEFT JOIN newest w USING (grid_id) "
    "LEFT JOIN target_rounds r ON r.round = w.round ORDER BY s.first_seen_utc_us, n.grid_id"
)
SQUARES = (
    f"WITH shot AS ({_SHOTS}), hole AS ({_HOLES} AND t.grid_id = {_GRID}), of_square AS (SELECT square_id, {_COUNTS}, "
    "median(ctf_fit_angstrom) AS ctf_fit_angstrom, avg(particles_per_movie) AS particles_per_movie "
    "FROM hole GROUP BY square_id) "
    "SELECT t.target_id, t.name, t.program, t.parent_id, t.state, t.gone, w.word, w.word_by, t.acquisition_order, "
    "t.stage_x_um, t.stage_y_um, t.x_in_parent_px, t.y_in_parent_px, t.diameter_um, t.features_json, t.image_path, "
    "t.image_width_px, t.image_height_px, "
    "coalesce(h.holes, 0) AS holes, coalesce(h.holes_at_bars, 0) AS holes_at_bars, "
    "coalesce(h.chosen, 0) AS chosen, coalesce(h.exposed, 0) AS exposed, "
    "coalesce(h.processed, 0) AS processed, coalesce(h.avoided, 0) AS avoided, coalesce(h.movies, 0) AS movies, "
    "coalesce(h.kept, 0) AS kept, h.ctf_fit_angstrom, h.particles_per_movie, "
    "x.ice_nm, x.ice_spread_nm, m.gradient_ln, m.dark_share, m.torn_share, "
    "o.place, o.holes_left, o.usable_so_far, o.usable, o.usable_low, o.usable_high, o.worth_taking, o.words "
    "FROM grid_targets t LEFT JOIN of_square h ON h.square_id = t.target_id "
    f"LEFT JOIN square_images m ON m.square_id = t.target_id LEFT JOIN {_ICE_OF_SQUARE} x ON x.square_id = t.target_id "
    f"LEFT JOIN square_outlooks o ON o.square_id = t.target_id AND o.round = {_ROUND} "
    f"LEFT JOIN {_WORDS} w ON w.target_id = t.target_id WHERE t.level = 'square' AND t.grid_id = {_GRID} "
    "ORDER BY o.place NULLS LAST, t.acquisition_order NULLS LAST, t.target_id LIMIT $limit OFFSET $offset"
)
SQUARE_TARGETS = (
    f"WITH shot AS ({_SHOTS.replace('GROUP BY', f'AND l.hole_id IN {_OF_SQUARE} GROUP BY')}), "
    f"hole AS ({_HOLES} AND t.square_id = $square_id), expected AS (FROM expected_holes WHERE square_id = $square_id) "
    "SELECT t.target_id, t.name, t.program, t.parent_id, t.state, t.gone, t.left_at_bar AS at_bar, t.word, t.word_by, "
    "t.acquisition_order, "
    "t.stage_group, t.x_in_parent_px, t.y_in_parent_px, t.stage_x_um, t.stage_y_um, t.diameter_um, t.features_json, "
    "t.image_path, t.image_width_px, t.image_height_px, t.movies, t.processed, t.kept, t.ctf_fit_angstrom, "
    "t.particles_per_movie, t.exposed_utc_us, "
    "t.linked_by, i.ice_nm, i.ice_sd_nm, h.dark_share, h.ring_share, h.off_centre_px, "
    "p.rank, coalesce(p.usable, e.usable) AS usable, coalesce(p.usable_low, e.usable_low) AS usable_low, "
    "coalesce(p.usable_high, e.usable_high) AS usable_high, coalesce(p.signal, e.signal) AS signal, p.signal_low, "
    "p.signal_high, p.reason "
    f"FROM hole t LEFT JOIN target_predictions p ON p.target_id = t.target_id AND p.round = {_ROUND_OF_SQUARE} "
    "LEFT JOIN hole_images h ON h.hole_id = t.target_id LEFT JOIN hole_ice i ON i.hole_id = t.target_id "
    "LEFT JOIN expected e ON e.target_id = t.target_id "
    "ORDER BY t.acquisition_order NULLS LAST, t.target_id LIMIT $limit OFFSET $offset"
)
NEXT_TARGETS = (
    "SELECT p.rank, p.target_id, t.name, t.level, t.grid_id, t.parent_id, p.square_id, s.name AS square, p.patch_id, "
    "p.usable, p.usable_low, p.usable_high, p.signal, p.signal_low, p.signal_high, p.minutes, p.picked, p.reason, "
    "t.program, t.said_by, "
    "t.stage_x_um, t.stage_y_um, t.x_in_parent_px, t.y_in_parent_px, t.stage_group, t.acquisition_order "
    "FROM target_predictions p LEFT JOIN grid_targets t USING (target_id) "
    "LEFT JOIN grid_targets s ON s.target_id = p.square_id "
    f"WHERE p.round = {_ROUND} ORDER BY p.rank LIMIT $limit"
)
NEXT_SQUARES = (
    "SELECT o.place, o.square_id, t.name, o.holes, o.exposed, o.holes_left, o.usable_so_far, o.usable, o.usable_low, "
    "o.usable_high, o.worth_taking, o.words, t.stage_x_um, t.stage_y_um FROM square_outlooks o "
    f"LEFT JOIN grid_targets t ON t.target_id = o.square_id WHERE o.round = {_ROUND} ORDER BY o.place LIMIT $limit"
)
NEXT_ROUNDS = (
    "SELECT r.*, n.name AS grid, s.name AS square FROM target_rounds r LEFT JOIN grid_names n USING (grid_id) "
    f"LEFT JOIN grid_targets s ON s.target_id = r.square_id WHERE r.grid_id = {_GRID} "
    "ORDER BY r.round DESC LIMIT $limit"
)
ICE_CALIBRATION = (
    "SELECT c.kind, c.holes, (SELECT count(*) FROM square_images s WHERE s.kind = c.kind) AS images, c.exposures, "
    "c.vacuums, c.length_nm, c.length_sd_nm, c.correlation, c.zero_sd_nm, c.refused, c.made_utc_us "
    "FROM ice_calibrations c ORDER BY c.holes DESC, c.kind"
)
TARGET_WORDS = (
    "SELECT w.target_id, t.name, t.level, t.grid_id, w.word, w.hours, w.who, w.created_utc_us FROM target_words w "
    "LEFT JOIN grid_targets t USING (target_id) WHERE w.word <> 'forgotten' ORDER BY w.created_utc_us DESC, w.target_id"
)
TARGET = (
    "SELECT t.*, w.word, w.word_by FROM grid_targets t "
    f"LEFT JOIN {_WORDS} w ON w.target_id = t.target_id WHERE t.target_id = $target_id"
)
TARGETS_CALLED = (
    "SELECT target_id, level, name, square_id, grid_id, state FROM grid_targets "
    "WHERE (target_id = $name OR name = $name) AND level IN ('square', 'patch', 'hole') "
    f"ORDER BY grid_id <> {_IN_MICROSCOPE}, level, target_id LIMIT $limit"
)
MOVIES_OF_TARGET = (
    "SELECT m.movie_id, m.relative_path, m.sequence, m.state, c.fit_resolution_angstrom, q.particle_count, "
    "l.target_id, l.linked_by FROM movie_targets l JOIN movies m USING (movie_id) LEFT JOIN ctf c USING (movie_id) "
    f"LEFT JOIN quality q USING (movie_id) WHERE {current('m')} AND "
    "$target_id IN (l.target_id, l.hole_id) ORDER BY m.sequence"
)
ATHENA_DECISIONS = (
    "SELECT d.area_type, d.area_id, t.target_id, d.decision_type, d.decision_value, d.details, d.round, "
    "d.posted_utc_us, d.service_session_id FROM athena_decisions d LEFT JOIN grid_targets t ON t.program = 'epu' "
    "AND t.name = d.area_id::TEXT AND t.level = CASE d.area_type WHEN 'gridsquare' THEN 'square' ELSE 'hole' END "
    "ORDER BY d.posted_utc_us DESC, d.area_type, d.area_id, d.decision_type LIMIT $limit"
)
BEAM_SHIFT = "SELECT * FROM beam_shift_calibrations ORDER BY exposures DESC LIMIT $limit"
_ALL = {"limit": rows_param(100_000), "offset": rows_param(0)}
_GRID_PARAM = {"grid": Param(str, "")}
_ID = {"target_id": Param(str, required=True)}

QUERIES: Mapping[str, NamedQuery] = {
    "grid": NamedQuery("The grid in numbers: squares, holes, exposed, processed (one row).", GRID, _GRID_PARAM),
    "grids": NamedQuery(
        "Every grid: which is in the microscope, what is known of it and came of it, how it compares with that one.",
        GRIDS,
        {},
    ),
    "grid_squares": NamedQuery(
        "Every square: place, holes by state, what came of it, its outlook.", SQUARES, {**_ALL, **_GRID_PARAM}
    ),
    "square_targets": NamedQuery(
        "The holes of one square: place, state, what came of them, what is expected.",
        SQUARE_TARGETS,
        {"square_id": Param(str, required=True), **_ALL},
    ),
    "target": NamedQuery("All that is known of one place on the grid.", TARGET, _ID),
    "targets_called": NamedQuery(
        "Squares and holes with this name or id.",
        TARGETS_CALLED,
        {"name": Param(str, required=True), "limit": rows_param(20)},
    ),
    "target_movies": NamedQuery("The movies of one hole, or of one exposure in it.", MOVIES_OF_TARGET, _ID),
    "next_targets": NamedQuery(
        "Where to shoot next: the newest list, each with its reason.",
        NEXT_TARGETS,
        {"limit": rows_param(20), **_GRID_PARAM},
    ),
    "next_squares": NamedQuery(
        "What is left in each square, the most promising first.",
        NEXT_SQUARES,
        {"limit": rows_param(1000), **_GRID_PARAM},
    ),
    "next_rounds": NamedQuery(
        "What was said about where to shoot next, the newest first.",
        NEXT_ROUNDS,
        {"limit": rows_param(1), **_GRID_PARAM},
    ),
    "beam_shift": NamedQuery(
        "How far EPU's beam shift goes: every calibration with its error, the newest first.",
        BEAM_SHIFT,
        {"limit": rows_param(1)},
    ),
    "athena_decisions": NamedQuery(
        "What EPU's decision service was told of squares and holes, the newest first.",
        ATHENA_DECISIONS,
        {"limit": rows_param(1000)},
    ),
    "ice_calibration": NamedQuery(
        "How thick ice is by the brightness of holes: what it was calibrated on, or why nothing is said.",
        ICE_CALIBRATION,
        {},
    ),
    "target_words": NamedQuery("What people picked and avoided on the grid, the newest first.", TARGET_WORDS, {}),
}
