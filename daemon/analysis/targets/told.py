"""When a person is told to go elsewhere: once for each square to leave, and when the grid is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from frazil.daemon.session.notices import Notices
from frazil.daemon.store.target_rows import TargetRoundRow
from frazil.models.targets.words import DONE_SHARE

GRID_DONE = "targets-grid-done"
CHANGE_GRID = "targets-change-grid"
LEAVE = "targets-leave-"
"""How the alerts begin that say to leave a square; its id follows."""
_SURE_ROUNDS = 2
"""So many rounds in succession have to say it: one outlier must not send a person across the grid."""


@dataclass(slots=True)
class LeaveNotices:
    """See the module."""

    notices: Notices
    open_ids: set[str] = field(default_factory=set)
    """Alerts that are open: those of an earlier run of the daemon are handed in."""
    _leaving: str | None = None
    """The square that the newest rounds advise to leave."""
    _rounds: int = 0
    _better: int = 0
    """Rounds in succession that say that another grid is better."""

    def hear(self, row: TargetRoundRow, here_id: str | None, unknown_squares: int = 0) -> None:
        """Tell what this round advises; `here_id`: the square of the newest movie; `unknown_squares`: those whose holes
        nobody knows yet. While there are any, the grid is not done."""
        answer = row.answer
        there_id = answer.ranked[0].square_id if answer.ranked else None
        little_left = not answer.ranked or answer.taken_share >= DONE_SHARE
        done = row.outcomes > 0 and not unknown_squares and little_left
        leave = None if done or there_id in (None, here_id) else here_id
        self._rounds = self._rounds + 1 if leave is not None and leave == self._leaving else 1
        self._leaving = leave
        told: dict[str, tuple[str, str]] = {}
        if done:
            remedy = "change the grid, or pick holes yourself: `frazil next SESSION --pick ID`"
            told[GRID_DONE] = answer.verdict, remedy
        if leave is not None and self._rounds >= _SURE_ROUNDS:
            name = next((one.name for one in answer.squares if one.square_id == leave), leave)
            where = row.line.removeprefix("next: ").partition(";")[0]
            remedy = "`frazil next SESSION` lists the holes to take, with reasons"
            told[f"{LEAVE}{leave}"] = f"leave square {name or leave}: {where} comes next", remedy
        self._better = self._better + 1 if row.other_grid else 0
        if self._better >= _SURE_ROUNDS or (row.other_grid and CHANGE_GRID in self.open_ids):
            told[CHANGE_GRID] = row.other_grid, "`frazil next SESSION --grid NAME` lists its holes"
        for alert_id in self.open_ids - told.keys():
            self.notices.over(alert_id)
        for alert_id in told.keys() - self.open_ids:
            self.notices.alert("warning", "targets", *told[alert_id], alert_id)
        self.open_ids = set(told)
