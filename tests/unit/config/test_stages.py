"""What each setting touches: every one has a stage, and hashes tell which stage differs."""

from __future__ import annotations

import pytest

from frazil.config.errors import SettingsError
from frazil.config.loading import load_settings, parameter_hash, said_by_a_person, with_changes
from frazil.config.reference import KNOWN_KEYS
from frazil.config.stages import HASH_DIGITS, MOVIE_STAGES, STAGE_WORDS, TOUCHES, Stage, first_stage, outdated_from

IN_RESULTS = (*MOVIE_STAGES, Stage.RECONSTRUCTION)
OTHER = {
    "gain": "/other.mrc",
    "no_gain": True,
    "gain_orientation": "rot90",
    "gain_convention": "divide",
    "defects": "/defects.txt",
    "dose_weighting": False,
    "save_no_dose_weighting": False,
    "save_even_odd": True,
    "fourier_crop": 2.0,
    "energy_filter": False,
    "phase_plate": True,
    "amplitude_contrast": 0.07,
    "least_diameter_angstrom": 100.0,
    "symmetry": "D7",
    "initial_map": "/map.mrc",
}
"""Values that are not those of the preset, where adding something does not make one."""


def test_every_setting_has_a_stage_and_no_stage_names_a_setting_that_is_not_there():
    assert set(TOUCHES) == set(KNOWN_KEYS), "give a new setting its stage in config/stages.py"
    assert set(STAGE_WORDS) == set(Stage)
    assert sum(HASH_DIGITS.values()) == 32


@pytest.mark.parametrize(
    "key", [key for key, stage in TOUCHES.items() if stage in (*MOVIE_STAGES, Stage.RECONSTRUCTION)]
)
def test_a_changed_setting_outdates_results_from_its_stage_on(key):
    before = load_settings(preset="krios-k3", flags={"pixel_size_angstrom": 1.0, "diameter_angstrom": 150.0})
    section, _, leaf = key.partition(".")
    present = getattr(getattr(before, section), leaf)
    value = OTHER[leaf] if leaf in OTHER else (1.25 if present is None and leaf != "box_px" else (present or 254) + 2)
    after = with_changes(before, {key: value}, origin="test")
    assert getattr(getattr(after, section), leaf) != present
    stage = outdated_from(parameter_hash(before), parameter_hash(after))
    assert stage == (None if TOUCHES[key] is Stage.RECONSTRUCTION else TOUCHES[key])


def test_two_changes_outdate_from_the_earlier_one_and_a_change_back_outdates_nothing():
    before = load_settings(preset="krios-k3", flags={"pixel_size_angstrom": 1.0})
    hash_before = parameter_hash(before, inputs={"gain": "1"})
    both = with_changes(before, {"diameter_angstrom": 100, "cs_mm": 1.2}, origin="test")
    assert outdated_from(hash_before, parameter_hash(both, inputs={"gain": "1"})) is Stage.CTF
    back = with_changes(both, {"diameter_angstrom": "null", "cs_mm": 2.7}, origin="test")
    assert outdated_from(hash_before, parameter_hash(back, inputs={"gain": "1"})) is None
    assert outdated_from(hash_before, parameter_hash(before, inputs={"gain": "2"})) is Stage.MOTION
    assert outdated_from("of an earlier frazil", hash_before) is Stage.MOTION
    assert first_stage([Stage.PICKING, Stage.CTF, Stage.NOTHING]) is Stage.CTF
    assert first_stage([]) is Stage.NOTHING


def test_changes_are_said_by_a_person_and_what_was_said_before_stays():
    before = load_settings(preset="krios-k3", flags={"pixel_size_angstrom": 1.0})
    after = with_changes(before, {"microscope.cs_mm": "2.0", "cuts": "particle_count >= 3"}, origin="set by ann")
    assert said_by_a_person(after, "microscope.cs_mm") == "set by ann"
    assert said_by_a_person(after, "microscope.pixel_size_angstrom") == "flag --pixel-size-angstrom"
    assert said_by_a_person(after, "microscope.voltage_kv") is None  # still the preset's
    assert after.thresholds.cuts == ("particle_count >= 3",)
    for bad in ({"cs_mmm": 2}, {"box_px": 256}, {"microscope.cs_mm": "much"}, {"least_diameter_angstrom": 50}):
        with pytest.raises(SettingsError):
            with_changes(before, bad, origin="test")
