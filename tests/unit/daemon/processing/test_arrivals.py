from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from frazil.daemon.processing.arrivals import Arrivals


def test_a_movie_is_waited_for_until_a_later_one_has_been_complete_for_long() -> None:
    arrivals = Arrivals(60.0)
    for sequence in (0, 1, 2):
        arrivals.found(sequence)
    arrivals.complete(0, 10.0)
    assert arrivals.overdue(1e6) == []  # nothing above 1 and 2 is complete: the session has just paused
    arrivals.complete(2, 100.0)
    assert arrivals.overdue(159.0) == []
    assert arrivals.overdue(160.0) == [1]
    assert arrivals.overdue(1e6) == []


def test_what_an_earlier_run_left_is_waited_for_from_the_start_on() -> None:
    arrivals = Arrivals(60.0, (3, 9), complete=(0, 7), now_s=1000.0)
    assert arrivals.awaited == [3, 9]
    assert arrivals.overdue(1059.0) == []
    assert arrivals.overdue(1060.0) == [3]


def test_what_ended_or_is_complete_is_not_waited_for() -> None:
    arrivals = Arrivals(60.0, found=(3, 4))
    arrivals.ended(3)
    arrivals.complete(4, 0.0)
    arrivals.complete(9, 0.0)
    assert arrivals.overdue(1e6) == []


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["found", "complete", "ended"])), max_size=40))
def test_it_is_what_a_look_at_every_movie_would_say(happened: list[tuple[int, str]]) -> None:
    arrivals, awaited, clocks, highest = Arrivals(3.0), set[int](), dict[int, float](), -1
    for now_s, (sequence, what) in enumerate(happened):
        if what == "found":
            arrivals.found(sequence)
            awaited.add(sequence)
        elif what == "ended":
            arrivals.ended(sequence)
            awaited.discard(sequence)
        else:
            arrivals.complete(sequence, now_s)
            awaited.discard(sequence)
            for lower in range(highest, sequence):
                clocks.setdefault(lower, now_s)
            highest = max(highest, sequence)
        overdue = {movie for movie in awaited if movie in clocks and now_s - clocks[movie] >= 3.0}
        assert set(arrivals.overdue(now_s)) == overdue
        awaited -= overdue
