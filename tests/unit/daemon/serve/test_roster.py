"""Who is started when, and what becomes of one whose process has ended."""

from __future__ import annotations

import pytest

from frazil.daemon.serve import roster
from frazil.daemon.serve.records import Acquisition, State

NOW = 1_000_000.0


def one(name: str = "apo", state: State = State.RUNNING, **values: object) -> Acquisition:
    return Acquisition(folder=f"/data/{name}", program="epu", session=name, state=state, **values)  # type: ignore[arg-type]


def ended(acquisition: Acquisition, code: int | None, *, closed: bool | None = None, words: str = "") -> Acquisition:
    roster.ended(acquisition, code, closed=closed, words=words, now_utc_s=NOW)
    return acquisition


def test_no_more_than_so_many_run_and_who_waited_longest_comes_first() -> None:
    running = one("a", place=1)
    queued = [
        one("late", State.QUEUED, changed_utc_s=30.0),
        one("pause", State.QUEUED, changed_utc_s=10.0, not_before_utc_s=NOW + 1),
        one("early", State.QUEUED, changed_utc_s=20.0),
    ]
    due = roster.due([running, *queued, one("done", State.FINISHED)], 2, NOW)
    assert [(acquisition.session, place) for acquisition, place in due] == [("early", 0)]
    due = roster.due([running, *queued], 4, NOW + 1)
    assert [(acquisition.session, place) for acquisition, place in due] == [("pause", 0), ("early", 2), ("late", 3)]
    assert roster.due([running, *queued], 1, NOW) == []


def test_fewer_at_once_than_run_starts_none() -> None:
    running = [one(name, place=place) for place, name in enumerate("abc")]
    assert roster.due([*running, one("d", State.QUEUED)], 2, NOW) == []


def test_the_end_of_a_process_by_its_code() -> None:
    assert ended(one(), 0, words="everything that was there is processed").state is State.FINISHED
    assert ended(one(), None, closed=True).state is State.FINISHED
    refused = ended(one(), 2, words="pixel size: nobody gives it")
    assert (refused.state, refused.why) == (State.WAITS, "refused: pixel size: nobody gives it")
    stopped = ended(one(stopping=True), 0)
    assert (stopped.state, stopped.stopping) == (State.STOPPED, False)
    assert ended(one(stopping=True), -9).state is State.STOPPED
    assert ended(one(), 1, words="no worker is left").why == (
        "failed with exit code 1 (no worker is left): started again in 10 s"
    )
    assert ended(one(), None, closed=False).why == "died while serve was away: started again in 10 s"
    assert ended(one(), -11, words="running: ready 3").why == "died of SIGSEGV: started again in 10 s"
    assert ended(one(), -63).why.startswith("died of signal 63")


def test_one_that_dies_again_and_again_is_left_to_a_person() -> None:
    acquisition, pauses = one(started_utc_s=NOW - 5), []
    while ended(acquisition, -9).state is State.QUEUED:
        pauses.append(acquisition.not_before_utc_s - NOW)
        roster.started(acquisition, 0, NOW - 5)
    assert pauses == [10.0, 20.0, 40.0, 80.0, 160.0]
    assert (acquisition.state, acquisition.why) == (State.WAITS, "died of SIGKILL, 6 times in a row: not started again")
    roster.rules_changed(acquisition, NOW)
    assert (acquisition.state, acquisition.deaths) == (State.SEEN, 0)


def test_one_that_ran_long_has_not_died_in_a_row() -> None:
    acquisition = ended(one(deaths=5, started_utc_s=NOW - 3600), -9)
    assert (acquisition.state, acquisition.deaths) == (State.QUEUED, 1)


def test_what_serve_left_goes_on_when_it_starts() -> None:
    for state, then in ((State.STOPPED, State.QUEUED), (State.WAITS, State.SEEN), (State.FINISHED, State.FINISHED)):
        acquisition = one(state=state)
        roster.after_serve_was_away(acquisition, alive=False, now_utc_s=NOW)
        assert acquisition.state is then


@pytest.mark.parametrize(("gpus", "most"), [((), 3), ((0,), 1), ((0, 1, 2, 3, 4), 3), ((0, 1), 5)])
def test_every_gpu_is_somebodys_and_everybody_has_one(gpus: tuple[int, ...], most: int) -> None:
    parts = [roster.gpus_of(place, most, gpus) for place in range(most)]
    assert {gpu for part in parts for gpu in part} == set(gpus)
    assert not gpus or all(parts)
    if len(gpus) >= most:
        assert sum(map(len, parts)) == len(gpus)
