"""docs/verbs.md is what the verbs say of themselves, and must be current."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.daemon.cli.main import VERBS
from frazil.daemon.cli.verbs_page import verbs_page

PAGE = Path(__file__).resolve().parents[4] / "docs" / "verbs.md"


@pytest.fixture(scope="module")
def page() -> str:
    return verbs_page()


def test_page_is_current(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "run: python -m frazil.daemon.cli.verbs_page > docs/verbs.md"


def test_every_verb_is_told_in_one_whole_line_of_the_list(page: str) -> None:
    listed = page.split("Commands:")[1].split("```")[0].splitlines()
    lines = {line.split()[0]: line for line in listed if line.strip()}
    assert set(lines) == set(VERBS)
    assert [line for line in lines.values() if line.endswith("...")] == []
