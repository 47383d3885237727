"""A tiny microscope: white amorphous structure seen through a CTF, counted as electrons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from frazil.models.optics.ctf import CtfParameters, chi_2d, frequency_grid


@dataclass(frozen=True)
class Exposure:
    """amplitude: A(0) over the shot noise; A(k) = amplitude exp(-b_factor k^2 / 2)."""

    defocus: float = 15_000.0
    astigmatism: float = 400.0
    angle_deg: float = 30.0
    amplitude: float = 1.5
    b_factor: float = 60.0
    phase_shift_deg: float = 0.0
    height: int = 512
    width: int = 512
    pixel_size: float = 1.0
    electrons_per_px: float = 40.0
    seed: int = 0

    @property
    def parameters(self) -> CtfParameters:
        half = 0.5 * self.astigmatism
        return CtfParameters(
            300.0, 2.7, 0.1, self.defocus + half, self.defocus - half, self.angle_deg, self.phase_shift_deg
        )

    def halves(self) -> tuple[Tensor, Tensor]:
        """Two independent countings of one specimen with half of the electrons each."""
        rng = np.random.default_rng(self.seed)
        # A canvas larger than the picture: contrast is displaced into and out of the field of view.
        h, w = 3 * self.height // 2, 3 * self.width // 2
        kx, ky = frequency_grid(h, w, self.pixel_size, dtype=torch.float64)
        transfer = -torch.sin(chi_2d(self.parameters, kx, ky))
        envelope = (self.amplitude * torch.exp(-0.5 * self.b_factor * (kx**2 + ky**2))).sqrt()
        structure = torch.fft.rfft2(torch.from_numpy(rng.standard_normal((h, w))))
        contrast = torch.fft.irfft2(structure * transfer * envelope, s=(h, w))[: self.height, : self.width]
        mean = self.electrons_per_px + np.sqrt(self.electrons_per_px) * contrast.numpy()
        first, second = (rng.poisson(np.maximum(0.5 * mean, 0.0)).astype(np.float32) for _ in range(2))
        return torch.from_numpy(first), torch.from_numpy(second)

    def image(self) -> Tensor:
        first, second = self.halves()
        return first + second


@pytest.fixture(scope="session")
def expose() -> Callable[..., Exposure]:
    return Exposure
