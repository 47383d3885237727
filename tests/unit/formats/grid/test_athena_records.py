"""Records of EPU's decision service in the form of its public description."""

from __future__ import annotations

import json

import pytest

from frazil.config.errors import FormatError
from frazil.models.formats.grid.athena_records import (
    AreaDecision,
    decisions_body,
    read_areas,
    read_session,
    selection_value,
)

SESSION_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def test_a_decision_is_posted_as_the_sample_of_the_description_has_it() -> None:
    body = decisions_body(SESSION_ID, [AreaDecision(12, "gridsquare", "include", "false", "bad gridsquare")])
    assert json.loads(body) == [
        {
            "sessionId": SESSION_ID,
            "areaId": 12,
            "decisionType": "include",
            "decisionValue": "false",
            "decidedBy": "frazil",
            "details": "bad gridsquare",
            "pluginType": "custom",
        }
    ]


def test_the_holes_of_a_square_are_one_string_as_in_the_sample() -> None:
    sample = [{"areaId": 100, "result": "true"}, {"areaId": 101, "result": "false"}, {"areaId": 102, "result": "true"}]
    assert json.loads(selection_value([(102, True), (100, True), (101, False)])) == sample


def test_answers_are_read_with_what_else_they_hold() -> None:
    session = {"sessionId": SESSION_ID, "sessionName": "s", "athenaId": None, "gridType": "HoleyGold"}
    assert read_session(json.dumps(session).encode()).session_id == SESSION_ID
    areas = [{"id": 1213, "sessionId": SESSION_ID, "areaType": "foilhole", "parentId": 12}, {"id": 1, "areaType": "x"}]
    found = read_areas(json.dumps(areas).encode())
    assert [(one.id, one.area_type, one.parent_id) for one in found] == [(1213, "foilhole", 12), (1, "x", None)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"sessionId": 7}'])
def test_other_answers_are_none_of_the_description(body: bytes) -> None:
    with pytest.raises(FormatError, match="description"):
        read_session(body)
    with pytest.raises(FormatError, match="description"):
        read_areas(body)
