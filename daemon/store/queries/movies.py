"""Questions about movies: the table, one movie's numbers, trends, what failed, squares and optics groups."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import GIVEN_UP, current, finished, in_state, kept, not_in_state, rejected
from frazil.daemon.store.queries.movie_columns import ALL_BESIDE, JOINED, MOVIE_COLUMNS, OF_TOTAL, TREND_METRICS
from frazil.daemon.store.queries.named_query import (
    LAST_PARAM,
    MOST_ROWS,
    MOVIE_PARAM,
    PAGE_PARAMS,
    RESOLUTION_PARAM,
    NamedQuery,
    Param,
    rows_param,
)
from frazil.models.records import MovieState

_MOVIE_LIST = ", ".join(f"{expression} AS {name}" for name, expression in MOVIE_COLUMNS.items())
_FILTER = (
    "WHERE ($state IS NULL OR m.state = $state) AND ($search IS NULL OR $search = '' OR contains(lower(concat_ws(' ', "
    "m.relative_path, m.grid_square, m.flags, m.rejection_reason, m.failure_reason)), lower($search)))"
)
_IN_ORDER = "ORDER BY {sort} {order} NULLS LAST, m.movie_id"
# Which movies stand on the page is found first: sorting fifty thousand with all their columns takes twice as long.
MOVIES_PAGE = (
    f"WITH page AS MATERIALIZED (SELECT m.movie_id FROM movies m {{sort_joins}} {_FILTER} {_IN_ORDER} "
    f"LIMIT $limit OFFSET $offset) SELECT {_MOVIE_LIST} FROM page JOIN movies m USING (movie_id) {ALL_BESIDE} "
    f"{_IN_ORDER}"
)
MOVIES_COUNT = f"SELECT count(*) FROM movies m {_FILTER}"
MOVIE = (
    "SELECT m.*, c.* EXCLUDE (movie_id), q.* EXCLUDE (movie_id), "
    "(c.defocus_u_angstrom + c.defocus_v_angstrom) / 2e4 AS defocus_um, f.converged AS motion_converged, "
    "l.accepted AS local_motion_accepted, l.patch_grid_x, l.patch_grid_y, "
    "k.named_cause, k.named_excess_ln_ssnr, k.prior_version AS loss_prior_version, "
    "k.ice_nm, k.ice_sd_nm, "
    "k.notes AS cause_notes "
    f"{JOINED} LEFT JOIN frame_shift_arrays f USING (movie_id) LEFT JOIN local_motion_arrays l USING (movie_id) "
    "WHERE m.movie_id = $movie_id"
)
MOVIE_BY_PATH = (
    "SELECT movie_id, relative_path, generation, state FROM movies WHERE suffix(relative_path, $path) "
    "ORDER BY relative_path, generation DESC LIMIT 100"
)
TREND = (
    "WITH newest AS MATERIALIZED (SELECT movie_id FROM movies WHERE ready_utc_us IS NOT NULL "
    f"AND {finished()} ORDER BY ready_utc_us DESC, movie_id DESC LIMIT $last) "
    "SELECT m.movie_id, m.relative_path, m.state, m.ready_utc_us, {metrics} "
    "FROM newest JOIN movies m USING (movie_id) {metrics_joins} ORDER BY m.ready_utc_us, m.movie_id"
)
TREND_BAND = (
    "SELECT CAST((min(utc_us) + max(utc_us)) // 2 AS BIGINT) AS utc_us, count(value) AS movies, "
    "quantile_cont(value, 0.1) AS p10, median(value) AS median, quantile_cont(value, 0.9) AS p90 FROM ("
    "SELECT m.ready_utc_us AS utc_us, {metric} AS value, ntile($bins) OVER (ORDER BY m.ready_utc_us, m.movie_id) "
    f"AS bin {JOINED} WHERE m.ready_utc_us IS NOT NULL AND {finished('m')}) GROUP BY bin ORDER BY bin"
)
DISTRIBUTION = (
    "SELECT count({metric}) AS movies, min({metric}) AS minimum, quantile_cont({metric}, 0.25) AS quartile_1, "
    "median({metric}) AS median, quantile_cont({metric}, 0.75) AS quartile_3, max({metric}) AS maximum, "
    f"avg({{metric}}) AS mean {JOINED} WHERE {kept('m')}"
)
FRAME_SHIFTS = (
    "SELECT frame, shift_x_angstrom, shift_y_angstrom, sd_angstrom FROM frame_shifts WHERE movie_id = $movie_id "
    "ORDER BY frame"
)
LOCAL_MOTION = (
    "SELECT axis, coefficient, value_angstrom FROM local_motion WHERE movie_id = $movie_id ORDER BY axis, coefficient"
)
SPECTRUM = "SELECT * EXCLUDE (movie_id) FROM spectra WHERE movie_id = $movie_id ORDER BY frequency_per_angstrom"
FAILURES = (
    "SELECT movie_id, relative_path, state, attempts, failure_stage, "
    "coalesce(rejection_reason, failure_reason) AS reason, found_utc_us FROM movies "
    f"WHERE {in_state(GIVEN_UP)} OR ($include_rejected AND {rejected()}) "
    "ORDER BY found_utc_us DESC, movie_id LIMIT $limit OFFSET $offset"
)
# Numbers differ from movie to movie: `astigmatism 812 A is above 500 A` is one reason, not fifty.
REASONS = (
    "SELECT state, any_value(failure_stage) AS failure_stage, "
    "regexp_replace(coalesce(rejection_reason, failure_reason, 'no reason kept'), '[0-9]+([.][0-9]+)?', '#', 'g') "
    "AS pattern, min(coalesce(rejection_reason, failure_reason)) AS example, count(*) AS movies FROM movies "
    f"WHERE {in_state([MovieState.REJECTED, *GIVEN_UP])} GROUP BY state, pattern "
    "ORDER BY movies DESC, pattern LIMIT 50"
)
FRAME_COUNT_MODE = (
    "SELECT frame_count, count(*) AS movies FROM movies WHERE frame_count IS NOT NULL AND "
    f"{not_in_state([MovieState.QUARANTINED, MovieState.OUTDATED])} "
    "GROUP BY frame_count ORDER BY movies DESC, frame_count DESC LIMIT 1"
)
SQUARES = (
    f"SELECT m.grid_square, count(*) AS movies, count(*) FILTER ({kept('m')}) AS kept, "
    "median(c.fit_resolution_angstrom) AS ctf_fit_angstrom, "
    "median((c.defocus_u_angstrom + c.defocus_v_angstrom) / 2e4) AS defocus_um, "
    "median(q.motion_total_angstrom) AS motion_total_angstrom, median(c.ice_ring_density) AS ice_ring_density, "
    "median(q.relative_ice_thickness) AS relative_ice_thickness, avg(m.stage_x_um) AS stage_x_um, "
    f"avg(m.stage_y_um) AS stage_y_um {JOINED} WHERE m.grid_square IS NOT NULL AND {current('m')} "
    "GROUP BY m.grid_square ORDER BY m.grid_square"
)
# What thresholds judge, and what a movie's particles are worth: its losses (but those that processing undoes) summed at
# the resolution asked for.
THRESHOLD_FACTS = (
    "SELECT m.movie_id, m.relative_path, m.state, m.rejection_reason, m.movie_id IN "
    "(SELECT movie_id FROM feedback WHERE verdict IN ('accept', 'reject') AND movie_id IS NOT NULL) AS by_hand, "
    "c.reliable, c.flag, c.fit_resolution_angstrom AS ctf_fit_angstrom, c.score AS ctf_score, "
    "(c.defocus_u_angstrom + c.defocus_v_angstrom) / 2 / 1e4 AS defocus_um, c.astigmatism_angstrom, c.phase_shift_deg, "
    "c.tilt_angle_deg, q.motion_total_angstrom, q.motion_early_angstrom, q.motion_late_angstrom, "
    "q.local_motion_rms_angstrom, c.ice_ring_density, q.relative_ice_thickness, q.mean_counts_per_px, q.fixed_pattern, "
    "q.half_frc_0143_angstrom, q.particle_count, l.loss_ln_ssnr "
    "FROM movies m JOIN ctf c USING (movie_id) JOIN quality q USING (movie_id) LEFT JOIN ("
    "SELECT movie_id, sum(loss_ln_ssnr[greatest(1, len(list_filter(frequency_per_angstrom, "
    "lambda f: f <= 1 / $resolution_angstrom)))]) AS loss_ln_ssnr FROM causal_loss_arrays "
    f"WHERE {OF_TOTAL} GROUP BY movie_id) l USING (movie_id) "
    f"WHERE {finished('m')} AND m.movie_id > $after ORDER BY m.movie_id LIMIT $limit"
)
# Astigmatism is a direction without a sign: it is averaged as a vector at twice its angle. Beam tilt, which is what
# makes coma, is weighted by its own variance. The tilts rest on one map: differences of groups are known better.
OPTICS_GROUPS = (
    f"WITH per_movie AS (SELECT m.optics_group, {kept('m')} AS kept, {kept('m')} AND c.reliable AS fitted, "
    "m.image_shift_x_um, m.image_shift_y_um, "
    "c.astigmatism_angstrom * cos(2 * radians(c.astigmatism_angle_deg)) AS a_cos, "
    "c.astigmatism_angstrom * sin(2 * radians(c.astigmatism_angle_deg)) AS a_sin, "
    "e.beam_tilt_x_mrad AS tilt_x, 1 / nullif(e.beam_tilt_xx_mrad2, 0) AS weight_x, "
    "e.beam_tilt_y_mrad AS tilt_y, 1 / nullif(e.beam_tilt_yy_mrad2, 0) AS weight_y "
    "FROM movies m LEFT JOIN ctf c USING (movie_id) LEFT JOIN particle_evidence_arrays e USING (movie_id) "
    f"WHERE {current('m')}), summed AS (SELECT optics_group, count(*) AS movies, count(*) FILTER (kept) AS kept, "
    "avg(image_shift_x_um) AS image_shift_x_um, avg(image_shift_y_um) AS image_shift_y_um, "
    "count(*) FILTER (fitted) AS fitted, "
    "avg(a_cos) FILTER (fitted) AS a_cos, avg(a_sin) FILTER (fitted) AS a_sin, "
    "sqrt((var_samp(a_cos) FILTER (fitted) + var_samp(a_sin) FILTER (fitted)) / 2 / count(*) FILTER (fitted)) "
    "AS astigmatism_sd_angstrom, "
    "sum(tilt_x * weight_x) FILTER (kept) / sum(weight_x) FILTER (kept) AS beam_tilt_x_mrad, "
    "sqrt(1 / sum(weight_x) FILTER (kept)) AS beam_tilt_x_sd_mrad, "
    "sum(tilt_y * weight_y) FILTER (kept) / sum(weight_y) FILTER (kept) AS beam_tilt_y_mrad, "
    "sqrt(1 / sum(weight_y) FILTER (kept)) AS beam_tilt_y_sd_mrad FROM per_movie GROUP BY optics_group) "
    "SELECT optics_group, movies, kept, image_shift_x_um, image_shift_y_um, fitted, "
    "sqrt(a_cos * a_cos + a_sin * a_sin) AS astigmatism_angstrom, astigmatism_sd_angstrom, "
    "degrees(atan2(a_sin, a_cos)) / 2 AS astigmatism_angle_deg, beam_tilt_x_mrad, beam_tilt_x_sd_mrad, "
    "beam_tilt_y_mrad, beam_tilt_y_sd_mrad FROM summed ORDER BY optics_group NULLS LAST"
)

QUERIES: Mapping[str, NamedQuery] = {
    "movies": NamedQuery(
        "A page of the movie table: sorted by one of the columns, filtered by state and by text in path, square, "
        "flags or reason.",
        MOVIES_PAGE,
        {
            "sort": Param(str, "found_utc_us", choices=tuple(MOVIE_COLUMNS)),
            "order": Param(str, "desc", choices=("asc", "desc")),
            "state": Param(str),
            "search": Param(str),
            **PAGE_PARAMS,
        },
        count_text=MOVIES_COUNT,
    ),
    "movie": NamedQuery("Everything of one movie that is a single value (one row).", MOVIE, MOVIE_PARAM),
    "movie_by_path": NamedQuery(
        "Movies whose path ends with the text, newest generation first.",
        MOVIE_BY_PATH,
        {"path": Param(str, required=True)},
    ),
    "trend": NamedQuery(
        "Metrics of the last movies, oldest first.",
        TREND,
        {
            "metrics": Param(str, "ctf_fit_angstrom,motion_total_angstrom", choices=tuple(TREND_METRICS), several=True),
            **LAST_PARAM,
        },
    ),
    "trend_band": NamedQuery(
        "One metric over the whole session: median and the middle 80 % of groups of movies in the order of time.",
        TREND_BAND,
        {
            "metric": Param(str, required=True, choices=tuple(TREND_METRICS)),
            "bins": Param(int, 300, least=1, most=MOST_ROWS),
        },
    ),
    "distribution": NamedQuery(
        "Median, quartiles and extremes of one metric over all kept movies.",
        DISTRIBUTION,
        {"metric": Param(str, required=True, choices=tuple(TREND_METRICS))},
    ),
    "frame_shifts": NamedQuery("Whole-frame motion of one movie.", FRAME_SHIFTS, MOVIE_PARAM),
    "local_motion": NamedQuery("Local motion coefficients of one movie.", LOCAL_MOTION, MOVIE_PARAM),
    "spectrum": NamedQuery("Radial spectra of one movie.", SPECTRUM, MOVIE_PARAM),
    "failures": NamedQuery(
        "Movies that failed, were set aside or were rejected, newest first, with the reason.",
        FAILURES,
        {"include_rejected": Param(bool, True), **PAGE_PARAMS},
    ),
    "reasons": NamedQuery("How often each reason for rejection or failure occurs.", REASONS, {}),
    "frame_count_mode": NamedQuery("The session's most common frame count.", FRAME_COUNT_MODE, {}),
    "squares": NamedQuery("Medians and counts by grid square.", SQUARES, {}),
    "threshold_facts": NamedQuery(
        "What thresholds judge of each processed movie, a page after a movie id, with its loss at a resolution.",
        THRESHOLD_FACTS,
        {**RESOLUTION_PARAM, "after": Param(str, ""), "limit": rows_param(20_000)},
    ),
    "optics_groups": NamedQuery(
        "Optics groups by beam shift: movies, astigmatism (of the CTF fits) and coma (beam tilt from the particles).",
        OPTICS_GROUPS,
        {},
    ),
}
