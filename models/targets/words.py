"""Why a hole, what is left in a square, and what to do now: in sentences for whoever sits at the microscope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from frazil.models.targets.choice import Choice
from frazil.models.targets.probing import Situation
from frazil.models.targets.records import RankedTarget, SquareOutlook

DONE_SHARE = 0.9
"""Of what a grid can give: from here on it is called done, if the holes of all its squares are known."""


def share_words(value: float, low: float, high: float) -> str:
    """
    >>> share_words(0.83, 0.7, 0.914)
    '83 % (70 to 91)'
    """
    return f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def holes_words(count: int) -> str:
    """
    >>> holes_words(1), holes_words(12)
    ('1 hole', '12 holes')
    """
    return "1 hole" if count == 1 else f"{count} holes"


def signal_words(particles: float) -> str:
    """
    >>> signal_words(1234.2), signal_words(3.21)
    ('a signal of 1,234 particles', 'a signal of 3.2 particles')
    """
    return f"a signal of {particles:,.0f} particles" if particles >= 9.5 else f"a signal of {particles:.2g} particles"


def ice_words(ice_nm: float, ice_sd_nm: float) -> str:
    """
    >>> ice_words(28.4, 6.2)
    'ice 28 +- 6 nm'
    """
    return f"ice {ice_nm:.0f} +- {max(ice_sd_nm, 1.0):.0f} nm"


def unseen_words(squares: int) -> str:
    """Empty: holes are known in all.

    >>> unseen_words(1), unseen_words(199), unseen_words(0)
    (' 1 square has no holes yet.', ' 199 squares have no holes yet.', '')
    """
    if not squares:
        return ""
    return " 1 square has no holes yet." if squares == 1 else f" {squares} squares have no holes yet."


def square_words(square: SquareOutlook, usable_angstrom: float, *, here: bool, looks: int = 0) -> SquareOutlook:
    """The same with its sentence. `here`: the stage is in it; `looks`: so many of its holes are to be shot next to know
    what it is like."""
    name = f"square {square.name or square.square_id or 'without a name'}"
    if not square.left:
        left_out = square.holes > square.exposed + square.no_result
        said = "what is left is left out" if left_out else "nothing is left"
        return replace(square, words=f"{name}: {said}{_no_result_words(square)}")
    said = (
        f"{name}: {share_words(square.usable, square.usable_low, square.usable_high)} of its {holes_words(square.left)}"
    )
    said += f" left expected below {usable_angstrom:g} A"
    if square.exposed:
        said += f"; {square.usable_so_far} of {square.exposed} so far"
    elif not square.no_result:
        said += "; none shot yet"
    said += _no_result_words(square)
    if looks:
        said += f"; {holes_words(looks)} next, to know what it is like"
    elif here:
        said += f"; leave after {square.worth_taking} more" if square.worth_taking else "; leave now"
    elif square.worth_taking:
        said += f"; {square.worth_taking} worth the time"
    else:
        said += "; not worth the way as it looks now"
    return replace(square, words=said)


def _no_result_words(square: SquareOutlook) -> str:
    if not square.no_result:
        return ""
    return f"; {square.no_result} {'more ' if square.exposed else ''}shot, no result yet"


def reason_of(
    now: Situation,
    choice: Choice | None,
    hole: int,
    usable: float,
    ends: tuple[float, float],
    counted: str,
    *,
    picked: bool,
) -> str:
    """Of one exposure in the list; `counted`: one of `VALUES`, in which values and prices are."""
    chance = f"usable with {share_words(usable, *ends)}"
    if counted == "effective_signal":
        chance += f", {signal_words(float(now.value[hole]))} expected"
    if picked:
        return f"picked by a person; {chance}"
    if choice is None:
        return chance
    stop = int(now.holes.stop[hole])
    square = int(now.holes.square_of_stop[stop])
    elsewhere = now.moves.hole * choice.price
    if choice.probe is not None and stop == choice.probe.stop and now.value[hole] <= elsewhere:
        return f"to look: {holes_words(choice.probe.looks)} here tell what its square is like; {chance}"
    worth = signal_words(elsewhere) if counted == "effective_signal" else f"{100 * elsewhere:.0f} %"
    price = f"{worth} is what its time could bring elsewhere"
    if stop == now.here.stop:
        return f"next hole at this position; {chance}, {price}"
    if square == now.here.square:
        return f"another position in this square; {chance}, {price}"
    if choice.probe is not None and stop == choice.probe.stop:
        return f"a square that looks better, {holes_words(choice.probe.looks)} to be sure; {chance}"
    return f"a square worth the way; {chance}, {price}"


def more_words(expected: float, minutes: float, counted: str) -> str:
    """What the time left brings; empty: nothing.

    >>> more_words(1234.0, 90.0, "usable"), more_words(1234.0, 90.0, "effective_signal")
    (' 1234 more usable exposures expected in 1.5 h.', ' In 1.5 h a signal of 1,234 particles more is expected.')
    """
    if not expected:
        return ""
    if counted == "effective_signal":
        return f" In {minutes / 60:.1f} h {signal_words(expected)} more is expected."
    return f" {expected:.0f} more usable exposures expected in {minutes / 60:.1f} h."


def verdict_of(
    now: Situation,
    choice: Choice | None,
    ranked: Sequence[RankedTarget],
    squares: Sequence[SquareOutlook],
    taken: float,
    counted: str,
) -> str:
    """What to do now; `counted`: one of `VALUES`."""
    unseen = unseen_words(now.holes.unseen_squares)
    if not now.holes.ever_open:
        return f"No file names places that are still to be taken.{unseen}"
    if choice is None or not ranked:
        return (
            f"Nothing is left to shoot in the squares looked into.{unseen}"
            if unseen
            else "Nothing is left to shoot on this grid."
        )
    if taken >= DONE_SHARE:
        if unseen:
            return f"Of what the squares looked into can give, {100 * taken:.0f} % is taken.{unseen}"
        return f"This grid is done: {100 * taken:.0f} % of what it can give is taken."
    return _advice(choice, ranked[0], squares) + more_words(choice.expected, now.minutes, counted) + unseen


def _advice(choice: Choice, first: RankedTarget, squares: Sequence[SquareOutlook]) -> str:
    """Where to go, or how long to stay."""
    square = next((one for one in squares if one.square_id == (first.square_id or "")), None)
    name = (square.name or square.square_id or "without a name") if square is not None else ""
    if first.picked:
        return f"Take what was picked first: {first.name}."
    if choice.kind == "look" and choice.probe is not None:
        return f"Look at square {name} next: {holes_words(choice.probe.looks)} tell whether to stay there."
    if choice.kind == "square":
        return f"Go to square {name}."
    left = square.worth_taking if square is not None else 0
    return f"Stay in square {name}: leave after {holes_words(left)} more."
