"""A session in a list of them, in words."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.tui.words.formatting import clean, day_and_time


def when_words(row: Mapping[str, object], now_utc_us: int) -> str:
    """When it ended, or since when it runs; of one that cannot be read, why."""
    if row["ended_utc_us"] is not None:
        return day_and_time(row["ended_utc_us"], now_utc_us)
    if row["began_utc_us"] is not None:
        return f"since {day_and_time(row['began_utc_us'], now_utc_us)}"
    return clean(row["why"])
