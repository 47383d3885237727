"""Spectral restoration of a micrograph with its own, causally predicted signal-to-noise ratio.

F(k) = X(k) C(k) / (C(k)^2 + 1 / SSNR(k)), SSNR the posterior predictive of *this* micrograph at C^2 = 1 (its envelopes
are already in it, because the losses are part of ln SSNR), not a constant of the program (Wiener 1949; for cryo-EM see
Penczek 2010, Methods Enzymol. 482, 73).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frazil.models.causal.attribution import Attribution
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid
from frazil.models.records import CtfEstimate

_SOFT_START_ANGSTROM = 400.0
"""Slower gradients than this are illumination and ice, not specimen."""
_LOW_PASS_ANGSTROM = 20.0
"""Without a usable CTF the restoration is only a low-pass."""


def restore(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    attribution: Attribution,
    device: torch.device,
) -> Tensor:
    """(h, w) restored micrograph, specimen bright, float32 on `device`.

    Where no CTF could be fitted, the micrograph is only low-passed (and inverted): a guessed CTF would invent contrast.
    """
    height, width = image.shape
    kx, ky = frequency_grid(height, width, pixel_size_angstrom, device=device)
    k = torch.sqrt(kx**2 + ky**2)
    centred = image.to(device, torch.float32)
    centred = centred - centred.mean()
    high_pass = 1 - torch.exp(-0.5 * (k * _SOFT_START_ANGSTROM) ** 2)
    if ctf.defocus_known:
        parameters = CtfParameters(
            voltage_kv=acquisition.voltage_kv,
            cs_mm=acquisition.cs_mm,
            amplitude_contrast=acquisition.amplitude_contrast,
            defocus_u_angstrom=ctf.defocus_u_angstrom,
            defocus_v_angstrom=ctf.defocus_v_angstrom,
            astigmatism_angle_deg=ctf.astigmatism_angle_deg,
            phase_shift_deg=ctf.phase_shift_deg,
        )
        c = ctf_2d(parameters, height, width, pixel_size_angstrom, device=device)
        ssnr = torch.exp(_interpolate(k, attribution.frequency_per_angstrom, attribution.log_ssnr))
        transfer = c / (c * c + 1 / ssnr)
    else:
        transfer = -torch.exp(-0.5 * (k * _LOW_PASS_ANGSTROM) ** 2)
    # The CTF is negative at low frequency (protein is dark): dividing by it makes the specimen bright.
    spectrum = torch.fft.rfft2(centred) * (transfer * high_pass)
    restored: Tensor = torch.fft.irfft2(spectrum, s=(height, width))
    return restored


def _interpolate(k: Tensor, frequency_per_angstrom: tuple[float, ...], values: tuple[float, ...]) -> Tensor:
    """Linear between the bands; constant below the first; falling at the last slope (at least 0) above the last."""
    frequency = np.asarray(frequency_per_angstrom)
    curve = np.asarray(values)
    step = float(frequency[1] - frequency[0])
    slope = min(float(curve[-1] - curve[-4]) / (3 * step), 0.0)
    extended_frequency = np.append(frequency, frequency[-1] + 1.0)
    extended = np.append(curve, curve[-1] + slope)
    position = ((k - frequency[0]) / step).clamp(0, None)
    table = torch.tensor(np.interp(frequency[0] + step * np.arange(512), extended_frequency, extended), device=k.device)
    position = position.clamp(max=510.0)
    low = position.floor().long()
    share = position - low
    curve_at_k: Tensor = table[low] * (1 - share) + table[low + 1] * share
    return curve_at_k.to(torch.float32)
