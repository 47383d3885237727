"""Low space is told of once and is over once, also when the daemon was started again meanwhile."""

from __future__ import annotations

import itertools
from pathlib import Path

from frazil.daemon.alerts.disk import DiskWatch
from frazil.daemon.intake.events import SpaceLow, SpaceOk
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.store import Store

GB = 1 << 30


def test_low_space_is_told_of_once_and_ends_also_over_a_restart(store: Store, tmp_path: Path) -> None:
    free = [10.0]
    posted: list[SpaceLow | SpaceOk] = []
    ticks = itertools.count(1)
    notices = Notices(store, utc_us=lambda: next(ticks))

    def started() -> DiskWatch:
        return DiskWatch(tmp_path, 5.0, notices, posted.append, free_bytes=lambda _: int(free[0] * GB))

    def open_errors() -> int:
        store.flush()
        rows = store.named("alerts", {"open_only": True}).as_dicts()
        return sum(row["severity"] == "error" for row in rows)

    watch = started()
    for gb, low in ((10, False), (4.9, True), (5.2, True), (4.0, True), (5.6, False), (5.2, False), (4.9, True)):
        free[0] = gb
        watch.look()
        assert watch.low is low
        assert open_errors() == low
    assert [type(event) for event in posted] == [SpaceLow, SpaceOk, SpaceLow]
    watch = started()  # still low
    watch.look()
    assert (watch.low, open_errors()) == (True, 1)
    free[0] = 100.0
    watch = started()  # a person has made room while the daemon was not there
    watch.look()
    assert (watch.low, open_errors()) == (False, 0)
    watch.look()
    assert isinstance(posted[-1], SpaceLow)  # nothing was low in this run
