"""Whatever is pressed: the screen does not crash, Escape leads out of everything, and `?` and `q` answer afterwards.

Two hundred seeded sequences of keys, clicks and sizes, half of them on a session that a daemon runs on, half on a
finished one; the first six by default, the rest with `-m slow`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from finished_session import FINISHED_UTC_US, fill
from textual.app import ScreenStackError

from benchmarks.screen.synthetic_grid import SyntheticGrid
from frazil.daemon.status.finished import open_finished
from frazil.tui.app import FrazilApp
from frazil.tui.graphics.terminal import BLOCKS, Graphics
from frazil.tui.live.screen import LiveScreen
from frazil.tui.widgets.dialogs import HelpScreen

SEQUENCES, BY_DEFAULT = 200, 6
STEPS = 30
KEYS = (
    *"acdefghijklmnoprstvwxyzQ0123456789/?+-",
    *("up", "down", "left", "right", "pageup", "pagedown", "home", "end"),
    *("enter", "escape", "tab", "shift+tab", "space", "backspace", "delete", "ctrl+p", "ctrl+a", "f1"),
)
OFTEN = ("enter", "escape", "w", "plus", "down", "right", "g", "m", "s", "x")
SIZES = ((80, 24), (120, 40), (200, 60), (110, 32), (40, 12), (20, 5))
NAMED = {"/": "slash", "?": "question_mark", "+": "plus", "-": "minus"}
MOST_ESCAPES = 8
"""A dialog over the micrograph over a pane with a filter, and some to spare."""
KINDS = (BLOCKS, BLOCKS, Graphics("kitty", (10, 20)), Graphics("sixel", (8, 16)))


def numbers() -> Iterator[Any]:
    for number in range(SEQUENCES):
        yield pytest.param(number, marks=[] if number < BY_DEFAULT else pytest.mark.slow)


async def press_at_random(pilot: Any, rng: random.Random) -> list[str]:
    """What was done, for whoever reads the failure."""
    done: list[str] = []
    for _ in range(STEPS):
        kind = rng.random()
        if kind < 0.06:
            size = rng.choice(SIZES)
            done.append(f"{size[0]}x{size[1]}")
            await pilot.resize_terminal(*size)
        elif kind < 0.12:
            width, height = pilot.app.size
            place = (rng.randrange(width), rng.randrange(height))
            done.append(f"click {place}")
            await pilot.click(offset=place)
        else:
            key = rng.choice(OFTEN if kind < 0.4 else KEYS)
            done.append(key)
            await pilot.press(NAMED.get(key, key))
        if pilot.app._exit:
            break
    return done


async def leave(app: FrazilApp, pilot: Any, tools: Any, done: list[str]) -> None:
    """Out of everything, help, and the end."""
    await pilot.resize_terminal(120, 40)

    def at_home() -> bool:
        return app.current_mode == "live" and isinstance(app.screen, LiveScreen) and app.screen.maximized is None

    for _ in range(MOST_ESCAPES):
        if at_home():
            break
        await pilot.press("escape")
        await tools.settle(pilot)
    assert at_home(), f"no way out of {app.screen} after {done}"
    await pilot.press("escape")  # a filter that has the keys
    await pilot.press("question_mark")
    await tools.until(pilot, lambda: isinstance(app.screen, HelpScreen), f"help after {done}")
    await pilot.press("escape")
    await tools.until(pilot, at_home, f"back from the help after {done}")
    with contextlib.suppress(ScreenStackError):  # the pilot waits for a screen that has been left by then
        await pilot.press("q")
        await tools.until(pilot, lambda: app._exit, f"the end after {done}")
    assert app._exit


@pytest.mark.parametrize("number", numbers())
async def test_any_keys(
    number: int, tools: Any, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(number)
    monkeypatch.setattr(FrazilApp, "write_to_terminal", lambda self, text: None)
    graphics = rng.choice(KINDS)
    if number % 2:
        folder = fill(tmp_path / "night")
        open_file = partial(open_finished, utc_us=lambda: FINISHED_UTC_US)
        app = FrazilApp(folder, silence_s=0.3, open_file=open_file, graphics=graphics)
    else:
        session = request.getfixturevalue("session")
        session.service.grid = SyntheticGrid() if rng.random() < 0.5 else None
        session.publish()
        app = FrazilApp(session.directory, silence_s=0.3, graphics=graphics)
    async with app.run_test(size=rng.choice(SIZES[:4])) as pilot:
        await tools.settle(pilot)
        done = await press_at_random(pilot, rng)
        assert not app._exit, f"it has left by itself after {done}"
        await leave(app, pilot, tools, done)
