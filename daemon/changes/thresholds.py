"""Thresholds of a session in the store: what others would do, and judging all micrographs by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from frazil.config.settings import Settings, ThresholdSettings
from frazil.daemon.changes.what_if import (
    Row,
    WhatIf,
    state_and_reason,
    to_dict,
    to_lines,
    what_if,
    with_thresholds,
)
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.queries.movies import THRESHOLD_FACTS
from frazil.daemon.store.table import Scalar, Table
from frazil.models.records import MovieState

_PAGE = 20_000
_NO_MAP_ANGSTROM = 5.0
_LINES_TOLD = 5
"""Movies by name that the screen has room for, of each kind."""


class Reader(Protocol):
    """A store, or a session's reader."""

    def named(self, name: str, params: Mapping[str, Scalar] | None = None) -> Table:
        """One of the named queries."""


def effect_of(reader: Reader, thresholds: ThresholdSettings) -> WhatIf:
    """What these thresholds would do to the session as it is now. Raises `QueryError`."""
    gains = reader.named("map_gains").as_dicts()
    resolution = None if not gains else gains[0]["resolution_0143_angstrom"]
    map_angstrom = float(resolution) if isinstance(resolution, int | float) else None
    rows: list[Row] = []
    last_id = ""
    params: dict[str, Scalar] = {"resolution_angstrom": map_angstrom or _NO_MAP_ANGSTROM, "limit": _PAGE}
    # Until none is left: a page may be shorter than was asked for (`store.query_max_rows`).
    while page := reader.named("threshold_facts", {**params, "after": last_id}).as_dicts():
        rows += page
        last_id = str(page[-1]["movie_id"])
    names = ("gain", "best_angstrom", "median_angstrom", "worst_angstrom")
    table = [tuple(float(str(row[name])) for name in names) for row in gains]
    return what_if(rows, thresholds, resolution_angstrom=map_angstrom, gains=[(a, b, c, d) for a, b, c, d in table])


def what_if_answer(reader: Reader, settings: Settings, changes: Mapping[str, Scalar]) -> str:
    """The order `what-if` of a screen: JSON with the effect, its words and the thresholds themselves. Raises
    `QueryError`, and `SettingsError` for what is no threshold."""
    thresholds = with_thresholds(settings.thresholds, changes)
    effect = effect_of(reader, thresholds)
    answer = {
        **to_dict(effect),
        "lines": to_lines(effect, most=_LINES_TOLD),
        "thresholds": thresholds.model_dump(mode="json"),
    }
    return json.dumps(answer)


def judge_again(connection: Connection, thresholds: ThresholdSettings) -> tuple[int, int]:
    """Move processed micrographs between `ready` and `rejected`; nothing is processed again. Returns how many were set
    aside and how many are kept again. What a person accepted or rejected stays. For `Store.submit`."""
    rejected = again = 0
    cursor = connection.execute(
        THRESHOLD_FACTS, {"resolution_angstrom": _NO_MAP_ANGSTROM, "after": "", "limit": 1 << 62}
    )
    columns = [column[0] for column in cursor.description or ()]
    for values in cursor.fetchall():
        row = dict(zip(columns, values, strict=True))
        state, reason = state_and_reason(row, thresholds)
        if (state, reason) == (row["state"], row["rejection_reason"]):
            continue
        rejected += (row["state"], state) == (MovieState.READY, MovieState.REJECTED)
        again += (row["state"], state) == (MovieState.REJECTED, MovieState.READY)
        connection.execute(
            "UPDATE movies SET state = ?, rejection_reason = ? WHERE movie_id = ?", [state, reason, row["movie_id"]]
        )
    return rejected, again
