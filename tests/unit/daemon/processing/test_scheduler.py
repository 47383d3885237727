from __future__ import annotations

from frazil.daemon.processing.scheduler import Dispatch, FailureKind, Scheduler


def _scheduler(*movies: str, workers: tuple[str, ...] = ("a",), max_attempts: int = 3) -> Scheduler:
    scheduler = Scheduler(max_attempts=max_attempts)
    for sequence, movie in enumerate(movies):
        scheduler.add(movie, sequence=sequence)
    for worker in workers:
        scheduler.worker_available(worker)
    return scheduler


def test_one_movie_in_flight_per_worker_in_order() -> None:
    scheduler = _scheduler("m0", "m1", "m2", workers=("a", "b"))
    assert scheduler.dispatches(0.0) == [Dispatch("a", "m0", 1), Dispatch("b", "m1", 1)]
    assert scheduler.dispatches(0.0) == []
    assert scheduler.queue_depth == 1
    assert scheduler.finished("b") == 1
    assert scheduler.dispatches(0.0) == [Dispatch("b", "m2", 1)]


def test_bad_file_is_quarantined_at_once_and_the_run_goes_on() -> None:
    scheduler = _scheduler("bad", "good")
    scheduler.dispatches(0.0)
    after = scheduler.failed("a", FailureKind.BAD_FILE, 0.0)
    assert after.quarantine
    assert not after.restart_worker
    assert scheduler.dispatches(0.0) == [Dispatch("a", "good", 1)]


def test_error_is_retried_on_another_worker_until_the_attempts_are_spent() -> None:
    scheduler = _scheduler("m", workers=("a", "b"), max_attempts=2)
    assert scheduler.dispatches(0.0) == [Dispatch("a", "m", 1)]
    after = scheduler.failed("a", FailureKind.ERROR, 0.0)
    assert not after.quarantine
    assert after.retry_at_s is not None
    assert scheduler.dispatches(0.0) == []
    assert scheduler.dispatches(after.retry_at_s) == [Dispatch("b", "m", 2)]
    assert scheduler.failed("b", FailureKind.ERROR, after.retry_at_s).quarantine


def test_a_movie_that_kills_its_worker_waits_behind_the_others_and_is_convicted_at_the_third_death() -> None:
    scheduler = _scheduler("poison", "m1", "m2")
    for expected in ("poison", "m1"):
        assert scheduler.dispatches(0.0)[0].movie_id == expected
        if expected == "poison":
            after = scheduler.failed("a", FailureKind.DEATH, 0.0)
            assert after.restart_worker
            assert not after.quarantine
            scheduler.worker_gone("a")
            assert scheduler.dispatches(0.0) == []
            scheduler.worker_available("a")
        else:
            scheduler.finished("a")
    assert scheduler.dispatches(0.0)[0].movie_id == "m2"
    scheduler.finished("a")
    for death in (2, 3):
        assert scheduler.dispatches(0.0)[0].movie_id == "poison"
        assert scheduler.failed("a", FailureKind.DEATH, 0.0).quarantine == (death == 3)
        scheduler.worker_available("a")
    assert scheduler.queue_depth == 0


def test_deaths_and_device_failures_are_not_counted_as_attempts_of_the_movie() -> None:
    scheduler = _scheduler("m", max_attempts=1)
    for kind in (FailureKind.DEATH, FailureKind.DEVICE):
        scheduler.dispatches(0.0)
        assert not scheduler.failed("a", kind, 0.0).quarantine
        scheduler.worker_available("a")
    scheduler.dispatches(0.0)
    assert scheduler.finished("a") == 1


def test_worker_that_fails_on_different_movies_is_restarted_though_the_movies_get_another_chance() -> None:
    scheduler = _scheduler("m0", "m1")
    scheduler.dispatches(0.0)
    assert not scheduler.failed("a", FailureKind.ERROR, 0.0).restart_worker
    assert scheduler.dispatches(0.0) == [Dispatch("a", "m1", 1)]
    after = scheduler.failed("a", FailureKind.ERROR, 0.0)
    assert after.restart_worker
    assert not after.quarantine


def test_a_success_in_between_clears_the_worker() -> None:
    scheduler = _scheduler("m0", "m1", "m2")
    for movie, kind in (("m0", FailureKind.ERROR), ("m1", None), ("m2", FailureKind.ERROR)):
        assert scheduler.dispatches(0.0)[0].movie_id == movie
        if kind is None:
            scheduler.finished("a")
        else:
            assert not scheduler.failed("a", kind, 0.0).restart_worker


def test_later_movies_wait_for_their_prior_but_a_suspect_of_an_earlier_epoch_does_not() -> None:
    scheduler = _scheduler("m0", "m1", "m2")
    scheduler.dispatches(0.0)
    scheduler.failed("a", FailureKind.DEATH, 0.0)
    scheduler.worker_available("a")
    assert scheduler.dispatches(0.0, eligible_below=2)[0].movie_id == "m1"
    scheduler.finished("a")
    assert scheduler.dispatches(0.0, eligible_below=2)[0].movie_id == "m0"
    scheduler.finished("a")
    assert scheduler.dispatches(0.0, eligible_below=2) == []
    assert scheduler.dispatches(0.0, eligible_below=12)[0].movie_id == "m2"


def test_world_failures_wait_longer_and_longer_and_a_person_is_asked_in_the_end() -> None:
    scheduler = _scheduler("m")
    now_s, delays = 0.0, []
    while True:
        scheduler.dispatches(now_s)
        after = scheduler.failed("a", FailureKind.WORLD, now_s)
        if after.retry_at_s is None:
            break
        delays.append(after.retry_at_s - now_s)
        now_s = after.retry_at_s
    assert after.quarantine
    assert delays == sorted(delays)
    assert delays[0] < delays[-1]


def test_a_replaced_movie_is_forgotten_even_while_it_is_in_flight() -> None:
    scheduler = _scheduler("old", "new")
    scheduler.dispatches(0.0)
    scheduler.remove("old")
    assert scheduler.queue_depth == 1  # "new" alone: no worker will get the old one
    assert scheduler.finished("a") == 0
    assert scheduler.dispatches(0.0)[0].movie_id == "new"


def test_a_movie_that_always_breaks_the_device_is_convicted_and_others_are_not() -> None:
    scheduler = _scheduler("breaks", "good")
    for _ in range(3):
        dispatch = scheduler.dispatches(0.0)[0]
        if dispatch.movie_id == "good":
            scheduler.finished("a")
            dispatch = scheduler.dispatches(0.0)[0]
        after = scheduler.failed("a", FailureKind.DEVICE, 0.0)
        assert after.restart_worker
        scheduler.worker_available("a")
    assert after.quarantine
    assert scheduler.queue_depth == 0


def test_a_movie_is_never_on_two_workers_though_it_was_forgotten_and_queued_anew() -> None:
    scheduler = _scheduler("m", workers=("a", "b"))
    assert scheduler.dispatches(0.0) == [Dispatch("a", "m", 1)]
    scheduler.remove("m")
    scheduler.add("m", sequence=0)
    assert scheduler.queue_depth == 1  # though a worker still has it, from its earlier life
    assert scheduler.dispatches(0.0) == []
    assert scheduler.finished("a") == 0  # of its earlier life
    assert len(scheduler.dispatches(0.0)) == 1
    assert scheduler.dispatches(0.0) == []
    scheduler.remove("m")
    scheduler.add("m", sequence=0)
    scheduler.remove("m")
    scheduler.add("m", sequence=0)
    held = scheduler.in_flight()
    for worker in held:
        scheduler.finished(worker)
    assert len(scheduler.dispatches(0.0)) == 1
