"""Colours and signs. Okabe & Ito's eight colours (2008), which all kinds of colour vision tell apart; every colour
comes with a word or a sign, so that nothing is lost on a monochrome terminal."""

from __future__ import annotations

from typing import NamedTuple

BLUE = "#56b4e9"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILION = "#d55e00"
YELLOW = "#f0e442"
PURPLE = "#cc79a7"
WHITE = "#e6e6e6"
GRAY = "#8a8a8a"


class Look(NamedTuple):
    """How a state is shown: a sign of one cell, the word, and a colour that repeats them."""

    sign: str
    word: str
    color: str

    @property
    def text(self) -> str:
        return f"{self.sign} {self.word}"


MOVIE_STATES: dict[str, Look] = {
    "found": Look("·", "found", GRAY),
    "settling": Look("…", "settling", GRAY),
    "queued": Look("○", "queued", BLUE),
    "processing": Look("▶", "processing", BLUE),
    "ready": Look("✓", "kept", GREEN),
    "rejected": Look("✗", "rejected", ORANGE),
    "failed": Look("!", "failed", VERMILION),
    "quarantined": Look("■", "set aside", VERMILION),
    "outdated": Look("~", "outdated", PURPLE),
}

SESSION_STATES: dict[str, Look] = {
    "starting": Look("…", "starting", BLUE),
    "running": Look("▶", "running", GREEN),
    "paused": Look("‖", "paused", ORANGE),
    "blocked": Look("■", "blocked", VERMILION),
    "stopping": Look("…", "stopping", ORANGE),
    "finished": Look("✓", "finished", BLUE),
    "stopped": Look("■", "stopped", ORANGE),
    "ended": Look("!", "ended without being closed", VERMILION),
}

WORKER_STATES: dict[str, Look] = {
    "starting": Look("…", "starting", BLUE),
    "idle": Look("○", "idle", GRAY),
    "working": Look("▶", "working", GREEN),
    "failed": Look("!", "failed", VERMILION),
    "gone": Look("■", "gone", VERMILION),
}


def movie_look(state: object) -> Look:
    """Also for a state that this screen does not know yet."""
    return MOVIE_STATES.get(str(state)) or Look("?", str(state), WHITE)
