"""Which states mean what is written once: the groups hold together, and the conditions choose what they name."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from frazil.daemon.store import movie_states
from frazil.daemon.store.movie_states import ENDED, FINISHED, GIVEN_UP, KEPT, UNDER_WAY, WAITING
from frazil.models.records import MovieState

DAEMON = Path(movie_states.__file__).parents[1]


def test_every_state_is_waiting_ended_or_outdated():
    assert [*WAITING, *ENDED, MovieState.OUTDATED] == sorted(
        MovieState, key=[*UNDER_WAY, MovieState.FAILED, *ENDED, MovieState.OUTDATED].index
    )
    assert set(FINISHED) < set(ENDED)
    assert KEPT in FINISHED
    assert not set(GIVEN_UP) & set(FINISHED)


@pytest.mark.parametrize(
    ("condition", "states"),
    [
        (movie_states.kept("m"), {KEPT}),
        (movie_states.rejected("m"), {MovieState.REJECTED}),
        (movie_states.finished("m"), set(FINISHED)),
        (movie_states.current(), set(MovieState) - {MovieState.OUTDATED}),
        (movie_states.in_state(UNDER_WAY, "m"), set(UNDER_WAY)),
        (movie_states.not_in_state(ENDED), set(MovieState) - set(ENDED)),
    ],
)
def test_conditions_choose_what_they_name(condition, states):
    values = ", ".join(f"('{state.value}')" for state in MovieState)
    rows = duckdb.sql(f"SELECT state FROM (VALUES {values}) m(state) WHERE {condition}").fetchall()
    assert {state for (state,) in rows} == states


_WRITTEN_OUT = re.compile(r"state (?:NOT )?(?:IN \('|<> '|= ')(" + "|".join(MovieState) + ")'")
WRITES = DAEMON / "store" / "writes"
"""Setting a state is what they are for."""


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(DAEMON.rglob("*.py")) if path.name != "movie_states.py" and WRITES not in path.parents],
    ids=lambda path: str(path.relative_to(DAEMON)),
)
def test_no_query_lists_states_itself(path):
    assert _WRITTEN_OUT.findall(path.read_text(encoding="utf-8")) == []
