"""docs/architecture.md draws the house as it is: its tree comes from the rooms' own docstrings, its paths are there.

`FRAZIL_UPDATE_DOCS=1 pytest tests/unit/test_architecture_page.py` writes the tree anew.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
TREE = re.compile(r"(<!-- tree -->\n```text\n)(.*?)(```\n<!-- /tree -->)", re.DOTALL)
ROOMS = ("config", "models", "actors", "daemon", "tui", "benchmarks")
_PATH = re.compile(r"`((?:config|models|actors|daemon|tui|tests|benchmarks|docs)/[\w./-]*)`")
_WIDTH = 36


def _sentence(package: Path) -> str:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def _packages() -> list[Path]:
    found = [init.parent.relative_to(ROOT) for room in ROOMS for init in (ROOT / room).rglob("__init__.py")]
    return sorted(found, key=lambda path: (ROOMS.index(path.parts[0]), path.parts))


def tree() -> str:
    """One line a room: its place and what is done in it."""
    lines = []
    for package in _packages():
        name = "  " * (len(package.parts) - 1) + package.name + "/"
        lines.append(f"{name:{_WIDTH}}{_sentence(ROOT / package)}".rstrip())
    return "\n".join(lines) + "\n"


def test_every_room_says_what_is_done_in_it() -> None:
    assert [str(package) for package in _packages() if not _sentence(ROOT / package)] == []


def test_the_tree_on_the_page_is_the_house() -> None:
    page = PAGE.read_text(encoding="utf-8")
    drawn = TREE.search(page)
    assert drawn is not None
    if os.environ.get("FRAZIL_UPDATE_DOCS"):
        PAGE.write_text(TREE.sub(lambda place: place[1] + tree() + place[3], page), encoding="utf-8")
        return
    assert drawn[2] == tree(), "run: FRAZIL_UPDATE_DOCS=1 pytest tests/unit/test_architecture_page.py"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/status.md"])
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [path for path in _PATH.findall(text) if not (ROOT / path).exists()] == []
