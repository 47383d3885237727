"""The life of movies as plain function calls: every row of the table, and any order of events."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parent))

from lifecycle_world import World

from frazil.daemon.intake.identity import movie_id
from frazil.daemon.processing import events
from frazil.daemon.processing import instructions as do
from frazil.daemon.processing.places import Place
from frazil.daemon.processing.scheduler import FailureKind
from frazil.daemon.processing.transitions import TRANSITIONS, markdown, targets
from frazil.daemon.session.registry import REPROCESS_PRIORITY, EarlierMovie
from frazil.models.records import MovieState

PAGE = Path(__file__).resolve().parents[4] / "docs" / "architecture.md"
A, B = "sq1/a.tiff", "sq1/b.tiff"


def redo_world(*, count: int = 1) -> tuple[World, list[str]]:
    paths = [f"sq1/r{number}.tiff" for number in range(count)]
    names = [movie_id(path, 1) for path in paths]
    earlier = [
        EarlierMovie(name, path, number, Path(path).stem, MovieState.FAILED, REPROCESS_PRIORITY, redo=True)
        for number, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    return World(earlier), names


# --- a movie's ordinary life ---------------------------------------------------------------------------------------


def test_a_movie_from_the_disk_to_its_result() -> None:
    world = World()
    a = world.found(A)
    assert world.completes(A) == a
    (dispatch,) = world.start()
    assert (dispatch.movie_id, dispatch.attempt) == (a, 1)
    world.answers(dispatch.worker, a)
    assert world.life.place(a) is Place.WRITING
    world.written(a)
    assert world.life.place(a) is Place.DONE
    assert world.states[a] is MovieState.READY
    assert world.waiting_for == set()


def test_movies_wait_for_the_gain_gate_in_the_order_in_which_they_came() -> None:
    world = World(workers=1)
    names = [world.found(path) for path in (B, A)]
    for path in (B, A):
        world.completes(path, gain=True)
    assert world.life.awaiting_gain == 2
    assert world.start() == []
    world.happens(events.GainKnown())
    assert [life.place for life in map(world.life.life, names) if life] == [Place.QUEUED, Place.QUEUED]
    (dispatch,) = world.start()
    assert dispatch.movie_id == names[0]  # found first: its number is smaller


def test_a_failure_of_the_movie_counts_and_the_last_sets_it_aside() -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (first,) = world.start()
    world.fails(first.worker, a, FailureKind.ERROR)
    assert (world.life.place(a), world.states[a], world.attempts[a]) == (Place.QUEUED, MovieState.FAILED, 1)
    world.now_s = 100.0
    (second,) = world.start()
    world.fails(second.worker, a, FailureKind.ERROR)
    assert (world.life.place(a), world.states[a]) == (Place.SET_ASIDE, MovieState.QUARANTINED)
    assert any("is set aside" in text for text in world.told)


@pytest.mark.parametrize("kind", [FailureKind.DEATH, FailureKind.DEVICE, FailureKind.WORLD])
def test_a_failure_that_is_not_the_movies_does_not_count(kind: FailureKind) -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.fails(dispatch.worker, a, kind)
    assert (world.life.place(a), world.attempts[a]) == (Place.QUEUED, 0)


def test_a_newer_file_waits_until_the_worker_of_the_older_one_has_answered() -> None:
    world = World()
    old = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.happens(events.Replaced(old, A, 2))
    new = world.found(A, 2)
    world.completes(A, 2)
    assert world.life.place(new) is Place.BEHIND
    assert world.life.waits(world.now_s)
    assert world.start() == []
    world.answers(dispatch.worker, old)
    assert world.life.place(old) is Place.OUTDATED
    assert world.life.place(new) is Place.QUEUED
    assert not world.life.waits(world.now_s)


def test_a_late_sidecar_makes_what_a_worker_has_in_hand_stale() -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.values_change(A, pixel=1.0)
    assert world.life.place(a) is Place.IN_HAND  # the same values
    world.values_change(A, pixel=2.0)
    assert world.life.place(a) is Place.STALE
    world.answers(dispatch.worker, a)
    assert (world.life.place(a), world.attempts[a]) == (Place.QUEUED, 0)
    (again,) = world.start()
    world.answers(again.worker, a)
    known = world.life.in_process(a)
    assert known is not None
    assert known[1].acquisition.pixel_size_angstrom == 2.0


def test_values_that_change_before_the_result_is_written_are_not_lost() -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.answers(dispatch.worker, a)
    world.values_change(A, pixel=2.0)
    assert world.life.place(a) is Place.QUEUED


def test_a_value_that_nobody_gives_sets_a_movie_aside_until_its_sidecar_comes() -> None:
    world = World()
    a = world.found(A)
    world.happens(events.ValuesMissing(a, "no pixel size"))
    assert world.life.place(a) is Place.SET_ASIDE
    world.happens(events.Settling(a, "its sidecar came"))
    assert (world.life.place(a), world.states[a]) == (Place.SETTLING, MovieState.SETTLING)


def test_a_person_queues_a_movie_again_with_the_frames_that_it_has() -> None:
    world = World()
    a = world.found(A)
    world.happens(events.Refused(a, A, "truncated"))
    instructions = world.happens(events.Requeued(a, True, 7.0))
    assert do.LookAgain(A, True) in instructions
    assert world.life.place(a) is Place.SETTLING
    assert world.life.waits(66.0)
    assert not world.life.waits(67.5)  # the intake does not answer for ever


def test_a_sidecar_that_changes_a_finished_result_has_it_made_again() -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.answers(dispatch.worker, a)
    world.written(a)
    world.happens(events.ResultOutdated(a, 0.0))
    assert (world.life.place(a), world.asked) == (Place.SETTLING, [A])


def test_a_movie_whose_start_cannot_be_stored_goes_to_no_worker_and_is_tried_again() -> None:
    world = World(workers=1)
    a = world.found(A)
    world.completes(A)
    dispatches = world.life.dispatches(0.0, eligible_below=None)
    world.happens(events.Started(a))
    world.happens(events.NotStarted(dispatches[0].worker, a, 0.0))
    assert world.life.place(a) is Place.QUEUED
    assert world.start() == []
    world.now_s = 3.0
    assert [dispatch.attempt for dispatch in world.start()] == [1]


def test_an_answer_of_an_earlier_life_of_a_movie_counts_for_nothing() -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.happens(events.Vanished(a))
    world.found(A)
    world.completes(A)
    assert world.start() == []  # the worker that has its earlier life writes the same pictures
    world.answers(dispatch.worker, a)
    assert world.life.place(a) is Place.QUEUED


def test_a_result_that_the_database_does_not_take_sets_the_movie_aside() -> None:
    world = World()
    a = world.found(A)
    world.completes(A)
    (dispatch,) = world.start()
    world.answers(dispatch.worker, a)
    world.happens(events.Unstorable(a, "a column is missing"))
    assert (world.life.place(a), world.waiting_for) == (Place.SET_ASIDE, set())


# --- results that are made again -----------------------------------------------------------------------------------


def test_a_result_counts_until_the_one_that_is_made_again_is_written() -> None:
    world, (a,) = redo_world()
    path = "sq1/r0.tiff"
    assert (world.life.redo_left, world.life.is_redo(a)) == (1, True)
    world.completes(path)
    assert world.waiting_for == set()  # it holds nobody up
    (dispatch,) = world.start()
    assert world.states[a] is MovieState.READY
    world.answers(dispatch.worker, a)
    world.written(a)
    assert (world.life.redo_left, world.life.place(a)) == (0, Place.DONE)


@pytest.mark.parametrize(
    "event",
    [
        lambda a: events.Vanished(a),
        lambda a: events.Refused(a, "sq1/r0.tiff", "damaged"),
        lambda a: events.ValuesMissing(a, "no pixel size"),
    ],
)
def test_a_result_that_cannot_be_made_again_stays(event) -> None:  # type: ignore[no-untyped-def]
    world, (a,) = redo_world()
    instructions = world.happens(event(a))
    assert any(isinstance(one, do.KeepResult) for one in instructions)
    assert (world.life.place(a), world.states[a], world.life.redo_left) == (Place.GIVEN_UP, MovieState.READY, 0)


def test_a_redo_whose_file_went_away_in_a_workers_hands_is_given_up() -> None:
    world, (a,) = redo_world()
    world.completes("sq1/r0.tiff")
    (dispatch,) = world.start()
    world.fails(dispatch.worker, a, FailureKind.WORLD, gone=True)
    assert world.life.place(a) is Place.GIVEN_UP


def test_a_person_who_queues_a_redo_again_wants_the_movie_as_if_it_never_had_a_result() -> None:
    world, (a,) = redo_world()
    world.happens(events.Requeued(a, False, 0.0))
    assert (world.life.place(a), world.life.redo_left, world.states[a]) == (Place.SETTLING, 0, MovieState.QUEUED)


def test_live_movies_come_before_those_that_are_made_again() -> None:
    world, (a,) = redo_world()
    world.completes("sq1/r0.tiff")
    b = world.found(B)
    world.completes(B)
    assert [dispatch.movie_id for dispatch in world.start()] == [b, a]


def test_a_result_whose_file_is_there_already_goes_straight_to_its_row() -> None:
    world, (a,) = redo_world()
    world.completes("sq1/r0.tiff")
    (dispatch,) = world.start()
    world.happens(events.MadeAlready(dispatch.worker, a))
    assert world.life.place(a) is Place.REDO_WRITING


def test_earlier_runs_are_taken_up_where_they_were() -> None:
    states = {
        MovieState.READY: Place.DONE,
        MovieState.REJECTED: Place.DONE,
        MovieState.QUARANTINED: Place.SET_ASIDE,
        MovieState.OUTDATED: Place.OUTDATED,
        MovieState.QUEUED: Place.SETTLING,
        MovieState.FAILED: Place.SETTLING,
        MovieState.PROCESSING: Place.SETTLING,
    }
    earlier = [EarlierMovie(state.value, f"{state}.tiff", n, state.value, state) for n, state in enumerate(states)]
    world = World([*earlier, EarlierMovie("kept", "k.tiff", 9, "k", MovieState.READY, given_up=True)])
    assert {name: world.life.place(name) for name in world.states} == {
        **{state.value: place for state, place in states.items()},
        "kept": Place.GIVEN_UP,
    }
    assert world.life.newest_sequence == 9


# --- the table -----------------------------------------------------------------------------------------------------


def test_every_row_of_the_table_is_about_an_event_that_there_is() -> None:
    assert {rule.event for rule in TRANSITIONS} == {*events.Event.__args__, events.WorkerFree}  # type: ignore[attr-defined]


def test_the_page_shows_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- transitions -->\n", "<!-- /transitions -->"
    assert begin in page
    first, last = page.index(begin) + len(begin), page.index(end)
    if os.environ.get("FRAZIL_UPDATE_DOCS"):
        PAGE.write_text(page[:first] + markdown() + page[last:], encoding="utf-8")
        return
    assert page[first:last] == markdown(), "run it again with FRAZIL_UPDATE_DOCS=1"


class Brought:
    """A movie at a place, by the shortest way there; with an older generation of its file at a worker, if wanted."""

    def __init__(self, place: Place, *, older: bool = False) -> None:
        first = place.like(Place.SETTLING) if place is not Place.GIVEN_UP else Place.REDO_SETTLING
        redo = place.redo or place is Place.GIVEN_UP
        older = older or first is Place.BEHIND
        earlier = [EarlierMovie(movie_id(A, 1), A, 0, "a", MovieState.FAILED)] if older else []
        if redo:
            earlier.append(EarlierMovie(movie_id(A, 2), A, 1, "a", MovieState.FAILED, REPROCESS_PRIORITY, redo=True))
        self.world, self.worker = World(earlier, workers=2), "w1"
        late = first in (Place.WRITING, Place.DONE)
        if older and not late:
            self.hold_older()
            self.world.happens(events.Replaced(movie_id(A, 1), A, 2))
        self.name = movie_id(A, 2)
        if not redo:
            self.world.found(A, 2)
        self._go(first if not redo or place is Place.GIVEN_UP else place.like(Place.SETTLING), place)
        if older and late:
            self.hold_older()
        assert self.world.life.place(self.name) is place

    def hold_older(self) -> None:
        """A worker has the older generation."""
        self.world.completes(A, 1)
        (dispatch,) = self.world.start()
        assert dispatch.movie_id == movie_id(A, 1)

    def _go(self, first: Place, place: Place) -> None:
        if first in (Place.SETTLING, Place.REDO_SETTLING) and place is not Place.GIVEN_UP:
            return
        if place in (Place.GIVEN_UP, Place.SET_ASIDE):
            self.world.happens(events.Refused(self.name, A, "damaged"))
            return
        if place is Place.OUTDATED:
            self.world.happens(events.Vanished(self.name))
            return
        self.world.completes(A, 2, gain=first is Place.AWAITING_GAIN)
        if first in (Place.AWAITING_GAIN, Place.BEHIND, Place.QUEUED):
            return
        self.worker = next(dispatch.worker for dispatch in self.world.start() if dispatch.movie_id == self.name)
        if first is Place.STALE:
            self.world.values_change(A, 2, pixel=2.0)
        if first in (Place.WRITING, Place.DONE):
            self.world.answers(self.worker, self.name)
        if first is Place.DONE:
            self.world.written(self.name)

    def fire(self, event: type, variant: int) -> None:
        """One of the ways in which an event can come."""
        world, name = self.world, self.name
        ways: dict[type, Callable[[], object]] = {
            events.Found: lambda: world.found(A, 2),
            events.Completed: lambda: world.completes(A, 2, gain=variant == 1, pixel=3.0 if variant == 2 else 1.0),
            events.ValuesChanged: lambda: world.values_change(A, 2, pixel=(1.0, 3.0)[variant % 2]),
            events.Failed: lambda: world.fails(
                self.worker, name, (FailureKind.ERROR, FailureKind.BAD_FILE)[variant % 2]
            ),
            events.WorkerFree: lambda: world.answers("w0", movie_id(A, 1)),
            events.Started: world.start,
            events.Written: lambda: world.written(name),
            events.Overtaken: lambda: world.overtaken(name),
            events.NotStarted: self._not_started,
        }
        if event in ways:
            ways[event]()
        else:
            world.happens(self._plain(event))

    def _not_started(self) -> None:
        if not self.world.life.is_redo(self.name):
            self.world.states[self.name] = MovieState.QUEUED  # the row of the attempt was not written
        self.world.not_started(self.worker, self.name)

    def _plain(self, event: type) -> events.Event:
        made: dict[type, tuple[object, ...]] = {
            events.Settling: (self.name, "it grows"),
            events.ValuesMissing: (self.name, "nobody gives it"),
            events.Replaced: (self.name, A, 3),
            events.Vanished: (self.name,),
            events.Refused: (self.name, A, "damaged"),
            events.ResultOutdated: (self.name, 0.0),
            events.GainKnown: (),
            events.MadeAlready: (self.worker, self.name),
            events.Answered: (self.worker, self.name),
            events.Unstorable: (self.name, "no such column"),
            events.Requeued: (self.name, False, 0.0),
        }
        return event(*made[event])  # type: ignore[no-any-return]


def _ends(event: type, at: Place) -> set[Place | None]:
    """Where a movie ends up, over all ways in which the event can come."""
    ends = set()
    for older in (False, True):
        for variant in (0, 1, 2):
            try:
                brought = Brought(at, older=older)
            except (AssertionError, StopIteration):
                continue  # no movie gets there while a worker has an older generation of it
            if (older and event is events.Replaced) or (event is events.WorkerFree and not older):
                continue  # a file is replaced once only; a worker that lets go has had something
            brought.fire(event, variant)
            ends.add(brought.world.life.place(brought.name))
    return ends


@pytest.mark.parametrize("event", [*{rule.event: None for rule in TRANSITIONS}], ids=lambda event: event.__name__)
def test_every_row_of_the_table_is_a_way_that_movies_go(event: type) -> None:
    for at in Place:
        if to := targets(event, at):
            assert _ends(event, at) == to, at


@pytest.mark.parametrize("event", [events.Written, events.Overtaken, events.Unstorable, events.GainKnown])
def test_nothing_follows_where_the_table_has_no_row(event: type) -> None:
    for at in Place:
        if not targets(event, at):
            brought = Brought(at)
            before = dict(brought.world.states)
            arguments = {events.GainKnown: (), events.Unstorable: (brought.name, "why")}.get(event, (brought.name,))
            assert brought.world.life.handle(event(*arguments)) == []
            assert brought.world.life.place(brought.name) is at
            assert brought.world.states == before


PATHS = ("sq1/a.tiff", "sq1/b.tiff", "sq2/a.tiff", "sq1/r0.tiff", "sq1/r1.tiff")
path_of = st.sampled_from(PATHS)


class AnyLife(RuleBasedStateMachine):
    """Anything that intake, workers, disk and people can do, in any order."""

    @initialize()
    def begin(self) -> None:
        self.world, _ = redo_world(count=2)
        self.generation = dict.fromkeys(PATHS, 1)
        self.held: dict[str, str] = {}

    def name(self, path: str) -> str:
        return movie_id(path, self.generation[path])

    def known(self, path: str) -> bool:
        return self.name(path) in self.world.life

    @rule(path=path_of)
    def found(self, path: str) -> None:
        self.world.found(path, self.generation[path])

    @rule(path=path_of)
    def settles(self, path: str) -> None:
        self.world.happens(events.Settling(self.name(path), "it grows"))

    @rule(path=path_of, gain=st.booleans(), pixel=st.sampled_from((1.0, 2.0)))
    def completes(self, path: str, gain: bool, pixel: float) -> None:
        if self.known(path):
            self.world.completes(path, self.generation[path], gain=gain, pixel=pixel)

    @rule(path=path_of)
    def lacks_values(self, path: str) -> None:
        self.world.happens(events.ValuesMissing(self.name(path), "nobody gives it"))

    @rule(path=path_of)
    def replaced(self, path: str) -> None:
        old = self.name(path)
        self.generation[path] += 1
        self.world.happens(events.Replaced(old, path, self.generation[path]))
        self.world.found(path, self.generation[path])

    @rule(path=path_of)
    def vanishes(self, path: str) -> None:
        self.world.happens(events.Vanished(self.name(path)))

    @rule(path=path_of)
    def refused(self, path: str) -> None:
        self.world.happens(events.Refused(self.name(path), path, "damaged"))

    @rule(path=path_of, pixel=st.sampled_from((1.0, 2.0)))
    def sidecar_comes(self, path: str, pixel: float) -> None:
        if self.world.life.in_process(self.name(path)) is not None:
            self.world.values_change(path, self.generation[path], pixel=pixel)
        else:
            self.world.happens(events.ResultOutdated(self.name(path), self.world.now_s))

    @rule(path=path_of, as_is=st.booleans())
    def person_queues(self, path: str, as_is: bool) -> None:
        self.world.happens(events.Requeued(self.name(path), as_is, self.world.now_s))

    @rule()
    def gate_opens(self) -> None:
        self.world.happens(events.GainKnown())

    @rule()
    def movies_start(self) -> None:
        self.held |= {dispatch.worker: dispatch.movie_id for dispatch in self.world.start()}

    @rule()
    def start_is_not_stored(self) -> None:
        for dispatch in self.world.life.dispatches(self.world.now_s, eligible_below=None):
            name = dispatch.movie_id
            self.world.happens(events.Started(name))
            if self.world.life.is_redo(name):
                self.held[dispatch.worker] = name
            else:
                self.world.happens(events.NotStarted(dispatch.worker, name, self.world.now_s))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def made_already(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.held)))
        name = self.held[worker]
        if self.world.life.place(name) is Place.REDO_IN_HAND:
            self.world.happens(events.MadeAlready(worker, name))
            del self.held[worker]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def worker_answers(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.held)))
        self.world.answers(worker, self.held.pop(worker))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), kind=st.sampled_from(FailureKind), gone=st.booleans())
    def worker_fails(self, data: st.DataObject, kind: FailureKind, gone: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.held)))
        self.world.fails(worker, self.held.pop(worker), kind, gone=gone)

    @rule(path=path_of, how=st.sampled_from(("written", "overtaken", "unstorable")))
    def result_is_stored(self, path: str, how: str) -> None:
        name = self.name(path)
        if self.world.life.place(name) not in (Place.WRITING, Place.REDO_WRITING):
            return
        if how == "written":
            self.world.written(name)
        elif how == "overtaken":
            self.world.overtaken(name)
        else:
            self.world.happens(events.Unstorable(name, "no such column"))

    @rule()
    def time_passes(self) -> None:
        self.world.now_s += 61.0

    @invariant()
    def nothing_contradicts_itself(self) -> None:
        if hasattr(self, "world"):
            self.world.life.validate()


EXAMPLES = int(os.environ.get("FRAZIL_LIFECYCLE_EXAMPLES", "150"))
AnyLife.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=60,
    deadline=None,
    derandomize=EXAMPLES == 150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyLife = AnyLife.TestCase
