"""A movie's state as people read it, the same word everywhere: the store's names are for programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.models.records import MovieState

STATE_WORDS: Mapping[str, str] = {
    MovieState.READY: "kept",
    MovieState.REJECTED: "rejected",
    MovieState.QUARANTINED: "set aside",
    MovieState.FAILED: "failed",
    MovieState.PROCESSING: "processing",
    MovieState.QUEUED: "queued",
    MovieState.SETTLING: "settling",
    MovieState.FOUND: "found",
    MovieState.OUTDATED: "outdated",
}
"""What is finished first, then what is on its way, in the order in which it is told."""


def counts_words(counts: Mapping[str, int]) -> str:
    """
    >>> counts_words({"found": 2, "ready": 31, "quarantined": 1})
    '31 kept, 1 set aside, 2 found'
    """
    return ", ".join(f"{counts[state]} {word}" for state, word in STATE_WORDS.items() if counts.get(state))
