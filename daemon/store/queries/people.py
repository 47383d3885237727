"""The questions that people ask the morning after; by square, hole, hour and day, one row a group.

Hours are UTC and those in which a movie became ready. `kept_percent` is of the finished movies; `good` of those that
came to an end is what the verdict counts (`models/session_verdict`), and `usual_fault` the commonest reason of the
others.
"""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import ENDED, current, finished, in_state, kept
from frazil.daemon.store.queries.faults import FAULT, FAULT_LIMITS
from frazil.daemon.store.queries.named_query import NamedQuery, Param, rows_param, utc_us_param

_FINISHED = finished("m")
_ALL = (
    "FROM movies m LEFT JOIN ctf c USING (movie_id) LEFT JOIN quality q USING (movie_id) "
    "LEFT JOIN named_causes k USING (movie_id)"
)
_VERDICT = (
    f"count(*) AS finished, count(*) FILTER ({kept('m')}) AS kept, "
    f"round(100.0 * count(*) FILTER ({kept('m')}) / count(*), 1) AS kept_percent"
)
_QUALITY = (
    "median(c.fit_resolution_angstrom) AS ctf_fit_angstrom, median(q.motion_total_angstrom) AS motion_total_angstrom, "
    "median(k.ice_nm) AS ice_nm, median(q.relative_ice_thickness) AS relative_ice_thickness"
)
_GOOD = f"count(*) FILTER ({FAULT} IS NULL) AS good, mode({FAULT}) AS usual_fault"
_HOUR = "time_bucket(INTERVAL 1 HOUR, make_timestamp(m.ready_utc_us)) AS hour_utc"
ACCEPTANCE_BY_SQUARE = (
    f"SELECT m.grid_square, {_VERDICT}, {_GOOD}, mode(m.rejection_reason) AS usual_reason, {_QUALITY} {_ALL} "
    f"WHERE {_FINISHED} AND m.grid_square IS NOT NULL GROUP BY m.grid_square "
    "ORDER BY kept_percent, good / count(*), m.grid_square"
)
ACCEPTANCE_BY_POSITION = (
    "SELECT m.optics_group, avg(m.image_shift_x_um) AS image_shift_x_um, avg(m.image_shift_y_um) AS image_shift_y_um, "
    f"{_VERDICT}, {_QUALITY} {_ALL} WHERE {_FINISHED} AND m.optics_group IS NOT NULL "
    "GROUP BY m.optics_group ORDER BY m.optics_group"
)
ACCEPTANCE_BY_HOUR = (
    f"SELECT {_HOUR}, {_VERDICT}, {_QUALITY} {_ALL} WHERE {_FINISHED} GROUP BY hour_utc ORDER BY hour_utc"
)
LAG_BY_HOUR = (
    f"SELECT {_HOUR}, count(lag_s) AS movies, median(lag_s) AS lag_median_s, quantile_cont(lag_s, 0.95) AS lag_p95_s, "
    f"max(lag_s) AS lag_max_s FROM movies m WHERE {_FINISHED} GROUP BY hour_utc ORDER BY hour_utc"
)
PARTICLES_BY_HOUR = (
    f"SELECT {_HOUR}, count(*) AS kept, sum(q.particle_count) AS particles, "
    "round(avg(q.particle_count), 1) AS particles_per_movie FROM movies m JOIN quality q USING (movie_id) "
    f"WHERE {kept('m')} GROUP BY hour_utc ORDER BY hour_utc"
)
BEST_SQUARES = (
    f"SELECT m.grid_square, {_VERDICT}, {_GOOD}, {_QUALITY}, "
    f"sum(q.particle_count) FILTER ({kept('m')}) AS particles {_ALL} "
    f"WHERE {_FINISHED} AND m.grid_square IS NOT NULL GROUP BY m.grid_square HAVING count(*) >= $least_movies "
    f"ORDER BY median(c.fit_resolution_angstrom) * count(*) / count(*) FILTER ({kept('m')}) NULLS LAST, "
    "m.grid_square LIMIT $limit"
)
WORST_SQUARES = (
    f"SELECT m.grid_square, count(*) AS movies, {_GOOD}, "
    f"count(*) FILTER ({FAULT} IS NOT NULL) AS not_good, {_QUALITY}, max(k.ice_nm) AS thickest_nm, "
    f"max(c.fit_resolution_angstrom) AS worst_ctf_fit_angstrom {_ALL} "
    f"WHERE {in_state(ENDED, 'm')} AND m.grid_square IS NOT NULL GROUP BY m.grid_square "
    f"HAVING count(*) >= $least_movies ORDER BY count(*) FILTER ({FAULT} IS NULL) / count(*), "
    "median(c.fit_resolution_angstrom) DESC NULLS FIRST, m.grid_square LIMIT $limit"
)
ICE_BY_SQUARE = (
    "SELECT m.grid_square, count(*) AS movies, median(k.ice_nm) AS ice_nm, max(k.ice_nm) AS thickest_nm, "
    "median(q.relative_ice_thickness) AS relative_ice_thickness, "
    "stddev_samp(q.relative_ice_thickness) AS spread_relative_ice_thickness, "
    "median(c.ice_ring_density) AS ice_ring_density, count(*) FILTER (k.named_cause = 'ice') AS movies_with_ice_named, "
    f"avg(m.stage_x_um) AS stage_x_um, avg(m.stage_y_um) AS stage_y_um {_ALL} "
    f"WHERE {_FINISHED} AND m.grid_square IS NOT NULL GROUP BY m.grid_square "
    "ORDER BY thickest_nm DESC NULLS LAST, relative_ice_thickness DESC NULLS LAST, m.grid_square"
)
# The stage is said to have moved where two exposures, one after the other, are more than half a micrometre apart: image
# shifts leave its reading as it is, and readings repeat to a few hundred nanometres.
DRIFT_AFTER_STAGE_MOVES = (
    "WITH ordered AS (SELECT m.movie_id, m.state, row_number() OVER w AS place, "
    "sqrt(pow(m.stage_x_um - lag(m.stage_x_um) OVER w, 2) + pow(m.stage_y_um - lag(m.stage_y_um) OVER w, 2)) "
    "AS step_um, "
    "(m.acquired_utc_us - lag(m.acquired_utc_us) OVER w) / 1e6 AS gap_s FROM movies m "
    f"WHERE {current('m')} AND m.stage_x_um IS NOT NULL AND m.stage_y_um IS NOT NULL "
    "WINDOW w AS (ORDER BY m.acquired_utc_us, m.sequence)), "
    "marked AS (SELECT *, max(CASE WHEN step_um > $least_move_um THEN place END) OVER (ORDER BY place) AS moved_at "
    "FROM ordered) "
    "SELECT least(place - moved_at + 1, 10) AS movie_after_move, count(*) AS movies, "
    "median(q.motion_early_angstrom) AS motion_early_angstrom, median(q.motion_total_angstrom) "
    "AS motion_total_angstrom, quantile_cont(q.motion_total_angstrom, 0.9) AS motion_total_p90_angstrom, "
    "median(step_um) AS step_um, median(gap_s) AS gap_s FROM marked JOIN quality q USING (movie_id) "
    f"WHERE moved_at IS NOT NULL AND {finished()} GROUP BY movie_after_move ORDER BY movie_after_move"
)
ALERTS_BY_DAY = (
    "SELECT CAST(make_timestamp(coalesce(opened_utc_us, created_utc_us)) AS DATE) AS day_utc, severity, subject, "
    "count(*) AS alerts, count(*) FILTER (acknowledged_utc_us IS NULL AND cleared_utc_us IS NULL) AS still_open, "
    "arg_max(text, created_utc_us) AS newest FROM alerts GROUP BY ALL ORDER BY day_utc, alerts DESC, severity, subject"
)
_WHERE_THE_STAGE_WAS = (
    "avg(m.stage_x_um) AS stage_x_um, avg(m.stage_y_um) AS stage_y_um, "
    f"{_VERDICT}, {_QUALITY}, avg(q.particle_count) AS particles_per_movie"
)
_STAGE_KNOWN = f"{_FINISHED} AND m.stage_x_um IS NOT NULL AND m.stage_y_um IS NOT NULL"
HOLES = (
    f"SELECT m.grid_square, m.hole, {_WHERE_THE_STAGE_WAS} {_ALL} WHERE {_STAGE_KNOWN} "
    "GROUP BY m.grid_square, m.hole ORDER BY m.grid_square, m.hole"
)
# With beam shift, one name of a hole and one position of the stage may stand for many holes.
PLACES = (
    f"SELECT m.grid_square, m.hole, m.optics_group, {_WHERE_THE_STAGE_WAS}, "
    f"avg(m.image_shift_x_um) AS image_shift_x_um, avg(m.image_shift_y_um) AS image_shift_y_um {_ALL} "
    f"WHERE {_STAGE_KNOWN} GROUP BY m.grid_square, m.hole, m.optics_group "
    "ORDER BY m.grid_square, m.hole, m.optics_group"
)
# A movie that must be told from others by what a person sees of it: the CTF fit, or where its signal ends.
RANKED_MOVIES = (
    "SELECT m.movie_id, m.relative_path, m.state, m.rejection_reason, m.grid_square, c.fit_resolution_angstrom "
    "AS ctf_fit_angstrom, q.motion_total_angstrom, k.ice_nm, q.relative_ice_thickness, q.particle_count, "
    f"k.named_cause, q.thumbnail_path {_ALL} WHERE {_FINISHED} "
    "AND c.fit_resolution_angstrom IS NOT NULL ORDER BY "
)
BEST_MOVIES = f"{RANKED_MOVIES} c.fit_resolution_angstrom, m.movie_id LIMIT $limit"
WORST_MOVIES = f"{RANKED_MOVIES} c.fit_resolution_angstrom DESC, m.movie_id LIMIT $limit"
TYPICAL_MOVIES = (
    f"{RANKED_MOVIES} abs(c.fit_resolution_angstrom - (SELECT median(fit_resolution_angstrom) FROM ctf "
    f"JOIN movies USING (movie_id) WHERE {kept()})), m.movie_id LIMIT $limit"
)
SOFTWARE = (
    "SELECT code_version, parameter_hash, count(DISTINCT movie_id) AS movies, min(finished_utc_us) AS first_utc_us, "
    "max(finished_utc_us) AS last_utc_us FROM stages GROUP BY ALL ORDER BY last_utc_us"
)
# Movies nearest to a moment, on both sides of it: what a change that somebody made at that time did.
BEFORE_AND_AFTER = (
    f"WITH near AS (SELECT *, found_utc_us >= $utc_us AS after FROM movies WHERE {finished()}), "
    "chosen AS (SELECT * FROM near QUALIFY row_number() OVER "
    "(PARTITION BY after ORDER BY abs(found_utc_us - $utc_us), movie_id) <= $last) "
    "SELECT after, count(*) AS movies, avg(c.fit_resolution_angstrom) AS ctf_fit_angstrom, "
    "stddev_samp(c.fit_resolution_angstrom) / sqrt(count(c.fit_resolution_angstrom)) AS ctf_fit_se_angstrom, "
    "avg(q.motion_early_angstrom) AS motion_early_angstrom, "
    "stddev_samp(q.motion_early_angstrom) / sqrt(count(q.motion_early_angstrom)) AS motion_early_se_angstrom "
    "FROM chosen m LEFT JOIN ctf c USING (movie_id) LEFT JOIN quality q USING (movie_id) GROUP BY after ORDER BY after"
)

QUERIES: Mapping[str, NamedQuery] = {
    "acceptance_by_square": NamedQuery(
        "Kept, rejected and good movies by grid square, fewest kept first, and why.",
        ACCEPTANCE_BY_SQUARE,
        FAULT_LIMITS,
    ),
    "acceptance_by_position": NamedQuery(
        "Kept and rejected by position in the hole template (optics group).", ACCEPTANCE_BY_POSITION, {}
    ),
    "acceptance_by_hour": NamedQuery("Kept and rejected by hour.", ACCEPTANCE_BY_HOUR, {}),
    "lag_by_hour": NamedQuery("From found to ready, by hour.", LAG_BY_HOUR, {}),
    "particles_by_hour": NamedQuery("Particles of kept movies, by hour.", PARTICLES_BY_HOUR, {}),
    "best_squares": NamedQuery(
        "Squares to go on with: the CTF fit over the share that is kept, best first.",
        BEST_SQUARES,
        {"limit": rows_param(10), "least_movies": Param(int, 5), **FAULT_LIMITS},
    ),
    "worst_squares": NamedQuery(
        "Squares to leave: fewest good movies first, and what the others mostly suffer from.",
        WORST_SQUARES,
        {"limit": rows_param(10), "least_movies": Param(int, 5), **FAULT_LIMITS},
    ),
    "ice_by_square": NamedQuery("Ice by grid square, thickest first.", ICE_BY_SQUARE, {}),
    "drift_after_stage_moves": NamedQuery(
        "Motion by how many movies after a stage move (10: tenth and later): is the wait long enough?",
        DRIFT_AFTER_STAGE_MOVES,
        {"least_move_um": Param(float, 0.5)},
    ),
    "alerts_by_day": NamedQuery("Alerts by day, severity and subject.", ALERTS_BY_DAY, {}),
    "holes": NamedQuery("Quality and acceptance by hole, with its stage position.", HOLES, {}),
    "places": NamedQuery(
        "Quality and acceptance by hole and position in its template, with stage position and image shift.",
        PLACES,
        {},
    ),
    "best_movies": NamedQuery("Movies with the best CTF fit.", BEST_MOVIES, {"limit": rows_param(10)}),
    "typical_movies": NamedQuery("Movies nearest to the median CTF fit.", TYPICAL_MOVIES, {"limit": rows_param(10)}),
    "worst_movies": NamedQuery("Movies with the worst CTF fit.", WORST_MOVIES, {"limit": rows_param(10)}),
    "software": NamedQuery("Versions of frazil and settings that the movies were processed with.", SOFTWARE, {}),
    "before_and_after": NamedQuery(
        "The movies found nearest to a moment, before and after it: what a change at that time did.",
        BEFORE_AND_AFTER,
        {"utc_us": utc_us_param(), "last": rows_param(50)},
    ),
}
