"""How eagerly a process asks for the cores. Imports nothing: it is also called inside Ray's own actors.

Movies go before all that looks at them afterwards, and whoever else works on the machine before movies. Processes start
with the niceness of the daemon and take theirs when they are up: what has to come up on a busy machine would
otherwise wait for minutes.
"""

from __future__ import annotations

import contextlib
import os

MOVIES = 5
MAP = 15
"""The map, its classes, lessons of the restoration."""
EVALUATORS = 19


def give_way(niceness: int) -> None:
    """Give the present thread this niceness, and with it those that it will start."""
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), niceness))


def be_nice(_: object, niceness: int) -> None:
    """Give the present process this niceness, all its threads and those to come; what is nicer already stays so.

    The first argument is the actor, as `__ray_call__` wants it.
    """
    # Linux keeps niceness by thread; a new one inherits that of the one that starts it.
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it has ended
            present = os.getpriority(os.PRIO_PROCESS, int(thread))
            os.setpriority(os.PRIO_PROCESS, int(thread), max(present, niceness))
