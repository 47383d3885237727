"""Where a movie is between the intake and its result: the states of `lifecycle`, and what the store says in each.

A movie that has a result which is to be made again with other settings goes through the same places once more, in their
`REDO_` form: until the new result is written the old one counts, nobody waits for it, and its row is left alone.
"""

from __future__ import annotations

from enum import StrEnum

from frazil.models.records import MovieState


class Place(StrEnum):
    """See the module. The words are those of docs/architecture.md and of log lines."""

    SETTLING = "settling"
    """With the intake: growing, or looked at again."""
    AWAITING_GAIN = "waiting for gain"
    """Complete; the gain gate has not answered yet."""
    BEHIND = "behind"
    """Complete; a worker still has an older generation of the same file, and both write the same pictures."""
    QUEUED = "queued"
    """Complete; a worker may take it, or will be allowed to after a pause that follows a failure."""
    IN_HAND = "in hand"
    """A worker has it."""
    STALE = "stale"
    """A worker has it, with values that a late sidecar has changed since: its answer will not count."""
    WRITING = "being written"
    """A worker has answered; its result is not durable yet."""
    DONE = "done"
    """Its result is durable."""
    SET_ASIDE = "set aside"
    """It failed for reasons of its own, which are kept; a person may queue it again."""
    OUTDATED = "outdated"
    """A newer file has taken its place, or it went away."""

    REDO_SETTLING = "redo: settling"
    REDO_AWAITING_GAIN = "redo: waiting for gain"
    REDO_BEHIND = "redo: behind"
    REDO_QUEUED = "redo: queued"
    REDO_IN_HAND = "redo: in hand"
    REDO_STALE = "redo: stale"
    REDO_WRITING = "redo: being written"
    GIVEN_UP = "given up"
    """The result could not be made again: that of earlier settings stays."""

    @property
    def redo(self) -> bool:
        """It has a result that counts until the one which is being made takes its place."""
        return self in _REDO.values()

    @property
    def in_process(self) -> bool:
        """Complete, and without the result that it is processed for."""
        return self in IN_PROCESS

    def like(self, other: Place) -> Place:
        """This place in the form of `other`: for a first result, or for one that is made again."""
        first = _FIRST.get(self, self)
        return _REDO.get(first, first) if other.redo else first


_REDO = {
    Place.SETTLING: Place.REDO_SETTLING,
    Place.AWAITING_GAIN: Place.REDO_AWAITING_GAIN,
    Place.BEHIND: Place.REDO_BEHIND,
    Place.QUEUED: Place.REDO_QUEUED,
    Place.IN_HAND: Place.REDO_IN_HAND,
    Place.STALE: Place.REDO_STALE,
    Place.WRITING: Place.REDO_WRITING,
}
_FIRST = {redo: first for first, redo in _REDO.items()}


def both(*places: Place) -> frozenset[Place]:
    """The places, and their forms for a result that is made again."""
    return frozenset(places) | {_REDO[place] for place in places}


AT_WORKER = both(Place.IN_HAND, Place.STALE)
WITH_SCHEDULER = AT_WORKER | both(Place.QUEUED)
IN_PROCESS = WITH_SCHEDULER | both(Place.AWAITING_GAIN, Place.BEHIND, Place.WRITING)

_HAS_RESULT = frozenset({MovieState.READY, MovieState.REJECTED})
STATES_IN_STORE: dict[Place, frozenset[MovieState]] = {
    Place.SETTLING: frozenset({MovieState.FOUND, MovieState.SETTLING, MovieState.QUEUED, MovieState.FAILED}),
    Place.AWAITING_GAIN: frozenset({MovieState.QUEUED}),
    Place.BEHIND: frozenset({MovieState.QUEUED}),
    Place.QUEUED: frozenset({MovieState.QUEUED, MovieState.FAILED}),
    Place.IN_HAND: frozenset({MovieState.PROCESSING}),
    Place.STALE: frozenset({MovieState.PROCESSING}),
    Place.WRITING: frozenset({MovieState.PROCESSING}),
    Place.DONE: _HAS_RESULT,
    Place.SET_ASIDE: frozenset({MovieState.QUARANTINED}),
    Place.OUTDATED: frozenset({MovieState.OUTDATED}),
    Place.GIVEN_UP: _HAS_RESULT,
} | dict.fromkeys(_FIRST, _HAS_RESULT)
"""`movies.state` of a movie in each place. (A movie of an earlier run that is to be processed settles with the state
that it was left in, whichever it is, until the intake has looked at it.)"""
