"""Names without what they share, and the columns that a person has chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.screen.synthetic_session import make_rows
from frazil.daemon.transport.messages import Rows
from frazil.tui.live.movie_columns import COLUMNS, fitting, row_cells
from frazil.tui.live.movie_list import order_words
from frazil.tui.live.movie_panel import MovieTitle
from frazil.tui.live.movie_table import MovieTable
from frazil.tui.live.pages import MoviePages, View
from frazil.tui.live.table_choice import TableChoice, choice_path, load_choice, save_choice
from frazil.tui.live.table_dialog import TableDialog, sorted_by, toggled
from frazil.tui.words.formatting import movie_name
from frazil.tui.words.short_names import ShortNames


def test_short_names_tell_all_movies_apart() -> None:
    paths = [str(row["relative_path"]) for row in make_rows(320, 1)]
    names = ShortNames()
    for start in range(0, 320, 100):
        names.learn(paths[start : start + 100])
    short = [names.short(path) for path in paths]
    assert len(set(short)) == 320
    assert max(map(len, short)) == names.longest <= 16, "hole and square stand in a table of 120 x 40"
    assert short[0] == "0/000_0_0_0000"
    assert not names.learn(paths), "nothing new"
    assert names.learn(["Images-Disc1/GridSquare_2/Data/FoilHole_9_Data_8_7_20260922_000000_Fractions.tiff"])
    assert names.short(paths[0]).split("_")[-2] == "1", "the 21st: the day is no longer the same in all"


@pytest.mark.parametrize(
    "paths",
    [["a/one_1.tiff"], ["a/one_1.tiff", "a/one_1.tiff"], ["a/one_1.tiff", "b/c/two-2-3.mrc"], [".tiff", "x.tiff"]],
    ids=str,
)
def test_a_name_stays_whole_where_nothing_can_be_left_out(paths: list[str]) -> None:
    names = ShortNames()
    names.learn(paths)
    assert names.short(paths[0]) == movie_name(paths[0])


def test_a_name_that_was_not_learnt_stays_whole_or_unique() -> None:
    names = ShortNames()
    assert names.short("a/x_1.tiff") == "x_1"
    names.learn(["a/x_10.tiff", "a/x_11.tiff"])
    assert names.short("a/x_25.tiff") == "25"
    assert names.short("q/y_z_1.tiff") == "y_z_1"
    assert "\x1b" not in names.short("a/x_\x1b.tiff")


@pytest.mark.parametrize("width", [65, 76, 106])
def test_reason_and_flags_stand_in_the_table(width: int) -> None:
    """Inner widths at 120 x 40, 80 x 24 and 200 x 60."""
    layout = fitting(width, name_cells=16)
    line = layout.join([text for text, _ in row_cells(layout, {"state": "rejected", "reason": "no rings at all"})])
    assert "no rings " in line
    line = layout.join([text for text, _ in row_cells(layout, {"state": "ready", "flags": "drift-burst"})])
    assert "drift-bur" in line
    line = layout.join([text for text, _ in row_cells(layout, {"state": "ready", "named_cause": "ice"})])
    assert "ice" in line


@pytest.mark.parametrize("width", [65, 76, 106])
def test_the_name_gives_way_to_the_cause(width: int) -> None:
    """A flag of twelve letters is whole at 120 x 40, however long the names are; the number stands before them."""
    layout = fitting(width, name_cells=60)
    row: Any = {"number": 8, "state": "ready", "relative_path": "a/" + "x" * 60 + "_7.tiff", "flags": "large-motion"}
    cells = [text.strip() for text, _ in row_cells(layout, row)]
    assert cells[-1] == "large-motion" or "large-motion" in cells
    assert cells[0] == "8"
    assert next(cell for cell in cells if cell.startswith("…")).endswith("_7"), "its end tells names apart"


@pytest.mark.parametrize("width", [65, 76, 106])
def test_a_number_is_never_cut(width: int) -> None:
    layout = fitting(width, name_cells=16, highest_number=50_000)
    row: Any = {"number": 49_998, "state": "ready", "relative_path": "a/x_7.tiff"}
    cells = [text.strip() for text, _ in row_cells(layout, row)]
    assert cells[0] == "49998"
    pages = MoviePages()
    pages.fill(0, pages.version, pages.view, Rows(("movie_id", "number"), (("a", 49_998), ("b", 50_000)), total=2))
    pages.set_view(View(search="x"))
    assert pages.highest_number == 50_000, "columns do not jump with a filter"


def test_the_order_is_told_as_it_is() -> None:
    assert order_words(View()) == "newest found first"
    assert order_words(View(descending=False)).startswith("oldest found first")
    assert order_words(View(sort="ctf_fit_angstrom", descending=True)).startswith("by fit Å, large first")


def test_a_column_that_was_taken_away_is_not_shown() -> None:
    choice = toggled(toggled(TableChoice(), "ice_nm"), "lag_s")
    keys = [column.key for column, _ in fitting(230, choice.columns).columns]
    assert keys == [column.key for column in COLUMNS if column.key not in ("ice_nm", "lag_s")]
    assert toggled(choice, "ice_nm").columns is not None
    assert "ice_nm" in (toggled(choice, "ice_nm").columns or ())
    assert toggled(choice, "state") == choice, "a line says nothing without it"
    few = TableChoice(("state", "relative_path", "found_utc_us", "flags"))
    keys = [column.key for column, _ in fitting(65, few.columns).columns]
    assert keys == ["state", "relative_path", "found_utc_us", "flags"], "what was wanted, not what goes first"


def test_the_order_turns_round() -> None:
    by_fit = sorted_by(TableChoice(), "ctf_fit_angstrom")
    assert (by_fit.sort, by_fit.descending) == ("ctf_fit_angstrom", False)
    assert sorted_by(by_fit, "ctf_fit_angstrom").descending


CHOICE = TableChoice(("state", "relative_path", "ice_nm"), "ice_nm", True)


def test_a_choice_is_kept(tmp_path: Path) -> None:
    path = choice_path({"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nowhere"})
    assert path == tmp_path / "frazil" / "movie-table.json"
    assert load_choice(path) == TableChoice()
    assert save_choice(path, CHOICE)
    assert load_choice(path) == CHOICE
    assert [one.name for one in path.parent.iterdir()] == [path.name], "no half of a file is left"
    assert choice_path({"XDG_CONFIG_HOME": "not/absolute", "HOME": "/h"}) == Path("/h/.config/frazil/movie-table.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", TableChoice()),
        ("{", TableChoice()),
        ("[1, 2]", TableChoice()),
        ("[" * 50_000, TableChoice()),
        ('{"columns": 7, "sort": "nothing", "descending": true}', TableChoice()),
        ('{"columns": null, "sort": "lag_s", "descending": "yes"}', TableChoice()),
        ('{"columns": ["ice_nm", 3, "of a later frazil"], "sort": "x"}', TableChoice(CHOICE.columns)),
        (json.dumps({"columns": None, "sort": "lag_s", "descending": False}), TableChoice(None, "lag_s", False)),
    ],
)
def test_a_broken_file_does_no_harm(tmp_path: Path, text: str, expected: TableChoice) -> None:
    path = tmp_path / "movie-table.json"
    path.write_text(text)
    assert load_choice(path) == expected
    path.write_bytes(b"\xff\xfe" + bytes(100))
    assert load_choice(path) == TableChoice()


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "frazil").write_text("a file in the folder's place")
    assert not save_choice(tmp_path / "frazil" / "movie-table.json", CHOICE)
    assert load_choice(tmp_path / "frazil" / "movie-table.json") == TableChoice()


async def test_columns_and_order_are_there_again(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        assert "ice nm" in tools.screen_text(app)
        await pilot.press("s")
        await tools.until(pilot, lambda: isinstance(app.screen, TableDialog))
        keys = [column.key for column in COLUMNS]
        await pilot.press("home", *["down"] * keys.index("ice_nm"), "space")
        await pilot.press("home", *["down"] * keys.index("lag_s"), "enter")
        await tools.settle(pilot)
        assert "ice nm" not in tools.screen_text(app)
        slowest = max(row["lag_s"] for row in session.service.rows if row["lag_s"])
        assert app.screen.query_one(MovieTable).pages.row(0)["lag_s"] == slowest
    again = session.app()
    async with again.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        assert "ice nm" not in tools.screen_text(again)
        assert again.screen.query_one(MovieTable).pages.row(0)["lag_s"] == slowest
        await pilot.press("s", "0", "escape", "f")
        await tools.settle(pilot)
        assert "ice nm" in tools.screen_text(again)
        assert again.screen.query_one(MovieTable).follows_newest
    assert load_choice(choice_path()) == TableChoice()


async def test_the_whole_name_stands_beside_the_table(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("down")
        await tools.settle(pilot)
        name = movie_name(app.screen.query_one(MovieTable).current()["relative_path"])
        title = app.screen.query_one(MovieTitle)
        assert name in title.render().plain.replace("\n", "")
        assert len(title.render().plain.splitlines()) <= title.size.height
