"""The grid: its squares as a list and a map, and the holes of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from frazil.daemon.page.frame import part
from frazil.daemon.page.links import Links
from frazil.daemon.page.movie_words import quantity
from frazil.daemon.report.html.next_map import next_part
from frazil.daemon.report.html.parts import Frame, folded, label, svg, wide
from frazil.daemon.report.summary.records import GridTold
from frazil.daemon.transport.messages import Row

_LOOKS: dict[str, tuple[str, str]] = {
    "processed": ("done", "exposed and processed"),
    "exposed": ("done", "exposed"),
    "chosen": ("open", "chosen, not exposed yet"),
    "seen": ("open", "seen, not chosen"),
    "avoided": ("not", "left out"),
}
_NO_GRID = (
    "<h1>Grid</h1><p>This session has no grid: no atlas, squares or holes were found beside its movies. "
    "<code>frazil set SESSION targets.roots=FOLDER</code> names where they are. What movies say of their squares: "
    "<code>frazil query SESSION --named worst_squares</code>.</p>"
)
_SIDE_PX, _EDGE_PX = 760.0, 26.0


def grid_page(
    told: GridTold | None,
    squares: Sequence[Row],
    chosen: str | None,
    holes: Sequence[Row],
    asked_for: bool,
    links: Links,
) -> str:
    """The body. `squares` and `holes` are rows of the named queries `grid_squares` and `square_targets`; the holes are
    of the square `chosen`, which stands first where a person has asked for it."""
    if told is None and not squares:
        return _NO_GRID
    name = next((str(row["name"] or row["target_id"]) for row in squares if row["target_id"] == chosen), chosen or "")
    drawn = hole_map(holes)
    named = folded(f"List of {len(holes)} holes", wide(_hole_table(holes), "List of holes"))
    of_one = part("holes", f"Holes of square {name}", drawn, named) if chosen else ""
    following = part("following", "Where to shoot next", next_part(told))
    listed = wide(_square_table(squares, links), "All squares with what came of them")
    all_of_them = part("squares", "Squares", listed, note="A square's name shows its holes.")
    parts = (of_one, following, all_of_them) if asked_for else (following, of_one, all_of_them)
    return "<h1>Grid</h1>" + "".join(parts)


def hole_map(holes: Sequence[Row]) -> str:
    """The holes at their stage positions: filled are exposed, the darker the better the CTF fits; hollow are not."""
    placed = [row for row in holes if row["stage_x_um"] is not None and row["stage_y_um"] is not None]
    if len(placed) < 2:
        return ""
    xs, ys = [float(row["stage_x_um"] or 0) for row in placed], [float(row["stage_y_um"] or 0) for row in placed]
    span = max(max(xs) - min(xs), max(ys) - min(ys), 1e-6)
    px_a_um = (_SIDE_PX - 2 * _EDGE_PX) / span
    frame = Frame(
        _SIDE_PX, (max(ys) - min(ys)) * px_a_um + 2 * _EDGE_PX, (0.0, 1.0), (0.0, 1.0),
        left=0.0, right=0.0, top=0.0, bottom=0.0,
    )  # fmt: skip
    radius = min(max(0.32 * (_SIDE_PX / max(len(placed), 1) ** 0.5), 4.0), 16.0)
    fits = sorted(float(row["ctf_fit_angstrom"]) for row in placed if row["ctf_fit_angstrom"] is not None)
    marks = [
        _mark(row, _EDGE_PX + (x - min(xs)) * px_a_um, _EDGE_PX + (max(ys) - y) * px_a_um, radius, fits)
        for row, x, y in zip(placed, xs, ys, strict=True)
    ]
    legend = (
        "<p class=legend>Filled: exposed, the darker the better its CTF fits. Hollow: not exposed; "
        "the number is the chance in percent that it will be usable. Crossed out: left out.</p>"
    )
    return f"<div class=hole-map>{svg(frame, f'{len(placed)} holes of the square', marks)}</div>" + legend


def _mark(row: Row, x: float, y: float, radius: float, fits: Sequence[float]) -> str:
    look, words = _look(row)
    fit = row["ctf_fit_angstrom"]
    kind = f"h{1 + 3 * sum(float(fit) > other for other in fits) // max(len(fits), 1)}" if fit is not None else look
    usable = row["usable"]
    number = f"{100 * float(usable):.0f}" if usable is not None and look == "open" else ""
    said = [f"hole {row['name']}: {words}"]
    if fit is not None:
        said.append(f"CTF fits to {quantity(fit, 'A')}")
    if number:
        said.append(f"usable with {number} %")
    crossed = (
        f"<path class='lost cross' d='M{x - radius:.1f} {y - radius:.1f}l{2 * radius:.1f} {2 * radius:.1f}"
        f"m0 {-2 * radius:.1f}l{-2 * radius:.1f} {2 * radius:.1f}' />"
        if look == "not"
        else ""
    )
    return (
        f"<g class='hole {kind}'><title>{escape(', '.join(said))}</title>"
        f"<circle cx={x:.1f} cy={y:.1f} r={radius:.1f} />{crossed}"
        f"{label(x, y + 3.5, number, 'middle', 'small') if radius >= 9 and number else ''}</g>"
    )


def _look(hole: Row) -> tuple[str, str]:
    """How it is drawn, and what its state is called."""
    return _LOOKS.get(str(hole["state"]), ("open", str(hole["state"])))


def _hole_table(holes: Sequence[Row]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(row['name']))}</td><td>{escape(_look(row)[1])}</td>"
        f"<td class=n>{quantity(row['movies'], '', 0)}</td><td class=n>{quantity(row['kept'], '', 0)}</td>"
        f"<td class=n>{quantity(row['ctf_fit_angstrom'], 'A')}</td><td class=n>{_percent(row['usable'])}</td>"
        f"<td>{escape(str(row['reason'] or ''))}</td></tr>"
        for row in holes
    )
    return _head(("hole", "state", "movies", "kept", "CTF fits to", "usable", "why"), rows)


def _square_table(squares: Sequence[Row], links: Links) -> str:
    found = []
    for row in squares:
        to = links.page("grid", square_id=row["target_id"])
        name = escape(str(row["name"] or row["target_id"]))
        linked = f"<a href='{to}'>{name}</a>" if to else name
        found.append(
            f"<tr><td>{linked}</td><td>{escape(str(row['word'] or row['state']))}</td>"
            f"<td class=n>{quantity(row['exposed'], '', 0)} of {quantity(row['holes'], '', 0)}</td>"
            f"<td class=n>{quantity(row['kept'], '', 0)} of {quantity(row['movies'], '', 0)}</td>"
            f"<td class=n>{quantity(row['ctf_fit_angstrom'], 'A')}</td><td class=n>{_percent(row['usable'])}</td>"
            f"<td>{escape(str(row['words'] or ''))}</td></tr>"
        )
    names = ("square", "state", "holes exposed", "movies kept", "CTF fits to", "usable of what is left", "outlook")
    return _head(names, "".join(found))


def _head(names: Sequence[str], rows: str) -> str:
    if not rows:
        return ""
    top = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"


def _percent(value: object) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, int | float) else "–"
