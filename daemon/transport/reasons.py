"""Reasons of a list as people read them: what is true of all rows once, in each row what is its own. Pure.

A reason is clauses behind commas and semicolons, as `models/targets/words.py` makes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_CHANCE = re.compile(r"usable with \d+ % \(\d+ to \d+\)(, )?")
_BETWEEN = re.compile(r"[;,] +")


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
