"""An alert as one line for a person."""

from __future__ import annotations

import re

from frazil.tui.words.formatting import clean, movie_name, shorten_left

_PATH = r"\S+\.(?:tiff?|mrcs?|eer|gain|mdoc|xml)\b"
_ANY_PATH = re.compile(_PATH, re.IGNORECASE)
_LEADING = re.compile(rf"^(?:the )?(?:movie )?({_PATH})(?: is| was| has been)?[ :,]+(.+)$", re.IGNORECASE | re.DOTALL)
LEAST_CELLS = 24
"""What the words are given, however little room there is."""


def words_first(text: object, width: int) -> str:
    """An alert with what happened first and the movie's name behind; of a path only its last part.

    Cut to `width` cells so that both can be seen; words are worth more than the beginning of a name.
    """
    sentence = clean(text)
    match = _LEADING.match(sentence)
    if match is None:
        return _ANY_PATH.sub(lambda path: movie_name(path[0]), sentence)
    name = movie_name(match[1])
    words = match[2]
    room = max(LEAST_CELLS, width - len(name) - 3)
    if len(words) > room:
        name = shorten_left(name, max(12, width // 4))
        room = max(LEAST_CELLS, width - len(name) - 3)
        words = words if len(words) <= room else words[: room - 1].rstrip() + "…"
    return f"{words} · {name}"
