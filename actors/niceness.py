"""How eagerly a process asks for the cores. Imports nothing: it is also called inside Ray's own actors."""

from __future__ import annotations

import contextlib
import os


def be_nice(_: object, niceness: int) -> None:
    """Give the present process this niceness, all its threads and those to come; less than it has is not allowed.

    The first argument is the actor, as `__ray_call__` wants it.
    """
    # Linux keeps niceness by thread; a new one inherits that of the one that starts it.
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it has ended, or is nicer already
            os.setpriority(os.PRIO_PROCESS, int(thread), niceness)
