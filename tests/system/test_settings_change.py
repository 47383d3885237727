"""A daemon whose settings are changed: what they touch is made again, behind movies that come, and only that."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

import frazil.actors.frame_worker as frame_worker
import frazil.daemon.app as app
import frazil.models.movie_pipeline as movie_pipeline
from frazil.config.errors import FrazilError, RetryLaterError
from frazil.config.loading import load_settings, settings_to_yaml
from frazil.daemon.changes.apply import change_without_daemon
from frazil.daemon.store.reading import open_session

CTF = "SELECT relative_path, c.* EXCLUDE (movie_id) FROM ctf c JOIN movies USING (movie_id) ORDER BY relative_path"
SHIFTS = "SELECT stem, f.* EXCLUDE (movie_id) FROM frame_shift_arrays f JOIN movies USING (movie_id) ORDER BY 1"
MADE = "SELECT DISTINCT parameter_hash FROM stages"
GIVEN = {"camera__no_gain": True, "microscope__cs_mm": 2.7, "thresholds__max_ctf_fit_resolution_angstrom": None}


def finished(live, count: int):
    def look():
        assert live.error is None, live.error
        states = list(live.states().values())
        return len(states) == count and set(states) <= {"ready", "rejected"}

    return look


def through(live):
    """Everything is one kind of result again, and the daemon has nothing to do again."""

    def look():
        assert live.error is None, live.error
        marked = live.sql("SELECT 1 FROM movies WHERE contains(flags, 'outdated-')")
        return not marked and len(live.sql(MADE)) == 1 and not live.client().snapshot().redo_stage

    return look


def set_settings(live, **changes):
    return live.client().command("settings", **{key.replace("__", "."): text for key, text in changes.items()})


def test_another_cs_changes_the_ctf_and_leaves_the_motion(kit, live, monkeypatch):
    aligned = []
    align = movie_pipeline.align_movie

    def counted(*arguments, **words):
        aligned.append(1)
        return align(*arguments, **words)

    monkeypatch.setattr(movie_pipeline, "align_movie", counted)
    for number in range(6):
        kit.put_movie(live.raw / f"m{number}.tiff", number, count=4)
    live.start(**GIVEN)
    kit.wait_for(finished(live, 6), "six results")
    shifts, before, times = live.sql(SHIFTS), live.sql(CTF), live.movies()
    seen = len(aligned)
    plan = json.loads(live.client().command("settings-preview", **{"microscope.cs_mm": "0.5"}).message)
    assert (plan["stage"], plan["movies"]) == ("ctf", {"ctf": 6})
    assert "6 movies" in plan["lines"][-1]
    assert live.sql(CTF) == before, "looking changes nothing"
    set_settings(live, microscope__cs_mm="0.5", ctf__max_defocus_angstrom="20000")
    kit.wait_for(through(live), "six results with another Cs")
    assert set(live.states().values()) <= {"ready", "rejected"}
    assert live.sql(SHIFTS) == shifts
    assert len(aligned) == seen, "no movie was aligned again"
    after = live.sql(CTF)
    assert after != before
    for path, row in live.movies().items():
        assert row["ready_utc_us"] == times[path]["ready_utc_us"]
        assert row["lag_s"] == times[path]["lag_s"]
        assert row["attempts"] == times[path]["attempts"]
    said = [row["text"] for row in live.sql("SELECT text FROM alerts WHERE contains(text, 'microscope.cs_mm')")]
    assert len(said) == 1
    assert "2.7 -> 0.5" in said[0]
    assert "cs_mm: 0.5" in (live.session_dir / "settings.yaml").read_text()
    assert live.sql("SELECT cs_mm FROM session") == [{"cs_mm": 0.5}]


def test_a_database_that_is_not_ready_makes_changed_settings_wait(kit, live, monkeypatch):
    kit.put_movie(live.raw / "m0.tiff", 0, count=4)
    live.start(**GIVEN)
    kit.wait_for(finished(live, 1), "a result")
    refusals = [RetryLaterError("the disk is full", remedy="free disk space")] * 2
    begin = app.session_start

    def busy(*arguments):
        if refusals:
            raise refusals.pop()
        return begin(*arguments)

    monkeypatch.setattr(app, "session_start", busy)
    monkeypatch.setattr(app, "_STORE_PAUSE_S", 0.1)
    set_settings(live, microscope__cs_mm="0.5")
    kit.wait_for(lambda: not refusals, "two refusals")
    kit.wait_for(through(live), "the result with another Cs")
    (alert,) = live.sql("SELECT cleared_utc_us FROM alerts WHERE contains(text, 'changed settings wait')")
    assert alert["cleared_utc_us"] is not None


def test_a_session_that_waits_for_its_database_can_be_ended_and_mails_go_to_the_new_address(kit, live, monkeypatch):
    kit.put_movie(live.raw / "m0.tiff", 0, count=4)
    live.start(**GIVEN)
    kit.wait_for(finished(live, 1), "a result")
    couriers, ready = [], []
    begin, courier = app.session_start, app.started_courier

    def busy(*arguments):
        if not ready:
            raise RetryLaterError("the disk is full", remedy="free disk space")
        return begin(*arguments)

    def built(options, *others):
        couriers.append(options.settings.alerts.quiet_minutes)
        return courier(options, *others)

    monkeypatch.setattr(app, "session_start", busy)
    monkeypatch.setattr(app, "started_courier", built)
    monkeypatch.setattr(app, "_STORE_PAUSE_S", 0.1)
    set_settings(live, alerts__quiet_minutes="7")
    kit.wait_for(lambda: couriers, "a courier with the new settings")
    with pytest.raises(FrazilError, match="wait for the database"):
        live.client().command("pause")
    ready.append(True)
    kit.wait_for(lambda: live.client().command("pause"), "another run")
    assert couriers == [7.0], "built once, with what was set"
    ready.clear()
    set_settings(live, microscope__cs_mm="0.5")
    waits = "SELECT 1 FROM alerts WHERE contains(text, 'settings wait') AND cleared_utc_us IS NULL"
    kit.wait_for(lambda: live.sql(waits), "that it waits")
    assert live.client().command("stop").message == "stopping"
    report = live.join()
    assert live.error is None
    assert report.stopped


def test_what_cannot_be_set_changes_nothing_and_a_movie_without_a_file_keeps_its_result(kit, live):
    for number in range(3):
        kit.put_movie(live.raw / f"m{number}.tiff", number, count=4)
    live.start(**GIVEN)
    kit.wait_for(finished(live, 3), "three results")
    text = (live.session_dir / "settings.yaml").read_text()
    for bad, said in (
        ({"microscope.cs_mm": "much"}, "cs_mm"),
        ({"microscope.cs": "2"}, "cs"),
        ({"camera.gain": "/nowhere.mrc"}, "exclude each other"),
        ({"particles.initial_map": "/nowhere.mrc"}, "does not exist"),
        ({"workers.ray_address": "auto"}, "while the daemon runs"),
        ({"http.token": "env:NOWHERE"}, "while the daemon runs"),
        ({"workers.device": "cuda"}, "no GPU"),
        ({"microscope.pixel_size_angstrom": "2.6"}, "headers? of|header of"),  # they say 1.3
    ):
        with pytest.raises(FrazilError, match=said):
            live.client().command("settings", **bad)
    assert (live.session_dir / "settings.yaml").read_text() == text
    (live.raw / "m1.tiff").unlink()
    before = live.movies()["m1.tiff"]
    # A threshold among others: those are taken up, too.
    set_settings(live, thresholds__max_total_motion_angstrom="500", alerts__bell="false")
    kit.wait_for(lambda: not live.client().snapshot().bell, "the bell to be off")
    set_settings(live, particles__diameter_angstrom="40")
    kit.wait_for(through(live), "all three picked again, from the micrographs alone")
    set_settings(live, particles__symmetry="D2")
    set_settings(live, microscope__amplitude_contrast="0.07")
    kit.wait_for(lambda: live.movies()["m1.tiff"]["failure_stage"] == "redo", "the movie without a file to be told")
    kit.wait_for(lambda: len(live.sql(MADE)) == 2 and not live.client().snapshot().redo_stage, "the other two")
    row = live.movies()["m1.tiff"]
    assert row["state"] == before["state"]
    assert "file is gone" in row["failure_reason"]
    assert "outdated-ctf" in row["flags"]
    for column in ("voltage_kv", "dose_per_frame_e_per_a2", "pixel_size_angstrom", "metadata_json"):
        assert row[column] == before[column], "what the result that stays was made with"
    kept = row
    live.stop()
    told = {"microscope__amplitude_contrast": 0.07, "particles__symmetry": "D2", "particles__diameter_angstrom": 40.0}
    live.start(**(GIVEN | told), once=True)
    assert live.join().ok
    with open_session(live.session_dir) as reader:
        row = reader.sql("SELECT * FROM movies WHERE relative_path = 'm1.tiff'").as_dicts()[0]
    assert row == kept, "it is not tried at every start"


def test_tries_that_end_among_their_pictures_leave_those_of_the_earlier_result(kit, live, monkeypatch):
    kit.put_movie(live.raw / "m.tiff", 1, count=4)
    live.start(**GIVEN)
    kit.wait_for(finished(live, 1), "a result")

    def pictures() -> dict[str, bytes]:
        folders = ("motion", "ctf", "restored", "particles", "thumbnails")
        return {
            str(path.relative_to(live.session_dir)): path.read_bytes()
            for folder in folders
            for path in (live.session_dir / folder).rglob("*.*")
            if "lessons" not in path.parts
        }

    before, rows = pictures(), (live.sql(CTF), live.sql(SHIFTS))
    write = frame_worker.write_products
    written = []

    def writes_and_ends(*arguments, **more):
        written.append(write(*arguments, **more))
        raise kit.kills_its_process

    with monkeypatch.context() as patch:
        patch.setattr(frame_worker, "write_products", writes_and_ends)
        set_settings(live, motion__b_factor_px2="20")
        kit.wait_for(lambda: live.movies()["m.tiff"]["failure_stage"] == "redo", "it to be given up")
    assert len(written) == 3
    assert {written[0].micrograph, written[0].restored} <= set(before)
    assert pictures() == before
    assert (live.sql(CTF), live.sql(SHIFTS)) == rows
    live.stop()
    live.start(**(GIVEN | {"motion__b_factor_px2": 20}))
    live.client()  # it answers when the session has been put in order
    assert not list((live.session_dir / ".redo").iterdir()), "what the last try had written"
    set_settings(live, microscope__cs_mm="0.5")
    kit.wait_for(through(live), "it to be made again after all")
    after = pictures()
    assert set(after) == set(before)
    assert all(after[name] != before[name] for name in after if name.startswith("motion/"))
    kit.wait_for(lambda: not list((live.session_dir / ".redo").iterdir()), "nothing to be left over")


def test_a_movie_taken_as_it_is_stays_so_over_a_change_and_a_restart(kit, live):
    kit.put_movie(live.raw / "whole.tiff", 1, count=4)
    kit.put_movie(live.raw / "short.tiff", 2, count=3)
    given = GIVEN | {"intake__expected_frames": 4, "intake__incomplete_timeout_s": 1.0}
    live.start(**given)
    row = live.wait_state("short.tiff", "quarantined")
    live.client().command("requeue", movie_id=row["movie_id"], accept_as_is=True)
    live.wait_state("short.tiff", "ready", "rejected")
    set_settings(live, microscope__cs_mm="0.5")
    kit.wait_for(through(live), "both with another Cs")
    kit.wait_for(finished(live, 2), "both to be done")
    assert "accepted-as-is" in live.movies()["short.tiff"]["flags"]
    live.stop()
    for path in live.session_dir.glob("session.duckdb*"):
        path.unlink()  # the result's own file knows it, too
    live.start(**(given | {"microscope__cs_mm": 1.0}))
    kit.wait_for(through(live), "both once more")
    kit.wait_for(finished(live, 2), "both to be done")
    row = live.movies()["short.tiff"]
    assert (row["failure_stage"], row["frame_count"]) == (None, 3)
    assert "accepted-as-is" in row["flags"]


@pytest.mark.slow
def test_a_change_without_a_daemon_and_a_stop_in_the_middle(kit, live, monkeypatch):
    for number in range(5):
        kit.put_movie(live.raw / f"m{number}.tiff", number, count=4)
    live.start(**GIVEN)
    kit.wait_for(finished(live, 5), "five results")
    shifts = live.sql(SHIFTS)
    live.stop()
    plan = change_without_daemon(live.session_dir, {"microscope.cs_mm": "1.0"}, who="ann", now_utc_us=1)
    assert plan.movies == {"ctf": 5}
    fitted = []
    fit = movie_pipeline.fit_ctf

    def counting(*a, **k):
        fitted.append(1)
        if len(fitted) == 3:
            live._daemon.stop()
        return fit(*a, **k)

    monkeypatch.setattr(movie_pipeline, "fit_ctf", counting)
    told = GIVEN | {"microscope__cs_mm": 1.0}
    live.start(**told, once=True)
    live.join()
    first = len(fitted)
    live.start(**told)
    kit.wait_for(through(live), "the rest")
    assert live.sql(SHIFTS) == shifts
    assert len(fitted) <= 5 + 1, f"{first} before the stop: only what was under way is done twice"
    assert set(live.states().values()) <= {"ready", "rejected"}


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_the_middle_of_it_all_is_as_if_it_had_been_so_from_the_beginning(kit, tmp_path):
    raw, movies = tmp_path / "raw", 8
    for number in range(movies):
        kit.put_movie(raw / f"m{number}.tiff", number, count=4)
    environ = kit.child_environment()

    def config(name: str, **more) -> Path:
        path = tmp_path / f"{name}.yaml"
        flags = kit.quick | {"camera.no_gain": True, "microscope.cs_mm": 2.7} | more
        path.write_text(settings_to_yaml(load_settings(preset="simulated", yaml_path=None, environ={}, flags=flags)))
        return path

    def watch(session: Path, *words: str) -> subprocess.Popen[bytes]:
        dose = ("--dose-per-frame-e-per-a2", "1.0")
        return kit.start_watch(raw, session, *dose, *words, log=session.with_suffix(".log"), environ=environ)

    def frazil(*words: str | Path) -> str:
        return subprocess.run(
            kit.frazil_command(*words), env=environ, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    session, fresh = tmp_path / "session", tmp_path / "fresh"
    first = watch(session, "--config", str(config("first")), "--once")
    assert first.wait(400) == 0, session.with_suffix(".log").read_text()[-3000:]
    change = ("microscope.cs_mm=0.5", "particles.diameter_angstrom=40")
    looked = frazil("set", session, *change, "--dry-run", "--json")
    assert json.loads(looked)["movies"] == {"ctf": movies}
    assert "takes it up" in frazil("set", session, *change)
    results = session / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.glob("[!.]*.msgpack")}
    again = watch(session)

    def made() -> list[str]:
        return [name for name, then in before.items() if (results / name).stat().st_mtime_ns != then]

    kit.wait_for(lambda: len(made()) >= 3 or again.poll() is not None, "three movies to be made again", 300.0)
    again.send_signal(signal.SIGKILL)
    again.wait()
    finished = {name: (results / name).stat().st_mtime_ns for name in made()}
    assert 3 <= len(finished) < movies
    last = watch(session, "--once")
    assert last.wait(400) == 0, session.with_suffix(".log").read_text()[-3000:]
    for name, then in finished.items():
        assert (results / name).stat().st_mtime_ns == then, "what was finished is not done again"
    told = {"microscope.cs_mm": 0.5, "particles.diameter_angstrom": 40.0}
    other = watch(fresh, "--config", str(config("fresh", **told)), "--once")
    assert other.wait(400) == 0, fresh.with_suffix(".log").read_text()[-3000:]
    tables = {
        "ctf": CTF,
        "shifts": SHIFTS,
        "states": "SELECT relative_path, state, attempts, flags, failure_stage FROM movies ORDER BY 1",
        "made with": MADE,
        "picks": "SELECT stem, x_px, y_px, half_set FROM particle_arrays JOIN movies USING (movie_id) ORDER BY 1",
        "priors": "SELECT version, parameter_hash, movie_count, mean, sd FROM priors WHERE version > 0 ORDER BY 1",
    }
    with open_session(session) as mine, open_session(fresh) as its:
        for name, text in tables.items():
            # As text: NaN is equal to itself there.
            one, two = repr(mine.sql(text).rows), repr(its.sql(text).rows)
            assert one == two, name
