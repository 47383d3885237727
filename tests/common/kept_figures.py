"""Figures looked up in benchmarks/results: the small language of docs/status_figures.yaml, and the numbers of a text.

A place is `FILE/key/key ... | operation | operation`. A key of a list is its index. `*` is every entry; `[name=value]`
and `[name!=value]` keep the entries in which that is said, `[~text]` and `[!~text]` those whose own key has (has not)
that text, `[!key,key]` all but those. `#` before it: the keys themselves, for what a benchmark says in words.
Operations: `median`, `percentile N`, `min`, `max`, `sum`, `count`, `at least N` (how many are), `number N` (the Nth
number of a text, from 0), `times N`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
_WORDS = {
    word: number
    for number, word in enumerate(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"), 2)
} | {"none": 0, "no": 0, "twelve": 12, "fifty": 50}
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?|\b(?:" + "|".join(_WORDS) + r")\b", re.IGNORECASE)
_NUMBER_IN_TEXT = re.compile(r"\d+(?:\.\d+)?")
_FILTER = re.compile(r"\[(?P<name>\w*)(?P<sign>!=|=|!~|~|!)(?P<wanted>[^\]]*)\]")


def numbers_of(sentence: str) -> list[str]:
    """Every number of a sentence as it stands there, in order: digits, and words but "one", which mostly is none."""
    return _NUMBER.findall(sentence)


def value_of(number: str) -> float:
    """What `0.13`, `50,000` or `ten` is as a number."""
    return float(_WORDS.get(number.lower(), number.replace(",", "")))


def half_a_digit(number: str) -> float:
    """Half of the last digit that is told: what rounding may have changed. Words and whole numbers: a half."""
    if number.lower() in _WORDS:
        return 0.5
    exponent = Decimal(number.replace(",", "")).as_tuple().exponent
    assert isinstance(exponent, int)
    return 0.5 * 10.0**exponent


@cache
def result(name: str) -> Any:
    """The figures that a benchmark has kept."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _kept(key: str, value: Any, rule: re.Match[str]) -> bool:
    name, sign, wanted = rule["name"], rule["sign"], rule["wanted"]
    if sign in ("~", "!~"):
        return (wanted in key) is (sign == "~")
    if not name:
        return key not in wanted.split(",")
    return (str(value[name]) == wanted) is (sign == "=")


def _step(node: Any, step: str) -> list[Any]:
    if step[0] not in "#*[":
        return [node[int(step)] if isinstance(node, list) else node[step]]
    rules = list(_FILTER.finditer(step))
    if step.removeprefix("#").removeprefix("*") != "".join(rule[0] for rule in rules):
        raise ValueError(f"no step {step!r}")
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    kept = [(str(key), value) for key, value in entries if all(_kept(str(key), value, rule) for rule in rules)]
    return [key if step[0] == "#" else value for key, value in kept]


_SUMMARIES: dict[str, Callable[[list[Any]], float]] = {
    "median": lambda values: float(np.median(values)),
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
}


def _operated(values: list[Any], operation: str) -> list[Any]:
    if operation in _SUMMARIES:
        return [_SUMMARIES[operation](values)]
    verb, _, given = operation.rpartition(" ")
    match verb:
        case "percentile":
            return [float(np.percentile(values, float(given)))]
        case "at least":
            return [sum(value >= float(given) for value in values)]
        case "number":
            return [float(_NUMBER_IN_TEXT.findall(text)[int(given)]) for text in values]
        case "times":
            return [value * float(given) for value in values]
    raise ValueError(f"no operation {operation!r}")


def looked_up(place: str) -> float:
    """The one number that stands at a place (module docstring); more or none of them is an error."""
    path, *operations = (part.strip() for part in place.split(" | "))
    name, *steps = path.split("/")
    nodes = [result(name)]
    for step in steps:
        nodes = [found for node in nodes for found in _step(node, step)]
    for operation in operations:
        nodes = _operated(nodes, operation)
    if len(nodes) != 1 or not isinstance(nodes[0], int | float):
        raise ValueError(f"{place}: {len(nodes)} values, the first is {str(nodes[:1])[:80]}")
    return float(nodes[0])
