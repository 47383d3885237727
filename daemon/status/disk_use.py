"""How fast the session's disk fills, and how much of that is the session's own doing.

What a session writes is counted at its movies: the files of each result, and the movies themselves where they lie on
the same disk. Both are means over an hour, so that movies that come in bursts do not make a forecast jump; what others
write on the disk is told beside it and raises no alarm.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from frazil.daemon.store.store import Store

WINDOW_S = 3600.0
_LOOK_S = 10.0
_LEAST_S = 60.0
"""Before that nobody can say how fast the disk shrinks."""
_LEAST_AGE_S = 600.0
"""A session that has just begun, or was gone on with, is measured over no less: a burst is no rate."""
_FEWEST_MOVIES = 5
_BYTES_PER_GB = 1 << 30
_PATHS = (
    "micrograph_path", "micrograph_no_dose_weighting_path", "even_path", "odd_path", "motion_star_path",
    "thumbnail_path", "power_spectrum_path", "restored_path", "particles_path",
)  # fmt: skip
_NEWEST_SQL = f"""
SELECT movie_id, {", ".join(_PATHS)} FROM movies JOIN quality USING (movie_id) WHERE ready_utc_us > ?
"""
_RAW_SQL = (
    "SELECT coalesce(sum(size_bytes), 0) FROM movies WHERE found_utc_us > ? "
    "AND coalesce(mtime_ns // 1000, found_utc_us) > ?"
)
"""Files that were there long before anybody looked take no space now."""
_BEGAN_SQL = "SELECT count(*), min(found_utc_us) FROM movies WHERE greatest(found_utc_us, ready_utc_us) > ?"


@dataclass(frozen=True, slots=True)
class DiskUse:
    """None: not known yet."""

    free_bytes: int | None = None
    session_bytes_per_s: float | None = None
    shrinks_bytes_per_s: float | None = None
    full_in_h: float | None = None
    """By what the session writes, down to the floor below which no movie is started; None: it writes nothing."""


class DiskMeter:
    """Of one session. `look` about once a second.

    Parameters
    ----------
    free_bytes:
        Of the disk with a folder.
    same_disk:
        Whether two folders lie on the same one.
    """

    def __init__(
        self,
        store: Store,
        session_dir: Path,
        raw_root: Path,
        *,
        free_bytes: Callable[[Path], int],
        same_disk: Callable[[Path, Path], bool] | None = None,
    ) -> None:
        self._store, self._session_dir, self._raw_root = store, session_dir, raw_root
        self._free_bytes, self._same_disk = free_bytes, same_disk or on_same_disk
        self._free: deque[tuple[float, int]] = deque()
        self._sizes: dict[str, int] = {}
        """Bytes of the result's files, by movie."""
        self._looked_s = float("-inf")
        self._own: float | None = None

    def look(self, now_s: float, now_utc_us: int, *, floor_gb: float) -> DiskUse:
        """`now_s`: of a clock that is not set. Raises OSError, and what the store raises."""
        free = self._free_bytes(self._session_dir)
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            self._free.append((now_s, free))
            while len(self._free) > 2 and self._free[1][0] <= now_s - WINDOW_S:
                self._free.popleft()
            self._own = self._own_bytes_per_s(now_utc_us)
        first_s, first_free = self._free[0]
        # A disk that somebody cleans up does not shrink.
        shrinks = max(0.0, (first_free - free) / (now_s - first_s)) if now_s - first_s >= _LEAST_S else None
        left = max(0.0, free - floor_gb * _BYTES_PER_GB)
        return DiskUse(free, self._own, shrinks, left / self._own / 3600 if self._own else None)

    def _own_bytes_per_s(self, now_utc_us: int) -> float | None:
        """Over the last hour, or since its first movie where that came later. 0: nothing; None: not known yet."""
        since = now_utc_us - int(WINDOW_S * 1e6)
        movies, began = self._store.rows(_BEGAN_SQL, since)[0]
        if not movies:
            return None if self._own is None else 0.0
        age_s = min(WINDOW_S, max(_LEAST_AGE_S, (now_utc_us - began) / 1e6))
        if movies < _FEWEST_MOVIES and age_s < WINDOW_S:
            return None
        known, rows = self._sizes, self._store.rows(_NEWEST_SQL, since)
        self._sizes = {str(row[0]): known.get(str(row[0])) or self._size(str(row[0]), row[1:]) for row in rows}
        total = sum(self._sizes.values())
        if self._same_disk(self._session_dir, self._raw_root):
            total += int(self._store.rows(_RAW_SQL, since, now_utc_us - int(age_s * 1e6))[0][0])
        return float(total / age_s)

    def _size(self, movie_id: str, paths: tuple[object, ...]) -> int:
        from frazil.daemon.store import result_files  # slow, and not for a screen on which nothing is written

        files = [self._session_dir / str(path) for path in paths if path]
        files.append(result_files.result_path(self._session_dir, movie_id))
        total = 0
        for file in files:
            with contextlib.suppress(OSError):  # gone since: it takes no space
                total += file.stat().st_size
        return total


def on_same_disk(one: Path, other: Path) -> bool:
    """False where one of them cannot be looked at."""
    try:
        return os.stat(one).st_dev == os.stat(other).st_dev
    except OSError:
        return False
