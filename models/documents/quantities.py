"""Numbers with units in running text: values and ranges, with where they stand.

`-0.8 to -2.0 µm`, `between 0.2 and 2 µm`, `±60°`, `105,000×`, `30 e-/Å2` and a count of something (`40 frames`) are
quantities; a number alone is one without a unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from frazil.models.documents.units import Powers, unit_at

_NUMBER = (
    r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d{1,3}(?: \d{3})+(?=\s?[×x](?![\w]))|"
    r"(?:\d+(?:\.\d+)?|\.\d+)(?:\s?[×x]\s?10\s?(?:\^\s?[-+]?|[-+])\d{1,2}(?!\d|\.\d)|[eE][-+]?\d{1,2}(?!\w))?"
)
"""A power of ten has its `^` (what was raised has one in plain text) or its sign: `3 × 104`, whose raised 4 a PDF has
on the line, cannot be told from so many times 104 (`1024 x 1024` pixels), and is no power."""
_FIRST = re.compile(rf"(?<![\w.,^])(?<![\w)]-)(?P<pm>±\s?)?(?P<sign>[-+]\s?)?(?P<number>{_NUMBER})(?![\d])")
_SECOND = re.compile(
    rf"\s?(?P<by>-|~|to|and|through|until|\.\.\.?|…)\s?(?:about\s|~\s?)?(?P<sign>[-+]\s?)?(?P<number>{_NUMBER})(?![\d])"
)
_COUNTED = {
    "movies": r"movies?(?!\s(?:frame|mode))|micrographs?|image stacks?|movie stacks?",
    "particles": r"particles?(?:\simages?)?",
}
_NOUN = re.compile(
    r"\s(?:(?:dose-fractionated|raw|total|individual|movie|final|initial|selected|good|cryo-EM|single|super-resolution|"
    r"micrograph|of|these|multi-frame|consecutive|equal|non-overlapping)\s){0,2}(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in _COUNTED.items())
    + r"|(?P<frames>(?:movie )?frames?|(?:dose[- ])?fractions?|sub-?frames?))(?![\w-]|\s?/|\sper\ss)"
)
_TIMES = re.compile(r"\s?(?P<kilo>[kK])?\s?[×xX](?![\w])|-fold\b")
_TIMES_BEFORE = re.compile(r"(?<![^\W_])[×x]\s?$")
_PERCENT = re.compile(r"\s?%")
_DECIMAL_COMMA = re.compile(r"(?<![\w.,])(\d{1,2}),(\d{1,3})(?=\s?(?:Å|nm|µm|um|kV|mm|s\b|e-))")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value, or a range from `value` to `high` as it was written; signs are those of the text."""

    value: float
    high: float | None
    powers: Powers
    """Of the units of `frazil.models.documents.units`."""
    tag: str
    """What is counted (`movies`, `particles`, `frames`), `times` (a magnification), `percent`; empty: none of these."""
    begin: int
    end: int
    per_pixel: bool = False
    """The text says so much a pixel."""


def with_points(text: str) -> str:
    """`0,83 Å` as `0.83 Å`: a comma before a unit, where no thousands can be meant."""
    return _DECIMAL_COMMA.sub(lambda match: f"{match[1]}.{match[2]}" if len(match[2]) < 3 else match[0], text)


def quantities(text: str) -> list[Quantity]:
    """All of plain text (`units.plain`), in its order.

    >>> [(q.value, q.high, q.powers) for q in quantities("a defocus of -0.8 to -2.0 µm at 300 kV")]
    [(-0.8, -2.0, (('micrometer', 1),)), (300.0, None, (('kilovolt', 1),))]
    """
    found: list[Quantity] = []
    position = 0
    while (first := _FIRST.search(text, position)) is not None:
        quantity = _quantity(text, first)
        found.append(quantity)
        position = max(quantity.end, first.end())
    return found


def _quantity(text: str, first: re.Match[str]) -> Quantity:
    value, begin = _value(first), first.start()
    powers, tag, end = _unit(text, first.end())
    high: float | None = None
    if first["pm"]:
        value, high = -value, value
    elif (second := _SECOND.match(text, end)) and _is_range(text, first, second):
        again, other_tag, other_end = _unit(text, second.end())
        if not (powers or tag) or (again, other_tag) == (powers, tag):
            high, powers, tag, end = _value(second), again, other_tag, other_end
    before = _TIMES_BEFORE.search(text[max(0, begin - 3) : begin])
    if not tag and not powers and before is not None:
        kilo = text[end : end + 1] in ("k", "K") and not text[end + 1 : end + 2].isalnum()
        begin -= len(before[0])
        tag, value, end = "times", value * (1000 if kilo else 1), end + kilo
    elif tag == "kilo-times":
        tag, value = "times", value * 1000
    per_pixel = ("pixel", -1) in powers and dict(powers).get("electron") is None
    if per_pixel:
        powers = tuple(pair for pair in powers if pair != ("pixel", -1))
    return Quantity(value, high, powers, tag, begin, end, per_pixel)


def _is_range(text: str, first: re.Match[str], second: re.Match[str]) -> bool:
    if second["by"] == "and":
        return (
            re.search(r"\b(?:between|from)\b[^.;]{0,12}$", text[max(0, first.start() - 30) : first.start()]) is not None
        )
    # `300-kV` is no range; `K3-1.0 Å` neither: a number follows in both places only by chance.
    return True


def _value(match: re.Match[str]) -> float:
    digits = match["number"].replace(",", "").replace(" ", "")
    scaled = re.fullmatch(r"(.+?)[×x]10(?:\^|(?=[-+]))([-+]?\d{1,2})", digits)
    value = float(scaled[1]) * 10.0 ** int(scaled[2]) if scaled else float(digits)
    return -value if match["sign"] and match["sign"].startswith("-") else value


def _unit(text: str, end: int) -> tuple[Powers, str, int]:
    """Powers, tag, end."""
    if noun := _NOUN.match(text, end):
        return (), next(name for name in ("movies", "particles", "frames") if noun[name]), noun.end()
    if times := _TIMES.match(text, end):
        return (), "kilo-times" if times["kilo"] else "times", times.end()
    if percent := _PERCENT.match(text, end):
        return (), "percent", percent.end()
    begin = end
    if text[end : end + 1] in (" ", "-"):
        begin = end + 1
    powers, after = unit_at(text, begin)
    if not powers or text[after : after + 1].isalpha():
        return (), "", end
    if powers == (("frame", 1),):
        return (), "frames", after
    return powers, "", after
