"""How many workers a machine without GPUs bears. Imports nothing that takes time: `frazil serve` asks it, too."""

from __future__ import annotations

import os

_BYTES_PER_CPU_WORKER = 4 << 30


def usable_cpu_count() -> int:
    """How many single-threaded CPU workers this machine bears: one a core, if each finds its memory.

    Threads of one worker speed up only the large transforms; the rest of the work on a movie is serial, so that two
    workers with one thread each do more than one worker with two.
    """
    cores = len(os.sched_getaffinity(0))  # a container often grants fewer than the machine has
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory_bytes // _BYTES_PER_CPU_WORKER))
