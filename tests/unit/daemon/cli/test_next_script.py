"""The script for SerialEM in docs/targets.md reads what the server writes: run here command by command.

What the commands do is taken from SerialEM's source (MacroCommands.cpp: OpenTextFile, ReadLineToArray, CloseTextFile):
a file that cannot be opened with `T` sets reportedValue1 to 0; blank lines are passed over; at the end of the file it
is 0 and the array stays as it was; arrays count from 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from frazil.daemon.report.next_targets import NextAnswer, next_text

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
FILE = "X:\\next.txt"


def script() -> list[str]:
    found = re.search(r"```text\n(ScriptName TakeOnlyWhatFrazilLists\n.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


class SerialEM:
    """Just as much of its script language as the page uses; anything else is an error."""

    def __init__(self, label: str, files: Mapping[str, str]) -> None:
        self._label, self._files = label, files
        self.variables: dict[str, list[str]] = {}
        self.opened: dict[str, list[str]] = {}
        self.skipped = False

    def run(self, lines: list[str]) -> SerialEM:
        assert not self._block(lines)
        assert self.opened == {}, "left open, it cannot be opened for the next item"
        return self

    def _block(self, lines: list[str]) -> bool:
        """Whether a loop around it is to be left."""
        at = 0
        while at < len(lines):
            words = lines[at].split()
            if words[0] in ("If", "Loop"):
                end = self._end(lines, at, words[0])
                inside, at = lines[at + 1 : end], end + 1
                if self._compound(words, inside):
                    return True
                continue
            if words[0] == "Break":
                return True
            self._command(words)
            at += 1
        return False

    def _compound(self, words: list[str], inside: list[str]) -> bool:
        if words[0] == "If":
            return self._true(words[1:]) and self._block(inside)
        for _ in range(int(words[1])):
            if self._block(inside):
                break
        return False

    @staticmethod
    def _end(lines: list[str], at: int, kind: str) -> int:
        depth = 0
        for place in range(at, len(lines)):
            word = lines[place].split()[0]
            depth += (word == kind) - (word == {"If": "Endif", "Loop": "EndLoop"}[kind])
            if depth == 0:
                return place
        raise AssertionError(f"{kind} without an end")

    def _true(self, words: list[str]) -> bool:
        if "AND" in words:
            at = words.index("AND")
            return self._true(words[:at]) and self._true(words[at + 1 :])
        left, sign, right = (self._value(word) for word in words)
        if left.lstrip("-").isdecimal() and right.lstrip("-").isdecimal():
            return {"==": int(left) == int(right), ">": int(left) > int(right)}[sign]
        assert sign == "==", "texts are alike or not"
        return left == right

    def _value(self, word: str) -> str:
        if not word.startswith("$"):
            return word
        name, _, index = word[1:].rstrip("]").partition("[")
        values = self.variables[name]
        return values[int(index) - 1] if index else " ".join(values)

    def _command(self, words: list[str]) -> None:
        match words:
            case ["ScriptName", _]:
                pass
            case ["ReportNavItem"]:
                self.variables["navLabel"] = [self._label]
            case ["OpenTextFile", name, "T", "0", path]:
                text = self._files.get(path)
                self.variables["reportedValue1"] = [str(int(text is not None))]
                if text is not None:
                    assert name not in self.opened
                    self.opened[name] = [line for line in text.splitlines() if line.split()]
            case ["ReadLineToArray", name, variable]:
                left = self.opened[name]
                self.variables["reportedValue1"] = [str(int(bool(left)))]
                if left:
                    self.variables[variable] = left.pop(0).split()
            case ["CloseTextFile", name]:
                del self.opened[name]
            case ["SkipAcquiringNavItem"]:
                self.skipped = True
            case [variable, "=", *sum_of]:
                terms = [int(self._value(word)) for word in sum_of if word != "+"]
                self.variables[variable] = [str(sum(terms))]
            case _:
                raise AssertionError(f"not in SerialEM's language as it is known here: {' '.join(words)}")


ROW = {
    "rank": 1, "target_id": "serialem:item:1", "name": "12-A", "program": "serialem", "stage_group": None,
    "usable": 0.8, "stage_x_um": 1.0, "stage_y_um": None, "square": "7", "square_id": "sq",
}  # fmt: skip
EMPTY = NextAnswer("", "", None, [], [], [])


def served(*names: str) -> str:
    rows = [{**ROW, "rank": rank, "name": name} for rank, name in enumerate(names, 1)]
    return next_text(replace(EMPTY, targets=rows))


@pytest.mark.parametrize(("label", "skipped"), [("12-A", False), ("13-A", False), ("14-A", True), ("2-A", True)])
def test_items_that_are_not_listed_are_passed_over(label: str, skipped: bool) -> None:
    assert SerialEM(label, {FILE: served("12-A", "13-A")}).run(script()).skipped is skipped


def test_labels_that_are_numbers_are_the_same_number() -> None:
    assert not SerialEM("12", {FILE: served("12", "13")}).run(script()).skipped
    assert SerialEM("1", {FILE: served("12", "13")}).run(script()).skipped, "the rank in front is no label"


@pytest.mark.parametrize("files", [{}, {FILE: ""}, {FILE: "\n\n"}])
def test_without_a_file_or_with_an_empty_one_everything_is_taken(files: dict[str, str]) -> None:
    assert not SerialEM("12-A", files).run(script()).skipped


def test_holes_of_one_multi_shot_item_are_that_item() -> None:
    item = "serialem:item:7"
    holes = [
        {**ROW, "rank": rank, "name": f"12 {key}", "target_id": f"{item}:{key}", "stage_group": item}
        for rank, key in enumerate(("-1 1", "1 1"), 1)
    ]
    text = next_text(replace(EMPTY, targets=holes))
    assert not SerialEM("12", {FILE: text}).run(script()).skipped


def test_the_whole_list_that_is_asked_for_is_read() -> None:
    """The page asks for as many lines as its loop reads."""
    (asked,) = set(re.findall(r"next\.txt\?limit=(\d+)", PAGE))
    assert f"Loop {asked}" in script()
    names = [f"{number}-A" for number in range(int(asked))]
    assert not SerialEM(names[-1], {FILE: served(*names)}).run(script()).skipped
