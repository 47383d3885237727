"""The small parts of the summary's page: tables, sections, and the frame of a plot. Every text is escaped here."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

KEPT, LOST, CALM = "#0072b2", "#d55e00", "#8796a5"
"""Colours that people with any colour vision tell apart (Okabe & Ito); shapes say the same."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The box of a plot in px of its view box, and what its edges stand for."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 50.0
    right: float = 10.0
    top: float = 10.0
    bottom: float = 20.0

    def px(self, value: float) -> float:
        """From the left, clipped to the box."""
        return self.left + _share(value, self.x) * (self.width - self.left - self.right)

    def py(self, value: float) -> float:
        """From the top, clipped to the box."""
        return self.top + (1 - _share(value, self.y)) * (self.height - self.top - self.bottom)


def _share(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0)


def svg(frame: Frame, title: str, parts: Iterable[str]) -> str:
    """A plot that fills its column. `title` is read by screen readers and shown under the mouse."""
    box = (
        f"<rect class=box x={frame.left:g} y={frame.top:g} width={frame.width - frame.left - frame.right:g} "
        f"height={frame.height - frame.top - frame.bottom:g} />"
    )
    return (
        f"<svg viewBox='0 0 {frame.width:g} {frame.height:g}' role=img><title>{escape(title)}</title>"
        f"{box}{''.join(parts)}</svg>"
    )


def label(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """Text in a plot."""
    of_class = f" class={kind}" if kind else ""
    return f"<text x={x:.1f} y={y:.1f} text-anchor={anchor}{of_class}>{escape(words)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a class of the page's style."""
    return f"<line x1={x1:.1f} y1={y1:.1f} x2={x2:.1f} y2={y2:.1f} class={kind} />"


def polyline(points: Iterable[tuple[float, float]], kind: str) -> str:
    """A curve of a class of the page's style."""
    return f"<polyline class={kind} points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in points)}' />"


def dots(points: Sequence[tuple[float, float]], kind: str, radius_px: float = 1.9) -> str:
    """Round dots. Of many, one path of strokes without length: a tenth of the bytes."""
    if len(points) <= _SINGLY:
        return "".join(f"<circle class={kind} cx={x:.1f} cy={y:.1f} r={radius_px:g} />" for x, y in points)
    marks = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
    return f"<path class='{kind} many' stroke-width={2 * radius_px:g} d='{marks}' />"


def crosses(points: Sequence[tuple[float, float]], kind: str, arm_px: float = 2.2) -> str:
    """Crosses, as one path."""
    a, b = arm_px, 2 * arm_px
    marks = "".join(f"M{x - a:.1f} {y - a:.1f}l{b:g} {b:g}m0 {-b:g}l{-b:g} {b:g}" for x, y in points)
    return f"<path class='{kind} cross' d='{marks}' />" if points else ""


_SINGLY = 400
_NUMBER = re.compile(r"[+-]?[\d.,]+( (%|A|um|s|min|h))?\s*")


def wedges(points: Sequence[tuple[float, float, bool]], kind: str) -> str:
    """Small triangles that point up (True) or down: what lies beyond the edge of a plot."""
    marks = "".join(f"M{x - 3:.1f} {y:.1f}l3 {-5 if up else 5}l3 {5 if up else -5}z" for x, y, up in points)
    return f"<path class={kind} d='{marks}' />" if points else ""


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = (), kind: str = "") -> str:
    """Cells that hold numbers alone stand to the right."""
    top = "<thead><tr>" + "".join(f"<th>{escape(word)}</th>" for word in head) + "</tr></thead>" if head else ""
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return f"<table class='{kind}'>{top}<tbody>{body}</tbody></table>" if body else ""


def _cell(text: str) -> str:
    return f"<td{' class=n' if _NUMBER.fullmatch(text) else ''}>{escape(text)}</td>"


def section(name: str, *parts: str, note: str = "") -> str:
    """A headed part of the page; nothing where there is nothing to show."""
    body = "".join(parts)
    said = f"<p class=dim>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(name)}</h2>{said}{body}</section>" if body else ""


def folded(name: str, body: str) -> str:
    """What only some want to see: one line until it is opened."""
    return f"<details><summary>{escape(name)}</summary>{body}</details>" if body else ""


def wide(table: str, what: str) -> str:
    """A table that may be wider than the screen; `what` names it for those who hear it."""
    if not table:
        return ""
    return f"<div class=wide tabindex=0 role=region aria-label='{escape(what, quote=True)}'>{table}</div>"


def paragraphs(sentences: Iterable[str], kind: str = "") -> str:
    """One paragraph a sentence."""
    return "".join(f"<p class='{kind}'>{escape(sentence)}</p>" for sentence in sentences)


def numbered(sentences: Iterable[str]) -> str:
    """A list whose order means something."""
    return "<ol>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ol>"


def time_ticks(frame: Frame) -> list[str]:
    """Beginning, middle and end of a time axis (UTC microseconds); days are named when there are several."""
    first, last = frame.x
    long = last - first > 36 * 3.6e9
    found = []
    for utc_us, anchor in ((first, "start"), ((first + last) / 2, "middle"), (last, "end")):
        when = datetime.datetime.fromtimestamp(utc_us / 1e6, datetime.UTC)
        found.append(
            label(frame.px(utc_us), frame.height - 6, when.strftime("%d %b %H:%M" if long else "%H:%M"), anchor)
        )
    return found
