"""Reasons as people read them: what is true of all rows of a list once, in each row what is its own; and what is
seen of a movie where no cause is decided. Pure.

A reason is clauses behind commas and semicolons, as `models/targets/words.py` makes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_CHANCE = re.compile(r"usable with \d+ % \(\d+ to \d+\)(, )?")
_BETWEEN = re.compile(r"[;,] +")


_JUMP = "drift-burst"
"""The flag of a movie that jumps from one frame to the next."""


def motion_seen(flags: object, shifts: Sequence[Mapping[str, object]]) -> str:
    """Where a movie with a jump has its largest one, by rows of `frame_shifts`; frames count from 1. Empty: no jump.

    >>> places = [(1, 0.0), (2, 0.5), (3, 4.0)]
    >>> rows = [{"frame": n, "shift_x_angstrom": x, "shift_y_angstrom": 0.0} for n, x in places]
    >>> motion_seen("drift-burst,ice-rings", rows), motion_seen("", rows)
    ('motion of 3.5 A between frames 2 and 3', '')
    """
    if _JUMP not in str(flags or "").split(","):
        return ""
    places = [(row.get("shift_x_angstrom"), row.get("shift_y_angstrom")) for row in shifts]
    steps = [
        (math.hypot(x - x0, y - y0), number)
        for number, ((x0, y0), (x, y)) in enumerate(pairwise(places), 1)
        if isinstance(x0, float) and isinstance(y0, float) and isinstance(x, float) and isinstance(y, float)
    ]
    if not steps:
        return "a jump between two frames"
    step, number = max(steps)
    return f"motion of {step:.1f} A between frames {number} and {number + 1}"


def without_chance(reason: str) -> str:
    """The chance has a column of its own.

    >>> without_chance("next hole at this position; usable with 83 % (70 to 91), 45 % is what its time could bring")
    'next hole at this position; 45 % is what its time could bring'
    """
    return _CHANCE.sub("", reason).strip(" ;,")


def reasons_apart(reasons: Sequence[str]) -> tuple[str, list[str]]:
    """What all of them say, and of each what is left; empty where that is the same as in the row above.

    >>> reasons_apart(["picked, 45 % elsewhere", "next hole, 45 % elsewhere", "next hole, 45 % elsewhere"])
    ('45 % elsewhere', ['picked', 'next hole', ''])
    >>> reasons_apart(["a square worth the way"])
    ('', ['a square worth the way'])
    """
    clauses = [[part for part in _BETWEEN.split(without_chance(reason)) if part] for reason in reasons]
    common = [one for one in clauses[0] if all(one in other for other in clauses)] if len(clauses) > 1 else []
    own = ["; ".join(one for one in parts if one not in common) for parts in clauses]
    return "; ".join(common), ["" if number and one == own[number - 1] else one for number, one in enumerate(own)]
