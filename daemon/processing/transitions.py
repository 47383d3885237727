"""The one table of a movie's life: from where an event takes it where. `Lifecycle` makes no move that is not in it.

`python -m frazil.daemon.processing.transitions` prints it for docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from frazil.daemon.processing import events
from frazil.daemon.processing.places import AT_WORKER, IN_PROCESS, Place, both

_ENDED = frozenset({Place.DONE, Place.SET_ASIDE, Place.OUTDATED, Place.GIVEN_UP})
_WITH_INTAKE = both(Place.SETTLING)
_WAITING = both(Place.AWAITING_GAIN, Place.BEHIND, Place.QUEUED)
_ANYWHERE = frozenset(Place)
_FIRST = frozenset(place for place in Place if not place.redo)
_REDO = _ANYWHERE - _FIRST
_UNDONE = _FIRST - {Place.DONE, Place.GIVEN_UP}
"""Without any result."""


@dataclass(frozen=True, slots=True)
class Transition:
    """`to` None: the movie stays where it is. A target is taken in the form (first result, or redo) of the place that
    is left, where it has two."""

    event: type
    at: frozenset[Place]
    to: Place | None
    when: str = ""
    as_first: bool = False
    """Also a redo goes on as a movie that never had a result."""


_T = Transition
TRANSITIONS: tuple[Transition, ...] = (
    _T(events.Found, _ANYWHERE, None, "it is known already; a new one settles"),
    _T(events.Settling, _ENDED | {Place.SETTLING}, Place.SETTLING),
    _T(events.Settling, IN_PROCESS | {Place.REDO_SETTLING}, None),
    _T(events.Completed, _ENDED | _WITH_INTAKE, Place.AWAITING_GAIN, "the gain gate has not answered"),
    _T(events.Completed, _ENDED | _WITH_INTAKE, Place.BEHIND, "a worker has an older generation of the file"),
    _T(events.Completed, _ENDED | _WITH_INTAKE, Place.QUEUED, "else"),
    _T(events.Completed, IN_PROCESS, None, "it is in process already: the newer values are used"),
    _T(events.Completed, both(Place.IN_HAND), Place.STALE, "in process already, and the values are others"),
    _T(events.Completed, both(Place.WRITING), Place.QUEUED, "in process already, and the values are others"),
    _T(events.Completed, both(Place.WRITING), Place.BEHIND, "and a worker has an older generation of the file"),
    _T(events.ValuesMissing, _UNDONE, Place.SET_ASIDE),
    _T(events.ValuesMissing, _REDO, Place.GIVEN_UP),
    _T(events.Replaced, _ANYWHERE, Place.OUTDATED),
    _T(events.Vanished, _UNDONE, Place.OUTDATED),
    _T(events.Vanished, _REDO, Place.GIVEN_UP, "what is stored is not enough"),
    _T(events.Refused, _UNDONE, Place.SET_ASIDE),
    _T(events.Refused, _REDO, Place.GIVEN_UP),
    _T(events.ValuesChanged, _WAITING, None, "the new values are used"),
    _T(events.ValuesChanged, both(Place.IN_HAND), Place.STALE, "the values are others"),
    _T(events.ValuesChanged, both(Place.IN_HAND, Place.STALE, Place.WRITING), None, "the values are the same"),
    _T(events.ValuesChanged, both(Place.STALE), None),
    _T(events.ValuesChanged, both(Place.WRITING), Place.QUEUED, "the values are others"),
    _T(events.ValuesChanged, both(Place.WRITING), Place.BEHIND, "and a worker has an older generation of the file"),
    _T(events.ResultOutdated, _ENDED - {Place.OUTDATED} | {Place.SETTLING}, Place.SETTLING),
    _T(events.ResultOutdated, frozenset({Place.REDO_SETTLING, Place.OUTDATED}), None),
    _T(events.GainKnown, both(Place.AWAITING_GAIN), Place.QUEUED),
    _T(events.GainKnown, both(Place.AWAITING_GAIN), Place.BEHIND, "a worker has an older generation of the file"),
    _T(events.Started, both(Place.QUEUED), Place.IN_HAND),
    _T(events.NotStarted, both(Place.IN_HAND), Place.QUEUED),
    _T(events.MadeAlready, both(Place.IN_HAND), Place.WRITING),
    _T(events.Answered, both(Place.IN_HAND), Place.WRITING),
    _T(events.Answered, both(Place.STALE), Place.QUEUED, "it is processed again with the new values"),
    _T(events.Failed, AT_WORKER, Place.QUEUED, "another attempt follows"),
    _T(events.Failed, AT_WORKER & _FIRST, Place.SET_ASIDE, "it was the last attempt"),
    _T(events.Failed, AT_WORKER & _REDO, Place.GIVEN_UP, "it was the last attempt, or the file is gone"),
    _T(events.WorkerFree, both(Place.BEHIND), Place.QUEUED, "it was the worker that had the older generation"),
    _T(events.Written, both(Place.WRITING), Place.DONE),
    _T(events.Overtaken, both(Place.WRITING), Place.OUTDATED),
    _T(events.Unstorable, both(Place.WRITING), Place.SET_ASIDE),
    _T(events.Requeued, _ENDED - {Place.OUTDATED} | both(Place.SETTLING), Place.SETTLING, as_first=True),
)
"""Of an event and a place that are not here nothing follows."""


def targets(event: type, at: Place) -> frozenset[Place]:
    """Where an event may take a movie that is there; empty: nothing follows from it."""
    return _TARGETS.get((event, at), frozenset())


def _expanded() -> dict[tuple[type, Place], frozenset[Place]]:
    table: dict[tuple[type, Place], frozenset[Place]] = {}
    for rule in TRANSITIONS:
        for at in rule.at:
            to = at if rule.to is None else rule.to if rule.as_first else rule.to.like(at)
            table[rule.event, at] = table.get((rule.event, at), frozenset()) | {to}
    return table


_TARGETS = _expanded()


def markdown() -> str:
    """The table as docs/architecture.md shows it."""
    lines = ["| event | from | to | when |", "|---|---|---|---|"]
    for rule in TRANSITIONS:
        to = "stays" if rule.to is None else rule.to.value
        lines.append(f"| {rule.event.__name__} | {_names(rule.at)} | {to} | {rule.when} |")
    return "\n".join(lines) + "\n"


def _names(places: frozenset[Place]) -> str:
    """`x*` stands for x and its redo."""
    if places == _ANYWHERE:
        return "anywhere"
    if places == _UNDONE:
        return "anywhere without a result"
    if places == _REDO:
        return "any redo"
    names = []
    for place in (place for place in Place if place in places):
        twin = place.like(Place.SETTLING if place.redo else Place.REDO_SETTLING)
        if twin is place or twin not in places:
            names.append(place.value)
        elif not place.redo:
            names.append(f"{place.value}*")
    return ", ".join(names)


if __name__ == "__main__":
    print(markdown(), end="")
