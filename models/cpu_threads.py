"""Blocks of work on the threads that torch may use, for kernels that release the interpreter's lock.

Not numba's own threads: two pools on the same cores wait for each other. Blocks are the caller's, so that sums over
them have the same order, and the same last bit, whatever the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="frazil-kernel")


if hasattr(os, "register_at_fork"):
    # A forked child would inherit a pool whose threads do not exist, and wait for them for ever.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run_blocks(work: Callable[[int, int], None], length: int, blocks: int) -> None:
    """`work(first, last)` for `blocks` nearly equal parts of 0..length; all are done when this returns.

    An exception of a block is raised here after the others have ended. Never called from within a block: its pool would
    wait for itself.
    """
    blocks = max(1, min(blocks, length))
    edges = [length * i // blocks for i in range(blocks + 1)]
    threads = torch.get_num_threads()
    if threads <= 1 or blocks == 1:
        for first, last in pairwise(edges):
            work(first, last)
        return
    pending = [_pool(threads).submit(work, first, last) for first, last in pairwise(edges)]
    errors = [future.exception() for future in pending]
    for error in errors:
        if error is not None:
            raise error
