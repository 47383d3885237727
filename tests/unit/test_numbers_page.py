"""docs/numbers.md explains every number and word that a person is shown: what has no line there fails here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from frazil.config.reference import KNOWN_KEYS
from frazil.daemon.alerts.sending import DELIVERY_SUBJECT
from frazil.daemon.report.score_sentences import TITLES
from frazil.daemon.store.queries.catalogue import FOR_PEOPLE
from frazil.daemon.transport.messages import LiveState
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.session_verdict.records import Word
from frazil.tui.live.movie_columns import COLUMNS
from frazil.tui.words.causes import SHORT, WORDS
from frazil.tui.words.palette import MOVIE_STATES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
FIRST_CELLS = "\n".join(line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| "))
EXPLAINED = frozenset(re.findall(r"`([^`]+)`", FIRST_CELLS))
"""What stands in code type in the first cell of a row."""
ALERT_CALLS = {"alert": 1, "Alert": 1, "AlertRow": 1, "Tell": 1, "around": 1, "Found": 2}
"""Functions that tell a person something, and which of their arguments says what it is about."""


@pytest.mark.parametrize("key", [column.key for column in COLUMNS])
def test_every_column_of_the_movie_table(key: str) -> None:
    assert key in EXPLAINED


@pytest.mark.parametrize("title", [column.title for column in COLUMNS])
def test_every_title_of_the_movie_table_as_it_stands_there(title: str) -> None:
    assert re.search(rf"(^\| |, ){re.escape(title)}[ ,]", FIRST_CELLS, re.MULTILINE), title


def fields_read(path: Path) -> set[str]:
    """Fields of the live state that a module of the screen reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "state"
    } & set(LiveState.__struct_fields__)


def test_every_field_of_the_header() -> None:
    shown = fields_read(ROOT / "tui/widgets/session_header.py") | fields_read(ROOT / "tui/widgets/verdict_line.py")
    assert len(shown) > 25, "the header is elsewhere now"
    assert shown - EXPLAINED == set()


def alert_subjects() -> Iterator[tuple[str, str]]:
    """(what an alert is about, where it is told): the words that stand in the code."""
    for path in sorted((ROOT / "daemon").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = ALERT_CALLS.get(name)
            if at is None:
                continue
            said = [*node.args[at : at + 1], *(word.value for word in node.keywords if word.arg == "subject")]
            yield from ((str(one.value), str(path)) for one in said if isinstance(one, ast.Constant))


def test_every_kind_of_alert() -> None:
    subjects = dict(alert_subjects()) | {DELIVERY_SUBJECT: "daemon/alerts/sending.py"}
    assert len(subjects) > 20, "alerts are told by other functions now"
    assert {name: where for name, where in subjects.items() if name not in EXPLAINED} == {}


@pytest.mark.parametrize("factor", ALL_FACTORS)
def test_every_cause_by_its_name_and_by_its_words(factor: str) -> None:
    row = next(line for line in PAGE.splitlines() if f"(`{factor}`)" in line)
    assert row.startswith(f"| {WORDS[factor]}")
    assert f"`{SHORT[factor]}`" in row or SHORT[factor] == WORDS[factor]


@pytest.mark.parametrize("name", [*MOVIE_STATES, *(word.value for word in Word), *TITLES])
def test_every_state_verdict_and_evaluator(name: str) -> None:
    assert name in EXPLAINED


def test_every_question_that_people_ask() -> None:
    assert len(FOR_PEOPLE) > 30
    assert set(FOR_PEOPLE) - EXPLAINED == set()


def panel_names() -> list[str]:
    """What stands before the values in the panel of one movie."""
    tree = ast.parse((ROOT / "tui/live/movie_facts.py").read_text(encoding="utf-8"))
    facts = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "facts")
    pairs = next(node.value for node in facts.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.List))
    return [ast.literal_eval(pair.elts[0]).strip() for pair in pairs.elts if isinstance(pair, ast.Tuple)]


@pytest.mark.parametrize("name", panel_names())
def test_every_name_in_the_panel_of_a_movie(name: str) -> None:
    assert all(part in FIRST_CELLS for part in name.split(", "))


@pytest.mark.parametrize("key", sorted(set(re.findall(r"`(\w+\.\w+)", PAGE)) - {"daemon.log"}))
def test_settings_that_it_names_are_there(key: str) -> None:
    assert key in KNOWN_KEYS


def test_every_row_has_the_cells_of_its_table() -> None:
    tables = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)]
    assert len(tables) > 8
    ragged = [row for table in tables for row in table if row.count("|") != table[0].count("|")]
    assert ragged == []
