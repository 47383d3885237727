"""Where no particle can be told from what lies there: contamination, foil and hole edges, carbon, crystalline ice.

Rules on a coarse grid, each in a physical unit: transmitted electrons against the ice around, local power in a band of
frequencies against the counts' own noise, Bragg spots against the noise beside their ring. What covers the whole field
is no region: there the picker's background holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CELL_ANGSTROM = 24.0
_SEED_CONTRAST, _GROWN_CONTRAST = 0.10, 0.035
"""Change of the transmitted counts against the ice around: what is contamination or foil at all, and how far it
reaches. Particles stay below the first on this grid: a protein of 200 A changes the counts by some per cent."""
_SEED_SMOOTHING_ANGSTROM = 40.0
"""Dense cores of particles are as dark, but narrower."""
_RIM_ANGSTROM = 48.0
"""How far fringes reach around a sharp edge."""
_ASSUMED_E_PER_A2 = 30.0
"""Exposure of an image whose counts somebody has scaled away."""
_SURFACE_ROUNDS = 6

_CARBON_BAND_ANGSTROM = (12.0, 6.0)
"""Carbon scatters here; of the ice, which moves, and of proteins little is left."""
_PARTICLE_BAND_ANGSTROM = (30.0, 15.0)
_CARBON_FLATNESS = 0.2
"""Of the power that carbon adds in its band, against what it adds in the particles' band; a crowd of particles adds
less."""
_CARBON_SMOOTHING_ANGSTROM = 130.0
_CARBON_LN_POWER = 0.12
_CARBON_SIGMAS = 3.5
"""Distance of carbon and ice in ln power, at least, and in units of the spread within each."""
_LEAST_SHARE = 0.04
"""Of the field, that carbon or what is beside it takes."""

_TILE_PX = 256
_BRAGG_ANGSTROM = (3.98, 3.38)
"""Hexagonal ice at 3.90, 3.67, 3.44 A, cubic at 3.66 A."""
_FLANKS_ANGSTROM = (5.2, 4.2)
_SPOT_POWER = 20.0
"""Of the noise; exp(-20) of noise's spots are as bright, and a tile has a thousand."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What is masked, on cells of `cell_px` pixels of the micrograph; each (rows, columns) bool."""

    cell_px: int
    thick: Mask
    """Contamination, foil, hole edges: too dark or too bright for ice."""
    carbon: Mask
    crystalline: Mask

    @property
    def masked(self) -> Mask:
        return np.asarray(self.thick | self.carbon | self.crystalline)

    def bits(self, height: int, width: int, factor: int) -> NDArray[np.uint8]:
        """(height, width): 1 where `thick`, 2 where `carbon`, 4 where `crystalline`, added, on a grid of pixels that
        are each `factor` pixels of the micrograph."""
        cells = self.thick + 2 * self.carbon.astype(np.uint8) + 4 * self.crystalline.astype(np.uint8)
        at = [(np.arange(size) * factor + factor // 2) // self.cell_px for size in (height, width)]
        rows, columns = (np.minimum(one, size - 1) for one, size in zip(at, cells.shape, strict=True))
        return np.asarray(cells[rows[:, None], columns[None, :]], dtype=np.uint8)

    def on_grid(self, height: int, width: int, factor: int, device: torch.device) -> Tensor:
        """(height, width) bool: `masked` on a grid of pixels that are each `factor` pixels of the micrograph."""
        made = torch.from_numpy(self.masked).to(device)
        at = [(torch.arange(size, device=device) * factor + factor // 2) // self.cell_px for size in (height, width)]
        return made[at[0].clamp_max(made.shape[0] - 1)[:, None], at[1].clamp_max(made.shape[1] - 1)[None, :]]

    @property
    def masked_share(self) -> float:
        return float(self.masked.mean())


def segment(image: Tensor, pixel_size_angstrom: float) -> Regions:
    """Regions of an aligned micrograph (h, w), in counts or scaled."""
    cell = max(1, round(_CELL_ANGSTROM / pixel_size_angstrom))
    counts = torch.nn.functional.avg_pool2d(image[None, None].float(), cell, ceil_mode=True, count_include_pad=False)[
        0, 0
    ]
    mean = counts.double().cpu().numpy()
    thick = _thick(mean, _shot_noise(image), cell, pixel_size_angstrom)
    return Regions(
        cell_px=cell,
        thick=thick,
        carbon=_carbon(image, mean, thick, cell, pixel_size_angstrom),
        crystalline=_crystalline(image, mean.shape, cell, pixel_size_angstrom),
    )


def _shot_noise(image: Tensor) -> float:
    """Variance per pixel of what is white, from the finest differences (Immerkaer 1996, Comput. Vis. Image Und. 64,
    300)."""
    step = max(1, image.shape[0] // 1024)
    rows = image[: image.shape[0] // 3 * 3].unfold(0, 3, 3 * step)
    second = rows[..., 0] - 2 * rows[..., 1] + rows[..., 2]
    second = second[:, :-2] - 2 * second[:, 1:-1] + second[:, 2:]
    return float((1.4826 * second.abs().median()) ** 2 / 36.0)


def _thick(mean: Array, noise: float, cell: int, pixel_size_angstrom: float) -> Mask:
    """Cells that let through too little or too much, grown to where they end, with a rim."""
    level = float(np.quantile(mean, 0.7))
    counted = level > 0 and 0.2 < noise / level < 5.0 and float(np.quantile(mean, 0.1)) > 0
    # One electron a pixel has a variance of one: scaled images tell their contrast by their noise.
    scale = level if counted else math.sqrt(max(noise, 1e-20) * _ASSUMED_E_PER_A2) * pixel_size_angstrom
    contrast = (mean - level) / scale
    rows, columns = np.mgrid[-1 : 1 : mean.shape[0] * 1j, -1 : 1 : mean.shape[1] * 1j]
    basis = np.stack([np.ones_like(rows), rows, columns, rows**2, rows * columns, columns**2], axis=-1)
    ice = np.abs(contrast) < _SEED_CONTRAST
    surface = np.zeros_like(contrast)
    for _ in range(_SURFACE_ROUNDS):
        if ice.mean() < 0.1:
            break
        surface = basis @ np.linalg.lstsq(basis[ice], contrast[ice], rcond=None)[0]
        ice = np.abs(contrast - surface) < 2 * _GROWN_CONTRAST
    away = np.abs(contrast - surface)
    grown, _ = scipy.ndimage.label(away > _GROWN_CONTRAST)
    broad = scipy.ndimage.gaussian_filter(contrast - surface, _SEED_SMOOTHING_ANGSTROM / (cell * pixel_size_angstrom))
    seeds = np.unique(grown[np.abs(broad) > _SEED_CONTRAST])
    found = np.isin(grown, seeds[seeds > 0])
    rim = max(1, round(_RIM_ANGSTROM / (cell * pixel_size_angstrom)))
    return np.asarray(scipy.ndimage.binary_dilation(found, iterations=rim)) if found.any() else found


def _carbon(image: Tensor, mean: Array, thick: Mask, cell: int, pixel_size_angstrom: float) -> Mask:
    """The part of the field with more power in the carbon's band, if the field falls into two such parts; pieces that
    have, as crowds of particles do, gained at lower frequencies above all, stay."""
    none = np.zeros(mean.shape, dtype=bool)
    binning = max(1, int(0.5 * _CARBON_BAND_ANGSTROM[1] / pixel_size_angstrom))
    pixel = binning * pixel_size_angstrom
    if int((~thick).sum()) < 64 or 2 * pixel > _CARBON_BAND_ANGSTROM[1] + 1e-6:
        return none
    small = torch.nn.functional.avg_pool2d(image[None, None].float(), binning)[0, 0]
    height, width = small.shape
    ky = torch.fft.fftfreq(height, d=pixel, device=image.device)[:, None]
    kx = torch.fft.rfftfreq(width, d=pixel, device=image.device)[None, :]
    k2 = kx**2 + ky**2
    spectrum = torch.fft.rfft2(small - small.mean())
    weight = (~thick).astype(float)
    sigma = _CARBON_SMOOTHING_ANGSTROM / (cell * pixel_size_angstrom)
    covered = scipy.ndimage.gaussian_filter(weight, sigma).clip(1e-6)
    brightness = scipy.ndimage.gaussian_filter(mean * weight, sigma) / covered
    # The counts' own noise is as strong as they are many.
    noise = np.where(brightness > 0, brightness, 1.0) if (brightness[~thick] > 0).all() else np.ones_like(brightness)
    powers = []
    for longest, shortest in (_CARBON_BAND_ANGSTROM, _PARTICLE_BAND_ANGSTROM):
        inside = (k2 > longest**-2) & (k2 < shortest**-2)
        band = torch.fft.irfft2(spectrum * inside, s=(height, width)).square() / max(int(inside.sum()), 1)
        power = torch.nn.functional.adaptive_avg_pool2d(band[None, None], mean.shape)[0, 0].double().cpu().numpy()
        powers.append(scipy.ndimage.gaussian_filter(power * weight, sigma) / covered / noise)
    value = np.log(powers[0].clip(1e-20))
    seen = value[~thick]
    split = _two_parts(seen)
    more = seen > split
    share = float(more.mean())
    if not _LEAST_SHARE < share < 1 - _LEAST_SHARE:
        return none
    apart = float(np.median(seen[more]) - np.median(seen[~more]))
    spread = math.sqrt(0.5 * (_spread(seen[more]) ** 2 + _spread(seen[~more]) ** 2))
    if apart < _CARBON_LN_POWER or apart < _CARBON_SIGMAS * spread:
        return none
    pieces, count = scipy.ndimage.label((value > split) & ~thick)
    ice = (value <= split) & ~thick
    found = none.copy()
    for number in range(1, count + 1):
        piece = pieces == number
        gained, gained_below = (float(np.median(power[piece]) - np.median(power[ice])) for power in powers)
        if piece.mean() > 0.5 * _LEAST_SHARE and gained > _CARBON_FLATNESS * gained_below:
            found |= piece
    return found


def _two_parts(values: Array) -> float:
    """The threshold that leaves least variance within the two parts (Otsu 1979, IEEE Trans. SMC 9, 62)."""
    ordered = np.sort(values)
    count = np.arange(1, len(ordered))
    below = np.cumsum(ordered)[:-1]
    between = (ordered.sum() * count / len(ordered) - below) ** 2 / (count * (len(ordered) - count))
    index = int(np.argmax(between))
    return float(0.5 * (ordered[index] + ordered[index + 1]))


def _spread(values: Array) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _crystalline(image: Tensor, shape: tuple[int, int], cell: int, pixel_size_angstrom: float) -> Mask:
    """Tiles whose spectrum has Bragg spots of ice."""
    height, width = image.shape
    if 2.05 * pixel_size_angstrom > _BRAGG_ANGSTROM[1] or min(height, width) < _TILE_PX:
        return np.zeros(shape, dtype=bool)
    tiles = image.float().unfold(0, _TILE_PX, _TILE_PX).unfold(1, _TILE_PX, _TILE_PX)
    window = torch.hann_window(_TILE_PX, device=image.device)
    ky = torch.fft.fftfreq(_TILE_PX, d=pixel_size_angstrom, device=image.device)[:, None]
    kx = torch.fft.rfftfreq(_TILE_PX, d=pixel_size_angstrom, device=image.device)[None, :]
    k = torch.sqrt(kx**2 + ky**2)
    ring = (k > 1 / _BRAGG_ANGSTROM[0]) & (k < 1 / _BRAGG_ANGSTROM[1])
    flanks = (k > 1 / _FLANKS_ANGSTROM[0]) & (k < 1 / _FLANKS_ANGSTROM[1])
    found = torch.zeros(tiles.shape[:2], dtype=torch.bool)
    for row in range(tiles.shape[0]):
        strip = tiles[row] - tiles[row].mean(dim=(1, 2), keepdim=True)
        power = torch.fft.rfft2(strip * window[:, None] * window[None, :]).abs().square()
        found[row] = (power[:, ring].amax(dim=1) > _SPOT_POWER * power[:, flanks].mean(dim=1)).cpu()
    rows = np.minimum((np.arange(shape[0]) * cell + cell // 2) // _TILE_PX, found.shape[0] - 1)
    columns = np.minimum((np.arange(shape[1]) * cell + cell // 2) // _TILE_PX, found.shape[1] - 1)
    return np.asarray(found.numpy()[rows[:, None], columns[None, :]])
