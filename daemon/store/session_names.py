"""What a session is called."""

from __future__ import annotations

from pathlib import Path

_SAYS_NOTHING = frozenset({"session", "frazil", "frazil-session", "processing", "output", "out", "results"})
"""Names of folders that tell no session from another."""


def session_name(session_dir: Path, stored: str = "") -> str:
    """What a person knows it by: the name that is stored with it, or its folder's; where that says nothing, the name of
    the folder in which it lies.

    >>> session_name(Path("/data/2026-09-21_apoferritin")), session_name(Path("/data/2026-09-21_apoferritin/session"))
    ('2026-09-21_apoferritin', '2026-09-21_apoferritin')
    """
    folder = session_dir.resolve()
    name = stored or folder.name
    return folder.parent.name or name if name.lower() in _SAYS_NOTHING else name


def session_title(name: str) -> str:
    """For the head of a text or a page.

    >>> session_title("apoferritin"), session_title("session_12")
    ('Session apoferritin', 'session_12')
    """
    return name if name.lower().startswith("session") else f"Session {name}"
