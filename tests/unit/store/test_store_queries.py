"""Named queries: every one runs, the ones with numbers give the right numbers, bad parameters are named."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.operation.store_50k import questions
from frazil.config.errors import QueryError
from frazil.daemon.store.queries import catalogue
from frazil.daemon.store.queries.movie_columns import MOVIE_COLUMNS
from frazil.daemon.store.rows import ScoreRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.table import Scalar, Table, to_json
from frazil.daemon.store.writes import session_writes

REQUIRED: dict[str, Scalar] = {
    "movie_id": "m00002",
    "experiment_id": "x-1",
    "path": "foil_2.tif",
    "metric": "lag_s",
    "now_utc_us": 10_000_000,
    "upto": "zzz",
    "utc_us": 3_000_000,
    "evaluator": "logic",
    "name": "cs_mm",
    "square_id": "epu:square:1",
    "target_id": "epu:hole:1",
}


@pytest.mark.parametrize("name", sorted(catalogue.NAMED))
def test_every_named_query_runs_on_a_full_and_on_an_empty_session(read_only: Store, empty: Store, name: str) -> None:
    given = {key: REQUIRED[key] for key, param in catalogue.NAMED[name].params.items() if param.required}
    assert read_only.named(name, given).columns
    assert empty.named(name, given).columns


def test_the_benchmark_of_the_store_asks_every_named_query() -> None:
    assert questions("m00002", 10_000_000).keys() == catalogue.NAMED.keys()


def test_pages_are_sorted_filtered_and_counted(read_only: Store) -> None:
    page = read_only.named("movies", {"sort": "motion_total_angstrom", "order": "desc", "limit": 2, "offset": 1})
    assert page.column("movie_id") == ["m00003", "m00002"]
    assert page.total == 6
    found = read_only.named(
        "movies", {"search": "SQUARE_1/", "state": "ready", "sort": "relative_path", "order": "asc"}
    )
    assert found.column("relative_path") == ["GridSquare_1/foil_1.tif", "GridSquare_1/foil_3.tif"]
    assert found.total == 2
    assert read_only.named("movies", {"search": "ends in frame"}).column("movie_id") == ["m00005"]
    assert read_only.named("movies", {"search": "x' OR '1'='1"}).total == 0
    assert read_only.named("movies", {"limit": 0}).rows == ()


@pytest.mark.parametrize("column", list(MOVIE_COLUMNS))
def test_every_column_can_be_sorted_by_and_unknown_values_come_last(read_only: Store, column: str) -> None:
    values = read_only.named("movies", {"sort": column, "order": "asc"}).column(column)
    known = [value for value in values if value is not None]
    assert known == sorted(known)  # type: ignore[type-var]
    assert values[: len(known)] == known


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("best_squar", "best_squares"), ("Best-Squares", "best_squares"), ("change_point", "change_points")],
)
def test_a_mistyped_question_is_answered_with_the_nearest_names(read_only: Store, typed: str, meant: str) -> None:
    with pytest.raises(QueryError) as refused:
        read_only.named(typed)
    assert f"Did you mean {meant}" in str(refused.value)
    assert "frazil query --list" in str(refused.value)
    assert len(str(refused.value)) < 200  # not the whole list
    with pytest.raises(QueryError) as nothing_near:
        read_only.named("zzzzzz")
    assert "mean" not in str(nothing_near.value)


def test_a_trend_is_the_last_movies_oldest_first(read_only: Store) -> None:
    trend = read_only.named("trend", {"metrics": "defocus_um, lag_s", "last": 3})
    assert trend.columns == ("movie_id", "relative_path", "state", "ready_utc_us", "defocus_um", "lag_s")
    assert trend.column("lag_s") == [4.0, 5.0, 6.0]
    assert trend.column("defocus_um") == pytest.approx([1.4501, 1.45015, 1.4502])


def test_lag_rates_verdicts_and_distribution(read_only: Store) -> None:
    lag = read_only.named("lag_percentiles", {"last": 100}).as_dicts()[0]
    assert (lag["movies"], lag["p50_s"], lag["max_s"]) == (5, 4.0, 6.0)
    assert lag["p95_s"] == pytest.approx(5.8)
    # Six found and five finished within the ten seconds that the session is old.
    rate = read_only.named("rate_per_hour", {"now_utc_us": 10_000_000}).as_dicts()[0]
    assert (rate["found_per_hour"], rate["ready_per_hour"]) == (pytest.approx(6 * 360.0), pytest.approx(5 * 360.0))
    assert rate["kept_per_hour"] == pytest.approx(4 * 360.0)
    recent = read_only.named("recent_verdicts", {"last": 2}).as_dicts()[0]
    assert (recent["kept"], recent["finished"]) == (1, 2)
    spread = read_only.named("distribution", {"metric": "motion_total_angstrom"}).as_dicts()[0]
    assert (spread["movies"], spread["median"], spread["maximum"]) == (4, 11.5, 13.0)


def test_losses_by_factor_average_over_movies_in_the_band(read_only: Store) -> None:
    table = read_only.named("losses_by_factor", {"min_frequency_per_angstrom": 0.15, "max_frequency_per_angstrom": 0.3})
    assert {row["factor"]: (row["loss_ln_ssnr"], row["movies"]) for row in table.as_dicts()} == {
        "motion": (1.0, 5),
        "ice": (0.75, 5),
    }


def test_squares_reasons_and_frame_counts(read_only: Store) -> None:
    squares = {row["grid_square"]: row for row in read_only.named("squares").as_dicts()}
    assert (squares["GridSquare_0"]["movies"], squares["GridSquare_0"]["kept"]) == (3, 2)
    assert squares["GridSquare_1"]["stage_x_um"] == 10.0
    reasons = {row["pattern"]: row["movies"] for row in read_only.named("reasons").as_dicts()}
    assert reasons == {"astigmatism # A, the limit is # A": 1, "the file ends in frame #": 1}
    assert read_only.named("frame_count_mode").rows == ((8, 5),)
    assert read_only.named("particles_total").rows == ((12, 4),)
    assert read_only.named("movie_by_path", {"path": "foil_2.tif"}).column("movie_id") == ["m00002"]


def test_verdicts_of_the_last_rounds_and_the_evidence_of_one(filled: Store) -> None:
    for number in range(4):
        for evaluator in ("logic", "value"):
            row = ScoreRow(number, evaluator, 10, json.dumps({"round": number, "of": evaluator}), verdict=number / 10)
            filled.submit(session_writes.record_score, row).result()
    verdicts = filled.named("verdicts", {"last": 2})
    assert [(row["round"], row["evaluator"], row["verdict"]) for row in verdicts.as_dicts()] == [
        (2, "logic", 0.2), (2, "value", 0.2), (3, "logic", 0.3), (3, "value", 0.3),
    ]  # fmt: skip
    assert "evidence_json" not in verdicts.columns, "a screen asks for one at a time"
    newest = filled.named("evidence", {"evaluator": "value"}).as_dicts()
    assert [json.loads(str(row["evidence_json"])) for row in newest] == [{"round": 3, "of": "value"}]
    earlier = filled.named("evidence", {"evaluator": "logic", "round": 1}).as_dicts()
    assert [(row["round"], row["evaluator"]) for row in earlier] == [(1, "logic")]
    assert filled.named("evidence", {"evaluator": "logic", "round": 9}).rows == ()


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("no_such", {}, "no query named"),
        ("movies", {"sort": "1; DROP TABLE movies"}, "sort cannot be"),
        ("movies", {"order": "sideways"}, "order cannot be"),
        ("movies", {"limit": "many"}, "must be of type int"),
        ("movies", {"limit": True}, "must be of type int"),
        ("movies", {"offset": -1}, "must be from 0 to"),
        ("movies", {"colour": "red"}, "no parameter colour"),
        ("movie", {}, "needs the parameter movie_id"),
        ("trend", {"metrics": "lag_s,password"}, "metrics cannot be 'password'"),
    ],
)
def test_bad_names_and_parameters_are_told(read_only: Store, name: str, params: dict[str, Scalar], said: str) -> None:
    with pytest.raises(QueryError, match=said):
        read_only.named(name, params)


def test_json_has_no_nan() -> None:
    rows = json.loads(to_json(Table(("a", "b"), ((math.nan, "x"), (1.5, None)))))
    assert rows == [{"a": None, "b": "x"}, {"a": 1.5, "b": None}]
