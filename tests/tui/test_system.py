"""The machinery: words that agree with the numbers, a movie re-queued by key, help that knows its mode."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from frazil.daemon.transport.messages import LiveState, Pong
from frazil.tui.live.screen import LiveScreen
from frazil.tui.system.screen import SystemScreen
from frazil.tui.system.words import aside_text, daemon_text, journal_text, queue_text, stages_text
from frazil.tui.widgets.dialogs import HelpScreen
from frazil.tui.widgets.mode_screen import MODES, ModeScreen

STATE = LiveState(
    counts={"queued": 30, "processing": 2, "ready": 9}, queue_depth=30, found_per_hour=200.0, ready_per_hour=300.0,
    lag_p50_s=18.0, lag_p95_s=60.0, free_disk_bytes=10**12, daemon_started_utc_us=10**15, utc_us=10**15 + 60_000_000,
    session_dir="/data/s1", raw_root="/data/raw", sequence=7,
)  # fmt: skip


def test_the_queue_says_whether_the_workers_keep_up() -> None:
    text = queue_text(STATE).plain
    assert text.startswith("○ 30 queued   ▶ 2 processing   \n… 30 wait, empty in 18 min 00 s"), "at 100 an hour"
    assert "! 30 wait, 100 more every hour" in queue_text(replace(STATE, found_per_hour=400.0)).plain
    assert "… 30 wait, none is finished yet" in queue_text(replace(STATE, ready_per_hour=0.0)).plain
    assert "✓ nothing waits" in queue_text(replace(STATE, queue_depth=0)).plain
    assert "as many come as are finished" in queue_text(replace(STATE, found_per_hour=299.0)).plain


def test_times_of_stages_add_up() -> None:
    rows: list[Any] = [
        {"stage": "ctf", "movies": 10, "p50_s": 2.0, "p95_s": 4.0, "total_s": 30.0},
        {"stage": "new_stage", "movies": 10, "p50_s": 0.01, "p95_s": 0.02, "total_s": 10.0},
    ]
    lines = stages_text(rows, [], 60).plain.splitlines()
    assert lines[1].split()[:6] == ["CTF", "2.0", "s", "4.0", "s", "75%"]
    assert lines[1].count("█") == lines[1].count("░") == 10, "20 cells to 4 s"
    assert lines[2].startswith("new stage        10 ms    20 ms   25%")
    assert lines[3].startswith("all              4.0 s a movie")
    assert "no movie" in stages_text([], [], 60).plain


def test_a_reason_is_whole_and_harmless() -> None:
    row: Any = {"state": "quarantined", "failure_stage": "intake", "reason": "\x1b[2Jends early",
                "relative_path": "a/b.eer", "attempts": 2, "found_utc_us": 10**15}  # fmt: skip
    assert aside_text(row).plain.startswith("■ set aside in intake: \ufffd[2Jends early\nfound")
    assert "2 attempts: a/b.eer" in aside_text(row).plain
    assert "nothing was set aside" in aside_text(None).plain


def test_the_journal_tells_what_to_do_and_who_has_done_it() -> None:
    row: Any = {"created_utc_us": 10**15, "severity": "error", "subject": "disk", "text": "full", "remedy": "free some",
                "acknowledged_utc_us": 1, "acknowledged_by": "anna"}  # fmt: skip
    assert journal_text([row]).plain.endswith("■ disk: full → free some ✓ anna")
    assert "nothing" in journal_text([]).plain


def test_the_daemon_and_its_places() -> None:
    sockets = ("ipc:///run/user/1000/frazil/ab/query.sock", "ipc:///run/user/1000/frazil/ab/events.sock")
    text = daemon_text(STATE, Pong(10**15, "/data/s1", 4711, "0.1.0"), sockets, 80).plain
    assert text.splitlines() == [
        "frazil 0.1.0, process 4711, up 60 s, state 7",
        "movies  /data/raw",
        "session /data/s1",
        "log     /data/s1/logs/daemon.log",
        "sockets /run/user/1000/frazil/ab/query.sock, events.sock",
    ]
    assert max(map(len, daemon_text(STATE, None, sockets, 30).plain.splitlines()[1:])) <= 30


async def test_a_movie_is_requeued_by_key(session: Any, tools: Any) -> None:
    app = session.app()
    aside = next(row for row in session.service.rows if row["state"] == "quarantined")
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("y")
        await tools.settle(pilot)
        assert isinstance(app.screen, SystemScreen)
        text = tools.screen_text(app)
        assert "in intake: the file ends in frame 31" in text
        assert "query.sock" in text
        assert "gpu3" in text
        await pilot.press("Q")
        await tools.until(pilot, lambda: session.service.commands, "the command")
        assert session.service.commands[0].args == {"movie_id": aside["movie_id"]}
        await tools.until(pilot, lambda: "nothing was set aside" in tools.screen_text(app), "it has gone from the list")
        await pilot.press("Q")
        await tools.settle(pilot)
        assert len(session.service.commands) == 1


async def test_alerts_are_acknowledged_in_every_mode(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("y")
        await tools.settle(pilot)
        await pilot.press("k")
        await tools.until(pilot, lambda: session.service.commands)
        assert session.service.commands[0].args == {"alert_id": "a1"}


async def test_help_tells_the_keys_of_its_mode(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        own = {"live": "jump to a movie", "causes": "scroll the advice", "map": "scroll the words",
               "scores": "an earlier round", "system": "once more from the start"}  # fmt: skip
        for mode in own:
            if mode != "live":
                await pilot.press(MODES[mode][0])
                await tools.until(pilot, lambda mode=mode: app.current_mode == mode)
            await tools.settle(pilot)
            assert isinstance(app.screen, ModeScreen)
            bound = {binding.key_display or binding.key for binding in app.screen.BINDINGS}  # type: ignore[union-attr]
            await pilot.press("question_mark")
            await tools.until(pilot, lambda: isinstance(app.screen, HelpScreen))
            text = tools.screen_text(app)
            assert f"Keys in {mode}" in text
            assert [other for other, words in own.items() if words in text] == [mode]
            shown = text.lower().replace("↑ ↓", "up down").replace("pgup pgdn", "pageup pagedown pagedown,d pageup,u")
            for key in bound - {str(number) for number in range(1, 5)}:
                assert f" {key.lower()}" in shown, (mode, key)
            await pilot.press("escape")
            await tools.settle(pilot)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=str)
async def test_every_mode_survives_the_daemons_end(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        session.stop()
        for key, _ in MODES.values():
            await pilot.press(key)
            await tools.until(pilot, lambda: "daemon gone since" in tools.screen_text(app), key)
        session.start()
        await tools.until(pilot, lambda: "daemon gone since" not in tools.screen_text(app))
        await pilot.press("escape")
        await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen))
