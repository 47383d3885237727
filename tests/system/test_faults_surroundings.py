"""What happens around the files: metadata that is late, a raw folder that goes and comes back, workers that die."""

from __future__ import annotations

import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest

import frazil.daemon.run as run
from frazil.actors.frame_worker import FrameWorker
from frazil.models.simulation.session import SimulatedSession
from frazil.models.simulation.settings import preset
from frazil.models.simulation.sidecars import epu_xml

STEM = "FoilHole_7100000_Data_7200000_0_20260101_000000"


@pytest.fixture(scope="module")
def xml() -> str:
    """EPU's XML of a movie of six frames, 2 e/A2 each, 1.3 A pixels."""
    settings = preset("demo").with_changes(movies=1, frame_count=6, height_px=128, width_px=128)
    return epu_xml(SimulatedSession(settings).truth(0), settings)


def test_xml_that_comes_late_is_taken_in_and_what_it_changes_is_computed_again(kit, live, xml):
    kit.put_movie(live.raw / f"{STEM}_Fractions.tiff", 1)
    live.start(camera__no_gain=True)
    name = f"{STEM}_Fractions.tiff"
    first = live.wait_state(name, "ready", "rejected")
    assert first["sidecar_path"] is None
    (live.raw / f"{STEM}.xml").write_text(xml)

    kit.wait_for(lambda: live.calls_done() == 2, "the movie to be processed again")
    row = live.wait_state(name, "ready", "rejected")
    assert row["sidecar_path"].endswith(".xml")
    assert row["dose_per_frame_e_per_a2"] == pytest.approx(2.0)
    assert (row["generation"], row["attempts"]) == (1, 1)
    assert any("came late: it is processed again with it" in text for text in live.alerts())
    assert first["movie_id"] == row["movie_id"]
    assert len(live.sql("SELECT movie_id FROM quality")) == 1


def test_values_that_only_the_late_xml_has_set_the_movie_aside_until_it_comes(kit, live, xml):
    """The first movie of a session: the daemon must not end because a sidecar is slow."""
    path = live.raw / f"{STEM}_Fractions.mrc"
    with mrcfile.new(path) as file:  # no pixel size in the header
        file.set_data(kit.frames(1).astype(np.int8))
    live.start(camera__no_gain=True)
    row = live.wait_state(path.name, "quarantined")
    assert row["failure_stage"] == "metadata"
    assert "--pixel-size-angstrom" in row["failure_reason"]
    (live.raw / f"{STEM}.xml").write_text(xml)
    row = live.wait_state(path.name, "ready", "rejected")
    assert row["pixel_size_angstrom"] == pytest.approx(1.3)
    assert (row["failure_stage"], row["failure_reason"]) == (None, None)


def test_what_was_missing_is_asked_for_by_name_and_given_at_the_next_start(kit, live):
    path = live.raw / "m.mrc"
    with mrcfile.new(path) as file:
        file.set_data(kit.frames(1).astype(np.int8))
    live.start(once=True, camera__no_gain=True)
    live.join()
    assert "--pixel-size-angstrom" in str(live.error)
    live.start(camera__no_gain=True)
    live.wait_state("m.mrc", "quarantined")
    live.stop()
    live.start(camera__no_gain=True, microscope__pixel_size_angstrom=1.3)
    live.wait_state("m.mrc", "ready", "rejected")


def test_raw_folder_that_is_deleted_and_made_again(kit, live):
    kit.put_movie(live.raw / "square1/a.tiff", 1)
    live.start(camera__no_gain=True)
    live.wait_state("square1/a.tiff", "ready", "rejected")
    shutil.rmtree(live.raw)
    kit.wait_for(lambda: any("is not there: nothing new can be found" in text for text in live.alerts()), live.alerts)
    kit.put_movie(live.raw / "square2/b.tiff", 2)
    live.wait_state("square2/b.tiff", "ready", "rejected")
    assert live.movies()["square1/a.tiff"]["state"] in ("ready", "rejected")  # what was found out stays
    assert any("is back" in text for text in live.alerts())


class _FailsOnSome(FrameWorker):
    """A real worker, except for movies whose name says what happens to it."""

    kills: type[BaseException]

    def process(self, task):
        name = Path(task.movie_path).name
        if name.startswith("poison"):
            raise self.kills
        if name.startswith("unlucky") and not (Path(task.movie_path).with_suffix(".once")).exists():
            Path(task.movie_path).with_suffix(".once").touch()
            raise self.kills
        if name.startswith("bug"):
            raise ZeroDivisionError("a bug that only this movie finds")
        return super().process(task)


@pytest.fixture
def failing_workers(kit, live, monkeypatch):
    worker = type("FailsOnSome", (_FailsOnSome,), {"kills": kit.kills_its_process})
    pool = run.WorkerPool
    monkeypatch.setattr(run, "WorkerPool", lambda runtime, configs: pool(runtime, configs, worker_class=worker))
    return live


def test_movies_that_kill_or_break_their_worker_are_set_aside_and_the_others_go_on(kit, failing_workers, monkeypatch):
    monkeypatch.setattr("frazil.daemon.processing.worker_restarts._STEADY_MOVIES", 1)
    live = failing_workers
    for name in ("a-good", "poison", "unlucky", "bug", "z-good"):
        kit.put_movie(live.raw / f"{name}.tiff", 1, count=3)
    live.start(camera__no_gain=True, workers__max_attempts=2)
    for name in ("a-good", "unlucky", "z-good"):
        row = live.wait_state(f"{name}.tiff", "ready", "rejected", timeout_s=90)
        assert row["attempts"] == 1, name  # a worker's death is not the movie's attempt
    poison = live.wait_state("poison.tiff", "quarantined", timeout_s=90)
    assert "the worker's process ended" in poison["failure_reason"]
    bug = live.wait_state("bug.tiff", "quarantined", timeout_s=90)
    assert "a bug that only this movie finds" in bug["failure_reason"]
    assert bug["attempts"] == 2
    assert any("poison.tiff is set aside" in text for text in live.alerts())
    kit.put_movie(live.raw / "later.tiff", 1, count=3)
    live.wait_state("later.tiff", "ready", "rejected", timeout_s=90)
    restarts = "SELECT alert_id FROM alerts WHERE starts_with(alert_id, 'worker-restart:')"
    assert live.sql(restarts)
    kit.wait_for(lambda: not live.sql(f"{restarts} AND cleared_utc_us IS NULL"), "a worker that works again")


def test_a_restarted_worker_that_a_change_of_settings_takes_away_is_no_alert_any_more(kit, live, monkeypatch, tmp_path):
    died = tmp_path / "died"

    class SecondDiesOnce(FrameWorker):
        def process(self, task):
            if self._config.name == "cpu-1" and not died.exists():
                died.touch()
                raise kit.kills_its_process
            kit.wait_for(died.exists, "the second worker to have its movie")
            return super().process(task)

    pool = run.WorkerPool
    monkeypatch.setattr(run, "WorkerPool", lambda runtime, configs: pool(runtime, configs, worker_class=SecondDiesOnce))
    for name in ("a", "b"):
        kit.put_movie(live.raw / f"{name}.tiff", 1, count=3)
    live.start(camera__no_gain=True, workers__count=2)
    for name in ("a", "b"):
        live.wait_state(f"{name}.tiff", "ready", "rejected", timeout_s=90)
    open_alerts = "SELECT alert_id FROM alerts WHERE subject = 'worker' AND cleared_utc_us IS NULL"
    assert live.sql(open_alerts) == [{"alert_id": "worker-restart:cpu-1"}]
    live.client().command("settings", **{"workers.count": "1"})
    kit.wait_for(lambda: len(live.client().snapshot().workers) == 1, "one worker only")
    kit.wait_for(lambda: not live.sql(open_alerts), "nobody to be told of the other")


def test_restart_counts_on_where_failed_attempts_ended(kit, failing_workers):
    live = failing_workers
    kit.put_movie(live.raw / "bug.tiff", 1, count=3)
    live.start(camera__no_gain=True, workers__max_attempts=3)
    kit.wait_for(lambda: live.movies().get("bug.tiff", {}).get("attempts") == 1, "the first attempt")
    live.wait_state("bug.tiff", "failed", "quarantined")
    live.stop()
    live.start(camera__no_gain=True, workers__max_attempts=3)
    row = live.wait_state("bug.tiff", "quarantined")
    assert row["attempts"] == 3


def test_person_may_queue_again_what_was_set_aside(kit, failing_workers):
    live = failing_workers
    kit.put_movie(live.raw / "bug.tiff", 1, count=3)
    live.start(camera__no_gain=True, workers__max_attempts=1)
    row = live.wait_state("bug.tiff", "quarantined")
    live.client().command("requeue", movie_id=row["movie_id"])
    kit.wait_for(lambda: live.movies()["bug.tiff"]["state"] != "quarantined", "it to be queued")
    row = live.wait_state("bug.tiff", "quarantined")
    assert row["attempts"] == 1


def test_late_value_while_the_movie_is_in_hand_is_not_lost(kit, live, xml, monkeypatch, tmp_path):
    """The worker computes with the dose of before; its result must not be taken for one with the dose of now."""
    gate = tmp_path / "go"

    class Waits(FrameWorker):
        def process(self, task):
            result = super().process(task)
            if task.acquisition.dose_per_frame_e_per_a2 is None:
                kit.wait_for(gate.exists, "the test")
            return result

    pool = run.WorkerPool
    monkeypatch.setattr(run, "WorkerPool", lambda runtime, configs: pool(runtime, configs, worker_class=Waits))
    name = f"{STEM}_Fractions.tiff"
    kit.put_movie(live.raw / name, 1)
    live.start(camera__no_gain=True)
    live.wait_state(name, "processing")
    (live.raw / f"{STEM}.xml").write_text(xml)
    kit.wait_for(lambda: live.movies()[name]["dose_per_frame_e_per_a2"] == pytest.approx(2.0), "the sidecar")
    gate.touch()
    row = live.wait_state(name, "ready", "rejected")
    assert row["attempts"] == 1
    kit.wait_for(lambda: live.calls_done() == 2, "the worker's second call to be counted")


def test_file_replaced_while_a_worker_has_it_ends_with_the_pictures_of_the_newer_one(kit, live, monkeypatch, tmp_path):
    gate = tmp_path / "go"

    class Waits(FrameWorker):
        """The first call writes its pictures as late as it likes."""

        def process(self, task):
            if not (started := tmp_path / "started").exists():
                started.touch()
                kit.wait_for(gate.exists, "the test")
            return super().process(task)

    pool = run.WorkerPool
    monkeypatch.setattr(run, "WorkerPool", lambda runtime, configs: pool(runtime, configs, worker_class=Waits))
    kit.put_movie(live.raw / "m.tiff", 1, e_per_px=1.0)
    live.start(camera__no_gain=True, workers__count=2)
    kit.wait_for((tmp_path / "started").exists, "the first generation to be in hand")
    kit.put_movie(live.raw / "m.tiff", 2, e_per_px=9.0)
    kit.wait_for(lambda: live.movies()["m.tiff"]["generation"] == 2, "the second generation")
    live.wait_state("m.tiff", "queued")
    # The other worker is free, and must not take it: both would write the same pictures.
    kit.wait_for(lambda: [w.state for w in live.state().workers].count("working") == 1, "one worker at work")
    gate.touch()
    live.wait_state("m.tiff", "ready", "rejected")
    rows = live.sql("SELECT generation, state, micrograph_path FROM movies LEFT JOIN quality USING (movie_id)")
    assert {row["generation"]: row["state"] for row in rows}[1] == "outdated"
    (micrograph,) = [row["micrograph_path"] for row in rows if row["micrograph_path"]]
    with mrcfile.open(live.session_dir / micrograph) as file:
        assert file.data.mean() > 10.0  # about 23; the first generation has a ninth of that
