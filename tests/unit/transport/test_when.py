"""A time as a person says it, in a zone with summer time, against times worked out by hand."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest

from frazil.config.errors import UsageError
from frazil.daemon.transport.when import time_ago, time_of

ZURICH = ZoneInfo("Europe/Zurich")


def utc_us(text: str) -> int:
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("now", "said", "meant"),
    [
        ("2026-11-25T03:00+01:00", "02:40", "2026-11-25T01:40Z"),
        ("2026-11-25T03:00+01:00", " 2:40 ", "2026-11-25T01:40Z"),
        ("2026-11-25T03:00+01:00", "02:40:30", "2026-11-25T01:40:30Z"),
        ("2026-11-25T00:10+01:00", "23:50", "2026-11-24T22:50Z"),
        ("2026-07-25T00:10+02:00", "23:50", "2026-07-24T21:50Z"),
        ("2026-11-25T03:00+01:00", "2026-11-24 22:00", "2026-11-24T21:00Z"),
        ("2026-11-25T03:00+01:00", "2026-11-25T01:40Z", "2026-11-25T01:40Z"),
        ("2026-11-25T03:00+01:00", "2026-11-25T01:40-00:10", "2026-11-25T01:50Z"),
        ("2026-11-25T03:00+01:00", "20min", "2026-11-25T01:40Z"),
        ("2026-11-25T03:00+01:00", "20", "2026-11-25T01:40Z"),
        ("2026-11-25T03:00+01:00", "1h30", "2026-11-25T00:30Z"),
        ("2026-11-25T03:00+01:00", "90 s ago", "2026-11-25T01:58:30Z"),
        # The night when clocks went back: 02:30 was twice, and the first of them is meant.
        ("2026-10-25T04:00+01:00", "02:30", "2026-10-25T00:30Z"),
    ],
)
def test_what_is_said_is_the_time_that_is_meant(now: str, said: str, meant: str) -> None:
    assert time_of(said, now_utc_us=utc_us(now), tz=ZURICH) == utc_us(meant)


@pytest.mark.parametrize("said", ["03:01", "2026-11-25T02:00:01Z", "2027-01-01 00:00", "14:00"])
def test_what_is_still_to_come_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="still to come: it is 03:00 now"):
        time_of(said, now_utc_us=utc_us("2026-11-25T03:00+01:00"), tz=ZURICH)


@pytest.mark.parametrize(
    "said", ["", "soon", "25:00", "12:60", "2026-11-25", "20261125", "-5min", "1e9", "ago", "5 apples"]
)
def test_what_is_no_time_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        time_of(said, now_utc_us=utc_us("2026-11-25T03:00+01:00"), tz=ZURICH)


def test_ago_takes_no_clock() -> None:
    with pytest.raises(UsageError, match="is no time"):
        time_ago("02:40", now_utc_us=0)
