"""The screens as text, compared with files that people can read in a diff.

`FRAZIL_UPDATE_SNAPSHOTS=1 pytest tests/tui/test_snapshots.py` writes them anew; look at the difference before
committing it. Colours and pictures in full: `./run bench screenshots OUT`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.screen.synthetic_grid import SyntheticGrid
from frazil.tui.scores.screen import ScoresScreen
from frazil.tui.widgets.picture import Picture

FOLDER = Path(__file__).parent / "snapshots"


def compare(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    text += "\n"
    if os.environ.get("FRAZIL_UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"the screen {name} has changed; see the docstring of this module"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_live(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await pilot.press(*["down"] * 6)
        await tools.settle(pilot)
        compare(f"live-{size[0]}x{size[1]}", tools.screen_text(app))


async def test_panes(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        for key, name in (("2", "movie"), ("v", "spectrum"), ("v", "motion"), ("3", "trends"), ("4", "workers")):
            await pilot.press(key)
            await tools.settle(pilot)
            compare(f"{name}-80x24", tools.screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_causes(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await pilot.press(*["down"] * 14)  # a movie that drifted
        await tools.settle(pilot)
        await pilot.press("c")
        await tools.until(pilot, lambda: "unexplained" in tools.screen_text(app), "the losses")
        await tools.settle(pilot)
        compare(f"causes-{size[0]}x{size[1]}", tools.screen_text(app))
        if size == (80, 24):
            for key, name in (("2", "advice"), ("3", "loss-spectrum")):
                await pilot.press(key)
                await tools.settle(pilot)
                compare(f"{name}-80x24", tools.screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_grid(session: Any, tools: Any, size: tuple[int, int]) -> None:
    session.service.grid = SyntheticGrid()
    session.publish()
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        if size == (120, 40):
            compare("live-with-a-grid-120x40", tools.screen_text(app))
        await pilot.press("g")
        await tools.until(pilot, lambda: "square 12  ▶ next" in tools.screen_text(app), "the square that comes next")
        await tools.settle(pilot)
        compare(f"grid-{size[0]}x{size[1]}", tools.screen_text(app))
        if size == (80, 24):
            for key, name in (("2", "grid-holes"), ("3", "grid-next")):
                await pilot.press(key)
                await tools.settle(pilot)
                compare(f"{name}-80x24", tools.screen_text(app))
        if size == (120, 40):  # from the square that is half shot, its holes
            await pilot.press("up", "up", "right", "enter")
            await tools.settle(pilot)
            compare("grid-holes-120x40", tools.screen_text(app))


async def test_no_grid(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("g")
        await tools.until(pilot, lambda: "No grid is known" in tools.screen_text(app))
        compare("no-grid-80x24", tools.screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_map(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await pilot.press("m")
        await tools.until(pilot, lambda: "3.90 Å at FSC 0.143" in tools.screen_text(app), "the map's words")
        await tools.until(
            pilot, lambda: all(one.drawn for one in app.screen.query(Picture) if one.display and one.size)
        )
        await tools.settle(pilot)
        compare(f"map-{size[0]}x{size[1]}", tools.screen_text(app))
        if size == (80, 24):
            for key, name in (("2", "map-fsc"), ("3", "map-picture"), ("4", "map-growth")):
                await pilot.press(key)
                await tools.settle(pilot)
                compare(f"{name}-80x24", tools.screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_scores(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await pilot.press("e")
        await tools.until(pilot, lambda: isinstance(app.screen, ScoresScreen), "the scores")
        await tools.settle(pilot)
        await pilot.press("down", "down")  # logic
        await tools.settle(pilot)
        compare(f"scores-{size[0]}x{size[1]}", tools.screen_text(app))
        if size == (80, 24):
            for key, name in (("2", "evidence"), ("3", "score-rounds")):
                await pilot.press(key)
                await tools.settle(pilot)
                compare(f"{name}-80x24", tools.screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_system(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await pilot.press("y")
        await tools.settle(pilot)
        compare(f"system-{size[0]}x{size[1]}", places_hidden(tools.screen_text(app)))
        if size == (80, 24):
            for key, name in (("2", "stages"), ("3", "quarantine"), ("4", "journal")):
                await pilot.press(key)
                await tools.settle(pilot)
                compare(f"{name}-80x24", tools.screen_text(app))


def places_hidden(text: str) -> str:
    """Process, state and sockets are other ones each time; everything keeps its place."""

    def hidden(found: re.Match[str]) -> str:
        line = re.sub(r"(process|state) \d+", r"\1 N", found[0])
        return line + " " * (len(found[0]) - len(line))

    text = re.sub(r"frazil, process [^│\n]*", hidden, text)
    text = re.sub(r"(sockets )(\S+)(/query)", lambda found: f"{found[1]}{'.' * len(found[2])}{found[3]}", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


async def test_dialogs(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        for key, name in (("r", "reject"), ("s", "sort"), ("x", "what-if"), ("question_mark", "help")):
            await pilot.press(key)
            await tools.settle(pilot)
            compare(f"{name}-80x24", tools.screen_text(app))
            await pilot.press("escape")
            await tools.settle(pilot)


async def test_blocked(session: Any, tools: Any) -> None:
    session.service.blocked = True
    session.publish()
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        compare("blocked-80x24", tools.screen_text(app))
