"""Which processes are ended after the owner of a private Ray died: those that carry its mark, and no other."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from frazil.actors import ray_leftovers

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
OWNER = """
import subprocess, sys
from frazil.actors import ray_leftovers
with ray_leftovers.marked_children():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
later = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, later.pid, flush=True)
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    """After the kill the kernel may need a moment; a descriptor of the process says when."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10.0)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def owner():
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child, later = map(int, process.stdout.readline().split())
        yield process, child, later
        process.kill()
        for pid in (child, later):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_only_what_a_dead_owners_ray_started_is_ended(owner):
    process, child, later = owner
    ray_leftovers.remove_leftovers()
    assert alive(child)  # its owner lives
    process.kill()
    process.wait()
    ray_leftovers.remove_leftovers()
    assert gone(child)
    assert alive(later)


def test_own_processes_are_ended_and_the_mark_does_not_stay_in_the_environment():
    with ray_leftovers.marked_children():
        ours = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    other = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    try:
        for process in (ours, other):
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
        assert "FRAZIL_RAY_OWNER" not in os.environ
        ray_leftovers.end_own_processes()
        assert ours.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()
            process.stdout.close()
