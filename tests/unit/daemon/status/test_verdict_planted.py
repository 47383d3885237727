"""The five-second test: situations planted in a session as its daemon sees it; the verdict's line has to name each."""

from __future__ import annotations

import msgspec
import pytest
from verdict_world import BLOCKED, BOTH, GB, World

from frazil.config.errors import QueryError
from frazil.daemon.alerts.sending import Message, OpenAlert
from frazil.daemon.alerts.wording import as_json, as_mail
from frazil.daemon.cli.status import status_text
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.text import to_text
from frazil.daemon.transport.messages import WorkerState
from frazil.tui.widgets.verdict_line import verdict_text


@pytest.fixture
def world(store, tmp_path, monkeypatch):
    return World(store, tmp_path, monkeypatch)


def thick_ice(world: World) -> None:
    world.good(24, ice_nm=250.0)


def drift(world: World) -> None:
    world.good(24, early_angstrom=14.0)


def gain(world: World) -> None:
    world.gate = BLOCKED


def disk_full(world: World) -> None:
    world.free_bytes = 3 * GB


def stalled_camera(world: World) -> None:
    world.wait(22 * 60)


def lag(world: World) -> None:
    for _ in range(15):
        world.found(10)
        world.movie()
        world.wait(60)


def worker_dead(world: World) -> None:
    world.workers = (BOTH[0], WorkerState("worker-1", state="gone", done=9))


SITUATIONS = {
    "all well": (lambda world: None, "go on: 24 of the last 24 movies are good"),
    "thick ice": (thick_ice, "stop: thick ice, 250 nm: 0 of 24 movies are good"),
    "drift": (drift, "stop: drift, 14.0 A: 0 of 24 movies are good"),
    "gain": (gain, "stop: the gain reference does not fit the movies"),
    "disk": (disk_full, "stop: the disk is full (3.2 GB left), no movie is started"),
    "stalled camera": (stalled_camera, "change: no new movie for 22 min: look at the microscope"),
    "lag": (lag, "change: results fall behind: 150 wait, 1.9 h to catch up"),
    "worker dead": (worker_dead, "change: 1 of 2 workers is dead"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_line_names_the_situation_everywhere(world, situation):
    """Screen, `frazil status`, the live record as JSON (what `GET /state` answers), mail, webhook, summary."""
    plant, line = SITUATIONS[situation]
    world.good(40)
    assert world.state().verdict.word == "go on"
    plant(world)
    state = world.state()
    assert state.verdict.line == line
    assert len(line) <= 60
    assert verdict_text(state, 78).plain.startswith(("✓ ", "! ", "■ "))
    assert line in verdict_text(state, 78).plain
    assert state.verdict.sentence in status_text(state)
    assert msgspec.json.decode(msgspec.json.encode(state))["verdict"]["line"] == line
    message = Message("smtp", "id", (OpenAlert("a", 1, "warning", "cause", "ice"),), 0, state.verdict.sentence)
    mail = as_mail(message, session_name="s", session_dir="/s", sender="a@b", receivers=["c@d"], now_utc_us=1)
    assert mail.get_content().startswith(f"The session now: {state.verdict.sentence}")
    assert state.verdict.sentence in str(as_json(message, shape="mattermost", session_name="s"))
    summary = summarise(world.store, world.folder, now_utc_us=world.utc_us(), live=True, verdict=state.verdict)
    assert state.verdict.sentence[:60] in to_text(summary)


def test_of_two_troubles_the_worse_comes_first(world):
    world.good(40)
    thick_ice(world)
    worker_dead(world)
    verdict = world.state().verdict
    assert verdict.reasons[:2] == ("stop: thick ice, 250 nm: 0 of 24 movies are good", "change: 1 of 2 workers is dead")
    assert "Also: 1 of 2 workers is dead" in verdict.sentence
    gain(world)
    assert world.state().verdict.reasons[0] == "stop: the gain reference does not fit the movies", (
        "broken before quality"
    )


def test_a_camera_that_stands_still_comes_before_poor_movies(world):
    world.good(40)
    world.good(9, fit_angstrom=7.5)
    assert world.state().verdict.line == "change: poor CTF fits, 7.5 A: 15 of 24 movies are good"
    stalled_camera(world)
    lines = world.state().verdict.reasons
    assert [line.split(":")[1].split(",")[0].strip()[:12] for line in lines[:2]] == ["no new movie", "poor CTF fit"]


def test_quality_comes_before_machinery(world):
    world.good(40)
    lag(world)
    world.good(9, early_angstrom=11.0, after_s=1.0)
    rules = world.state().verdict.reasons
    assert rules[0].startswith("change: drift, 11.0 A")
    assert rules[-1].startswith("change: results fall behind")


def test_a_fresh_session_is_not_judged(world):
    world.good(3)
    assert world.state().verdict.line == "too early to say: 3 movies"
    world.good(4)
    assert world.state().verdict.word == "too early to say"
    world.good(1)
    assert world.state().verdict.line == "go on: 8 of the last 8 movies are good"


def test_what_is_broken_is_told_before_there_are_movies(world):
    gain(world)
    assert world.state().verdict.line == "stop: the gain reference does not fit the movies"


def test_a_session_that_is_bad_from_its_beginning_is_not_all_well(world):
    """No better part of the session to compare with: the limits alone say it."""
    world.good(60, early_angstrom=12.0)
    state = world.state()
    assert state.verdict.word == "stop"
    assert state.verdict.line.startswith("stop: drift, 12.0 A")


def test_movies_that_are_all_set_aside_are_told_of(world):
    world.good(2)
    world.found(12)
    world.sql("UPDATE movies SET state = 'quarantined', failure_reason = 'truncated' WHERE state = 'queued'")
    assert world.state().verdict.line == "stop: set aside: 2 of 14 movies are good"


def test_worse_than_before_though_within_the_limits(world):
    world.good(96)
    for number in range(24):
        world.movie(kept=number % 4 != 0)
    assert world.state().verdict.line == "change: worse than before: 18 of 24 good, 100 % before"


def test_a_finished_session(world):
    world.good(40)
    world.good(10, ice_nm=250.0)
    world.status = "finished"
    verdict = world.state().verdict
    assert verdict.line == "finished: 40 of 50 movies are good"
    assert "thick ice, 250 nm" in verdict.sentence, "what was the matter at its end"
    over = summarise(world.store, world.folder, now_utc_us=world.utc_us(), live=False)
    assert over.verdict.line == "ended without being closed: 40 of 50 movies are good", "no daemon closed its store"


def test_paused(world):
    world.good(10)
    world.status = "paused"
    world.found(2)
    assert world.state().verdict.line == "paused: no movie is started, 2 wait"


def test_only_advice_that_surely_pays_is_a_reason_to_change(world):
    world.good(40)
    world.advise(gain=0.3, low=0.02, net=0.2)  # net interval begins at -0.08
    assert world.state().verdict.word == "go on"
    world.advise(gain=0.5, low=0.35, net=0.4)
    verdict = world.state().verdict
    assert verdict.line == "change: wait 10 s longer after moving the stage: x1.5 sig..."
    drift(world)
    assert world.state().verdict.line.startswith("stop: drift"), "what is wrong comes before what would pay"


def test_a_common_cause_is_told_by_its_alert(world):
    world.good(40)
    world.good(6, cause="ice")
    assert world.state().verdict.line.startswith("change: ice thickness: 6 of the last 10 movies lose")


def test_poor_quality_is_an_alert_of_its_own_and_is_over_by_itself(world):
    """So that it goes by mail; once while it lasts, once more where it becomes worse."""

    def told():
        world.store.flush()
        rows = world.store.named("alerts", {"limit": 100}).as_dicts()
        return {str(row["alert_id"]): row["cleared_utc_us"] is None for row in rows if row["subject"] == "quality"}

    world.good(40)
    world.good(9, fit_angstrom=7.5)
    world.state()
    assert told() == {"rule-quality-warning": True}
    world.good(15, fit_angstrom=7.5)
    world.state()
    assert told() == {"rule-quality-warning": False, "rule-quality-error": True}
    for _ in range(12):
        world.good(4)
        world.state()
    assert told() == {"rule-quality-warning": False, "rule-quality-error": False}


def test_an_error_that_no_rule_knows_is_told(world):
    world.good(40)
    world.notices.alert("error", "store", "a row could not be written: disk I/O error")
    assert world.state().verdict.line == "change: a row could not be written: disk I/O error"


def test_a_worker_that_is_being_replaced_is_not_dead(world):
    world.good(40)
    world.workers = (BOTH[0], replace_state(BOTH[1], since_s=8.0))
    assert world.state().verdict.word == "go on"
    world.workers = (BOTH[0], replace_state(BOTH[1], since_s=90.0))
    assert world.state().verdict.line == "change: 1 of 2 workers is dead"


def replace_state(worker: WorkerState, *, since_s: float) -> WorkerState:
    return msgspec.structs.replace(worker, state="starting", since_s=since_s)


def test_it_is_as_it_was_when_the_store_does_not_answer(world, monkeypatch):
    world.good(40)
    before = world.state().verdict

    def fail(*_):
        raise QueryError("ran longer than 10 s")

    monkeypatch.setattr(world.store, "named", fail)
    state = world.builder.build(status="running", workers=BOTH, gate=BLOCKED, queue_depth=0, analysis=None)
    assert state.verdict == before
