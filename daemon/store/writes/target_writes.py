"""What is written about the grid: its places, what people say of them, links of movies, rounds of advice. Idempotent,
without clocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, fields

from frazil.daemon.store.engine import Connection
from frazil.daemon.store.target_rows import (
    BeamShiftRow,
    GridOutlookRow,
    KnownTarget,
    MovieTargetRow,
    PostedDecisionRow,
    SquareHolesRow,
    TargetRoundRow,
    TargetWordRow,
)
from frazil.models.grid_target import GridName, at_grid_bar
from frazil.models.targets.records import NextTargets

AT_ONCE = 5000
"""Rows that are written together: the writer has movies to write too."""
_KEPT_ROUNDS = 20
"""Lists of targets are kept of so many rounds; the rounds themselves all are."""
_TARGET_COLUMNS = {
    "target_id": "TEXT",
    "level": "TEXT",
    "program": "TEXT",
    "name": "TEXT",
    "parent_id": "TEXT",
    "square_id": "TEXT",
    "grid_id": "TEXT",
    "state": "TEXT",
    "gone": "BOOLEAN",
    "at_bar": "BOOLEAN",
    "acquisition_order": "INTEGER",
    "stage_group": "TEXT",
    "x_in_parent_px": "DOUBLE",
    "y_in_parent_px": "DOUBLE",
    "stage_x_um": "DOUBLE",
    "stage_y_um": "DOUBLE",
    "stage_z_um": "DOUBLE",
    "diameter_um": "DOUBLE",
    "features_json": "TEXT",
    "image_path": "TEXT",
    "acquired_utc_us": "BIGINT",
    "said_by": "TEXT",
    "image_width_px": "INTEGER",
    "image_height_px": "INTEGER",
    "first_seen_utc_us": "BIGINT",
    "last_seen_utc_us": "BIGINT",
}
_MOVIE_COLUMNS = {field.name: "TEXT" for field in fields(MovieTargetRow)}
_POSTED_KEY = ("service_session_id", "area_id", "decision_type")
_POSTED_COLUMNS = {field.name: {"int": "BIGINT"}.get(str(field.type), "TEXT") for field in fields(PostedDecisionRow)}


def record_targets(connection: Connection, rows: Sequence[KnownTarget], *, utc_us: int) -> None:
    """Keep what is known of these targets now; when a target was first seen stays."""
    values = [
        (
            *(one.target.target_id, one.target.level, one.target.program, one.target.name, one.target.parent_id),
            *(one.square_id, one.grid_id, one.target.state, one.gone, at_grid_bar(one.target)),
            *(one.target.order, one.target.group),
            *(one.target.x_in_parent_px, one.target.y_in_parent_px),
            *(one.target.stage_x_um, one.target.stage_y_um, one.target.stage_z_um, one.target.diameter_um),
            json.dumps(dict(one.target.features)),
            *(one.target.image_path, one.target.acquired_utc_us, one.target.said_by),
            *(one.target.image_width_px, one.target.image_height_px, utc_us, utc_us),
        )
        for one in rows
    ]
    upsert(connection, "grid_targets", _TARGET_COLUMNS, values, key=("target_id",), keep=("first_seen_utc_us",))


def rename_grids(connection: Connection, renames: Sequence[tuple[GridName, GridName]]) -> None:
    """Grids that turned out to be another one: their places are written anew under its name, what people said of them
    is said of these, and its movies are of these. Images of its squares are measured again."""
    for old, new in renames:
        after = len(old.prefix) + 1
        connection.execute(
            "UPDATE movie_targets SET target_id = ? || substr(target_id, ?), hole_id = ? || substr(hole_id, ?) "
            "WHERE hole_id IN (SELECT target_id FROM grid_targets WHERE grid_id = ?)",
            [new.prefix, after, new.prefix, after, old.grid_id],
        )
        for table, column in (("square_images", "square_id"), ("hole_images", "hole_id"), ("hole_ice", "hole_id")):
            connection.execute(
                f"DELETE FROM {table} WHERE {column} IN (SELECT target_id FROM grid_targets WHERE grid_id = ?)",
                [old.grid_id],
            )
        said = connection.execute(
            "DELETE FROM target_words WHERE target_id IN (SELECT target_id FROM grid_targets WHERE grid_id = ?) "
            "RETURNING target_id, word, who, created_utc_us, hours",
            [old.grid_id],
        ).fetchall()
        for target_id, *word in said:
            record_word(connection, TargetWordRow(new.prefix + target_id.removeprefix(old.prefix), *word))
        connection.execute("UPDATE target_rounds SET grid_id = ? WHERE grid_id = ?", [new.grid_id, old.grid_id])
        for table in ("grid_targets", "hole_predictions", "grid_outlooks"):
            connection.execute(f"DELETE FROM {table} WHERE grid_id = ?", [old.grid_id])


def record_word(connection: Connection, row: TargetWordRow) -> None:
    """Keep what a person said; an older word of the same target does not replace a newer one."""
    connection.execute(
        "INSERT INTO target_words (target_id, word, hours, who, created_utc_us) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (target_id) DO UPDATE SET word = excluded.word, hours = excluded.hours, who = excluded.who, "
        "created_utc_us = excluded.created_utc_us WHERE excluded.created_utc_us >= target_words.created_utc_us",
        [row.target_id, row.word, row.hours, row.who, row.created_utc_us],
    )


def record_links(connection: Connection, rows: Sequence[MovieTargetRow], *, not_linked: Sequence[str] = ()) -> None:
    """Keep which places movies are of; a movie is of one, or (`not_linked`) of none that is known."""
    connection.execute("DELETE FROM movie_targets WHERE movie_id IN (SELECT unnest(?::TEXT[]))", [list(not_linked)])
    upsert(connection, "movie_targets", _MOVIE_COLUMNS, [astuple(row) for row in rows], key=("movie_id",))


def record_posted(connection: Connection, rows: Sequence[PostedDecisionRow]) -> None:
    """Keep what EPU's decision service has been told; the newest of each area and kind."""
    upsert(connection, "athena_decisions", _POSTED_COLUMNS, [astuple(row) for row in rows], key=_POSTED_KEY)


def forget_posted(connection: Connection) -> None:
    """The service may have lost what it was told: all of it is told again."""
    connection.execute("DELETE FROM athena_decisions")


def record_beam_shift(connection: Connection, row: BeamShiftRow) -> None:
    """Keep a calibration of EPU's beam shift, or why there is none."""
    columns: dict[str, object] = {
        "exposures": row.exposures,
        "created_utc_us": row.created_utc_us,
        "words": row.words,
        "reason": row.answer.reason or None,
    }
    found = row.answer.calibration
    if found is not None:
        columns |= {"um_per_unit": found.scale_um, "um_per_unit_sd": found.scale_error_um}
        columns |= {"mirrored": found.mirrored, "rotation_deg": found.rotation_deg, "residual_um": found.residual_um}
        columns |= {"clusters": found.cluster_count, "holes": found.hole_count, "coherence": found.coherence}
        for name, matrix in (("um", found.um_per_unit), ("sd", found.error_um_per_unit)):
            columns |= {f"{name}_{'xy'[i]}{'xy'[j]}": matrix[i][j] for i in (0, 1) for j in (0, 1)}
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    connection.execute(
        f"INSERT OR REPLACE INTO beam_shift_calibrations ({names}) VALUES ({marks})", list(columns.values())
    )


def record_round(
    connection: Connection, row: TargetRoundRow, holes: Sequence[SquareHolesRow] = (), *, gone: Sequence[str] = ()
) -> None:
    """Keep a round with its lists; the same round again replaces it, and lists of old rounds go. `holes`: what is
    expected of those of each square that changed, `gone`: squares of which nothing is expected any more."""
    answer = row.answer
    columns: dict[str, object] = {
        "round": row.round,
        "created_utc_us": row.created_utc_us,
        "words_utc_us": row.words_utc_us,
        "counted": row.counted,
        "usable_angstrom": row.usable_angstrom,
        "hours_left": row.hours_left,
        "holes": row.holes,
        "exposed": row.exposed,
        "outcomes": row.outcomes,
        "line": row.line,
        "grid_id": row.grid_id,
        "other_grid": row.other_grid,
        "verdict": answer.verdict,
        "square_id": answer.ranked[0].square_id if answer.ranked else None,
        "expected_more": answer.expected_more,
        "price_per_minute": answer.price_per_minute,
        "taken_share": answer.taken_share,
        "slopes_json": json.dumps(answer.feature_slopes),
        "move_hole_minutes": answer.moves.hole,
        "move_patch_minutes": answer.moves.patch,
        "move_square_minutes": answer.moves.square,
        "move_area_minutes": answer.moves.area,
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    connection.execute(f"INSERT OR REPLACE INTO target_rounds ({names}) VALUES ({marks})", list(columns.values()))
    old = "SELECT round FROM target_rounds WHERE grid_id = ? ORDER BY round DESC OFFSET ?"
    for table in ("target_predictions", "square_outlooks"):
        given = [row.round, row.grid_id, _KEPT_ROUNDS]
        connection.execute(f"DELETE FROM {table} WHERE round >= ? OR round IN ({old})", given)
    upsert(connection, "target_predictions", _PREDICTION_COLUMNS, _predictions(row.round, answer), key=_ROUND_RANK)
    upsert(connection, "square_outlooks", _OUTLOOK_COLUMNS, _outlooks(row.round, answer), key=_ROUND_PLACE)

    in_squares = "DELETE FROM hole_predictions WHERE grid_id = ? AND square_id IN (SELECT unnest(?::TEXT[]))"
    connection.execute(in_squares, [row.grid_id, [*gone, *(one.square_id for one in holes)]])
    upsert(connection, "hole_predictions", _HOLES_COLUMNS, [(row.grid_id, *astuple(one)) for one in holes])


def record_outlooks(connection: Connection, rows: Sequence[GridOutlookRow]) -> None:
    """Keep how other grids compare with the one in the microscope: these and no others."""
    connection.execute("DELETE FROM grid_outlooks")
    upsert(connection, "grid_outlooks", _GRID_COLUMNS, [astuple(row) for row in rows], key=("grid_id",))


_HOLES_COLUMNS = {"grid_id": "TEXT", **{field.name: "TEXT" for field in fields(SquareHolesRow)}}
_GRID_COLUMNS = {
    **dict.fromkeys(("grid_id", "counted"), "TEXT"),
    **dict.fromkeys(("times", "times_low", "times_high", "exchange_minutes"), "DOUBLE"),
}
_ROUND_RANK, _ROUND_PLACE = ("round", "rank"), ("round", "place")
_PREDICTION_COLUMNS = {
    **dict.fromkeys(_ROUND_RANK, "INTEGER"),
    **dict.fromkeys(("target_id", "square_id", "patch_id"), "TEXT"),
    **dict.fromkeys(
        ("usable", "usable_low", "usable_high", "signal", "signal_low", "signal_high", "minutes"), "DOUBLE"
    ),
    "picked": "BOOLEAN",
    "reason": "TEXT",
}
_OUTLOOK_COLUMNS = {
    **dict.fromkeys(_ROUND_PLACE, "INTEGER"),
    "square_id": "TEXT",
    **dict.fromkeys(("holes", "exposed", "holes_left", "usable_so_far"), "INTEGER"),
    **dict.fromkeys(("usable", "usable_low", "usable_high"), "DOUBLE"),
    "worth_taking": "INTEGER",
    "words": "TEXT",
}


def _predictions(round_number: int, answer: NextTargets) -> list[tuple[object, ...]]:
    return [
        (
            *(round_number, one.rank, one.target_id, one.square_id, one.patch_id),
            *(one.usable, one.usable_low, one.usable_high, one.signal, one.signal_low, one.signal_high),
            *(one.minutes, one.picked, one.reason),
        )
        for one in answer.ranked
    ]


def _outlooks(round_number: int, answer: NextTargets) -> list[tuple[object, ...]]:
    return [
        (
            *(round_number, place, one.square_id, one.holes, one.exposed, one.left, one.usable_so_far),
            *(one.usable, one.usable_low, one.usable_high, one.worth_taking, one.words),
        )
        for place, one in enumerate(answer.squares, 1)
    ]


def upsert(
    connection: Connection,
    table: str,
    columns: dict[str, str],
    rows: Sequence[tuple[object, ...]],
    *,
    key: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
) -> None:
    """Rows by their key, `columns` types by name; one that is there gets its other columns anew, but for `keep`.
    Without a key they are added."""
    if not rows:
        return
    unnested = ", ".join(f"unnest(?::{kind}[])" for kind in columns.values())
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key + keep)
    conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}" if key else ""
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {unnested} {conflict}",
        [list(values) for values in zip(*rows, strict=True)],
    )
