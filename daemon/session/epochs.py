"""Which version of the causal prior a movie is processed with: pure.

Results must not depend on how fast workers happen to be, or on where the daemon was killed. So movies are counted in
epochs of five by their place in the session (`sequence`), and a movie of epoch e uses the prior that has seen exactly
the movies of the epochs up to e - 3. With the two epochs in between nobody waits in practice. Movies that failed for
good belong to their epoch without evidence (docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

EPOCH_MOVIES = 5
_LAG_EPOCHS = 3


def epoch_of(sequence: int) -> int:
    """The epoch, from 0, that a movie belongs to."""
    return sequence // EPOCH_MOVIES


def prior_version_for(sequence: int) -> int:
    """The version that a movie uses: version v has seen epochs 0 .. v - 1; version 0 is physics alone."""
    return max(0, epoch_of(sequence) - _LAG_EPOCHS + 1)


OUTDATED = "outdated"
"""In place of a parameter hash: versions that were learnt, or are being learnt, while results are made again with other
settings. The chain goes on with them, so that no movie from the microscope waits; when all results are of one kind, it
is made anew (docs/decisions/0027)."""


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What results have to have in common so that one prior may learn from them."""

    parameter_hash: str
    code_version: str


class EpochLedger:
    """Knows which epochs are closed: all of their movies have ended."""

    def __init__(self) -> None:
        self._open: dict[int, set[int]] = {}
        self._highest_sequence = -1
        self._closed = 0

    @property
    def closed(self) -> int:
        """How many epochs are closed: the newest version of the prior that can be made."""
        return self._closed

    @classmethod
    def restored(cls, open_sequences: Iterable[int], ended_sequences: Iterable[int], *, closed: int) -> Self:
        """As it was in an earlier run in which the first `closed` epochs were dealt with, as far as they still are."""
        book = cls()
        for sequence in open_sequences:
            book.begins(sequence)
        for sequence in ended_sequences:
            book.ends(sequence)
        while book.closed < closed and book.close_next() is not None:
            pass
        return book

    def begins(self, sequence: int) -> None:
        """A movie was registered (or queued again)."""
        self._highest_sequence = max(self._highest_sequence, sequence)
        if epoch_of(sequence) >= self._closed:
            self._open.setdefault(epoch_of(sequence), set()).add(sequence)

    def ends(self, sequence: int) -> None:
        """A movie has its result, or will never have one."""
        self._highest_sequence = max(self._highest_sequence, sequence)
        self._open.get(epoch_of(sequence), set()).discard(sequence)

    def close_next(self) -> int | None:
        """Close the next epoch if it is full and all of its movies have ended; returns its number."""
        epoch = self._closed
        full = self._highest_sequence + 1 >= (epoch + 1) * EPOCH_MOVIES
        if not full or self._open.get(epoch):
            return None
        self._open.pop(epoch, None)
        self._closed += 1
        return epoch


def eligible_below(newest_version: int) -> int:
    """Movies with a smaller sequence can start when the prior has this version."""
    return (newest_version + _LAG_EPOCHS) * EPOCH_MOVIES
