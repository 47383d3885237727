"""EPU's beam shift calibrated from the session's own exposures while they come in, and kept with what it rests on.

It tells at which hole a movie was taken whose name does not (`links.py`). What movies lose by coma is not counted by
it: their results would depend on how many were in when it was found. A person who sets
`microscope.beam_shift_um_per_unit` has all of them made again.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.store.movie_states import current
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import BeamShiftRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.formats.grid.epu_ids import hole_id
from frazil.models.formats.grid.movie_link import UmPerShift
from frazil.models.optics.beam_shift_calibration import (
    BeamShiftAnswer,
    BeamShiftCalibration,
    ShiftedExposure,
    calibrate_beam_shift,
)
from frazil.models.optics.beam_shift_history import SETTING, WINDOW, BeamShiftInForce, Doubt, in_force, next_count
from frazil.models.records import AcquisitionMetadata

ALERT = "targets-beam-shift"
_LATE = 200
"""Movies before the newest one that are looked at again: their sidecars may come late."""
_CATCH_UP = 2
"""Calibrations that are made up for, the newest, where exposures came without one (an older frazil's session)."""
_MOVIES_SQL = f"""
SELECT m.sequence, m.metadata_json FROM movies m
WHERE {current("m")} AND m.metadata_json IS NOT NULL AND m.sequence > ? ORDER BY m.sequence
"""
_CALIBRATIONS_SQL = """
SELECT exposures, um_xx, um_xy, um_yx, um_yy, sd_xx, sd_xy, sd_yx, sd_yy, residual_um, clusters, holes, coherence,
       reason, words
FROM beam_shift_calibrations ORDER BY exposures
"""


@dataclass(frozen=True, slots=True)
class ShiftNotice:
    """What a person is told. An empty text: it is over."""

    alert_id: str
    text: str = ""
    remedy: str = ""
    severity: str = "warning"


@dataclass(slots=True)
class BeamShiftWork:
    """See the module."""

    store: Store
    setting_um: float | None
    """What a person says a unit is."""
    utc_us: Callable[[], int]
    stop: Callable[[], bool] = lambda: False
    """Whether to leave off, and to write nothing more."""
    notices: list[ShiftNotice] = field(default_factory=list)
    """Made since somebody took them out."""
    _history: list[BeamShiftAnswer] | None = None
    """None: the store has not been asked."""
    _at: int = 0
    """Exposures of the newest calibration."""
    _read_to: int = -1
    """Number of the newest movie that was looked at."""
    _seen: set[int] = field(default_factory=set)
    _shots: list[tuple[int, ShiftedExposure]] = field(default_factory=list)
    """With the movies' numbers, in their order."""
    _shifted: bool = False
    """A session whose beam was never shifted has nothing to calibrate."""
    _due: bool = True
    """There may be movies that nobody has looked at."""
    _told: Doubt | None = None
    _state: BeamShiftInForce | None = None

    @property
    def um_per_shift(self) -> UmPerShift | None:
        """None: not known, or not to be believed."""
        calibration = None if self._state is None else self._state.calibration
        return None if calibration is None else calibration.um_per_unit

    def changed(self) -> None:
        """A movie has another result: more may be known of where it was taken."""
        self._due = True

    def step(self, book: GridBook, *, everything: bool) -> None:
        """Take up what is new, and calibrate where it is time, with `everything` in any case. Raises what the store
        raises."""
        if not (self._due or everything):
            return
        if self._history is None:
            self._restore()
        self._read()
        self._due = False
        total = len(self._shots) if self._shifted else 0
        due, count = [], next_count(self._at)
        while count <= total:
            due.append(count)
            count = next_count(count)
        if everything and total > (due[-1] if due else self._at) and total >= next_count(0):
            due.append(total)
        for count in due[-_CATCH_UP:]:
            if self.stop():
                return
            self._calibrate(book, count)

    def _restore(self) -> None:
        rows = self.store.rows(_CALIBRATIONS_SQL)
        history = [_answer(row[1:-1]) for row in rows]
        if rows:
            self._at = int(rows[-1][0])
            state = in_force(history, self.setting_um)
            if state.words != rows[-1][-1]:  # a person says something else now
                self._write(self._at, history[-1], state)
            self._judge(state)
        self._history = history

    def _read(self) -> None:
        for number, metadata_json in self.store.rows(_MOVIES_SQL, max(-1, self._read_to - _LATE)):
            self._read_to = max(self._read_to, number)
            if number in self._seen:
                continue
            shot = _shot(msgspec.json.decode(metadata_json, type=AcquisitionMetadata))
            if shot is not None:
                self._seen.add(number)
                insort(self._shots, (number, shot), key=lambda one: one[0])
                self._shifted = self._shifted or bool(shot.shift_x or shot.shift_y)

    def _calibrate(self, book: GridBook, count: int) -> None:
        assert self._history is not None
        shots = [_with_hole(shot, book) for _, shot in self._shots[max(0, count - WINDOW) : count]]
        answer = calibrate_beam_shift(shots)
        first = all(one.calibration is None for one in self._history)
        state = in_force([*self._history, answer], self.setting_um)
        self._write(count, answer, state)
        self._history.append(answer)
        self._at = count
        if first and state.calibration is not None and self.setting_um is None:
            command = f"`frazil set SESSION {SETTING}={state.calibration.scale_um:.2f}`"
            remedy = f"for coma by beam shift in um: {command} (CTF and losses of all movies are made again)"
            self.notices.append(ShiftNotice(ALERT, state.words, remedy, "info"))
        self._judge(state)

    def _write(self, count: int, answer: BeamShiftAnswer, state: BeamShiftInForce) -> None:
        row = BeamShiftRow(count, self.utc_us(), answer, state.words)
        self.store.write(WritePolicy.DURABLE, target_writes.record_beam_shift, row)

    def _judge(self, state: BeamShiftInForce) -> None:
        self._state = state
        if state.doubt == self._told:
            return
        self._told = state.doubt
        for doubt, remedy in _REMEDIES.items():
            said = (state.words, remedy) if doubt == state.doubt else ()
            self.notices.append(ShiftNotice(f"{ALERT}-{doubt}", *said))


_REMEDIES: dict[Doubt, str] = {
    "setting": f"correct {SETTING}, or set it to null",
    "changed": "nothing, if the microscope was aligned anew; else check that the session is of one magnification",
}
"""What a person is told of; the other doubts stand in `frazil next`."""


def _answer(row: tuple[Any, ...]) -> BeamShiftAnswer:
    xx, xy, yx, yy, sd_xx, sd_xy, sd_yx, sd_yy, residual_um, clusters, holes, coherence, reason = row
    if xx is None:
        return BeamShiftAnswer(None, str(reason))
    matrix, errors = ((xx, xy), (yx, yy)), ((sd_xx, sd_xy), (sd_yx, sd_yy))
    return BeamShiftAnswer(BeamShiftCalibration(matrix, errors, residual_um, clusters, holes, coherence))


def _shot(said: AcquisitionMetadata) -> ShiftedExposure | None:
    """None: it does not say where the stage was and how the beam was shifted."""
    x_um, y_um, shift_x, shift_y = said.stage_x_um, said.stage_y_um, said.beam_shift_x_au, said.beam_shift_y_au
    if x_um is None or y_um is None or shift_x is None or shift_y is None:
        return None
    names = said.hole or "", said.beam_shift_group or "", said.grid_square or ""
    return ShiftedExposure(x_um, y_um, shift_x, shift_y, *names)


def _with_hole(shot: ShiftedExposure, book: GridBook) -> ShiftedExposure:
    """With the hole's stage position, where EPU's file of the square tells it; of several grids with such a hole
    nobody knows here which one is meant."""
    found = book.called(hole_id(shot.hole)) if shot.hole else []
    target = found[0].target if len(found) == 1 else None
    if target is None or target.stage_x_um is None or target.stage_y_um is None:
        return shot
    return replace(shot, hole_x_um=target.stage_x_um, hole_y_um=target.stage_y_um)
