"""Where to shoot next, on the page: the squares as a map, the next holes as a table, what to do as a sentence.

A square has a sign for its state and, where there is room, its name and the share that is expected to be usable; the
colour repeats the share by fifths. Positions are those of the stage (y upwards), else of the atlas's pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from frazil.daemon.report.html.parts import Frame, label, paragraphs, svg, table, wide
from frazil.daemon.report.summary.records import GridTold, NextHole, SquareTold
from frazil.daemon.report.summary.text import grid_facts
from frazil.daemon.transport.reasons import without_chance

_MOST_DRAWN = 1500
_WIDTH, _MOST_HEIGHT, _EDGE = 900.0, 620.0, 30.0
_SHARE_OF_PITCH = 0.62
_LEAST_SIDE, _MOST_SIDE, _WRITTEN_SIDE = 6.0, 54.0, 30.0
_SIGNS = {
    "next": "▶",
    "picked": "+",
    "avoided": "–",
    "gone": "~",
    "processed": "●",
    "exposed": "◐",
    "chosen": "○",
    "seen": "·",
}
_FIFTHS = ("below 20 %", "20 to 40 %", "40 to 60 %", "60 to 80 %", "above 80 %")


def next_part(told: GridTold | None) -> str:
    """Empty: no grid is known."""
    if told is None:
        return ""
    following = told.next[0].square_id if told.next else None
    usable = "" if told.usable_angstrom is None else f"; usable: the CTF fits to {told.usable_angstrom:g} A or better"
    return (
        f"<p class=lead>{escape(told.verdict)}</p>{paragraphs([f'{grid_facts(told)}{usable}.'], 'dim')}"
        f"{_map(told.squares, following)}{_table(told.next)}"
    )


def _table(holes: Sequence[NextHole]) -> str:
    rows = [
        (
            f"{one.rank}",
            one.square,
            one.name,
            _chance(one.usable, one.usable_low, one.usable_high),
            "" if one.signal is None else f"{one.signal:.0f}",
            f"{one.minutes:.1f}",
            without_chance(one.reason),
        )
        for one in holes
    ]
    names = ("no.", "square", "hole", "usable (80 %)", "signal", "min", "why")
    return wide(table(rows, names, "next"), "Holes to take next")


def _chance(value: float, low: float | None, high: float | None) -> str:
    return f"{100 * value:.0f} % ({100 * (low or 0.0):.0f} to {100 * (high or 0.0):.0f})"


# ---- the map


def _map(squares: Sequence[SquareTold], following: str | None) -> str:
    placed = _placed(squares)[:_MOST_DRAWN]
    if len(placed) < 2:
        return ""
    xs, ys = [x for x, _, _ in placed], [y for _, y, _ in placed]
    span_x, span_y = max(max(xs) - min(xs), 1e-6), max(max(ys) - min(ys), 1e-6)
    scale = min((_WIDTH - 2 * _EDGE) / span_x, (_MOST_HEIGHT - 2 * _EDGE) / span_y)
    height = span_y * scale + 2 * _EDGE
    frame = Frame(_WIDTH, height, (0.0, 1.0), (0.0, 1.0), left=0.0, right=0.0, top=0.0, bottom=0.0)
    pitch = math.sqrt(max(span_x, 0.1 * span_y) * max(span_y, 0.1 * span_x) / len(placed)) * scale
    side = min(max(_SHARE_OF_PITCH * pitch, _LEAST_SIDE), _MOST_SIDE)
    left = (_WIDTH - span_x * scale) / 2
    marks = [
        _mark(one, left + (x - min(xs)) * scale, _EDGE + (y - min(ys)) * scale, side, one.square_id == following)
        for x, y, one in placed
    ]
    missing = len(squares) - len(placed)
    note = [f"{missing} squares are not on this map: their positions are not known."] if missing else []
    states = {"next" if one.square_id == following else one.state for _, _, one in placed}
    if side >= _WRITTEN_SIDE:
        note.insert(0, "In a square: its sign, the percentage of what is left that is expected to be usable, its name.")
    return svg(frame, f"{len(placed)} squares of the grid", marks) + _legend(states) + paragraphs(note, "dim")


def _placed(squares: Sequence[SquareTold]) -> list[tuple[float, float, SquareTold]]:
    """y downwards, all in one unit: that in which more squares are known."""
    by_stage = [
        (one.stage_x_um, -one.stage_y_um, one)
        for one in squares
        if one.stage_x_um is not None and one.stage_y_um is not None
    ]
    by_pixel = [(one.x_px, one.y_px, one) for one in squares if one.x_px is not None and one.y_px is not None]
    return by_stage if len(by_stage) >= len(by_pixel) else by_pixel


def _mark(one: SquareTold, x: float, y: float, side: float, following: bool) -> str:
    state = "next" if following else one.state
    kind = f"u{_fifth(one.usable)}" if one.state not in ("avoided", "gone") else "u0"
    sign = _SIGNS.get(state, "?")
    written = side >= _WRITTEN_SIDE
    share = f" {100 * one.usable:.0f}" if written and one.usable is not None and kind != "u0" else ""
    half = side / 2
    parts = [
        f"<title>{escape(_title(one, state))}</title>",
        f"<rect class=tile x={x - half:.1f} y={y - half:.1f} width={side:.1f} height={side:.1f} />",
        label(x, y + (0.0 if written else 4.0), f"{sign}{share}", "middle"),
    ]
    if written:
        parts.append(label(x, y + 0.34 * side, one.name[-8:], "middle", "small"))
    return f"<g class='{kind}{' following' if following else ''}'>{''.join(parts)}</g>"


def _fifth(usable: float | None) -> int:
    """From 1; 0: nothing is expected of it."""
    return 0 if usable is None else min(max(int(5 * usable), 0), 4) + 1


def _title(one: SquareTold, state: str) -> str:
    said = [f"square {one.name}: {state}", f"{one.exposed} of {one.holes} holes exposed"]
    if one.movies:
        said.append(f"{one.kept} of {one.movies} movies kept")
    if one.ctf_fit_angstrom is not None:
        said.append(f"CTF fits to {one.ctf_fit_angstrom:.1f} A")
    if one.usable is not None:
        said.append(f"{_chance(one.usable, one.usable_low, one.usable_high)} of what is left expected to be usable")
    return ", ".join(said)


def _legend(states: set[str]) -> str:
    signs = "".join(f"<span><b>{sign}</b> {state}</span>" for state, sign in _SIGNS.items() if state in states)
    swatches = "".join(
        f"<span><svg class=key viewBox='0 0 18 18'><g class=u{number}><rect class=tile x=2 y=2 width=14 height=14 />"
        f"</g></svg>{words}</span>"
        for number, words in enumerate(_FIFTHS, 1)
    )
    return f"<p class=legend>{signs}</p><p class=legend><span>expected usable:</span>{swatches}</p>"
