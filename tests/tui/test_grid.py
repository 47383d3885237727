"""The grid on the screen: known squares and holes in, places, signs and words out; orders about what is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.screen import synthetic_grid
from benchmarks.screen.synthetic_grid import NEXT_LINE, VERDICT, SyntheticGrid
from frazil.daemon.store.queries.catalogue import NAMED
from frazil.daemon.store.store import Store
from frazil.models.grid_target import STATES as STATES_OF_TARGETS
from frazil.tui.grid import looks, words
from frazil.tui.grid.layout import Place, cells_of, nearest_to, neighbour, placed, spacing_of, window_start
from frazil.tui.grid.place_map import PlaceMap
from frazil.tui.grid.screen import GridScreen
from frazil.tui.live.screen import LiveScreen
from frazil.tui.widgets.choice_list import ChoiceList

COLUMNS = {
    "grid": (synthetic_grid.GRID_COLUMNS, {}),
    "grid_squares": (synthetic_grid.SQUARE_COLUMNS, {"limit": 5}),
    "square_targets": (synthetic_grid.HOLE_COLUMNS, {"square_id": "epu:square:1", "limit": 5}),
    "grids": (synthetic_grid.GRIDS_COLUMNS, {}),
    "next_targets": (synthetic_grid.NEXT_COLUMNS, {"limit": 5}),
    "next_rounds": (synthetic_grid.ROUND_COLUMNS, {"limit": 1}),
}


def lattice(columns: int, rows: int, pitch: float = 10.0) -> list[Place]:
    return [Place(f"{u},{v}", u * pitch, v * pitch) for v in range(rows) for u in range(columns)]


# ---- where places stand


def test_a_lattice_keeps_its_form_and_every_place_has_a_cell_of_its_own() -> None:
    cells = cells_of(lattice(6, 4), 60, 20)
    across = [cells.at[f"{u},0"][0] for u in range(6)]
    assert across == sorted(across)
    assert len({one - other for one, other in zip(across[1:], across[:-1], strict=True)}) <= 2, "even steps"
    assert len({cells.at[f"{u},2"][1] for u in range(6)}) == 1, "one row"
    assert len(set(cells.at.values())) == 24
    assert cells.columns <= 60
    assert cells.rows <= 20


def test_what_does_not_fit_stays_apart_and_is_seen_in_part() -> None:
    cells = cells_of(lattice(40, 40), 50, 15)
    assert cells.columns > 50
    assert cells.rows > 15
    assert len(set(cells.at.values())) == 1600, "nothing lies on anything"
    assert [window_start(0, at, 15, 40) for at in (0, 12, 13, 39)] == [0, 0, 1, 25]
    assert window_start(0, 3, 20, 10) == -5, "what is small stands in the middle"


def test_one_place_or_several_at_one_position_have_cells_too() -> None:
    assert cells_of([], 50, 15).at == {}
    assert cells_of([Place("a", 3.0, 4.0)], 50, 15).at == {"a": (0, 0)}
    cells = cells_of([Place(name, 1.0, 1.0) for name in "abc"], 50, 15)
    assert len(set(cells.at.values())) == 3
    assert spacing_of(lattice(3, 3, 7.0)) == pytest.approx(7.0)


def test_arrows_go_to_the_next_place_in_their_direction_and_stop_at_the_edge() -> None:
    at = cells_of(lattice(5, 5), 60, 20).at
    assert neighbour(at, "2,2", 1, 0) == "3,2"
    assert neighbour(at, "2,2", -1, 0) == "1,2"
    assert neighbour(at, "2,2", 0, 1) == "2,3"
    assert neighbour(at, "2,2", 0, -1) == "2,1"
    assert neighbour(at, "4,2", 1, 0) == "4,2"
    column, row = at["3,1"]
    assert nearest_to(at, column + 1, row) == "3,1"
    assert nearest_to(at, column + 40, row) is None


def row_at(key: str, stage: tuple[float, float] | None, pixel: tuple[float, float] | None, parent: str = "g") -> Any:
    x, y = stage or (None, None)
    u, v = pixel or (None, None)
    return {"target_id": key, "parent_id": parent, "stage_x_um": x, "stage_y_um": y, "x_in_parent_px": u,
            "y_in_parent_px": v}  # fmt: skip


def test_stage_positions_have_y_upwards_and_pixels_downwards() -> None:
    assert placed([row_at("a", (1.0, 5.0), (9.0, 9.0))]) == [Place("a", 1.0, -5.0)]
    assert placed([row_at("a", None, (9.0, 8.0))]) == [Place("a", 9.0, 8.0)]
    assert placed([row_at("a", None, None)]) == []
    one_stop = [row_at(str(n), (1.0, 5.0), (float(n), 0.0)) for n in range(4)]
    assert placed(one_stop)[3] == Place("3", 3.0, 0.0), "reached by beam shift from one position: the image tells them"
    other = row_at("x", None, (7.0, 7.0), parent="another image")
    assert "x" not in {place.key for place in placed([*one_stop, other])}, "pixels count in one image"


# ---- signs and words


def test_every_state_has_a_sign_and_a_word_of_its_own() -> None:
    assert set(STATES_OF_TARGETS) <= set(looks.STATES)
    assert len({look.sign for look in looks.STATES.values()}) == len(looks.STATES)
    assert len({look.word for look in looks.STATES.values()}) == len(looks.STATES)
    assert all(len(look.sign) == 1 for look in looks.STATES.values())


@pytest.mark.parametrize(
    ("share", "sign"), [(0.0, "▁"), (0.19, "▁"), (0.2, "▂"), (0.5, "▄"), (0.79, "▆"), (0.8, "█"), (1.0, "█")]
)
def test_expected_shares_have_five_steps(share: float, sign: str) -> None:
    step = looks.step_of(share)
    assert step is not None
    assert step[0] == sign
    assert looks.step_of(None) is None
    assert looks.step_of(float("nan")) is None


def test_what_matters_most_of_a_place_is_its_sign() -> None:
    squares = {str(row["name"]): row for row in _rows("grid_squares")}
    marks = {name: looks.square_mark(row, "epu:square:12").plain for name, row in squares.items()}
    assert (marks["12"], marks["11"], marks["2"], marks["20"], marks["26"], marks["33"]) == (
        "▶█", "○█", "●▆", "–", "~", "·",
    )  # fmt: skip
    half = {str(row["name"]): looks.hole_mark(row, 10).plain for row in _rows("square_targets", square_id="x:3")}
    assert (half["3000"], half["3003"], half["3032"], half["3063"]) == ("✓", "✗", "○▄", "·")
    following = {str(row["name"]): looks.hole_mark(row, 10).plain for row in _rows("square_targets", square_id="x:13")}
    assert following["13037"] == "10"
    assert following["13038"] == "○▆", "the eleventh: what is expected, without a rank"
    colours = [str(part.style.color.name) for part in looks.square_mark(squares["11"], None).render(Console())]
    assert colours == [looks.STATES["chosen"].color, looks.STEPS[4][1]], "sign and bar in colours of their own"
    picked = squares["11"] | {"word": "picked"}
    assert looks.square_mark(picked, None).plain == "+█"


def test_places_are_told_in_words_with_their_units() -> None:
    squares = {str(row["name"]): row for row in _rows("grid_squares")}
    text = words.square_text(squares["3"], None).plain
    assert "32 of 64 holes exposed, 24 of 32 movies kept, CTF fits to 4.4 Å, 182 particles a movie" in text
    assert "outlook: 67 % (57 to 74) of its 32 holes left expected below 6 A; 24 of 32 so far" in text
    assert "stage x -1" not in text
    assert "µm" in text
    said = words.square_text(squares["3"] | {"word": "avoided", "word_by": "a\x1bb"}, None).plain
    assert "avoided by a\ufffdb, f: forget" in said
    lost = next(row for row in _rows("square_targets", square_id="x:3") if row["name"] == "3003")
    text = words.hole_text(lost, "3").plain
    assert "hole 3003, square 3  ✗ not kept" in text
    assert "found: 0 of 1 movies kept, CTF fits to 7.0 Å, 197 particles a movie, exposed" in text
    assert "nothing has been said of this hole" in text
    free = next(row for row in _rows("square_targets", square_id="x:3") if row["name"] == "3040")
    text = words.hole_text(free, "3").plain
    assert text.endswith("expected: usable 55 % (40-70), signal of 120 particles, not among those to take next")
    assert words.expected(free | {"at_bar": True}) == "at a bar of the grid: left out, unless you pick it"
    first = _rows("next_targets")[0]
    text = words.next_text(first).plain
    assert "number 1: hole 12018, square 12" in text
    assert "usable 91 % (80-97), signal of 206 particles (146-286), 6.2 min with the way to it" in text
    assert text.endswith("a square worth the way; 62 % is what its time could bring elsewhere")


def test_a_line_of_the_list_has_all_of_it_in_its_columns() -> None:
    rows = _rows("next_targets")
    heading, lines = words.next_lines(rows)
    told = [line.plain for _, line in lines]
    assert told[9].startswith(" 10 13     13037 73 % (62-79)     170  6.2  a square worth the way")
    assert told[9].index("73 %") == heading.plain.index("usable")
    assert words.common_reason(rows) == "62 % is what its time could bring elsewhere"
    assert told[1].endswith("next hole at this position")
    assert told[2].rstrip().endswith("0.9"), "the same as in the row above is not said again"
    _, unknown = words.next_lines([rows[9] | {"signal": None, "name": "", "square": None}])
    assert "–" in unknown[0][1].plain
    assert words.next_lines([])[1] == []
    assert words.short_reason({"reason": "picked by a person; usable with 83 % (70 to 91)"}) == "picked by a person"
    assert [row["rank"] for row in words.in_order(rows, 1)][:2] == [1, 2]
    assert [row["minutes"] for row in words.in_order(rows, 3)][-2:] == [6.2, 6.2]
    assert words.in_order([rows[0] | {"signal": None}, rows[1]], 2)[0]["rank"] == 2, "what is not known is last"


def test_what_frazil_needs_is_said_where_no_grid_is_known() -> None:
    nothing = {"holes": 0, "squares": 0}
    for grid in (None, nothing):
        text = words.verdict_text(grid, None).plain
        for needed in ("EpuSession.dm", "Atlas.dm", ".nav", ".csv", "intake.sidecar_roots", "targets.roots"):
            assert needed in text
        assert words.facts_text(grid, None).plain == ""
    facts = words.facts_text(_rows("grid")[0], _rows("next_rounds")[0] | {"hours_left": None}).plain
    assert "31 % of what it can give is taken · 96 of 1 920 holes exposed · hours left not known, 8 h assumed" in facts


def _rows(name: str, **params: Any) -> list[dict[str, Any]]:
    return list(SyntheticGrid().answer(name, params).as_dicts())


def test_the_synthetic_grid_has_the_stores_columns(tmp_path: Path) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        for name, (columns, params) in COLUMNS.items():
            assert set(params) <= set(NAMED[name].params), name
            assert set(columns) == set(store.named(name, params).columns), name  # type: ignore[arg-type]


# ---- on the screen


def meant(session: Any) -> list[tuple[str, str]]:
    return [(order.name, order.args["target_id"]) for order in session.service.commands]


@pytest.fixture
def gridded(session: Any) -> Any:
    session.service.grid = SyntheticGrid()
    session.publish()
    return session


async def test_squares_holes_and_list_are_there_and_enter_leads_on(gridded: Any, tools: Any) -> None:
    app = gridded.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        assert NEXT_LINE in tools.screen_text(app)
        await pilot.press("g")
        await tools.until(pilot, lambda: "64 holes" in tools.screen_text(app), "holes of the next square")
        text = tools.screen_text(app)
        assert VERDICT in text
        assert "square 12  ▶ next, chosen" in text
        await pilot.press("right")
        await tools.until(pilot, lambda: "square 13: 64 holes" in tools.screen_text(app), "the square right of it")
        await pilot.press("enter")
        await tools.until(pilot, lambda: "number 10: usable 73 % (62-79)" in tools.screen_text(app), "its best hole")
        await pilot.press("tab", "enter")
        await tools.until(pilot, lambda: "number 1: usable 91 %" in tools.screen_text(app), "the first of the list")
        assert "square 12: 64 holes" in tools.screen_text(app)
        await pilot.press("escape", "right", "home")
        await tools.until(pilot, lambda: "square 12  ▶ next" in tools.screen_text(app), "back to what comes next")
        await pilot.press("escape")
        await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen), "the movies")


async def test_orders_are_about_the_place_under_the_cursor_and_can_be_undone(gridded: Any, tools: Any) -> None:
    app = gridded.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("g")
        await tools.until(pilot, lambda: "64 holes" in tools.screen_text(app))
        await pilot.press("left", "a")
        await tools.until(pilot, lambda: "avoided by anna" in tools.screen_text(app), "what was said is shown")
        assert meant(gridded) == [("target-avoid", "epu:square:11")]
        (told,) = app._notifications
        assert (told.title, told.message) == (
            "target-avoid: square 11 is left out", "square 11; f: forget it again",
        )  # fmt: skip
        await pilot.press("f")
        await tools.until(pilot, lambda: "avoided by anna" not in tools.screen_text(app), "undone")
        await pilot.press("enter")
        await tools.until(pilot, lambda: "hole 11000" in tools.screen_text(app))
        await pilot.press("down", "p")
        await tools.until(pilot, lambda: "picked by anna" in tools.screen_text(app))
        await pilot.press("tab", "down", "a")
        await tools.until(pilot, lambda: len(gridded.service.commands) == 4, "of the list")
        assert meant(gridded)[1] == ("target-forget", "epu:square:11")
        assert meant(gridded)[2][1].startswith("epu:hole:110")
        assert meant(gridded)[3] == ("target-avoid", "epu:hole:12019")
        assert gridded.service.status == "running", "p does not pause here"


async def test_a_click_selects(gridded: Any, tools: Any) -> None:
    app = gridded.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("g")
        await tools.until(pilot, lambda: "64 holes" in tools.screen_text(app))
        await tools.settle(pilot)
        lines = tools.screen_text(app).splitlines()
        y = next(i for i, line in enumerate(lines) if "~" in line[:60])
        await pilot.click(offset=(lines[y].index("~"), y))
        await tools.until(pilot, lambda: "square 26  ~ gone" in tools.screen_text(app), "the place under the mouse")


async def test_a_list_stands_where_no_position_is_known_or_a_person_wants_one(gridded: Any, tools: Any) -> None:
    gridded.service.grid = SyntheticGrid("nowhere")
    app = gridded.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("g")
        await tools.until(pilot, lambda: "64 holes" in tools.screen_text(app))
        text = tools.screen_text(app)
        assert "▌▶ next      12                0 of 64   █ 92 % (82-99)" in text
        assert not any(one.display for one in app.screen.query(PlaceMap))
        gridded.service.grid = SyntheticGrid("pixels")
        await pilot.press("down", "p")
        await tools.until(pilot, lambda: all(one.display for one in app.screen.query(PlaceMap)), "pictures")
        assert meant(gridded) == [("target-pick", "epu:square:11")]
        await pilot.press("l")
        await tools.until(pilot, lambda: "+ picked    11" in tools.screen_text(app), "a list again")
        assert [one.display for one in app.screen.query(PlaceMap)] == [False, True], "of the squares alone"


async def test_a_grid_larger_than_its_pane_says_so_and_moves_with_the_cursor(
    gridded: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic_grid, "HOLES_A_ROW", 30)
    app = gridded.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("g")
        await tools.until(pilot, lambda: "square 12  ▶ next" in tools.screen_text(app))
        assert "a part is shown" not in tools.screen_text(app), "all squares have room"
        await pilot.press("2")
        await tools.until(pilot, lambda: "a part is shown" in tools.screen_text(app))
        shown = app.screen.query_one("#grid-holes PlaceMap", PlaceMap)
        before = shown._start
        await pilot.press(*["down"] * 25)
        await tools.settle(pilot)
        assert shown._start[1] > before[1]
        assert "▸" in tools.screen_text(app), "the cursor is seen"


async def test_the_list_has_other_orders(gridded: Any, tools: Any) -> None:
    app = gridded.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("g")
        await tools.until(pilot, lambda: "64 holes" in tools.screen_text(app))
        listed = app.screen.query_one("#grid-next", ChoiceList)
        assert listed.border_title == "next 10, by rank"
        await pilot.press("o", "o", "o")
        await tools.settle(pilot)
        assert listed.border_title == "next 10, by minutes"
        assert listed._lines[-1][0] == "epu:hole:13037"


async def test_without_a_grid_the_screen_says_what_it_needs_and_live_has_no_line(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        assert not app.screen.query_one("#next-line").display
        await pilot.press("g")
        await tools.until(pilot, lambda: "No grid is known" in tools.screen_text(app))
        text = tools.screen_text(app)
        assert "most often the matter" in text, "squares that movies name are told all the same"
        assert "GridSquare_14370000" in text
        await pilot.press("p", "tab", "right", "enter", "o", "l", "a")
        await tools.settle(pilot)
        assert session.service.commands == []
        session.service.grid = SyntheticGrid(rounds=False)
        session.publish()
        await tools.until(pilot, lambda: "Nothing has been said yet" in tools.screen_text(app), "a grid came")
        session.service.grid = SyntheticGrid()
        session.publish()
        await tools.until(pilot, lambda: VERDICT in tools.screen_text(app), "and advice")
        assert isinstance(app.screen, GridScreen)
