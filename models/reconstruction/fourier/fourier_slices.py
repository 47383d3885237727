"""The transform of a map and its central slices, and the plane of Fourier samples that all images share.

Projection-slice theorem (Bracewell 1956; De Rosier & Klug 1968, Nature 217, 130): the transform of a projection is the
central plane of the map's transform that lies across the direction of view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real

_PADDING = 2
"""The map is padded to twice its box, so that trilinear interpolation of its transform is good to a per cent."""


@dataclass(frozen=True, slots=True)
class FourierPlane:
    """Half of the Fourier plane of a (box, box) image, without the origin, out to `radius_px`: M samples.

    The other half is the complex conjugate. Ordered by distance from the origin, so that a lower resolution is a
    shorter piece of the same arrays.
    """

    box_px: int
    pixel_size_angstrom: float
    kx: NDArray[np.int64]
    ky: NDArray[np.int64]
    """(M,) in units of 1 / (box_px pixel_size_angstrom)."""

    @classmethod
    def of_box(cls, box_px: int, pixel_size_angstrom: float) -> FourierPlane:
        """All samples inside of Nyquist, but for its last two rings, which interpolation needs as neighbours."""
        limit = box_px // 2 - 2
        ky, kx = np.mgrid[-limit : limit + 1, 0 : limit + 1]
        inside = (kx**2 + ky**2 <= limit**2) & ((kx > 0) | (ky > 0))
        kx, ky = kx[inside], ky[inside]
        order = np.argsort(kx**2 + ky**2, kind="stable")
        return cls(box_px, pixel_size_angstrom, kx[order], ky[order])

    @property
    def radius_px(self) -> NDArray[np.float64]:
        """(M,) distance from the origin in Fourier pixels."""
        return np.asarray(np.sqrt(self.kx**2 + self.ky**2))

    @property
    def frequency_per_angstrom(self) -> NDArray[np.float64]:
        """(M,)"""
        return self.radius_px / (self.box_px * self.pixel_size_angstrom)

    def count_within(self, frequency_per_angstrom: float) -> int:
        """How many samples, from the first, lie at or below a frequency."""
        return int(np.searchsorted(self.frequency_per_angstrom, frequency_per_angstrom, side="right"))

    def phases(self, shift_px: NDArray[np.float64], count: int, device: torch.device) -> Tensor:
        """(S, count) factors exp(+2 pi i k s / box) that move an object displaced by s = (x, y) back to the centre."""
        kx, ky = self.kx[:count], self.ky[:count]
        angle = 2 * np.pi / self.box_px * (shift_px[:, :1] * kx + shift_px[:, 1:] * ky)
        return torch.polar(torch.ones(angle.shape), torch.from_numpy(angle).to(torch.float32)).to(device)


class FourierVolume:
    """Transform of a cubic map (z, y, x), centred on voxel n // 2, ready for slicing.

    Parameters
    ----------
    volume:
        (n, n, n) real, n even.
    device:
        Where it is kept and sliced.
    """

    def __init__(self, volume: Tensor, *, device: torch.device) -> None:
        n = volume.shape[0]
        padded_n = _PADDING * n
        # Interpolating a transform linearly multiplies the map with sinc^2: taken away beforehand.
        weaken = torch.sinc((torch.arange(n) - n // 2) / padded_n) ** 2
        flat = volume.to(torch.float32).cpu() / (weaken[:, None, None] * weaken[None, :, None] * weaken[None, None, :])
        padded = torch.zeros(padded_n, padded_n, padded_n)
        low = padded_n // 2 - n // 2
        padded[low : low + n, low : low + n, low : low + n] = flat
        spectrum = centred_fft(padded, 3)
        self._grid = torch.view_as_real(spectrum).permute(3, 0, 1, 2)[None].contiguous().to(device)
        self._half = padded_n // 2
        self._device = device

    def slices(self, poses: Tensor, plane: FourierPlane, count: int) -> Tensor:
        """(R, count) complex samples of the projections at poses (R, 3, 3), the first `count` of the plane."""
        kx = torch.from_numpy(plane.kx[:count]).to(self._device, torch.float32) * _PADDING
        ky = torch.from_numpy(plane.ky[:count]).to(self._device, torch.float32) * _PADDING
        rows = poses.to(self._device, torch.float32)
        points = kx[None, :, None] * rows[:, None, 0] + ky[None, :, None] * rows[:, None, 1]  # (R, M, 3) as x, y, z
        # Voxel i of 2 h lies at (2 i / (2 h - 1)) - 1 on grid_sample's axis.
        where = (points + self._half) * (2.0 / (2 * self._half - 1)) - 1.0
        found = torch.nn.functional.grid_sample(
            self._grid, where[None, None], mode="bilinear", padding_mode="zeros", align_corners=True
        )[0, :, 0]
        return torch.complex(found[0], found[1])


def cropped(volume: Tensor, plane: FourierPlane, count: int) -> Tensor:
    """The map on the smallest box of the same size in angstrom that holds the plane's first `count` samples."""
    n = volume.shape[0]
    small = min(2 * (math.ceil(float(plane.radius_px[count - 1])) + 2), n)
    if small == n:
        return volume
    low = n // 2 - small // 2
    part = centred_fft(volume, 3)[(slice(low, low + small),) * 3]
    return centred_ifft_real(part, 3)
