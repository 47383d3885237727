"""Aligned sums of a movie under a field of motion: which of the two ways is taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from frazil.models.motion.estimate.field import MotionField
from frazil.models.motion.frame_source import FrameSource
from frazil.models.motion.sum.cpu_sum import sum_movie_on_cpu
from frazil.models.motion.sum.device_sum import sum_movie_on_device
from frazil.models.motion.sum.movie_sums import MovieSums


def sum_movie(
    source: FrameSource,
    field: MotionField,
    *,
    pixel_size_angstrom: float,
    voltage_kv: float,
    dose_per_frame_e_per_a2: float,
    pre_exposure_e_per_a2: float,
    dose_weighting: bool,
    device: torch.device,
) -> MovieSums:
    """Go through the movie once and add up.

    `dose_weighted` is sum_f q_f X_f / sqrt(sum_f q_f^2) (or, without dose weighting, the plain sum). Where motion
    brings in what no frame saw, the frame's edge is mirrored.
    """
    way: Callable[..., MovieSums] = (
        sum_movie_on_cpu if device.type == "cpu" else partial(sum_movie_on_device, device=device)
    )
    return way(
        source,
        field,
        pixel_size_angstrom=pixel_size_angstrom,
        voltage_kv=voltage_kv,
        dose_per_frame_e_per_a2=dose_per_frame_e_per_a2,
        pre_exposure_e_per_a2=pre_exposure_e_per_a2,
        dose_weighting=dose_weighting,
    )
