"""Radiation damage: the critical exposure, the amplitude that is left, and the noise-whitened weights of frames.

Source: Grant & Grigorieff (2015), eLife 4:e06980: N_e(k) = 0.24499 k^-1.6649 + 2.8141 e/A2 at 300 kV (eq. 3),
amplitude left after an exposure N: q(k) = exp(-N / (2 N_e(k))).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CRITICAL_A_E_PER_A2 = 0.24499
CRITICAL_EXPONENT = -1.6649
CRITICAL_C_E_PER_A2 = 2.8141
_SCALE_AT_200_KV = 0.8
"""Critical exposure at 200 kV relative to that at 300 kV (Grant & Grigorieff 2015)."""
_ELECTRON_REST_ENERGY_KEV = 510.99895
"""m c^2 (CODATA 2018), rounded; `wavelength.ELECTRON_REST_ENERGY_KEV` is computed and differs in the last digits."""
_LOWEST_VOLTAGE_KV, _HIGHEST_VOLTAGE_KV = 60.0, 1300.0
"""Of electron microscopes."""


def _beta_squared(voltage_kv: float) -> float:
    gamma = 1.0 + voltage_kv / _ELECTRON_REST_ENERGY_KEV
    return 1.0 - 1.0 / gamma**2


def voltage_scale(voltage_kv: float) -> float:
    """Critical exposure at `voltage_kv` relative to 300 kV (1 at 300 kV, 0.8 at 200 kV).

    The energy that electrons leave behind per unit of exposure goes as 1/beta^2; the line in beta^2 through the two
    published points (300 and 200 kV) gives all other voltages.

    Raises
    ------
    ValueError
        The voltage is not between 60 and 1300 kV.
    """
    if not _LOWEST_VOLTAGE_KV <= voltage_kv <= _HIGHEST_VOLTAGE_KV:
        raise ValueError(f"voltage {voltage_kv} kV is outside 60-1300 kV")
    at_300, at_200 = _beta_squared(300.0), _beta_squared(200.0)
    slope = (1.0 - _SCALE_AT_200_KV) / (at_300 - at_200)
    return max(0.05, 1.0 + slope * (_beta_squared(voltage_kv) - at_300))


def critical_exposure_e_per_a2(frequency_per_angstrom: Tensor, voltage_kv: float) -> Tensor:
    """Exposure at which the *amplitude* at this frequency falls to exp(-1/2); infinite at zero frequency.

    At 300 kV, for the 20 A and the 3 A of a structure:

    >>> [round(value, 1) for value in critical_exposure_e_per_a2(torch.tensor([1 / 20, 1 / 3]), 300.0).tolist()]
    [38.7, 4.3]

    Parameters
    ----------
    frequency_per_angstrom:
        Spatial frequency >= 0, any shape.
    """
    power = frequency_per_angstrom.clamp_min(1e-9) ** CRITICAL_EXPONENT
    exposure = voltage_scale(voltage_kv) * (CRITICAL_A_E_PER_A2 * power + CRITICAL_C_E_PER_A2)
    return torch.where(frequency_per_angstrom > 0, exposure, torch.full_like(exposure, math.inf))


def exposure_filter(frequency_per_angstrom: Tensor, exposure_e_per_a2: Tensor, voltage_kv: float) -> Tensor:
    """Amplitude q(k) that is left after each exposure; shape = exposure.shape + frequency.shape, values in (0, 1]."""
    critical = critical_exposure_e_per_a2(frequency_per_angstrom, voltage_kv)
    shape = exposure_e_per_a2.shape + (1,) * critical.ndim
    return torch.exp(-exposure_e_per_a2.reshape(shape) / (2.0 * critical))


def mid_frame_exposures_e_per_a2(
    frame_count: int, dose_per_frame_e_per_a2: float, pre_exposure_e_per_a2: float
) -> Tensor:
    """Exposure at the middle of each frame (F,), float64.

    Unblur and RELION take the end of the frame; the ratio is the same for all frames at a given k, so that weights
    normalised over frames are identical.
    """
    index = torch.arange(frame_count, dtype=torch.float64)
    return pre_exposure_e_per_a2 + dose_per_frame_e_per_a2 * (index + 0.5)


def whitened_weights(frequency_per_angstrom: Tensor, exposures_e_per_a2: Tensor, voltage_kv: float) -> Tensor:
    """Weights q_f / sqrt(sum_f q_f^2): the sum has the best SSNR at every k, and white noise stays white.

    Returns (F, ...) in the type of the frequencies. (Grant & Grigorieff 2015, eq. 9.)

    The squares of the weights add up to 1 at every frequency, and the first frames count most at the high ones:

    >>> weights = whitened_weights(torch.tensor([1 / 20, 1 / 3]), mid_frame_exposures_e_per_a2(4, 10.0, 0.0), 300.0)
    >>> [[round(one, 2) for one in frame] for frame in weights.tolist()]
    [[0.59, 0.95], [0.52, 0.3], [0.46, 0.09], [0.4, 0.03]]
    """
    left = exposure_filter(frequency_per_angstrom, exposures_e_per_a2.to(frequency_per_angstrom), voltage_kv)
    return left / left.square().sum(dim=0, keepdim=True).clamp_min(1e-30).sqrt()
