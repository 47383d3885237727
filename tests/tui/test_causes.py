"""The causes: bars that end where the numbers end, words for what is not known, the keys that lead there and back."""

from __future__ import annotations

from typing import Any

import pytest

from frazil.daemon.transport.messages import Row, Rows
from frazil.tui.causes.bars import Loss, advice_text, bars_text, causes_tree, losses_of, movie_heading, scale_of
from frazil.tui.causes.experiment import experiment_text, scale
from frazil.tui.causes.loss_plot import curves_of
from frazil.tui.causes.screen import CausesScreen
from frazil.tui.live.screen import LiveScreen
from frazil.tui.words.interval_bar import interval_bar


def test_a_bar_ends_at_the_interval_and_at_the_loss() -> None:
    assert interval_bar(1.0, 0.5, 1.5, full_scale=3.0, width=30) == "█" * 5 + "▓" * 5 + "░" * 5
    assert interval_bar(9.0, 8.0, 10.0, full_scale=3.0, width=10) == "█" * 9 + "▸", "it goes on"
    assert interval_bar(0.0, 0.0, 0.0, full_scale=3.0, width=10) == ""


def test_losses_are_sorted_and_intervals_are_95_percent() -> None:
    rows: list[Any] = [
        {"factor": "defocus_spread", "loss_ln_ssnr": 9.0, "loss_sd": 0.1},
        {"factor": "ice", "loss_ln_ssnr": 0.1, "loss_sd": 0.2},
        {"factor": "motion", "loss_ln_ssnr": 0.5, "loss_sd": 0.1},
        {"factor": "detector", "loss_ln_ssnr": None, "loss_sd": None},
    ]
    found = losses_of(rows)
    assert [one.factor for one in found] == ["motion", "ice", "defocus_spread"], "beside the total comes last"
    assert (found[0].low, found[0].high) == pytest.approx((0.304, 0.696))
    assert found[1].low == 0.0
    assert scale_of(found) == pytest.approx(0.696), "what processing can undo does not set the scale"
    lines = bars_text(found, scale_of(found), 60, 20).plain.splitlines()
    assert [line.split()[0] for line in lines] == ["motion", "ice", "total", "processing", "spread"]
    assert lines[2].split()[1] == "0.60"
    assert all(len(line) <= 60 for line in lines)


@pytest.mark.parametrize("height", range(1, 20))
def test_as_many_causes_as_there_is_room_for(height: int) -> None:
    losses = [Loss(f"cause{i}", float(9 - i), 0.0, 10.0) for i in range(9)] + [Loss("ice", 0.0, 0.0, 0.1)]
    lines = bars_text(losses, 10.0, 40, height).plain.splitlines()
    assert len(lines) <= height
    assert lines[0].startswith("cause0"), "the largest stay"
    if height > 1:
        assert sum(line.startswith("total") for line in lines) == 1


def test_the_tree_goes_from_losses_to_what_acts_on_them() -> None:
    nodes: list[Row] = [
        {"name": "settle", "kind": "setting", "words": "settle time"},
        {"name": "drift", "kind": "mechanism", "words": "drift\x1b[31m"},
        {"name": "ice", "kind": "factor", "words": "ice"},
        {"name": "motion", "kind": "factor", "words": "motion"},
    ]
    edges: list[Row] = [{"cause": "settle", "effect": "drift"}, {"cause": "drift", "effect": "motion"}]
    tree = causes_tree(nodes, edges, [Loss("motion", 0.51, 0.4, 0.6)]).plain
    assert tree.splitlines() == ["motion 0.51", "  ← drift\ufffd[31m ← settle time", "ice"]


def test_escape_sequences_in_advice_are_not_obeyed() -> None:
    row: Any = {"place": 1, "sentence": "\x1b[31mred [bold]x[/]", "movie_number": 3, "acquired_utc_us": None}
    text = advice_text([row], [row], [], None).plain
    done = {"place": None, "who": "ada", "sentence": "waits 20 s", "created_utc_us": 0}
    people = advice_text([done], [], [], None).plain
    assert "ada: waits 20 s" in people
    assert "nothing: one session" not in people
    assert "\x1b" not in text
    assert "[bold]x[/]" in text
    assert "from movie 4 on" in text
    assert "nothing has been learnt from this session yet" in text


def test_an_advice_says_how_it_is_known_and_more_when_asked() -> None:
    row: Any = {
        "place": 1,
        "sentence": "wait",
        "known_by": "adjusted",
        "known_how": "x0.7",
        "refuters": "placebo: a\nb: c",
    }
    old: Any = {"place": 2, "sentence": "thin ice"}
    assert advice_text([row, old], [], [], None).plain.splitlines()[1:3] == ["1. wait  [adjusted]", "2. thin ice"]
    asked = advice_text([row, old], [], [], None, how=True).plain.splitlines()[1:]
    assert asked[:4] == ["1. wait  [adjusted]", "   x0.7", "   placebo: a", "   b: c"]
    assert asked[5] == "   how it is known was not kept"


def test_a_heading_says_the_cause_first() -> None:
    row: Any = {"relative_path": "a/b_Fractions.tiff", "named_cause": "ice", "named_excess_ln_ssnr": 0.4}
    assert movie_heading(row, attributed=True) == ("ice thickness with heights costs 33 % beyond the usual · b")
    assert movie_heading(row | {"named_cause": None}, attributed=True) == "no single cause · b"
    jumped = row | {"named_cause": None, "flags": "drift-burst"}
    assert movie_heading(jumped, attributed=True) == "no single cause, seen: drift-burst · b"
    assert movie_heading(row, attributed=False) == "b"
    assert movie_heading(None, attributed=False) == "no movie selected"


def test_the_total_of_the_spectrum_leaves_out_what_can_be_undone() -> None:
    factors = {"motion": 1.0, "ice": 2.0, "detector": 0.5, "coincidence": 0.1, "defocus_spread": 7.0}
    rows: list[Any] = [
        {"factor": factor, "frequency_per_angstrom": k, "loss_ln_ssnr": loss * k}
        for factor, loss in factors.items()
        for k in (0.1, 0.2)
    ]
    curves = curves_of(rows)
    assert list(curves) == ["total", "ice", "motion", "detector"]
    assert curves["total"][1] == pytest.approx([0.36, 0.72])
    assert curves_of([]) == {}


async def test_the_key_leads_to_the_selected_movie_and_back(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 60)) as pilot:
        await tools.settle(pilot)
        await pilot.press(*["down"] * 14)
        await tools.settle(pilot)
        selected = app.screen.movie.movie_id
        await pilot.press("c")
        await tools.settle(pilot)
        assert isinstance(app.screen, CausesScreen)
        text = tools.screen_text(app)
        assert app.movie_id == selected
        assert "motion inside frames costs 46 % beyond the usual" in text
        assert "wait 10 s longer after moving the stage" in text
        assert "anna: 5 s more wait after stage moves" in text
        assert "4. " not in text, "what people did is no advice"
        assert "from movie 181 on" in text
        for key in ("c", "escape"):
            await pilot.press(key)
            await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen))
            await pilot.press("c")
            await tools.until(pilot, lambda: isinstance(app.screen, CausesScreen))


async def test_how_advice_is_known_comes_and_goes_with_a_key(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(160, 60)) as pilot:
        await tools.settle(pilot)
        await pilot.press("c")
        await tools.settle(pilot)
        assert "[adjusted]" in tools.screen_text(app)
        assert "placebo" not in tools.screen_text(app)
        await pilot.press("h")
        await tools.until(pilot, lambda: "placebo" in tools.screen_text(app), "what was tried to refute it")
        await pilot.press("h")
        await tools.until(pilot, lambda: "placebo" not in tools.screen_text(app), "gone again")


async def test_a_new_version_is_asked_for(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 60)) as pilot:
        await tools.settle(pilot)
        await pilot.press("c")
        await tools.settle(pilot)
        assert "what is known so far" in tools.screen_text(app)
        answer = session.service.named

        def changed(request: Any) -> Rows:
            if request.name == "interventions":
                return Rows(("place", "sentence"), ((1, "thinner ice, now"),))
            result: Rows = answer(request)
            return result

        session.service.named = changed
        session.add(tools.make_rows(325, seed=1)[320:])
        await tools.until(pilot, lambda: "thinner ice, now" in tools.screen_text(app), "the new advice")


async def test_a_session_without_causes(session: Any, tools: Any) -> None:
    answer = session.service.named

    def nothing(request: Any) -> Rows:
        if request.name in ("movies", "movie", "trend", "frame_shifts"):
            result: Rows = answer(request)
            return result
        return Rows(("factor",), ())

    session.service.named = nothing
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("c")
        await tools.settle(pilot)
        assert tools.screen_text(app).count("no losses yet") == 2
        await pilot.press("2")
        await tools.settle(pilot)
        assert "nothing has been learnt from this session yet" in tools.screen_text(app)


EXPERIMENT: Any = {
    "words": "settle time 20 s (A) against settle time 5 s (B)",
    "state": "running",
    "sentence": "not yet: \x1b[31mx",
    "net_ln": 0.1,
    "net_low_ln": -0.05,
    "net_high_ln": 0.2,
    "pairs": 12,
    "most_pairs": 100,
    "movies_a": 12,
    "movies_b": 13,
    "failed_a": 0,
    "failed_b": 2,
    "complied_share": 0.5,
    "compliance": "ONLY 50 % of the movies were taken as assigned",
    "strangers": 3,
}


def test_a_running_experiment_says_its_arms_its_interval_and_who_followed() -> None:
    lines = experiment_text(EXPERIMENT).plain.splitlines()
    assert lines[0].endswith(EXPERIMENT["words"])
    assert lines[1].startswith("… not yet")
    assert "\x1b" not in lines[1]
    assert "│" in lines[2]
    assert lines[2].endswith("12 of 100 pairs; failed: 2 of B")
    assert lines[3].startswith("! ONLY 50 %")
    assert lines[4] == "! 3 movies outside the plan"
    decided = experiment_text({**EXPERIMENT, "state": "decided", "better": "A", "net_ln": None}).plain
    assert "✓ not yet" in decided
    assert "│" not in decided, "an interval that is not known is not drawn"
    stopped = experiment_text({**EXPERIMENT, "stopped_utc_us": 5, "stopped_by": "ada"}).plain
    assert "stopped by ada" in stopped


def test_the_scale_is_about_no_difference() -> None:
    assert scale(0.1, 0.05, 0.2, 11) == "·····│░█░░·"
    assert scale(-0.1, -0.2, -0.05, 11) == scale(0.1, 0.05, 0.2, 11)[::-1]
    assert scale(0.2, -9.0, 9.0, 11)[0] == "◂"
    assert scale(0.2, -9.0, 9.0, 11)[-1] == "▸"
    assert len(scale(5.0, 4.0, 6.0, 25)) == 25
