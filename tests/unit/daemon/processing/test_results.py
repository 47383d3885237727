"""A result becomes durable, waits for a disk that refuses it, or is no longer wanted: without a disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shell_doubles import Shells

from frazil.config.errors import RetryLaterError, WriteError
from frazil.daemon.intake import instructions as intake
from frazil.daemon.processing import events
from frazil.daemon.processing.places import Place
from frazil.daemon.session.registry import REPROCESS_PRIORITY, EarlierMovie
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import MovieRow
from frazil.models.records import ACCEPTED_AS_IS, MovieResult, MovieState

PATH = "sq1/a.tiff"
MakeResult = Callable[..., MovieResult]


def answered(shells: Shells, make_result: MakeResult, **movie: object) -> MovieResult:
    """A movie whose worker has answered."""
    name = shells.found(PATH)
    shells.movies.take(intake.Announce(shells.movie(PATH, **movie)))
    shells.lifecycle.worker_available("w0")
    (dispatch,) = shells.lifecycle.dispatches(0.0, eligible_below=None)
    shells.movies.happened(events.Started(name))
    shells.movies.happened(events.Answered(dispatch.worker, name))
    result = replace(make_result(1), movie_id=name)
    shells.results.add(result)
    shells.store.answers["adopt"] = MovieState.READY
    return result


def test_a_result_is_in_its_file_before_its_row_and_then_the_movie_is_done(make_result: MakeResult) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    shells.results.step()
    ((stored, redo),) = shells.folder.written
    assert (stored.result.movie_id, stored.ready_utc_us, stored.lag_s, redo) == (result.movie_id, 7, 10.0, False)
    assert shells.store.names()[-1] == "adopt"
    assert shells.lifecycle.place(result.movie_id) is Place.DONE
    assert shells.listener.ended == [(0, result.movie_id)]
    assert (shells.results.busy, shells.results.last_movie_id) == (False, result.movie_id)


@pytest.mark.parametrize("refused_by", ["the folder", "the database"])
def test_a_disk_that_refuses_is_told_once_and_tried_again_after_a_pause(
    make_result: MakeResult, refused_by: str
) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    if refused_by == "the folder":
        shells.folder.refuses = [OSError(28, "no space left")]
    else:
        shells.store.refuses = [RetryLaterError("no space left")]
    shells.results.step()
    assert shells.results.busy
    assert shells.lifecycle.place(result.movie_id) is Place.WRITING
    assert [subject for _, subject, _ in shells.notices.told] == ["disk"]
    shells.results.step()  # too early
    assert shells.results.busy
    shells.clock.now_s += 11.0
    shells.results.step()
    assert not shells.results.busy
    assert shells.lifecycle.place(result.movie_id) is Place.DONE


def test_a_result_whose_movie_was_replaced_meanwhile_is_thrown_away(make_result: MakeResult) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    shells.movies.take(intake.Replaced(PATH, 1, result.movie_id, "its size changed"))
    shells.results.step()
    assert (shells.folder.written, shells.folder.discarded) == ([], [result.movie_id])
    assert "adopt" not in shells.store.names()


def test_a_result_that_the_store_finds_outdated_ends_its_movie(make_result: MakeResult) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    shells.store.answers["adopt"] = None
    shells.results.step()
    assert shells.lifecycle.place(result.movie_id) is Place.OUTDATED
    assert shells.listener.ended == [(0, None)]


def test_a_result_that_the_database_does_not_take_sets_its_movie_aside_and_holds_up_no_other(
    make_result: MakeResult,
) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    shells.store.refuses = [WriteError("no such column")]
    shells.results.step()
    assert shells.lifecycle.place(result.movie_id) is Place.SET_ASIDE
    assert not shells.results.busy


def test_a_result_that_is_made_again_keeps_the_times_of_the_first(make_result: MakeResult) -> None:
    redo = EarlierMovie("m1", PATH, 0, "a", MovieState.FAILED, REPROCESS_PRIORITY, redo=True)
    shells = Shells(earlier=[redo])
    shells.movies.take(intake.Announce(replace(shells.movie(PATH), movie_id="m1")))
    shells.lifecycle.worker_available("w0")
    shells.lifecycle.dispatches(0.0, eligible_below=None)
    shells.movies.happened(events.Started("m1"))
    shells.movies.happened(events.Answered("w0", "m1"))
    result = replace(make_result(1), movie_id="m1")
    row = MovieRow("m1", PATH, 1, 1)
    shells.folder.first = StoredResult(row, result, 3, 2.5, None)
    shells.store.answers["adopt"] = MovieState.READY
    shells.results.add(result)
    shells.results.step()
    ((stored, redo_written),) = shells.folder.written
    assert (stored.ready_utc_us, stored.lag_s, redo_written) == (3, 2.5, True)


def test_the_folder_of_a_redo_that_is_made_once_more_is_left_to_its_worker(make_result: MakeResult) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    shells.folder.refuses = [OSError(28, "no space left")]
    shells.results.step()
    movie = shells.movie(PATH)
    known = shells.lifecycle.in_process(result.movie_id)
    assert known is not None
    changed = replace(known[1].acquisition, pixel_size_angstrom=2.0)
    shells.movies.happened(events.ValuesChanged(movie, changed, known[1].row))
    shells.clock.now_s += 11.0
    shells.results.step()
    assert shells.folder.discarded == []
    assert shells.lifecycle.place(result.movie_id) is Place.QUEUED


def test_a_result_that_lies_in_its_file_already_only_gets_its_row(make_result: MakeResult) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    known = shells.lifecycle.in_process(result.movie_id)
    assert known is not None
    shells.results.add_stored(StoredResult(known[1].row, result, 3, 2.5, None))
    shells.results.step()
    assert shells.folder.written == []
    assert shells.store.names()[-1] == "adopt"


def test_a_persons_word_on_a_movie_goes_with_its_result(make_result: MakeResult) -> None:
    shells = Shells()
    answered(shells, make_result, flags=(ACCEPTED_AS_IS,))
    shells.results.step()
    ((stored, _),) = shells.folder.written
    assert ACCEPTED_AS_IS in stored.result.quality.flags


def test_thresholds_that_change_count_from_the_next_result_on(make_result: MakeResult) -> None:
    shells = Shells()
    answered(shells, make_result)
    shells.results.use(shells.context.settings.thresholds.model_copy(update={"max_total_motion_angstrom": 1.0}))
    shells.results.step()
    ((stored, _),) = shells.folder.written
    assert stored.rejection_reason is not None
    assert "motion" in stored.rejection_reason


def test_a_gain_pattern_that_is_left_is_told(make_result: MakeResult) -> None:
    shells = Shells()
    result = answered(shells, make_result)
    shells.results.add(replace(result, quality=replace(result.quality, fixed_pattern=0.4)))
    shells.results.step()
    assert [subject for _, subject, _ in shells.notices.told] == ["gain"]
