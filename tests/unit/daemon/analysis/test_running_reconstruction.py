"""The running map holds exactly the movies that are ready, whoever dies or changes their mind."""

from __future__ import annotations

import pytest

from frazil.actors.reconstruction_records import Added, FinishedRound, Resumed
from frazil.config.settings import MicroscopeSettings, Settings
from frazil.daemon.analysis.map.queue import MapQueue
from frazil.daemon.analysis.map.reconstruction import RunningReconstruction
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.rows import ClassRow, ClassVerdictRow, FeedbackRow, ReconstructionRow
from frazil.daemon.store.writes import class_writes, movie_writes, session_writes

SETTINGS = Settings(microscope=MicroscopeSettings(voltage_kv=300.0, cs_mm=2.7))


class FakeReconstructor:
    """Keeps what it was given, loses what came after its checkpoint when it dies, dies of `poison`."""

    def __init__(self, ray):
        self.ray, self.checkpoint, self.included, self.poison, self.deaths = ray, {}, {}, set(), 0
        self.heard, self.class_ids, self.first_class_id = {}, {}, 0
        self.rounds = []
        """What each heard of classes, and whether no movie was expected."""
        ray.answers.update(resume=self.resume, add=self.add, finish_round=self.finish_round)

    def resume(self, expected, first_class_id):
        self.first_class_id = first_class_id
        same = all(expected.get(movie_id) == made_with for movie_id, made_with in self.checkpoint.items())
        self.included = dict(self.checkpoint) if same else {}
        return Resumed(tuple(self.included), len(self.included), 0, "" if same else "its movies changed", self.heard)

    def add(self, movie):
        if movie.movie_id in self.poison:
            self.deaths += 1
            raise self.ray.exceptions.RayActorError("killed")
        assert self.included.get(movie.movie_id, movie.result_id) == movie.result_id
        self.included[movie.movie_id] = movie.result_id
        return Added(len(self.included), 0, (), None, self.class_ids)

    def finish_round(self, verdicts, at_rest):
        self.heard = verdicts
        self.rounds.append((len(self.included), verdicts, at_rest))
        self.checkpoint = dict(self.included)
        return FinishedRound(-(-len(self.included) // 10), None, len(self.included), 0, "C1")


@pytest.fixture
def actor(ray):
    return FakeReconstructor(ray)


@pytest.fixture
def open_desk(runtime, store, context, actor):
    def make():
        book = MovieRegistry.restore(store, parameter_hash="h", code_version="1")
        return RunningReconstruction(runtime, context(settings=SETTINGS), book)

    return make


def finish(desk):
    for _ in range(300):
        if desk.drained(final=True):
            return
        desk.step()
    pytest.fail("the map never comes to its end")


def say(store, movie_id, verdict):
    row = FeedbackRow(f"{movie_id}-{verdict}", 1, verdict, "x", movie_id)
    store.submit(session_writes.record_feedback, row).result()


def test_a_poison_movie_is_left_out_and_the_map_goes_on(open_desk, put, actor, alerts):
    for sequence in range(25):
        put(sequence)
    actor.poison = {"m017"}  # good ones are added again before it each time
    finish(open_desk())
    assert list(actor.checkpoint) == [f"m{sequence:03d}" for sequence in range(25) if sequence != 17]
    assert actor.deaths == 3
    assert [text for text in alerts() if "m017 is not in the map" in text]


def test_an_error_in_one_movie_is_that_movies_alone(open_desk, put, actor, ray):
    for sequence in range(3):
        put(sequence)
    add = actor.add

    def fail(movie):
        if movie.movie_id == "m001":
            raise ray.exceptions.RayTaskError(RuntimeError("svd did not converge"))
        return add(movie)

    ray.answers["add"] = fail
    finish(open_desk())
    assert list(actor.checkpoint) == ["m000", "m002"]


def test_a_movie_done_again_replaces_its_particles(open_desk, put, actor):
    for sequence in range(12):
        put(sequence)
    desk = open_desk()
    finish(desk)
    before = actor.checkpoint["m004"]
    desk.begins(4)
    put(4, picks=5)  # the same settings: a late sidecar
    desk.ends(4, "m004")
    finish(desk)
    assert len(actor.checkpoint) == 12
    assert actor.checkpoint["m004"] != before


def test_results_that_are_to_be_made_again_wait_outside_and_come_in_with_their_new_particles(
    open_desk, put, actor, store
):
    for sequence in range(12):
        put(sequence)
    finish(open_desk())
    before = dict(actor.checkpoint)
    # Settings change: all but two, which a worker was quick with, are outdated.
    store.submit(lambda c: c.execute("UPDATE movies SET flags = 'few-counts,outdated-picking'") and None).result()
    for sequence in (3, 7):
        put(sequence, picks=5)
    desk = open_desk()
    finish(desk)
    assert list(actor.checkpoint) == ["m003", "m007"], "no particles of two kinds of settings together"
    for sequence in (0, 5):
        put(sequence, picks=4)
        desk.ends(sequence, f"m{sequence:03d}")
    store.submit(movie_writes.keep_result, "m011", "its file is gone").result()
    finish(desk)
    assert sorted(actor.checkpoint) == ["m000", "m003", "m005", "m007", "m011"]
    assert actor.checkpoint["m005"] != before["m005"]
    assert actor.checkpoint["m011"] == before["m011"], "what stays counts again"


def test_the_same_change_is_found_at_a_restart(open_desk, put, actor):
    for sequence in range(3):
        put(sequence)
    finish(open_desk())
    before = actor.checkpoint["m001"]
    put(1, picks=5)
    finish(open_desk())
    assert actor.checkpoint["m001"] != before


def test_a_map_that_begins_anew_says_when_and_why(open_desk, put, actor, store, alerts):
    for sequence in range(12):
        put(sequence)
    finish(open_desk())
    desk = open_desk()
    finish(desk)
    assert alerts() == [], "a first map, and one that goes on, are no news"
    say(store, "m005", "reject")
    desk = open_desk()
    finish(desk)
    assert alerts() == ["the map of 12 movies was begun anew at 1970-01-01 00:00 UTC: its movies changed"]
    say(store, "m006", "reject")
    finish(desk)
    assert alerts() == ["the map of 11 movies was begun anew at 1970-01-01 00:00 UTC: its movies changed"]


def test_a_persons_verdict_is_followed(open_desk, put, actor, store):
    for sequence in range(12):
        put(sequence)
    desk = open_desk()
    finish(desk)
    say(store, "m005", "reject")
    finish(desk)
    assert "m005" not in actor.checkpoint
    assert len(actor.checkpoint) == 11
    say(store, "m005", "accept")
    finish(desk)
    assert len(actor.checkpoint) == 12


def speak(store, class_id, verdict, utc_us):
    rows = [ClassVerdictRow(str(utc_us), class_id, verdict, "ann", utc_us)]
    store.submit(class_writes.record_verdicts, rows).result()


def test_the_next_round_hears_what_is_said_of_classes(open_desk, put, actor, store):
    for sequence in range(12):
        put(sequence)
    desk = open_desk()
    while not actor.rounds:
        desk.step()
    assert actor.rounds == [(10, {}, False)], "two movies are still to come"
    speak(store, 3, "reject", 5)
    desk.classes_spoken_of()
    finish(desk)
    assert actor.rounds[1:] == [(12, {3: False}, True)], "one round for the movies and the verdict"


def test_a_session_at_rest_makes_a_round_for_a_verdict(open_desk, put, actor, store):
    for sequence in range(12):
        put(sequence)
    desk = open_desk()
    finish(desk)
    made = len(actor.rounds)
    for _ in range(5):
        desk.step()
    assert len(actor.rounds) == made
    speak(store, 3, "reject", 5)
    desk.classes_spoken_of()
    for _ in range(5):
        desk.step()
    assert actor.rounds[made:] == [(12, {3: False}, True)]


def test_a_verdict_that_was_given_without_a_daemon_is_heard_at_the_start(open_desk, put, actor, store):
    for sequence in range(12):
        put(sequence)
    finish(open_desk())
    made = len(actor.rounds)
    speak(store, 3, "keep", 5)
    finish(open_desk())
    assert actor.rounds[made:] == [(12, {3: True}, True)]
    finish(open_desk())
    assert len(actor.rounds) == made + 1, "it has been heard"


def test_the_process_of_the_map_is_asked_for_its_first_movie(open_desk, put, ray):
    desk = open_desk()
    for _ in range(5):
        desk.step()
    finish(desk)
    assert not ray.calls, "no movie waits while the process of a map starts that has nothing to do"
    put(0)
    finish(open_desk())
    assert [name for name, _ in ray.calls] == ["resume", "add", "finish_round"]


def test_no_number_of_a_class_is_given_twice(open_desk, put, actor, store):
    put(0)
    finish(open_desk())
    assert actor.first_class_id == 1
    row = ReconstructionRow(
        round=1, created_utc_us=1, movie_count=1, particle_count=1, symmetry="C1", classes=(ClassRow(41, 5),)
    )
    store.submit(session_writes.record_reconstruction, row).result()
    finish(open_desk())
    assert actor.first_class_id == 42


def test_movies_of_the_checkpoint_are_not_given_again(open_desk, put, actor, ray):
    for sequence in range(12):
        put(sequence)
    finish(open_desk())
    ray.calls.clear()
    put(12)
    finish(open_desk())
    assert [arguments[0].movie_id for name, arguments in ray.calls if name == "add"] == ["m012"]


def test_taking_looks_at_few_others():
    """Fifty thousand restored movies are handed over with a few comparisons each."""

    class Counted(int):
        looked = 0

        def __lt__(self, other):
            Counted.looked += 1
            return int(self) < int(other)

        __hash__ = int.__hash__

    count = 2000
    queue = MapQueue()
    for number in reversed(range(count)):
        queue.begins(Counted(number))
        queue.ends(Counted(number), str(number))
    queue.begins(Counted(count))
    assert [queue.take() for _ in range(count)] == [str(number) for number in range(count)]
    assert Counted.looked < 100 * count
