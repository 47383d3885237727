"""One movie through `process_movie` on a device, its counts by stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.device_ledger.ledger import Ledger, StageCounts
from benchmarks.device_ledger.movie import PIXEL_SIZE_ANGSTROM
from benchmarks.device_ledger.pretend_cuda import CUDA, pretend_cuda
from frazil.config.loading import load_settings
from frazil.models.causal.prior import physics_prior
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.motion.frame_source import StackFrames
from frazil.models.movie_pipeline import MovieProducts, Processing, count_movie, process_movie

STAGES = {
    "motion": ("align_global", "align_local", "sum"),
    "CTF": ("ctf",),
    "restoration": ("restore",),
    "picking": ("pick", "extract"),
}
"""The stages that have a budget, by the names with which `process_movie` tells of them."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What came out, and what was asked of the device for it."""

    products: MovieProducts
    ledger: Ledger

    def of(self, stage: str) -> StageCounts:
        return self.ledger.together(*STAGES[stage])


def processed(counts: NDArray[np.uint8], device: torch.device, ledger: Ledger) -> MovieProducts:
    """`process_movie` of (F, h, w) counts without gain."""
    acquisition = AcquisitionParameters(PIXEL_SIZE_ANGSTROM, 300.0, 2.7, 0.07, 1.0, 0.0, False, ())
    processing = Processing(acquisition, load_settings(), physics_prior(), None, device, ledger.mark)
    known = count_movie(
        counts.sum(axis=0, dtype=np.float32),
        frame_count=len(counts),
        bad_pixel_count=0,
        gain_pattern=None,
        fixed_pattern_rms=None,
    )
    return process_movie(StackFrames(torch.from_numpy(counts)), known, processing)


def on_pretend_device(counts: NDArray[np.uint8]) -> Counted:
    with pretend_cuda() as ledger:
        return Counted(processed(counts, CUDA, ledger), ledger)
