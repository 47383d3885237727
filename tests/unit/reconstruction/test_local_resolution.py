"""Local resolution against maps that are known to be sharp on one side only."""

from __future__ import annotations

import pytest
import torch

from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.resolution.local_resolution import local_resolution_angstrom

N, PIXEL_ANGSTROM = 64, 3.0


def halves(signal: torch.Tensor, noise: float, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [signal + noise * torch.randn(signal.shape, generator=generator) for _ in range(2)]


def test_each_side_has_its_own_resolution() -> None:
    signal = torch.randn((N, N, N), generator=torch.Generator().manual_seed(1))
    blurred = low_pass(signal, 20.0, PIXEL_ANGSTROM)
    side = torch.arange(N) >= N // 2
    mixed = torch.where(side[None, None, :], blurred, signal)
    found = local_resolution_angstrom(
        *halves(mixed, 1.0, 2), pixel_size_angstrom=PIXEL_ANGSTROM, first_shell=3, last_shell=30
    )
    finest = N * PIXEL_ANGSTROM / 30
    # SNR 1, white: the sharp side agrees to the end. The low pass is nothing beyond 1.5 voxels past 1 / 20 A.
    assert float(found[:, :, 14:18].median()) == pytest.approx(finest, rel=1e-6)
    assert 16.0 < float(found[:, :, 46:50].median()) < 21.0


def test_noise_has_no_resolution() -> None:
    found = local_resolution_angstrom(
        *halves(torch.zeros(N, N, N), 1.0, 3), pixel_size_angstrom=PIXEL_ANGSTROM, first_shell=3, last_shell=30
    )
    coarsest = N * PIXEL_ANGSTROM / 3
    assert float(found.median()) > 0.7 * coarsest


def test_shells_outside_the_box_are_refused() -> None:
    empty = torch.zeros(N, N, N)
    with pytest.raises(ValueError, match="not within a box"):
        local_resolution_angstrom(empty, empty, pixel_size_angstrom=PIXEL_ANGSTROM, first_shell=3, last_shell=32)
