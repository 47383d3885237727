"""Results that a change of settings outdates: marked with the stage, counted until new ones come, tried once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frazil.config.loading import load_settings, parameter_hash, with_changes
from frazil.config.stages import Stage
from frazil.daemon.processing.scheduler import Scheduler
from frazil.daemon.session.redo_progress import NO_REDO, RedoSummary, redo_summary
from frazil.daemon.session.registry import LIVE_PRIORITY, REPROCESS_PRIORITY, MovieRegistry
from frazil.daemon.store.writes import movie_writes
from frazil.models.records import MovieState

BASE = load_settings(preset="simulated", flags={"pixel_size_angstrom": 1.0})
CODE = "7"


def name(**changes: object) -> str:
    asked = {key.replace("__", "."): value for key, value in changes.items()}
    return parameter_hash(with_changes(BASE, asked, origin="test"))


@pytest.fixture
def movies(store, make_movie, make_result):
    """Four kept movies and one that is rejected, made with the base settings, complete."""
    for index in range(5):
        movie_id = f"m{index:05d}"
        result = replace(make_result(index), movie_id=movie_id, parameter_hash=name(), code_version=CODE)
        row = replace(make_movie(index), movie_id=movie_id, sequence=index, complete_utc_us=5)
        store.submit(movie_writes.register_movie, row)
        why = "too far" if index == 4 else None
        store.submit(movie_writes.record_result, result, ready_utc_us=index, lag_s=1.0, rejection_reason=why).result()
    return store


def flags(store) -> dict[str, str]:
    return {str(i): str(f or "") for i, f in store.rows("SELECT movie_id, flags FROM movies ORDER BY movie_id")}


def marks(store) -> set[str]:
    return {flag for text in flags(store).values() for flag in text.split(",") if flag.startswith("outdated-")}


def restore(store, hash_: str) -> MovieRegistry:
    return MovieRegistry.restore(store, parameter_hash=hash_, code_version=CODE)


def test_results_are_marked_with_the_stage_and_a_change_back_takes_the_mark_away(movies):
    before = flags(movies)
    states = movies.rows("SELECT movie_id, state, rejection_reason FROM movies ORDER BY 1")
    assert movies.submit(movie_writes.mark_results, name(), CODE).result() == {}
    assert flags(movies) == before
    assert movies.submit(movie_writes.mark_results, name(microscope__cs_mm=2.0), CODE).result() == {Stage.CTF: 5}
    assert marks(movies) == {"outdated-ctf"}
    assert all(text.startswith(before[movie_id]) for movie_id, text in flags(movies).items())
    assert movies.rows("SELECT movie_id, state, rejection_reason FROM movies ORDER BY 1") == states, "they count on"
    both = name(microscope__cs_mm=2.0, motion__b_factor_px2=100)
    assert movies.submit(movie_writes.mark_results, both, CODE).result() == {Stage.MOTION: 5}
    assert marks(movies) == {"outdated-motion"}
    assert movies.submit(movie_writes.mark_results, name(particles__diameter_angstrom=99), CODE).result() == {
        Stage.PICKING: 5
    }
    assert movies.submit(movie_writes.mark_results, name(particles__symmetry="D2"), CODE).result() == {}
    assert flags(movies) == before


def test_a_new_result_takes_the_mark_away_and_what_was_finished_is_not_done_again(movies, make_result):
    wanted = name(microscope__cs_mm=2.0)
    movies.submit(movie_writes.mark_results, wanted, CODE).result()
    assert restore(movies, wanted).redo_stages.total() == 5
    done = replace(make_result(1), movie_id="m00001", parameter_hash=wanted, code_version=CODE)
    movies.submit(movie_writes.record_result, done, ready_utc_us=9, lag_s=2.0).result()
    assert "outdated" not in flags(movies)["m00001"]
    registry = restore(movies, wanted)
    again = {movie.movie_id for movie in registry.movies if movie.redo}
    assert len(again) == registry.redo_stages.total() == 4
    assert "m00001" not in again
    assert "m00002" in again
    assert redo_summary(registry.redo_stages, left=4) == RedoSummary("ctf", 0, 4)
    assert redo_summary(registry.redo_stages, left=3) == RedoSummary("ctf", 1, 4)
    assert redo_summary(registry.redo_stages, left=0) == NO_REDO


def test_movies_that_are_done_again_have_ended_for_their_epoch_and_are_looked_at_by_the_intake(movies):
    registry = restore(movies, name(microscope__cs_mm=2.0))
    assert registry.ended_sequences == [0, 1, 2, 3, 4]
    assert registry.open_sequences == []
    assert {movie.state for movie in registry.for_intake()} == {MovieState.FAILED}
    assert {movie.priority for movie in registry.movies} == {REPROCESS_PRIORITY}
    assert REPROCESS_PRIORITY > LIVE_PRIORITY
    other = MovieRegistry.restore(movies, parameter_hash=name(), code_version="8")
    assert other.redo_stages.total() == 0, "what another frazil made never counts as done"
    assert other.open_sequences == [0, 1, 2, 3, 4]


def test_a_result_that_cannot_be_made_again_stays_and_is_tried_again_after_the_next_change(movies):
    wanted = name(microscope__cs_mm=2.0)
    movies.submit(movie_writes.mark_results, wanted, CODE).result()
    movies.submit(movie_writes.keep_result, "m00003", "the file is gone").result()
    assert movies.submit(movie_writes.mark_results, wanted, CODE).result() == {Stage.CTF: 4}, (
        "the same settings: no news"
    )
    registry = restore(movies, wanted)
    assert registry.redo_stages.total() == 4
    (kept,) = [movie for movie in registry.movies if movie.movie_id == "m00003"]
    assert (kept.redo, kept.given_up) == (False, True)
    assert movies.rows("SELECT state, failure_reason FROM movies WHERE movie_id = 'm00003'") == [
        ("ready", "the file is gone")
    ]
    movies.submit(movie_writes.mark_results, name(microscope__voltage_kv=200), CODE).result()
    assert movies.rows("SELECT failure_stage, failure_reason FROM movies WHERE movie_id = 'm00003'") == [(None, None)]


def test_movies_from_the_microscope_always_go_before_those_that_are_done_again():
    scheduler = Scheduler(max_attempts=3)
    for index in range(50):
        scheduler.add(f"again{index}", sequence=index, priority=REPROCESS_PRIORITY)
    scheduler.worker_available("w")
    order = []
    now_s, sequence = 0.0, 50
    while dispatches := scheduler.dispatches(now_s, eligible_below=200):
        (dispatch,) = dispatches
        order.append(dispatch.movie_id)
        if len(order) in (3, 10, 11):  # a burst of live movies while the worker is busy
            for _ in range(4):
                scheduler.add(f"live{sequence}", sequence=sequence, priority=LIVE_PRIORITY)
                sequence += 1
        scheduler.finished("w")
    assert len(order) == 62
    first_live = [order.index(f"live{number}") for number in range(50, 62)]
    assert first_live == [3, 4, 5, 6, *range(10, 18)]
    assert [movie for movie in order if movie.startswith("again")] == [f"again{index}" for index in range(50)]
