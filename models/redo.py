"""From which stage on one movie has to be processed again: pure."""

from __future__ import annotations

from collections.abc import Mapping

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


_AFTER_MOTION = ("open", "ctf", "quality", "attribute", "restore", "pick", "extract", "write")
_PICKING = ("pick", "extract", "write")


def seconds_again(stage: Stage, seconds: Mapping[str, float], *, halves_kept: bool) -> float:
    """What a movie costs a worker from a stage on, by what the stages of movies have cost (`StageTiming.stage`).

    Without the halves of the exposure (`motion.save_even_odd`) the movie is read and summed again for the CTF.
    """
    again: tuple[str, ...] = ()
    match stage:
        case Stage.MOTION:
            again = tuple(seconds)
        case Stage.CTF:
            again = _AFTER_MOTION if halves_kept else (*_AFTER_MOTION, "read", "sum")
        case Stage.PICKING:
            again = _PICKING
    return sum(seconds.get(name, 0.0) for name in again)
