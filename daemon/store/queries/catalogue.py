"""The questions that the screen and the command line ask, by name, with typed parameters.

Values always travel as bound parameters; what cannot be bound (columns to sort by, metrics) is chosen from fixed
lists. `run_named` is the only way in. The questions themselves are in a module for each subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from operator import attrgetter

from frazil.config.errors import QueryError, SettingsError
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.queries import causes, experiments, exports, maps, movies, people, scores, session, targets
from frazil.daemon.store.queries.movie_columns import MOVIE_COLUMNS, TREND_METRICS, joins_for
from frazil.daemon.store.queries.named_query import NamedQuery, Param
from frazil.daemon.store.sql_guard import QueryLimits, run_read_only
from frazil.daemon.store.table import Scalar, Table

NAMED: Mapping[str, NamedQuery] = {
    **session.QUERIES,
    **movies.QUERIES,
    **causes.QUERIES,
    **experiments.QUERIES,
    **maps.QUERIES,
    **scores.QUERIES,
    **exports.QUERIES,
    **people.QUERIES,
    **targets.QUERIES,
}

FOR_PEOPLE: tuple[str, ...] = (
    *("acceptance_by_square", "acceptance_by_position", "acceptance_by_hour", "lag_by_hour", "particles_by_hour"),
    *("losses_per_hour", "mean_losses_at", "named_causes", "causes_by_square", "change_points", "interventions"),
    "experiments",
    *("best_squares", "worst_squares", "squares", "ice_by_square", "holes", "optics_groups", "drift_after_stage_moves"),
    *("best_movies", "typical_movies", "worst_movies", "reasons", "failures", "before_and_after"),
    *("grid", "next_rounds", "next_targets", "next_squares", "target_words", "ice_calibration"),
    *("alerts", "alerts_by_day", "stage_timings", "devices", "software"),
    *("reconstructions", "forecast", "map_classes", "classes", "class_verdicts", "chosen_particles", "orientations"),
)
"""Those whose answer is read as it is, in the order in which they are told; the others are for screen and programs."""


def run_named(
    new_cursor: Callable[[], Connection], name: str, params: Mapping[str, Scalar], limits: QueryLimits
) -> Table:
    """Run a query of `NAMED`. Raises `QueryError` for a name, a parameter or a value that is not known."""
    query = NAMED.get(name)
    if query is None:
        raise QueryError(f"there is no query named {name!r}", remedy=_meant(name, NAMED))
    connection = new_cursor()
    try:
        chosen, bound = _split(name, query, {**_kept_settings(connection, query, params), **params})
        text = query.text.format(**chosen)
        table = run_read_only(connection, text, _used(text, bound), limits)
        if query.count_text is None:
            return table
        count = query.count_text.format(**chosen)
        total = run_read_only(connection, count, _used(count, bound), limits).rows[0][0]
    finally:
        connection.close()
    return Table(table.columns, table.rows, table.truncated, total if isinstance(total, int) else None)


def _kept_settings(connection: Connection, query: NamedQuery, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Of the parameters that are left out and are a session's settings."""
    wanted = {key: param.setting for key, param in query.params.items() if param.setting and params.get(key) is None}
    row = (
        connection.execute("SELECT settings_yaml FROM session ORDER BY created_utc_us DESC LIMIT 1").fetchone()
        if wanted
        else None
    )
    if row is None or not row[0]:
        return {}
    from frazil.config.loading import settings_of  # pydantic: few queries need it

    try:
        settings = settings_of(str(row[0]))
    except SettingsError:  # of another frazil; what ships is what its verdict goes by, too
        return {}
    return {key: attrgetter(setting)(settings) for key, setting in wanted.items()}


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
                chosen[f"{key}_joins"] = joins_for(chosen[key])
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
