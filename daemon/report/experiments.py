"""Experiments told to a person: their lines on a terminal, their order as CSV and as SerialEM reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from frazil.config.errors import NotThereError
from frazil.daemon.store.reading import SessionReader

_COLUMNS = ("place", "block", "target", "grid_square", "stage_group", "arm", "setting")


def plan_rows(reader: SessionReader, experiment_id: str) -> list[dict[str, Any]]:
    """The order, hole by hole, with what came of it. Raises `NotThereError`."""
    rows = reader.named("experiment_assignments", {"experiment_id": experiment_id}).as_dicts()
    if not rows:
        raise NotThereError(f"no experiment {experiment_id[:80]}", remedy="see `frazil experiment list`")
    return [dict(row) for row in rows]


def plan_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a hole, in the order of acquisition; `setting` is in the unit of the quantity."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_plain(row[name]) for name in _COLUMNS] for row in rows)
    return text.getvalue()


def serialem_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a hole, without a heading: place, arm, setting, label. A script opens it once with `OpenTextFile` and
    has the next hole's values from `ReadLineToArray`: the third one is the setting."""
    return "".join(f"{row['place']} {row['arm']} {row['setting']:g} {_word(row)}\n" for row in rows)


def _word(row: Mapping[str, Any]) -> str:
    """Spaces divide a line into the array's elements."""
    return "_".join(str(row["target"]).split()) or "-"


def _plain(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def state_of(row: Mapping[str, Any]) -> str:
    """As a person knows it: an experiment that somebody ended before it was decided is stopped."""
    ended = row["stopped_utc_us"] is not None and row["state"] in ("not started", "running")
    return "stopped" if ended else str(row["state"])


def experiment_lines(row: Mapping[str, Any]) -> list[str]:
    """What one experiment says, the verdict first."""
    lines = [str(row["words"]), f"  {row['sentence']}"]
    if row["stopped_utc_us"] is not None:
        lines.append(f"  stopped by {row['stopped_by']}; movies taken later do not belong to it")
    pairs = f"  {row['pairs']} of {row['most_pairs']} pairs of movies compared"
    failed = [f"{row[f'failed_{arm}']} of {arm.upper()}" for arm in "ab" if row[f"failed_{arm}"]]
    lines.append(pairs + (f"; counted as failed: {', '.join(failed)}" if failed else ""))
    lines.append(f"  {row['compliance']}")
    if row["strangers"]:
        lines.append(f"  {row['strangers']} movies fit no hole of the plan and count for nothing")
    lines.append(f"  outcome {row['outcome']}, seed {row['seed']}, planned by {row['who']}, id {row['experiment_id']}")
    return lines
