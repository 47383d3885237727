"""The live screen, used by keys, against a daemon's real sockets."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.widgets import Input

from frazil.tui.live.movie_panel import MoviePanel
from frazil.tui.live.movie_table import MovieTable
from frazil.tui.live.pages import MAX_PAGES, PAGE_ROWS
from frazil.tui.live.screen import LiveScreen
from frazil.tui.live.table_dialog import TableDialog
from frazil.tui.widgets.dialogs import HelpScreen, TextPrompt
from frazil.tui.widgets.notices import GateBanner, GoneBanner
from frazil.tui.widgets.picture import Picture

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_whole_session_is_seen_at_a_glance(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        text = tools.screen_text(app)
    for expected in (
        "300 kV",
        "0.834 Å/px",
        "lag 18 s",
        "disk 7.3 TB",
        "✗",
        "✓ kept",
        "rejected",
        "kept",
        "processing",
    ):
        assert expected in text
    assert "31 % of the last 25" in text, "the alert"
    assert max(map(len, text.splitlines())) <= size[0]


async def test_small_terminals_show_one_pane_at_a_time(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        seen = {}
        for key in "1234":
            await pilot.press(key)
            await tools.settle(pilot)
            seen[key] = tools.screen_text(app)
    assert any("▶" in line for line in seen["1"].splitlines()[7:12]), seen["1"]
    assert "CTF fit" in seen["2"]
    assert "▀" in seen["2"]
    assert "300 ago" in seen["3"]
    assert "gpu3" in seen["4"]
    assert "gpu3" not in seen["1"] + seen["2"] + seen["3"]


async def test_reject_reaches_the_daemon_with_its_reason(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("down", "down", "down", "down", "down")
        await tools.settle(pilot)
        movie = session.service.rows[-10]  # four without a result, the newest result, and five down from there
        assert app.screen.query_one(MoviePanel).movie_id == movie["movie_id"]
        await pilot.press("r")
        await tools.until(pilot, lambda: isinstance(app.screen, TextPrompt))
        await pilot.press(*"ice a", "enter")
        await tools.until(pilot, lambda: session.service.commands, "the command")
        command = session.service.commands[0]
        assert (command.name, command.args) == ("reject", {"movie_id": movie["movie_id"], "reason": "ice a"})
        await tools.settle(pilot)
        table = app.screen.query_one(MovieTable)
        await tools.until(pilot, lambda: table.current()["state"] == "rejected")
        assert "ice a" in tools.screen_text(app), "the reason is shown"
        await pilot.press("a")
        await tools.until(pilot, lambda: len(session.service.commands) == 2)
        assert session.service.commands[1].name == "accept"
        await tools.until(pilot, lambda: table.current()["state"] == "ready")


async def test_nothing_is_rejected_without_a_reason(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        for keys in (("r", "escape"), ("r", "enter", "escape"), ("r", "space", "enter", "escape"), ("n", "enter")):
            await pilot.press(*keys)
            await tools.settle(pilot)
        await pilot.press("r", "enter")
        await tools.settle(pilot)
        assert isinstance(app.screen, TextPrompt), "it stays: closed, the next letters would be single-key commands"
        await pilot.press("escape")
        await tools.settle(pilot)
        assert session.service.commands == []
        await pilot.press("n", *"tip", "enter")
        await tools.until(pilot, lambda: session.service.commands)
        assert session.service.commands[0].name == "note"
        assert session.service.commands[0].args["text"] == "tip"


async def test_pause_and_go_on(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        for expected in ("pause", "resume"):
            await pilot.press("p")
            await tools.until(pilot, lambda name=expected: session.service.commands[-1:][0].name == name)
            session.publish()
            await tools.until(pilot, lambda name=expected: (app.state.status == "paused") == (name == "pause"))


async def test_filter_by_text_and_by_state(session: Any, tools: Any) -> None:
    app = session.app()
    rows = session.service.rows
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        table = app.screen.query_one(MovieTable)
        await pilot.press("slash", *"_7_2026", "enter")
        await tools.settle(pilot)
        assert table.pages.total == sum("_7_2026" in row["relative_path"] for row in rows) > 0
        await pilot.press("slash", "escape")
        await tools.settle(pilot)
        assert table.pages.total == len(rows)
        assert not app.screen.query_one("#filter", Input).display
        await pilot.press("t", "t")
        await tools.settle(pilot)
        assert table.pages.total == sum(row["state"] == "rejected" for row in rows) > 0
        assert all(row["state"] == "rejected" for row in table.pages._pages[0].rows)


async def test_the_cursor_stands_on_the_movie_that_is_shown(session: Any, tools: Any) -> None:
    """Whatever is filtered, taken back, or arrives: an order must not be about another movie than the marked one."""
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        table, panel = app.screen.query_one(MovieTable), app.screen.query_one(MoviePanel)

        def marked() -> Any:
            row = table.pages.row(table._marked())
            return None if row is None else row["movie_id"]

        await pilot.press("slash", *"_25_2026", "enter")
        await tools.settle(pilot)
        await tools.until(pilot, lambda: "_25_2026" in (panel.row or {}).get("relative_path", ""), "the filter's first")
        await tools.until(pilot, lambda: panel.movie_id == marked() == app.movie_id, "one movie everywhere")
        before = marked()
        session.add(tools.make_rows(360, seed=1)[320:])  # one of them fits, and comes to stand under the cursor
        await tools.until(pilot, lambda: marked() not in (None, before))
        await tools.settle(pilot)
        await tools.until(pilot, lambda: panel.movie_id == marked(), "the one that came under the cursor")
        await pilot.press("escape")
        await tools.settle(pilot)

        def follows() -> bool:
            return panel.movie_id == marked() == app.state.last_movie_id

        await tools.until(pilot, follows, "following the newest again")
        await pilot.press("slash", *"no such movie", "enter")
        await tools.settle(pilot)
        await tools.until(pilot, lambda: table.pages.total == 0 and panel.movie_id is None, "nothing that fits")
        await pilot.press("a")
        await tools.settle(pilot)
        assert session.service.commands == [], "an order needs a movie that is seen"
        assert "no movie selected" in tools.screen_text(app)


async def test_sort_by_any_column(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(200, 60)) as pilot:
        await tools.settle(pilot)
        table = app.screen.query_one(MovieTable)
        await pilot.press("s")
        await tools.until(pilot, lambda: isinstance(app.screen, TableDialog))
        await pilot.press("home", "down", "down", "down", "enter")  # CTF fit
        await tools.settle(pilot)
        best = min(row["ctf_fit_angstrom"] for row in session.service.rows if row["ctf_fit_angstrom"])
        assert table.pages.row(0)["ctf_fit_angstrom"] == best
        line = next(line for line in tools.screen_text(app).splitlines() if "fit▲Å" in line)
        await pilot.click(MovieTable, offset=(line.index("fit▲Å"), 1))  # the title, again: turned round
        await tools.settle(pilot)
        worst = max(row["ctf_fit_angstrom"] for row in session.service.rows if row["ctf_fit_angstrom"])
        assert table.pages.row(0)["ctf_fit_angstrom"] == worst


@pytest.mark.parametrize(
    "sort_keys", [(), ("s", "home", "down", "down", "down", "enter")], ids=["newest first", "by fit"]
)
async def test_jump_to_a_path(session: Any, tools: Any, sort_keys: tuple[str, ...]) -> None:
    app = session.app()
    target = session.service.rows[123]
    part = target["relative_path"].removesuffix("_Fractions.tiff")[-24:]
    assert sum(part in row["relative_path"] for row in session.service.rows) == 1
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        for key in sort_keys:
            await pilot.press(key)
            await tools.settle(pilot)
        await pilot.press("j")
        await tools.until(pilot, lambda: isinstance(app.screen, TextPrompt))
        app.screen.query_one(Input).value = part
        await pilot.press("enter")
        table = app.screen.query_one(MovieTable)
        await tools.until(pilot, lambda: (table.current() or {}).get("movie_id") == target["movie_id"])
        await tools.until(pilot, lambda: app.screen.query_one(MoviePanel).movie_id == target["movie_id"])
        top = int(table.scroll_offset.y)
        assert top <= table.cursor < top + table.size.height - 1, "it is visible"


async def test_a_chosen_movie_stays_chosen_while_others_arrive(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        app.screen.query_one(MovieTable).go_to(9)
        await tools.settle(pilot)
        table = app.screen.query_one(MovieTable)
        chosen = table.current()["movie_id"]
        session.add(tools.make_rows(330, seed=1)[320:])
        await tools.until(pilot, lambda: table.pages.total == 330)
        await tools.settle(pilot)
        assert table.current()["movie_id"] == chosen
        assert table.cursor == 19
        assert app.screen.query_one(MoviePanel).movie_id == chosen
        await pilot.press("f")
        await tools.settle(pilot)
        assert table.cursor == 0
        assert app.screen.query_one(MoviePanel).movie_id == app.state.last_movie_id


async def test_following_shows_the_newest_result(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        panel = app.screen.query_one(MoviePanel)
        assert panel.movie_id == app.state.last_movie_id
        session.add(tools.make_rows(340, seed=1)[320:])
        await tools.until(pilot, lambda: panel.movie_id == f"{335:08x}")
        await tools.settle(pilot)
        assert panel.row["movie_id"] == f"{335:08x}"
        assert "the newest is followed" in tools.screen_text(app)


async def test_the_table_in_memory_stays_small(session: Any, tools: Any) -> None:
    session.add(tools.make_rows(6000, seed=1)[320:])
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        table = app.screen.query_one(MovieTable)
        for start in range(0, 6000, 193):
            table.go_to(start)
            await tools.until(pilot, lambda: table.current() is not None)
        await tools.settle(pilot)
        assert len(table.pages) <= MAX_PAGES * PAGE_ROWS
        await pilot.press("end")
        await tools.settle(pilot)
        assert table.current()["movie_id"] == f"{0:08x}"


async def test_the_screen_survives_the_daemons_restart(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        banner = app.screen.query_one(GoneBanner)
        assert not banner.display
        session.stop()
        await tools.until(pilot, lambda: banner.display, "the banner")
        text = tools.screen_text(app)
        assert "daemon gone since" in text
        assert "last state shown" in text
        assert "300 kV" in text, "the last state is still there"
        await pilot.press("down", "a")
        said = lambda: [note.title for note in app._notifications]  # noqa: E731
        await tools.until(pilot, lambda: "accept: not done" in said(), "an order that failed says so")
        session.service.started_utc_us += 1
        session.start()
        await tools.until(pilot, lambda: not banner.display, "the banner goes")
        await tools.settle(pilot)
        assert session.service.commands == [], "nothing was kept for later"
        await pilot.press("a")
        await tools.until(pilot, lambda: session.service.commands, "orders work again")


async def test_before_the_daemon(session: Any, tools: Any) -> None:
    session.stop()
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.until(pilot, lambda: "waiting for it" in tools.screen_text(app))
        session.start()
        await tools.settle(pilot)
        assert "300 kV" in tools.screen_text(app)


async def test_a_blocking_gate_cannot_be_overlooked(session: Any, tools: Any) -> None:
    session.service.blocked = True
    session.publish()
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        text = tools.screen_text(app)
        assert "BLOCKED by the gain gate" in text
        assert "slope 0.97" in text
        assert "--gain-orientation rot180" in text
        session.service.blocked = False
        session.publish()
        await tools.until(pilot, lambda: not app.screen.query_one(GateBanner).display)


async def test_alerts_are_acknowledged_by_key(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("k")
        await tools.until(pilot, lambda: session.service.commands)
        assert session.service.commands[0].args == {"alert_id": "a1"}
        session.publish()
        await tools.until(pilot, lambda: "no open alerts" in tools.screen_text(app))


@pytest.mark.parametrize(("size", "lines"), [((80, 24), 1), ((120, 40), 3)])
async def test_a_large_terminal_shows_more_than_one_alert(
    session: Any, tools: Any, size: tuple[int, int], lines: int
) -> None:
    told = ("less than 2 GB are free", "motion inside frames: 5 of the last 10 movies", "sidecars come late")
    make = session.service.snapshot
    session.service.snapshot = lambda: msgspec.structs.replace(make(), alerts_open=4, urgent_alerts=told)
    session.publish()
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await tools.until(pilot, lambda: "! 4 alerts: less than 2 GB are free" in tools.screen_text(app))
        assert sum(text in tools.screen_text(app) for text in told) == lines


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_home_means_the_newest_movie(session: Any, tools: Any, size: tuple[int, int]) -> None:
    """Without any new movie: nothing else would tell."""
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        newest = app.movie_id
        await pilot.press("down", "down")
        await tools.settle(pilot)
        assert app.movie_id != newest
        await pilot.press("home")
        await tools.until(pilot, lambda: app.movie_id == newest == app.screen.movie.movie_id)


async def test_keys_of_a_small_terminal_are_not_swallowed(session: Any, tools: Any) -> None:
    """The pane of one movie, another mode, and back: no hidden field takes the keys."""
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("2", "c")
        await tools.settle(pilot)
        await pilot.press("c")
        await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen))
        await pilot.press("m")
        await tools.until(pilot, lambda: app.current_mode == "map")
        await pilot.press("m", "1")
        await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.movies.table.has_focus)
        before = app.movie_id
        await pilot.press("down", "down")
        await tools.until(pilot, lambda: app.movie_id != before)


@pytest.mark.parametrize("mode", ["", "c", "m"])
async def test_what_a_person_changed_is_kept(session: Any, tools: Any, mode: str) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        if mode:
            await pilot.press(mode)
            await tools.settle(pilot)
        await pilot.press("i")
        await tools.until(pilot, lambda: "What have you changed?" in tools.screen_text(app))
        await pilot.press(*"C2 50", "enter")
        await tools.until(pilot, lambda: session.service.commands)
        (command,) = session.service.commands
        assert (command.name, command.args) == ("intervention", {"sentence": "C2 50"})


async def test_a_change_may_have_been_a_while_ago_and_aimed_at_a_cause(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("i")
        await tools.until(pilot, lambda: "What have you changed?" in tools.screen_text(app))
        await pilot.press(*"longer", "tab", *"2199-01-01 00:00", "enter")
        await tools.until(pilot, lambda: "is still to come" in tools.screen_text(app))
        assert session.service.commands == []
        app.screen.query_one("#when", Input).value = ""
        begin_utc_us = time.time_ns() // 1000
        await pilot.press(*"20min", "tab", "enter", "down", "enter")
        await pilot.press("shift+tab", "enter")
        await tools.until(pilot, lambda: session.service.commands)
        (command,) = session.service.commands
        assert (command.name, command.args["sentence"], command.args["factor"]) == ("intervention", "longer", "motion")
        assert begin_utc_us - 1_200_000_000 <= command.args["at_utc_us"] <= time.time_ns() // 1000 - 1_200_000_000


async def test_hostile_names_are_only_text(session: Any, tools: Any) -> None:
    name = "[bold red]x[/] \x1b[2J\x07[link=a](@click=app.quit).tiff"
    for row in session.service.rows[-8:]:
        row["relative_path"] = f"[/]/{name}"
    rejected = session.service.rows[-5]
    rejected.update(state="rejected", reason=f"because [/nonsense] {name}")
    app = session.app()
    async with app.run_test(size=(200, 60)) as pilot:
        await tools.settle(pilot)
        await pilot.press("down", "down", "down", "down", "a", "slash", *"[/]", "enter")
        await tools.settle(pilot)
        text = tools.screen_text(app)
        assert "[bold red]x[/] \ufffd[2J\ufffd[link=a]" in text
        assert "\x1b" not in text
        await pilot.press("down", "r")
        await tools.settle(pilot)
        assert "[bold red]x" in tools.screen_text(app)


async def test_pictures_and_what_is_said_without_them(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(200, 60)) as pilot:
        await tools.settle(pilot)
        pictures = list(app.screen.query(Picture))
        assert all(len(picture.strips) > 10 for picture in pictures)
        await pilot.press("up", "up", "up")  # a movie that is queued
        await tools.settle(pilot)
        assert all(picture._text == "not yet" for picture in pictures)
        assert "no motion measured yet" in tools.screen_text(app)


async def test_a_movie_fills_the_screen_and_zooms(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        picture = app.screen.query_one("#spectrum", Picture)
        small = picture.size.width
        await pilot.press("enter", "z")
        await tools.settle(pilot)
        assert picture.size.width > small
        assert "middle ×4" in tools.screen_text(app)
        await pilot.press("escape")
        await tools.settle(pilot)
        assert picture.size.width == small


async def test_the_micrograph_is_shown_as_summed_and_as_restored(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(200, 60)) as pilot:
        await tools.settle(pilot)
        picture = app.screen.query_one("#thumbnail", Picture)
        summed = picture.strips
        await pilot.press("d")
        await tools.settle(pilot)
        assert picture.kind == "restored"
        assert picture.strips
        assert picture.strips != summed
        assert "restored micrograph" in tools.screen_text(app)
        await pilot.press("d")
        await tools.settle(pilot)
        assert picture.strips == summed


async def test_resizing_while_running(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(200, 60)) as pilot:
        await tools.settle(pilot)
        for size in [(80, 24), (60, 16), (120, 40), (30, 8), (200, 60)]:
            await pilot.resize_terminal(*size)
            await tools.settle(pilot)
            assert max(map(len, tools.screen_text(app).splitlines())) <= size[0]
        assert "the newest is followed" in tools.screen_text(app)


async def test_help_names_every_key(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        bound = {binding.key_display or binding.key for binding in app.screen.BINDINGS}  # type: ignore[union-attr]
        await pilot.press("question_mark")
        await tools.until(pilot, lambda: isinstance(app.screen, HelpScreen))
        text = tools.screen_text(app).lower()
        for key in bound:
            assert f" {key.lower()}" in text, key


async def test_quitting_leaves_the_daemon_alone(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("q")
    assert session.service.commands == []
    again = session.app()
    async with again.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        assert "300 kV" in tools.screen_text(again)


def test_the_screen_costs_no_heavy_import() -> None:
    code = (
        "import sys, frazil.tui.app\n"
        "heavy = {'torch', 'ray', 'duckdb', 'numpy', 'pydantic', 'networkx', 'scipy'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert out.stdout.strip() == "[]"
