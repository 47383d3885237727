"""The window on the table, the search in it, and its columns: pure, against lists of rows as truth."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from frazil.daemon.transport.messages import Row, Rows
from frazil.tui.live.jump import find_index
from frazil.tui.live.movie_columns import COLUMNS, fitting, header_cells, row_cells
from frazil.tui.live.pages import MAX_PAGES, PAGE_ROWS, MoviePages, View


def page(number: int, total: int) -> Rows:
    first = number * PAGE_ROWS
    ids = range(first, min(total, first + PAGE_ROWS))
    return Rows(("movie_id", "n"), tuple((f"m{i}", i) for i in ids), total=total)


def test_asks_once_for_what_is_seen_and_not_there() -> None:
    pages = MoviePages()
    assert pages.wanted(0, 20) == [0]
    assert pages.wanted(0, 20) == [], "under way"
    assert pages.fill(0, pages.version, pages.view, page(0, 450))
    assert pages.total == 450
    assert pages.wanted(0, 20) == []
    assert pages.wanted(95, 120) == [1]
    assert pages.row(99) == {"movie_id": "m99", "n": 99}
    assert pages.row(100) is None
    assert pages.index_of("m42") == 42


def test_an_old_page_stays_visible_until_its_successor_is_there() -> None:
    pages = MoviePages()
    pages.fill(0, pages.version, pages.view, page(0, 450))
    pages.invalidate()
    assert pages.row(3) is not None
    assert pages.wanted(0, 20) == [0]


def test_an_answer_to_a_question_of_the_past_is_dropped() -> None:
    pages = MoviePages()
    version, view = pages.version, pages.view
    pages.set_view(View(sort="lag_s"))
    assert not pages.fill(0, version, view, page(0, 450))
    assert pages.row(0) is None


def test_a_page_that_could_not_be_had_is_asked_for_again() -> None:
    pages = MoviePages()
    assert pages.wanted(0, 20) == [0]
    pages.forget_request(0, pages.version)
    assert pages.wanted(0, 20) == [0]


def test_memory_is_bounded_and_the_oldest_pages_go_first() -> None:
    pages = MoviePages()
    total = 50_000
    for number in range(500):
        assert pages.wanted(number * PAGE_ROWS, number * PAGE_ROWS) == [number]
        pages.fill(number, pages.version, pages.view, page(number, total))
        assert len(pages) <= MAX_PAGES * PAGE_ROWS
    assert pages.row(total - 1) is not None
    assert pages.row(0) is None


def sorted_as_the_store_does(rows: list[Row], sort: str, descending: bool) -> list[Row]:
    """ORDER BY sort NULLS LAST, movie_id; NaN above every number."""

    def key(row: Row) -> tuple[bool, Any]:
        value = row[sort]
        if isinstance(value, float) and math.isnan(value):
            return True, 0.0
        return False, value

    by_id = sorted(rows, key=lambda row: str(row["movie_id"]))
    present = [row for row in by_id if row[sort] is not None]
    absent = [row for row in by_id if row[sort] is None]
    # `reverse` keeps the order of equal rows, as the tie-break by movie id demands.
    return sorted(present, key=key, reverse=descending) + absent


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", ["value", "path", "flag"])
async def test_jump_finds_every_row_in_every_order(sort: str, descending: bool) -> None:
    rng = random.Random(7)
    values = [None, math.nan, -1.5, 0.0, 2.0, 2.0, 7.25]
    rows: list[Row] = [
        {
            "movie_id": f"{rng.getrandbits(40):010x}",
            "value": rng.choice(values),
            "path": rng.choice(["a", "Z", "ä", "_", "a/b"]),
            "flag": rng.choice([True, False, None]),
        }
        for _ in range(90)
    ]
    ordered = sorted_as_the_store_does(rows, sort, descending)
    asked = 0

    async def fetch(index: int) -> Row | None:
        nonlocal asked
        asked += 1
        return ordered[index]

    for index, row in enumerate(ordered):
        asked = 0
        assert await find_index(row, total=len(rows), sort=sort, descending=descending, fetch=fetch) == index
        assert asked <= 7
    stranger: Row = {"movie_id": "x", "value": 2.0, "path": "a", "flag": True}
    assert await find_index(stranger, total=len(rows), sort=sort, descending=descending, fetch=fetch) is None


async def test_jump_in_a_table_that_has_become_shorter() -> None:
    async def fetch(index: int) -> Row | None:
        return {"movie_id": f"m{index}", "n": index} if index < 10 else None

    target: Row = {"movie_id": "m9", "n": 9}
    assert await find_index(target, total=1000, sort="n", descending=False, fetch=fetch) == 9


@pytest.mark.parametrize("width", range(20, 240, 7))
def test_columns_fit_and_lines_agree_with_titles(width: int) -> None:
    layout = fitting(width)
    row: Row = {column.key: None for column in COLUMNS}
    row |= {"relative_path": "a/" + "long_name_" * 20 + ".tiff", "state": "quarantined", "found_utc_us": 10**15}
    title = layout.join(header_cells(layout, "lag_s", True))
    line = layout.join([text for text, _ in row_cells(layout, row)])
    assert len(title) == len(line)
    assert len(line) <= max(width, 45)
    assert {"state", "relative_path"} <= {column.key for column, _ in layout.columns}


def test_the_wider_the_more_columns() -> None:
    counts = [len(fitting(width).columns) for width in range(20, 240)]
    assert counts == sorted(counts)
    assert counts[-1] == len(COLUMNS)


@pytest.mark.parametrize("width", [65, 76, 106])
def test_what_names_a_fault_is_there_on_every_terminal(width: int) -> None:
    """Inner widths of the table at 120 x 40, 80 x 24 and 200 x 60."""
    there = {column.key for column, _ in fitting(width).columns}
    assert {"ctf_fit_angstrom", "defocus_um", "motion_total_angstrom", "ice_nm", "named_cause"} <= there


@pytest.mark.parametrize("width", [65, 200])
def test_the_column_under_a_click(width: int) -> None:
    layout = fitting(width)
    text = " " + layout.join(header_cells(layout, "lag_s", True))
    for column, _ in layout.columns:
        found = layout.at(text.index(column.title))
        assert found is not None
        assert found.key == column.key
