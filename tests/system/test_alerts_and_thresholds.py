"""A real daemon: alerts reach a mail server and a webhook once over a restart; thresholds are looked at and applied."""

from __future__ import annotations

import json

import pytest

import frazil.daemon.run as run
from benchmarks.operation.alert_sinks import alert_sinks
from frazil.actors.frame_worker import FrameWorker
from frazil.daemon.cli.alerts import listed
from frazil.daemon.store.reading import LiveReader
from frazil.models.simulation.session import SimulatedSession
from frazil.models.simulation.settings import preset
from frazil.models.simulation.sidecars import epu_xml


@pytest.fixture
def sinks():
    with alert_sinks() as opened:
        yield opened


class _DiesOnPoison(FrameWorker):
    kills: type[BaseException]

    def process(self, task):
        if "poison" in task.movie_path:
            raise self.kills
        return super().process(task)


def test_a_dead_worker_is_mailed_and_posted_once_also_over_a_restart(kit, live, monkeypatch, sinks):
    worker = type("DiesOnPoison", (_DiesOnPoison,), {"kills": kit.kills_its_process})
    pool = run.WorkerPool
    monkeypatch.setattr(run, "WorkerPool", lambda runtime, configs: pool(runtime, configs, worker_class=worker))
    told = {
        "camera__no_gain": True,
        **{f"alerts__{name}": value for name, value in sinks.settings().items()},
    }
    kit.put_movie(live.raw / "poison.tiff", 1, count=3)
    live.start(**told)
    kit.wait_for(lambda: sinks.mails and sinks.posts, "the alert at both")
    kit.wait_for(lambda: live.client().snapshot().alerts_open, "the alert on the screen")
    live.stop()
    live.start(**told)
    live.wait_state("poison.tiff", "quarantined")
    (lost,) = live.sql("SELECT * FROM alerts WHERE subject = 'worker' AND contains(text, 'was restarted')")
    live.client().command("acknowledge", alert_id=lost["alert_id"])
    still = [row["alert_id"] for row in listed(LiveReader(live.client()), open_only=True)]
    assert lost["alert_id"] not in still
    kit.wait_for(lambda: live.client().snapshot().newest_alert != lost["text"], "the acknowledged alert to go")
    rows = listed(LiveReader(live.client()), open_only=False)
    (row,) = [row for row in rows if row["alert_id"] == lost["alert_id"]]
    assert row["acknowledged_by"]
    assert {one["state"] for one in row["deliveries"]} == {"sent"}
    live.stop()
    assert sinks.times_told(lost["text"]) == (1, 1)


def test_what_if_counts_are_those_after_applying_and_last_over_a_restart(kit, live):
    for number in range(4):
        kit.put_movie(live.raw / f"m{number}.tiff", number, count=3 + 2 * number)
    live.start(camera__no_gain=True)
    live.client().command("thresholds", max_ctf_fit_resolution_angstrom=None, max_astigmatism_angstrom=None)
    for number in range(4):
        live.wait_state(f"m{number}.tiff", "ready", "rejected")
    motion = sorted(row["motion_total_angstrom"] for row in live.sql("SELECT motion_total_angstrom FROM quality"))
    assert motion[0] < motion[-1]
    limit = (motion[1] + motion[2]) / 2
    change = {"cuts": f"motion_total_angstrom <= {limit!r}"}
    before = live.states()
    foretold = json.loads(live.client().command("what-if", **change).message)
    assert live.states() == before, "looking changes nothing"
    done = live.client().command("thresholds", **change).message
    after = live.states()
    lost = {row["relative_path"] for row in foretold["rejected"]}
    assert {path for path in before if before[path] != after[path]} == lost
    assert len(lost) == 2
    assert done == f"{len(lost)} movies set aside, {len(foretold['kept_again'])} kept again"
    counted = "count(*) AS n, sum(particle_count) AS p FROM movies JOIN quality USING (movie_id)"
    kept = live.sql(f"SELECT {counted} WHERE state = 'ready'")
    assert (kept[0]["n"], kept[0]["p"] or 0) == (foretold["movies_kept_after"], foretold["particles_after"])
    text = (live.session_dir / "settings.yaml").read_text()
    assert f"motion_total_angstrom <= {limit!r}" in text
    live.stop()
    # A start with other thresholds judges again, and processes nothing again.
    live.start(camera__no_gain=True, thresholds__cuts=("particle_count >= 100000",))
    assert set(live.states().values()) == {"rejected"}
    assert live.calls_done() == 0


def test_late_sidecars_are_named_on_the_screen_within_ten_movies(kit, live):
    settings = preset("demo").with_changes(movies=1, frame_count=6, height_px=128, width_px=128)
    xml = epu_xml(SimulatedSession(settings).truth(0), settings)
    names = [f"FoilHole_71000{n:02d}_Data_7200000_0_20260101_0000{n:02d}" for n in range(4)]
    for number, name in enumerate(names):
        kit.put_movie(live.raw / f"{name}_Fractions.tiff", number, count=6)
    live.start(camera__no_gain=True, alerts__late_sidecars=3)
    for name in names:
        live.wait_state(f"{name}_Fractions.tiff", "queued", "processing", "ready", "rejected")
    for name in names[:3]:
        (live.raw / f"{name}.xml").write_text(xml)

    def told():
        rows = live.sql("SELECT text, remedy FROM alerts WHERE alert_id = 'rule-late-sidecars'")
        return rows and live.client().snapshot().alerts_open and rows[0]

    alert = kit.wait_for(told, live.alerts)
    assert "sidecars of 3 of the last 10 movies" in alert["text"]
    assert "sidecar_wait_s" in alert["remedy"]
