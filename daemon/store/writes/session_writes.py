"""What is written about the session itself: its settings, alerts, people's verdicts, priors, maps, scores.

Like `writes.py`: functions for `Store.submit`, idempotent, without clocks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any

from frazil.config.errors import UsageError
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.movie_states import UNDER_WAY, in_state
from frazil.daemon.store.rows import (
    AlertRow,
    ClassRow,
    DeliveryRow,
    FeedbackRow,
    ForecastRow,
    GainRow,
    InterventionRow,
    LearningRow,
    MapClassRow,
    ParticleRows,
    PriorRow,
    ReconstructionRow,
    ScoreRow,
    SessionRow,
)
from frazil.daemon.store.writes import class_writes
from frazil.models.map_round import as_values
from frazil.models.records import MovieState

_REPEAT_US = 60_000_000
"""An alert that is still open is not written more often than once a minute."""


def create_session(connection: Connection, row: SessionRow) -> None:
    """The session's one row; on resuming, all but its time of creation is brought up to date. In a folder of another
    name (moved, copied) it is the same session: when it began and what its gain gate decided stay."""
    names = [field.name for field in fields(row)]
    connection.execute("UPDATE session SET session_id = ? WHERE session_id <> ?", [row.session_id, row.session_id])
    keep = ("session_id", "created_utc_us", "gain_verdict")
    updates = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keep)
    connection.execute(
        f"INSERT INTO session ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
        f"ON CONFLICT (session_id) DO UPDATE SET {updates}, finished_utc_us = NULL, "
        "gain_verdict = coalesce(excluded.gain_verdict, gain_verdict)",
        [getattr(row, name) for name in names],
    )


def take_back_start(connection: Connection, session_before: Sequence[Mapping[str, object]]) -> None:
    """A start was refused for its settings: the session's row is what it was, and movies that were to be done again are
    done, as their results are still there."""
    if session_before:
        connection.execute("DELETE FROM session")  # its name was that of the folder
    for values in session_before:
        _replace(connection, "session", ["session_id"], dict(values))
    connection.execute(
        "UPDATE movies SET state = CASE WHEN rejection_reason IS NULL THEN 'ready' ELSE 'rejected' END "
        f"WHERE {in_state(UNDER_WAY)} AND ready_utc_us IS NOT NULL "
        "AND movie_id IN (SELECT movie_id FROM quality)"
    )


def set_settings(connection: Connection, settings_yaml: str) -> None:
    """The configuration that is in force from now on."""
    connection.execute("UPDATE session SET settings_yaml = ?", [settings_yaml])


def finish_session(connection: Connection, finished_utc_us: int) -> None:
    """The daemon ended in good order."""
    connection.execute("UPDATE session SET finished_utc_us = ?", [finished_utc_us])


def record_gain_verdict(connection: Connection, verdict: str) -> None:
    """What the gain gate found, as JSON."""
    connection.execute("UPDATE session SET gain_verdict = ?", [verdict])


def record_alert(connection: Connection, row: AlertRow, *, quiet_us: int = 0) -> bool:
    """Tell a person. While an alert is open, its time is brought up to date at most once a minute. The same again opens
    it again if it was over before that, or if it was acknowledged and then not said for `quiet_us`: what a person has
    seen and what simply goes on is no news. Returns whether it is: new, or open again."""
    seen = connection.execute(
        "SELECT created_utc_us, acknowledged_utc_us, cleared_utc_us FROM alerts WHERE alert_id = ?", [row.key()]
    ).fetchone()
    if seen is None:
        values = [row.key(), row.created_utc_us, row.created_utc_us, row.severity, row.subject, row.text, row.remedy]
        connection.execute(
            "INSERT INTO alerts (alert_id, created_utc_us, opened_utc_us, severity, subject, text, remedy) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return True
    told_utc_us, acknowledged_utc_us, cleared_utc_us = seen
    over = cleared_utc_us is not None and row.created_utc_us > cleared_utc_us
    unheard = acknowledged_utc_us is not None and row.created_utc_us > max(acknowledged_utc_us, told_utc_us) + quiet_us
    if over or (cleared_utc_us is None and unheard):
        connection.execute(
            "UPDATE alerts SET created_utc_us = ?, opened_utc_us = ?, severity = ?, text = ?, remedy = ?, "
            "acknowledged_utc_us = NULL, acknowledged_by = NULL, cleared_utc_us = NULL WHERE alert_id = ?",
            [row.created_utc_us, row.created_utc_us, row.severity, row.text, row.remedy, row.key()],
        )
        return True
    if cleared_utc_us is None and row.created_utc_us - told_utc_us >= _REPEAT_US:
        connection.execute(
            "UPDATE alerts SET created_utc_us = ?, remedy = ? WHERE alert_id = ?",
            [row.created_utc_us, row.remedy, row.key()],
        )
    return False


def clear_alert(connection: Connection, alert_id: str, *, utc_us: int) -> bool:
    """What it told of is over: it leaves the screen by itself, acknowledged or not. False: no such alert is open."""
    row = connection.execute(
        "UPDATE alerts SET cleared_utc_us = ? WHERE alert_id = ? AND cleared_utc_us IS NULL RETURNING alert_id",
        [utc_us, alert_id],
    ).fetchone()
    return row is not None


def acknowledge_alert(connection: Connection, alert_id: str, *, who: str, utc_us: int) -> bool:
    """A person has seen it. False: no such alert, or seen before."""
    row = connection.execute(
        "UPDATE alerts SET acknowledged_utc_us = ?, acknowledged_by = ? "
        "WHERE alert_id = ? AND acknowledged_utc_us IS NULL RETURNING alert_id",
        [utc_us, who, alert_id],
    ).fetchone()
    return row is not None


def record_deliveries(connection: Connection, rows: Sequence[DeliveryRow]) -> None:
    """How far alerts have got on their channels; the same alert, opening and channel again replaces."""
    for row in rows:
        key = ["alert_id", "opened_utc_us", "channel"]
        _replace(connection, "alert_deliveries", key, {field.name: getattr(row, field.name) for field in fields(row)})


def record_feedback(connection: Connection, row: FeedbackRow) -> MovieState | None:
    """Keep a person's verdict; `accept` and `reject` also change the state of a processed movie.

    Returns the movie's state afterwards (None without a movie). Raises `UsageError` for an unknown movie or verdict.
    """
    if row.verdict not in ("accept", "reject", "note"):
        raise UsageError(f"a verdict is accept, reject or note, not {row.verdict!r}")
    state: MovieState | None = None
    if row.movie_id is not None:
        movie = connection.execute("SELECT state FROM movies WHERE movie_id = ?", [row.movie_id]).fetchone()
        if movie is None:
            raise UsageError(f"no movie {row.movie_id} in this session")
        state = MovieState(movie[0])
        if state in (MovieState.READY, MovieState.REJECTED) and row.verdict != "note":
            state = MovieState.READY if row.verdict == "accept" else MovieState.REJECTED
            reason = None if row.verdict == "accept" else row.note or f"rejected by {row.who}"
            connection.execute(
                "UPDATE movies SET state = ?, rejection_reason = ? WHERE movie_id = ?",
                [state.value, reason, row.movie_id],
            )
    connection.execute(
        "INSERT INTO feedback (feedback_id, created_utc_us, movie_id, verdict, note, who) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        [row.feedback_id, row.created_utc_us, row.movie_id, row.verdict, row.note, row.who],
    )
    return state


def record_particles(connection: Connection, row: ParticleRows) -> None:
    """Replace all particles of a movie. Raises ValueError when the columns differ in length."""
    lists = {
        field.name: getattr(row, field.name)
        for field in fields(row)
        if field.name not in ("movie_id", "diameter_angstrom")
    }
    lengths = {name: len(values) for name, values in lists.items() if values is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"particles of {row.movie_id}: columns of different length {lengths}")
    _replace(
        connection,
        "particle_arrays",
        ["movie_id"],
        {
            "movie_id": row.movie_id,
            "diameter_angstrom": row.diameter_angstrom,
            **{name: None if values is None else list(values) for name, values in lists.items()},
        },
    )
    connection.execute("UPDATE quality SET particle_count = ? WHERE movie_id = ?", [len(row.x_px), row.movie_id])


def record_prior(connection: Connection, row: PriorRow) -> None:
    """One version of the prior; the same version again replaces it."""
    _replace(
        connection,
        "priors",
        ["version"],
        {
            "version": row.version,
            "created_utc_us": row.created_utc_us,
            "movie_count": row.movie_count,
            "factor_names": json.dumps(row.factor_names),
            "mean": json.dumps(row.mean),
            "sd": json.dumps(row.sd),
            "state_json": row.state_json,
            "parameter_hash": row.parameter_hash,
            "code_version": row.code_version,
            "change_sd": json.dumps(row.change_sd),
        },
    )


def record_learning(connection: Connection, row: LearningRow) -> None:
    """One round of the learned restoration; the same round again replaces it."""
    _replace(
        connection, "restoration_rounds", ["round"], {field.name: getattr(row, field.name) for field in fields(row)}
    )


def record_intervention(connection: Connection, row: InterventionRow) -> None:
    """An advice, or what a person did; the same id again replaces it."""
    _replace(
        connection,
        "interventions",
        ["intervention_id"],
        {field.name: getattr(row, field.name) for field in fields(row)},
    )


def record_score(connection: Connection, row: ScoreRow) -> None:
    """One evaluator's verdict of one round; again replaces it."""
    _replace(
        connection, "scores", ["round", "evaluator"], {field.name: getattr(row, field.name) for field in fields(row)}
    )


def record_scores(connection: Connection, rows: Sequence[ScoreRow]) -> None:
    """All verdicts of a round together."""
    for row in rows:
        record_score(connection, row)


def record_reconstruction(connection: Connection, row: ReconstructionRow) -> None:
    """A round with its FSC, its classes and its forecasts; the same round again replaces all of them."""
    curves = ("frequency_per_angstrom", "fsc", "fsc_unmasked", "fsc_masked", "fsc_randomised", "fsc_uniform")
    _replace(connection, "reconstructions", ["round"], as_values(row))
    for table in ("fsc", "classes", "forecasts", "map_classes", "map_gains"):
        connection.execute(f"DELETE FROM {table} WHERE round >= ?", [row.round])
    # Later rounds are those of a map that was made again since: this one is the newest.
    connection.execute("DELETE FROM reconstructions WHERE round > ?", [row.round])
    columns = [getattr(row, name) or (None,) * len(row.fsc) for name in curves]
    points = [(row.round, *point) for point in zip(*columns, strict=True)]
    _insert_many(connection, "fsc", ("round", *curves), points)
    parts: tuple[tuple[str, type, Sequence[Any]], ...] = (
        ("forecasts", ForecastRow, row.forecasts),
        ("classes", ClassRow, row.classes),
        ("map_classes", MapClassRow, row.map_classes),
        ("map_gains", GainRow, row.gains),
    )
    for table, kind, rows in parts:
        names = tuple(field.name for field in fields(kind))
        _insert_many(connection, table, ("round", *names), [(row.round, *astuple(one)) for one in rows])
    class_writes.record_choices(connection, row.class_choices)


def _replace(connection: Connection, table: str, key: Sequence[str], values: dict[str, object]) -> None:
    where = " AND ".join(f"{name} = ?" for name in key)
    connection.execute(f"DELETE FROM {table} WHERE {where}", [values[name] for name in key])
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def _insert_many(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    # By name: columns that a migration added stand in the order in which they came.
    if rows:
        marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
        values = [value for row in rows for value in row]
        connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}", values)
