"""The commands of docs/tutorial.md, all of them, in their order: each works, and prints what the page says it prints.

Numbers are not compared, because times, sizes and pids differ from run to run; words are.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from page_session import free_port

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|text)(?: ([\w ]+))?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
"""(language, what kind, text)"""
PORT = "8265"
LONGEST_S = 1500.0
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(5000)]
ENVIRONMENT = dict(os.environ) | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    "TERM": "xterm-256color",
}


@dataclass
class Shell:
    """One bash in which everything is typed; it ends at the first command that fails."""

    folder: Path
    said: str = ""
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            ["bash", "-e"], cwd=self.folder, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def type(self, text: str) -> str:
        """What it prints, until it has done all of that; the last word is where it is then."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{text}\necho; echo '@@@' $PWD\n".encode())
        self.process.stdin.flush()
        printed, deadline_s = b"", time.monotonic() + LONGEST_S
        while not re.search(rb"^@@@ .*\n", printed, re.MULTILINE):
            assert time.monotonic() < deadline_s, f"{text}\nprinted so far:\n{printed.decode()}"
            if select.select([self.process.stdout], [], [], 1.0)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                assert more, f"this failed:\n{text}\nit printed:\n{printed.decode()}"
                printed += more
        found = re.search(r"^(.*)^@@@ (.*)\n", printed.decode(), re.MULTILINE | re.DOTALL)
        assert found is not None
        self.said += found[1]
        self.folder = Path(found[2])
        return found[1]

    def end(self) -> None:
        """Also what was left in the background."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            time.sleep(0.1 if number is signal.SIGKILL else 20.0)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def on_a_terminal(command: str, folder: Path) -> str:
    """What a command draws on a terminal of 120 x 40, until `q` makes it leave."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=ENVIRONMENT, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    drawn, leave_at_s, deadline_s = b"", float("inf"), time.monotonic() + 180.0
    while process.poll() is None:
        assert time.monotonic() < deadline_s, drawn.decode(errors="replace")
        if select.select([ours], [], [], 0.5)[0]:
            drawn += os.read(ours, 65536)
        if leave_at_s == float("inf") and b"movies" in drawn:
            leave_at_s = time.monotonic() + 3.0
        if time.monotonic() > leave_at_s:
            os.write(ours, b"q")
            leave_at_s = time.monotonic() + 5.0
    os.close(its)
    os.close(ours)
    assert process.returncode == 0, drawn.decode(errors="replace")
    return drawn.decode(errors="replace")


def words_of(text: str) -> str:
    """Without numbers and bars, whose length is a number, and in one line."""
    without = re.sub(r"(?<![\w#])[#=-]{1,40}(?=\s|$)", " ", re.sub(r"\d+(?:\.\d+)?", "N", text))
    return " ".join(without.split())


def claims(text: str) -> list[str]:
    """Each line of the page's output in words; `...` stands for what was left out."""
    joined = re.sub(r"\n {10,}", " ", text)
    return [piece for line in joined.splitlines() for piece in map(words_of, line.split("...")) if len(piece) > 3]


def test_every_command_works_and_prints_what_the_page_says(tmp_path: Path) -> None:
    shell, port, printed = Shell(tmp_path), str(free_port()), ""
    try:
        for language, kind, text in BLOCKS:
            match language, kind:
                case "sh", "install":
                    continue  # everything is installed where tests run
                case "sh", "screen":
                    assert "movies" in on_a_terminal(text, shell.folder)
                case "sh", "relion" if shutil.which("relion_preprocess") is None:
                    break
                case "sh", _:
                    printed = words_of(shell.type(text.replace(PORT, port)))
                case "text", "of this machine":
                    continue
                case _:
                    missing = [claim for claim in claims(text) if claim not in printed]
                    assert missing == [], printed
    finally:
        shell.end()
        (tmp_path / "transcript.txt").write_text(shell.said)
    verdicts = re.findall(r"^verdict +(\w+ ?\w*): (\d+) of", shell.said, re.MULTILINE)
    assert [word for word, _ in verdicts][:1] == ["Change"]
    assert ("Go on", "24") in verdicts


def test_its_commands_are_verbs_and_its_links_are_there() -> None:
    assert len([kind for language, kind, _ in BLOCKS if language == "sh"]) > 15
    links = re.findall(r"\]\(([\w./-]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
