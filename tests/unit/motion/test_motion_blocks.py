"""`run_blocks`, on which every compiled loop runs: each row once, whatever the threads, and errors are not lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from frazil.models.cpu_threads import run_blocks


@pytest.fixture(params=[1, 3], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("length", "blocks", "expected"),
    [
        (10, 3, [(0, 3), (3, 6), (6, 10)]),
        (7, 1, [(0, 7)]),
        (3, 9, [(0, 1), (1, 2), (2, 3)]),
        (5, 0, [(0, 5)]),
        (0, 4, [(0, 0)]),
    ],
)
def test_parts_are_contiguous_nearly_equal_and_the_same_for_any_number_of_threads(
    length: int, blocks: int, expected: list[tuple[int, int]]
) -> None:
    seen: list[tuple[int, int]] = []
    run_blocks(lambda first, last: seen.append((first, last)), length, blocks)
    assert sorted(seen) == expected


def test_blocks_run_at_the_same_time_on_the_threads_that_torch_may_use(threads: int) -> None:
    together = threading.Barrier(threads)
    run_blocks(lambda first, last: together.wait(30) and None, threads, threads)
    assert not together.broken


def test_an_error_is_raised_after_all_other_blocks_have_ended(threads: int) -> None:
    done: list[int] = []

    def work(first: int, last: int) -> None:
        if first == 1:
            raise ValueError("the second block")
        done.append(first)

    with pytest.raises(ValueError, match="the second block"):
        run_blocks(work, 4, 4)
    if threads > 1:
        assert sorted(done) == [0, 2, 3]
