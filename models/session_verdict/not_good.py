"""What is the matter with the movies that are not good, and where: one line, the commonest first. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from frazil.models.session_verdict.records import MovieSeen, NotGood

_MOST_OF = 0.5
"""A square that has more than this share of a fault's movies is named."""
_EPU = "GridSquare_"
"""How EPU's names of squares begin."""


def of_movies(movies: Iterable[MovieSeen]) -> tuple[NotGood, ...]:
    """Those of them that are not good, counted by fault and square."""
    found = Counter((movie.fault, movie.square) for movie in movies if movie.fault is not None)
    return tuple(NotGood(fault, square, count) for (fault, square), count in found.items() if fault is not None)


def not_good_words(found: Iterable[NotGood]) -> str:
    """Empty: all are good.

    >>> from frazil.models.session_verdict.records import Fault
    >>> not_good_words([NotGood(Fault.DRIFT, "", 1), NotGood(Fault.ICE, "7", 3)])
    '4 not good: thick ice (3, in square 7), drift (1)'
    """
    by_fault: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        by_fault[one.fault.value][one.square] += one.movies
    if not by_fault:
        return ""
    ranked = sorted(by_fault.items(), key=lambda item: (-item[1].total(), item[0]))
    total = sum(squares.total() for _, squares in ranked)
    return f"{total} not good: " + ", ".join(f"{fault} ({_many(squares)})" for fault, squares in ranked)


def _many(squares: Counter[str]) -> str:
    """How many movies, and in which square all or most of them are; only the number where none stands out."""
    total = squares.total()
    square, count = max(squares.items(), key=lambda item: (item[1], item[0]))
    if not square or count <= _MOST_OF * total:
        return f"{total}"
    name = square.removeprefix(_EPU)
    return f"{total}, in square {name}" if count == total else f"{total}, {count} of them in square {name}"
