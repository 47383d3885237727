"""The newest randomised experiment as text: its arms, what they differ by, what it says. Pure; knows no Textual."""

from __future__ import annotations

from rich.text import Text

from frazil.daemon.transport.messages import Row
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE

_SCALE_CELLS = 25
_LEAST_SCALE_LN = 0.25
_COMPLIED_ENOUGH = 0.8


def experiment_text(row: Row) -> Text:
    """A few lines: the arms, the verdict, the net difference about "no difference", who followed the plan."""
    text = Text.assemble(("experiment  ", f"bold {BLUE}"), f"{clean(row['words'])}\n")
    state, better = row.get("state"), row.get("better")
    mark, color = ("✓", GREEN) if state == "decided" else ("…", ORANGE)
    if row.get("stopped_utc_us") is not None and state != "decided":
        text.append(f"stopped by {clean(row.get('stopped_by'))}\n", GRAY)
    text.append(f"{mark} ", f"bold {color}").append(f"{clean(row['sentence'])}\n", "bold" if better else "")
    net, low, high = (row.get(name) for name in ("net_ln", "net_low_ln", "net_high_ln"))
    if isinstance(net, float) and isinstance(low, float) and isinstance(high, float):
        text.append(f"B {scale(net, low, high, _SCALE_CELLS)} A  ", BLUE)
    text.append(f"{row.get('pairs')} of {row.get('most_pairs')} pairs{_failed(row)}\n", GRAY)
    share = row.get("complied_share")
    loud = isinstance(share, float) and share < _COMPLIED_ENOUGH
    text.append(f"{'! ' if loud else ''}{clean(row['compliance'])}\n", f"bold {ORANGE}" if loud else GRAY)
    strangers = row.get("strangers")
    if strangers:
        text.append(f"! {strangers} movie{'' if strangers == 1 else 's'} outside the plan\n", ORANGE)
    return text


def _failed(row: Row) -> str:
    told = [f"{row.get(f'failed_{arm.lower()}')} of {arm}" for arm in "AB" if row.get(f"failed_{arm.lower()}")]
    return f"; failed: {', '.join(told)}" if told else ""


def scale(value: float, low: float, high: float, cells: int) -> str:
    """An interval about 0 in an odd number of cells: `·` the scale, `│` no difference, `░` the interval, `█` the value;
    `◂` and `▸` where it goes on.

    >>> scale(0.1, 0.05, 0.2, 11)
    '·····│░█░░·'
    """
    middle = cells // 2
    full = max(_LEAST_SCALE_LN, abs(value) * 1.5)

    def place(one: float) -> int:
        return middle + round(one / full * middle)

    drawn = ["·"] * cells
    for cell in range(max(place(low), 0), min(place(high), cells - 1) + 1):
        drawn[cell] = "░"
    drawn[middle] = "│"
    drawn[min(max(place(value), 0), cells - 1)] = "█"
    if place(low) < 0:
        drawn[0] = "◂"
    if place(high) >= cells:
        drawn[-1] = "▸"
    return "".join(drawn)
