"""What people say of places on the grid (take this first, leave that out), kept with the session: by its daemon, or
without one."""

from __future__ import annotations

import math
from pathlib import Path

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.changes.interventions import kept_or_later
from frazil.daemon.store import result_files
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import OF_SESSION, TargetWordRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes

WORDS_OF_ORDERS = {"target-pick": "picked", "target-avoid": "avoided", "target-forget": "forgotten"}
"""What an order of the daemon says of its place."""
ALL = "all"
"""Instead of a place: whatever was said."""
_LEFT_OUT_ABOVE_SQL = """
SELECT a.level, a.name FROM grid_targets t JOIN grid_targets a ON a.target_id IN (t.parent_id, t.square_id)
JOIN target_words w ON w.target_id = a.target_id
WHERE w.word = 'avoided' AND t.target_id = ? AND a.target_id <> t.target_id
"""
_MOST_HOURS = 10_000.0
_SAID = {"picked": "is taken first", "avoided": "is left out", "forgotten": "is as the program has it"}


def note_word(store: Store, session_dir: Path, place: str, word: str, *, who: str, now_utc_us: int) -> str:
    """Keep what a person says of a hole, patch or square (`picked`, `avoided`, `forgotten`), in its file and in the
    store; the newest word counts. Returns a sentence.

    Raises
    ------
    NotThereError
        No place is called so.
    UsageError
        Several are.
    RetryLaterError
        The disk refused it: it is not kept.
    """
    if word == "forgotten" and place == ALL:
        rows = store.named("target_words").as_dicts()
        ids = [str(row["target_id"]) for row in rows]
        for target_id in ids:
            _keep(store, session_dir, TargetWordRow(target_id, word, who or "unknown", now_utc_us))
        return "1 word is forgotten" if len(ids) == 1 else f"{len(ids)} words are forgotten"
    target_id, name = _place(store, place)
    _keep(store, session_dir, TargetWordRow(target_id, word, who or "unknown", now_utc_us))
    return f"{name} {_SAID[word]}{_against(store, target_id) if word == 'picked' else ''}"


def _against(store: Store, target_id: str) -> str:
    """What a person said before of the place that a picked one lies in, where that goes before the pick."""
    rows = store.rows(_LEFT_OUT_ABOVE_SQL, target_id)
    return f", once {rows[0][0]} {rows[0][1]}, which is left out, is forgotten" if rows else ""


def note_hours(store: Store, session_dir: Path, hours: float, *, who: str, now_utc_us: int) -> str:
    """Keep how many hours are left at the microscope from now on. Returns a sentence. Raises as `note_word`."""
    if not (math.isfinite(hours) and 0.0 < hours <= _MOST_HOURS):
        raise UsageError(f"{hours:g} hours cannot be left", remedy="give the hours that are left at the microscope")
    row = TargetWordRow(OF_SESSION, "hours_left", who or "unknown", now_utc_us, hours=hours)
    _keep(store, session_dir, row)
    return f"{hours:g} h are left at the microscope from now on"


def _place(store: Store, place: str) -> tuple[str, str]:
    """Id, and how a person calls it."""
    rows = store.named("targets_called", {"name": place}).as_dicts()
    exact = [row for row in rows if row["target_id"] == place]
    here = [row for row in rows if row["grid_id"] == rows[0]["grid_id"]]  # the grid in the microscope comes first
    found = exact or here
    if not found:
        raise NotThereError(
            f"no hole, patch or square is called {place[:80]!r}", remedy="`frazil next SESSION` lists their names"
        )
    if len(found) > 1:
        ids = ", ".join(str(row["target_id"]) for row in found[:5])
        raise UsageError(f"{len(found)} places are called {place[:80]!r}", remedy=f"give the id of one: {ids}")
    row = found[0]
    return str(row["target_id"]), f"{row['level']} {row['name'] or row['target_id']}"


def _keep(store: Store, session_dir: Path, row: TargetWordRow) -> None:
    with kept_or_later():
        result_files.append_target_word(session_dir, row)
    store.write(WritePolicy.DURABLE, target_writes.record_word, row)
