"""The order of an experiment: which hole gets which of two settings, by a coin for each pair of neighbours.

Two holes that follow one another in a grid square (and, where it is known, at one position of the stage) are a block; a
coin says which of them gets setting A (permuted blocks of two, stratified). So whatever else differs between holes
(drift of the session, thick and thin squares, the order of acquisition) cannot favour one setting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from frazil.config.errors import UsageError
from frazil.models.causal.experiments.outcomes import outcome_of
from frazil.models.causal.experiments.quantities import Quantity, check_arms, quantity_of

LEAST_HOLES = 24
"""Twelve pairs: below ten no answer about time and signal together is possible, however large the effect."""
MOST_HOLES = 2_000
COVARIATES = ("ice", "defocus_um")
"""What a list of holes may say of a hole beforehand; only this may explain differences between holes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One hole, in the order in which it is to be taken."""

    name: str = ""
    """As it will stand in the movie's file name or sidecar; empty: known by its place in the order."""
    square: str = ""
    group: str = ""
    """Position of the stage; empty: not known."""
    covariates: tuple[float | None, ...] = ()
    """In the order of `COVARIATES`; None: not known."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One hole and its setting."""

    place: int
    """From 1, in the order of acquisition."""
    block: int
    """From 1; two places each."""
    arm: str
    """A or B."""
    target: Target


@dataclass(frozen=True, slots=True)
class Design:
    """A whole experiment, as it is before its first movie."""

    quantity: Quantity
    arms: tuple[float, float]
    """Of A and of B, in the quantity's unit."""
    outcome: str
    """Name of an `Outcome`; chosen before the first movie."""
    seed: int
    assignments: tuple[Assignment, ...]
    left_out: int = 0
    """Holes without a neighbour in their square: they are no part of it."""

    def value_of(self, arm: str) -> float:
        """Setting of one arm."""
        return self.arms[0] if arm == "A" else self.arms[1]

    def words(self) -> str:
        """ "settle time 5 s (A) against settle time 20 s (B)"."""
        return " against ".join(
            f"{self.quantity.arm_words(value)} ({arm})" for arm, value in zip("AB", self.arms, strict=True)
        )


def plan(
    quantity: str, arms: tuple[float, float], targets: Sequence[Target], *, seed: int, outcome: str = "ln_ssnr"
) -> Design:
    """Assign the settings: the same targets, arms and seed give the same order, on every machine.

    Raises
    ------
    UsageError
        Equal or impossible arms, an unknown outcome, too few holes, a hole that is named twice.
    """
    found = quantity_of(quantity)
    checked = check_arms(found, *arms)
    outcome_of(outcome)
    if len(targets) > MOST_HOLES:
        raise UsageError(f"{len(targets)} holes are too many", remedy=f"give at most {MOST_HOLES}")
    names = [target.name for target in targets if target.name]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"the hole {twice[:80]!r} is listed twice", remedy="list each hole once")
    if 0 < len(names) < len(targets):
        raise UsageError("some holes have names and some have none", remedy="name all of them, or none")
    blocks = _pairs(targets)
    if 2 * len(blocks) < LEAST_HOLES:
        raise UsageError(
            f"{2 * len(blocks)} holes with a neighbour in their square are too few to tell two settings apart",
            remedy=f"give at least {LEAST_HOLES}, better 100 to 300",
        )
    assigned: dict[int, tuple[int, str]] = {}
    for block, pair in enumerate(blocks, 1):
        order = "AB" if _coin(seed, block) else "BA"
        assigned |= {place: (block, arm) for place, arm in zip(pair, order, strict=True)}
    assignments = tuple(
        Assignment(place, assigned[index][0], assigned[index][1], targets[index])
        for place, index in enumerate(sorted(assigned), 1)
    )
    return Design(found, checked, outcome, seed, assignments, left_out=len(targets) - len(assignments))


def _coin(seed: int, block: int) -> bool:
    """From a hash: no generator's stream that another release could change."""
    return bool(hashlib.sha256(f"frazil-experiment:{seed}:{block}".encode()).digest()[0] & 1)


def _pairs(targets: Sequence[Target]) -> list[tuple[int, int]]:
    """Indices of neighbours, in order: within a square and a position of the stage; what is left over there pairs with
    what is left over at the square's other positions."""
    waiting: dict[tuple[str, str], int] = {}
    pairs = []
    for index, target in enumerate(targets):
        # Without names movies are told by their number in the square: a hole left out has to be the last one there.
        key = (target.square, target.group if target.name else "")
        if key in waiting:
            pairs.append((waiting.pop(key), index))
        else:
            waiting[key] = index
    over: dict[str, int] = {}
    for (square, _), index in sorted(waiting.items(), key=lambda item: item[1]):
        if square in over:
            pairs.append((over.pop(square), index))
        else:
            over[square] = index
    return sorted((min(pair), max(pair)) for pair in pairs)
