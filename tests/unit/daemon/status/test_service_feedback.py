"""A person's verdict outlives the database."""

from __future__ import annotations

import time

import pytest

from frazil.config.errors import NotThereError, RetryLaterError, SessionLockedError, UsageError
from frazil.daemon.cli.changed import changed
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import causal_writes, session_writes
from frazil.daemon.transport.messages import Command


def test_a_verdict_is_in_its_file_before_the_answer(store, put, tmp_path):
    movie_id = put(0).movie_id
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    reject = Command(name="reject", args={"movie_id": movie_id, "reason": "ice"}, who="x", command_id="c1")
    assert service.command(reject).message == "the movie is rejected"
    [row] = result_files.read_feedback(tmp_path)
    assert (row.feedback_id, row.movie_id, row.verdict, row.note, row.who) == ("c1", movie_id, "reject", "ice", "x")


def test_a_verdict_that_cannot_be_kept_is_refused(store, put, tmp_path):
    movie_id = put(0).movie_id
    (tmp_path / result_files.RESULTS_NAME / result_files.FEEDBACK_NAME).mkdir()
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    with pytest.raises(RetryLaterError, match="Free disk space"):
        service.command(Command(name="reject", args={"movie_id": movie_id}, command_id="c1"))
    assert store.named("feedback").rows == ()


def test_a_verdict_on_no_movie_is_not_kept(store, tmp_path):
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    with pytest.raises(NotThereError, match="no movie x"):
        service.command(Command(name="accept", args={"movie_id": "x"}, command_id="c1"))
    assert result_files.read_feedback(tmp_path) == []


def test_what_a_person_changed_outlives_the_database(store, tmp_path):
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    told = {"sentence": "waited 5 s longer", "factor": "motion"}
    for _ in range(2):  # sent again after a lost answer
        service.command(Command(name="intervention", args=told, command_id="c1", who="frazil"))
    service.command(Command(name="intervention", args={"sentence": "new grid"}, command_id="c2", who="anna"))
    store.submit(causal_writes.replace_advice, [], []).result()
    wanted = {("c1", "motion", "unknown", None), ("c2", "unexplained", "anna", None)}

    def seen():
        rows = store.named("interventions").as_dicts()
        return {(row["intervention_id"], row["factor"], row["who"], row["place"]) for row in rows}

    assert seen() == wanted, "people's changes are no advice"
    store.submit(lambda connection: connection.execute("DELETE FROM interventions")).result()
    rebuild.adopt_missing(store, tmp_path, now_utc_us=1)
    assert seen() == wanted


@pytest.mark.parametrize("args", [{}, {"sentence": "x", "factor": "luck"}])
def test_an_intervention_says_what_and_why(store, tmp_path, args):
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    with pytest.raises(UsageError):
        service.command(Command(name="intervention", args=args, command_id="c1"))
    assert store.named("interventions").rows == ()


def test_a_change_is_noted_with_a_session_that_no_daemon_has(tmp_path, capsys):
    with pytest.raises(UsageError, match="no frazil session"):
        changed(tmp_path, "C2 aperture 50")
    assert not list(tmp_path.iterdir())
    Store.open(tmp_path, now_utc_us=1).close()
    changed(tmp_path, "waiting 20 s after stage moves", factor="motion")
    assert "no daemon is running" in capsys.readouterr().out
    with open_session(tmp_path) as reader:
        (row,) = reader.named("interventions").as_dicts()
    assert (row["sentence"], row["factor"], row["place"]) == ("waiting 20 s after stage moves", "motion", None)
    assert [kept.sentence for kept in result_files.read_interventions(tmp_path)] == [row["sentence"]]
    with pytest.raises(UsageError, match="no cause is called 'luck'"):
        changed(tmp_path, "new grid", factor="luck")
    with SessionLock(tmp_path), pytest.raises(SessionLockedError):
        changed(tmp_path, "new grid")
    assert len(result_files.read_interventions(tmp_path)) == 1, "what is refused is kept nowhere"


MINUTE_US = 60_000_000


def test_a_change_may_be_told_afterwards(store, tmp_path):
    """The row has the time when it was done: what compares movies before and after goes by it."""
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    at_utc_us = time.time_ns() // 1000 - 20 * MINUTE_US
    told = {"sentence": "waited 5 s longer", "at_utc_us": at_utc_us}
    done = service.command(Command(name="intervention", args=told, command_id="c1", who="anna"))
    assert done.message.startswith("noted as of ")
    assert done.message.endswith(", 20 min ago")
    (row,) = store.named("interventions").as_dicts()
    assert row["created_utc_us"] == at_utc_us
    assert [kept.created_utc_us for kept in result_files.read_interventions(tmp_path)] == [at_utc_us]


@pytest.mark.parametrize(
    ("minutes_ago", "what"),
    [(-10, "still to come"), (90, "before the session, which began at .*, 1 h 0 min ago"), ("x", "is no time")],
)
def test_a_time_that_cannot_be_is_refused_in_words(store, tmp_path, minutes_ago, what):
    now_utc_us = time.time_ns() // 1000
    row = SessionRow("s", "s", "/raw", now_utc_us - 60 * MINUTE_US, "{}", "v")
    store.submit(session_writes.create_session, row).result()
    service = DaemonService(store, tmp_path, lambda _: "", lambda: None)
    at = minutes_ago if minutes_ago == "x" else now_utc_us - minutes_ago * MINUTE_US
    with pytest.raises(UsageError, match=what):
        service.command(Command(name="intervention", args={"sentence": "x", "at_utc_us": at}, command_id="c1"))
    assert store.named("interventions").rows == ()
    assert result_files.read_interventions(tmp_path) == []


def test_the_command_takes_a_clock_or_a_while(tmp_path):
    Store.open(tmp_path, now_utc_us=1).close()
    begin_utc_us = time.time_ns() // 1000
    changed(tmp_path, "C2 50", ago="20min")
    changed(tmp_path, "C2 70", at="2001-02-03T04:05Z")
    with pytest.raises(UsageError, match="Give one of them"):
        changed(tmp_path, "C2 90", at="02:40", ago="20min")
    with pytest.raises(UsageError, match="still to come"):
        changed(tmp_path, "C2 90", at="2199-02-03T04:05Z")
    first, second = result_files.read_interventions(tmp_path)
    assert -1 <= (first.created_utc_us - begin_utc_us) / MINUTE_US + 20 < 1
    assert second.created_utc_us == 981_173_100_000_000
