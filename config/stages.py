"""Which part of a movie's processing each setting touches: what has to be done again when it changes. Pure.

Stages follow one upon the other: what touches one touches all that come after it. A setting that has no stage here is
refused by a test, so that a new one is thought about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Stage(StrEnum):
    """The first part of the work that a setting has a say in; the order is that of the work."""

    MOTION = "motion"
    """Reading, gain, alignment and sums: the movie is processed as a whole."""
    CTF = "ctf"
    """The CTF fit, quality, losses and restoration; picking, too."""
    PICKING = "picking"
    """Picks and extracted particles."""
    RECONSTRUCTION = "reconstruction"
    """Only the running map: it is made again from the particles that are there."""
    THRESHOLDS = "thresholds"
    """Only what is kept: micrographs move between `ready` and `rejected`."""
    NOTHING = "nothing"
    """Nothing that is there; the new value holds from now on."""


MOVIE_STAGES = (Stage.MOTION, Stage.CTF, Stage.PICKING)
"""Those in which a movie is processed again."""
STAGE_WORDS: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.MOTION: "the motion and all that follows",
        Stage.CTF: "the CTF and what follows",
        Stage.PICKING: "the picking and what follows",
        Stage.RECONSTRUCTION: "the map alone",
        Stage.THRESHOLDS: "what is kept",
        Stage.NOTHING: "nothing that is there",
    }
)


def _keys(section: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


_BY_STAGE: Mapping[Stage, tuple[str, ...]] = {
    Stage.MOTION: (
        # The dose weights of the sum follow voltage and dose; shifts and their prior are in angstrom.
        *_keys("microscope", "voltage_kv", "pixel_size_angstrom", "dose_per_frame_e_per_a2", "pre_exposure_e_per_a2"),
        *_keys("camera", "gain", "no_gain", "gain_orientation", "gain_convention", "defects"),
        *_keys("camera", "eer_dose_per_fraction_e_per_a2", "counts_per_electron"),
        *_keys("motion", "patch_grid_x", "patch_grid_y", "b_factor_px2", "max_shift_angstrom", "dose_weighting"),
        *_keys("motion", "save_no_dose_weighting", "save_even_odd", "fourier_crop"),
    ),
    Stage.CTF: (
        *_keys("microscope", "cs_mm", "amplitude_contrast", "phase_plate"),
        "microscope.energy_filter",  # of the losses, and of the restoration that they steer
        *_keys("ctf", "min_resolution_angstrom", "max_resolution_angstrom", "min_defocus_angstrom"),
        *_keys("ctf", "max_defocus_angstrom", "box_px"),
    ),
    Stage.PICKING: _keys("particles", "diameter_angstrom", "least_diameter_angstrom", "box_px"),
    Stage.RECONSTRUCTION: _keys("particles", "symmetry", "initial_map", "map_classes"),
    Stage.THRESHOLDS: (
        *_keys("thresholds", "max_ctf_fit_resolution_angstrom", "max_astigmatism_angstrom"),
        *_keys("thresholds", "max_total_motion_angstrom", "min_defocus_um", "max_defocus_um", "max_ice_ring_density"),
        "thresholds.cuts",
    ),
    Stage.NOTHING: (
        *_keys("microscope", "name"),
        *_keys("camera", "name", "gain_gate_movies"),
        # Which files are movies and what is known of them: said of each when it comes.
        *_keys("intake", "include", "exclude", "recursive", "scan_interval_s", "settle_s", "incomplete_timeout_s"),
        *_keys("intake", "sidecar", "sidecar_wait_s", "sidecar_roots", "sidecar_distrust", "watch", "expected_frames"),
        *_keys("workers", "count", "device", "threads", "accelerator_type", "ray_address", "max_attempts"),
        *_keys("workers", "movie_timeout_s", "prefetch", "movie_memory_mib"),
        "restoration.learn",  # a movie keeps the restoration that it has
        *_keys("causal", "learn_from", "forgetting", "graph"),
        *_keys("evaluation", "provers", "prover_seconds", "model", "citation_graph", "work_id", "reference_work_ids"),
        *_keys("evaluation", "references_dir", "sandbox", "sandbox_every_rounds", "sandbox_cpu_s", "sandbox_wall_s"),
        *_keys("evaluation", "sandbox_memory_mib", "pixel_size_error", "voltage_error", "cs_error", "dose_error"),
        *_keys("evaluation", "gain_error", "formulas", "refit_ctf", "goal_resolution_angstrom"),
        "evaluation.microscope_hours_left",
        *_keys("store", "min_free_disk_gb", "query_timeout_s", "query_max_rows"),
        *_keys("alerts", "no_movie_minutes", "lag_minutes", "lag_window_minutes", "disk_hours", "disk_free_gb"),
        *_keys("alerts", "cause_movies", "cause_share", "late_sidecars", "least_severity", "mute", "quiet_minutes"),
        *_keys("alerts", "bell", "smtp_host", "smtp_port", "smtp_security", "smtp_from", "smtp_to", "smtp_user"),
        *_keys("alerts", "smtp_password", "webhooks"),
        *_keys("http", "token", "address", "host_names"),
    ),
}
TOUCHES: Mapping[str, Stage] = MappingProxyType({key: stage for stage, keys in _BY_STAGE.items() for key in keys})
"""`section.key` to the first stage that it touches."""

HASH_DIGITS: Mapping[Stage, int] = MappingProxyType({Stage.MOTION: 12, Stage.CTF: 10, Stage.PICKING: 10})
"""Hexadecimal digits that each stage has in a parameter hash, one after the other."""


def keys_of(stage: Stage) -> tuple[str, ...]:
    """Settings whose first stage this is."""
    return _BY_STAGE[stage]


def first_stage(stages: Iterable[Stage]) -> Stage:
    """The earliest of some stages; `NOTHING` where there are none."""
    order = list(Stage)
    return min(stages, key=order.index, default=Stage.NOTHING)


def outdated_from(made_with: str, in_force: str) -> Stage | None:
    """From which stage on a result made with one parameter hash has to be made again under another; None: not at all.

    A hash that an earlier frazil made says nothing of stages: all is made again.
    """
    start = 0
    for stage in MOVIE_STAGES:
        end = start + HASH_DIGITS[stage]
        if made_with[start:end] != in_force[start:end]:
            return stage
        start = end
    return None if made_with == in_force else Stage.MOTION
