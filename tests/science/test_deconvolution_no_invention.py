"""Movies of pure noise show no structure, whatever the filter and the network would like to see.

Each movie is counted noise without a specimen: white, or coloured as a detector or uneven ice would colour it. Two
halves of its frames are restored entirely apart from each other (each with sub-halves of its own): what they have in
common must be consistent with nothing, and what is left of the noise must be next to nothing.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from frazil.models.deconvolution.restoration import Restored, restore_micrograph
from frazil.models.deconvolution.weights import shipped_network
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import frequency_grid
from frazil.models.records import CtfEstimate

N, FRAMES, PIXEL, COUNTS_PER_FRAME, MOVIES = 640, 8, 1.5, 2.0, 6
CTF = CtfEstimate(14000.0, 13600.0, 35.0, 0.0, 10.0, 10.0, 4.0, 0.9, 0.0, True, "")
ACQUISITION = AcquisitionParameters(PIXEL, 300.0, 2.7, 0.1, 1.0, 0.0, False, ())
CPU = torch.device("cpu")


def _frames(colour: str, seed: int) -> torch.Tensor:
    """(F, N, N) counts; `coloured`: each frame's own smooth fluctuations under the counting, 3 %, finer than 100 A."""
    random = np.random.default_rng(seed)
    mean = np.full((FRAMES, N, N), COUNTS_PER_FRAME)
    if colour == "coloured":
        kx, ky = frequency_grid(N, N, PIXEL)
        k = torch.sqrt(kx * kx + ky * ky)
        shape = torch.exp(-0.5 * (k * 18) ** 2) * (1 - torch.exp(-0.5 * (k * 60) ** 2))
        for frame in mean:
            smooth = torch.fft.irfft2(
                torch.fft.rfft2(torch.from_numpy(random.standard_normal((N, N)))) * shape, s=(N, N)
            )
            frame *= np.maximum(1 + 0.03 * (smooth / smooth.std()).numpy(), 0)
    return torch.from_numpy(random.poisson(mean).astype(np.float32))


def _restored(frames: torch.Tensor) -> Restored:
    even, odd = frames[0::2].sum(0), frames[1::2].sum(0)
    return restore_micrograph(
        even + odd,
        (even, odd),
        pixel_size_angstrom=PIXEL,
        ctf=CTF,
        acquisition=ACQUISITION,
        predicted=None,
        network=shipped_network(CPU),
        device=CPU,
    )


@pytest.mark.parametrize("colour", ["white", "coloured"])
def test_noise_shows_no_structure(colour: str) -> None:
    kx, ky = frequency_grid(N, N, PIXEL)
    k = torch.sqrt(kx * kx + ky * ky)
    ring = (k * 80).long()
    rings = 10  # up to 8 A
    excess, left = [], []
    for seed in range(MOVIES):
        frames = _frames(colour, seed)
        whole = frames.sum(0)
        restored = [_restored(frames[start::2]) for start in (0, 1)]
        first, second = (torch.fft.rfft2(one.image) for one in restored)
        # Divided by the noise of the image itself, so that a restoration that leaves nothing counts as nothing.
        left += [float(one.small.std()) / float(whole.std()) for one in restored]
        for number in range(1, rings):
            here = ring == number
            a, b = first[here], second[here]
            if min(float(a.abs().max()), float(b.abs().max())) == 0.0:
                continue
            product = (a.conj() * b).real
            # Samples of an image that was quietened here and there are correlated: their own spread is the error, over
            # fewer independent ones than there are; a quarter is on the safe side of none.
            frc = float(product.sum() / (a.abs().square().sum() * b.abs().square().sum()).sqrt())
            excess.append(frc * np.sqrt(0.25 * 2 * len(product)))
    # Correlations of halves without a specimen: mean zero, spread that of chance.
    assert abs(np.mean(excess)) < 3 / np.sqrt(len(excess))
    assert np.max(np.abs(excess)) < 6
    assert np.median(left) < 0.05
