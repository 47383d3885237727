"""Thresholds are looked at while one types and applied by Enter; new errors ring."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual.widgets import Input

from frazil.tui.live.what_if_screen import FIELDS, changes_of

PRESENT = {**dict.fromkeys((name for name, _ in FIELDS)), "max_astigmatism_angstrom": 5000.0, "cuts": ["a >= 1"]}


def texts(**said: str) -> dict[str, str]:
    return {
        **dict.fromkeys((name for name, _ in FIELDS), ""),
        "max_astigmatism_angstrom": "5000",
        "cuts": "a >= 1",
        **said,
    }


def test_only_what_is_other_is_a_change() -> None:
    assert changes_of(texts(), PRESENT) == {}
    assert changes_of(texts(max_defocus_um="2.5", max_astigmatism_angstrom=" "), PRESENT) == {
        "max_defocus_um": 2.5,
        "max_astigmatism_angstrom": None,
    }
    assert changes_of(texts(cuts=""), PRESENT) == {"cuts": ""}
    assert "not a number" in str(changes_of(texts(min_defocus_um="x"), PRESENT))


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_numbers_follow_the_fields_and_enter_applies(session: Any, tools: Any, size: tuple[int, int]) -> None:
    app = session.app()
    async with app.run_test(size=size) as pilot:
        await tools.settle(pilot)
        await pilot.press("x")
        await tools.until(pilot, lambda: "0 set aside" in tools.screen_text(app))
        field = app.screen.query_one("#max_ctf_fit_resolution_angstrom", Input)
        assert (field.value, field.has_focus) == ("10", True)
        for _ in range(2):
            await pilot.press("backspace")
        await pilot.press("4")
        fits = [row["ctf_fit_angstrom"] for row in session.service.rows if row["state"] == "ready"]
        lost = sum(fit is not None and fit > 4 for fit in fits)
        assert 0 < lost < len(fits)
        await tools.until(pilot, lambda: f"{lost} set aside" in tools.screen_text(app))
        assert not [command for command in session.service.commands if command.name == "thresholds"]
        await pilot.press("enter")
        await tools.until(pilot, lambda: session.service.commands[-1].name == "thresholds")
        assert session.service.commands[-1].args == {"max_ctf_fit_resolution_angstrom": 4.0}


async def test_escape_leaves_everything_as_it_is_and_a_word_is_no_number(session: Any, tools: Any) -> None:
    app = session.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        await pilot.press("x")
        await tools.until(pilot, lambda: "0 set aside" in tools.screen_text(app))
        await pilot.press("z")
        await tools.until(pilot, lambda: "is not a number" in tools.screen_text(app))
        await pilot.press("enter", "escape")
        await tools.settle(pilot)
        assert not [command for command in session.service.commands if command.name == "thresholds"]


async def test_a_new_error_rings_once(session: Any, tools: Any, monkeypatch: Any) -> None:
    app = session.app()
    rung: list[int] = []
    monkeypatch.setattr(type(app), "bell", lambda self: rung.append(1))
    async with app.run_test(size=(80, 24)) as pilot:
        await tools.settle(pilot)
        state = session.service.snapshot()

        def shown(opened: int | None, *, bell: bool = True) -> int:
            app._show(msgspec.structs.replace(state, error_opened_utc_us=opened, bell=bell))
            return len(rung)

        assert [shown(5), shown(5), shown(None), shown(5)] == [1, 1, 1, 1]
        assert shown(6, bell=False) == 1
        assert shown(7) == 2
