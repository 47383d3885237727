"""An interval as a person reads it."""

from __future__ import annotations


def eighty(low: float, high: float, digits: int, unit: str = "") -> str:
    """` (80 %: 4.6 to 4.8)`. Ends that read the same get one more digit; empty where they read the same then too: the
    value before it is as sure as it is written."""
    for places in (digits, digits + 1):
        ends = f"{low:.{places}f}", f"{high:.{places}f}"
        if ends[0] != ends[1]:
            return f" (80 %: {ends[0]} to {ends[1]}{unit})"
    return ""
