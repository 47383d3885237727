"""How much each particle counts at each frequency: what the causal prior says about its movie."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.records import CausalLosses


def relative_ssnr(losses: CausalLosses | None, frequency_per_angstrom: NDArray[np.float64]) -> NDArray[np.float64]:
    """SSNR of a movie's particles against an ideal exposure of the same dose, exp(-sum of losses), at (M,).

    Coma and the spread of heights count, too: nothing corrects them before the particles are added.

    Linear in ln(SSNR) between the bands and constant beyond them; 1 without losses. A particle on a background of unit
    noise is X = sqrt(s) C F + noise, so it enters the numerator with sqrt(s) C X and the denominator with s C^2.
    """
    if losses is None or not losses.factor_names:
        return np.ones_like(frequency_per_angstrom)
    rows = zip(losses.factor_names, losses.loss_ln_ssnr, strict=True)
    total = np.sum([row for name, row in rows if name != "motion_uncorrected"], axis=0)
    loss = np.interp(frequency_per_angstrom, np.array(losses.frequency_per_angstrom), total)
    return np.asarray(np.exp(-loss))


def by_shell(values: NDArray[np.float64], plane: FourierPlane) -> NDArray[np.float32]:
    """(limit + 1,) mean of (M,) values in each ring of the plane."""
    ring = np.rint(plane.radius_px).astype(np.int64)
    count = np.bincount(ring)
    mean = np.bincount(ring, weights=values) / np.maximum(count, 1)
    mean[0] = mean[1]
    return mean.astype(np.float32)


def on_plane(shells: NDArray[np.float32], plane: FourierPlane, device: torch.device) -> Tensor:
    """(M,) values of `by_shell` at the samples of the plane, linear between shells."""
    values = np.interp(plane.radius_px, np.arange(len(shells)), shells)
    return torch.from_numpy(values).to(device, torch.float32)
