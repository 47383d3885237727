"""A grid that never was: squares on a turned lattice, one shot, one half shot, one that comes next.

Made by rule, so that a test knows what the screen has to say of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from frazil.daemon.transport.messages import Command, Done, Rows, Scalar

SQUARE_COLUMNS = (
    "target_id", "name", "program", "parent_id", "state", "gone", "word", "word_by", "acquisition_order",
    "stage_x_um", "stage_y_um", "x_in_parent_px", "y_in_parent_px", "diameter_um", "features_json", "image_path",
    "image_width_px", "image_height_px", "holes", "holes_at_bars", "chosen", "exposed", "processed", "avoided",
    "movies", "kept", "ctf_fit_angstrom", "particles_per_movie", "ice_nm", "ice_spread_nm", "gradient_ln",
    "dark_share", "torn_share", "place", "holes_left", "usable_so_far", "usable",
    "usable_low", "usable_high", "worth_taking", "words",
)  # fmt: skip
HOLE_COLUMNS = (
    "target_id", "name", "program", "parent_id", "state", "gone", "at_bar", "word", "word_by",
    "acquisition_order", "stage_group", "x_in_parent_px", "y_in_parent_px", "stage_x_um", "stage_y_um", "diameter_um",
    "features_json", "image_path", "image_width_px", "image_height_px", "movies", "processed", "kept",
    "ctf_fit_angstrom", "particles_per_movie", "exposed_utc_us", "linked_by", "ice_nm", "ice_sd_nm",
    "dark_share", "ring_share", "off_centre_px", "rank", "usable", "usable_low",
    "usable_high", "signal", "signal_low", "signal_high", "reason",
)  # fmt: skip
NEXT_COLUMNS = (
    "rank", "target_id", "name", "level", "grid_id", "parent_id", "square_id", "square", "patch_id", "usable",
    "usable_low", "usable_high", "signal", "signal_low", "signal_high", "minutes", "picked", "reason", "program",
    "said_by", "stage_x_um", "stage_y_um", "x_in_parent_px", "y_in_parent_px", "stage_group", "acquisition_order",
)  # fmt: skip
ROUND_COLUMNS = (
    "round", "created_utc_us", "words_utc_us", "counted", "usable_angstrom", "hours_left", "holes", "exposed",
    "outcomes", "line", "verdict", "square_id", "square", "expected_more", "price_per_minute", "taken_share",
    "slopes_json", "move_hole_minutes", "move_patch_minutes", "move_square_minutes", "move_area_minutes", "grid_id",
    "other_grid", "grid",
)  # fmt: skip
GRID_COLUMNS = (
    "grid_id",
    "name",
    "grids",
    "programs",
    "image_path",
    "squares",
    "holes",
    "holes_at_bars",
    "chosen",
    "exposed",
    "processed",
    "avoided",
    "movies",
    "kept",
    "movies_without_a_hole",
    "first_seen_utc_us",
    "last_seen_utc_us",
)
GRIDS_COLUMNS = (
    "grid_id", "name", "program", "state", "squares", "holes", "holes_at_bars", "exposed", "movies", "kept_share",
    "counted", "times", "times_low", "times_high", "exchange_minutes", "round", "line", "verdict", "first_seen_utc_us",
)  # fmt: skip
"""Those of the named queries (tests/tui compares them with the store's)."""

START_UTC_US = 1_790_000_000_000_000
PITCH_UM = 125.0
HOLE_PITCH_UM = 2.5
HOLES_A_ROW = 8
RANKED = 14
NEXT_LINE = "next: square 12, 9 holes, 0.8 (0.7-0.9); leave square 3 now"
OTHER_GRID = "Grid sample 2 is better: about 1.4 (1.1-1.8) times the usable movies an hour, 45 min to exchange counted."
VERDICT = "Go to square 12. 41 more usable exposures expected in 3.5 h."

Row = dict[str, Scalar]
_TURN_DEG = 9.0
_ALL_SHOT, _HALF_SHOT, _FOLLOWING, _LEFT_OUT, _GONE = 2, 3, 12, 20, 26
"""Numbers of squares with a part to play; the others were chosen, or only seen."""


@dataclass(frozen=True)
class SyntheticGrid:
    """`said` is what people said of places, as orders come. `positions`: stage, pixels or none."""

    positions: str = "stage"
    rounds: bool = True
    second: bool = False
    """There is another grid."""
    said: dict[str, str] = field(default_factory=dict)

    def carry_out(self, order: Command) -> Done:
        """target-pick, target-avoid, target-forget."""
        target_id = str(order.args["target_id"])
        self.said.pop(target_id, None)
        if order.name != "target-forget":
            self.said[target_id] = {"target-pick": "picked", "target-avoid": "avoided"}[order.name]
        said = {"target-pick": "is taken first", "target-avoid": "is left out"}
        _, level, name = target_id.split(":")
        return Done(f"{level} {name} {said.get(order.name, 'is as the program has it')}")

    def without_rounds(self) -> SyntheticGrid:
        """Before anything was said."""
        return replace(self, rounds=False)

    # ---- the named queries

    def answer(self, name: str, params: dict[str, Scalar]) -> Rows:
        if name == "grid_squares":
            return _rows(SQUARE_COLUMNS, self.squares())
        if name == "square_targets":
            return _rows(HOLE_COLUMNS, self.holes(int(str(params["square_id"]).rsplit(":", 1)[1])))
        if name == "next_targets":
            limit = params.get("limit", 20)
            assert isinstance(limit, int)
            return _rows(NEXT_COLUMNS, self.following()[:limit] if self.rounds else [])
        if name == "next_rounds":
            other = OTHER_GRID if self.second else ""
            return _rows(ROUND_COLUMNS, [{**_newest(), "other_grid": other}] if self.rounds else [])
        if name == "grids":
            return _rows(GRIDS_COLUMNS, self.grids())
        assert name == "grid"
        squares = self.squares()
        holes, exposed = (sum(int(row[key] or 0) for row in squares) for key in ("holes", "exposed"))
        wanted = str(params.get("grid") or self.grids()[0]["grid_id"])
        this = next(row for row in self.grids() if row["grid_id"] == wanted)
        counted = dict.fromkeys(("exposed", "processed", "movies"), exposed)
        grid: Row = {**this, **counted, "grids": len(self.grids()), "holes_at_bars": 240, "programs": "epu",
                     "squares": len(squares), "holes": holes, "movies_without_a_hole": 3}  # fmt: skip
        return _rows(GRID_COLUMNS, [grid])

    def grids(self) -> list[Row]:
        """The one in the microscope, and with `second` another one that would give more."""
        rows: list[Row] = [{"grid_id": "epu:grid", "name": "sample 1", "program": "epu", "state": "in the microscope"}]
        if self.second:
            rows.append({"grid_id": "later/epu:grid", "name": "sample 2", "program": "epu", "state": "exposed",
                         "times": 1.4, "times_low": 1.1, "times_high": 1.8, "counted": "usable"})  # fmt: skip
        return rows

    def squares(self) -> list[Row]:
        """Those within a circle, the most promising first."""
        rows: list[Row] = []
        places = [(u, v) for v in range(-3, 4) for u in range(-3, 4) if math.hypot(u, v) < 3.4]
        for number, (u, v) in enumerate(places, 1):
            x, y = _turned(u * PITCH_UM, v * PITCH_UM)
            shot = self._shot(number)
            share = None if number > 30 else round(0.92 - 0.028 * abs(number - _FOLLOWING), 3)
            row: Row = {
                "target_id": f"epu:square:{number}", "name": str(number), "program": "epu", "parent_id": "epu:grid",
                "state": "avoided" if number == _LEFT_OUT else "chosen" if number <= 30 else "seen",
                "gone": number == _GONE, "word": self.said.get(f"epu:square:{number}"), "acquisition_order": number,
                "features_json": "{}", "holes": HOLES_A_ROW**2 if number <= 30 else 0, "exposed": shot,
                "processed": shot, "movies": shot, "kept": shot * 3 // 4, "usable_so_far": shot * 3 // 4,
            }  # fmt: skip
            row |= self._placed(x, -y, number)
            if row["word"]:
                row["word_by"] = "anna"
            if shot:
                row |= {"ctf_fit_angstrom": 4.4, "particles_per_movie": 182.0}
            if share is not None and self.rounds and number not in (_LEFT_OUT, _GONE):
                row |= {"place": abs(number - _FOLLOWING), "usable": share, "usable_low": share - 0.1,
                        "usable_high": min(share + 0.07, 1.0), "holes_left": HOLES_A_ROW**2 - shot,
                        "words": _outlook(number, share, shot)}  # fmt: skip
            rows.append(row)
        return sorted(rows, key=lambda row: (row.get("place") is None, row.get("place", 0), row["acquisition_order"]))

    @staticmethod
    def _shot(number: int) -> int:
        return {_ALL_SHOT: HOLES_A_ROW**2, _HALF_SHOT: HOLES_A_ROW**2 // 2}.get(number, 0)

    def _placed(self, x: float, y: float, number: int) -> Row:
        if self.positions == "stage":
            return {"stage_x_um": round(x, 2), "stage_y_um": round(y, 2)}
        return {"x_in_parent_px": 2000 + 2 * x, "y_in_parent_px": 2000 - 2 * y} if self.positions == "pixels" else {}

    def holes(self, square: int) -> list[Row]:
        """Of one square, in the program's order: the first are shot, where any are."""
        ranks = {str(row["target_id"]): row for row in self.following()} if self.rounds else {}
        rows: list[Row] = []
        for index in range(HOLES_A_ROW**2 if square <= 30 else 0):
            line, column = divmod(index, HOLES_A_ROW)
            x, y = _turned(column * HOLE_PITCH_UM, line * HOLE_PITCH_UM)
            key = f"epu:hole:{1000 * square + index}"
            row: Row = {
                "target_id": key, "name": str(1000 * square + index), "program": "epu",
                "parent_id": f"epu:square:{square}", "state": "seen" if line == HOLES_A_ROW - 1 else "chosen",
                "gone": False, "word": self.said.get(key), "acquisition_order": index, "features_json": "{}",
                "movies": 0, "word_by": "anna" if key in self.said else None,
            }  # fmt: skip
            row |= self._placed(x, -y, index)
            if index < self._shot(square):
                row |= {"state": "processed", "movies": 1, "processed": 1, "kept": int(index % 4 != 3),
                        "ctf_fit_angstrom": 4.0 + index % 4, "particles_per_movie": 200.0 - index,
                        "exposed_utc_us": START_UTC_US + index * 60_000_000, "linked_by": "name"}  # fmt: skip
            told = ("rank", "usable", "usable_low", "usable_high", "signal", "signal_low", "signal_high", "reason")
            if row["state"] == "chosen" and self.rounds:
                row |= {"usable": 0.55, "usable_low": 0.4, "usable_high": 0.7, "signal": 120.0}
            row |= {name: ranks[key][name] for name in told} if key in ranks else {}
            rows.append(row)
        return rows

    def following(self) -> list[Row]:
        """Nine in one square, five in the next one."""
        rows: list[Row] = []
        for rank in range(1, RANKED + 1):
            square = _FOLLOWING if rank <= 9 else _FOLLOWING + 1
            number = 1000 * square + 17 + rank + rank // 4 * 5
            usable = round(0.93 - 0.02 * rank, 2)
            first = "a square worth the way" if rank in (1, 10) else "next hole at this position"
            chance = f"{100 * usable:.0f} % ({100 * usable - 11:.0f} to {100 * usable + 6:.0f})"
            rows.append({
                "rank": rank, "target_id": f"epu:hole:{number}", "name": str(number), "level": "hole",
                "square_id": f"epu:square:{square}", "square": str(square), "usable": usable,
                "usable_low": usable - 0.11, "usable_high": usable + 0.06, "signal": 210.0 - 4 * rank,
                "signal_low": 150.0 - 4 * rank, "signal_high": 290.0 - 4 * rank,
                "minutes": 6.2 if rank in (1, 10) else 0.9, "picked": False, "program": "epu",
                "reason": f"{first}; usable with {chance}, 62 % is what its time could bring elsewhere",
            })  # fmt: skip
        return rows


def _newest() -> Row:
    return {
        "round": 17, "created_utc_us": START_UTC_US, "words_utc_us": 0, "counted": "usable", "usable_angstrom": 6.0,
        "hours_left": 3.5, "holes": 1920, "exposed": 96, "outcomes": 96, "line": NEXT_LINE, "verdict": VERDICT,
        "square_id": f"epu:square:{_FOLLOWING}", "square": str(_FOLLOWING), "expected_more": 41.0,
        "price_per_minute": 0.2, "taken_share": 0.31, "slopes_json": "[]", "move_hole_minutes": 0.9,
        "move_patch_minutes": 2.0, "move_square_minutes": 6.2, "move_area_minutes": 8.0,
    }  # fmt: skip


def _outlook(number: int, share: float, shot: int) -> str:
    chance = f"{100 * share:.0f} % ({100 * share - 10:.0f} to {100 * min(share + 0.07, 1.0):.0f})"
    so_far = f"{shot * 3 // 4} of {shot} so far" if shot else "none shot yet"
    left = HOLES_A_ROW**2 - shot
    return f"square {number}: {chance} of its {left} holes left expected below 6 A; {so_far}; 9 worth the time"


def _turned(x: float, y: float) -> tuple[float, float]:
    turn = math.radians(_TURN_DEG)
    return x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)


def _rows(columns: tuple[str, ...], rows: list[Row]) -> Rows:
    return Rows(columns, tuple(tuple(row.get(column) for column in columns) for row in rows))
