"""Whether the causal prior has a say in a restoration: only where a person asks for it, or there are no half-sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from frazil.config.settings import Settings
from frazil.models.causal.bands import BAND_COUNT
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.movie_pipeline import Processing, count_movie, process_movie
from frazil.models.optics.ctf import CtfParameters, ctf_2d

N, PIXEL = 384, 2.0
ACQUISITION = AcquisitionParameters(PIXEL, 300.0, 2.7, 0.1, 2.0, 0.0, False, ())


@dataclass(frozen=True, slots=True)
class _Frames:
    """A movie in memory."""

    counts: torch.Tensor

    @property
    def frame_count(self) -> int:
        return len(self.counts)

    @property
    def height_px(self) -> int:
        return N

    @property
    def width_px(self) -> int:
        return N

    def frames(self) -> Iterator[torch.Tensor]:
        yield from self.counts


def _movie(frame_count: int) -> _Frames:
    """White noise through a CTF: rings that any fit finds."""
    random = np.random.default_rng(3)
    scene = torch.fft.rfft2(torch.from_numpy(random.normal(size=(N, N))).float())
    rings = torch.fft.irfft2(
        scene * ctf_2d(CtfParameters(300.0, 2.7, 0.1, 15000.0, 14500.0, 20.0), N, N, PIXEL), s=(N, N)
    )
    rate = 10.0 * (1 + 0.15 * rings / rings.std()).clamp_min(0).numpy()
    return _Frames(torch.from_numpy(random.poisson(rate, size=(frame_count, N, N)).astype(np.float32)))


def _sure_of(log_ssnr: float) -> PriorSnapshot:
    """A prior that is certain of the specimen's signal, whatever a micrograph shows."""
    prior = physics_prior()
    precision, information = np.array(prior.precision), np.array(prior.information)
    bands = np.arange(BAND_COUNT)
    precision[bands, bands], information[bands] = 1e6, 1e6 * log_ssnr
    return replace(prior, precision=tuple(map(tuple, precision.tolist())), information=tuple(information.tolist()))


def _restored(frame_count: int, log_ssnr: float, settings: Settings) -> torch.Tensor:
    source = _movie(frame_count)
    counted = count_movie(
        source.counts.sum(0).numpy(),
        frame_count=frame_count,
        bad_pixel_count=0,
        gain_pattern=None,
        fixed_pattern_rms=None,
    )
    cpu = torch.device("cpu")
    processing = Processing(ACQUISITION, settings, _sure_of(log_ssnr), None, cpu, lambda stage: None)
    return process_movie(source, counted, processing).restored


@pytest.mark.parametrize(
    ("frame_count", "asked_for", "is_heard"), [(6, False, False), (6, True, True), (1, False, True)]
)
def test_the_causal_prior_is_heard_where_it_is_asked_for_or_nobody_else_speaks(
    frame_count: int, asked_for: bool, is_heard: bool
) -> None:
    settings = Settings.model_validate({"restoration": {"causal_prior": asked_for}})
    faint, strong = _restored(frame_count, -6.0, settings), _restored(frame_count, 6.0, settings)
    assert torch.equal(faint, strong) is not is_heard
