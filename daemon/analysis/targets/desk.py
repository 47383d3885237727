"""Keeps the grid and the advice on it up to date while a session runs.

Everything that reads files, links movies or computes is one piece of work in a thread of its own (`background.py`): a
look at the folders every few seconds, then what has changed, then a round of advice when it is time. The daemon's loop
only starts it and takes what it found. When rounds are made depends on the machine's pace; what a round says depends
only on what it knows, and that is stored with it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from frazil.daemon.analysis.athena.posting import DecisionPoster
from frazil.daemon.analysis.summary import GridSummary
from frazil.daemon.analysis.targets.background import Background
from frazil.daemon.analysis.targets.book import Contradiction
from frazil.daemon.analysis.targets.grid_work import GridWork, WorkDone
from frazil.daemon.analysis.targets.reading import FILE_ALERT
from frazil.daemon.analysis.targets.told import CHANGE_GRID, GRID_DONE, LEAVE, LeaveNotices
from frazil.daemon.session.context import SessionContext
from frazil.daemon.store.target_rows import TargetRoundRow

_LOOK_S = 5.0
"""Between two looks at the folders while nothing happens."""
_SHARE_OF_TIME = 0.2
"""What looking and reading may take of one core."""
_SHARE_AT_FIRST = 0.7
"""The same until everything that was there has been read once."""
_MOST_TOLD = 20
"""Files that a person is told of by name in one run of the daemon."""
_OPEN_SQL = """
SELECT alert_id FROM alerts
WHERE cleared_utc_us IS NULL AND (starts_with(alert_id, ?) OR alert_id IN (?, ?) OR starts_with(alert_id, ?))
"""


class GridDesk:
    """See the module. `step` never waits."""

    def __init__(self, context: SessionContext, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        """`now_ns`: of the clock that files have their times from."""
        self._context, self._clock = context, context.clock
        self._enabled = context.settings.targets.enabled
        self._stop = threading.Event()
        self._work: GridWork | None = None
        self._now_ns = now_ns
        self._background: Background[WorkDone] = Background("frazil-grid")
        self._leave: LeaveNotices | None = None
        self._changed: set[str] = set()
        """Movies that have another result since work was begun last."""
        self._not_before_s = float("-inf")
        self._began_s = 0.0
        self._settled = False
        """The last work left nothing to do, and no movie has ended since."""
        self._told = 0
        self._on_files: set[str] = set()
        """Alerts on files that are open."""
        self.summary = GridSummary()
        self._poster: DecisionPoster | None = None
        if self._enabled and context.settings.targets.athena_url is not None:
            self._poster = DecisionPoster(context, environ=os.environ)

    def movie_ended(self, movie_id: str | None) -> None:
        """A movie has a result, for the first time or again, or (None) will never have one."""
        if movie_id is not None:
            self._changed.add(movie_id)
        self._settled = False

    def step(self) -> None:
        """Take what the work found, and begin more when it is time. Raises what the work raised."""
        self._step(final=False)

    def drained(self, *, final: bool) -> bool:
        """Whether there is nothing under way. With `final` all that is there is read and judged first."""
        if not self._enabled:
            return True
        self._step(final=final)
        return not self._background.busy and (self._settled or not final)

    def _step(self, *, final: bool) -> None:
        if not self._enabled:
            return
        if self._background.busy:
            done = self._background.take()
            if done is not None:
                self._take(done)
        elif final or self._clock() >= self._not_before_s:
            if final and self._settled:
                return
            self._begin(final=final)

    def _begin(self, *, final: bool) -> None:
        if self._work is None:
            raw_root = Path(_raw_root(self._context))
            self._work = GridWork(self._context, raw_root, stop=self._stop.is_set, now_ns=self._now_ns)
            open_ids = {
                str(row[0]) for row in self._context.store.rows(_OPEN_SQL, LEAVE, GRID_DONE, CHANGE_GRID, FILE_ALERT)
            }
            self._on_files = {alert_id for alert_id in open_ids if alert_id.startswith(FILE_ALERT)}
            self._leave = LeaveNotices(self._context.notices, open_ids - self._on_files)
        work, changed = self._work, frozenset(self._changed)
        self._changed.clear()
        self._began_s = self._clock()
        self._not_before_s = self._began_s + _LOOK_S
        self._settled = final
        self._background.start(lambda: work.carry_out(changed, final=final))

    def _take(self, done: WorkDone) -> None:
        spent_s = self._clock() - self._began_s
        share = _SHARE_OF_TIME if done.all_read else _SHARE_AT_FIRST
        pause_s = max(_LOOK_S, spent_s / share - spent_s) if done.all_read else spent_s / share - spent_s
        self._not_before_s = self._clock() + pause_s
        self._settled = self._settled and done.nothing_left and not self._changed
        row = done.round
        if row is not None:
            assert self._leave is not None
            self._leave.hear(row, done.here_id, done.unknown_squares)
        if self._poster is not None and done.decisions is not None:
            self._poster.want(done.decisions)
            self._poster.start()
        self.summary = _summary(done, self.summary)
        for alert_id in self._on_files & done.over:
            self._context.notices.over(alert_id)
        self._on_files -= done.over
        for problem in done.problems:
            text = f"{problem.path}: {problem.note.what}"
            self._tell(text, problem.note.remedy, problem.severity, problem.alert_id)
        for contradiction in done.contradictions:
            self._tell(*_of_contradiction(contradiction))
        for one in done.beam_shift:
            if one.text:
                self._context.notices.alert(one.severity, "targets", one.text, one.remedy, one.alert_id)
            else:
                self._context.notices.over(one.alert_id)

    def _tell(self, text: str, remedy: str, severity: str = "warning", alert_id: str = "") -> None:
        """`alert_id`: of a file, so that it can be over; empty: it stays."""
        self._told += 1
        if self._told == _MOST_TOLD:
            text, remedy, alert_id = "further files of the grid are doubtful, too", "see logs/daemon.log", ""
        if self._told <= _MOST_TOLD:
            self._context.notices.alert(severity, "targets", text, remedy, alert_id)
            self._on_files |= {alert_id} - {""}

    def close(self) -> None:
        """Leave; what is under way is done again at the next start."""
        self._stop.set()
        self._background.close()
        if self._poster is not None:
            self._poster.close()


def _raw_root(context: SessionContext) -> str:
    rows = context.store.rows("SELECT raw_root FROM session LIMIT 1")
    return str(rows[0][0]) if rows else str(context.session_dir)


def _of_contradiction(one: Contradiction) -> tuple[str, str]:
    name = f"{one.target.level} {one.target.name or one.target.target_id}"
    what = f"{one.paths[0]} and {one.paths[1]} do not agree: {name} {one.what}; the second is believed"
    return what, "one of the two is of another grid or outdated: take it out of the folders that are looked in"


def _summary(done: WorkDone, before: GridSummary) -> GridSummary:
    row: TargetRoundRow | None = done.round
    squares, holes, exposed = done.counts
    if row is None:
        line, number, square_id = before.line, before.round, before.square_id
    else:
        ranked = row.answer.ranked
        line, number, square_id = row.line, row.round, ranked[0].square_id if ranked else None
    return GridSummary(line, number, square_id, squares, holes, exposed)
