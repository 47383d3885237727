"""When the gate is asked, what it is asked about, and what is remembered of its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from frazil.config.settings import CameraSettings, GainOrientation, Settings
from frazil.daemon.processing.gain import GainGate
from frazil.models.gain.gate import GainDecision, GainVerdict
from frazil.models.records import MovieHeader

DECISION = GainDecision(
    verdict=GainVerdict.NOT_NEEDED,
    sentence="no pattern",
    remedy=None,
    gain_path=None,
    defects_path=None,
    orientation=GainOrientation.IDENTITY,
    convention="none",
    movie_count=3,
    pattern_rms=0.0,
    pattern_sigma=0.1,
)


@dataclass
class Movie:
    path: Path
    header: MovieHeader


@pytest.fixture
def movie(tmp_path):
    def make(index: int, frames: int = 10) -> Movie:
        path = tmp_path / f"m{index}.tif"
        path.touch()
        return Movie(path, MovieHeader(str(path), "tiff", frames, 64, 64, "uint8"))

    return make


@pytest.fixture
def desk():
    return GainGate(Settings(), stored=None)


def test_asks_when_there_are_enough_movies(desk, movie):
    desk.offer(movie(0))
    assert desk.next_question(nothing_more_comes=False) is None
    desk.offer(movie(1))
    desk.offer(movie(1))  # told twice
    assert desk.next_question(nothing_more_comes=False) is None
    desk.offer(movie(2))
    question = desk.next_question(nothing_more_comes=False)
    assert len(question.movie_paths) == 3
    assert desk.next_question(nothing_more_comes=True) is None  # it is being answered
    assert desk.busy()


def test_makes_do_with_one_movie_when_nothing_more_comes(desk, movie):
    assert desk.next_question(nothing_more_comes=True) is None
    desk.offer(movie(0))
    assert len(desk.next_question(nothing_more_comes=True).movie_paths) == 1


def test_after_undecided_it_asks_again_with_twice_the_evidence(desk, movie):
    for index in range(3):
        desk.offer(movie(index))
    assert desk.next_question(nothing_more_comes=False) is not None
    desk.decided(replace(DECISION, verdict=GainVerdict.UNDECIDED))
    assert not desk.open
    assert desk.next_question(nothing_more_comes=True) is None  # the same again would say the same again
    for index in range(3, 5):
        desk.offer(movie(index))
    assert desk.next_question(nothing_more_comes=False) is None
    desk.offer(movie(5))
    assert len(desk.next_question(nothing_more_comes=False).movie_paths) == 6


def test_a_blocked_gate_asks_no_more(desk, movie):
    for index in range(3):
        desk.offer(movie(index))
    desk.next_question(nothing_more_comes=False)
    desk.decided(replace(DECISION, verdict=GainVerdict.MISSING, remedy="give --gain"))
    desk.offer(movie(9))
    assert desk.blocked
    assert desk.next_question(nothing_more_comes=True) is None
    state = desk.state()
    assert (state.status, state.blocking, state.remedy) == ("blocked", True, "give --gain")


def test_movies_that_kill_the_worker_are_not_asked_about_for_ever(desk, movie):
    for index in range(3):
        desk.offer(movie(index))
    for _ in range(3):
        assert desk.next_question(nothing_more_comes=False) is not None
        desk.ask_again()
    assert desk.next_question(nothing_more_comes=True) is None
    desk.offer(movie(0))  # known to be trouble
    assert desk.next_question(nothing_more_comes=True) is None
    desk.offer(movie(5))
    assert len(desk.next_question(nothing_more_comes=True).movie_paths) == 1


def test_stored_answer_counts_only_for_the_same_question(desk, tmp_path):
    stored = desk.decided(DECISION)
    assert GainGate(Settings(), stored=stored).open
    gain = tmp_path / "gain.mrc"
    gain.write_bytes(b"1")
    camera = CameraSettings(gain=str(gain))
    assert not GainGate(Settings(camera=camera), stored=stored).open
    with_gain = GainGate(Settings(camera=camera), stored=None).decided(DECISION)
    assert GainGate(Settings(camera=camera), stored=with_gain).open
    gain.write_bytes(b"2")  # the same name, another reference
    assert not GainGate(Settings(camera=camera), stored=with_gain).open
    assert not GainGate(Settings(), stored='{"of": "another version"}').open


def test_no_gain_opens_at_once_and_single_frames_never_wait(movie):
    desk = GainGate(Settings(camera=CameraSettings(no_gain=True)), stored=None)
    assert desk.open
    assert desk.state().status == "overridden"
    closed = GainGate(Settings(), stored=None)
    single = movie(0, frames=1)
    assert not closed.needs_gate(single)
    assert not closed.decision_for(single).applies


def test_a_stored_answer_is_used_with_todays_paths(tmp_path):
    old, new = tmp_path / "old.mrc", tmp_path / "new.mrc"
    for path in (old, new):
        path.write_bytes(b"1")
    decision = replace(DECISION, verdict=GainVerdict.CORRECT, gain_path=str(old))
    stored = GainGate(Settings(camera=CameraSettings(gain=str(old))), stored=None).decided(decision)
    old.unlink()
    desk = GainGate(Settings(camera=CameraSettings(gain=str(new))), stored=stored)
    assert desk.open
    assert desk.decision.gain_path == str(new)
    assert desk.decision.defects_path is None


def test_movies_given_up_are_told(desk, movie):
    for index in range(3):
        desk.offer(movie(index))
    said = []
    for _ in range(3):
        desk.next_question(nothing_more_comes=False)
        said.append(desk.ask_again())
    assert said[:2] == [None, None]
    assert "leaves 3 movies aside" in said[2]
    assert desk.state().evidence == said[2]


def test_a_gate_that_stays_undecided_asks_about_all_it_may_and_then_says_so(desk, movie):
    asked = []
    for index in range(100):
        desk.offer(movie(index))
        question = desk.next_question(nothing_more_comes=False)
        if question is not None:
            asked.append(len(question.movie_paths))
            desk.decided(replace(DECISION, verdict=GainVerdict.UNDECIDED, sentence="cannot tell"))
    assert asked == [3, 6, 12, 24, 30]
    state = desk.state()
    assert "after 30 movies the gain gate looks at no more" in state.evidence
    assert "--no-gain" in state.remedy
    assert not desk.busy()
