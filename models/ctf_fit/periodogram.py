"""From a micrograph to samples of its power spectrum, cleaned of what is not Thon rings.

One periodogram of the whole image, not of tiles: its samples are nearly independent and exponentially distributed,
no ring is blurred by a tile that is shorter than the displacement 2 lambda dz k of the contrast, and block means of
neighbouring samples bring a large image down to the number that the fit can use. Sources: Whittle 1953, Ark. Mat. 2,
423 and Brillinger 1981, "Time Series", ch. 5 (distribution of the periodogram); Percival & Walden 1993 (tapers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit import map_kernels

TAPER_FRACTION = 1.0 / 24.0
"""Of each edge: enough against the cross of a discontinuous border, at a cost of 5 % of the samples' information."""
CROSS_HALF_WIDTH = 2
"""Samples on either side of the two axes that are left out: lines of the detector's readout and of the border."""
OUTLIER_LEVEL = 10.0
"""Samples are clipped here in units of the local level; an exponential variable goes beyond with p = 4.5e-5."""
OUTLIER_SD_PX = 8.0
SMALLEST_IMAGE_PX = 64
_LEVEL_BINS = 96
_LEVEL_SAMPLES = 150_000


@dataclass(frozen=True, slots=True)
class PowerMap:
    """Block means of the periodogram on the half plane kx >= 0, ky ascending.

    power, count:
        (n_ky, n_kx) float32; power in image units squared per pixel (white noise of variance v has power v); count is
        the number of periodogram samples in the mean, 0 where all were masked.
    unclipped:
        the same without clipping of outliers, for measures that want the spots (ice).
    kx, ky:
        (n_kx,), (n_ky,) centres in 1/A.
    """

    power: Tensor
    unclipped: Tensor
    count: Tensor
    kx: Tensor
    ky: Tensor
    height_angstrom: float
    width_angstrom: float
    block: int
    nyquist_per_angstrom: float

    @property
    def spacing_per_angstrom(self) -> float:
        """Distance of neighbouring samples, the coarser axis."""
        return self.block / min(self.height_angstrom, self.width_angstrom)

    def arrays(self, *, clipped: bool = True) -> Any:
        """power (or unclipped), count, ky, kx as arrays: what the compiled passes take."""
        power = self.power if clipped else self.unclipped
        return tuple(values.cpu().numpy() for values in (power, self.count, self.ky, self.kx))


def edge_taper(length: int, *, device: torch.device) -> Tensor:
    """Tukey window (flat, cosine edges of `TAPER_FRACTION`), float32."""
    edge = max(1, round(length * TAPER_FRACTION))
    ramp = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(edge, device=device, dtype=torch.float32) + 0.5) / edge)
    window = torch.ones(length, device=device)
    window[:edge] = ramp
    window[length - edge :] = ramp.flip(0)
    return window


def flatten_image(image: Tensor) -> Tensor:
    """Image minus its smooth background (an 8x8 mesh), outlying pixels clipped, zero mean, edges tapered to zero.

    Raises
    ------
    ValueError
        If the image is not two-dimensional, is smaller than 64 pixels or holds values that are not finite.
    """
    if image.ndim != 2 or min(image.shape) < SMALLEST_IMAGE_PX:
        raise ValueError(f"need a two-dimensional image of at least {SMALLEST_IMAGE_PX} px, not {tuple(image.shape)}")
    height, width = image.shape
    work = image.to(torch.float32)
    # A sum is finite if and only if all are, but for overflow, which would be no picture either.
    if not math.isfinite(float(work.sum())):
        raise ValueError("the image holds values that are not finite")
    mesh = torch.nn.functional.adaptive_avg_pool2d(work[None, None], (8, 8))
    work = work - (_spread(height, device=work.device) @ mesh[0, 0]) @ _spread(width, device=work.device).T
    sample = work.flatten()[:: max(1, work.numel() // 60_000)]
    low, middle, high = torch.quantile(sample, torch.tensor([0.1587, 0.5, 0.8413], device=work.device)).tolist()
    spread = 0.5 * (high - low)
    if spread > 0.0:
        work = work.clamp_(middle - OUTLIER_SD_PX * spread, middle + OUTLIER_SD_PX * spread)
    work = work.sub_(work.mean())
    work = work.mul_(edge_taper(height, device=work.device)[:, None])
    return work.mul_(edge_taper(width, device=work.device)[None, :])


def _spread(length: int, *, device: torch.device) -> Tensor:
    """(length, 8): bicubic interpolation from the mesh as a product of matrices, many times cheaper."""
    points = torch.eye(8, device=device)[None, None]
    return torch.nn.functional.interpolate(points, size=(length, 8), mode="bicubic", align_corners=False)[0, 0]


def block_size(height_angstrom: float, width_angstrom: float, *, displacement_angstrom: float) -> int:
    """How many samples along an axis may be averaged when the optics displace contrast by up to 2 lambda dz k.

    cos(2 chi) turns once per 1 / displacement; three samples a turn keep 0.83 of its contrast along one axis.
    """
    return max(1, int(min(height_angstrom, width_angstrom) / (3.0 * displacement_angstrom)))


def power_map(
    image: Tensor, pixel_size_angstrom: float, *, block: int, weight: Tensor | None = None, share: float = 1.0
) -> PowerMap:
    """Periodogram of the whole image, cross masked, outliers clipped, averaged in `block` x `block` samples.

    `weight` (h, w) of mean 1 is how much each place's power counts; the image is multiplied by its root. Windowed
    samples are correlated with their neighbours: together they know as much as the `share` of them (see
    `signal_window`), and that is what `count` then says.
    """
    flat = flatten_image(image)
    energy = 1.0
    if weight is not None:
        flat = flat * weight.sqrt()
        along = [edge_taper(length, device=image.device) ** 2 for length in image.shape]
        energy = float(along[0] @ weight @ along[1]) / float(along[0].sum() * along[1].sum())
    return transform_power(
        torch.fft.rfft2(flat), image.shape[1], pixel_size_angstrom, block=block, energy=energy, share=share
    )


def transform_power(
    half: Tensor, width: int, pixel_size_angstrom: float, *, block: int, energy: float = 1.0, share: float = 1.0
) -> PowerMap:
    """`power_map` from the rfft2 of a flattened image (h, `width`); `energy`: of a weight, relative to none."""
    height, device = half.shape[0], half.device
    along_y, along_x = edge_taper(height, device=device) ** 2, edge_taper(width, device=device) ** 2
    scale = 1.0 / (float(along_y.sum() * along_x.sum()) * energy)
    values = half.cpu().numpy()
    step_y, step_x = 1.0 / (height * pixel_size_angstrom), 1.0 / (width * pixel_size_angstrom)
    top = min(step_y * (height // 2), step_x * (width // 2))
    per_bin_y, per_bin_x = step_y * _LEVEL_BINS / top, step_x * _LEVEL_BINS / top
    level = _local_level(values, per_bin_y, per_bin_x) * scale
    # Whole blocks only, symmetric about ky = 0; the few samples next to Nyquist that do not fill one are dropped.
    clipped, whole, count = map_kernels.block_power(
        values, scale, level, per_bin_y, per_bin_x, CROSS_HALF_WIDTH, OUTLIER_LEVEL, block
    )
    divisor = np.maximum(count, 1.0)
    rows, columns = count.shape

    def tensor(array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(device)

    middle = 0.5 * (block - 1)
    return PowerMap(
        power=tensor(clipped / divisor),
        unclipped=tensor(whole / divisor),
        count=tensor(count * np.float32(share)),
        kx=tensor(((np.arange(columns) * block + middle) * step_x).astype(np.float32)),
        ky=tensor((((np.arange(rows) - rows // 2) * block + middle) * step_y).astype(np.float32)),
        height_angstrom=height * pixel_size_angstrom,
        width_angstrom=width * pixel_size_angstrom,
        block=block,
        nyquist_per_angstrom=0.5 / pixel_size_angstrom,
    )


def rebin(spectrum: PowerMap, factor: int) -> PowerMap:
    """Means over `factor` x `factor` samples of a map; what does not fill a block at the far ends is dropped."""
    if factor <= 1:
        return spectrum
    rows, columns = spectrum.power.shape
    half_rows, columns = rows // 2 // factor * factor, columns // factor * factor
    first = rows // 2 - half_rows
    part = slice(first, first + 2 * half_rows), slice(0, columns)
    count = spectrum.count[part]
    total = _block_sum(count, factor)
    divisor = total.clamp_min(1e-30)
    return replace(
        spectrum,
        power=_block_sum(spectrum.power[part] * count, factor) / divisor,
        unclipped=_block_sum(spectrum.unclipped[part] * count, factor) / divisor,
        count=total,
        kx=spectrum.kx[:columns].view(-1, factor).mean(1),
        ky=spectrum.ky[part[0]].view(-1, factor).mean(1),
        block=spectrum.block * factor,
    )


def _block_sum(values: Tensor, block: int) -> Tensor:
    if block == 1:
        return values
    rows, columns = values.shape
    return values.view(rows // block, block, columns // block, block).sum((1, 3))


def _local_level(half: NDArray[np.complex64], per_bin_y: float, per_bin_x: float) -> NDArray[np.float64]:
    """Robust mean of |X|^2 in `_LEVEL_BINS` radial bins: median / ln 2 of a sample of the rfft2."""
    height, columns = half.shape
    stride = max(1, half.size // _LEVEL_SAMPLES)
    # A stride that shares a factor with the row length would look at few columns only.
    while stride > 1 and math.gcd(stride, columns) > 1:
        stride += 1
    index = np.arange(0, half.size, stride)
    row, column = index // columns, index % columns
    row = np.where(row > height // 2, row - height, row)
    sample = half.reshape(-1)[index]
    values = sample.real.astype(np.float64) ** 2 + sample.imag.astype(np.float64) ** 2
    bins = np.minimum(np.hypot(row * per_bin_y, column * per_bin_x), _LEVEL_BINS - 1).astype(np.int64)
    order = np.lexsort((values, bins))
    values = values[order]
    sizes = np.bincount(bins, minlength=_LEVEL_BINS)
    starts = np.cumsum(sizes) - sizes
    medians = values[np.minimum(starts + sizes // 2, len(values) - 1)]
    overall = max(float(np.median(values)), float(np.finfo(np.float32).tiny))
    return np.asarray(np.maximum(np.where(sizes > 8, medians, overall), 1e-12 * overall) / math.log(2.0))


@lru_cache(maxsize=1)
def overlap_table() -> NDArray[np.float64]:
    """Autocorrelation of the edge taper at displacements of 0 ... 1 of its length in 513 steps, 1 at none."""
    window = edge_taper(512, device=torch.device("cpu"))
    transform = torch.fft.rfft(window, n=1024)
    correlation = torch.fft.irfft(transform.real**2 + transform.imag**2, n=1024)[:513].clamp_min(0.0)
    return np.asarray((correlation / correlation[0]).numpy(), dtype=np.float64)


def window_overlap(displacement_angstrom: Tensor, length_angstrom: float) -> Tensor:
    """Autocorrelation of the edge taper, 1 at no displacement: how much of the contrast that was displaced by
    `displacement_angstrom` along one axis meets its other half inside the window."""
    correlation = torch.from_numpy(overlap_table()).to(displacement_angstrom)
    position = (displacement_angstrom.abs() / length_angstrom * 512.0).clamp_max(511.0)
    lower = position.to(torch.int64)
    return torch.lerp(correlation[lower], correlation[lower + 1], position - lower)


def half_frc(even: Tensor, odd: Tensor, pixel_size_angstrom: float, edges_per_angstrom: Tensor) -> tuple[float, ...]:
    """Fourier ring correlation of two images in the rings between equally spaced edges (1/A); 0 in an empty ring.

    The axes' cross is left out: the readout's pattern is common to both halves and is not signal. Saxton & Baumeister
    1982, J. Microsc. 127, 127.
    """
    height, width = even.shape
    first, second = (torch.fft.rfft2(flatten_image(image)).cpu().numpy() for image in (even, odd))
    edges = edges_per_angstrom.cpu().numpy().astype(np.float64)
    sums = map_kernels.ring_products(
        first,
        second,
        1.0 / (height * pixel_size_angstrom),
        1.0 / (width * pixel_size_angstrom),
        CROSS_HALF_WIDTH,
        edges,
        (edges[-1] - edges[0]) / (len(edges) - 1),
    )
    norm = np.sqrt(sums[1] * sums[2])
    return tuple(np.where(norm > 0.0, sums[0] / np.maximum(norm, 1e-300), 0.0).tolist())
