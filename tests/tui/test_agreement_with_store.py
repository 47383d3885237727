"""The screen asks the store only what the store answers, and the synthetic session answers as the store would."""

from __future__ import annotations

from pathlib import Path

import synthetic_session

from frazil.daemon.store.named_sql import MOVIE_COLUMNS, TREND_METRICS
from frazil.daemon.store.queries import NAMED
from frazil.daemon.store.store import Store
from frazil.models.causal.factors import BESIDE_TOTAL, FACTOR_WORDS
from frazil.tui import cause_words
from frazil.tui.movie_columns import COLUMNS
from frazil.tui.pages import View
from frazil.tui.trend_plots import METRICS

ASKED = {
    "movies": {"limit", "offset", *View().params()},
    "movie": {"movie_id"},
    "frame_shifts": {"movie_id"},
    "trend": {"metrics", "last"},
    "alerts": {"open_only", "limit"},
    "losses": {"movie_id"},
    "losses_at": {"movie_id", "resolution_angstrom"},
    "mean_losses_at": {"resolution_angstrom", "last"},
    "interventions": {"limit"},
    "change_points": set(),
    "causal_shares": set(),
    "causal_nodes": set(),
    "causal_edges": set(),
    "priors": {"limit"},
    "reconstructions": set(),
    "fsc": set(),
    "forecast": set(),
    "classes": set(),
}


def test_queries_and_parameters_exist() -> None:
    for name, params in ASKED.items():
        assert params <= set(NAMED[name].params), name


def test_columns_exist() -> None:
    assert {column.key for column in COLUMNS} <= set(MOVIE_COLUMNS)
    assert set(METRICS.split(",")) <= set(TREND_METRICS)


def test_the_synthetic_map_has_the_stores_columns(tmp_path: Path) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        for name in ("reconstructions", "fsc", "forecast"):
            assert set(synthetic_session._MAP[name].columns) <= set(store.named(name).columns), name


def test_causes_have_the_models_words() -> None:
    assert cause_words.WORDS == FACTOR_WORDS
    assert cause_words.BESIDE_TOTAL == BESIDE_TOTAL
    assert set(cause_words.SHORT) == set(FACTOR_WORDS)
    assert set(cause_words.MEDIUM) == set(FACTOR_WORDS)
    assert max(map(len, cause_words.SHORT.values())) <= 7
    assert max(map(len, cause_words.MEDIUM.values())) <= 12


def test_the_synthetic_session_has_the_stores_columns() -> None:
    assert set(synthetic_session.COLUMNS) == set(MOVIE_COLUMNS)
