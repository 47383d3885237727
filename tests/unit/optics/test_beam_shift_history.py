"""Which calibration of EPU's beam shift is to be believed: known histories, and what is said of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from frazil.models.optics.beam_shift_calibration import BeamShiftAnswer, BeamShiftCalibration
from frazil.models.optics.beam_shift_history import WINDOW, BeamShiftInForce, in_force, next_count

NOT_FOUND = BeamShiftAnswer(None, "the stage stood at 2 position(s)")


def found(scale_um: float, *, error_um: float = 0.02, turned: bool = False) -> BeamShiftAnswer:
    matrix = ((0.0, -scale_um), (scale_um, 0.0)) if turned else ((scale_um, 0.0), (0.0, -scale_um))
    errors = ((error_um, error_um), (error_um, error_um))
    return BeamShiftAnswer(BeamShiftCalibration(matrix, errors, 0.05, 18, 63, 0.99))


def believed(*history: BeamShiftAnswer, setting_um: float | None = None) -> BeamShiftInForce:
    return in_force(history, setting_um)


def test_a_calibration_is_said_with_its_error_and_what_it_rests_on() -> None:
    state = believed(NOT_FOUND, found(24.334))
    assert state.words == "EPU's beam shift: 24.33 +- 0.01 um for 1, from 63 holes (mirrored and turned by 0 degrees)"
    assert state.calibration is not None
    assert state.doubt == ""
    assert believed(found(24.334), NOT_FOUND).calibration is not None, "a stretch that tells nothing speaks of nothing"


def test_what_was_not_found_has_its_reason() -> None:
    state = believed(NOT_FOUND)
    assert (state.calibration, state.doubt) == (None, "none")
    assert state.words == ("how many um EPU's beam shift of 1 is was not found: the stage stood at 2 position(s)")


@pytest.mark.parametrize("other", [found(27.0), found(24.3, turned=True)])
def test_stretches_that_do_not_agree_place_nothing_until_the_next_tells(other: BeamShiftAnswer) -> None:
    state = believed(found(24.3), other)
    assert (state.calibration, state.doubt) == (None, "changed")
    assert "and 24.30 +- " in state.words
    again = believed(found(24.3), other, other)
    assert again.calibration == other.calibration


def test_errors_and_five_per_cent_are_the_same_microscope() -> None:
    assert believed(found(24.3), found(25.0)).doubt == ""
    assert believed(found(24.0, error_um=0.5), found(26.0, error_um=0.5)).doubt == ""


@pytest.mark.parametrize(
    ("setting_um", "doubt"), [(24.3, ""), (25.0, ""), (23.5, ""), (30.0, "setting"), (12.0, "setting")]
)
def test_a_persons_word_stands(setting_um: float, doubt: str) -> None:
    state = believed(found(24.3), setting_um=setting_um)
    assert state.doubt == doubt
    assert (state.calibration is None) == bool(doubt)
    if doubt:
        assert f"microscope.beam_shift_um_per_unit says {setting_um:g}: the setting stands" in state.words


def test_a_vague_length_places_nothing() -> None:
    state = believed(found(24.0, error_um=3.0))
    assert (state.calibration, state.doubt) == (None, "vague")


def test_calibrations_come_more_seldom_and_never_stop() -> None:
    counts = [next_count(0)]
    while counts[-1] < 10_000:
        counts.append(next_count(counts[-1]))
    steps = [later - earlier for earlier, later in pairwise(counts)]
    assert steps == sorted(steps), "never closer together again"
    assert steps[-1] < WINDOW, "no exposure is left out of all of them"
    assert len(counts) < 60
