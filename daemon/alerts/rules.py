"""Rules that watch a running session and say when something is going wrong, and when it is over: pure, time is given.

A rule looks at measured values a few times a minute. What it finds must last for the rule's `hold_s` before a person is
told (one late movie is no trend), and it is over only when the value has come back past a second, easier limit (a disk
that wavers about one limit would be told of all night). While it lasts it is told of once.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

_BYTES_PER_GB = 1 << 30
_S_PER_MINUTE = 60.0
_S_PER_HOUR = 3600.0
_CLEAR_LAG = 0.5
_CLEAR_DISK_HOURS = 1.5
_CLEAR_DISK_FREE = 1.2
_CLEAR_SHARE = 0.5
_HOLD_DISK_S = 120.0


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """From where on a person is told. None: this rule is off. Each is over at an easier value (`_CLEAR_...`)."""

    no_movie_minutes: float | None = 15.0
    lag_minutes: float | None = 30.0
    """How long the newest movie will wait for its result."""
    lag_window_minutes: float = 10.0
    """Over this time the backlog must have grown, and the lag must have been too long."""
    disk_hours: float | None = 6.0
    """Until the session itself has filled its disk."""
    disk_free_gb: float | None = None
    cause_movies: int = 10
    """How many of the newest results are looked at for a common cause."""
    cause_share: float | None = 0.5
    """Of these, how many must have the same cause named."""
    late_sidecars: int | None = 3
    """Movies, of the newest `cause_movies`, whose sidecar came after they had been taken."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known at one moment. None: not known; a rule that needs it keeps its state."""

    utc_us: int
    expecting: bool = True
    """Movies should be coming: nobody has said that the session ends."""
    last_found_utc_us: int | None = None
    """None: no movie has come yet."""
    watching_since_utc_us: int = 0
    waiting: int = 0
    """Movies that were found and have no result yet."""
    found_per_hour: float | None = None
    ready_per_hour: float | None = None
    free_bytes: int | None = None
    disk_full_in_h: float | None = None
    """By what the session writes. Infinite: it writes nothing."""
    named_causes: Sequence[str | None] = ()
    """Of the newest results, newest first; None: nothing stands out."""
    late_sidecars: int | None = 0
    """Of the newest movies."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule has to say while it holds."""

    rule: str
    severity: str
    subject: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Raised:
    """Tell a person, once."""

    found: Found


@dataclass(frozen=True, slots=True)
class Cleared:
    """It is over."""

    rule: str


Event = Raised | Cleared
_Judgement = tuple[bool, bool, Found | None]
"""(beyond the limit, back past the easier one, the words)"""


@dataclass(slots=True)
class _Watch:
    """One rule. Between the two limits it stays what it is."""

    raised: bool = False
    beyond_since_us: int | None = None
    subject: str = ""

    def step(self, now_us: int, judgement: _Judgement, hold_s: float) -> Raised | bool:
        """`Raised`, or True when it is over, or False."""
        beyond, back, found = judgement
        if self.raised:
            if back:
                self.raised, self.beyond_since_us = False, None
                return True
            return False
        if not beyond or found is None:
            self.beyond_since_us = None
            return False
        if self.beyond_since_us is None:
            self.beyond_since_us = now_us
        if now_us - self.beyond_since_us < hold_s * 1e6:
            return False
        self.raised = True
        return Raised(found)


RULES = ("no-movie", "lag", "disk-hours", "disk-free", "cause", "late-sidecars")


@dataclass(slots=True)
class AlertRules:
    """All rules of a session and what they remember.

    Parameters
    ----------
    raised:
        Names of rules that were telling when the daemon ended: they are not told of again before they are over.
    cause_words:
        Name of a causal factor to (words, remedy).
    """

    limits: RuleLimits
    raised: Collection[str] = ()
    cause_words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _backlog: deque[tuple[int, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        known = {name.partition(":")[0]: name.partition(":")[2] for name in self.raised}
        self._watches = {name: _Watch(raised=name in known, subject=known.get(name, "")) for name in RULES}

    def step(self, now: Measured) -> list[Event]:
        """Take in what is known now; the events that follow, in the order of the rules."""
        self._remember(now)
        window_s = self.limits.lag_window_minutes * _S_PER_MINUTE
        judged: dict[str, tuple[_Judgement, float]] = {
            "no-movie": (self._no_movie(now), 0.0),
            "lag": (self._lag(now), window_s),
            "disk-hours": (self._disk_hours(now), _HOLD_DISK_S),
            "disk-free": (self._disk_free(now), 0.0),
            "cause": (self._cause(now), 0.0),
            "late-sidecars": (self._late_sidecars(now), 0.0),
        }
        events: list[Event] = []
        for name, (judgement, hold_s) in judged.items():
            watch = self._watches[name]
            before = watch.subject
            said = watch.step(now.utc_us, judgement, hold_s)
            if isinstance(said, Raised):
                watch.subject = said.found.rule.partition(":")[2]
                events.append(said)
            elif said:
                events.append(Cleared(f"{name}:{before}" if before else name))
        return events

    def _remember(self, now: Measured) -> None:
        self._backlog.append((now.utc_us, now.waiting))
        oldest = now.utc_us - int(self.limits.lag_window_minutes * _S_PER_MINUTE * 1e6)
        while len(self._backlog) > 2 and self._backlog[1][0] <= oldest:
            self._backlog.popleft()

    # --- the rules: (beyond, back, words) --------------------------------------------------------------------------

    def _no_movie(self, now: Measured) -> _Judgement:
        limit = self.limits.no_movie_minutes
        if limit is None or not now.expecting:
            return False, True, None
        since = max(now.last_found_utc_us or 0, now.watching_since_utc_us)
        minutes = (now.utc_us - since) / 1e6 / _S_PER_MINUTE
        if minutes < limit:
            return False, True, None
        what = "no movie has come" if now.last_found_utc_us is None else "no new movie"
        found = Found(
            "no-movie",
            "warning",
            "acquisition",
            f"{what} for {limit:g} minutes",
            "look at the microscope: autoloader, drift wait, buffer cycle, valves, a message box of the acquisition "
            "program; then at the transfer from the camera",
        )
        return True, False, found

    def _lag(self, now: Measured) -> _Judgement:
        limit = self.limits.lag_minutes
        if limit is None or now.ready_per_hour is None:
            return False, limit is None or not now.waiting, None
        lag_h = now.waiting / now.ready_per_hour if now.ready_per_hour > 0 else math.inf if now.waiting else 0.0
        grown = now.waiting - self._backlog[0][1]
        beyond = lag_h * 60.0 > limit and grown > 0
        back = lag_h * 60.0 < _CLEAR_LAG * limit
        come = "" if now.found_per_hour is None else f"{now.found_per_hour:.0f} movies come an hour, "
        catch_up = "none gets done" if math.isinf(lag_h) else f"{lag_h:.1f} h to catch up once no more come"
        found = Found(
            "lag",
            "warning",
            "lag",
            f"results fall behind: {come}{now.ready_per_hour:.0f} get done; {now.waiting} wait, {catch_up}",
            "more workers or GPUs (workers.count), a smaller grid of patches, or fewer frames (EER: a larger dose a "
            "fraction); movies are kept in order and none is lost",
        )
        return beyond, back, found

    def _disk_hours(self, now: Measured) -> _Judgement:
        limit, hours = self.limits.disk_hours, now.disk_full_in_h
        if limit is None or hours is None:
            return False, limit is None, None
        found = Found(
            "disk-hours",
            "warning",
            "disk",
            f"this session fills its disk in {hours:.1f} h at the rate of its last hour",
            "free space, or move finished sessions away; at store.min_free_disk_gb no new movie is started",
        )
        return hours < limit, hours > _CLEAR_DISK_HOURS * limit, found

    def _disk_free(self, now: Measured) -> _Judgement:
        limit = self.limits.disk_free_gb
        if limit is None or now.free_bytes is None:
            return False, limit is None, None
        free_gb = now.free_bytes / _BYTES_PER_GB
        found = Found(
            "disk-free",
            "warning",
            "disk",
            f"{free_gb:.1f} GB are free on the session's disk, the limit is {limit:g} GB",
            "free space, or move finished sessions away",
        )
        return free_gb < limit, free_gb > _CLEAR_DISK_FREE * limit, found

    def _cause(self, now: Measured) -> _Judgement:
        share, many = self.limits.cause_share, self.limits.cause_movies
        recent = now.named_causes[:many]
        if share is None or not recent:
            return False, share is None, None
        watch = self._watches["cause"]
        counted = Counter(cause for cause in recent if cause is not None)
        if watch.raised:
            # Also over when another cause has taken its place: that one is told of next.
            return False, counted[watch.subject] <= _CLEAR_SHARE * share * many, None
        if not counted:
            return False, True, None
        cause, movies = max(counted.items(), key=lambda item: (item[1], item[0]))
        words, remedy = self.cause_words.get(cause, (cause.replace("_", " "), "`frazil why` says more"))
        found = Found(
            f"cause:{cause}",
            "warning",
            "cause",
            f"{words}: {movies} of the last {len(recent)} movies lose more to it than is usual in this session",
            remedy,
        )
        return movies >= share * many, False, found

    def _late_sidecars(self, now: Measured) -> _Judgement:
        limit = self.limits.late_sidecars
        if limit is None or now.late_sidecars is None:
            return False, limit is None, None
        found = Found(
            "late-sidecars",
            "warning",
            "metadata",
            f"the sidecars of {now.late_sidecars} of the last {self.limits.cause_movies} movies came after the movies "
            "had been taken",
            "raise intake.sidecar_wait_s, or have sidecars copied before their movies",
        )
        return now.late_sidecars >= limit, now.late_sidecars == 0, found
