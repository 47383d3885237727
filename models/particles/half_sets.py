"""Which half of the data a particle belongs to: fixed when it is extracted, the same whenever and wherever asked.

Boxes of neighbours on a fibre hold mostly the same pixels, in the same direction: in two halves they would make noise
agree (He & Scheres 2017, J. Struct. Biol. 198, 163, keep a fibre in one half). Particles that only lie near each other
share the corners of their boxes, each in its own orientation and never at the same place of both
(docs/decisions/0045).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence


def half_sets(movie_id: str, count: int, fibre: Sequence[int] = ()) -> tuple[int, ...]:
    """1 or 2 for each particle of a movie, in the order of its picks; a movie's particles are halved to within one.

    `fibre`: number of the fibre that each is a segment of; empty: they are particles, or nobody has kept which fibre
    they are of (results of an earlier frazil, whose halves stay as they were). The segments of a fibre stay together,
    and a movie is halved to within its largest fibre: the largest goes first, each to the half that has less.

    Movies begin with either half: the one particle of many movies would else always fall into the first.

    >>> half_sets("movie 5", 3), half_sets("movie 2", 3)
    ((1, 2, 1), (2, 1, 2))
    >>> half_sets("movie 5", 6, fibre=(7, 4, 4, 7, 4, 9))
    (2, 1, 1, 2, 1, 2)
    """
    start = zlib.crc32(movie_id.encode())
    if not fibre:
        return tuple(1 + (start + number) % 2 for number in range(count))
    if len(fibre) != count:
        raise ValueError(f"{count} segments, but {len(fibre)} numbers of their fibres")
    held, half = [0, 0], {}
    for number, segments in sorted(Counter(fibre).items(), key=lambda one: (-one[1], one[0])):
        chosen = start % 2 if held[0] == held[1] else int(held[1] < held[0])
        half[number] = 1 + chosen
        held[chosen] += segments
    return tuple(half[number] for number in fibre)
