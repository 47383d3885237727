"""Which half of the data a particle belongs to: fixed when it is extracted, the same whenever and wherever asked."""

from __future__ import annotations

import zlib


def half_sets(movie_id: str, count: int) -> tuple[int, ...]:
    """1 or 2 for each particle of a movie, in the order of its picks; a movie's particles are halved to within one.

    Movies begin with either half: the one particle of many movies would else always fall into the first.

    >>> half_sets("movie 5", 3), half_sets("movie 2", 3)
    ((1, 2, 1), (2, 1, 2))
    """
    start = zlib.crc32(movie_id.encode())
    return tuple(1 + (start + number) % 2 for number in range(count))
