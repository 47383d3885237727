"""Runs parts of the pipeline again on one movie, with every instrument parameter off by its error.

`rerun` is what goes on inside of the sandbox: it reads the movie, makes a sample of it, runs the parts and the formulas
and hands out its findings after each part, so that what was found lasts when it is stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.config.errors import FrazilError
from frazil.config.settings import EvaluationSettings, Settings
from frazil.models.deconvolution.ssnr import half_spectra_ssnr
from frazil.models.deconvolution.wiener import ctf_parameters
from frazil.models.evaluation.robustness.quantities import GIVEN, QUANTITIES, formula_output, stored_quantities
from frazil.models.evaluation.robustness.rerun_parts import (
    CTF,
    DEPENDS,
    MOTION,
    RESTORATION,
    Image,
    Sums,
    align,
    ctf_part,
    fitted,
    motion_part,
    restoration_part,
)
from frazil.models.evaluation.robustness.sensitivity import (
    WIDE,
    Output,
    Part,
    Runs,
    Sensitivity,
    run_part,
    sensitivities,
)
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.formats.image import read_image_2d
from frazil.models.formats.movie import open_movie
from frazil.models.formula import Formula, parse_formula
from frazil.models.gain.correction import BadPixels
from frazil.models.gain.decision import GainDecision
from frazil.models.gain.movie_gain import MovieGain, read_movie_gain
from frazil.models.records import MovieHeader, MovieResult

SAMPLE_PX = 768
"""Side of the middle of the movie that is run again: seconds instead of minutes, and several hundred angstrom wide."""
FORMULAS = "formulas"
PARTS = (MOTION, CTF, RESTORATION, FORMULAS)


@dataclass(frozen=True, slots=True)
class RerunJob:
    """One movie to be run again."""

    movie_path: str
    """Absolute."""
    micrograph_path: str | None
    """Of the aligned, unweighted sum: what is fitted where the movie itself is gone."""
    result: MovieResult
    acquisition: AcquisitionParameters
    gain: GainDecision | None
    settings: Settings
    movies: tuple[tuple[MovieResult, AcquisitionParameters], ...] = ()
    """All movies of the round: formulas are evaluated for each."""


@dataclass(slots=True)
class Findings:
    """What was found; all of it plain numbers and words, so that it leaves the sandbox as JSON."""

    movie_id: str
    rows: list[Sensitivity] = field(default_factory=list)
    formulas: list[dict[str, Any]] = field(default_factory=list)
    """For each formula and movie: `formula`, `movie_id`, `value`, `uncertainty`."""
    not_run: dict[str, str] = field(default_factory=dict)
    """Parts that could not be run, with the reason."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By part; not part of a verdict."""

    def record(self) -> dict[str, Any]:
        return asdict(self)


def findings_of(record: Mapping[str, Any]) -> Findings:
    """From JSON. Raises KeyError or TypeError for anything else."""
    return Findings(
        str(record["movie_id"]),
        [Sensitivity(**row) for row in record["rows"]],
        list(record["formulas"]),
        dict(record["not_run"]),
        dict(record["seconds"]),
    )


def instrument_errors(
    settings: EvaluationSettings, at: Mapping[str, float], defocus_sd_angstrom: float
) -> dict[str, float]:
    """One sigma of every parameter, in its own unit; the defocus is off by what its fit says of itself."""
    return {
        "pixel_size_angstrom": settings.pixel_size_error * at["pixel_size_angstrom"],
        "voltage_kv": settings.voltage_error * at["voltage_kv"],
        "cs_mm": settings.cs_error * at["cs_mm"],
        "dose_per_frame_e_per_a2": settings.dose_error * at["dose_per_frame_e_per_a2"],
        "gain_error": settings.gain_error,
        "defocus_offset_angstrom": defocus_sd_angstrom,
    }


def rerun(job: RerunJob, tell: Callable[[Findings], None]) -> Findings:
    """Run what can be run; `tell` hears of the findings whenever there is something new."""
    chosen = job.settings.evaluation
    formulas = [parse_formula(name, text, QUANTITIES) for name, text in sorted(chosen.formulas.items())]
    found = Findings(job.result.movie_id)
    found.formulas.extend(_formula_values(job, formulas))
    tell(found)
    rerun = _Rerun(job, found, tell)
    sums, electrons = rerun.motion()
    if sums is not None:
        # A super-resolution movie's sums have larger pixels.
        scale = job.result.pixel_size_angstrom / job.acquisition.pixel_size_angstrom
        rerun.optics(sums, scale, electrons if electrons > 0 else None)
    if formulas:
        rerun.formulas(formulas)
    tell(found)
    return found


def _formula_values(job: RerunJob, formulas: list[Formula]) -> Iterator[dict[str, Any]]:
    """What each formula gives for each movie of the round, with its error."""
    for formula in formulas:
        for result, acquisition in job.movies:
            output = formula_output(formula, stored_quantities(result, acquisition))
            yield {
                "formula": formula.name,
                "movie_id": result.movie_id,
                "value": output.value,
                "uncertainty": output.uncertainty,
            }


class _Rerun:
    """The parts of one rerun, and what they share."""

    def __init__(self, job: RerunJob, found: Findings, tell: Callable[[Findings], None]) -> None:
        self._job, self._found, self._tell = job, found, tell
        self._stored = stored_quantities(job.result, job.acquisition)
        self._at = {name: float(self._stored[name].value) for name in GIVEN}  # type: ignore[arg-type]
        self._at |= {"gain_error": 0.0, "defocus_offset_angstrom": 0.0}
        self._errors = instrument_errors(job.settings.evaluation, self._at, job.result.ctf.defocus_sd_angstrom)
        self._outputs: dict[str, Output] = {}
        self._runs: dict[tuple[str, float], dict[str, Output]] = {}

    def _run(self, name: str, part: Part) -> None:
        begun_s = time.perf_counter()
        wanted = {parameter: self._errors[parameter] for parameter in DEPENDS[name]}
        base, changed = run_part(part, self._at, wanted)
        self._found.rows.extend(sensitivities(name, base, changed, self._at, self._errors))
        self._found.seconds[name] = time.perf_counter() - begun_s
        _keep_numbers(self._outputs, self._runs, base, changed)
        self._tell(self._found)

    def motion(self) -> tuple[Sums | None, float]:
        """Align the sample; the sums to go on with (None: there are none) and their electrons a pixel."""
        job = self._job
        frames = _sample(job, self._found)
        if frames is None:
            return _stored_sum(job, self._found), job.result.quality.mean_counts_per_px
        settings = _motion_settings(job, frames.shape[1:])
        self._run(MOTION, motion_part(frames, job.acquisition, settings))
        aligned = align(frames, self._at, job.acquisition, settings)
        sums = Sums(aligned.dose_weighted, aligned.plain, aligned.even, aligned.odd)
        return sums, float(aligned.plain.mean())

    def optics(self, sums: Sums, scale: float, electrons_per_px: float | None) -> None:
        """CTF and restoration. `scale`: a pixel of the sums over one of the movie."""
        job = self._job
        ctf = ctf_part(sums, job.acquisition, job.settings.ctf, electrons_per_px=electrons_per_px)
        self._run(CTF, _on_sums(ctf, scale))
        if sums.even is None or sums.odd is None:
            self._found.not_run[RESTORATION] = "there are no halves of the exposure"
            return
        binned = _scaled(self._at, scale)
        fit = fitted(sums, binned, job.acquisition, job.settings.ctf, electrons_per_px)
        if not fit.defocus_known:
            self._found.not_run[RESTORATION] = "the sample's rings are too faint for a defocus"
            return
        self._errors["defocus_offset_angstrom"] = fit.defocus_sd_angstrom
        ssnr = half_spectra_ssnr(
            sums.even,
            sums.odd,
            pixel_size_angstrom=binned["pixel_size_angstrom"],
            ctf=ctf_parameters(fit, job.acquisition),
        )
        self._run(RESTORATION, _on_sums(restoration_part(sums, fit, job.acquisition, ssnr), scale))

    def formulas(self, formulas: list[Formula]) -> None:
        """How much each person's formula changes with the instrument's parameters."""
        begun_s = time.perf_counter()
        base = self._stored | self._outputs
        self._found.rows.extend(_formula_rows(formulas, base, self._runs, self._at, self._errors))
        self._found.seconds[FORMULAS] = time.perf_counter() - begun_s


def _formula_rows(
    formulas: list[Formula],
    base: Mapping[str, Output],
    runs: Mapping[tuple[str, float], Mapping[str, Output]],
    at: Mapping[str, float],
    errors: Mapping[str, float],
) -> list[Sensitivity]:
    """How formulas move with the instrument: through the parameters that they name and through what was run again."""

    def outputs(quantities: Mapping[str, Output]) -> dict[str, Output]:
        return {formula.name: formula_output(formula, quantities) for formula in formulas}

    # Wider steps were run for parts that were rough: where another part moves with the same parameter and was not, a
    # formula of both would be half moved.
    everywhere = {key for key in runs if abs(key[1]) < WIDE} | {
        (parameter, step)
        for parameter, step in runs
        if runs[parameter, step].keys() == runs[parameter, math.copysign(1.0, step)].keys()
    }
    changed: Runs = {
        (parameter, step): outputs(
            {**base, **moved}
            | ({parameter: Output(at[parameter] + step * errors[parameter])} if parameter in GIVEN else {})
        )
        for (parameter, step), moved in runs.items()
        if (parameter, step) in everywhere
    }
    rows = sensitivities(FORMULAS, outputs(base), changed, at, errors)
    return [row for row in rows if row.over_error != 0.0]  # a formula has little to do with most parameters


def _keep_numbers(
    outputs: dict[str, Output],
    runs: dict[tuple[str, float], dict[str, Output]],
    base: Mapping[str, Output],
    changed: Runs,
) -> None:
    """What formulas can use: images are let go."""
    outputs.update({name: one for name, one in base.items() if not isinstance(one.value, np.ndarray)})
    for key, moved in changed.items():
        there = runs.setdefault(key, {})
        there.update({name: one for name, one in moved.items() if not isinstance(one.value, np.ndarray)})


def _scaled(at: Mapping[str, float], scale: float) -> dict[str, float]:
    return {**at, "pixel_size_angstrom": at["pixel_size_angstrom"] * scale}


def _on_sums(part: Part, scale: float) -> Part:
    return lambda at: part(_scaled(at, scale))


def _motion_settings(job: RerunJob, shape: tuple[int, ...]) -> Any:
    """Patches of the size that they have in the whole field."""
    motion, header = job.settings.motion, job.result.header
    return motion.model_copy(
        update={
            "patch_grid_x": max(1, round(motion.patch_grid_x * shape[1] / header.width_px)),
            "patch_grid_y": max(1, round(motion.patch_grid_y * shape[0] / header.height_px)),
        }
    )


def _middle(height: int, width: int) -> tuple[slice, slice]:
    h, w = min(height, SAMPLE_PX), min(width, SAMPLE_PX)
    top, left = (height - h) // 2, (width - w) // 2
    return slice(top, top + h), slice(left, left + w)


def _sample(job: RerunJob, findings: Findings) -> Image | None:
    """(F, h, w) corrected frames of the movie's middle, electrons; None, and why, where they cannot be had."""
    try:
        header, window, frames = _raw_frames(job)
    except (FrazilError, OSError) as error:
        findings.not_run[MOTION] = f"the movie cannot be read again ({error})"
        return None
    if len(frames) < 2:
        findings.not_run[MOTION] = "a single frame has no motion"
        return None
    try:
        gain = read_movie_gain(job.gain, header).within(window)
    except (FrazilError, OSError) as error:
        findings.not_run[MOTION] = f"the movie cannot be corrected again ({error})"
        return None
    return _corrected(frames, gain, job.settings.camera.counts_per_electron)


def _raw_frames(job: RerunJob) -> tuple[MovieHeader, tuple[slice, slice], Image]:
    """The movie's header, its middle (rows, columns) and the counts (F, h, w) there."""
    with open_movie(
        Path(job.movie_path),
        eer_dose_per_fraction_e_per_a2=job.settings.camera.eer_dose_per_fraction_e_per_a2,
        pixel_size_angstrom=job.acquisition.pixel_size_angstrom,
    ) as reader:
        window = _middle(reader.header.height_px, reader.header.width_px)
        frames = np.stack([np.array(frame[window], dtype=np.float32) for frame in reader.frames()])
        return reader.header, window, frames


def _corrected(frames: Image, gain: MovieGain, counts_per_electron: float) -> Image:
    """The frames' own memory: multiplied by the gain, bad pixels replaced, in electrons."""
    gain.correct(frames)
    pixels = BadPixels.from_mask(gain.bad_pixels(frames.sum(axis=0), len(frames)))
    frames[:, pixels.bad_y_px, pixels.bad_x_px] = frames[:, pixels.donor_y_px, pixels.donor_x_px]
    frames /= np.float32(counts_per_electron)
    return np.nan_to_num(frames, copy=False, posinf=0.0, neginf=0.0)


def _stored_sum(job: RerunJob, found: Findings) -> Sums | None:
    if job.micrograph_path is None:
        found.not_run[CTF] = found.not_run[RESTORATION] = "neither the movie nor its sum is there"
        return None
    try:
        image: NDArray[np.float32] = read_image_2d(Path(job.micrograph_path))[0]
    except (FrazilError, OSError) as error:
        found.not_run[CTF] = found.not_run[RESTORATION] = f"the sum cannot be read ({error})"
        return None
    middle = torch.from_numpy(np.ascontiguousarray(image[_middle(*image.shape)], dtype=np.float32))
    return Sums(middle, middle, None, None)
