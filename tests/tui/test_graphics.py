"""Pictures as a terminal gets them: known pixels in, escape sequences out, decoded here by the protocols' own words."""

from __future__ import annotations

import base64
import os
import pty
import re
import termios
import threading
import time
import tty
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from frazil.tui.graphics import kitty
from frazil.tui.graphics.canvas import (
    BLACK,
    LEVELS,
    PALETTE,
    PICK,
    WHITE,
    Canvas,
    bar,
    bar_length,
    canvas_of,
    circle,
    resized,
    tint,
)
from frazil.tui.graphics.halfblocks import picture_strips
from frazil.tui.graphics.sixel import sixel
from frazil.tui.graphics.terminal import BLOCKS, Graphics, asked, graphics_asked, graphics_of, kind_of

RNG = np.random.default_rng(7)


def decoded_sixel(text: str) -> np.ndarray:
    """(h, w, 3) per cent, -1 where nothing was drawn, by DEC's rules (VT330/VT340 Programmer Reference, chapter 14)."""
    inside = re.fullmatch(r'\x1bP[0-9;]*q"(\d+);(\d+);(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert inside is not None, "one sequence, and nothing beside it"
    width, height = int(inside[3]), int(inside[4])
    out = np.full((-(-height // 6) * 6, width, 3), -1)
    colors: dict[int, tuple[int, ...]] = {}
    color, x, y = 0, 0, 0
    for token in re.finditer(r"#(\d+)(;2;\d+;\d+;\d+)?|!(\d+)([?-~])|([?-~])|(\$)|(-)", inside[5]):
        number, defined, count, repeated, one, back, down = token.groups()
        if number is not None:
            color = int(number)
            if defined:
                colors[color] = tuple(int(value) for value in defined.split(";")[2:])
        elif back:
            x = 0
        elif down:
            x, y = 0, y + 6
        else:
            bits = ord(repeated or one) - 0x3F
            end = x + int(count or 1)
            for row in range(6):
                if bits >> row & 1:
                    out[y + row, x:end] = colors[color]
            x = end
    assert (out[height:] == -1).all()
    return out[:height]


def decoded_kitty(text: str) -> tuple[dict[str, str], np.ndarray]:
    """Keys of the first message and the (h, w, 3) picture."""
    messages = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in messages) == text, "and nothing beside them"
    keys = dict(part.split("=") for part in messages[0][0].split(","))
    more = [dict(part.split("=") for part in head.split(","))["m"] for head, _ in messages]
    assert more == ["1"] * (len(messages) - 1) + ["0"]
    assert all(len(data) <= 4096 for _, data in messages)
    raw = zlib.decompress(base64.b64decode("".join(data for _, data in messages)))
    return keys, np.frombuffer(raw, np.uint8).reshape(int(keys["v"]), int(keys["s"]), 3)


def marked_canvas(width: int, height: int) -> Canvas:
    """Noise, all tints, a ring and a bar."""
    canvas = canvas_of(RNG.integers(0, 256, (height, width), dtype=np.uint8).tobytes(), width, height)
    bits = RNG.integers(0, 8, (height, width), dtype=np.uint8).tobytes()
    for bit in range(3):
        tint(canvas, bits, bit, bit)
    circle(canvas, width / 2, height / 2, height / 3)
    bar(canvas, width // 4, 2)
    return canvas


def truth(canvas: Canvas) -> np.ndarray:
    """(h, w, 3)."""
    indices = np.frombuffer(bytes(canvas.pixels), np.uint8).reshape(canvas.height_px, canvas.width_px)
    return np.array(PALETTE)[indices]


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (40, 6), (61, 43)], ids=str)
def test_sixels_are_the_picture(size: tuple[int, int]) -> None:
    canvas = marked_canvas(*size)
    np.testing.assert_array_equal(decoded_sixel(sixel(canvas)), np.rint(truth(canvas) * 100 / 255))


def test_another_programs_sixels_are_read_alike() -> None:
    """What decodes ours decodes those of a library, too, and finds the same picture."""
    encoder = pytest.importorskip("textual_image._sixel")
    image = pytest.importorskip("PIL.Image")
    canvas = canvas_of(RNG.integers(0, 256, (31, 50), dtype=np.uint8).tobytes(), 50, 31)
    theirs = encoder.image_to_sixels(image.frombytes("L", (50, 31), canvas.rgb()[::3]))
    difference = decoded_sixel(theirs) - decoded_sixel(sixel(canvas))
    assert np.abs(difference).max() <= 1, "per cent; theirs are rounded otherwise"


def test_long_runs_are_short_and_a_blank_end_is_left_out() -> None:
    plain = canvas_of(bytes(6 * 300), 300, 6)
    assert "!300~" in sixel(plain)
    assert len(sixel(plain)) < 60


@pytest.mark.parametrize("size", [(1, 1), (61, 43), (300, 200)], ids=str)
def test_what_kitty_gets_is_the_picture(size: tuple[int, int]) -> None:
    canvas = marked_canvas(*size)
    keys, picture = decoded_kitty(kitty.transmit(canvas, 0x667A01, 12, 9))
    np.testing.assert_array_equal(picture, truth(canvas))
    assert (keys["a"], keys["U"], keys["q"], keys["f"], keys["o"]) == ("T", "1", "2", "24", "z")
    assert (keys["i"], keys["c"], keys["r"]) == (str(0x667A01), "12", "9")


def test_placeholders_name_every_cell_of_the_picture() -> None:
    lines = kitty.placeholders(40, 3)
    assert [cell_len(line) for line in lines] == [40] * 3
    for row, line in enumerate(lines):
        cells = re.findall("\U0010eeee(.)(.)", line)
        assert [(kitty.MARKS.index(a), kitty.MARKS.index(b)) for a, b in cells] == [(row, i) for i in range(40)]
    red, green, blue = kitty.color_of(0x667A01)
    assert (red << 16) + (green << 8) + blue == 0x667A01
    assert (kitty.MARKS[0], kitty.MARKS[-1], len(set(kitty.MARKS))) == ("\u0305", "\U0001d244", kitty.MOST_CELLS)


def test_the_marks_are_those_of_the_protocol() -> None:
    code = "import sys; sys.__stdout__ = None; from textual_image.renderable.tgp import _NUMBER_TO_DIACRITIC as n; "
    pytest.importorskip("textual_image._sixel")
    import subprocess
    import sys

    out = subprocess.run(
        [sys.executable, "-c", code + "sys.stderr.write(' '.join(map(str, n)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [chr(int(one)) for one in out.stderr.split()] == kitty.MARKS


def test_two_pixels_a_cell() -> None:
    strips = picture_strips(canvas_of(bytes([0, 255, 255, 0, 128, 128]), 2, 3))
    assert [strip.cell_length for strip in strips] == [2, 2]
    first = strips[0]._segments
    assert [segment.text for segment in first] == ["▀", "▀"]
    colors = [(s.style.color.triplet.red, s.style.bgcolor.triplet.red) for s in first if s.style]  # type: ignore[union-attr]
    assert colors == [(0, 255), (255, 0)]
    assert strips[1]._segments[0].text == "▀▀", "equal cells are one run"


def test_shades_and_signs_where_there_are_few_colours() -> None:
    canvas = canvas_of(bytes([0, 64, 128, 192, 255, 0, 0]) * 2, 7, 2)
    tint(canvas, bytes([0, 0, 0, 0, 0, 1, 0]) * 2, 0, 0)
    canvas.pixels[6] = PICK
    assert picture_strips(canvas, many_colors=False)[0].text == " ░▒▓█xo"


def test_a_picture_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes are no picture of 2 x 3 px"):
        canvas_of(bytes(5), 2, 3)


def test_a_ring_lies_on_its_radius_and_nowhere_else() -> None:
    canvas = canvas_of(bytes(81 * 81), 81, 81)
    circle(canvas, 40, 40, 20, width_px=2)
    on = np.frombuffer(bytes(canvas.pixels), np.uint8).reshape(81, 81) == PICK
    y, x = np.mgrid[:81, :81]
    radius = np.hypot(x - 40, y - 40)
    assert on[(radius > 19.3) & (radius < 19.7)].all()
    assert not on[(radius < 18) | (radius > 21)].any()
    circle(canvas, -5, 200, 3)  # beyond the edge


def test_a_tint_keeps_the_gray_and_lies_only_where_its_bit_is() -> None:
    gray = RNG.integers(0, 256, (9, 11), dtype=np.uint8)
    bits = RNG.integers(0, 8, (9, 11), dtype=np.uint8)
    canvas = canvas_of(gray.tobytes(), 11, 9)
    tint(canvas, bits.tobytes(), 1, 2)
    indices = np.frombuffer(bytes(canvas.pixels), np.uint8).reshape(9, 11)
    np.testing.assert_array_equal(indices % LEVELS, gray.astype(int) * LEVELS // 256)
    np.testing.assert_array_equal(indices // LEVELS == 3, (bits & 2) > 0)


def test_a_scale_bar_is_round_and_as_long_as_it_says() -> None:
    assert bar_length(8.0, 40) == 200.0
    assert bar_length(1.0, 60) == 50.0
    assert bar_length(0.1, 10) == 1.0
    assert bar_length(0.0, 40) is None
    canvas = canvas_of(bytes([128]) * 100 * 60, 100, 60)
    bar(canvas, 25, 2)
    indices = np.frombuffer(bytes(canvas.pixels), np.uint8).reshape(60, 100)
    assert (indices == WHITE).sum(axis=1).max() == 25
    assert (indices == BLACK).any()


def test_nearest_pixels() -> None:
    image = np.arange(6 * 4, dtype=np.uint8).reshape(4, 6)
    twice = np.frombuffer(resized(image.tobytes(), 6, 4, 12, 8), np.uint8).reshape(8, 12)
    np.testing.assert_array_equal(twice, np.kron(image, np.ones((2, 2), np.uint8)))
    half = np.frombuffer(resized(image.tobytes(), 6, 4, 3, 2), np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(half, image[1::2, 1::2])
    assert resized(image.tobytes(), 6, 4, 1, 1) == bytes([image[2, 3]])


# ---- the question


class Terminal:
    """A pseudo-terminal that answers once it is asked."""

    def __init__(self, answer: bytes | None) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        self.asked = b""
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while b"\x1b[c" not in self.asked:
            got = os.read(self.master, 256)
            if not got:
                return
            self.asked += got
        if self._answer is not None:
            os.write(self.master, self._answer)

    def close(self) -> None:
        os.write(self.slave, b"\x1b[c")  # so that the thread ends, asked or not
        self._thread.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(request: Any) -> Iterator[Terminal]:
    made = Terminal(request.param)
    yield made
    made.close()


KITTY_ANSWER = b"\x1b_Gi=31;OK\x1b\\\x1b[6;18;9t\x1b[?62;c"
SIXEL_ANSWER = b"\x1b[6;20;10t\x1b[?62;4;22c"
WEZTERM_ANSWER = b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?65;4;6;18;22c"


@pytest.mark.parametrize(
    ("terminal", "expected"),
    [
        (KITTY_ANSWER, Graphics("kitty", (9, 18))),
        (SIXEL_ANSWER, Graphics("sixel", (10, 20))),
        (WEZTERM_ANSWER, Graphics("sixel", (10, 20))),
        (b"\x1b[?62;4;22c", BLOCKS),  # sixel, but of unknown cells
        (b"\x1b[?1;2c", BLOCKS),
        (b"\x1b_Gi=31;EINVAL:no\x1b\\\x1b[?62;c", BLOCKS),
        (b"abc\x1b[?1;2c", BLOCKS),  # somebody was typing
    ],
    indirect=["terminal"],
)
def test_the_terminal_says_what_it_has(terminal: Terminal, expected: Graphics) -> None:
    env = {"TERM": "xterm-256color"}
    assert graphics_of("auto", env, stdin=terminal.slave, stdout=terminal.slave) == expected
    assert b"a=q" in terminal.asked


@pytest.mark.parametrize("terminal", [None], indirect=True)
def test_a_terminal_that_does_not_answer_is_not_waited_for(terminal: Terminal) -> None:
    before = time.monotonic()
    with asked(terminal.slave, terminal.slave, limit_s=0.2) as answer:
        assert answer() == b""
    assert time.monotonic() - before < 60, "it ends at all"


@pytest.mark.parametrize("terminal", [SIXEL_ANSWER], indirect=True)
def test_something_else_is_done_while_the_terminal_answers(terminal: Terminal) -> None:
    as_it_was = termios.tcgetattr(terminal.slave)
    with graphics_asked("auto", {"TERM": "xterm"}, stdin=terminal.slave, stdout=terminal.slave) as answered:
        deadline_s = time.monotonic() + 60
        while b"\x1b[c" not in terminal.asked and time.monotonic() < deadline_s:
            time.sleep(0.001)
        assert b"\x1b[c" in terminal.asked, "asked before anybody wants to know"
        assert answered() == Graphics("sixel", (10, 20))
    assert termios.tcgetattr(terminal.slave) == as_it_was


@pytest.mark.parametrize("terminal", [None], indirect=True)
def test_a_start_that_fails_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    as_it_was = termios.tcgetattr(terminal.slave)
    with (
        pytest.raises(ImportError),
        graphics_asked("auto", {"TERM": "xterm"}, stdin=terminal.slave, stdout=terminal.slave),
    ):
        raise ImportError
    assert termios.tcgetattr(terminal.slave) == as_it_was


@pytest.mark.parametrize("terminal", [SIXEL_ANSWER], indirect=True)
@pytest.mark.parametrize(
    "env",
    [{"TERM": "tmux-256color"}, {"TERM": "xterm", "TMUX": "/tmp/x"}, {"TERM": "screen.xterm"}, {"TERM": "linux"}, {}],
    ids=str,
)
def test_a_terminal_within_another_is_not_asked(terminal: Terminal, env: dict[str, str]) -> None:
    assert graphics_of("auto", env, stdin=terminal.slave, stdout=terminal.slave) == BLOCKS
    assert terminal.asked == b""
    assert graphics_of("sixel", env, stdin=terminal.slave, stdout=terminal.slave) == Graphics("sixel", (10, 20))
    assert terminal.asked == b"", "what is wished is believed"


@pytest.mark.parametrize("terminal", [SIXEL_ANSWER], indirect=True)
def test_half_blocks_on_wish_and_where_there_is_no_terminal(terminal: Terminal) -> None:
    env = {"TERM": "xterm-256color"}
    assert graphics_of("blocks", env, stdin=terminal.slave, stdout=terminal.slave) == BLOCKS
    read, write = os.pipe()
    assert graphics_of("sixel", env, stdin=read, stdout=write) == BLOCKS
    os.close(read)
    os.close(write)
    assert terminal.asked == b""


def test_no_answer_is_no_picture() -> None:
    assert kind_of(b"") == "blocks"
    assert kind_of(b"\x1b[?14;44c") == "blocks", "4 is a number of its own"
