"""An experiment from its plan to its verdict, over a real store: movies find their holes, and a kill loses nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.analysis.experiments import ExperimentVerdicts
from frazil.daemon.changes.experiments import Wanted, keep_plan, stop
from frazil.daemon.report.experiments import experiment_lines
from frazil.daemon.report.html.page import to_html
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.text import to_json, to_text
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.writes import movie_writes
from frazil.daemon.transport.messages import Command, experiment_args
from frazil.models.records import AcquisitionMetadata, ExposureFacts, MovieEvidence

START_UTC_US = 1_790_000_000_000_000
WANTED = Wanted("settle=20,5", movies=60, squares=("S0", "S1"), seed=3)


def evidence(sequence: int, gain: float, at_s: float) -> MovieEvidence:
    """Rings on bands 2 to 12, one movie a position of the stage."""
    random = np.random.default_rng(sequence)
    level = random.normal(0, 0.2) + gain
    return MovieEvidence(
        *((0.0,) * 8, (0.0,) * 8, (0.1,) * 8, 0.2, 8, 5.0, 0.0, 3.5, 0.83, 300.0, 2.7, 15_000.0, None),
        log_ssnr=tuple(level - 0.1 * band if 2 <= band <= 12 else None for band in range(24)),
        log_ssnr_sd=0.25,
        fit_resolution_angstrom=4.0,
        exposure=ExposureFacts(
            acquired_utc_us=START_UTC_US + round(at_s * 1e6), exposure_time_s=4.0,
            stage_x_um=5.0 * sequence, stage_y_um=0.0, grid_square=f"S{sequence // 30}",
        ),
    )  # fmt: skip


@pytest.fixture
def take(put, store):
    """Movies of a plan, in its order: A gains 2 and waits 15 s longer."""

    def taken(count: int, *, settle=lambda arm: 20.0 if arm == "A" else 5.0) -> None:
        arms = [row["arm"] for row in holes(store)]
        at_s = 0.0
        for sequence, arm in enumerate(arms[:count]):
            at_s += 4.0 + settle(arm)
            one = evidence(sequence, 2.0 * (arm == "A"), at_s)
            put(sequence, evidence=one)
            metadata = AcquisitionMetadata(
                grid_square=f"S{sequence // 30}", acquired_utc_us=one.exposure.acquired_utc_us
            )
            store.submit(movie_writes.update_metadata, f"m{sequence:03d}", metadata, "").result()

    return taken


def holes(store):
    [row] = store.named("experiments").as_dicts()
    return store.named("experiment_assignments", {"experiment_id": row["experiment_id"]}).as_dicts()


def newest(store):
    return store.named("experiments").as_dicts()[0]


def test_movies_find_their_holes_and_the_verdict_is_the_truth(store, context, take, tmp_path):
    keep_plan(store, tmp_path, WANTED, who="anna", now_utc_us=5)
    desk = ExperimentVerdicts(context())
    take(60)
    desk.movie_ended("m000")
    assert desk.drained()
    row = newest(store)
    assert (row["state"], row["better"]) == ("decided", "A")
    assert row["gain_low_ln"] < 2.0 < row["gain_high_ln"]
    # 24 s against 9 s a movie.
    assert row["rate_low_ln"] < np.log(9 / 24) < row["rate_high_ln"]
    assert row["complied_share"] == pytest.approx(1.0, abs=0.05)
    assert "settle time 20 s is better" in row["sentence"]
    told = "\n".join(experiment_lines(row))
    assert "planned by anna" in told
    first = holes(store)[1]
    assert first["movies"] == 1
    assert first["measured"] == pytest.approx(20.0 if first["arm"] == "A" else 5.0)


def test_what_was_not_set_as_planned_is_told_loudly(store, context, take, tmp_path):
    keep_plan(store, tmp_path, WANTED, who="anna", now_utc_us=5)
    take(40, settle=lambda arm: 5.0)
    ExperimentVerdicts(context()).drained()
    assert newest(store)["compliance"].startswith("ONLY")


def test_a_movie_that_failed_in_processing_counts_and_one_with_a_bad_file_does_not(store, context, take, tmp_path):
    keep_plan(store, tmp_path, WANTED, who="anna", now_utc_us=5)
    take(30)
    for movie_id, stage in (("m004", "ctf"), ("m007", "read")):
        store.submit(
            lambda connection, movie_id=movie_id, stage=stage: connection.execute(
                "UPDATE movies SET state = 'quarantined', failure_stage = ? WHERE movie_id = ?", [stage, movie_id]
            )
        ).result()
    ExperimentVerdicts(context()).drained()
    by_place = {row["place"]: row for row in holes(store)}
    assert by_place[5]["failed"] is True
    assert (by_place[8]["failed"], by_place[8]["outcome_ln"]) == (False, None)
    assert newest(store)["pairs"] == 14


def test_movies_of_before_and_after_do_not_belong_to_it(store, context, put, tmp_path):
    put(0, evidence=evidence(0, 0.0, 0.0))
    keep_plan(store, tmp_path, replace(WANTED, squares=()), who="anna", now_utc_us=5)
    put(1, evidence=evidence(1, 0.0, 30.0))
    stop(store, tmp_path, "", who="anna", now_utc_us=9)
    put(2, evidence=evidence(2, 0.0, 60.0))
    ExperimentVerdicts(context()).drained()
    assert [row["movies"] for row in holes(store)[:3]] == [1, 0, 0]
    assert "stopped by anna" in "\n".join(experiment_lines(newest(store)))


def test_only_one_experiment_runs_at_a_time_and_each_ends_once(store, tmp_path):
    keep_plan(store, tmp_path, WANTED, who="anna", now_utc_us=5)
    with pytest.raises(UsageError, match="still running"):
        keep_plan(store, tmp_path, WANTED, who="bert", now_utc_us=6)
    assert "x-5 is stopped" in stop(store, tmp_path, "x-5", who="anna", now_utc_us=7)
    with pytest.raises(NotThereError):
        stop(store, tmp_path, "x-5", who="anna", now_utc_us=8)
    with pytest.raises(NotThereError, match="no experiment is running"):
        stop(store, tmp_path, "", who="anna", now_utc_us=8)
    keep_plan(store, tmp_path, WANTED, who="bert", now_utc_us=9)
    assert [row["experiment_id"] for row in store.named("experiments").as_dicts()] == ["x-9", "x-5"]


def test_plan_and_end_outlive_the_database_and_orders_sent_twice_are_one(store, tmp_path):
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    order = Command(
        name="experiment-plan", args=experiment_args(replace(WANTED, seed=None)), command_id="c1", who="anna"
    )
    answers = [json.loads(service.command(order).message) for _ in range(2)]
    assert answers[0] == answers[1]
    (tmp_path / "results" / result_files.EXPERIMENTS_NAME).unlink()  # a kill before it was written
    assert json.loads(service.command(order).message) == answers[0]
    service.command(Command(name="experiment-stop", args={"experiment_id": "x-c1"}, who="anna"))
    before, planned = newest(store), holes(store)
    for table in ("experiments", "experiment_assignments"):
        store.submit(lambda connection, table=table: connection.execute(f"DELETE FROM {table}")).result()
    rebuild.adopt_missing(store, tmp_path, now_utc_us=1)
    assert newest(store) == before
    assert holes(store) == planned
    rebuild.adopt_missing(store, tmp_path, now_utc_us=1)
    assert len(result_files.read_experiments(tmp_path)) == 1
    assert len(store.named("experiments").rows) == 1


def test_what_cannot_be_read_is_refused(store, tmp_path):
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    for args in ({}, {"comparison": "settle=5,5"}, {"comparison": "settle=5,20", "holes": "[1]"}, {"movies": "x"},
                 {"comparison": "settle=5,20", "seed": -1}, {"comparison": "settle=5,20", "movies": 10**9},
                 ):  # fmt: skip
        with pytest.raises(UsageError):
            service.command(Command(name="experiment-plan", args=args, command_id="c", who="anna"))
    assert store.named("experiments").rows == ()


def test_the_summary_has_a_paragraph_for_each_experiment(store, context, take, tmp_path):
    keep_plan(store, tmp_path, WANTED, who="anna", now_utc_us=5)
    take(60)
    ExperimentVerdicts(context()).drained()
    summary = summarise(store, tmp_path, now_utc_us=9, live=True)
    [told] = summary.experiments
    assert (told.state, told.better, told.pairs <= 30) == ("decided", "A", True)
    text = to_text(summary)
    assert "Experiments: two settings by a coin" in text
    assert "settle time 20 s is better" in text
    assert json.loads(to_json(summary))["experiments"][0]["net_low_ln"] > 0
    assert "settle time 20 s is better" in to_html(summary)
