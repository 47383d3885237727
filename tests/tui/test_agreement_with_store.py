"""The screen asks the store only what the store answers, and the synthetic session answers as the store would."""

from __future__ import annotations

import synthetic_session

from frazil.daemon.store.named_sql import MOVIE_COLUMNS, TREND_METRICS
from frazil.daemon.store.queries import NAMED
from frazil.tui.movie_columns import COLUMNS
from frazil.tui.pages import View
from frazil.tui.trend_plots import METRICS

ASKED = {
    "movies": {"limit", "offset", *View().params()},
    "movie": {"movie_id"},
    "frame_shifts": {"movie_id"},
    "trend": {"metrics", "last"},
    "alerts": {"open_only", "limit"},
}


def test_queries_and_parameters_exist() -> None:
    for name, params in ASKED.items():
        assert params <= set(NAMED[name].params), name


def test_columns_exist() -> None:
    assert {column.key for column in COLUMNS} <= set(MOVIE_COLUMNS)
    assert set(METRICS.split(",")) <= set(TREND_METRICS)


def test_the_synthetic_session_has_the_stores_columns() -> None:
    assert set(synthetic_session.COLUMNS) == set(MOVIE_COLUMNS)
