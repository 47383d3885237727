"""A person's verdict outlives the database."""

from __future__ import annotations

import pytest

from frazil.config.errors import RetryLaterError
from frazil.daemon.service import DaemonService
from frazil.daemon.store import result_files
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
