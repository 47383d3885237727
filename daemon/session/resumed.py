"""What a session that goes on takes over from before: its raw folder, and what people said of it, told at the start."""

from __future__ import annotations

from pathlib import Path

from frazil.config.errors import QueryError, UsageError
from frazil.config.loading import said_by_a_person
from frazil.config.reference import KNOWN_KEYS
from frazil.config.settings import Settings
from frazil.daemon.store.reading import FileReader


def raw_root_of(session_dir: Path) -> Path:
    """The folder that a session has watched.

    Raises
    ------
    UsageError
        There is no session, or it does not say (any more).
    SessionLockedError
        A daemon has it.
    """
    try:
        with FileReader(session_dir) as reader:
            rows = reader.named("session").as_dicts()
    except QueryError as error:
        raise UsageError(
            f"which folder it watched cannot be read ({error.what})", path=session_dir, remedy=_GIVE_RAW
        ) from error
    if not rows:
        raise UsageError("the session does not say which folder it watched", path=session_dir, remedy=_GIVE_RAW)
    return Path(str(rows[0]["raw_root"]))


_GIVE_RAW = "give the folder of the movies: frazil watch RAW --session SESSION"


def told_at_the_start(before: Settings, now: Settings) -> list[str]:
    """In words: what people said earlier and holds still, and what is another value now, each with who gave it."""
    kept, changed = [], []
    for key in KNOWN_KEYS:
        was, is_now = _value(before, key), _value(now, key)
        if was != is_now:
            changed.append(
                f"{key}: {_words(is_now)} ({_origin(now, key)}); before {_words(was)} ({_origin(before, key)})"
            )
        elif is_now is not False and said_by_a_person(before, key) is not None:  # what is off goes without saying
            kept.append(f"{key} {_words(is_now)} ({_origin(before, key)})")
    as_before = ["as before: " + ", ".join(kept)] if kept else []
    if before.preset != now.preset:
        changed.insert(0, f"preset {now.preset or 'none'}; before {before.preset or 'none'}")
    elif now.preset is not None:
        as_before.insert(0, f"as before: preset {now.preset}")
    return [*as_before, *(f"now {one}" for one in changed)]


def _value(settings: Settings, key: str) -> object:
    section, _, leaf = key.partition(".")
    value: object = getattr(getattr(settings, section), leaf)
    return value


def _origin(settings: Settings, key: str) -> str:
    return settings.origins.get(key) or "default"


def _words(value: object) -> str:
    return "null" if value is None else str(value)
