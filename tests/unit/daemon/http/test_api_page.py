"""docs/api.md is made by running every route on a small session, and must be current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frazil.daemon.cli.api_page import make_page
from frazil.daemon.http.documents import named_queries
from frazil.daemon.http.reference import path_of, shortened
from frazil.daemon.http.routes import make_routes

PAGE = Path(__file__).resolve().parents[4] / "docs" / "api.md"


@pytest.fixture(scope="module")
def page() -> str:
    return make_page()


def test_page_is_current(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "run: python -m frazil.daemon.cli.api_page > docs/api.md"


def test_every_route_has_its_part(page: str) -> None:
    wanted = [f"{route.method} {path_of(route)}" for route in make_routes(named_queries())]
    assert re.findall(r"^### (.*)$", page, re.MULTILINE).count("GET /state") == 1
    assert set(wanted) == set(re.findall(r"^### (.*)$", page, re.MULTILINE))


def test_every_example_is_a_good_answer(page: str) -> None:
    """A route that has come to refuse its example would be described by a refusal."""
    statuses = re.findall(r"^-> (\d+) ", page, re.MULTILINE)
    assert len(statuses) > 15
    assert set(statuses) == {"200"}


def test_examples_are_of_every_route_but_those_that_need_workers_a_map_classes_or_a_browser(page: str) -> None:
    parts = re.split(r"^### ", page, flags=re.MULTILINE)[1:]
    without = {part.split("\n")[0] for part in parts if "```" not in part and "Columns: " not in part}
    pages = {f"GET {path_of(route)}" for route in make_routes({}) if route.answer in ("page", "asset", "events")}
    assert without - pages == {"GET /map/{kind}", "POST /classes", "POST /pause", "POST /resume"}


def test_what_is_long_is_shortened_and_says_so() -> None:
    inner = {f"key_{i}": i for i in range(20)}
    assert shortened({"rows": [[1], [2], [3]]}) == {"rows": [[1], [2], "..."]}
    assert list(shortened([inner])[0])[-1] == "..."
    assert shortened("a" * 400).endswith(" ...")
