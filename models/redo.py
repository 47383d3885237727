"""From which stage on one movie has to be processed again: pure."""

from __future__ import annotations

from frazil.config.stages import MOVIE_STAGES, Stage, outdated_from
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.records import MovieResult


def stage_again(
    earlier: MovieResult, acquisition: AcquisitionParameters, *, parameter_hash: str, code_version: str
) -> Stage | None:
    """The first stage whose settings, or whose numbers of the exposure, are others than those of an earlier result.

    None: nothing is. A sidecar may have said other numbers since, which no settings tell. What another frazil made is
    made again as a whole.
    """
    if earlier.code_version != code_version or earlier.evidence is None:
        return Stage.MOTION
    stages = [stage for stage in [outdated_from(earlier.parameter_hash, parameter_hash)] if stage is not None]
    before = earlier.evidence
    dose = acquisition.dose_per_frame_e_per_a2
    if (before.pixel_size_angstrom, before.voltage_kv, before.pre_exposure_e_per_a2) != (
        acquisition.pixel_size_angstrom,
        acquisition.voltage_kv,
        acquisition.pre_exposure_e_per_a2,
    ) or (dose is not None and dose != before.dose_per_frame_e_per_a2):
        stages.append(Stage.MOTION)
    if before.cs_mm != acquisition.cs_mm:
        stages.append(Stage.CTF)
    return min(stages, key=MOVIE_STAGES.index, default=None)


def timings_of_both(earlier: MovieResult, again: MovieResult) -> dict[str, float]:
    """Seconds by stage: those of now, and of before where a stage was not run again."""
    return {t.stage: t.seconds for t in (*earlier.timings, *again.timings)}
