"""The questions that the screen and the command line ask, by name, with typed parameters.

Values always travel as bound parameters; what cannot be bound (columns to sort by, metrics) is chosen from fixed
lists. `run_named` is the only way in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from frazil.config.errors import QueryError
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.queries import named_sql, people_sql
from frazil.daemon.store.queries.named_sql import MOVIE_COLUMNS, TREND_METRICS
from frazil.daemon.store.sql_guard import QueryLimits, run_read_only
from frazil.daemon.store.table import Scalar, Table
from frazil.models.formats.acquisition import RELATIVE_TOLERANCE


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its type, its default (None with `required` False: may be left out), its allowed values."""

    kind: type[str] | type[int] | type[float] | type[bool]
    default: Scalar = None
    required: bool = False
    choices: tuple[str, ...] = ()
    several: bool = False
    """A comma-separated list of choices."""
    least: int | None = None
    """Smallest number that makes sense; None: there is none."""
    most: int | None = None


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """`text` holds `$name` for bound parameters and `{name}` for those with `choices`."""

    doc: str
    text: str
    params: Mapping[str, Param]
    count_text: str | None = None
    """Counts the rows without limit and offset."""


RATE_IDLE_US = 120_000_000
"""Rates of a running session (`rate_per_hour`) end so long after its last event: longer pauses are no part of them."""
_MOVIE = {"movie_id": Param(str, required=True)}
_MOST = 1_000_000_000
"""DuckDB adds LIMIT and OFFSET up, in 64 bits."""


_LAST_UTC_US = 253_402_300_800_000_000
"""The end of the year 9999."""


def _when() -> Param:
    return Param(int, required=True, least=0, most=_LAST_UTC_US)


def _rows(default: int) -> Param:
    return Param(int, default, least=0, most=_MOST)


_PAGE = {"limit": _rows(100), "offset": _rows(0)}
_LAST = {"last": _rows(200)}
_RESOLUTION = {"resolution_angstrom": Param(float, 5.0)}

NAMED: Mapping[str, NamedQuery] = {
    "session": NamedQuery("The session's settings and instrument (one row).", named_sql.SESSION, {}),
    "counts_by_state": NamedQuery("How many movies are in each state.", named_sql.COUNTS_BY_STATE, {}),
    "movies": NamedQuery(
        "A page of the movie table: sorted by one of the columns, filtered by state and by text in path, square, "
        "flags or reason.",
        named_sql.MOVIES_PAGE,
        {
            "sort": Param(str, "found_utc_us", choices=tuple(MOVIE_COLUMNS)),
            "order": Param(str, "desc", choices=("asc", "desc")),
            "state": Param(str),
            "search": Param(str),
            **_PAGE,
        },
        count_text=named_sql.MOVIES_COUNT,
    ),
    "movie": NamedQuery("Everything of one movie that is a single value (one row).", named_sql.MOVIE, _MOVIE),
    "movie_by_path": NamedQuery(
        "Movies whose path ends with the text, newest generation first.",
        named_sql.MOVIE_BY_PATH,
        {"path": Param(str, required=True)},
    ),
    "trend": NamedQuery(
        "Metrics of the last movies, oldest first.",
        named_sql.TREND,
        {
            "metrics": Param(str, "ctf_fit_angstrom,motion_total_angstrom", choices=tuple(TREND_METRICS), several=True),
            **_LAST,
        },
    ),
    "trend_band": NamedQuery(
        "One metric over the whole session: median and the middle 80 % of groups of movies in the order of time.",
        named_sql.TREND_BAND,
        {
            "metric": Param(str, required=True, choices=tuple(TREND_METRICS)),
            "bins": Param(int, 300, least=1, most=_MOST),
        },
    ),
    "distribution": NamedQuery(
        "Median, quartiles and extremes of one metric over all kept movies.",
        named_sql.DISTRIBUTION,
        {"metric": Param(str, required=True, choices=tuple(TREND_METRICS))},
    ),
    "lag_percentiles": NamedQuery(
        "Found to ready, over the last movies; and of how many this leaves out a stop of the daemon.",
        named_sql.LAG_PERCENTILES,
        _LAST,
    ),
    "rate_per_hour": NamedQuery(
        "Movies found and finished per hour over the window that ends at now_utc_us.",
        named_sql.RATE_PER_HOUR,
        {"now_utc_us": _when(), "window_s": Param(float, 3600.0)},
    ),
    "time_span": NamedQuery("When the first movie was found and the last thing happened.", named_sql.TIME_SPAN, {}),
    "acquisition": NamedQuery("The most common acquisition parameters of the movies.", named_sql.ACQUISITION, {}),
    "recent_verdicts": NamedQuery("Kept and all, of the last finished movies.", named_sql.RECENT_VERDICTS, _LAST),
    "frame_shifts": NamedQuery("Whole-frame motion of one movie.", named_sql.FRAME_SHIFTS, _MOVIE),
    "local_motion": NamedQuery("Local motion coefficients of one movie.", named_sql.LOCAL_MOTION, _MOVIE),
    "spectrum": NamedQuery("Radial spectra of one movie.", named_sql.SPECTRUM, _MOVIE),
    "losses": NamedQuery("Causal losses of one movie.", named_sql.LOSSES, _MOVIE),
    "losses_by_factor": NamedQuery(
        "Mean loss by factor in a band of frequencies, over the last movies.",
        named_sql.LOSSES_BY_FACTOR,
        {"min_frequency_per_angstrom": Param(float, 0.1), "max_frequency_per_angstrom": Param(float, 0.25), **_LAST},
    ),
    "losses_at": NamedQuery("Losses of one movie at one resolution.", named_sql.LOSSES_AT, {**_MOVIE, **_RESOLUTION}),
    "mean_losses_at": NamedQuery(
        "Mean losses of the last movies at one resolution.", named_sql.MEAN_LOSSES_AT, {**_RESOLUTION, **_LAST}
    ),
    "losses_per_hour": NamedQuery(
        "Mean loss at one resolution by cause and hour.", named_sql.LOSSES_PER_HOUR, _RESOLUTION
    ),
    "named_causes": NamedQuery(
        "How many movies each cause is named for; no cause: nothing stands out.", named_sql.NAMED_CAUSES, {}
    ),
    "causes_by_square": NamedQuery("Named causes by grid square.", named_sql.CAUSES_BY_SQUARE, {}),
    "change_points": NamedQuery("When the session became another one.", named_sql.CHANGE_POINTS, {}),
    "causal_shares": NamedQuery("How well the causes are known.", named_sql.CAUSAL_SHARES, {}),
    "causal_nodes": NamedQuery("The causal graph: settings, mechanisms, factors.", named_sql.CAUSAL_NODES, {}),
    "causal_edges": NamedQuery("The causal graph: what acts on what.", named_sql.CAUSAL_EDGES, {}),
    "restorations": NamedQuery("How micrographs were restored.", named_sql.RESTORATIONS, {}),
    "restoration_rounds": NamedQuery(
        "What the session taught the learned restoration.", named_sql.RESTORATION_ROUNDS, {}
    ),
    "failures": NamedQuery(
        "Movies that failed, were set aside or were rejected, newest first, with the reason.",
        named_sql.FAILURES,
        {"include_rejected": Param(bool, True), **_PAGE},
    ),
    "reasons": NamedQuery("How often each reason for rejection or failure occurs.", named_sql.REASONS, {}),
    "alerts": NamedQuery(
        "What a person should know, newest first.",
        named_sql.ALERTS,
        {"open_only": Param(bool, False), "limit": _rows(50)},
    ),
    "alert_deliveries": NamedQuery(
        "Which alert went where, by mail or webhook, newest first.",
        named_sql.ALERT_DELIVERIES,
        {"limit": _rows(100)},
    ),
    "stage_timings": NamedQuery("Seconds by stage over the last movies.", named_sql.STAGE_TIMINGS, _LAST),
    "devices": NamedQuery("What the workers really computed on.", named_sql.DEVICES, {}),
    "scores": NamedQuery("The evaluators' verdicts, newest round first.", named_sql.SCORES, {"limit": _rows(100)}),
    "verdicts": NamedQuery(
        "The evaluators' verdicts of the last rounds without their evidence, oldest round first.",
        named_sql.VERDICTS,
        _LAST,
    ),
    "evidence": NamedQuery(
        "What one verdict rests on (JSON); without a round, of the last.",
        named_sql.EVIDENCE,
        {"evaluator": Param(str, required=True), "round": Param(int)},
    ),
    "value_weights": NamedQuery(
        "The weights of V by round, newest first, and what moved them.",
        named_sql.VALUE_WEIGHTS,
        {"limit": _rows(100)},
    ),
    "priors": NamedQuery("Versions of the causal prior, newest first.", named_sql.PRIORS, {"limit": _rows(20)}),
    "interventions": NamedQuery(
        "Advice and what people did, newest first.", named_sql.INTERVENTIONS, {"limit": _rows(20)}
    ),
    "reconstructions": NamedQuery("Rounds of the running map.", named_sql.RECONSTRUCTIONS, {}),
    "fsc": NamedQuery(
        "FSC of a round (corrected, unmasked, masked, with random phases); without one, of the last.",
        named_sql.FSC,
        {"round": Param(int)},
    ),
    "forecast": NamedQuery(
        "What a round foretells: the end of the session, then the next steps; without a round, the last.",
        named_sql.FORECAST,
        {"round": Param(int)},
    ),
    "orientations": NamedQuery(
        "How many particles of kept movies are seen from where: bins of equal area by rot and tilt.",
        named_sql.ORIENTATIONS,
        {"rot_bins": Param(int, 24, least=1, most=360), "tilt_bins": Param(int, 12, least=1, most=180)},
    ),
    "classes": NamedQuery("2D classes of a round; without one, the last.", named_sql.CLASSES, {"round": Param(int)}),
    "map_classes": NamedQuery(
        "The maps of a round that its particles are sorted into; without one, the last.",
        named_sql.MAP_CLASSES,
        {"round": Param(int)},
    ),
    "particles": NamedQuery("Particles of one movie.", named_sql.PARTICLES, _MOVIE),
    "particle_evidence": NamedQuery(
        "What the particles of kept movies say: their number and the beam tilt, newest first.",
        named_sql.PARTICLE_EVIDENCE,
        {"limit": _rows(100)},
    ),
    "particle_frc": NamedQuery("FRC of a movie's particles with the other half's map.", named_sql.PARTICLE_FRC, _MOVIE),
    "particle_ssnr": NamedQuery(
        "ln SSNR of a movie's particles relative to the map, coma taken out.", named_sql.PARTICLE_SSNR, _MOVIE
    ),
    "particles_total": NamedQuery("Particles of all kept movies.", named_sql.PARTICLES_TOTAL, {}),
    "frame_count_mode": NamedQuery("The session's most common frame count.", named_sql.FRAME_COUNT_MODE, {}),
    "squares": NamedQuery("Medians and counts by grid square.", named_sql.SQUARES, {}),
    "threshold_facts": NamedQuery(
        "What thresholds judge of each processed movie, a page after a movie id, with its loss at a resolution.",
        named_sql.THRESHOLD_FACTS,
        {**_RESOLUTION, "after": Param(str, ""), "limit": _rows(20_000)},
    ),
    "result_hashes": NamedQuery("With which parameters results were made.", named_sql.RESULT_HASHES, {}),
    "stage_seconds": NamedQuery(
        "What each stage of a movie takes, and how many workers there were.", named_sql.STAGE_SECONDS, {}
    ),
    "stated_exposures": NamedQuery(
        "What is known of one number of the exposures, and who said it.",
        named_sql.STATED_EXPOSURES,
        {"name": Param(str, required=True, choices=tuple(RELATIVE_TOLERANCE))},
    ),
    "map_gains": NamedQuery("The newest map with fewer and with more particles.", named_sql.MAP_GAINS, {}),
    "optics_groups": NamedQuery(
        "Optics groups by beam shift: movies, astigmatism (of the CTF fits) and coma (beam tilt from the particles).",
        named_sql.OPTICS_GROUPS,
        {},
    ),
    "feedback": NamedQuery("What people said, newest first.", named_sql.FEEDBACK, {"limit": _rows(100)}),
    "export_movies": NamedQuery(
        "What an export writes of each movie, a page after a movie id.",
        named_sql.EXPORT_MOVIES,
        {"after": Param(str, ""), "limit": _rows(500)},
    ),
    "export_shifts": NamedQuery(
        "Frame shifts of a page of movies: those after one id up to another.",
        named_sql.EXPORT_SHIFTS,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
    "export_local_motion": NamedQuery(
        "Local motion of a page of movies.",
        named_sql.EXPORT_LOCAL_MOTION,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
    "export_particles": NamedQuery(
        "Particles of a page of movies.",
        named_sql.EXPORT_PARTICLES,
        {"after": Param(str, ""), "upto": Param(str, required=True)},
    ),
    "particle_columns": NamedQuery(
        "Of how many particles of kept movies each value is known.", named_sql.PARTICLE_COLUMNS, {}
    ),
    "table_names": NamedQuery("Tables and views with their columns.", named_sql.TABLE_NAMES, {}),
    "acceptance_by_square": NamedQuery(
        "Kept and rejected by grid square, worst first, and why.", people_sql.ACCEPTANCE_BY_SQUARE, {}
    ),
    "acceptance_by_position": NamedQuery(
        "Kept and rejected by position in the hole template (optics group).", people_sql.ACCEPTANCE_BY_POSITION, {}
    ),
    "acceptance_by_hour": NamedQuery("Kept and rejected by hour.", people_sql.ACCEPTANCE_BY_HOUR, {}),
    "lag_by_hour": NamedQuery("From found to ready, by hour.", people_sql.LAG_BY_HOUR, {}),
    "particles_by_hour": NamedQuery("Particles of kept movies, by hour.", people_sql.PARTICLES_BY_HOUR, {}),
    "best_squares": NamedQuery(
        "Squares to go on with: the CTF fit over the share that is kept, best first.",
        people_sql.BEST_SQUARES,
        {"limit": _rows(10), "least_movies": Param(int, 5)},
    ),
    "ice_by_square": NamedQuery("Ice by grid square, thickest first.", people_sql.ICE_BY_SQUARE, {}),
    "drift_after_stage_moves": NamedQuery(
        "Motion by how many movies after a stage move (10: tenth and later): is the wait long enough?",
        people_sql.DRIFT_AFTER_STAGE_MOVES,
        {"least_move_um": Param(float, 0.5)},
    ),
    "alerts_by_day": NamedQuery("Alerts by day, severity and subject.", people_sql.ALERTS_BY_DAY, {}),
    "holes": NamedQuery("Quality and acceptance by hole, with its stage position.", people_sql.HOLES, {}),
    "places": NamedQuery(
        "Quality and acceptance by hole and position in its template, with stage position and image shift.",
        people_sql.PLACES,
        {},
    ),
    "best_movies": NamedQuery("Movies with the best CTF fit.", people_sql.BEST_MOVIES, {"limit": _rows(10)}),
    "typical_movies": NamedQuery(
        "Movies nearest to the median CTF fit.", people_sql.TYPICAL_MOVIES, {"limit": _rows(10)}
    ),
    "worst_movies": NamedQuery("Movies with the worst CTF fit.", people_sql.WORST_MOVIES, {"limit": _rows(10)}),
    "software": NamedQuery(
        "Versions of frazil and settings that the movies were processed with.", people_sql.SOFTWARE, {}
    ),
    "before_and_after": NamedQuery(
        "The movies nearest to a moment, before and after it: what a change at that time did.",
        people_sql.BEFORE_AND_AFTER,
        {"utc_us": _when(), "last": _rows(50)},
    ),
}

FOR_PEOPLE: tuple[str, ...] = (
    *("acceptance_by_square", "acceptance_by_position", "acceptance_by_hour", "lag_by_hour", "particles_by_hour"),
    *("losses_per_hour", "mean_losses_at", "named_causes", "causes_by_square", "change_points", "interventions"),
    *("best_squares", "squares", "ice_by_square", "holes", "optics_groups", "drift_after_stage_moves"),
    *("best_movies", "typical_movies", "worst_movies", "reasons", "failures", "before_and_after"),
    *("alerts", "alerts_by_day", "stage_timings", "devices", "software"),
    *("reconstructions", "forecast", "map_classes", "classes", "orientations"),
)
"""Those whose answer is read as it is, in the order in which they are told; the others are for screen and programs."""


def run_named(
    new_cursor: Callable[[], Connection], name: str, params: Mapping[str, Scalar], limits: QueryLimits
) -> Table:
    """Run a query of `NAMED`. Raises `QueryError` for a name, a parameter or a value that is not known."""
    query = NAMED.get(name)
    if query is None:
        raise QueryError(f"there is no query named {name!r}", remedy=_meant(name, NAMED))
    chosen, bound = _split(name, query, params)
    text = query.text.format(**chosen)
    connection = new_cursor()
    try:
        table = run_read_only(connection, text, _used(text, bound), limits)
        if query.count_text is None:
            return table
        count = query.count_text.format(**chosen)
        total = run_read_only(connection, count, _used(count, bound), limits).rows[0][0]
    finally:
        connection.close()
    return Table(table.columns, table.rows, table.truncated, total if isinstance(total, int) else None)


def _meant(name: str, known: Iterable[str]) -> str:
    """The names that are most like what was asked for; where none is, where they are listed."""
    near = get_close_matches(name.lower().replace("-", "_"), known, n=3)
    all_of_them = "`frazil query --list` names all questions"
    return f"did you mean {' or '.join(near)}? {all_of_them}" if near else all_of_them


def _split(name: str, query: NamedQuery, params: Mapping[str, Scalar]) -> tuple[dict[str, str], dict[str, Scalar]]:
    unknown = sorted(set(params) - set(query.params))
    if unknown:
        takes = f"it takes {', '.join(query.params)}" if query.params else "it takes none"
        raise QueryError(f"{name} has no parameter {', '.join(unknown)}", remedy=takes)
    chosen: dict[str, str] = {}
    bound: dict[str, Scalar] = {}
    for key, param in query.params.items():
        value = _checked(name, key, param, params.get(key, param.default))
        if param.choices:
            chosen[key] = _chosen(name, key, param, str(value))
            if key in ("sort", "metrics"):
                chosen[f"{key}_joins"] = named_sql.joins_for(chosen[key])
        else:
            bound[key] = value
    return chosen, bound


def _checked(name: str, key: str, param: Param, value: Scalar) -> Scalar:
    if value is None:
        if param.required:
            raise QueryError(f"{name} needs the parameter {key}", remedy=f"give {key}")
        return param.default
    if param.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, param.kind) or (param.kind is int and isinstance(value, bool)):
        raise QueryError(
            f"{name}: {key} is {value!r}, and must be of type {param.kind.__name__}", remedy=f"correct {key}"
        )
    if isinstance(value, int | float) and (
        (param.least is not None and value < param.least) or (param.most is not None and value > param.most)
    ):
        between = f"at least {param.least}" if param.most is None else f"from {param.least} to {param.most}"
        raise QueryError(f"{name}: {key} is {value}, and must be {between}", remedy=f"correct {key}")
    return value


def _chosen(name: str, key: str, param: Param, value: str) -> str:
    wanted = [part.strip() for part in value.split(",")] if param.several else [value]
    for part in wanted:
        if part not in param.choices:
            raise QueryError(f"{name}: {key} cannot be {part!r}", remedy=f"use one of: {', '.join(param.choices)}")
    if key == "metrics":
        return ", ".join(f"{TREND_METRICS[part]} AS {part}" for part in dict.fromkeys(wanted))
    if key == "metric":
        return TREND_METRICS[value]
    if key == "sort":
        return MOVIE_COLUMNS[value]
    return value


def _used(text: str, bound: Mapping[str, Scalar]) -> dict[str, Scalar]:
    # DuckDB refuses parameters that the text does not mention.
    return {key: value for key, value in bound.items() if f"${key}" in text}
