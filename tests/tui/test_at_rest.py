"""The screen of a session that no daemon runs on: read from its folder, and gone over to when the daemon ends."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from finished_session import FINISHED_UTC_US, KEPT, MOVIES, fill

from frazil.daemon.report.sessions_list import sessions_list
from frazil.daemon.status.finished import open_finished
from frazil.tui.app import FrazilApp
from frazil.tui.chooser import ChooserApp
from frazil.tui.widgets.mode_screen import MODES
from frazil.tui.widgets.notices import GoneBanner

SIZES = [(80, 24), (120, 40)]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return fill(tmp_path / "night")


def app_of(folder: Path, **options: Any) -> FrazilApp:
    return FrazilApp(folder, silence_s=0.3, open_file=partial(open_finished, utc_us=lambda: FINISHED_UTC_US), **options)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_says_when_it_finished_and_nothing_of_what_only_runs(
    finished: Path, tools: Any, size: tuple[int, int]
) -> None:
    app = app_of(finished)
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await tools.until(pilot, lambda: "_59_2149" in tools.screen_text(app), "the movies")
        text = tools.screen_text(app)
        assert "✓ finished 21 September 15:13" in text.splitlines()[2]
        assert f"kept {KEPT} of {MOVIES} ({KEPT / MOVIES:.0%})" in text.splitlines()[3]
        assert "3 not good: poor CTF fits (2" in text.splitlines()[1], "why, and not only how many"
        for word in ("disk", "found", "/h ", "gone", "reconnecting", "pause", "accept", "idle"):
            assert word not in "\n".join([*text.splitlines()[2:5], text.splitlines()[-1]]), word
        assert "! 1 alert, open when it ended: drift after stage moves" in text
        assert "acknowledge" not in text
        assert not app.screen.query_one(GoneBanner).display
        assert not app._notifications


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_mode_works_from_the_store(finished: Path, tools: Any, size: tuple[int, int]) -> None:
    app = app_of(finished)
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        for key, _ in MODES.values():
            await pilot.press(key)
            await tools.settle(pilot)
            text = tools.screen_text(app)
            assert "finished 21 September" in text
            for word in ("no answer", "asking again", "waiting for"):
                assert word not in text, (key, word)
        assert not app._notifications
        assert "none: no daemon runs on this session" in text


async def test_an_order_says_in_a_sentence_that_it_needs_a_daemon(finished: Path, tools: Any) -> None:
    app = app_of(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await tools.until(pilot, lambda: "_59_2149" in tools.screen_text(app), "the movies")
        await tools.settle(pilot)
        await pilot.press("a")
        await tools.until(pilot, lambda: app._notifications, "the answer")
        (note,) = app._notifications
        assert note.title == "accept: not done"
        assert "only a running daemon can do this" in note.message


async def test_one_that_nobody_closed_is_said_to_be_so(tmp_path: Path, tools: Any) -> None:
    app = app_of(fill(tmp_path / "night", closed=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        assert "! ended without being closed, last heard of 21 September 14:3" in tools.screen_text(app)


async def test_when_its_daemon_ends_the_screen_reads_the_folder_and_says_nothing(session: Any, tools: Any) -> None:
    """A mode that was opened before has its answers, too; and a daemon that comes back is told of once."""
    fill(session.directory)
    session.service.status = "finished"
    session.publish()
    app = app_of(session.directory)
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        session.stop()
        await pilot.press("y")
        await tools.until(pilot, lambda: "finished 21 September 15:13" in tools.screen_text(app), "the file's state")
        await tools.until(pilot, lambda: "set aside" in tools.screen_text(app), "answers of the file")
        await pilot.press("escape")
        await tools.until(pilot, lambda: f"{MOVIES} movies" in tools.screen_text(app), "movies of the file")
        assert [note.message for note in app._notifications] == []
        session.service.status = "running"
        session.start()
        await tools.until(pilot, lambda: "▶ running" in tools.screen_text(app), "the daemon")
        assert [note.message for note in app._notifications] == ["a daemon has taken this session up"]


async def test_a_screen_that_nobody_touches_asks_nothing(finished: Path, tools: Any) -> None:
    app = app_of(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await tools.until(pilot, lambda: "_59_2149" in tools.screen_text(app), "the movies")
        await tools.settle(pilot)
        file = app.client._file._file
        answer, asked = file.answer, []

        def heard(request: object) -> object:
            asked.append(request)
            return answer(request)

        file.answer = heard
        await tools.until(pilot, lambda: file._file._reader is None, "the file is let go of")
        for _ in range(150):
            await pilot.pause(0.01)
        assert asked == []


async def test_a_session_is_chosen_from_a_list_and_escape_leads_back(tmp_path: Path, tools: Any) -> None:
    for name in ("mon/session", "tue/session"):
        fill(tmp_path / name, closed=name.startswith("mon"))
    lines = [line.as_row() for line in sessions_list(tmp_path, lambda folder: open_finished(folder).snapshot())]
    chooser = ChooserApp(tmp_path, lambda: lines, lambda: FINISHED_UTC_US)
    async with chooser.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        while chooser._list.chosen is None:
            await pilot.pause(0.01)
        strips = chooser.screen._compositor.render_strips()
        text = "\n".join("".join(segment.text for segment in strip) for strip in strips)
        assert "2 sessions in" in text
        first, second = (line for line in text.splitlines() if "/session" in line)
        assert "mon/session" in first
        assert f"{KEPT / MOVIES:.0%}" in first
        assert "✓ finished 21 September 15:13" in first
        assert "! ended without being closed" in second
        await pilot.press("down", "enter")
    assert chooser.return_value == str(tmp_path / "tue/session")
    app = app_of(tmp_path / "tue/session", from_list=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("2", "escape")
        assert not app.left_for_list, "back to the movies first"
        await pilot.press("c", "escape", "escape")
        await tools.settle(pilot)
        assert not app.left_for_list, "one Escape too many leaves nothing"
        await pilot.press("escape")
        await tools.until(pilot, lambda: app.left_for_list)
