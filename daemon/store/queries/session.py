"""Questions about the session as a whole: its settings, how far and how fast it is, alerts, workers, feedback."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import ENDED, current, finished, in_state, kept
from frazil.daemon.store.queries.faults import FAULT, FAULT_LIMITS
from frazil.daemon.store.queries.movie_columns import ALL_BESIDE, JOINED, LAST_RESULTS
from frazil.daemon.store.queries.named_query import LAST_PARAM, NamedQuery, Param, rows_param, utc_us_param
from frazil.models.formats.acquisition import RELATIVE_TOLERANCE

SESSION = "SELECT * FROM session ORDER BY created_utc_us DESC LIMIT 1"
COUNTS_BY_STATE = "SELECT state, count(*) AS movies FROM movies GROUP BY state ORDER BY state"
# A daemon that begins (anew, or with other settings) counts the lag from there: by the wall clock some waited longer.
# Ten seconds are more than clocks are set by.
LAG_PERCENTILES = (
    "SELECT count(lag_s) AS movies, quantile_cont(lag_s, 0.5) AS p50_s, quantile_cont(lag_s, 0.95) AS p95_s, "
    "max(lag_s) AS max_s, count(*) FILTER (wall_s > lag_s + 10) AS over_a_stop, "
    "max(wall_s) FILTER (wall_s > lag_s + 10) AS over_a_stop_max_s "
    "FROM (SELECT lag_s, (ready_utc_us - found_utc_us) / 1e6 AS wall_s FROM movies "
    f"WHERE movie_id IN {LAST_RESULTS})"
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
    f"SELECT count(*) FILTER ({kept()}) AS kept, count(*) AS finished, "
    "mode(dose_per_frame_e_per_a2 * frame_count) AS total_dose_e_per_a2 "
    f"FROM movies WHERE movie_id IN {LAST_RESULTS}"
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
    f"sum(seconds) AS total_s FROM stages WHERE movie_id IN {LAST_RESULTS} GROUP BY stage ORDER BY total_s DESC"
)
DEVICES = (
    "SELECT worker, node, device, device_name, device_uuid, count(DISTINCT movie_id) AS movies, "
    "sum(seconds) AS busy_s FROM stages GROUP BY ALL ORDER BY worker, node, device"
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
# What is open for the verdict: as told to people, but that acknowledging a rule does not make it pass.
STANDING_ALERTS = (
    "SELECT alert_id, severity, subject, text, remedy FROM alerts WHERE cleared_utc_us IS NULL AND severity <> 'info' "
    "AND (acknowledged_utc_us IS NULL OR starts_with(alert_id, 'rule-') "
    "OR alert_id IN ('disk-floor', 'raw-folder-lost')) "
    "ORDER BY severity <> 'error', created_utc_us DESC, alert_id LIMIT 100"
)
_ENDED = f"{JOINED} WHERE {in_state(ENDED, 'm')}"
_NEWEST_FIRST = "ORDER BY coalesce(m.ready_utc_us, m.found_utc_us) DESC, m.movie_id DESC"
# Which they are is found first: all that is known of fifty thousand movies need not be joined for it.
NEWEST_FAULTS = (
    f"WITH newest AS MATERIALIZED (SELECT m.movie_id FROM movies m WHERE {in_state(ENDED, 'm')} {_NEWEST_FIRST} "
    f"LIMIT $last) SELECT {FAULT} AS fault, coalesce(m.rejection_reason, m.failure_reason) AS reason, k.ice_nm, "
    "m.grid_square, q.motion_early_angstrom, c.fit_resolution_angstrom "
    f"FROM newest JOIN movies m USING (movie_id) {ALL_BESIDE} {_NEWEST_FIRST}"
)
FAULT_COUNTS = (
    f"SELECT count(*) FILTER (fault IS NULL) AS good, count(*) AS ended FROM (SELECT {FAULT} AS fault {_ENDED})"
)
KEPT_FAULTS = (
    f"SELECT {FAULT} AS fault, count(*) AS movies {JOINED} WHERE {kept('m')} "
    "GROUP BY fault HAVING fault IS NOT NULL ORDER BY movies DESC, fault"
)
NOT_GOOD = (
    f"SELECT fault, grid_square, count(*) AS movies FROM (SELECT {FAULT} AS fault, m.grid_square {_ENDED}) "
    "WHERE fault IS NOT NULL GROUP BY fault, grid_square ORDER BY movies DESC, fault, grid_square"
)
KEPT_THICK_ICE = f"SELECT count(*) AS movies {JOINED} WHERE {kept('m')} AND k.ice_nm - k.ice_sd_nm > $ice_nm"
FEEDBACK = (
    "SELECT f.*, m.relative_path FROM feedback f LEFT JOIN movies m USING (movie_id) "
    "ORDER BY f.created_utc_us DESC, feedback_id LIMIT $limit"
)
TABLE_NAMES = (
    "SELECT table_name AS \"table\", string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_index) "
    "AS columns FROM duckdb_columns() WHERE NOT internal GROUP BY table_name ORDER BY table_name"
)

QUERIES: Mapping[str, NamedQuery] = {
    "session": NamedQuery("The session's settings and instrument (one row).", SESSION, {}),
    "counts_by_state": NamedQuery("How many movies are in each state.", COUNTS_BY_STATE, {}),
    "lag_percentiles": NamedQuery(
        "Found to ready, over the last movies; and of how many this leaves out a stop of the daemon.",
        LAG_PERCENTILES,
        LAST_PARAM,
    ),
    "rate_per_hour": NamedQuery(
        "Movies found and finished per hour over the window that ends at now_utc_us.",
        RATE_PER_HOUR,
        {"now_utc_us": utc_us_param(), "window_s": Param(float, 3600.0)},
    ),
    "time_span": NamedQuery("When the first movie was found and the last thing happened.", TIME_SPAN, {}),
    "acquisition": NamedQuery("The most common acquisition parameters of the movies.", ACQUISITION, {}),
    "recent_verdicts": NamedQuery(
        "Of the last finished movies: how many are kept, of how many, and their usual dose.",
        RECENT_VERDICTS,
        LAST_PARAM,
    ),
    "alerts": NamedQuery(
        "What a person should know, newest first.",
        ALERTS,
        {"open_only": Param(bool, False), "limit": rows_param(50)},
    ),
    "standing_alerts": NamedQuery("What is not over, errors first, newest first.", STANDING_ALERTS, {}),
    "newest_faults": NamedQuery(
        "Why each of the newest movies that came to an end is no good; no fault: it is a good one.",
        NEWEST_FAULTS,
        {"last": rows_param(24), **FAULT_LIMITS},
    ),
    "fault_counts": NamedQuery("Good movies, and all that came to an end.", FAULT_COUNTS, FAULT_LIMITS),
    "kept_faults": NamedQuery("Kept movies that are not good, by what is the matter.", KEPT_FAULTS, FAULT_LIMITS),
    "not_good": NamedQuery("Movies that are not good, by what is the matter and square.", NOT_GOOD, FAULT_LIMITS),
    "kept_thick_ice": NamedQuery(
        "Kept movies whose ice is surely thicker than a limit.", KEPT_THICK_ICE, {"ice_nm": FAULT_LIMITS["ice_nm"]}
    ),
    "alert_deliveries": NamedQuery(
        "Which alert went where, by mail or webhook, newest first.",
        ALERT_DELIVERIES,
        {"limit": rows_param(100)},
    ),
    "stage_timings": NamedQuery("Seconds by stage over the last movies.", STAGE_TIMINGS, LAST_PARAM),
    "devices": NamedQuery("What the workers really computed on.", DEVICES, {}),
    "result_hashes": NamedQuery("With which parameters results were made.", RESULT_HASHES, {}),
    "stage_seconds": NamedQuery(
        "What each stage of a movie takes, and how many workers there were.", STAGE_SECONDS, {}
    ),
    "stated_exposures": NamedQuery(
        "What is known of one number of the exposures, and who said it.",
        STATED_EXPOSURES,
        {"name": Param(str, required=True, choices=tuple(RELATIVE_TOLERANCE))},
    ),
    "feedback": NamedQuery("What people said, newest first.", FEEDBACK, {"limit": rows_param(100)}),
    "table_names": NamedQuery("Tables and views with their columns.", TABLE_NAMES, {}),
}
