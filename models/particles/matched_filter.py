"""How much each place of a micrograph looks like a particle of a size whose shape nobody knows.

Seen through a CTF that passes little below 1/50 A, a protein is no disc: it is a cluster of dense parts, dark and some
tens of A wide, on a background that is bright and dark alike. Parts are found by matched filters CTF(k) T(k) / N(k)
for balls T of a few sizes against the background's power N(k) (Turin 1960, IRE Trans. Inf. Theory 6, 311; for
particles Sigworth 2004, J. Struct. Biol. 145, 111). The evidence of a place is the log likelihood ratio of a mixture,
in which a share of the places in a particle carries a part of a usual strength; it is summed over the particle's disc.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, ctf_2d, frequency_grid
from frazil.models.particles.segmentation import Regions
from frazil.models.records import CtfEstimate

WORKING_PIXELS_PER_DIAMETER = 20
_LEAST_WORKING_PIXEL_ANGSTROM = 4.0
PART_DIAMETERS = (0.5, 0.25, 0.15)
"""Of the particle's diameter."""
_LEAST_PART_ANGSTROM = 15.0
_SOFT_EDGE = 0.15
"""Radii of a part over which its density falls off (1 sigma)."""
_PART_STRENGTH, _PART_SHARE = 2.0, 0.15
"""Of a part in units of the noise, and of the places in a particle that have one: both stand for a faint particle,
since strong ones are found with any numbers."""
_DISC_RADIUS = 0.36
"""Of the disc over which evidence is summed, in diameters: a diameter is a particle's longest extent."""
_DISC_EDGE = 0.15
_RINGS_PER_DIAMETER = 0.5
"""Width of the background's rings, in units of 1/diameter."""
_LEAST_MODES = 6
"""Of a ring whose power is measured."""
_ENOUGH_PLACES = 100_000
_UNKNOWN_DEFOCUS_ANGSTROM = 15_000.0


@dataclass(frozen=True, slots=True)
class WorkingImage:
    """A micrograph binned to the size that is looked for."""

    image: Tensor
    """(h, w), specimen dark, free of slow changes, unit variance; 0 where `masked`."""
    masked: Tensor
    """(h, w) bool: nothing may be picked or learnt there."""
    factor: int
    pixel_size_angstrom: float
    diameter_px: float


def working_image(
    image: Tensor,
    regions: Regions,
    pixel_size_angstrom: float,
    diameter_angstrom: float,
    pixels_per_diameter: int = WORKING_PIXELS_PER_DIAMETER,
) -> WorkingImage:
    """Bin a micrograph (h, w) for a diameter."""
    wanted = max(diameter_angstrom / pixels_per_diameter, _LEAST_WORKING_PIXEL_ANGSTROM)
    factor = max(1, int(wanted / pixel_size_angstrom + 0.25))
    height, width = image.shape
    small = image[: height // factor * factor, : width // factor * factor]
    small = torch.nn.functional.avg_pool2d(small[None, None], factor)[0, 0]
    inside = regions.on_grid(small.shape[0], small.shape[1], factor, image.device)
    flat = _without_slope(small, ~inside)
    flat = torch.where(inside, torch.zeros_like(flat), flat)
    spread = flat[~inside].std() if bool((~inside).any()) else flat.new_tensor(1.0)
    pixel = pixel_size_angstrom * factor
    return WorkingImage(flat / spread.clamp_min(1e-12), inside, factor, pixel, diameter_angstrom / pixel)


def _without_slope(image: Tensor, used: Tensor) -> Tensor:
    """Less the second-order surface that fits it best."""
    height, width = image.shape
    y = torch.linspace(-1, 1, height, device=image.device)[:, None].expand(height, width)
    x = torch.linspace(-1, 1, width, device=image.device)[None, :].expand(height, width)
    basis = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y])
    chosen = basis[:, used]
    if chosen.shape[1] < 64:
        return image - image.mean()
    normal = chosen @ chosen.T
    fitted = torch.linalg.solve(normal, chosen @ image[used])
    flat: Tensor = image - torch.tensordot(fitted, basis, dims=1)
    return flat


def transfer(work: WorkingImage, ctf: CtfEstimate, acquisition: AcquisitionParameters) -> Tensor:
    """CTF (h, w // 2 + 1) on the working grid, with the loss by binning; where the defocus is not known, that of a
    usual one up to its first maximum, flat beyond."""
    height, width = work.image.shape
    known = ctf.defocus_known
    parameters = CtfParameters(
        voltage_kv=acquisition.voltage_kv,
        cs_mm=acquisition.cs_mm,
        amplitude_contrast=acquisition.amplitude_contrast,
        defocus_u_angstrom=ctf.defocus_u_angstrom if known else _UNKNOWN_DEFOCUS_ANGSTROM,
        defocus_v_angstrom=ctf.defocus_v_angstrom if known else _UNKNOWN_DEFOCUS_ANGSTROM,
        astigmatism_angle_deg=ctf.astigmatism_angle_deg if known else 0.0,
        phase_shift_deg=ctf.phase_shift_deg if known else 0.0,
    )
    made = ctf_2d(parameters, height, width, work.pixel_size_angstrom, device=work.image.device)
    kx, ky = frequency_grid(height, width, work.pixel_size_angstrom, device=work.image.device)
    if not known:
        first = math.sqrt(0.5 / (0.02 * _UNKNOWN_DEFOCUS_ANGSTROM))
        made = torch.where(kx**2 + ky**2 < first**2, made, torch.zeros_like(made))
    side = work.pixel_size_angstrom
    return made * torch.sinc(kx * side) * torch.sinc(ky * side)


def _ball(q: Tensor) -> Tensor:
    """Transform of a ball's projection, 1 at 0; q = radius times frequency."""
    x = (2 * math.pi * q).clamp_min(1e-2)
    return 3 * (torch.sin(x) - x * torch.cos(x)) / x**3


@dataclass(frozen=True, slots=True)
class Bands:
    """A working image in rings of frequency, squared."""

    centre_per_angstrom: tuple[float, ...]
    squares: tuple[Tensor, ...]
    """(h, w) each; of white noise of unit variance the mean is 1."""
    frequency_per_angstrom: Tensor
    """|k| on the grid of the transform."""


def bands(work: WorkingImage) -> Bands:
    height, width = work.image.shape
    kx, ky = frequency_grid(height, width, work.pixel_size_angstrom, device=work.image.device)
    k = torch.sqrt(kx**2 + ky**2)
    step = _RINGS_PER_DIAMETER / (work.diameter_px * work.pixel_size_angstrom)
    edges = [0.0]
    while edges[-1] < float(k.max()):
        # A step each where templates live, wider and wider bands beyond.
        edges.append(edges[-1] + max(step, 0.3 * edges[-1]))
    spectrum = torch.fft.rfft2(work.image)
    twice = _halves(kx.shape[1], width, k.device)
    centres, squares = [], []
    for low, high in itertools.pairwise(edges):
        band = ((k >= low) & (k < high)).to(k.dtype)
        modes = float((band * twice).sum())
        if modes >= _LEAST_MODES:
            part = torch.fft.irfft2(spectrum * band, s=(height, width))
            centres.append(0.5 * (low + high))
            squares.append(part.square_().mul_(height * width / modes))
    return Bands(tuple(centres), tuple(squares), k)


def background_power(of: Bands, away: Tensor) -> Tensor:
    """(h, w // 2 + 1) power N(k) where `away` (h, w bool) is true, smooth along |k|; white noise of unit variance
    gives 1.

    Bands of the image, squared and averaged over the places that are looked at: so crowded a field as one likes, as
    long as some background is left.
    """
    level = torch.stack([square[away].mean() for square in of.squares]).clamp_min(1e-12).log()
    k = of.frequency_per_angstrom
    at = torch.tensor(of.centre_per_angstrom, device=k.device)
    right = torch.searchsorted(at, k.contiguous()).clamp(1, len(at) - 1)
    share = ((k - at[right - 1]) / (at[right] - at[right - 1])).clamp(0.0, 1.0)
    return torch.exp(level[right - 1] * (1 - share) + level[right] * share)


def _halves(columns: int, width_px: int, device: torch.device) -> Tensor:
    """How many Fourier terms each column of a half plane stands for."""
    made = torch.full((columns,), 2.0, device=device)
    made[0] = 1.0
    if width_px % 2 == 0:
        made[-1] = 1.0
    return made


def part_filters(work: WorkingImage, ctf: Tensor, background: Tensor) -> Tensor:
    """(n, h, w // 2 + 1) filters whose response to the background has unit variance, positive on a part."""
    height, width = work.image.shape
    kx, ky = frequency_grid(height, width, work.pixel_size_angstrom, device=work.image.device)
    k = torch.sqrt(kx**2 + ky**2)
    diameter = work.diameter_px * work.pixel_size_angstrom
    radii = [0.5 * max(part * diameter, _LEAST_PART_ANGSTROM) for part in PART_DIAMETERS]
    shapes = [_ball(k * radius) * torch.exp(-2 * (math.pi * _SOFT_EDGE * radius * k) ** 2) for radius in radii]
    made = ctf * torch.stack(shapes) / background
    made[:, 0, 0] = 0.0
    return unit_variance(made, background, width)


def unit_variance(filters: Tensor, background: Tensor, width_px: int) -> Tensor:
    """Filters (n, h, w // 2 + 1) scaled so that their response to the background has unit variance."""
    weight = _halves(filters.shape[-1], width_px, filters.device)
    total = (filters.square() * background * weight).sum(dim=(1, 2), keepdim=True)
    return filters / (total / (filters.shape[1] * width_px)).sqrt().clamp_min(1e-20)


def disc(work: WorkingImage) -> Tensor:
    """(h, w // 2 + 1) transform of the disc over which evidence is summed."""
    height, width = work.image.shape
    device = work.image.device
    y = torch.fft.fftfreq(height, device=device)[:, None] * height
    x = torch.fft.fftfreq(width, device=device)[None, :] * width
    radius = _DISC_RADIUS * work.diameter_px
    made: Tensor = torch.fft.rfft2(torch.sigmoid((radius - torch.sqrt(x**2 + y**2)) / (_DISC_EDGE * radius)))
    return made


def parts(image: Tensor, filters: Tensor, away: Tensor) -> Tensor:
    """(n, h, w) of an image (h, w): response to each kind of part, in units of its spread where `away` is true."""
    each: Tensor = torch.fft.irfft2(torch.fft.rfft2(image) * filters, s=tuple(image.shape))
    return torch.stack([in_spreads(one, away) for one in each])


def in_spreads(response: Tensor, away: Tensor) -> Tensor:
    """A response (h, w) less its median, in units of its spread (by the median deviation) where `away` is true."""
    values = response[away]
    # Neighbours say the same; some tens of thousands of places are enough.
    values = values[:: max(1, values.numel() // _ENOUGH_PLACES)]
    centre = values.median()
    spread = 1.4826 * (values - centre).abs().median()
    made: Tensor = (response - centre) / spread.clamp_min(1e-12)
    return made


def evidence(part: Tensor, over: Tensor, away: Tensor) -> Tensor:
    """(h, w) log likelihood ratio of the parts (n, h, w), summed over a disc, in units of its spread where `away` is
    true."""
    ratio = torch.exp((_PART_STRENGTH * part - 0.5 * _PART_STRENGTH**2).clamp_max(30.0))
    gain = torch.log1p(_PART_SHARE * (ratio - 1.0)).sum(dim=0)
    # What lies beyond the edge is background.
    gain = gain - gain[away].mean()
    total = torch.fft.irfft2(torch.fft.rfft2(gain) * over, s=tuple(gain.shape))
    # From the lower tail, which particles do not reach: in a crowd the middle and the upper tail are theirs.
    low, high = np.quantile(total[away].cpu().numpy(), (0.05, 0.30))
    spread = torch.as_tensor((high - low) / (1.645 - 0.524), device=total.device)
    centre = high + 0.524 * spread
    made: Tensor = (total - centre) / spread.clamp_min(1e-12)
    return made
