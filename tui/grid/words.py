"""What is said beside the pictures: what to do, what a square or a hole is, which to take next. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from frazil.daemon.transport.messages import Row
from frazil.daemon.transport.reasons import reasons_apart, without_chance
from frazil.tui.grid.looks import hole_state, look_of, square_state, step_of
from frazil.tui.words.formatting import NOT_KNOWN, clean, clock, count, number, quantity, shorten_left
from frazil.tui.words.palette import BLUE, GRAY, ORANGE

NO_GRID = (
    "No grid is known. frazil learns it from what the acquisition program writes: of EPU EpuSession.dm, "
    "Metadata/GridSquare_*.dm and Atlas.dm; of SerialEM the navigator (.nav); or a table of holes (.csv). They are "
    "found in the raw folder and in `intake.sidecar_roots`; an atlas or a table elsewhere is named by `targets.roots` "
    "(frazil set SESSION targets.roots=/path). `targets.enabled` must not be false."
)
NO_ROUND = "Nothing has been said yet: the first list follows within a minute after the holes are known."
NO_HOLES = "Squares are known, and holes of none: they come when the program has imaged a square."
IN_MICROSCOPE = "in the microscope"
"""State of one grid in the query `grids`."""
AWAY = "It is not in the microscope. Once it is:"
ASSUMED_HOURS = "hours left not known, 8 h assumed"
_MOST_NAME = 14
ORDERS: tuple[tuple[str, str, bool], ...] = (
    ("rank", "by rank", False),
    ("usable", "by chance", True),
    ("signal", "by signal", True),
    ("minutes", "by minutes", False),
    ("square", "by square", False),
)
"""Column, what it is called, whether large comes first: of the list of what to take next."""


def name_of(row: Row) -> str:
    """Of a square or a hole."""
    return clean(row["name"] or row.get("target_id") or row.get("square_id") or "without a name")


def percent(row: Row) -> str:
    """`83 % (70-91)`."""
    if not isinstance(row["usable"], int | float):
        return NOT_KNOWN
    return f"{_hundred(row['usable'])} % ({_hundred(row['usable_low'])}-{_hundred(row['usable_high'])})"


def _hundred(share: object) -> str:
    return number(100 * share if isinstance(share, int | float) else None, 0)


# ---- what to do


def is_known(grid: Row | None) -> bool:
    """Whether there is anything to show, by the query `grid`."""
    return grid is not None and bool(grid["holes"] or grid["squares"])


def verdict_text(grid: Row | None, newest: Row | None) -> Text:
    """What to do, or why nothing is said."""
    if not is_known(grid):
        return Text(NO_GRID, overflow="fold")
    if newest is None:
        holes = grid is not None and grid["holes"]
        return Text(NO_ROUND if holes else NO_HOLES, "bold")
    away = f"{AWAY} " if grid is not None and grid["state"] not in (None, IN_MICROSCOPE) else ""
    text = Text(f"{away}{clean(newest['verdict'])}", "bold")
    return text.append(f"\n{clean(newest['other_grid'])}", ORANGE) if newest["other_grid"] else text


def squares_by_name_text(rows: Sequence[Row]) -> Text:
    """What is known of the squares by their movies alone, by rows of `worst_squares`; empty: no movie names one."""
    if not rows:
        return Text("")
    text = Text("\n\nSquares by what their movies are called, the worst first\n", f"bold {BLUE}")
    text.append(f"{'square':22} {'movies':>6} {'good':>5} {'ice nm':>7} {'fit Å':>6}  most often the matter\n", GRAY)
    for row in rows:
        movies, good = _whole(row["movies"]) or 0, _whole(row["good"]) or 0
        text.append(f"{_cut(clean(row['grid_square']), 22)} {movies:>6} {good / movies if movies else 0:>5.0%} ")
        text.append(f"{number(row['thickest_nm'], 0):>7} {number(row['ctf_fit_angstrom'], 1):>6}  ")
        text.append(f"{clean(row['usual_fault'] or '')}\n")
    return text.append("ice: of its thickest movie; fit: median of its movies", GRAY)


def facts_text(grid: Row | None, newest: Row | None) -> Text:
    """What it was made from; what matters most comes first, a small terminal has one line."""
    if grid is None or not is_known(grid):
        return Text("")
    facts = [f"{count(_whole(grid['exposed']))} of {count(_whole(grid['holes']))} holes exposed"]
    if newest is not None:
        hours = newest["hours_left"]
        facts.insert(0, f"{_hundred(newest['taken_share'])} % of what it can give is taken")
        facts.append(ASSUMED_HOURS if hours is None else f"{quantity(hours, 'h')} left")
        facts.append(f"usable: CTF fits to {number(newest['usable_angstrom'])} Å or better")
    if grid["holes_at_bars"]:
        facts.append(f"{count(_whole(grid['holes_at_bars']))} more holes at grid bars left out")
    if (_whole(grid["grids"]) or 0) > 1:
        facts.insert(0, f"grid {clean(grid['name'])}, {clean(grid['state'])}, one of {grid['grids']} (n: the next)")
    if grid["movies_without_a_hole"]:
        facts.append(f"{count(_whole(grid['movies_without_a_hole']))} movies without a known hole")
    return Text(" · ".join(facts), GRAY)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


# ---- one place


def holes_title(square: str, holes: Sequence[Row]) -> str:
    """Over the holes of a square."""
    bars = sum(bool(row["at_bar"]) for row in holes)
    return f"square {square}: {len(holes) - bars} holes" + (f", {bars} more at bars" if bars else "")


def square_text(row: Row | None, next_square_id: str | None) -> Text:
    """Of the query `grid_squares`."""
    if row is None:
        return Text("no square is known: holes stand in the list alone", GRAY)
    text = _head(f"square {name_of(row)}", square_state(row, next_square_id), row)
    found = [f"{count(_whole(row['exposed']))} of {count(_whole(row['holes']))} holes exposed"]
    if row["movies"]:
        found.append(f"{count(_whole(row['kept']))} of {count(_whole(row['movies']))} movies kept")
    found += _came_of(row)
    text.append(f"\nfound: {', '.join(found)}")
    if row["words"]:
        text.append(f"\noutlook: {clean(row['words']).removeprefix(f'square {name_of(row)}: ')}")
    else:
        text.append("\noutlook: nothing has been said of this square yet", GRAY)
    return text


def hole_text(row: Row | None, square: str) -> Text:
    """Of the query `square_targets`."""
    if row is None:
        return Text("no hole of this square is known yet: its image has not been taken, or its file not read", GRAY)
    text = _head(f"hole {name_of(row)}, square {square}", hole_state(row), row)
    if row["movies"]:
        found = [f"{count(_whole(row['kept']))} of {count(_whole(row['movies']))} movies kept", *_came_of(row)]
        when = clock(row["exposed_utc_us"])
        text.append(f"\nfound: {', '.join(found)}" + (f", exposed {when}" if when != NOT_KNOWN else ""))
    elif row["state"] in ("exposed", "processed"):
        text.append("\nfound: exposed, as the program says; no movie of it is known here")
    else:
        text.append("\nfound: not exposed yet", GRAY)
    return text.append(f"\nexpected: {expected(row)}")


def expected(row: Row) -> str:
    """Of a hole in the list, with its reason; of others what is expected, or why there is nothing."""
    if row["at_bar"]:
        return "at a bar of the grid: left out, unless you pick it"
    if row["usable"] is None:
        return "nothing has been said of this hole"
    found = f"usable {percent(row)}, {_signal_words(row)}"
    if row["rank"] is None:
        return f"{found}not among those to take next"
    return f"number {row['rank']}: {found}{short_reason(row)}"


def next_text(row: Row | None) -> Text:
    """Of the query `next_targets`."""
    if row is None:
        return Text("nothing is worth a shot", GRAY)
    text = Text().append(f"number {row['rank']}: hole {name_of(row)}, square {_square_name(row)}", f"bold {BLUE}")
    text.append("  + picked" if row["picked"] else "").append(_stage(row), GRAY)
    text.append(f"\nusable {percent(row)}, {_signal_words(row)}{number(row['minutes'])} min with the way to it")
    return text.append(f"\n{short_reason(row)}")


def _head(what: str, state: str, row: Row) -> Text:
    look = look_of(state)
    text = Text().append(what, f"bold {BLUE}").append("  ").append(look.text, look.color)
    if row["word"]:
        said = "" if row["word"] == look.word else f"  {row['word']}"
        text.append(f"{said} by {clean(row['word_by'])}, f: forget", ORANGE)
    elif state == "next" and row["state"]:
        text.append(f", {clean(row['state'])}", GRAY)
    return text.append(_stage(row), GRAY)


def _came_of(row: Row) -> list[str]:
    parts = []
    if row["ctf_fit_angstrom"] is not None:
        parts.append(f"CTF fits to {quantity(row['ctf_fit_angstrom'], 'Å')}")
    if row["particles_per_movie"] is not None:
        parts.append(f"{number(row['particles_per_movie'], 0)} particles a movie")
    return parts


def _signal_words(row: Row) -> str:
    if row["signal"] is None:
        return ""
    digits = 0 if float(row["signal"]) >= 9.5 else 1
    signal, low, high = (number(row[name], digits) for name in ("signal", "signal_low", "signal_high"))
    interval = "" if row["signal_low"] is None else f" ({low}-{high})"
    return f"signal of {signal} particles{interval}, "


def _stage(row: Row) -> str:
    x, y = row["stage_x_um"], row["stage_y_um"]
    return "" if x is None or y is None else f"  stage x {number(x)}, y {number(y)} µm"


# ---- lists


def _square_name(row: Row) -> str:
    return clean(row["square"] or row["square_id"] or NOT_KNOWN)


def next_lines(rows: Sequence[Row]) -> tuple[Text, list[tuple[str, Text]]]:
    """The list of what to take next: its heading, and a line for each; what is true of all of them is left to
    `common_reason`."""
    hole, square = _widths(rows)
    _, own = _reasons(rows)
    heading = f"{'no.':>3} {'square':{square}} {'hole':{hole}} {'usable, 80 %':13} {'signal':>6} {'min':>4}  why"
    lines = []
    for row, why in zip(rows, own, strict=True):
        step = step_of(row["usable"])
        text = Text(f"{row['rank']:>3} {_cut(_square_name(row), square)} {_cut(name_of(row), hole)} ")
        text.append(f"{percent(row):13}", step[1] if step else "")
        text.append(f" {number(row['signal'], 0):>6} {number(row['minutes']):>4}  {why}")
        lines.append((str(row["target_id"]), text))
    return Text(heading), lines


def common_reason(rows: Sequence[Row]) -> str:
    """What is true of all of the list; empty: nothing."""
    return _reasons(rows)[0]


def _reasons(rows: Sequence[Row]) -> tuple[str, list[str]]:
    return reasons_apart([clean(row["reason"]) for row in rows]) if rows else ("", [])


def _widths(rows: Sequence[Row]) -> tuple[int, int]:
    hole = max((len(name_of(row)) for row in rows), default=0)
    square = max((len(_square_name(row)) for row in rows), default=0)
    return min(max(hole, 4), _MOST_NAME), min(max(square, 6), _MOST_NAME)


def _cut(name: str, width: int) -> str:
    return shorten_left(name, width).ljust(width)


def short_reason(row: Row) -> str:
    """The reason without the chance, which has a column of its own."""
    return without_chance(clean(row["reason"]))


def in_order(rows: Sequence[Row], order: int) -> list[Row]:
    """The list by one of `ORDERS`; what is not known comes last."""
    column, _, large_first = ORDERS[order % len(ORDERS)]
    known = [row for row in rows if row[column] is not None]
    known.sort(key=lambda row: row[column], reverse=large_first)  # type: ignore[arg-type,return-value]
    return known + [row for row in rows if row[column] is None]


def square_line(row: Row, next_square_id: str | None) -> Text:
    """Of the list of squares that stands where no position is known."""
    look = look_of(square_state(row, next_square_id))
    text = Text().append(f"{look.sign} {look.word:10}", look.color)
    text.append(f"{_cut(name_of(row), _MOST_NAME)} {row['exposed'] or 0:>4} of {row['holes'] or 0:<4} ")
    step = step_of(row["usable"])
    return text.append(f"{step[0]} {percent(row)}", step[1]) if step else text


def hole_line(row: Row) -> Text:
    """Of the list of holes that stands where no position is known."""
    look = look_of(hole_state(row))
    text = Text().append(f"{look.sign} {look.word:10}", look.color).append(f"{_cut(name_of(row), _MOST_NAME)} ")
    if row["movies"]:
        return text.append(", ".join(_came_of(row)))
    ranked = f"no. {row['rank']}, " if row["rank"] is not None else ""
    return text.append(f"{ranked}{percent(row)}" if row["usable"] is not None else "")


SQUARE_HEADING = Text(f"{'state':12}{'square':{_MOST_NAME}} exposed      expected usable")
HOLE_HEADING = Text(f"{'state':12}{'hole':{_MOST_NAME}} found, or expected")
