"""Values as people read them, each with its unit."""

from __future__ import annotations

import datetime
import math

NOT_KNOWN = "–"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
"""In English whatever the terminal's language: the rest of the screen is."""


def clean(text: object) -> str:
    """A string from outside (file name, reason, note) for the terminal: what cannot be printed, escape sequences
    first of all, becomes a visible replacement. Markup is never interpreted by those who use this."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


def shorten_left(text: str, width: int) -> str:
    """Keeps the end, which is what tells movies apart."""
    if len(text) <= width:
        return text
    return "…" + text[len(text) - width + 1 :] if width > 1 else text[-width:] if width else ""


def movie_name(relative_path: object) -> str:
    """Name of a movie without folders and without the endings that all of them have."""
    name = clean(relative_path).rsplit("/", 1)[-1]
    stem = name.rsplit(".", 1)[0] if "." in name else name
    for ending in ("_Fractions", "_fractions", "_EER"):
        stem = stem.removesuffix(ending)
    return stem or name


def number(value: object, digits: int = 1) -> str:
    """`–` for what is not known or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return NOT_KNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}f}"


def quantity(value: object, unit: str, digits: int = 1) -> str:
    """Number and unit; the unit is left out together with the number."""
    text = number(value, digits)
    return text if text == NOT_KNOWN else f"{text} {unit}"


def count(value: int | None) -> str:
    """Thousands apart: 45 210."""
    return NOT_KNOWN if value is None else f"{value:,}".replace(",", " ")


def duration(seconds: object) -> str:
    """8 s, 2 min 10 s, 3 h 05 min, 2 d 4 h."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return NOT_KNOWN
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(byte_count: float | None) -> str:
    """Powers of 1000, as disks are sold."""
    if byte_count is None:
        return NOT_KNOWN
    value = float(byte_count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} PB"


def day_and_time(utc_us: object, now_utc_us: int) -> str:
    """12 November 14:03 in this terminal's zone; with the year where it is not the present one."""
    if isinstance(utc_us, bool) or not isinstance(utc_us, int) or utc_us <= 0:
        return NOT_KNOWN
    at, now = (datetime.datetime.fromtimestamp(one / 1e6) for one in (utc_us, now_utc_us))
    year = "" if at.year == now.year else f" {at.year}"
    return f"{at.day} {_MONTHS[at.month - 1]}{year} {at:%H:%M}"


def clock(utc_us: object) -> str:
    """Time of day in this terminal's zone."""
    if isinstance(utc_us, bool) or not isinstance(utc_us, int) or utc_us <= 0:
        return NOT_KNOWN
    return datetime.datetime.fromtimestamp(utc_us / 1e6).strftime("%H:%M:%S")
