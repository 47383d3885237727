"""Where to shoot next, told to a person, to a program, to EPU's operator and to SerialEM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from frazil.config.errors import NotThereError
from frazil.daemon.store.reading import SessionReader
from frazil.daemon.store.table import Scalar
from frazil.daemon.transport.reasons import reasons_apart
from frazil.models.formats.grid.hand_back import ranked_csv
from frazil.models.formats.grid.navigator_write import RankedTarget
from frazil.models.grid_target import GridTarget, grid_named

Row = dict[str, Scalar]
USUAL_LIMIT = 20
_NO_GRID = (
    "nothing is known of a grid: no file of EPU, SerialEM or a table of holes was found in the raw folder, in "
    "intake.sidecar_roots or in targets.roots, and no movie's name tells of one"
)
_NO_ROUND = "nothing has been said yet (holes known: {holes}); the first round follows within a minute"
_AWAY = "It is not in the microscope. Once it is:"
_SQUARES_TOLD = 8
_LEFT_OUT_SQL = """
SELECT t.target_id, t.grid_id
FROM grid_targets t JOIN target_words w ON w.target_id IN (t.target_id, t.square_id, t.parent_id)
WHERE w.word = 'avoided'
"""


@dataclass(frozen=True, slots=True)
class NextAnswer:
    """The newest round with its lists; rows as the named queries of the same names have them."""

    line: str
    """For a glance; empty: nothing has been said yet."""
    verdict: str
    """In a sentence; else why there is none."""
    round: Row | None
    """`next_rounds`; None: nothing has been said yet."""
    targets: list[Row]
    """`next_targets`, best first."""
    squares: list[Row]
    """`next_squares`, the most promising first."""
    words: list[Row]
    """`target_words`: what people said of places on this grid, or of the session."""
    beam_shift: str = ""
    """How far EPU's beam shift goes, or why that is not known; empty: no beam was shifted, or too few."""
    grid: Row | None = None
    """The grid that all this is about, of `grids`; None: none is known."""
    grids: list[Row] = field(default_factory=list)
    """`grids`: all of them."""

    @property
    def other_grid(self) -> str:
        """A sentence where another grid is better; else empty."""
        return "" if self.round is None else str(self.round["other_grid"] or "")


def next_answer(reader: SessionReader, *, limit: int = USUAL_LIMIT, grid: str = "") -> NextAnswer:
    """Ask a session, live or finished. `grid`: name or id of one; empty: the one in the microscope. Raises what its
    reader raises, and `NotThereError` where no grid is called so."""
    grids = reader.named("grids").as_dicts()
    counts = reader.named("grid", {"grid": grid}).as_dicts()[0]
    this = next((row for row in grids if row["grid_id"] == counts["grid_id"]), None)
    if grid and this is None:
        known = ", ".join(str(row["name"]) for row in grids) or "none"
        raise NotThereError(f"no grid is called {grid[:80]!r}", remedy=f"known are: {known}")
    rounds = reader.named("next_rounds", {"limit": 1, "grid": grid}).as_dicts()
    words = [row for row in reader.named("target_words").as_dicts() if row["grid_id"] in (None, counts["grid_id"])]
    beam_shift = "".join(str(row["words"]) for row in reader.named("beam_shift").as_dicts())
    if not rounds:
        said = _NO_ROUND.format(holes=counts["holes"]) if counts["holes"] else _no_holes(this, grids)
        return NextAnswer("", said, None, [], [], words, beam_shift, this, grids)
    newest = rounds[0]
    targets = reader.named("next_targets", {"limit": limit, "grid": grid}).as_dicts()
    squares = reader.named("next_squares", {"grid": grid}).as_dicts()
    return NextAnswer(
        str(newest["line"]), str(newest["verdict"]), newest, targets, squares, words, beam_shift, this, grids
    )


def _no_holes(grid: Row | None, grids: Sequence[Row]) -> str:
    if grid is None or not grid["squares"]:
        return _NO_GRID
    which = f"of grid {grid['name']} " if len(grids) > 1 else ""
    return f"{which}{grid['squares']} squares are known, and holes of none: they come when a square is imaged"


def next_lines(answer: NextAnswer, *, limit: int) -> list[str]:
    """On a terminal: what to do, the list with its reasons, the squares, and what it was made from."""
    about = _about_grid(answer)
    beam_shift = [answer.beam_shift] if answer.beam_shift else []
    if answer.round is None:
        return [*about, answer.verdict, *beam_shift]
    other = [answer.other_grid] if answer.other_grid else []
    away = [_AWAY] if len(answer.grids) > 1 and answer.grid and answer.grid["state"] != "in the microscope" else []
    lines = [*about, *(away or [answer.line]), answer.verdict, *other, "", *_list_lines(answer.targets[:limit])]
    lines += [str(row["words"]) for row in answer.squares[:_SQUARES_TOLD]]
    if (more := len(answer.squares) - _SQUARES_TOLD) > 0:
        lines.append(f"and {more} more squares (--json has them all)")
    lines += ["", *_made_from(answer.round, answer.grid), *beam_shift, *(_word(row) for row in answer.words)]
    return lines + [_grid_line(row) for row in answer.grids if row is not answer.grid]


def _about_grid(answer: NextAnswer) -> list[str]:
    """Which grid it is about, where there are several."""
    if answer.grid is None or len(answer.grids) < 2:
        return []
    return [f"grid {answer.grid['name']} ({_grid_state(answer.grid)}), one of {len(answer.grids)}:"]


def _grid_state(row: Mapping[str, Any]) -> str:
    return "in the microscope, as far as files tell" if row["state"] == "in the microscope" else str(row["state"])


def _grid_line(row: Mapping[str, Any]) -> str:
    """Another grid."""
    line = f"grid {row['name']}: {row['state']}, {row['squares']} squares"
    if row["holes"]:
        line += f", {row['exposed']} of {row['holes']} holes exposed"
    if row["kept_share"] is not None:
        line += f", {100 * row['kept_share']:.0f} % of its movies kept"
    return line


def _list_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which to take next. What is true of all of them is said once, above."""
    if not rows:
        return []
    names = max(4, *(len(_hole(row)) for row in rows))
    squares = max(6, *(len(_square(row)) for row in rows))
    common, own = reasons_apart([str(row["reason"]) for row in rows])
    lines = [f"why: {common}"] if common else []
    lines.append(f"rank  {'hole':{names}}  {'square':{squares}}  usable            min{'  why' if any(own) else ''}")
    lines += [
        f"{row['rank']:4}  {_hole(row):{names}}  {_square(row):{squares}}  {_chance(row):16}  {row['minutes']:3.0f}  "
        f"{why}".rstrip()
        for row, why in zip(rows, own, strict=True)
    ]
    return [*lines, ""]


def _made_from(row: Mapping[str, Any], grid: Mapping[str, Any] | None) -> list[str]:
    hours = row["hours_left"]
    left = "hours left are not known: 8 h assumed (--hours-left H)" if hours is None else f"{hours:.1f} h left"
    counted = "usable movies" if row["counted"] == "usable" else "effective signal"
    at_bars = grid["holes_at_bars"] if grid is not None else 0
    bars = f" ({at_bars} more at grid bars are left out)" if at_bars else ""
    first = (
        f"round {row['round']}: {row['exposed']} of {row['holes']} holes exposed{bars}, {row['outcomes']} outcomes; "
        f"{left}"
    )
    return [first, f"counted: {counted}, usable to {row['usable_angstrom']:g} A; {_minutes(row)}"]


def _minutes(row: Mapping[str, Any]) -> str:
    names = ("hole", "patch", "square", "area")
    return "minutes to the next " + ", ".join(f"{name} {row[f'move_{name}_minutes']:.1f}" for name in names)


def _word(row: Mapping[str, Any]) -> str:
    if row["word"] == "hours_left":
        return f"{row['who']} said that {row['hours']:g} h were left"
    return f"{row['word']} by {row['who']}: {row['level'] or 'place'} {row['name'] or row['target_id']}"


def _hole(row: Mapping[str, Any]) -> str:
    return str(row["name"] or row["target_id"])


def _square(row: Mapping[str, Any]) -> str:
    return str(row["square"] or row["square_id"] or "-")


def _chance(row: Mapping[str, Any]) -> str:
    return f"{row['usable']:.2f} ({row['usable_low']:.2f}-{row['usable_high']:.2f})"


def as_ranked(rows: Sequence[Mapping[str, Any]]) -> list[RankedTarget]:
    """What the writers of files for EPU and SerialEM take: places as their programs call them."""
    return [
        RankedTarget(
            grid_named(str(row["grid_id"])).plain(
                GridTarget(
                    str(row["target_id"]),
                    str(row["level"] or "hole"),
                    str(row["program"] or ""),
                    str(row["name"] or ""),
                    parent_id=row["parent_id"],
                    x_in_parent_px=row["x_in_parent_px"],
                    y_in_parent_px=row["y_in_parent_px"],
                    stage_x_um=row["stage_x_um"],
                    stage_y_um=row["stage_y_um"],
                )
            ),
            f"{_chance(row)}: {row['reason']}",
        )
        for row in rows
    ]


def left_out_ids(reader: SessionReader) -> frozenset[str]:
    """Places that people avoid, with all that lies in them, as their programs call them."""
    rows = reader.sql(_LEFT_OUT_SQL).rows
    return frozenset(str(row[0]).removeprefix(grid_named(str(row[1])).prefix) for row in rows)


def next_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """For whoever sits at EPU: one line a hole, best first."""
    return ranked_csv(as_ranked(rows))


def next_text(answer: NextAnswer) -> str:
    """One line an item for a script: rank, name, P usable, stage x and y in um, square. Blanks in names are `_`, and
    what is not known is `-`. Holes that SerialEM shoots from one item are that item, once, at its best hole's rank. A
    script of SerialEM reads it with `ReadLineToArray`."""
    lines: dict[str, str] = {}
    for row in answer.targets:
        item = _one_word(_item(row))
        lines.setdefault(
            item,
            f"{row['rank']} {item} {row['usable']:.3f} {_number(row['stage_x_um'])} "
            f"{_number(row['stage_y_um'])} {_one_word(_square(row))}\n",
        )
    return "".join(lines.values())


def _item(row: Mapping[str, Any]) -> str:
    """The label under which the acquisition program knows a hole: of a multi-shot pattern, that of its item."""
    name, pattern = _hole(row), row["stage_group"]
    if row["program"] == "serialem" and pattern and str(row["target_id"]).startswith(f"{pattern}:"):
        return name.removesuffix(str(row["target_id"]).removeprefix(f"{pattern}:")).rstrip()
    return name


def _one_word(text: str) -> str:
    return "_".join(text.split()) or "-"


def _number(value: Scalar) -> str:
    return "-" if value is None else f"{value:.3f}"
