"""Where on the grid the session was good: squares and their holes at stage positions, by the median CTF fit.

Quarters of the holes have shapes and colours; a cross is a place of which nothing was kept. Both axes of a plot have
one scale, x grows to the right and y upwards, as the stage says them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from frazil.daemon.report.html.parts import Frame, crosses, dots, label, line, paragraphs, svg
from frazil.daemon.report.html.spread import spread, spread_words
from frazil.daemon.report.summary.extras import SQUARES_WITH_HOLES
from frazil.daemon.report.summary.records import Hole, Square

_FEWEST_PLACES = 3
_MARKS: tuple[tuple[str, str], ...] = (
    ("best quarter", "q1"),
    ("second", "q2"),
    ("third", "q3"),
    ("worst quarter", "q4"),
)
_LOST = 4
"""The group of places without a kept movie."""


@dataclass(frozen=True, slots=True)
class _Place:
    x_um: float
    y_um: float
    group: int


def grid_maps(holes: Sequence[Hole], known_squares: Sequence[Square]) -> str:
    """An overview, and of few squares each with its holes; empty where too few places are known. A square's fit is that
    of `known_squares`, as in the list beside the picture."""
    fit_of = {square.name: square.ctf_fit_angstrom for square in known_squares if square.kept}
    fits = sorted(hole.ctf_fit_angstrom for hole in holes if hole.kept and hole.ctf_fit_angstrom is not None)
    if len(holes) < _FEWEST_PLACES or not fits:
        return ""
    squares: dict[str, list[Hole]] = {}
    for hole in spread(holes):
        squares.setdefault(hole.square, []).append(hole)
    if len(squares) > SQUARES_WITH_HOLES:
        # Holes of so many squares would lie on each other, and the worst on top.
        middles = sorted(fit for of_square in squares.values() if (fit := _middle_fit(of_square, fit_of)) is not None)
        limits = _limits(middles)
        places = [_middle_place(of_square, limits, fit_of) for of_square in squares.values()]
        title = f"{len(squares):,} squares, by the median of their movies"
        return _plot(places, 900.0, 560.0, title) + _legend(middles, limits, lost=len(middles) < len(squares))
    limits = _limits(fits)
    legend = _legend(fits, limits, lost=any(not hole.kept for hole in holes))
    legend += paragraphs(filter(None, [spread_words(holes)]), "dim")
    if len(squares) == 1:
        (places_of_one,) = squares.values()
        return _plot(_places(places_of_one, limits), 900.0, 560.0, f"{len(holes):,} places") + legend
    overview = [_middle_place(of_square, limits, fit_of) for of_square in squares.values()]
    panels = [
        _plot(_places(of_square, limits), 190.0, 170.0, name or "no square")
        for name, of_square in sorted(squares.items())
    ]
    return (
        f"<div class=grids><div>{_plot(overview, 440.0, 330.0, 'squares, by the median of their movies')}</div>"
        f"<div class=squares>{''.join(panels)}</div></div>{legend}"
    )


def _places(holes: Sequence[Hole], limits: Sequence[float]) -> list[_Place]:
    return [_Place(h.stage_x_um, h.stage_y_um, _group(h.ctf_fit_angstrom, h.kept, limits)) for h in holes]


def _limits(ordered: Sequence[float]) -> list[float]:
    """The quartiles of sorted values."""
    return [ordered[min(len(ordered) * place // 4, len(ordered) - 1)] for place in (1, 2, 3)]


def _middle_fit(holes: Sequence[Hole], fit_of: Mapping[str, float | None]) -> float | None:
    if holes[0].square in fit_of:
        return fit_of[holes[0].square]
    fits = [hole.ctf_fit_angstrom for hole in holes if hole.kept and hole.ctf_fit_angstrom is not None]
    return median(fits) if fits else None


def _middle_place(holes: Sequence[Hole], limits: Sequence[float], fit_of: Mapping[str, float | None]) -> _Place:
    fit = _middle_fit(holes, fit_of)
    x, y = (sum(values) / len(holes) for values in ([h.stage_x_um for h in holes], [h.stage_y_um for h in holes]))
    return _Place(x, y, _group(fit, fit is not None, limits))


def _group(fit_angstrom: float | None, kept: int, limits: Sequence[float]) -> int:
    return _LOST if not kept or fit_angstrom is None else sum(fit_angstrom > limit for limit in limits)


def _plot(places: Sequence[_Place], width: float, most_height: float, title: str) -> str:
    xs, ys = [place.x_um for place in places], [place.y_um for place in places]
    span_x, span_y = max(xs) - min(xs), max(ys) - min(ys)
    room = 0.07 * max(span_x, span_y, 0.1)
    left = right = 8.0
    inner_x = width - left - right
    um_per_px = max((span_x + 2 * room) / inner_x, (span_y + 2 * room) / (most_height - 44.0))
    inner_y = max((span_y + 2 * room) / um_per_px, 60.0)
    frame = Frame(width, inner_y + 44.0, (0.0, 1.0), (0.0, 1.0), left=left, right=right, top=20.0, bottom=24.0)
    middle_x, middle_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    groups: list[list[tuple[float, float]]] = [[] for _ in range(_LOST + 1)]
    for place in places:
        x = left + inner_x / 2 + (place.x_um - middle_x) / um_per_px
        groups[place.group].append((x, 20.0 + inner_y / 2 - (place.y_um - middle_y) / um_per_px))
    size = min(max(0.3 * math.sqrt(inner_x * inner_y / len(places)), 1.3), 5.0)
    parts = [_SHAPES[kind](points, kind, size) for points, (_, kind) in zip(groups, _MARKS, strict=False)]
    parts.append(crosses(groups[_LOST], "lost", size))
    bar_um = _round_length(0.25 * inner_x * um_per_px)
    y = frame.height - 10
    parts.append(line(left, y, left + bar_um / um_per_px, y, "scale"))
    parts.append(label(left + bar_um / um_per_px + 6, y + 4, f"{bar_um:g} um"))
    parts.append(label(left, 13, title, kind="name"))
    return svg(frame, f"{title}: by CTF fit at stage positions", parts)


def _legend(ordered: Sequence[float], limits: Sequence[float], *, lost: bool) -> str:
    edges = [ordered[0], *limits, ordered[-1]]
    items = [
        f"<span>{_key(_SHAPES[kind]([(9, 9)], kind, 5))}{words}: CTF fits to {low:.1f} to {high:.1f} A</span>"
        for (words, kind), low, high in zip(_MARKS, edges[:-1], edges[1:], strict=True)
    ]
    if lost:
        items.append(f"<span>{_key(crosses([(9, 9)], 'lost', 5))}nothing kept</span>")
    return f"<p class=legend>{''.join(items)}</p>"


def _key(mark: str) -> str:
    return f"<svg class=key viewBox='0 0 18 18'>{mark}</svg>"


def _round_length(um: float) -> float:
    """1, 2 or 5 times a power of ten, at most the given length."""
    power = 10.0 ** math.floor(math.log10(max(um, 1e-3)))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= max(um, 1e-3) * (1 + 1e-9))


def _squares(points: Sequence[tuple[float, float]], kind: str, size: float) -> str:
    a = 0.85 * size
    marks = "".join(f"M{x - a:.1f} {y - a:.1f}h{2 * a:.1f}v{2 * a:.1f}h{-2 * a:.1f}z" for x, y in points)
    return f"<path class={kind} d='{marks}' />" if points else ""


def _triangles(points: Sequence[tuple[float, float]], kind: str, size: float) -> str:
    a = 1.1 * size
    marks = "".join(f"M{x:.1f} {y - a:.1f}l{a:.1f} {1.8 * a:.1f}h{-2 * a:.1f}z" for x, y in points)
    return f"<path class={kind} d='{marks}' />" if points else ""


def _diamonds(points: Sequence[tuple[float, float]], kind: str, size: float) -> str:
    a = 1.2 * size
    marks = "".join(f"M{x:.1f} {y - a:.1f}l{a:.1f} {a:.1f}l{-a:.1f} {a:.1f}l{-a:.1f} {-a:.1f}z" for x, y in points)
    return f"<path class={kind} d='{marks}' />" if points else ""


_SHAPES: dict[str, Callable[[Sequence[tuple[float, float]], str, float], str]] = {
    "q1": dots,
    "q2": _squares,
    "q3": _triangles,
    "q4": _diamonds,
}
