"""What a terminal's Ctrl-C, `kill` and a service manager send ends a running daemon in order."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from frazil.daemon.client import connect

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("sent", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_running_daemon_ends_in_order(kit, tmp_path, sent):
    raw, session, log = tmp_path / "raw", tmp_path / "session", tmp_path / "watch.log"
    raw.mkdir()
    for number in range(12):  # a single one may be done before it is seen in hand
        kit.put_movie(raw / f"m{number}.tiff", number, count=3)
    # A process group of its own gets the signal as a whole, as that of a terminal does.
    command = kit.frazil_command("watch", raw, "--session", session, "--preset", "simulated", "--no-gain")
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--workers", "1"], stdout=sink, stderr=sink, stdin=subprocess.DEVNULL,
            env=kit.child_environment(), start_new_session=True,
        )  # fmt: skip

    def busy():
        assert process.poll() is None, log.read_text()
        client = connect(session) if session.exists() else None
        if client is None:
            return False
        with client:
            return client.snapshot().counts.get("processing")

    try:
        kit.wait_for(busy, "a movie in hand", 120.0)
        os.killpg(process.pid, sent)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
    said = log.read_text()
    assert (
        f"stopped by {'Ctrl-C' if sent == signal.SIGINT else sent.name}; `frazil watch --session {session}` goes on"
        in said
    )
    assert "Traceback" not in said
