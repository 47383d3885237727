"""Signs and words of squares and holes: a sign for the state, a bar for what is expected; colours repeat them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from frazil.daemon.transport.messages import Row, Scalar
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE, PURPLE, VERMILION, WHITE, YELLOW, Look

STATES: dict[str, Look] = {
    "next": Look("▶", "next", GREEN),
    "picked": Look("+", "picked", PURPLE),
    "avoided": Look("–", "avoided", GRAY),
    "gone": Look("~", "gone", GRAY),
    "kept": Look("✓", "kept", GREEN),
    "lost": Look("✗", "not kept", VERMILION),
    "processed": Look("●", "processed", WHITE),
    "exposed": Look("◐", "exposed", BLUE),
    "chosen": Look("○", "chosen", WHITE),
    "seen": Look("·", "seen", GRAY),
}
"""In the order in which the legend tells them."""
STEPS: tuple[tuple[str, str], ...] = (
    ("▁", VERMILION), ("▂", ORANGE), ("▄", YELLOW), ("▆", GREEN), ("█", BLUE),
)  # fmt: skip
"""Sign and colour of a share by fifths: below 20 %, 40 %, 60 %, 80 %, and above."""


def step_of(share: Scalar) -> tuple[str, str] | None:
    """Of a share from 0 to 1; None: it is not known."""
    if isinstance(share, bool) or not isinstance(share, int | float) or share != share:
        return None
    return STEPS[min(max(int(share * len(STEPS)), 0), len(STEPS) - 1)]


def square_state(row: Row, next_square_id: str | None) -> str:
    """Of the query `grid_squares`: what matters most of it. Exposed and processed are those of its holes."""
    if row["target_id"] == next_square_id:
        return "next"
    if row["word"] in ("picked", "avoided"):
        return str(row["word"])
    if row["gone"]:
        return "gone"
    if row["state"] == "avoided":
        return "avoided"
    if row["processed"]:
        return "processed"
    return "exposed" if row["exposed"] else str(row["state"])


def hole_state(row: Row) -> str:
    """Of the query `square_targets`. What came of it goes before what anybody says of it."""
    if row["state"] == "processed" and row["processed"]:
        return "kept" if row["kept"] else "lost"
    if row["state"] in ("exposed", "processed"):
        return str(row["state"])
    if row["word"] in ("picked", "avoided"):
        return str(row["word"])
    return "gone" if row["gone"] else str(row["state"])


def look_of(state: str) -> Look:
    """Also of a state that this screen does not know yet."""
    return STATES.get(state) or Look("?", state, WHITE)


def square_mark(row: Row, next_square_id: str | None) -> Text:
    """Two cells: its state, and the share that is expected to be usable."""
    look, step = look_of(square_state(row, next_square_id)), step_of(row["usable"])
    mark = Text().append(look.sign, f"bold {look.color}" if look.word == "next" else look.color)
    if step is not None and look.word not in ("avoided", "gone"):
        mark.append(step[0], step[1])
    return mark


def hole_mark(row: Row, ranked: int) -> Text:
    """The rank of one of the next `ranked`, in the colour of what is expected; else its state, and what is expected."""
    rank, step = row["rank"], step_of(row["usable"])
    if isinstance(rank, int) and rank <= ranked:
        return Text().append(str(rank), f"bold {step[1] if step else WHITE}")
    look = look_of(hole_state(row))
    mark = Text().append(look.sign, look.color)
    return mark if step is None else mark.append(step[0], step[1])


def legend(states: Iterable[str], *, steps: bool, ranked: bool = False, unplaced: int = 0) -> Text:
    """The signs that are on a picture, and no others; `unplaced` places are not on it."""
    there = set(states)
    text = Text(overflow="fold")
    if ranked:
        text.append("1-10", f"bold {GREEN}").append(" next, by rank ", GRAY)
    for state, look in STATES.items():
        if state in there:
            text.append(look.sign, look.color).append(f" {look.word} ", GRAY)
    if steps:
        for sign, color in STEPS:
            text.append(sign, color)
        text.append(" usable 0-100 % ", GRAY)
    if unplaced:
        text.append(f"{unplaced} without a place, l: list", ORANGE)
    return text
