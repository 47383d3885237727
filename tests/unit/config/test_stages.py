"""What each setting touches: every one has a stage, and hashes tell which stage differs."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from frazil.config.errors import SettingsError
from frazil.config.loading import load_settings, parameter_hash, said_by_a_person, with_changes
from frazil.config.reference import KNOWN_KEYS
from frazil.config.sections.touches import Touches
from frazil.config.stages import (
    HASH_DIGITS,
    MOVIE_STAGES,
    STAGE_WORDS,
    TOUCHES,
    Stage,
    declared_stage,
    first_stage,
    keys_of,
    outdated_from,
)

IN_RESULTS = (*MOVIE_STAGES, Stage.RECONSTRUCTION)
DECLARED = {
    Stage.MOTION: {
        "microscope": "voltage_kv pixel_size_angstrom dose_per_frame_e_per_a2 pre_exposure_e_per_a2",
        "camera": (
            "gain no_gain gain_orientation gain_convention defects eer_dose_per_fraction_e_per_a2 counts_per_electron"
        ),
        "motion": (
            "patch_grid_x patch_grid_y b_factor_px2 max_shift_angstrom dose_weighting save_no_dose_weighting "
            "save_even_odd fourier_crop"
        ),
    },
    Stage.CTF: {
        "microscope": "cs_mm amplitude_contrast phase_plate energy_filter beam_shift_um_per_unit",
        "ctf": "min_resolution_angstrom max_resolution_angstrom min_defocus_angstrom max_defocus_angstrom box_px",
        "restoration": "causal_prior",
    },
    Stage.PICKING: {
        "particles": "diameter_angstrom least_diameter_angstrom box_px",
    },
    Stage.RECONSTRUCTION: {
        "particles": "symmetry initial_map map_classes classes",
    },
    Stage.THRESHOLDS: {
        "thresholds": (
            "max_ctf_fit_resolution_angstrom max_astigmatism_angstrom max_total_motion_angstrom min_defocus_um "
            "max_defocus_um max_ice_ring_density cuts"
        ),
    },
    Stage.CAUSES: {"causal": "graph"},
    Stage.NOTHING: {
        "microscope": "name",
        "camera": "name gain_gate_movies",
        "intake": (
            "include exclude recursive scan_interval_s settle_s incomplete_timeout_s sidecar sidecar_wait_s "
            "sidecar_roots sidecar_distrust watch expected_frames"
        ),
        "workers": (
            "count device threads accelerator_type ray_address max_attempts movie_timeout_s prefetch movie_memory_mib"
        ),
        "restoration": "learn",
        "causal": "learn_from forgetting hear_verdicts",
        "evaluation": (
            "provers prover_seconds model citation_graph work_id reference_work_ids references_dir sandbox "
            "sandbox_every_rounds sandbox_cpu_s sandbox_wall_s sandbox_memory_mib pixel_size_error voltage_error "
            "cs_error dose_error gain_error formulas refit_ctf goal_resolution_angstrom microscope_hours_left"
        ),
        "targets": (
            "enabled roots exchange_minutes usable_angstrom value athena_url athena_session athena_token athena_dry_run"
        ),
        "verdict": ("movies fewest good_share stop_share ctf_fit_angstrom early_motion_angstrom ice_nm worth_changing"),
        "store": "min_free_disk_gb query_timeout_s query_max_rows",
        "alerts": (
            "no_movie_minutes lag_minutes lag_window_minutes disk_hours disk_free_gb cause_movies cause_share "
            "late_sidecars least_severity mute quiet_minutes bell smtp_host smtp_port smtp_security smtp_from "
            "smtp_to smtp_user smtp_password webhooks"
        ),
        "http": "port token address host_names",
    },
}
"""Every setting, by the stage that it touches first and its section."""
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
    "causal_prior": True,
    "symmetry": "D7",
    "initial_map": "/map.mrc",
    "classes": False,
}
"""Values that are not those of the preset, where adding something does not make one."""


def test_every_setting_declares_what_it_touches():
    written = {
        f"{section}.{name}": stage
        for stage, sections in DECLARED.items()
        for section, names in sections.items()
        for name in names.split()
    }
    assert dict(TOUCHES) == written
    assert set(TOUCHES) == set(KNOWN_KEYS)
    for stage in Stage:
        assert set(keys_of(stage)) == {key for key, touched in written.items() if touched is stage}
    assert set(STAGE_WORDS) == set(Stage)
    assert sum(HASH_DIGITS.values()) == 32


def test_a_setting_that_declares_no_stage_or_two_is_refused():
    class Section(BaseModel):
        without: float = 1.0
        twice: Annotated[float, Touches(Stage.CTF), Touches(Stage.MOTION)] = 1.0
        once: Annotated[float | None, Touches(Stage.CTF)] = None

    assert declared_stage("section.once", Section.model_fields["once"]) is Stage.CTF
    for name in ("without", "twice"):
        with pytest.raises(TypeError, match=f"section.{name}"):
            declared_stage(f"section.{name}", Section.model_fields[name])


def test_hashes_are_those_that_sessions_have_stored():
    plain = load_settings()
    assert parameter_hash(plain) == "d3973ad41dcf59c1e1f7769350317d60"
    preset = load_settings(preset="krios-k3", flags={"pixel_size_angstrom": 0.83, "symmetry": "D7"})
    assert parameter_hash(preset, inputs={"gain": "1234", "defects": ""}) == "02cac6a549ac1c70e2720d9350317d60"


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
