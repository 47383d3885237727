"""No test leaves anything behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leftovers import Held, left_behind


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up after the fixtures of modules and of the session, so that what they hold does not count, and taken down
    after all of the test's own."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    before = Held.now()
    yield
    if found := left_behind(before, folder):
        pytest.fail("left behind: " + "; ".join(found), pytrace=False)
