"""Units as the field writes them, in what is told elsewhere in plain ASCII: `4.2 A` is shown as `4.2 Å`."""

from __future__ import annotations

import re

_CODE_OR_TAG = re.compile(r"(<code>.*?</code>|<bdi>.*?</bdi>|<[^>]*>)", re.DOTALL)
_WRITTEN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\be/A2\b"), "e/Å²"),
    (re.compile(r"(?<=1/)A\b"), "Å"),
    (re.compile(r"\bA/px\b"), "Å/px"),
    (re.compile(r"(?<=\d) A\b(?!-)"), "\u00a0Å"),
    (re.compile(r"(?<=\()A(?=\))"), "Å"),
    (re.compile(r"(?<=\d) ?um\b"), "\u00a0µm"),
    (re.compile(r"(?<![\w/])um\b(?!/)"), "µm"),
    (re.compile(r"(?<=\d) (?=(kV|mm|nm|%|TB|GB|MB)(?!\w))"), "\u00a0"),
    (re.compile(r"\+-"), "±"),
    (re.compile(r"-&gt;"), "→"),
)


def typeset(html: str) -> str:
    """The same page with its units written out; tags, and names (`<code>`, `<bdi>`), stay as they are.

    >>> typeset("<p title='2 um'>fits to 4.2 A, <code>x 2 A.tif</code></p>")
    "<p title='2 um'>fits to 4.2\\xa0Å, <code>x 2 A.tif</code></p>"
    """
    return "".join(part if part.startswith("<") else units(part) for part in _CODE_OR_TAG.split(html) if part)


def units(text: str) -> str:
    """The same for words that are no HTML.

    >>> units("42 % at 3.2 A")
    '42\\xa0% at 3.2\\xa0Å'
    """
    for pattern, written in _WRITTEN:
        text = pattern.sub(written, text)
    return text
