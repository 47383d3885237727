"""Records of EPU's decision service (Athena), as its public description has them: sessions, areas, decisions.

Source, and all that is public: "Decision Service API" v1 (OpenAPI 3.0.1, docs/api/athena/original-swagger.json of
DiamondLightSource/smartem-devtools). What a decision's value looks like stands there in two samples alone: `true` or
`false` for `include`, and a list in JSON for the holes of a square. That an order is a whole number its name says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from frazil.config.errors import FormatError
from frazil.models.formats.sidecar_values import whole_number

DecisionType = Literal["include", "acquisitionOrder", "foilHoleSelection"]
"""Of those that the service knows, the ones that are made here."""
DECIDED_BY = "frazil"
_AREA_TYPES = {"square": "gridsquare", "hole": "foilhole"}
"""By level of a target."""
_MOST_INT32 = 2**31 - 1


class ServiceSession(msgspec.Struct, frozen=True, rename="camel"):
    """A session of EPU, as the service keeps it."""

    session_id: str
    """A UUID, of the service's own."""
    session_name: str | None = None


class Area(msgspec.Struct, frozen=True, rename="camel"):
    """A square, a hole, ... that EPU has registered."""

    id: int
    area_type: str
    """atlas, gridsquare, foilhole or particle"""
    parent_id: int | None = None


class DecisionRecord(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One decision as it is posted; its id and its time the service gives itself."""

    session_id: str
    area_id: int
    decision_type: DecisionType
    decision_value: str
    details: str
    decided_by: str = DECIDED_BY
    plugin_type: str = "custom"
    """Not the vendor's own (`default`)."""


@dataclass(frozen=True, slots=True)
class AreaDecision:
    """What is decided of one area, in whichever session of the service it lies."""

    area_id: int
    area_type: str
    """gridsquare or foilhole"""
    decision_type: DecisionType
    value: str
    details: str
    """Why, for a person."""

    @property
    def key(self) -> tuple[int, str]:
        """Of two decisions with the same key the newer counts."""
        return self.area_id, self.decision_type


def area_type_of(level: str) -> str | None:
    """None: the service has nothing of this kind that is decided here."""
    return _AREA_TYPES.get(level)


def area_id_of(name: str) -> int | None:
    """EPU's number of a square or hole; None: it is none that 32 bits hold.

    >>> area_id_of("4590776"), area_id_of("12-A"), area_id_of("99999999999")
    (4590776, None, None)
    """
    return whole_number(name, low=1, high=_MOST_INT32)


def truth_value(value: bool) -> str:
    """As the samples write it.

    >>> truth_value(False)
    'false'
    """
    return "true" if value else "false"


def selection_value(included: Sequence[tuple[int, bool]]) -> str:
    """Which holes of a square are taken: a list in JSON, in a string, by the holes' numbers.

    >>> selection_value([(101, False), (100, True)])
    '[{"areaId": 100, "result": "true"}, {"areaId": 101, "result": "false"}]'
    """
    return json.dumps([{"areaId": area_id, "result": truth_value(taken)} for area_id, taken in sorted(included)])


def decisions_body(session_id: str, decisions: Sequence[AreaDecision]) -> bytes:
    """What `POST /api/v1/Decisions` takes: an array."""
    return msgspec.json.encode(
        [
            DecisionRecord(
                session_id=session_id,
                area_id=one.area_id,
                decision_type=one.decision_type,
                decision_value=one.value,
                details=one.details,
            )
            for one in decisions
        ]
    )


def read_session(body: bytes) -> ServiceSession:
    """From an answer of the service. Raises `FormatError` where it is none of the description."""
    try:
        return msgspec.json.decode(body, type=ServiceSession)
    except msgspec.MsgspecError as error:
        raise FormatError(f"no session as the service's description has it: {error}") from error


def read_areas(body: bytes) -> list[Area]:
    """From an answer of the service. Raises `FormatError` where it is none of the description."""
    try:
        return msgspec.json.decode(body, type=list[Area])
    except msgspec.MsgspecError as error:
        raise FormatError(f"no areas as the service's description has them: {error}") from error
