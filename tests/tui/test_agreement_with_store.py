"""The screen asks the store only what the store answers, and the synthetic session answers as the store would."""

from __future__ import annotations

from pathlib import Path

from benchmarks.screen import synthetic_session
from frazil.daemon.store.queries.catalogue import NAMED
from frazil.daemon.store.queries.movie_columns import MOVIE_COLUMNS, TREND_METRICS
from frazil.daemon.store.store import Store
from frazil.daemon.transport.messages import NamedQuery
from frazil.models.causal.factors import BESIDE_TOTAL, FACTOR_WORDS, NOT_OF_THE_SESSION
from frazil.models.causal.information import no_advice
from frazil.models.causal.prediction_record import SPEAKS_AGAINST
from frazil.models.evaluation.panel import ALL
from frazil.tui.causes import bars
from frazil.tui.live.movie_columns import COLUMNS
from frazil.tui.live.pages import View
from frazil.tui.live.trend_plots import METRICS
from frazil.tui.scores import words as score_words
from frazil.tui.words import causes

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
    "experiments": {"limit"},
    "change_points": set(),
    "causal_shares": set(),
    "causal_nodes": set(),
    "causal_edges": set(),
    "priors": {"limit"},
    "reconstructions": set(),
    "fsc": set(),
    "forecast": set(),
    "classes": set(),
    "grid": set(),
    "grid_squares": {"limit"},
    "square_targets": {"square_id", "limit"},
    "worst_squares": {"limit"},
    "next_targets": {"limit"},
    "next_rounds": {"limit"},
    "verdicts": {"last"},
    "evidence": {"evaluator", "round"},
    "stage_timings": {"last"},
    "devices": set(),
    "failures": {"include_rejected", "limit"},
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


def test_synthetic_verdicts_and_machinery_have_the_stores_columns(tmp_path: Path) -> None:
    service = synthetic_session.SyntheticService(synthetic_session.make_rows(40, 1))
    with Store.open(tmp_path, now_utc_us=1) as store:
        for name, params in {
            "verdicts": {"last": 5},
            "evidence": {"evaluator": "logic", "round": 3},
            "stage_timings": {"last": 5},
            "devices": {},
            "failures": {"include_rejected": False, "limit": 5},
            "worst_squares": {"limit": 5},
            "alerts": {"limit": 5},
        }.items():
            mine = service.named(NamedQuery(name, params)).columns  # type: ignore[arg-type]
            assert set(mine) <= set(store.named(name, params).columns), name  # type: ignore[arg-type]


def test_evaluators_and_stages_have_words() -> None:
    assert set(score_words.WORDS) == set(ALL)
    assert set(score_words.MEANS) == set(ALL)


def test_causes_have_the_models_words() -> None:
    assert causes.WORDS == FACTOR_WORDS
    assert causes.BESIDE_TOTAL == BESIDE_TOTAL
    assert causes.NOT_OF_THE_SESSION == NOT_OF_THE_SESSION
    assert bars.SPEAKS_AGAINST == SPEAKS_AGAINST
    for known in ((4, 0), (4, 3), (25, 0), (25, 3)):
        assert causes.no_advice(*known) == no_advice(*known)
    assert set(causes.SHORT) == set(FACTOR_WORDS)
    assert set(causes.MEDIUM) == set(FACTOR_WORDS)
    assert max(map(len, causes.SHORT.values())) <= 7
    assert max(map(len, causes.MEDIUM.values())) <= 12


def test_the_synthetic_session_has_the_stores_columns() -> None:
    assert set(synthetic_session.COLUMNS) == set(MOVIE_COLUMNS)
