"""What a half's particles are compared with next: its own half map, without the noise of the solvent, each shell by
how far it can be believed.

A half map is truth and noise, H = F + N, with FSC = |F|^2 / (|F|^2 + |N|^2) between two halves: the best guess of F is
FSC H (Wiener; Scheres 2012, J. Mol. Biol. 415, 406, eq. 8, has the same from sums and prior). sqrt(2 FSC / (1 + FSC)),
the filter of the finished map, would let through shells of which most is noise, and particles would be turned after it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.resolution.fsc import FscCurve, filtered, fourier_shell_correlation

_SOLVENT_RESOLUTION_ANGSTROM = 15.0
_MARGIN_ANGSTROM, _EDGE_ANGSTROM = 6.0, 8.0
_LEAST_FSC = 0.143


def solvent_mask(volume: Tensor, pixel_size_angstrom: float, inside: Tensor) -> Tensor:
    """(n, n, n) 1 where the map's molecule is, falling to 0 within 8 A; never beyond `inside`.

    From the map alone, low-passed to 15 A: voxels above Otsu's threshold (1979, IEEE Trans. SMC 9, 62), grown by 6 A.
    """
    n = volume.shape[0]
    smooth = _gaussian(volume, 0.225 * _SOLVENT_RESOLUTION_ANGSTROM / pixel_size_angstrom)
    values = smooth[inside > 0.5]
    if values.numel() == 0 or float(values.max()) <= float(values.min()):
        return inside
    hard = (smooth > _otsu(values)).to(torch.float32) * inside
    reach = max(1, round(_MARGIN_ANGSTROM / pixel_size_angstrom))
    grown = torch.nn.functional.max_pool3d(hard[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
    soft = _gaussian(grown, 0.25 * _EDGE_ANGSTROM / pixel_size_angstrom).clamp(0, 1)
    assert soft.shape == (n, n, n)
    return soft * inside


def reference_maps(
    halves: list[Tensor], pixel_size_angstrom: float, inside: Tensor, *, first_shell: int = 1
) -> tuple[list[Tensor], FscCurve]:
    """References of the two halves, and the FSC under their masks, from `first_shell` on, that weighs their shells
    (those before it count as the first). Each mask is of its own half: nothing but the curve is shared."""
    masked = [half * solvent_mask(half, pixel_size_angstrom, inside) for half in halves]
    curve = fourier_shell_correlation(masked[0], masked[1], pixel_size_angstrom=pixel_size_angstrom)
    curve = FscCurve(curve.frequency_per_angstrom[first_shell - 1 :], curve.fsc[first_shell - 1 :])
    believed = np.clip(np.array(curve.fsc), 0.0, 1.0)
    below = np.nonzero(believed < _LEAST_FSC)[0]
    if below.size:
        believed[below[0] :] = 0.0
    gain = np.concatenate([np.full(first_shell - 1, believed[0]), believed])
    return [filtered(half, gain) for half in masked], curve


def _gaussian(volume: Tensor, sd_px: float) -> Tensor:
    n = volume.shape[0]
    axis = (torch.arange(n, dtype=torch.float32, device=volume.device) - n // 2) / n
    line = torch.exp(-2 * (torch.pi * sd_px * axis) ** 2)
    return centred_ifft_real(centred_fft(volume, 3) * line[:, None, None] * line[None, :, None] * line, 3)


def _otsu(values: Tensor) -> float:
    low, high = float(values.min()), float(values.max())
    count = torch.histc(values, 256, min=low, max=high).double().cpu().numpy()
    centre = low + (np.arange(256) + 0.5) * (high - low) / 256
    weight = np.cumsum(count)
    first = np.cumsum(count * centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (first[-1] * weight / weight[-1] - first) ** 2 / (weight * (weight[-1] - weight))
    return float(centre[int(np.nanargmax(between[:-1]))])
