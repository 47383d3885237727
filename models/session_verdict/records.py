"""What a session looks like at one moment, the limits that it is held against, and the verdict on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

LONGEST_LINE = 60
"""Characters of the verdict's line: it has room beside a sign on 80 columns."""


class Word(StrEnum):
    """The verdict in a word."""

    GO_ON = "go on"
    CHANGE = "change"
    STOP = "stop"
    TOO_EARLY = "too early to say"
    PAUSED = "paused"
    STARTING = "starting"
    STOPPED = "stopped"
    ENDED = "ended without being closed"
    FINISHED = "finished"


class Class(IntEnum):
    """What a finding is about; of two the smaller one is told first."""

    BROKEN = 0
    """Movies do not come, or are not processed."""
    QUALITY = 1
    """They do, and are no good."""
    MACHINERY = 2
    """They are good, and will not be much longer, or late."""
    PAYS = 3
    """Nothing is wrong, and something would be better."""


class Fault(StrEnum):
    """Why one movie is no good; of several the first in this order."""

    SET_ASIDE = "set aside"
    ICE = "thick ice"
    DRIFT = "drift"
    CTF = "poor CTF fits"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class MovieSeen:
    """One of the newest movies that came to an end. None: not known."""

    fault: Fault | None
    """None: a good one."""
    reason: str = ""
    """Why it was rejected or set aside, in words."""
    ice_nm: float | None = None
    early_motion_angstrom: float | None = None
    ctf_fit_angstrom: float | None = None
    square: str = ""
    """Of the grid, by its name; empty: not known."""


@dataclass(frozen=True, slots=True)
class NotGood:
    """Movies with one fault in one square."""

    fault: Fault
    square: str
    """Empty: not known."""
    movies: int


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """Something that the daemon has told a person of and that is not over."""

    alert_id: str
    severity: str
    """warning or error."""
    subject: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Advised:
    """What the causal model advises, as logarithms of signal."""

    action: str
    net_ln_ssnr: float
    """Gain less cost, per hour."""
    net_low_ln_ssnr: float
    """Lower end of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """One moment of a session. None: not known."""

    status: str
    """Of the live record: starting, running, paused, blocked, stopping, finished."""
    ended: int
    """Movies that came to an end: kept, rejected or set aside."""
    total: int
    """All movies."""
    waiting: int
    """Found, and without a result."""
    newest: Sequence[MovieSeen] = ()
    """Of those that came to an end the newest ones, the newest first."""
    good_before: int = 0
    ended_before: int = 0
    """The session's movies before those."""
    not_good: Sequence[NotGood] = ()
    """Of all of the session's movies; looked at when it is over."""
    ready_per_hour: float | None = None
    free_bytes: int | None = None
    disk_full_in_h: float | None = None
    """By what this session writes."""
    session_bytes_per_s: float | None = None
    """What this session writes."""
    no_movie_for_s: float | None = None
    gate_blocks: bool = False
    gate_evidence: str = ""
    gate_remedy: str = ""
    workers: int = 0
    workers_dead: int = 0
    """Given up, or not back since a minute."""
    alerts: Sequence[OpenAlert] = ()
    """Open warnings and errors, errors first, newest first."""
    advised: Sequence[Advised] = ()
    map_words: str = ""
    """`map 3.4 A` (`map_told`); empty: there is none."""


@dataclass(frozen=True, slots=True)
class VerdictLimits:
    """See `VerdictSettings`, where each has its source."""

    movies: int = 24
    fewest: int = 8
    good_share: float = 0.75
    stop_share: float = 0.25
    worth_changing: float = 1.1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    rule: str
    word: Word
    """CHANGE or STOP."""
    kind: Class
    short: str
    """Behind the word, in the verdict's line."""
    long: str
    remedy: str

    @property
    def line(self) -> str:
        """At most `LONGEST_LINE` characters."""
        return fitted(f"{self.word.value}: {self.short}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person is told first."""

    word: Word
    line: str
    """At most `LONGEST_LINE` characters, the word in front."""
    sentence: str
    """The same with what to do and what else is the matter."""
    reasons: tuple[str, ...] = ()
    """Lines of all findings, the worst first; the first is `line`. Where only single movies are not good, `line` and
    `not_good`. Empty: nothing is the matter."""
    rules: tuple[str, ...] = ()
    """Names of the rules of these."""
    action: str = ""
    """What to do about the first; empty: nothing."""
    not_good: str = ""
    """`4 not good: thick ice (3, in square 7), drift (1)`: of the newest movies, of a session that is over of all;
    empty: all are good."""


def fitted(line: str) -> str:
    """The line, or its beginning with an ellipsis.

    >>> len(fitted("x" * 100)), fitted("go on")
    (60, 'go on')
    """
    plain = " ".join(line.split())
    return plain if len(plain) <= LONGEST_LINE else plain[: LONGEST_LINE - 3].rstrip() + "..."
