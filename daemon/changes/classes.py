"""What people say of 2-D classes (keep this one, leave that one out), kept with the session: by its daemon, or without
one.

A class's newest word holds; nothing is deleted. The running map hears of it before its next round and has carried it
out by the one after (docs/decisions/0052).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.changes.interventions import kept_or_later
from frazil.daemon.store import result_files
from frazil.daemon.store.rows import ClassVerdictRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import class_writes
from frazil.daemon.store.writes.class_writes import KEEP, REJECT, UNDECIDED

_MOST_IN_AN_ORDER = 1000
_KNOWN_SQL = "SELECT class_id FROM class_choices"
"""Not what a round shows before there are classes: their numbers are not given yet."""
_NEWEST_ORDER_SQL = """
SELECT class_id, said_utc_us FROM class_verdicts WHERE order_id =
    (SELECT order_id FROM class_verdicts ORDER BY said_utc_us DESC, order_id DESC LIMIT 1)
ORDER BY class_id
"""
_BEFORE_SQL = """
SELECT verdict FROM class_verdicts WHERE class_id = ? AND said_utc_us < ?
ORDER BY said_utc_us DESC, order_id DESC LIMIT 1
"""
_SAID = {KEEP: "are kept", REJECT: "are left out", UNDECIDED: "are for the judge to decide"}


@dataclass(frozen=True, slots=True)
class ClassWords:
    """What one order says."""

    verdicts: Mapping[int, str]
    """`keep`, `reject` or `undecided` by class."""
    undo: bool = False
    """Take back the newest order first."""

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> ClassWords:
        """Of an order's arguments: `keep`, `reject` and `undecided` as numbers with commas, and `undo`.

        Raises
        ------
        UsageError
            Something else stands there, a class has two words, or nothing is said.

        >>> ClassWords.of({"keep": "3,7", "reject": "5"}).verdicts
        {3: 'keep', 7: 'keep', 5: 'reject'}
        """
        verdicts: dict[int, str] = {}
        for verdict in (KEEP, REJECT, UNDECIDED):
            for class_id in _numbers(str(args.get(verdict) or "")):
                if verdicts.get(class_id, verdict) != verdict:
                    raise UsageError(f"class {class_id} is given two verdicts", remedy="give it one")
                verdicts[class_id] = verdict
        undo = args.get("undo") is True
        if not (verdicts or undo):
            raise UsageError("no class is named", remedy="give numbers of classes: `frazil classes SESSION` lists them")
        return cls(verdicts, undo)


def note_classes(
    store: Store, session_dir: Path, words: ClassWords, *, who: str, now_utc_us: int, order_id: str = ""
) -> str:
    """Keep an order in its file and in the store; the same id again is the same order. Returns a sentence.

    Raises
    ------
    NotThereError
        There is no such class, or nothing to take back.
    RetryLaterError
        The disk refused it: it is not kept.
    """
    known = {int(row[0]) for row in store.rows(_KNOWN_SQL)}
    unknown = sorted(set(words.verdicts) - known)
    if unknown:
        raise NotThereError(
            f"there is no class {', '.join(map(str, unknown))}", remedy="`frazil classes SESSION` lists them"
        )
    verdicts = (_taken_back(store) if words.undo else {}) | dict(words.verdicts)
    order_id = order_id or f"{now_utc_us}"
    who = who or "unknown"
    rows = [ClassVerdictRow(order_id, one, said, who, now_utc_us) for one, said in sorted(verdicts.items())]
    for row in rows:
        with kept_or_later():
            result_files.append_class_verdict(session_dir, row)
    store.write(WritePolicy.DURABLE, class_writes.record_verdicts, rows)
    return "; ".join(_sentences(verdicts))


def _taken_back(store: Store) -> dict[int, str]:
    """What held before the newest order, of its classes."""
    newest = store.rows(_NEWEST_ORDER_SQL)
    if not newest:
        raise NotThereError("nobody has said anything of a class yet", remedy="there is nothing to take back")
    found = {}
    for class_id, said_utc_us in newest:
        before = store.rows(_BEFORE_SQL, class_id, said_utc_us)
        found[int(class_id)] = str(before[0][0]) if before else UNDECIDED
    return found


def _sentences(verdicts: Mapping[int, str]) -> list[str]:
    told = []
    for verdict, words in _SAID.items():
        named = [str(one) for one, said in sorted(verdicts.items()) if said == verdict]
        if named:
            verb = words if len(named) > 1 else words.replace("are ", "is ", 1)
            told.append(f"class{'es' * (len(named) > 1)} {', '.join(named)} {verb}")
    return told


def _numbers(text: str) -> list[int]:
    words = [word for word in text.replace(" ", ",").split(",") if word]
    numbers = all(word.isascii() and word.isdecimal() and len(word) < 9 for word in words)
    if len(words) > _MOST_IN_AN_ORDER or not numbers:
        raise UsageError(f"{text[:80]!r} is no list of classes", remedy="give numbers with commas, as in 3,7")
    return [int(word) for word in words]
