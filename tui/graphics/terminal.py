"""What the terminal can draw, asked before the screen starts: one question, one answer, and no waiting without end.

The last part of the question is one that every terminal answers (DA1), so that those that know nothing of pictures are
not waited for. What is asked of is never a terminal inside another one (tmux, screen): those pass on what they know.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import termios
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["kitty", "sixel", "blocks"]
Wish = Literal["auto", "kitty", "sixel", "blocks"]
WISHES: tuple[str, ...] = get_args(Wish)

_LIMIT_S = 1.0
"""Longer than a slow line's way there and back."""
_QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" + b"\x1b[16t" + b"\x1b[c"
_ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")
_CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
_KITTY = b"\x1b_Gi=31;OK"
_SIXEL = b"4"
_USUAL_CELL_PX = (10, 20)
"""Of the VT340: where nobody says."""
_NEVER_ASKED = ("dumb", "linux", "screen", "tmux")
_MOST_ANSWER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Graphics:
    """How pictures are drawn, and the pixels of a cell (width, height)."""

    kind: Kind = "blocks"
    cell_px: tuple[int, int] = (1, 2)

    @property
    def in_pixels(self) -> bool:
        return self.kind != "blocks"


BLOCKS = Graphics()


def graphics_of(wish: Wish, environ: Mapping[str, str], *, stdin: int = 0, stdout: int = 1) -> Graphics:
    """As wished; `auto`: the best that the terminal says it has. Never raises, never takes longer than a second."""
    with graphics_asked(wish, environ, stdin=stdin, stdout=stdout) as answered:
        return answered()


@contextmanager
def graphics_asked(
    wish: Wish, environ: Mapping[str, str], *, stdin: int = 0, stdout: int = 1
) -> Iterator[Callable[[], Graphics]]:
    """`graphics_of` in two steps: asked on entering, answered when called, so that something else can be done while
    the answer is on its way. Until the end of the block the terminal echoes nothing."""
    if wish == "blocks" or not (os.isatty(stdin) and os.isatty(stdout)):
        yield lambda: BLOCKS
        return
    nested = "TMUX" in environ or environ.get("TERM", "").split("-")[0].split(".")[0] in ("", *_NEVER_ASKED)
    if nested:
        yield lambda: BLOCKS if wish == "auto" else Graphics(wish, cell_size_px(stdout) or _USUAL_CELL_PX)
        return
    with asked(stdin, stdout) as answer:
        yield lambda: _graphics(wish, answer(), stdout)


def _graphics(wish: Wish, answer: bytes, stdout: int) -> Graphics:
    cell_px = cell_size_px(stdout) or _told_cell_px(answer)
    if wish != "auto":
        return Graphics(wish, cell_px or _USUAL_CELL_PX)
    kind = kind_of(answer)
    # Sixel's pixels are the terminal's own: without knowing a cell's size the picture would cover what is beside it.
    if kind == "sixel" and cell_px is None:
        return BLOCKS
    return BLOCKS if kind == "blocks" else Graphics(kind, cell_px or _USUAL_CELL_PX)


def kind_of(answer: bytes) -> Kind:
    """Sixel before kitty: terminals with both (WezTerm, Konsole) have no placeholders, and kitty has no sixel."""
    attributes = _ATTRIBUTES.search(answer)
    if attributes is not None and _SIXEL in attributes[1].split(b";"):
        return "sixel"
    return "kitty" if _KITTY in answer else "blocks"


@contextmanager
def asked(stdin: int, stdout: int, *, limit_s: float = _LIMIT_S) -> Iterator[Callable[[], bytes]]:
    """What the terminal answers until it has said its attributes, or until so long after the question; read when
    called."""
    try:
        before = termios.tcgetattr(stdin)
        tty.setcbreak(stdin, termios.TCSANOW)
    except termios.error:
        yield lambda: b""
        return
    try:
        with suppress(OSError):
            os.write(stdout, _QUESTION)
        end_s = time.monotonic() + limit_s
        yield lambda: _read_answer(stdin, end_s)
    finally:
        termios.tcsetattr(stdin, termios.TCSANOW, before)


def _read_answer(stdin: int, end_s: float) -> bytes:
    answer = b""
    while len(answer) < _MOST_ANSWER_BYTES and not _ATTRIBUTES.search(answer):
        ready, _, _ = select.select([stdin], [], [], max(0.0, end_s - time.monotonic()))
        if not ready:
            break
        try:
            read = os.read(stdin, 256)
        except OSError:
            return b""
        if not read:
            break
        answer += read
    return answer


def cell_size_px(stdout: int) -> tuple[int, int] | None:
    """Width and height of a cell as the terminal's driver knows them (over ssh, too); None: it does not."""
    try:
        rows, columns, width, height = struct.unpack("4H", fcntl.ioctl(stdout, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return None
    return (width // columns, height // rows) if rows and columns and width >= columns and height >= rows else None


def _told_cell_px(answer: bytes) -> tuple[int, int] | None:
    told = _CELL.search(answer)
    if told is None:
        return None
    height, width = int(told[1]), int(told[2])
    return (width, height) if 0 < width < 256 and 0 < height < 256 else None
