"""When something was done, as a person says it: `02:40`, `20min`, `2026-11-25 02:40`. Pure, but for the local zone."""

from __future__ import annotations

import datetime
import re

from frazil.config.errors import UsageError

HOW = "say 02:40, 2026-11-25 02:40 (both local time), 2026-11-25T01:40Z, or how long ago: 20min, 1h30, 90s"
_AGO = re.compile(
    r"(?:(?P<h>\d{1,3}(?:\.\d+)?)\s*h(?:ours?)?)?\s*"
    r"(?:(?P<m>\d{1,4}(?:\.\d+)?)\s*(?:m|min|minutes?|(?=(?:\s*ago)?$)))?\s*"
    r"(?:(?P<s>\d{1,6})\s*(?:s|sec|seconds?))?(?:\s*ago)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_LONGEST_OVER_MIDNIGHT = datetime.timedelta(hours=12)
"""`23:50` said at 00:10 is of yesterday; `03:30` said at 03:00 is still to come, and not of yesterday."""


def time_of(text: str, *, now_utc_us: int, tz: datetime.tzinfo | None = None) -> int:
    """UTC microseconds of what a person says; `tz` is the zone of clocks without one (None: this machine's).

    Raises `UsageError` for what is no time, and for one that is still to come.

    >>> time_of("20min", now_utc_us=1_764_038_400_000_000) - 1_764_038_400_000_000
    -1200000000
    >>> utc = datetime.UTC
    >>> at = time_of("23:50", now_utc_us=time_of("2025-11-25T00:10Z", now_utc_us=2**51), tz=utc)
    >>> datetime.datetime.fromtimestamp(at / 1e6, utc).isoformat()
    '2025-11-24T23:50:00+00:00'
    """
    words = text.strip()
    now = datetime.datetime.fromtimestamp(now_utc_us / 1e6, datetime.UTC)
    at = _clock(words, now, tz) if _CLOCK.fullmatch(words) else _iso(words, tz)
    if at is None:
        return time_ago(words, now_utc_us=now_utc_us)
    at_utc_us = round(at.timestamp() * 1e6)
    if at_utc_us > now_utc_us:
        raise UsageError(
            f"{words} is still to come: it is {_local(now, tz):%H:%M} now", remedy="give a time that has been"
        )
    return at_utc_us


def time_ago(text: str, *, now_utc_us: int) -> int:
    """UTC microseconds of so long ago: `20min` (or `20`), `1h30`, `90s`. Raises `UsageError`.

    >>> [-time_ago(words, now_utc_us=0) // 1_000_000 for words in ("20min", "20", "1h30", "90s", "1.5 h ago")]
    [1200, 1200, 5400, 90, 5400]
    """
    found = _AGO.fullmatch(text.strip())
    parts = {} if found is None else {name: float(value) for name, value in found.groupdict().items() if value}
    if not parts:
        raise UsageError(f"{text.strip()!r} is no time", remedy=HOW)
    seconds = 3600 * parts.get("h", 0.0) + 60 * parts.get("m", 0.0) + parts.get("s", 0.0)
    return now_utc_us - round(seconds * 1e6)


def told(at_utc_us: int, *, now_utc_us: int, tz: datetime.tzinfo | None = None) -> str:
    """The same in words, for whoever said it.

    >>> told(0, now_utc_us=4_200_000_000, tz=datetime.UTC)
    '1970-01-01 00:00, 1 h 10 min ago'
    >>> told(0, now_utc_us=20_000_000, tz=datetime.UTC)
    '1970-01-01 00:00, just now'
    """
    minutes = round((now_utc_us - at_utc_us) / 60e6)
    hours, rest = divmod(minutes, 60)
    since = (f"{hours} h {rest} min ago" if hours else f"{minutes} min ago") if minutes else "just now"
    at = datetime.datetime.fromtimestamp(at_utc_us / 1e6, datetime.UTC)
    return f"{_local(at, tz):%Y-%m-%d %H:%M}, {since}"


def _clock(words: str, now: datetime.datetime, tz: datetime.tzinfo | None) -> datetime.datetime:
    try:
        hour, minute, second = (int(part) for part in f"{words}:0".split(":")[:3])
        of_day = datetime.time(hour, minute, second)
    except ValueError:
        raise UsageError(f"{words} is no time of day", remedy=HOW) from None
    today = _local(now, tz).date()
    at = _zoned(datetime.datetime.combine(today, of_day), tz)
    if at <= now:
        return at
    yesterday = _zoned(datetime.datetime.combine(today - datetime.timedelta(days=1), of_day), tz)
    return yesterday if now - yesterday <= _LONGEST_OVER_MIDNIGHT else at


def _iso(words: str, tz: datetime.tzinfo | None) -> datetime.datetime | None:
    if ":" not in words:
        return None  # a day is no time
    try:
        at = datetime.datetime.fromisoformat(words)
    except ValueError:
        return None
    return at if at.tzinfo is not None else _zoned(at, tz)


def _zoned(at: datetime.datetime, tz: datetime.tzinfo | None) -> datetime.datetime:
    return at.replace(tzinfo=tz) if tz is not None else at.astimezone()


def _local(at: datetime.datetime, tz: datetime.tzinfo | None) -> datetime.datetime:
    return at.astimezone(tz)
