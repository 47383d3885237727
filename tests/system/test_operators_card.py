"""The card for the microscope's desk fits one printed page, and names keys, verdicts and verbs that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.binding import Binding

from benchmarks.screen.operators_card import CARD, browser, digest, print_page
from frazil.config.presets import list_presets
from frazil.daemon.cli.main import VERBS
from frazil.models.session_verdict.records import Word
from frazil.tui.app import FrazilApp
from frazil.tui.live.screen import LiveScreen

TEXT = CARD.read_text(encoding="utf-8")


def test_it_fits_one_page(tmp_path: Path) -> None:
    program = browser()
    if program is None:
        pytest.skip("no chromium on this machine")
    assert print_page(CARD, tmp_path / "card.pdf", program) == 1


def test_the_printed_card_is_of_this_text() -> None:
    printed = CARD.with_suffix(".pdf").read_bytes()
    assert digest(CARD).encode() in printed, "run: ./run bench operators_card docs/operators-card.pdf"


def test_verbs_presets_and_verdicts_are_there() -> None:
    assert set(re.findall(r"frazil ([a-z-]+)", TEXT)) - {"at", "goes"} <= set(VERBS)
    assert set(re.findall(r"`((?:krios|glacios)-\w+)`", TEXT)) <= set(list_presets())
    assert {"go on", "change", "stop"} <= {word.value for word in Word}
    assert all(f"**{word}**" in TEXT for word in ("go on", "change", "stop"))


def test_keys_are_there() -> None:
    part = TEXT.split("## Ten keys")[1].split("##")[0]
    keys = set(re.findall(r"`(.)`", part))
    bindings = [one for one in (*FrazilApp.BINDINGS, *LiveScreen.BINDINGS) if isinstance(one, Binding)]
    bound = {"?" if one.key == "question_mark" else one.key for one in bindings}
    assert len(keys) >= 10
    assert keys - bound == set()
