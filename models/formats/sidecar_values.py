"""Numbers and times as sidecars write them. What cannot be is treated as not said, never passed on."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?$", re.IGNORECASE
)
_SERIALEM = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d\d)\s+(\d\d):(\d\d):(\d\d)$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def number(text: str | None, *, low: float = -math.inf, high: float = math.inf) -> float | None:
    """A finite number in [low, high], else None."""
    if text is None or "_" in text:  # Python reads 1_000 as a number, instruments do not write it
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and low <= value <= high else None


def whole_number(text: str | None, *, low: int = 1, high: int = 1_000_000) -> int | None:
    """A whole number in [low, high] (`40`, `40.0`), else None."""
    value = number(text, low=low, high=high)
    return int(value) if value is not None and value == int(value) else None


def truth(text: str | None) -> bool | None:
    """`true` or `false` in any case, else None."""
    return {"true": True, "false": False}.get((text or "").strip().lower())


def file_name(text: str | None) -> str | None:
    r"""Last part of a Windows or POSIX path (`X:\frames\a.tif` is `a.tif`), None if there is none."""
    if not text:
        return None
    return re.split(r"[\\/]", text.strip())[-1] or None


def utc_us(text: str | None) -> int | None:
    """Microseconds since 1970 of an ISO time (EPU: seven decimals and an offset) or a SerialEM time
    (`07-Dec-20  00:38:42`, `13-Jan-2025  17:15:32`). Without an offset it is taken as UTC: the camera's clock.
    """
    if text is None:
        return None
    stripped = text.strip()
    try:
        if match := _ISO.match(stripped):
            fraction_us = int(((match[7] or "") + "000000")[:6])
            moment = datetime(*(int(match[i]) for i in range(1, 7)), fraction_us, tzinfo=_offset(match[8]))  # type: ignore[misc,arg-type]
        elif match := _SERIALEM.match(stripped):
            year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
            month = _MONTHS.index(match[2].lower()) + 1
            clock = (int(match[4]), int(match[5]), int(match[6]))
            moment = datetime(year, month, int(match[1]), *clock, tzinfo=UTC)
        else:
            return None
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _offset(text: str | None) -> timezone:
    if text is None or text.upper() == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
