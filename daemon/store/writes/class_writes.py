"""What is written of 2D classes, and read again: what holds for them, what people say of them, the classes of a movie's
particles. Idempotent, without clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from frazil.daemon.store.engine import Connection
from frazil.daemon.store.rows import ClassChoiceRow, ClassVerdictRow
from frazil.daemon.store.store import Store

KEEP, REJECT, UNDECIDED = "keep", "reject", "undecided"
_CHOICE_COLUMNS = ", ".join(field.name for field in fields(ClassChoiceRow))
_VERDICT_COLUMNS = ", ".join(field.name for field in fields(ClassVerdictRow))


def record_choices(connection: Connection, rows: Sequence[ClassChoiceRow]) -> None:
    """What holds now for all classes; classes that are not among them are those of particles that are no more."""
    connection.execute("DELETE FROM class_choices")
    if rows:
        marks = ", ".join("?" * len(fields(ClassChoiceRow)))
        connection.executemany(
            f"INSERT INTO class_choices ({_CHOICE_COLUMNS}) VALUES ({marks})", [list(astuple(row)) for row in rows]
        )


def record_verdicts(connection: Connection, rows: Sequence[ClassVerdictRow]) -> None:
    """Keep what a person said; the same order again is said once."""
    marks = ", ".join("?" * len(fields(ClassVerdictRow)))
    connection.executemany(
        f"INSERT INTO class_verdicts ({_VERDICT_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING",
        [list(astuple(row)) for row in rows],
    )


def record_classes(connection: Connection, movie_id: str, class_ids: Sequence[int]) -> None:
    """The classes of a movie's particles, whose poses stay as they are; nothing where they were picked again."""
    connection.execute(
        "UPDATE particle_arrays SET class_id = ? WHERE movie_id = ? AND len(x_px) = ?",
        [list(class_ids), movie_id, len(class_ids)],
    )


def verdicts_now(store: Store) -> dict[int, bool | None]:
    """Of every class that a person has spoken of: True keep, False reject, None: the judge is to decide."""
    meaning = {KEEP: True, REJECT: False}
    rows = store.rows("SELECT class_id, verdict FROM class_verdicts_now ORDER BY class_id")
    return {int(class_id): meaning.get(str(verdict)) for class_id, verdict in rows}
