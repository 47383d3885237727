"""The map: numbers that agree with the rows, words where there is nothing, warnings that are seen."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from frazil.config.errors import DaemonGoneError
from frazil.daemon.transport.messages import Rows
from frazil.tui.causes.screen import CausesScreen
from frazil.tui.live.screen import LiveScreen
from frazil.tui.map.plots import apart, curve_of, growth_of
from frazil.tui.map.screen import MapScreen
from frazil.tui.map.words import map_text
from frazil.tui.widgets.picture import Picture

ROUND: dict[str, Any] = {
    "round": 3, "movie_count": 30, "particle_count": 4200, "resolution_0143_angstrom": 7.25,
    "resolution_05_angstrom": 9.5, "map_path": "maps/map.mrc", "symmetry": "D7", "mask": "map", "sphericity": 0.93,
    "best_direction_angstrom": 6.9, "worst_direction_angstrom": 8.4, "orientation_efficiency": 0.62,
    "preferred_orientation": True, "orientation_sentence": "preferred orientation: [bold]\x1b[31mrot 12",
    "b_factor_a2": 220.0, "b_factor_low_a2": 180.0, "b_factor_high_a2": 270.0, "discarded_share": 0.034,
    "weights_sentence": "weights by cause: 6.25 A against 8.40 A without",
    "map_class_sentence": "2 maps with 60%, 40% of the particles: there is more than one kind (+1.20 +- 0.20 ln)",
}  # fmt: skip


def test_the_map_in_words() -> None:
    forecast: list[Any] = [
        {"sentence": "expected after 90 movies (12,600 particles): 6.0 A (80 %: 5.7 to 6.4)", "reachable": True},
        {"sentence": "3 A is out of reach: 90,000 movies; limited by ice thickness", "reachable": False},
        {"sentence": "6 A is out of reach: the running map's pixels end at 6.3 A", "reachable": False},
    ]
    text = map_text([ROUND], forecast, []).plain
    assert text.startswith("7.25 Å at FSC 0.143, 9.50 Å at 0.5")
    assert "4 200 particles of 30 movies, D7; mask: the map's own outline" in text
    assert "\nweights by cause: 6.25 Å against 8.40 Å without\n" in text
    assert "by direction 6.9 to 8.4 Å, sphericity 0.93" in text
    assert "orientations: 62% of the signal" in text
    assert "! preferred orientation: [bold]" in text
    assert "\x1b" not in text, "what comes from outside cannot steer the terminal"
    assert "3% of the particles hardly count" in text
    assert "there is more than one kind (+1.20 ± 0.20 ln)" in text
    assert "B-factor 220 Å² (80 %: 180 to 270)" in text
    assert "→ expected after 90 movies (12,600 particles): 6.0 Å (80 %: 5.7 to 6.4)" in text
    assert "✗ 3 Å is out of reach: 90,000 movies" in text
    assert "✗ 6 Å is out of reach: the running map's pixels end at 6.3 Å" in text


def test_what_is_not_known_is_not_said() -> None:
    assert "no round yet" in map_text([], [], []).plain
    assert "no forecast yet" in map_text([ROUND], [], []).plain
    assert "hardly count" not in map_text([ROUND | {"discarded_share": 0.004}], [], []).plain, "not of 0 %"
    bare: Any = dict.fromkeys(ROUND) | {"movie_count": 10, "particle_count": 90, "map_path": "maps/map.mrc"}
    text = map_text([bare], [], []).plain
    assert text.splitlines() == ["not resolved yet", "from 90 particles of 10 movies, C1"]
    classes: list[Any] = [{"particle_count": 50}, {"particle_count": 40}]
    text = map_text([bare | {"map_path": None}], [], classes).plain
    assert "2 class averages of 90 particles of 10 movies" in text
    assert "particles in the largest: 50, 40" in text
    assert "particles.initial_map" in text


def test_points_of_the_plots() -> None:
    unresolved: Any = ROUND | {"resolution_0143_angstrom": None}
    assert growth_of([unresolved, ROUND]) == ([pytest.approx(math.log(4200))], [pytest.approx(1 / 7.25**2)])
    rows: list[Any] = [
        {"frequency_per_angstrom": 0.1, "fsc": 0.9, "fsc_unmasked": None},
        {"frequency_per_angstrom": 0.2, "fsc": 0.1, "fsc_unmasked": 0.05},
    ]
    assert curve_of(rows, "fsc") == ([0.1, 0.2], [0.9, 0.1])
    assert curve_of(rows, "fsc_unmasked") == ([0.2], [0.05])
    assert apart([(0.5, "c"), (0.0, "a"), (0.01, "b"), (0.45, "d")], 1.0) == ([0.0, 0.5], ["a", "c"])


def test_a_map_that_was_begun_anew_says_so() -> None:
    sentence = "the map of 40 movies was begun anew at 2026-09-21 12:30 UTC: particles.symmetry changed"
    told: list[Any] = [{"alert_id": "another", "text": "x"}, {"alert_id": "map-begun-anew", "text": sentence}]
    assert sentence in map_text([ROUND], [], [], told).plain
    classes: list[Any] = [{"particle_count": 50}]
    assert sentence in map_text([ROUND | {"map_path": None}], [], classes, told).plain
    assert "anew" not in map_text([ROUND], [], [], told[:1]).plain


async def test_keys_lead_there_and_back(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        for key, screen in (
            ("m", MapScreen),
            ("c", CausesScreen),
            ("m", MapScreen),
            ("m", LiveScreen),
            ("m", MapScreen),
        ):
            await pilot.press(key)
            await tools.until(pilot, lambda screen=screen: isinstance(app.screen, screen), screen.__name__)
        await tools.settle(pilot)
        assert "3.90 Å at FSC 0.143" in tools.screen_text(app)
        await pilot.press("escape")
        await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen))


async def test_a_key_shows_where_views_lie(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("m")
        await tools.until(pilot, lambda: "sections, projections across z, y, x" in tools.screen_text(app))
        await pilot.press("v")
        await tools.until(pilot, lambda: "views by rot →, cos tilt ↓" in tools.screen_text(app))
        assert app.screen.query_one("#map-projections", Picture).kind == "map_orientations"
        await pilot.press("v")
        await tools.until(pilot, lambda: "sections, projections across z, y, x" in tools.screen_text(app))


async def test_words_where_there_is_nothing_yet(session: Any, tools: Any) -> None:
    session.service.with_map = False
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("m")
        await tools.settle(pilot)
        assert "no round yet" in tools.screen_text(app)
        for key, words in (("2", "no half maps yet"), ("3", "no map yet"), ("4", "no resolved round yet")):
            await pilot.press(key)
            await tools.settle(pilot)
            assert words in tools.screen_text(app)


async def test_a_first_round_is_shown(session: Any, tools: Any) -> None:
    session.service.with_map = False
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("m")
        await tools.settle(pilot)
        for words in ("no round yet", "no half maps yet", "no map yet", "no resolved round yet"):
            await tools.until(pilot, lambda words=words: words in tools.screen_text(app), words)
        session.service.with_map = True
        session.add(tools.make_rows(325, seed=1)[320:])
        await tools.until(pilot, lambda: "preferred orientation" in tools.screen_text(app), "the first round")
        await tools.until(pilot, lambda: "▀" in tools.screen_text(app), "its pictures")


async def test_classes_take_the_place_of_a_map(session: Any, tools: Any) -> None:
    answer = session.service.named

    def classes(request: Any) -> Rows:
        if request.name == "classes":
            return Rows(("class_id", "particle_count"), ((1, 50), (2, 40)))
        if request.name == "reconstructions":
            return Rows(
                ("round", "created_utc_us", "map_path", "movie_count", "particle_count"), ((1, 5, None, 10, 90),)
            )
        if request.name in ("fsc", "forecast"):
            return Rows(("round",), ())
        result: Rows = answer(request)
        return result

    session.service.named = classes
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("m")
        await tools.settle(pilot)
        text = tools.screen_text(app)
        assert "class averages" in text
        assert "2 class averages of 90 particles" in text
        assert "sections" not in text
        both = session.service.named

        def with_map(request: Any) -> Rows:
            return answer(request) if request.name == "reconstructions" else both(request)

        session.service.named = with_map
        session.add(tools.make_rows(325, seed=1)[320:])
        await tools.until(
            pilot,
            lambda: "sections, projections across z, y, x; class averages" in tools.screen_text(app),
            "both a map and classes",
        )


@pytest.mark.parametrize(
    ("key", "found"), [("m", "3.90 Å at FSC 0.143"), ("c", "what to change, best first"), ("e", "HyperScore")]
)
async def test_a_lost_question_is_asked_again(session: Any, tools: Any, key: str, found: str) -> None:
    """A daemon that was busy for longer than the client waits has not ended."""
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        named, heard = app.client.named, asyncio.Event()

        async def lose(name: str, /, **params: Any) -> Rows:
            if not heard.is_set():
                raise DaemonGoneError("nothing was heard", remedy="")
            rows: Rows = await named(name, **params)
            return rows

        app.client.named = lose
        await pilot.press(key)
        await tools.until(pilot, lambda: "no answer yet" in tools.screen_text(app), "that the answer is missing")
        heard.set()
        await tools.until(pilot, lambda: found in tools.screen_text(app), "the answer")
        assert "has ended" not in tools.screen_text(app)


async def test_a_daemon_that_ends_before_it_answers_is_not_waited_for(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        session.stop()
        await pilot.press("m")
        await tools.until(pilot, lambda: "no daemon answers" in tools.screen_text(app))


def test_classes_in_words() -> None:
    rows: list[Any] = [
        {"class_id": 3, "particle_count": 1200, "score": 0.93, "chosen": True, "verdict": None, "who": None},
        {"class_id": 5, "particle_count": 80, "score": 0.04, "chosen": False, "verdict": "reject", "who": "ann"},
        {"class_id": 0, "particle_count": 40, "score": None, "chosen": False, "verdict": "undecided", "who": "ann"},
    ]
    text = map_text([ROUND], [], rows).plain
    assert "2-D classes, 2 of 3 left out" in text
    assert "\n✓ 3: 1 200, score 0.93\n" in text
    assert "\n✗ 5: 80, score 0.04, reject (ann)\n" in text
    assert "2-D classes" not in map_text([ROUND], [], [row | {"score": None} for row in rows]).plain


async def test_keys_say_what_becomes_of_classes(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("m")
        await tools.settle(pilot)
        orders: list[Any] = []
        app.screen.order = lambda name, args, about: orders.append((name, args))
        await pilot.press("plus")
        await tools.until(pilot, lambda: "Which classes are kept?" in tools.screen_text(app))
        await pilot.press("3", ",", "7", "enter")
        await tools.until(pilot, lambda: isinstance(app.screen, MapScreen))
        await pilot.press("minus", "5", "enter")
        await tools.until(pilot, lambda: isinstance(app.screen, MapScreen) and len(orders) == 2)
        await pilot.press("u")
        await tools.until(pilot, lambda: len(orders) == 3)
        assert orders == [
            ("class-verdict", {"keep": "3,7"}),
            ("class-verdict", {"reject": "5"}),
            ("class-verdict", {"undo": True}),
        ]
