"""What the summary tells of the grid: what to do, its squares with what is expected of them, which holes come next."""

from __future__ import annotations

from frazil.daemon.report.next_targets import next_answer
from frazil.daemon.report.summary.asking import Asker, Row, integer, number, text
from frazil.daemon.report.summary.records import GridTold, NextHole, SquareTold

_NEXT = 10
_MOST_SQUARES = 5000


def grid(ask: Asker) -> GridTold | None:
    """None: no grid is known. Raises what the reader raises."""
    known = ask.one("grid")
    if not (integer(known.get("holes")) or integer(known.get("squares"))):
        return None
    answer = next_answer(ask.reader, limit=_NEXT)
    newest = answer.round or {}
    name = f"Grid {known['name']}: " if (integer(known.get("grids")) or 0) > 1 else ""
    return GridTold(
        verdict=f"{name}{answer.verdict} {answer.other_grid}".rstrip(),
        line=answer.line,
        taken_share=number(newest.get("taken_share")),
        hours_left=number(newest.get("hours_left")),
        usable_angstrom=number(newest.get("usable_angstrom")),
        holes=integer(known["holes"]) or 0,
        exposed=integer(known["exposed"]) or 0,
        squares=tuple(_square(row) for row in ask.rows("grid_squares", limit=_MOST_SQUARES)),
        next=tuple(_next(row) for row in answer.targets),
    )


def _square(row: Row) -> SquareTold:
    return SquareTold(
        square_id=str(row["target_id"]),
        name=str(row["name"] or row["target_id"]),
        state=_state(row),
        stage_x_um=number(row["stage_x_um"]),
        stage_y_um=number(row["stage_y_um"]),
        x_px=number(row["x_in_parent_px"]),
        y_px=number(row["y_in_parent_px"]),
        holes=integer(row["holes"]) or 0,
        exposed=integer(row["exposed"]) or 0,
        kept=integer(row["kept"]) or 0,
        movies=integer(row["movies"]) or 0,
        ctf_fit_angstrom=number(row["ctf_fit_angstrom"]),
        usable=number(row["usable"]),
        usable_low=number(row["usable_low"]),
        usable_high=number(row["usable_high"]),
        words=str(row["words"] or ""),
    )


def _state(row: Row) -> str:
    """As the screen has it: what people say and what came of its holes go before the program's word."""
    if row["word"] is not None:
        return str(row["word"])
    if row["gone"]:
        return "gone"
    if row["state"] != "avoided" and row["exposed"]:
        return "processed" if row["processed"] else "exposed"
    return str(row["state"])


def _next(row: Row) -> NextHole:
    return NextHole(
        rank=integer(row["rank"]) or 0,
        target_id=str(row["target_id"]),
        name=str(row["name"] or row["target_id"]),
        square_id=text(row["square_id"]),
        square=str(row["square"] or row["square_id"] or ""),
        usable=number(row["usable"]) or 0.0,
        usable_low=number(row["usable_low"]) or 0.0,
        usable_high=number(row["usable_high"]) or 0.0,
        signal=number(row["signal"]),
        minutes=number(row["minutes"]) or 0.0,
        picked=bool(row["picked"]),
        reason=str(row["reason"]),
    )
