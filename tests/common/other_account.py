"""What an account sees that is not root: tests run as root in many a container, where every folder is open."""

from __future__ import annotations

import os
import pickle
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOMEBODY, SOME_GROUP = 65534, 65534


def open_to_others(folder: Path) -> None:
    """pytest's own folders are closed: others may pass through them to this one."""
    for one in (folder, *folder.parents):
        if one.owner() == folder.owner() and not one.stat().st_mode & 0o001:
            one.chmod(one.stat().st_mode | 0o055)


def as_somebody(ask: Callable[[], Any], *, groups: tuple[int, ...] = ()) -> Any:
    """What a function returns in a process of another account, in these groups too. It must import nothing that has not
    been imported: the other account may not be able to read this Python. Skips where nobody can become another."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    ask_end, answer_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on, of threads: the child uses none of them
        child = os.fork()
    if child == 0:
        try:
            os.setgroups(list(groups))
            os.setgid(SOME_GROUP)
            os.setuid(SOMEBODY)
            answer = (True, ask())
        except BaseException:  # the parent raises it
            answer = (False, traceback.format_exc())
        os.write(answer_end, pickle.dumps(answer))
        os._exit(0)
    os.close(answer_end)
    with open(ask_end, "rb") as pipe:
        done, answer = pickle.load(pipe)
    os.waitpid(child, 0)
    assert done, answer
    return answer
