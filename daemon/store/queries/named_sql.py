"""The texts of the named queries. Kept movies are those in state `ready`; `outdated` ones count nowhere else.

`$x` is a bound parameter; `{x}` is replaced only by entries of the two dictionaries here or by asc/desc.
"""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import GIVEN_UP, current, finished, in_state, kept, not_in_state, rejected
from frazil.models.records import MovieState

TREND_METRICS: Mapping[str, str] = {
    "ctf_fit_angstrom": "c.fit_resolution_angstrom",
    "ctf_score": "c.score",
    "defocus_um": "(c.defocus_u_angstrom + c.defocus_v_angstrom) / 2e4",
    "astigmatism_angstrom": "c.astigmatism_angstrom",
    "phase_shift_deg": "c.phase_shift_deg",
    "motion_total_angstrom": "q.motion_total_angstrom",
    "motion_early_angstrom": "q.motion_early_angstrom",
    "motion_late_angstrom": "q.motion_late_angstrom",
    "ice_ring_density": "c.ice_ring_density",
    "relative_ice_thickness": "q.relative_ice_thickness",
    "mean_counts_per_px": "q.mean_counts_per_px",
    "half_frc_0143_angstrom": "q.half_frc_0143_angstrom",
    "particle_count": "q.particle_count",
    "lag_s": "m.lag_s",
}
"""What can be drawn against time, and its expression."""

MOVIE_COLUMNS: Mapping[str, str] = {
    "movie_id": "m.movie_id",
    "relative_path": "m.relative_path",
    "generation": "m.generation",
    "state": "m.state",
    "attempts": "m.attempts",
    "grid_square": "m.grid_square",
    "hole": "m.hole",
    "optics_group": "m.optics_group",
    "frame_count": "m.frame_count",
    **{name: TREND_METRICS[name] for name in TREND_METRICS if name != "lag_s"},
    "named_cause": "k.named_cause",
    "reliable": "c.reliable",
    "flags": "m.flags",
    "reason": "coalesce(m.rejection_reason, m.failure_reason)",
    "lag_s": "m.lag_s",
    "found_utc_us": "m.found_utc_us",
    "ready_utc_us": "m.ready_utc_us",
}
"""Columns of the movie table, in its order, and their expressions."""

_BESIDE = {"c": "ctf", "q": "quality", "k": "named_causes"}


def joins_for(expressions: str) -> str:
    """Of the tables beside `movies m`, those that the expressions name."""
    return " ".join(
        f"LEFT JOIN {table} {alias} USING (movie_id)" for alias, table in _BESIDE.items() if f"{alias}." in expressions
    )


_ALL_BESIDE = joins_for("c. q. k.")
_JOINED = f"FROM movies m {_ALL_BESIDE}"
_MOVIE_LIST = ", ".join(f"{expression} AS {name}" for name, expression in MOVIE_COLUMNS.items())
_FILTER = (
    "WHERE ($state IS NULL OR m.state = $state) AND ($search IS NULL OR $search = '' OR contains(lower(concat_ws(' ', "
    "m.relative_path, m.grid_square, m.flags, m.rejection_reason, m.failure_reason)), lower($search)))"
)
_LAST_RESULTS = (
    f"(SELECT movie_id FROM movies WHERE ready_utc_us IS NOT NULL AND {finished()} "
    "ORDER BY ready_utc_us DESC LIMIT $last)"
)

SESSION = "SELECT * FROM session ORDER BY created_utc_us DESC LIMIT 1"
COUNTS_BY_STATE = "SELECT state, count(*) AS movies FROM movies GROUP BY state ORDER BY state"
_IN_ORDER = "ORDER BY {sort} {order} NULLS LAST, m.movie_id"
# Which movies stand on the page is found first: sorting fifty thousand with all their columns takes twice as long.
MOVIES_PAGE = (
    f"WITH page AS MATERIALIZED (SELECT m.movie_id FROM movies m {{sort_joins}} {_FILTER} {_IN_ORDER} "
    f"LIMIT $limit OFFSET $offset) SELECT {_MOVIE_LIST} FROM page JOIN movies m USING (movie_id) {_ALL_BESIDE} "
    f"{_IN_ORDER}"
)
MOVIES_COUNT = f"SELECT count(*) FROM movies m {_FILTER}"
MOVIE = (
    "SELECT m.*, c.* EXCLUDE (movie_id), q.* EXCLUDE (movie_id), "
    "(c.defocus_u_angstrom + c.defocus_v_angstrom) / 2e4 AS defocus_um, f.converged AS motion_converged, "
    "l.accepted AS local_motion_accepted, l.patch_grid_x, l.patch_grid_y, "
    "k.named_cause, k.named_excess_ln_ssnr, k.prior_version AS loss_prior_version "
    f"{_JOINED} LEFT JOIN frame_shift_arrays f USING (movie_id) LEFT JOIN local_motion_arrays l USING (movie_id) "
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
    f"AS bin {_JOINED} WHERE m.ready_utc_us IS NOT NULL AND {finished('m')}) GROUP BY bin ORDER BY bin"
)
DISTRIBUTION = (
    "SELECT count({metric}) AS movies, min({metric}) AS minimum, quantile_cont({metric}, 0.25) AS quartile_1, "
    "median({metric}) AS median, quantile_cont({metric}, 0.75) AS quartile_3, max({metric}) AS maximum, "
    f"avg({{metric}}) AS mean {_JOINED} WHERE {kept('m')}"
)
# A daemon that begins (anew, or with other settings) counts the lag from there: by the wall clock some waited longer.
# Ten seconds are more than clocks are set by.
LAG_PERCENTILES = (
    "SELECT count(lag_s) AS movies, quantile_cont(lag_s, 0.5) AS p50_s, quantile_cont(lag_s, 0.95) AS p95_s, "
    "max(lag_s) AS max_s, count(*) FILTER (wall_s > lag_s + 10) AS over_a_stop, "
    "max(wall_s) FILTER (wall_s > lag_s + 10) AS over_a_stop_max_s "
    "FROM (SELECT lag_s, (ready_utc_us - found_utc_us) / 1e6 AS wall_s FROM movies "
    f"WHERE movie_id IN {_LAST_RESULTS})"
)
# A session younger than the window is measured over its own age.
RATE_PER_HOUR = (
    "WITH span AS (SELECT greatest(least($window_s, ($now_utc_us - min(found_utc_us)) / 1e6), 1.0) AS s FROM movies) "
    f"SELECT count(*) FILTER (found_utc_us > $now_utc_us - s * 1e6 - 1 AND {current()}) * 3600.0 / any_value(s) "
    "AS found_per_hour, "
    f"count(*) FILTER (ready_utc_us > $now_utc_us - s * 1e6 - 1 AND {finished()}) * 3600.0 "
    "/ any_value(s) AS ready_per_hour, "
    f"count(*) FILTER (ready_utc_us > $now_utc_us - s * 1e6 - 1 AND {kept()}) * 3600.0 / any_value(s) "
    "AS kept_per_hour, any_value(s) AS window_s FROM movies, span"
)
TIME_SPAN = (
    "SELECT min(found_utc_us) AS first_utc_us, "
    "greatest(max(found_utc_us), max(ready_utc_us)) AS last_utc_us, max(found_utc_us) AS last_found_utc_us FROM movies"
)
# What the flags left open, sidecars and headers said; the most common value of each.
ACQUISITION = (
    "SELECT mode(voltage_kv) AS voltage_kv, mode(pixel_size_angstrom) AS pixel_size_angstrom, "
    "mode(dose_per_frame_e_per_a2) AS dose_per_frame_e_per_a2, mode(metadata_json ->> '$.microscope') AS microscope, "
    "mode(metadata_json ->> '$.camera') AS camera, mode(CAST(metadata_json ->> '$.cs_mm' AS DOUBLE)) AS cs_mm "
    f"FROM movies WHERE {current()}"
)
RECENT_VERDICTS = (
    f"SELECT count(*) FILTER ({kept()}) AS kept, count(*) AS finished FROM movies WHERE movie_id IN {_LAST_RESULTS}"
)
FRAME_SHIFTS = (
    "SELECT frame, shift_x_angstrom, shift_y_angstrom, sd_angstrom FROM frame_shifts WHERE movie_id = $movie_id "
    "ORDER BY frame"
)
LOCAL_MOTION = (
    "SELECT axis, coefficient, value_angstrom FROM local_motion WHERE movie_id = $movie_id ORDER BY axis, coefficient"
)
SPECTRUM = "SELECT * EXCLUDE (movie_id) FROM spectra WHERE movie_id = $movie_id ORDER BY frequency_per_angstrom"
LOSSES = (
    "SELECT factor, frequency_per_angstrom, loss_ln_ssnr, loss_sd, prior_version FROM causal_losses "
    "WHERE movie_id = $movie_id ORDER BY factor, frequency_per_angstrom"
)
LOSSES_BY_FACTOR = (
    "SELECT factor, avg(loss_ln_ssnr) AS loss_ln_ssnr, stddev_samp(loss_ln_ssnr) AS spread_ln_ssnr, "
    "sqrt(avg(loss_sd * loss_sd)) AS loss_sd, count(DISTINCT movie_id) AS movies FROM causal_losses "
    f"WHERE movie_id IN {_LAST_RESULTS} AND frequency_per_angstrom BETWEEN $min_frequency_per_angstrom AND "
    "$max_frequency_per_angstrom GROUP BY factor ORDER BY loss_ln_ssnr DESC"
)

# A curve at 1/$resolution_angstrom, linear between its points.
_BRACKETED = ", ".join(
    f"arg_max({values}, frequency_per_angstrom) FILTER (frequency_per_angstrom <= 1 / $resolution_angstrom) "
    f"AS {name}0, "
    f"arg_min({values}, frequency_per_angstrom) FILTER (frequency_per_angstrom >= 1 / $resolution_angstrom) "
    f"AS {name}1"
    for values, name in (("frequency_per_angstrom", "f"), ("loss_ln_ssnr", "loss"), ("loss_sd", "sd"))
)
_BETWEEN = ", ".join(
    f"coalesce({name}0 + ({name}1 - {name}0) * (1 / $resolution_angstrom - f0) / nullif(f1 - f0, 0), {name}0, {name}1) "
    f"AS {name}"
    for name in ("loss", "sd")
)


def _losses_at(where: str) -> str:
    """(movie_id, factor, prior_version, loss, sd)"""
    return (
        f"SELECT movie_id, factor, prior_version, {_BETWEEN} FROM (SELECT movie_id, factor, prior_version, "
        f"{_BRACKETED} FROM causal_losses WHERE {where} GROUP BY movie_id, factor, prior_version)"
    )


LOSSES_AT = (
    "SELECT factor, loss AS loss_ln_ssnr, sd AS loss_sd, prior_version "
    f"FROM ({_losses_at('movie_id = $movie_id')}) ORDER BY loss DESC, factor"
)
# The errors of one session's movies are mostly common to all of them: that of the mean is not smaller.
MEAN_LOSSES_AT = (
    "SELECT factor, avg(loss) AS loss_ln_ssnr, stddev_samp(loss) AS spread_ln_ssnr, sqrt(avg(sd * sd)) AS loss_sd, "
    "count(*) AS movies, min(prior_version) AS oldest_prior_version, max(prior_version) AS newest_prior_version "
    f"FROM ({_losses_at(f'movie_id IN {_LAST_RESULTS}')}) GROUP BY factor ORDER BY loss_ln_ssnr DESC, factor"
)
# Read from the arrays themselves: as one row a point, fifty thousand movies would be fourteen million rows.
LOSSES_PER_HOUR = (
    "WITH placed AS (SELECT movie_id, factor, loss_ln_ssnr, frequency_per_angstrom AS f, "
    "1 / $resolution_angstrom AS wanted, "
    "len(list_filter(frequency_per_angstrom, lambda x: x <= 1 / $resolution_angstrom)) AS i FROM causal_loss_arrays), "
    "lossy AS (SELECT movie_id, factor, CASE WHEN i = 0 THEN loss_ln_ssnr[1] "
    "WHEN i = len(f) THEN loss_ln_ssnr[i] ELSE loss_ln_ssnr[i] "
    "+ (loss_ln_ssnr[i + 1] - loss_ln_ssnr[i]) * (wanted - f[i]) / (f[i + 1] - f[i]) END AS loss FROM placed) "
    "SELECT time_bucket(INTERVAL 1 HOUR, make_timestamp(m.ready_utc_us)) AS hour_utc, factor, "
    "avg(loss) AS loss_ln_ssnr, count(*) AS movies FROM lossy JOIN movies m "
    f"USING (movie_id) WHERE {finished('m')} GROUP BY hour_utc, factor "
    "ORDER BY hour_utc, loss_ln_ssnr DESC, factor"
)
NAMED_CAUSES = (
    f"SELECT k.named_cause, count(*) AS movies, count(*) FILTER ({kept('m')}) AS kept, "
    "avg(k.named_excess_ln_ssnr) AS excess_ln_ssnr FROM named_causes k JOIN movies m USING (movie_id) "
    f"WHERE {finished('m')} GROUP BY k.named_cause ORDER BY movies DESC, k.named_cause NULLS LAST"
)
CAUSES_BY_SQUARE = (
    "SELECT m.grid_square, k.named_cause, count(*) AS movies, avg(k.named_excess_ln_ssnr) AS excess_ln_ssnr "
    f"FROM named_causes k JOIN movies m USING (movie_id) WHERE {finished('m')} "
    "AND m.grid_square IS NOT NULL GROUP BY m.grid_square, k.named_cause "
    "ORDER BY m.grid_square, movies DESC, k.named_cause NULLS LAST"
)
CHANGE_POINTS = (
    "SELECT p.*, (SELECT relative_path FROM movies m WHERE m.acquired_utc_us = p.acquired_utc_us "
    f"AND {current('m')} LIMIT 1) AS relative_path FROM change_points p ORDER BY number"
)
CAUSAL_NODES = "SELECT * FROM causal_nodes ORDER BY place"
CAUSAL_EDGES = "SELECT * FROM causal_edges ORDER BY cause, effect"
RESTORATIONS = (
    "SELECT r.method, r.network_version, count(*) AS movies, median(r.held_out_gain) AS held_out_gain, "
    "median(r.specimen_share) AS specimen_share, avg(r.masked_share) AS masked_share "
    f"FROM restorations r JOIN movies m USING (movie_id) WHERE {finished('m')} "
    "GROUP BY ALL ORDER BY movies DESC, r.method, r.network_version"
)
RESTORATION_ROUNDS = "SELECT * FROM restoration_rounds ORDER BY round"
CAUSAL_SHARES = "SELECT * FROM causal_shares ORDER BY loss_ln_ssnr DESC, factor"
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
ALERTS = (
    "SELECT * FROM alerts WHERE NOT $open_only OR (acknowledged_utc_us IS NULL AND cleared_utc_us IS NULL) "
    "ORDER BY created_utc_us DESC, alert_id LIMIT $limit"
)
ALERT_DELIVERIES = (
    "SELECT d.*, a.severity, a.subject, a.text FROM alert_deliveries d JOIN alerts a USING (alert_id) "
    "ORDER BY d.opened_utc_us DESC, d.alert_id, d.channel LIMIT $limit"
)
STAGE_TIMINGS = (
    "SELECT stage, count(*) AS movies, quantile_cont(seconds, 0.5) AS p50_s, quantile_cont(seconds, 0.95) AS p95_s, "
    f"sum(seconds) AS total_s FROM stages WHERE movie_id IN {_LAST_RESULTS} GROUP BY stage ORDER BY total_s DESC"
)
DEVICES = (
    "SELECT worker, node, device, device_name, device_uuid, count(DISTINCT movie_id) AS movies, "
    "sum(seconds) AS busy_s FROM stages GROUP BY ALL ORDER BY worker, node, device"
)
SCORES = "SELECT * FROM scores ORDER BY round DESC, evaluator LIMIT $limit"
VERDICTS = (
    "SELECT * EXCLUDE (evidence_json) FROM scores WHERE round > (SELECT max(round) FROM scores) - $last "
    "ORDER BY round, evaluator"
)
EVIDENCE = (
    "SELECT round, evaluator, evidence_json FROM scores "
    "WHERE evaluator = $evaluator AND round = coalesce($round, (SELECT max(round) FROM scores))"
)
VALUE_WEIGHTS = "SELECT * FROM value_weights ORDER BY round DESC LIMIT $limit"
PRIORS = "SELECT * EXCLUDE (state_json) FROM priors ORDER BY version DESC LIMIT $limit"
# Frazil's advice of the moment first, in its order; then what people did, newest first.
INTERVENTIONS = (
    "SELECT * FROM interventions ORDER BY place NULLS LAST, created_utc_us DESC, intervention_id LIMIT $limit"
)
RECONSTRUCTIONS = "SELECT * FROM reconstructions ORDER BY round"
FSC = (
    "SELECT round, frequency_per_angstrom, fsc, fsc_unmasked, fsc_masked, fsc_randomised, fsc_uniform FROM fsc "
    "WHERE round = coalesce($round, (SELECT max(round) FROM reconstructions)) ORDER BY frequency_per_angstrom"
)
FORECAST = (
    "SELECT f.*, r.movie_count, r.particle_count, r.resolution_0143_angstrom, r.b_factor_a2, r.b_factor_low_a2, "
    "r.b_factor_high_a2 FROM forecasts f JOIN reconstructions r USING (round) "
    "WHERE f.round = coalesce($round, (SELECT max(round) FROM reconstructions)) ORDER BY f.place"
)
# Bins of equal area: rot is an angle, and the cosine of the tilt is a height on the sphere.
ORIENTATIONS = (
    "SELECT -180 + (rot_bin + 0.5) * 360 / $rot_bins AS rot_deg, "
    "degrees(acos(1 - 2 * (tilt_bin + 0.5) / $tilt_bins)) AS tilt_deg, count(*) AS particles FROM ("
    "SELECT CAST(floor((rot_deg + 180) / 360 * $rot_bins) AS INTEGER) % $rot_bins AS rot_bin, "
    "least(CAST(floor((1 - cos(radians(tilt_deg))) / 2 * $tilt_bins) AS INTEGER), $tilt_bins - 1) AS tilt_bin "
    "FROM particles JOIN movies USING (movie_id) "
    f"WHERE {kept()} AND rot_deg IS NOT NULL AND tilt_deg IS NOT NULL"
    ") GROUP BY rot_bin, tilt_bin ORDER BY tilt_bin, rot_bin"
)
MAP_CLASSES = (
    "SELECT * FROM map_classes WHERE round = coalesce($round, (SELECT max(round) FROM reconstructions)) "
    "ORDER BY map_class"
)
CLASSES = (
    "SELECT * FROM classes WHERE round = coalesce($round, (SELECT max(round) FROM reconstructions)) "
    "ORDER BY particle_count DESC, class_id"
)
PARTICLES = "SELECT * EXCLUDE (movie_id) FROM particles WHERE movie_id = $movie_id ORDER BY particle"
PARTICLES_TOTAL = (
    "SELECT coalesce(sum(q.particle_count), 0) AS particles, count(*) AS movies FROM movies m "
    f"JOIN quality q USING (movie_id) WHERE {kept('m')}"
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
    f"avg(m.stage_y_um) AS stage_y_um {_JOINED} WHERE m.grid_square IS NOT NULL AND {current('m')} "
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
    "WHERE factor NOT IN ('aberrations', 'defocus_spread', 'motion_uncorrected') GROUP BY movie_id) l USING (movie_id) "
    f"WHERE {finished('m')} AND m.movie_id > $after ORDER BY m.movie_id LIMIT $limit"
)
# What a change of settings would do: with which parameters results were made, what stages cost, and what files and
# sidecars say of the exposure (`sources` names who said it).
RESULT_HASHES = (
    "SELECT s.parameter_hash, s.code_version, count(*) AS movies FROM movies m JOIN (SELECT movie_id, "
    "any_value(parameter_hash) AS parameter_hash, any_value(code_version) AS code_version FROM stages "
    f"GROUP BY movie_id) s USING (movie_id) WHERE {finished('m')} GROUP BY ALL ORDER BY ALL"
)
STAGE_SECONDS = (
    "SELECT stage, avg(seconds) AS seconds, (SELECT count(DISTINCT worker) FROM stages) AS workers FROM stages "
    "GROUP BY stage ORDER BY stage"
)
STATED_EXPOSURES = (
    "SELECT (metadata_json::JSON->>'{name}')::DOUBLE AS value, (metadata_json::JSON->'sources')::VARCHAR AS sources, "
    f"count(*) AS movies FROM movies WHERE metadata_json IS NOT NULL AND {finished()} "
    "AND (metadata_json::JSON->>'{name}') IS NOT NULL GROUP BY ALL ORDER BY movies DESC LIMIT 100"
)
MAP_GAINS = (
    "SELECT g.*, r.resolution_0143_angstrom FROM map_gains g JOIN reconstructions r USING (round) "
    "WHERE round = (SELECT max(round) FROM reconstructions) ORDER BY gain"
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
FEEDBACK = (
    "SELECT f.*, m.relative_path FROM feedback f LEFT JOIN movies m USING (movie_id) "
    "ORDER BY f.created_utc_us DESC, feedback_id LIMIT $limit"
)
EXPORT_MOVIES = (
    "SELECT m.movie_id, m.relative_path, m.generation, m.stem, m.state, m.rejection_reason, m.failure_reason, "
    "m.file_format, m.frame_count, m.raw_frame_count, m.height_px, m.width_px, m.pixel_size_angstrom, m.voltage_kv, "
    "m.dose_per_frame_e_per_a2, m.flags, m.optics_group, m.beam_tilt_x_mrad, m.beam_tilt_y_mrad, m.metadata_json, "
    "c.* EXCLUDE (movie_id), q.* EXCLUDE (movie_id) "
    f"{_JOINED} WHERE m.movie_id > $after AND {current('m')} ORDER BY m.movie_id LIMIT $limit"
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
EXPORT_PARTICLES = "SELECT * FROM particles WHERE movie_id > $after AND movie_id <= $upto ORDER BY movie_id, particle"
PARTICLE_EVIDENCE = (
    f"SELECT m.relative_path, e.* FROM particle_evidence e JOIN movies m USING (movie_id) WHERE {kept('m')} "
    "ORDER BY m.sequence DESC LIMIT $limit"
)
PARTICLE_FRC = (
    "SELECT * EXCLUDE (movie_id) FROM particle_frc WHERE movie_id = $movie_id ORDER BY frequency_per_angstrom"
)
PARTICLE_SSNR = (
    "SELECT * EXCLUDE (movie_id) FROM particle_ssnr WHERE movie_id = $movie_id ORDER BY frequency_per_angstrom"
)
PARTICLE_COLUMNS = (
    "SELECT coalesce(sum(len(x_px)), 0) AS particles, max(diameter_angstrom) AS diameter_angstrom, "
    + ", ".join(
        f"coalesce(sum(list_count({name})), 0) AS {name}"
        for name in [
            "score",
            "class_id",
            "rot_deg",
            "tilt_deg",
            "psi_deg",
            "origin_x_angstrom",
            "origin_y_angstrom",
            "certainty",
            "map_class",
        ]
    )
    + f" FROM particle_arrays JOIN movies USING (movie_id) WHERE {kept()}"
)
TABLE_NAMES = (
    "SELECT table_name AS \"table\", string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_index) "
    "AS columns FROM duckdb_columns() WHERE NOT internal GROUP BY table_name ORDER BY table_name"
)
