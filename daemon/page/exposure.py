"""One exposure: its pictures with the picks over them, its numbers, its motion, what it lost and to what.

Places of particles are pixels of the micrograph with row 0 first, which is the bottom of a picture
(`frazil.models.conventions`): they are turned over here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from frazil.daemon.page.causes import signal_bars
from frazil.daemon.page.frame import part
from frazil.daemon.page.links import Links, address
from frazil.daemon.page.movie_words import facts, movie_name, reason, state_words
from frazil.daemon.report.html.parts import Frame, dots, label, polyline, svg
from frazil.daemon.report.pictures import MAX_SIDE_PX
from frazil.daemon.report.summary.records import FactorLoss
from frazil.daemon.transport.messages import Row
from frazil.models.causal.factors import FACTOR_WORDS

FIT_PX = 1024
_MOST_PICKS = 5000
_KINDS = {"restored": "Restored", "sum": "Sum of the aligned frames"}


@dataclass(frozen=True, slots=True)
class Exposure:
    """All that its page shows. `diameter_angstrom`: of the circles around picks; None: not known."""

    movie: Row
    picks: Sequence[Row] = ()
    shifts: Sequence[Row] = ()
    losses: Sequence[Row] = ()
    diameter_angstrom: float | None = None


def exposure(of: Exposure, kind: str, size: str, links: Links) -> str:
    """The body. `kind` and `size` are those of the micrograph: `restored` or `sum`, `fit` or `full`."""
    movie = of.movie
    name = movie_name(movie["relative_path"])
    why = reason(movie)
    said = f"<p class=care>Not kept: {escape(why)}</p>" if why else ""
    pairs = "".join(
        f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in facts(movie, of.shifts)
    )
    list_of_all = links.page("movies")
    back = f"<p><a href='{list_of_all}'>All movies</a></p>" if list_of_all else ""
    return (
        f"{back}<h1><code>{escape(name)}</code></h1><p class=lead>{escape(state_words(movie['state']))}</p>{said}"
        f"<div class='beside {size}'>{_micrograph(of, kind, size, links)}"
        + part("numbers", "Numbers", f"<dl class=facts>{pairs}</dl>")
        + "</div>"
        + part("rings", "Power spectrum", _rings(movie, links), note="Measured on the one half, fitted on the other.")
        + part("motion", "Motion", motion_plot(of.shifts))
        + part("losses", "What costs it signal", signal_bars(_losses(of.losses)),
               note="Share of the signal that each cause takes by itself at 5 A.")
    )  # fmt: skip


def _micrograph(of: Exposure, kind: str, size: str, links: Links) -> str:
    movie = of.movie
    movie_id = str(movie["movie_id"])
    if movie.get("micrograph_path") is None:
        return part("micrograph", "Micrograph", "<p>There is no micrograph yet.</p>")
    picture = (
        links.picture(movie_id, kind, FIT_PX)
        if size == "fit"
        else address(f"/micrograph/{movie_id}", kind=kind, width_px=_longest_side_px(movie))
    )
    circles = _circles(of)
    box = "<input type=checkbox id=picks checked><label for=picks>Picked particles</label>" if circles else ""
    shown = f"micrograph {movie_name(movie['relative_path'])}, {len(of.picks)} picked particles"
    return part(
        "micrograph",
        _KINDS[kind],
        f"<div class=controls>{_choices(movie_id, kind, size, links)}</div>{box}"
        f"<div class='micrograph {size}' tabindex=0 role=region aria-label='Micrograph'>"
        f"<div class=layers><img src='{picture}' alt='{escape(shown, quote=True)}'>{circles}</div></div>",
    )


def _choices(movie_id: str, kind: str, size: str, links: Links) -> str:
    found = []
    for other, words in _KINDS.items():
        found.append(_choice(links.page(f"movies/{movie_id}", kind=other, size=size), words, other == kind))
    for other, words in (("fit", "To fit"), ("full", "Full size")):
        found.append(_choice(links.page(f"movies/{movie_id}", kind=kind, size=other), words, other == size))
    if links.page("movies"):
        mrc = address(f"/micrograph/{movie_id}", kind=kind, format="mrc")
        found.append(f"<a href='{mrc}' download>MRC file</a>")
    return "".join(found)


def _choice(to: str | None, words: str, current: bool) -> str:
    if to is None:
        return ""
    return f"<a href='{to}'{' aria-current=true' if current else ''}>{words}</a>"


def _circles(of: Exposure) -> str:
    size = _micrograph_px(of.movie)
    if size is None or not of.picks:
        return ""
    width, height, pixel_angstrom = size
    radius = (of.diameter_angstrom / pixel_angstrom / 2) if of.diameter_angstrom else 0.012 * width
    marks = "".join(
        f"<circle cx={float(pick['x_px'] or 0):.0f} cy={height - 1 - float(pick['y_px'] or 0):.0f} r={radius:.0f} />"
        for pick in of.picks[:_MOST_PICKS]
    )
    return f"<svg class=picks viewBox='0 0 {width} {height}' aria-hidden=true>{marks}</svg>"


def _micrograph_px(movie: Row) -> tuple[int, int, float] | None:
    """Width and height of the micrograph in its own pixels, and their size in angstrom."""
    width, height = movie.get("width_px"), movie.get("height_px")
    raw, own = movie.get("pixel_size_angstrom"), movie.get("micrograph_pixel_size_angstrom")
    if not isinstance(width, int) or not isinstance(height, int) or not isinstance(own, int | float):
        return None
    factor = own / raw if isinstance(raw, int | float) and raw else 1.0
    return round(width / factor), round(height / factor), float(own)


def _longest_side_px(movie: Row) -> int:
    """Of the micrograph, so that none of its pixels is lost in the picture of it."""
    size = _micrograph_px(movie)
    return MAX_SIDE_PX if size is None else min(max(size[:2]), MAX_SIDE_PX)


def _rings(movie: Row, links: Links) -> str:
    if movie.get("power_spectrum_path") is None:
        return ""
    picture = links.picture(str(movie["movie_id"]), "power_spectrum", 512)
    return f"<img class=rings src='{picture}' alt='power spectrum beside its fit' loading=lazy>" if picture else ""


def motion_plot(shifts: Sequence[Row]) -> str:
    """The track of the frames, both axes in one scale; the first frame is the ring."""
    places = [(float(row["shift_x_angstrom"] or 0.0), float(row["shift_y_angstrom"] or 0.0)) for row in shifts]
    if len(places) < 2:
        return ""
    xs, ys = [x for x, _ in places], [y for _, y in places]
    half = max(max(xs) - min(xs), max(ys) - min(ys), 1.0) * 0.6
    middle_x, middle_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    frame = Frame(
        360.0, 300.0, (middle_x - half, middle_x + half), (middle_y - half, middle_y + half),
        left=40.0, right=40.0, top=10.0, bottom=30.0,
    )  # fmt: skip
    points = [(frame.px(x), frame.py(y)) for x, y in places]
    (x, y), *_ = points
    parts = [
        polyline(points, "curve"),
        dots(points, "kept", 2.2),
        f"<circle class=mark cx={x:.1f} cy={y:.1f} r=5 />",
        label(180, 292, f"{2 * half:.1f} A from edge to edge; the ring is the first frame", "middle"),
    ]
    return f"<div class=small-plot>{svg(frame, 'motion of the whole frames', parts)}</div>"


def _losses(rows: Sequence[Row]) -> list[FactorLoss]:
    known = [row for row in rows if str(row["factor"]) in FACTOR_WORDS]
    found = [FactorLoss(str(row["factor"]), float(row["loss_ln_ssnr"] or 0.0), _sd(row), 1) for row in known]
    return sorted(found, key=lambda one: -one.loss_ln_ssnr)


def _sd(row: Row) -> float | None:
    value = row.get("loss_sd")
    return float(value) if isinstance(value, int | float) else None
