"""Is there space in the session's folder: tells a person when it gets low and when it is over, once each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from frazil.daemon.intake.events import SpaceLow, SpaceOk
from frazil.daemon.session.notices import Notices

_BYTES_PER_GB = 1 << 30
_ALERT = "disk-floor"
_BACK = 1.1
"""Of the floor: space that wavers about it is one event."""


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class DiskWatch:
    """See the module. Called from the daemon's own thread."""

    def __init__(
        self,
        folder: Path,
        floor_gb: float,
        notices: Notices,
        post: Callable[[SpaceLow | SpaceOk], None],
        *,
        free_bytes: Callable[[Path], int] = _free_bytes,
    ) -> None:
        """`post`: to the intake, which takes no movie while space is low."""
        self._folder, self._floor_gb, self._notices, self._post = folder, floor_gb, notices, post
        self._free_bytes = free_bytes
        self._looked = False
        self.low = False

    def look(self) -> None:
        """The first look also ends an alert that an earlier run left open."""
        free, floor = self._free_bytes(self._folder), int(self._floor_gb * _BYTES_PER_GB)
        first, self._looked = not self._looked, True
        before, self.low = self.low, free < floor * (_BACK if self.low else 1.0)
        if self.low == before and not (first and not self.low):
            return
        if self.low:
            self._post(SpaceLow(free, floor))
            self._notices.alert(
                "error",
                "disk",
                f"less than {self._floor_gb:.4g} GB are free: no new movie is started",
                "free disk space; processing goes on by itself, and movies on the disk are not lost",
                _ALERT,
            )
            return
        self._notices.over(_ALERT)
        if before:
            self._post(SpaceOk(free))
            self._notices.alert("info", "disk", "there is disk space again: processing goes on")
