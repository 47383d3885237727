"""The scores: lines that agree with the rows, evidence told as it is, keys that lead from round to round."""

from __future__ import annotations

import json
from typing import Any

import pytest

from frazil.daemon.transport.messages import Rows
from frazil.tui.live.screen import LiveScreen
from frazil.tui.scores.plot import points_of
from frazil.tui.scores.screen import ScoresScreen
from frazil.tui.scores.words import change_mark, evidence_text, heading, in_order, value_text, verdict_line
from frazil.tui.widgets.choice_list import ChoiceList

ROW: dict[str, Any] = {
    "round": 3, "evaluator": "reproducibility", "verdict": 0.75, "uncertainty": 0.125, "reliability": 0.4,
    "unit": "ring agreement of halves",
}  # fmt: skip


def test_a_line_tells_verdict_error_change_and_reliability() -> None:
    line = verdict_line(ROW, ROW | {"verdict": 0.9}, 60).plain
    assert line.startswith("reproducibility 0.75 ±0.12")
    assert "↓" in line
    assert "█" * 10 + "▓" * 2 + "░" * 2 in line, "of 16 cells: 0.625, 0.75, 0.875"
    assert line.endswith("! 40%")
    assert len(line) <= len(heading(60).plain)
    unknown = verdict_line(ROW | {"verdict": None, "uncertainty": None}, None, 60).plain
    assert "nothing yet" in unknown
    assert unknown.endswith("?")
    assert "█" not in verdict_line(ROW, None, 40).plain, "no room"
    goal = ROW | {"evaluator": "feasibility", "uncertainty": None}
    for verdict, words in ((0.0, "✓ within reach"), (1.0, "✓ within reach"), (1.4, "✗ out of reach")):
        line = verdict_line(goal | {"verdict": verdict}, None, 60).plain
        assert words in line, "an empty bar would say that nothing is reached"
        assert len(line) == len(verdict_line(ROW, None, 60).plain)


def test_values_have_as_many_digits_as_their_errors_need() -> None:
    assert value_text({"verdict": 109.25, "uncertainty": 0.17}) == "109.2 ±0.2"
    assert value_text({"verdict": 0.97346, "uncertainty": 0.0026}) == "0.973 ±0.003"
    assert value_text({"verdict": 0.5, "uncertainty": None}) == "0.50"
    assert value_text({"verdict": None}) == "nothing yet"
    assert [change_mark(1.0, 0.5), change_mark(0.5, 1.0), change_mark(1.0, 1.001), change_mark(1.0, None)] == [
        "↑", "↓", "→", " ",
    ]  # fmt: skip


def test_the_sum_comes_first_and_strangers_last() -> None:
    assert in_order(["zeta", "logic", "hyperscore", "value"]) == ["hyperscore", "value", "logic", "zeta"]


def test_evidence_is_told_as_it_is() -> None:
    evidence = {
        "proved": 1,
        "share": 0.123456,
        "obligations": [
            {"name": "a", "statement": "frames are counted", "settled": "proved", "checked": 5, "subject": None},
            {"name": "b", "statement": "halves are apart", "settled": "refuted", "counter_example": {"n": 7}},
        ],
        "terms": {"logic": 1.0, "meta": 0.5},
        "values": list(range(20)),
        "hostile": "\x1b[2J[bold]x[/]",
        "does_not_know": ["whether \x1b[31mit is so"],
    }
    text = evidence_text(ROW, json.dumps(evidence)).plain
    lines = text.splitlines()
    assert lines[0] == "reproducibility  0.75 ±0.12  (ring agreement of halves)"
    assert "? whether \ufffd[31mit is so" in lines
    assert "share: 0.1235" in lines
    assert "  ✓ proved frames are counted (checked 5)" in lines
    assert "  ✗ refuted halves are apart" in lines
    assert "    counter example: n 7" in lines
    assert "terms: logic 1, meta 0.5" in lines
    assert "values: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … (20 in all)" in lines
    assert "hostile: \ufffd[2J[bold]x[/]" in lines
    assert "does not know:" not in text, "it stands in front, under its own heading"


@pytest.mark.parametrize("stored", [None, "no json", "[]", '{"a": [[1, 2], {"b": null}]}'])
def test_evidence_of_any_form_is_shown(stored: str | None) -> None:
    assert "reproducibility" in evidence_text(ROW, stored).plain
    assert "five finished movies" in evidence_text(None, stored).plain


def test_points_of_a_plot() -> None:
    rows: list[Any] = [ROW, ROW | {"round": 1, "uncertainty": None}, ROW | {"round": 2, "verdict": None}]
    assert points_of(rows, "reproducibility") == [(1.0, 0.75, 0.0), (3.0, 0.75, 0.125)]
    assert points_of(rows, "logic") == []


async def test_evidence_is_one_key_away(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("e")
        await tools.settle(pilot)
        assert isinstance(app.screen, ScoresScreen)
        text = tools.screen_text(app)
        assert "HyperScore" in text
        assert "nothing yet" in text
        await pilot.press("down", "down", "enter")
        await tools.settle(pilot)
        text = tools.screen_text(app)
        assert "✗ refuted no CTF fit claims detail beyond Nyquist" in text
        assert "HyperScore" not in text, "the whole screen"
        await pilot.press("enter")
        await tools.settle(pilot)
        assert "HyperScore" in tools.screen_text(app)
        await pilot.press("e")
        await tools.until(pilot, lambda: isinstance(app.screen, LiveScreen))


async def test_earlier_rounds(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("e", "down", "down")
        await tools.settle(pilot)
        assert "round 63, the newest" in tools.screen_text(app)
        assert "refuted: 1" in tools.screen_text(app)
        await pilot.press(*["left"] * 34)
        await tools.settle(pilot)
        text = tools.screen_text(app)
        assert "round 29 of 63" in text
        assert "refuted: 0" in text, "the evidence is that of the round"
        assert app.screen.query_one("#verdicts", ChoiceList).chosen == "logic"
        await pilot.press(*["right"] * 50)
        await tools.settle(pilot)
        assert "round 63, the newest" in tools.screen_text(app)


async def test_before_the_first_round(session: Any, tools: Any) -> None:
    answer = session.service.named

    def nothing(request: Any) -> Rows:
        if request.name in ("verdicts", "evidence"):
            return Rows(("round", "evaluator"), ())
        result: Rows = answer(request)
        return result

    session.service.named = nothing
    app = session.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await tools.settle(pilot)
        await pilot.press("e", "left", "down", "enter")
        await tools.settle(pilot)
        text = tools.screen_text(app)
        assert "nothing judged yet" in text
        assert text.count("no verdict yet") == 3
        session.service.named = answer
        session.add(tools.make_rows(325, seed=1)[320:])
        await tools.until(pilot, lambda: "HyperScore  105" in tools.screen_text(app), "the first round")
