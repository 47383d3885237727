"""Movies enter the map in the order of the session, whatever the order in which they end."""

from __future__ import annotations

import random

import pytest

from frazil.daemon.analysis.map.queue import MapQueue


def drain(queue: MapQueue) -> list[str]:
    taken = []
    while (movie := queue.take()) is not None:
        taken.append(movie)
    return taken


@pytest.mark.parametrize("seed", range(20))
def test_order_does_not_depend_on_who_was_faster(seed: int) -> None:
    queue, order = MapQueue(), list(range(30))
    for sequence in order:
        queue.begins(sequence)
    random.Random(seed).shuffle(order)
    taken: list[str] = []
    for sequence in order:
        queue.ends(sequence, None if sequence % 7 == 3 else f"m{sequence}")
        taken += drain(queue)
    assert taken == [f"m{sequence}" for sequence in range(30) if sequence % 7 != 3]
    assert queue.waiting == 0


def test_a_movie_waits_for_an_earlier_one_only() -> None:
    queue = MapQueue()
    for sequence in (0, 1, 2):
        queue.begins(sequence)
    queue.ends(1, "b")
    assert queue.take() is None
    assert queue.waiting == 1
    queue.ends(0, None)  # set aside: nobody waits for it any longer
    assert queue.take() == "b"
    assert queue.take() is None


def test_a_forgotten_movie_leaves_the_queue() -> None:
    """It ended, and its file was replaced before the map took it."""
    queue = MapQueue()
    queue.begins(0)
    queue.ends(0, "old")
    queue.ends(0, None)
    assert queue.take() is None
    queue.begins(1)
    queue.ends(1, "new")
    assert queue.take() == "new"
