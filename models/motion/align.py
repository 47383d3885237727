"""The public entry: a movie in, its motion and its aligned sums out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frazil.config.settings import MotionSettings
from frazil.models.motion.device_frames import on_device
from frazil.models.motion.estimate.binning import build_small_stack
from frazil.models.motion.estimate.field import MotionField, polynomial_coefficients, stored_field
from frazil.models.motion.estimate.local_motion import LocalFit, fit_local_motion
from frazil.models.motion.estimate.patches import cut_patches
from frazil.models.motion.estimate.whole_frame import WholeFrameMotion, align_whole_frames
from frazil.models.motion.frame_source import FrameSource
from frazil.models.motion.sum.sum_filters import fourier_crop
from frazil.models.motion.sum.sum_movie import sum_movie
from frazil.models.records import FrameShifts, LocalModes, LocalMotion

EARLY_EXPOSURE_E_PER_A2 = 4.0
"""Where RELION divides early from late motion (`--dose_motionstats_cutoff` of its import of motion)."""
_TRUSTED_SD_ANGSTROM = 0.32
"""Per axis; 0.45 A in the plane, and the bar is 0.6 A."""
_TRUSTED_LOG_LIKELIHOOD_GAIN = 700.0
"""Ordinary movies have thousands; below this, errors beyond 0.6 A are seen that the stated ones do not cover."""
_TRUSTED_SPLIT_CHI_SQUARE = 2.5
"""1 is expected, and particles and windows bring it to 1.3 (`refinement.TEMPER`): twice that is another motion."""


@dataclass(frozen=True, slots=True)
class AlignedMovie:
    """Motion and sums of one movie; images are (h, w) float32 on the device, `image[y, x]`.

    `even`/`odd` are the unweighted aligned sums of frames 0, 2, ... and 1, 3, ...; `plain` is their sum. A movie of
    one frame has no halves: `dose_weighted`, `plain`, `even` and `odd` are then all the frame itself.
    """

    shifts: FrameShifts
    local_motion: LocalMotion | None
    dose_weighted: Tensor
    plain: Tensor
    even: Tensor
    odd: Tensor
    pixel_size_angstrom: float
    """Of the sums (after Fourier cropping)."""
    field: MotionField
    """The motion with which the sums were made, without the restriction to RELION's polynomial."""


@dataclass(frozen=True, slots=True)
class KnownMotion:
    """Of a movie that was aligned before, under the same settings of motion."""

    shifts: FrameShifts
    local_motion: LocalMotion | None
    modes: LocalModes


@dataclass(frozen=True, slots=True)
class _Exposure:
    """How a movie was taken, as far as its motion and its sums depend on it."""

    pixel_size_angstrom: float
    """Of its frames."""
    voltage_kv: float
    dose_per_frame_e_per_a2: float
    pre_exposure_e_per_a2: float
    """Before its first frame."""


def align_movie(
    source: FrameSource,
    *,
    pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    settings: MotionSettings,
    device: torch.device,
    on_stage: Callable[[str], None] | None = None,
) -> AlignedMovie:
    """Estimate the motion of a movie and make its aligned sums, in two passes over the frames.

    Parameters
    ----------
    on_stage:
        Called with `align_global`, `align_local` and `sum` as each stage begins.

    Returns
    -------
    AlignedMovie
        `shifts.converged` is false whenever the shifts are not to be trusted: too little signal, errors above
        0.32 A per axis, halves of the data that disagree, or motion at the limit of the search.
    """
    mark = on_stage if on_stage is not None else _ignore
    exposure = _Exposure(pixel_size_angstrom, voltage_kv, dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
    if source.frame_count < 1:
        raise ValueError("a movie has at least one frame")
    mark("align_global")
    source = on_device(source, device)
    if source.frame_count == 1:
        return _single_frame(source, pixel_size_angstrom, settings.fourier_crop, device)
    field, shifts, local = _estimated_motion(source, exposure, settings, device, mark)
    mark("sum")
    return _summed(source, field, shifts, local, exposure, settings, device)


def _estimated_motion(
    source: FrameSource,
    exposure: _Exposure,
    settings: MotionSettings,
    device: torch.device,
    mark: Callable[[str], None],
) -> tuple[MotionField, FrameShifts, LocalMotion | None]:
    """Whole-frame motion, and local motion where the former can be trusted and patches are wanted."""
    small = build_small_stack(source, exposure.pixel_size_angstrom, device)
    motion = align_whole_frames(
        small,
        movie_pixel_size_angstrom=exposure.pixel_size_angstrom,
        voltage_kv=exposure.voltage_kv,
        dose_per_frame_e_per_a2=exposure.dose_per_frame_e_per_a2,
        pre_exposure_e_per_a2=exposure.pre_exposure_e_per_a2,
        b_factor_px2=settings.b_factor_px2,
        max_shift_angstrom=settings.max_shift_angstrom,
    )
    mark("align_local")
    field = MotionField.rigid(motion.shift_angstrom)
    local: LocalMotion | None = None
    whole_sd = motion.sd_angstrom
    if settings.patch_grid_x * settings.patch_grid_y > 1 and trusted(motion):
        patches = cut_patches(
            small,
            motion,
            frame_size_px=(source.height_px, source.width_px),
            grid_x=settings.patch_grid_x,
            grid_y=settings.patch_grid_y,
            dose_per_frame_e_per_a2=exposure.dose_per_frame_e_per_a2,
            pre_exposure_e_per_a2=exposure.pre_exposure_e_per_a2,
            voltage_kv=exposure.voltage_kv,
        )
        fit = fit_local_motion(patches, motion)
        local = local_motion_record(fit, settings)
        whole_sd = fit.whole_frame_sd_angstrom
        if fit.accepted:
            field = fit.field
    shifts = frame_shifts(field.whole_frame_angstrom, whole_sd, exposure.dose_per_frame_e_per_a2, trusted(motion))
    return field, shifts, local


def sum_again(
    known: KnownMotion,
    source: FrameSource,
    *,
    pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    settings: MotionSettings,
    device: torch.device,
    on_stage: Callable[[str], None] | None = None,
) -> AlignedMovie:
    """The sums of a movie whose motion is known from before, in one pass over its frames and without any search.

    Under the settings with which the motion was found they are those of `align_movie` (but for the rounding of the
    stored modes). Raises ValueError if shifts or modes are those of another number of frames.
    """
    mark = on_stage if on_stage is not None else _ignore
    mark("sum")
    frames = len(known.shifts.shift_x_angstrom)
    if frames != source.frame_count:
        raise ValueError(f"the movie has {source.frame_count} frames, its shifts are of {frames}")
    source = on_device(source, device)
    if source.frame_count == 1:
        return _single_frame(source, pixel_size_angstrom, settings.fourier_crop, device)
    exposure = _Exposure(pixel_size_angstrom, voltage_kv, dose_per_frame_e_per_a2, pre_exposure_e_per_a2)
    field = stored_field(known.shifts, known.modes)
    return _summed(source, field, known.shifts, known.local_motion, exposure, settings, device)


def _summed(
    source: FrameSource,
    field: MotionField,
    shifts: FrameShifts,
    local: LocalMotion | None,
    exposure: _Exposure,
    settings: MotionSettings,
    device: torch.device,
) -> AlignedMovie:
    sums = sum_movie(
        source,
        field,
        pixel_size_angstrom=exposure.pixel_size_angstrom,
        voltage_kv=exposure.voltage_kv,
        dose_per_frame_e_per_a2=exposure.dose_per_frame_e_per_a2,
        pre_exposure_e_per_a2=exposure.pre_exposure_e_per_a2,
        dose_weighting=settings.dose_weighting,
        device=device,
    )
    even, odd = fourier_crop(sums.even, settings.fourier_crop), fourier_crop(sums.odd, settings.fourier_crop)
    plain = even + odd
    weighted = fourier_crop(sums.dose_weighted, settings.fourier_crop) if settings.dose_weighting else plain
    pixel_out = exposure.pixel_size_angstrom * source.width_px / plain.shape[1]
    return AlignedMovie(shifts, local, weighted, plain, even, odd, pixel_out, field)


def trusted(motion: WholeFrameMotion) -> bool:
    """Whether the whole-frame shifts can be used."""
    rms_sd = float(np.sqrt(np.median(motion.sd_angstrom**2)))
    return (
        bool(np.isfinite(motion.shift_angstrom).all())
        and not motion.at_search_edge
        and rms_sd <= _TRUSTED_SD_ANGSTROM
        and motion.log_likelihood_gain >= _TRUSTED_LOG_LIKELIHOOD_GAIN
        and motion.split_chi_square <= _TRUSTED_SPLIT_CHI_SQUARE
    )


def local_motion_record(fit: LocalFit, settings: MotionSettings) -> LocalMotion:
    """RELION's 36 coefficients of the fitted field; all zero if it was not accepted."""
    field = fit.field if fit.accepted else MotionField.rigid(fit.field.whole_frame_angstrom)
    along_x, along_y = polynomial_coefficients(field)
    return LocalMotion(
        tuple(float(v) for v in along_x),
        tuple(float(v) for v in along_y),
        settings.patch_grid_x,
        settings.patch_grid_y,
        fit.rms_residual_angstrom,
        fit.accepted,
    )


def frame_shifts(
    shift_angstrom: npt.NDArray[np.float64],
    sd_angstrom: npt.NDArray[np.float64],
    dose_per_frame_e_per_a2: float,
    converged: bool,
) -> FrameShifts:
    """The record of (F, 2) displacements, in the zero-mean gauge, with path lengths split at 4 e/A2 as RELION does."""
    shift = shift_angstrom - shift_angstrom.mean(axis=0)
    lengths = np.hypot(*np.diff(shift, axis=0).T) if len(shift) > 1 else np.zeros(0)
    first_late = round(EARLY_EXPOSURE_E_PER_A2 / dose_per_frame_e_per_a2)
    early = float(lengths[: max(0, first_late)].sum())
    total = float(lengths.sum())
    return FrameShifts(
        tuple(float(v) for v in shift[:, 0]),
        tuple(float(v) for v in shift[:, 1]),
        tuple(float(v) for v in np.sqrt((sd_angstrom**2).mean(axis=1))),
        total,
        early,
        total - early,
        converged,
    )


def _single_frame(source: FrameSource, pixel_size_angstrom: float, crop: float, device: torch.device) -> AlignedMovie:
    frame = next(iter(source.frames())).to(device=device, dtype=torch.float32).clone()
    frame = fourier_crop(frame, crop)
    shifts = FrameShifts((0.0,), (0.0,), (0.0,), 0.0, 0.0, 0.0, True)
    field = MotionField.rigid(np.zeros((1, 2)))
    pixel_out = pixel_size_angstrom * source.width_px / frame.shape[1]
    return AlignedMovie(shifts, None, frame, frame, frame, frame, pixel_out, field)


def _ignore(_: str) -> None:
    return None
