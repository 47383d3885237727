"""The two clocks of the daemon. Decisions use the monotonic one; UTC is only written down."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic_s(self) -> float: ...
    def utc_us(self) -> int: ...


class SystemClock:
    """The real ones."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_us(self) -> int:
        return time.time_ns() // 1000
