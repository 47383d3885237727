"""Parts of the pipeline as functions of the instrument's parameters, on one sample: alignment, CTF fit, restoration.

Parameters (all in one mapping, by name): `pixel_size_angstrom`, `voltage_kv`, `cs_mm`, `dose_per_frame_e_per_a2`,
`gain_error` (relative rms of a pattern that the gain reference got wrong; 0 as it is) and `defocus_offset_angstrom`
(added to the fitted defoci; 0 as they are).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.config.settings import CtfSettings, MotionSettings
from frazil.models.ctf_fit.fit import fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.deconvolution.restoration import restore_micrograph
from frazil.models.deconvolution.ssnr import SsnrCurve
from frazil.models.evaluation.robustness.sensitivity import Output, Part
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.motion.align import AlignedMovie, align_movie
from frazil.models.records import CtfEstimate, FrameShifts

Image = NDArray[np.float32]
_CPU = torch.device("cpu")
_SEED = 20200711
"""Of the pattern that stands for an error of the gain: the same movie must give the same result."""
MOTION, CTF, RESTORATION = "motion", "ctf", "restoration"
DEPENDS: Mapping[str, tuple[str, ...]] = {
    MOTION: ("pixel_size_angstrom", "dose_per_frame_e_per_a2", "gain_error"),
    CTF: ("pixel_size_angstrom", "voltage_kv", "cs_mm"),
    RESTORATION: ("defocus_offset_angstrom", "pixel_size_angstrom"),
}
"""What each part is run again for."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Aligned sums of a sample (h, w); halves are None where there are none."""

    weighted: Tensor
    plain: Tensor
    even: Tensor | None
    odd: Tensor | None


class MovingFrames:
    """Frames of a sample, with a pattern of relative rms `gain_error` left on them."""

    def __init__(self, frames: Image, gain_error: float = 0.0) -> None:
        self._frames = frames
        self.frame_count, self.height_px, self.width_px = frames.shape
        pattern = np.random.default_rng(_SEED).standard_normal(frames.shape[1:], dtype=np.float32)
        self._gain = torch.from_numpy(1.0 + np.float32(gain_error) * pattern)

    def frames(self) -> Iterator[Tensor]:
        for frame in self._frames:
            yield torch.from_numpy(frame) * self._gain


def align(
    frames: Image, at: Mapping[str, float], acquisition: AcquisitionParameters, settings: MotionSettings
) -> AlignedMovie:
    """Motion and sums of the sample's frames (F, h, w) under other parameters."""
    return align_movie(
        MovingFrames(frames, at["gain_error"]),
        pixel_size_angstrom=at["pixel_size_angstrom"],
        voltage_kv=at["voltage_kv"],
        dose_per_frame_e_per_a2=at["dose_per_frame_e_per_a2"],
        pre_exposure_e_per_a2=acquisition.pre_exposure_e_per_a2,
        settings=settings,
        device=_CPU,
    )


def motion_part(frames: Image, acquisition: AcquisitionParameters, settings: MotionSettings) -> Part:
    """Outputs: `total_motion_angstrom`, its error that of the frames' shifts; `dose_weighted_sum`, an image in
    electrons whose error is the noise of a pixel (half of the difference of the halves)."""

    def part(at: Mapping[str, float]) -> Mapping[str, Output]:
        aligned = align(frames, at, acquisition, settings)
        noise = float((aligned.even - aligned.odd).std())
        return {
            "total_motion_angstrom": Output(aligned.shifts.total_angstrom, path_length_sd_angstrom(aligned.shifts)),
            "dose_weighted_sum": Output(aligned.dose_weighted.numpy(), noise),
        }

    return part


def path_length_sd_angstrom(shifts: FrameShifts) -> float:
    """Error of the path's length from those of the frames (first order): a frame in a straight run adds to one step
    what it takes from the next."""
    path = np.column_stack([shifts.shift_x_angstrom, shifts.shift_y_angstrom])
    steps = np.diff(path, axis=0)
    lengths = np.maximum(np.hypot(*steps.T), 1e-12)
    along = steps / lengths[:, None]
    slope = np.zeros_like(path)
    slope[1:] += along
    slope[:-1] -= along
    return math.sqrt(float(np.sum(np.square(slope).sum(axis=1) * np.square(shifts.sd_angstrom))))


def ctf_part(
    sums: Sums, acquisition: AcquisitionParameters, settings: CtfSettings, *, electrons_per_px: float | None
) -> Part:
    """Outputs: `defocus_u_angstrom` and `defocus_v_angstrom` with the fit's own errors, `ctf_fit_resolution_angstrom`
    and `ctf_score`, which have none. A fit that does not trust itself gives none of them."""

    def part(at: Mapping[str, float]) -> Mapping[str, Output]:
        return ctf_outputs(fitted(sums, at, acquisition, settings, electrons_per_px))

    return part


def fitted(
    sums: Sums,
    at: Mapping[str, float],
    acquisition: AcquisitionParameters,
    settings: CtfSettings,
    electrons_per_px: float | None,
) -> CtfEstimate:
    return fit_ctf(
        sums.plain,
        pixel_size_angstrom=at["pixel_size_angstrom"],
        optics=RingOptics(at["voltage_kv"], at["cs_mm"], acquisition.amplitude_contrast),
        settings=settings,
        fit_phase_shift=acquisition.phase_plate,
        weighted=sums.weighted,
        electrons_per_px=electrons_per_px,
        device=_CPU,
    ).estimate


def ctf_outputs(ctf: CtfEstimate) -> dict[str, Output]:
    sd = math.hypot(ctf.defocus_sd_angstrom, 0.5 * ctf.astigmatism_sd_angstrom)
    known = ctf.defocus_known
    return {
        "defocus_u_angstrom": Output(ctf.defocus_u_angstrom if known else None, sd),
        "defocus_v_angstrom": Output(ctf.defocus_v_angstrom if known else None, sd),
        "ctf_fit_resolution_angstrom": Output(ctf.fit_resolution_angstrom if known else None),
        "ctf_score": Output(ctf.score if known else None),
    }


def restoration_part(sums: Sums, ctf: CtfEstimate, acquisition: AcquisitionParameters, predicted: SsnrCurve) -> Part:
    """Output: `restored_micrograph`, an image whose error is the noise of a pixel: half of the difference of the
    halves when each is restored as a whole. The signal-to-noise ratio that is filtered with stays that of the sample;
    the network, which judges by eye what is likely, stays out."""

    def restored(image: Tensor, at: Mapping[str, float]) -> Tensor:
        offset = at["defocus_offset_angstrom"]
        moved = replace(
            ctf,
            defocus_u_angstrom=ctf.defocus_u_angstrom + offset,
            defocus_v_angstrom=ctf.defocus_v_angstrom + offset,
        )
        made = restore_micrograph(
            image,
            None,
            pixel_size_angstrom=at["pixel_size_angstrom"],
            ctf=moved,
            acquisition=acquisition,
            predicted=predicted,  # type: ignore[arg-type]
            network=None,
            device=_CPU,
        )
        return made.image

    noise: list[float] = []

    def part(at: Mapping[str, float]) -> Mapping[str, Output]:
        if not noise and sums.even is not None and sums.odd is not None:
            noise.append(0.5 * float((restored(2 * sums.even, at) - restored(2 * sums.odd, at)).std()))
        return {"restored_micrograph": Output(restored(sums.weighted, at).numpy(), noise[0] if noise else None)}

    return part
