"""EPU's beam shift while a session goes on: when it is calibrated, and which of its calibrations is to be believed.

A calibration takes the newest exposures that there are at fixed numbers of them, so that it costs the same at the
ten-thousandth as at the thousandth, and says the same whenever it is made of the same exposures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from frazil.models.optics.beam_shift_calibration import BeamShiftAnswer, BeamShiftCalibration

WINDOW = 512
"""Exposures of one calibration, the newest."""
SETTING = "microscope.beam_shift_um_per_unit"
SAME_SHARE = 0.05
"""Of the length: two that differ by more are not the same, and one that is known worse is not used."""
_SAME_ERRORS = 5.0
_FIRST, _SHORTEST_STEP, _LONGEST_STEP = 16, 8, 256

Doubt = Literal["", "none", "vague", "changed", "setting"]
"""Nothing speaks against it; it was not found; its error is too large; two stretches of the session do not agree; a
person says another length."""


@dataclass(frozen=True, slots=True)
class BeamShiftInForce:
    """What is to be believed."""

    calibration: BeamShiftCalibration | None
    """None: movies are not placed by beam shift."""
    words: str
    """For a person."""
    doubt: Doubt = ""


def next_count(count: int) -> int:
    """At how many exposures the next calibration is made, after one of so many.

    >>> [next_count(count) for count in (0, 16, 24, 200, 1000)]
    [16, 24, 36, 300, 1256]
    """
    if count < _FIRST:
        return _FIRST
    return count + min(max(count // 2, _SHORTEST_STEP), _LONGEST_STEP)


def alike(one: BeamShiftCalibration, other: BeamShiftCalibration) -> bool:
    """Whether both put a movie at the same place, within their errors or `SAME_SHARE` of the length."""
    apart = np.abs(np.subtract(one.um_per_unit, other.um_per_unit))
    error = np.hypot(one.error_um_per_unit, other.error_um_per_unit)
    return bool(np.all(apart <= np.maximum(_SAME_ERRORS * error, SAME_SHARE * one.scale_um)))


def in_force(history: Sequence[BeamShiftAnswer], setting_um: float | None) -> BeamShiftInForce:
    """From all calibrations so far, the oldest first (one at least), and what a person says a unit is.

    The newest that was found counts, unless the one before says something else: then it is the microscope that has
    changed, or one of them that is wrong, and the next one tells.
    """
    found = [answer.calibration for answer in history if answer.calibration is not None]
    if not found:
        return BeamShiftInForce(
            None, f"how many um EPU's beam shift of 1 is was not found: {history[-1].reason}", "none"
        )
    newest = found[-1]
    said = f"EPU's beam shift: {_length(newest)}"
    if setting_um is not None and abs(newest.scale_um - setting_um) > SAME_SHARE * setting_um:
        words = f"{said}, but {SETTING} says {setting_um:g}: the setting stands, and no movie is placed by beam shift"
        return BeamShiftInForce(None, words, "setting")
    if newest.scale_error_um > SAME_SHARE * newest.scale_um:
        return BeamShiftInForce(None, f"{said}: too vague to place movies by", "vague")
    if len(found) > 1 and not alike(found[-2], newest):
        before = _length(found[-2])
        words = f"{said}, and {before} before: no movie is placed by beam shift until the next calibration tells"
        return BeamShiftInForce(None, words, "changed")
    return BeamShiftInForce(newest, said)


def _length(one: BeamShiftCalibration) -> str:
    turned = f"{'mirrored and ' if one.mirrored else ''}turned by {one.rotation_deg:.0f} degrees"
    return f"{one.scale_um:.2f} +- {max(one.scale_error_um, 0.01):.2f} um for 1, from {one.hole_count} holes ({turned})"
