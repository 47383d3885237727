"""When the gate is asked, what it is asked about, and what is remembered of its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from frazil.config.settings import CameraSettings, GainOrientation, Settings
from frazil.daemon.processing.gain import GainGate
from frazil.models.gain.decision import GainDecision, GainVerdict
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
def gate():
    return GainGate(Settings(), stored=None)


def test_asks_when_there_are_enough_movies(gate, movie):
    gate.offer(movie(0))
    assert gate.next_question(nothing_more_comes=False) is None
    gate.offer(movie(1))
    gate.offer(movie(1))  # told twice
    assert gate.next_question(nothing_more_comes=False) is None
    gate.offer(movie(2))
    question = gate.next_question(nothing_more_comes=False)
    assert len(question.movie_paths) == 3
    assert gate.next_question(nothing_more_comes=True) is None  # it is being answered
    assert gate.busy()


def test_makes_do_with_one_movie_when_nothing_more_comes(gate, movie):
    assert gate.next_question(nothing_more_comes=True) is None
    gate.offer(movie(0))
    assert len(gate.next_question(nothing_more_comes=True).movie_paths) == 1


def test_after_undecided_it_asks_again_with_twice_the_evidence(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    assert gate.next_question(nothing_more_comes=False) is not None
    gate.decided(replace(DECISION, verdict=GainVerdict.UNDECIDED))
    assert not gate.open
    assert gate.next_question(nothing_more_comes=True) is None  # the same again would say the same again
    for index in range(3, 5):
        gate.offer(movie(index))
    assert gate.next_question(nothing_more_comes=False) is None
    gate.offer(movie(5))
    assert len(gate.next_question(nothing_more_comes=False).movie_paths) == 6


def test_a_blocked_gate_asks_no_more(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    gate.next_question(nothing_more_comes=False)
    gate.decided(replace(DECISION, verdict=GainVerdict.MISSING, remedy="give --gain"))
    gate.offer(movie(9))
    assert gate.blocked
    assert gate.next_question(nothing_more_comes=True) is None
    state = gate.state()
    assert (state.status, state.blocking, state.remedy) == ("blocked", True, "give --gain")


def test_movies_that_kill_the_worker_are_not_asked_about_for_ever(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    for _ in range(3):
        assert gate.next_question(nothing_more_comes=False) is not None
        gate.ask_again()
    assert gate.next_question(nothing_more_comes=True) is None
    gate.offer(movie(0))  # known to be trouble
    assert gate.next_question(nothing_more_comes=True) is None
    gate.offer(movie(5))
    assert len(gate.next_question(nothing_more_comes=True).movie_paths) == 1


def test_stored_answer_counts_only_for_the_same_question(gate, tmp_path):
    stored = gate.decided(DECISION)
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
    gate = GainGate(Settings(camera=CameraSettings(no_gain=True)), stored=None)
    assert gate.open
    assert gate.state().status == "overridden"
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
    gate = GainGate(Settings(camera=CameraSettings(gain=str(new))), stored=stored)
    assert gate.open
    assert gate.decision.gain_path == str(new)
    assert gate.decision.defects_path is None


def test_movies_given_up_are_told(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    sentences = []
    for _ in range(3):
        gate.next_question(nothing_more_comes=False)
        sentences.append(gate.ask_again())
    assert sentences[:2] == [None, None]
    assert "leaves 3 movies aside" in sentences[2]
    assert gate.state().evidence == sentences[2]


def test_a_gate_that_stays_undecided_asks_about_all_it_may_and_then_says_so(gate, movie):
    asked = []
    for index in range(100):
        gate.offer(movie(index))
        question = gate.next_question(nothing_more_comes=False)
        if question is not None:
            asked.append(len(question.movie_paths))
            gate.decided(replace(DECISION, verdict=GainVerdict.UNDECIDED, sentence="cannot tell"))
    assert asked == [3, 6, 12, 24, 30]
    state = gate.state()
    assert "after 30 movies the gain gate looks at no more" in state.evidence
    assert "--no-gain" in state.remedy
    assert not gate.busy()


def test_movies_whose_file_is_gone_are_left_out_of_the_question(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    movie(1).path.unlink()
    question = gate.next_question(nothing_more_comes=False)
    assert [path.rsplit("/", 1)[1] for path in question.movie_paths] == ["m0.tif", "m2.tif"]


def test_an_open_gate_gives_its_decision_and_wants_no_more_movies(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    gate.next_question(nothing_more_comes=False)
    assert gate.asking
    gate.decided(DECISION)
    assert (gate.open, gate.asking, gate.blocked) == (True, False, False)
    assert gate.decision_for(movie(0)) == DECISION
    assert gate.state().status == "open"
    for index in range(3, 20):
        gate.offer(movie(index))
    assert gate.next_question(nothing_more_comes=True) is None
    assert not gate.busy()


def test_a_worker_that_failed_once_is_asked_again_about_the_same_movies(gate, movie):
    for index in range(3):
        gate.offer(movie(index))
    first = gate.next_question(nothing_more_comes=False)
    assert gate.ask_again() is None
    assert gate.next_question(nothing_more_comes=False) == first


def test_before_the_first_movie_the_gate_waits_and_blocks_nobody(gate, movie):
    assert (gate.state().status, gate.state().evidence, gate.busy()) == ("waiting", "no movie yet", False)
    gate.offer(movie(0))
    assert gate.state().evidence == "looking at the first movies (1 so far)"
    assert not gate.state().blocking
