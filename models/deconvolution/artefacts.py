"""What is no specimen, taken out before a micrograph is filtered: dark lumps, deviating columns and rows.

A filter that undoes the CTF spreads everything by the width of its point-spread function (2 lambda dz k, hundreds of
angstroms), so that one opaque ice crystal would ring through half of the picture. Reflections and gratings are spots in
Fourier space and are dealt with there (`wiener.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK_ANGSTROM = 50.0
_DARK = 0.82
"""A block that passes less than this share of the median's electrons is no particle: two ribosomes on top of each other
take away 5 to 10 %, 0.1 um of crystalline ice or a carbon film at its edge 20 % and more."""
_SURE_SIGMA = 6.0
"""Of the counting noise of a block: few electrons are no darkness."""
_FEWEST_BLOCKS = 4
"""Of 50 A that hang together: a lump of 100 A and more."""
_LINE_SIGMA = 7.0
"""A row or column this far from the median of its neighbours has a fault of the camera."""
_NEIGHBOURS_PX = 15


@dataclass(frozen=True, slots=True)
class CleanImage:
    """An image without what no specimen makes.

    masked: (rows, columns) of blocks of `block_px` pixels, True where lumps were replaced; None: nowhere.
    """

    image: Tensor
    masked: Tensor | None
    block_px: int
    masked_share: float
    bad_lines: int


def clean(image: Tensor, pixel_size_angstrom: float) -> CleanImage:
    """Level deviating lines, and put noise of the surroundings' mean and spread in place of dark lumps.

    Parameters
    ----------
    image:
        (h, w) electrons (or any unit that is zero where none arrive), specimen dark.
    """
    levelled, bad_lines = _without_bad_lines(image)
    block = max(4, round(_BLOCK_ANGSTROM / pixel_size_angstrom))
    masked = _dark_blocks(levelled, block)
    if masked is None:
        return CleanImage(levelled, None, block, 0.0, bad_lines)
    return CleanImage(_filled(levelled, masked, block), masked, block, float(masked.float().mean()), bad_lines)


def _without_bad_lines(image: Tensor) -> tuple[Tensor, int]:
    found = 0
    result = image
    for dim in (0, 1):
        profile = image.mean(dim=dim)
        if profile.numel() < 4 * _NEIGHBOURS_PX:
            continue
        pad = _NEIGHBOURS_PX
        around = torch.nn.functional.pad(profile[None, None], (pad, pad), mode="reflect")[0, 0].unfold(
            0, 2 * pad + 1, 1
        )
        excess = profile - around.median(dim=1).values
        spread = 1.4826 * excess.abs().median()
        bad = excess.abs() > _LINE_SIGMA * spread.clamp_min(1e-12)
        # A grating or an edge across the whole picture deviates everywhere; faults of a camera are few.
        if bad.any() and float(bad.float().mean()) < 0.02:
            found += int(bad.sum())
            result = result - (excess * bad).unsqueeze(dim)
    return result, found


def _dark_blocks(image: Tensor, block: int) -> Tensor | None:
    """Blocks of lumps, and those that touch them; None where there are none, or too many to be told from the rest."""
    mean = torch.nn.functional.avg_pool2d(image[None, None], block, ceil_mode=True)[0, 0]
    middle = mean.median()
    if float(middle) <= 0.0:
        return None
    noise = (1.4826 * (mean - middle).abs().median()).clamp_min(1e-12)
    dark = (mean < _DARK * middle) & (middle - mean > _SURE_SIGMA * noise)
    if not dark.any():
        return None
    # A lump hangs together: a block counts when enough of the 3 x 3 around it do.
    around = torch.nn.functional.avg_pool2d(dark[None, None].float(), 3, 1, 1)[0, 0] * 9
    core = dark & (around >= _FEWEST_BLOCKS - 0.5)
    grown = torch.nn.functional.max_pool2d(core[None, None].float(), 3, 1, 1)[0, 0] > 0
    if not grown.any() or float(grown.float().mean()) > 0.7:
        return None
    return grown


def _filled(image: Tensor, masked: Tensor, block: int) -> Tensor:
    """Lumps replaced by noise about a level interpolated from around them; always the same noise."""
    height, width = image.shape
    mean = torch.nn.functional.avg_pool2d(image[None, None], block, ceil_mode=True)[0, 0]
    keep = (~masked).float()
    level, weight = mean * keep, keep
    # Means over growing neighbourhoods: the nearest good blocks decide.
    filled = torch.where(masked, torch.zeros_like(mean), mean)
    missing = masked.clone()
    reach = 1
    while bool(missing.any()) and reach < max(masked.shape):
        size = 2 * reach + 1
        total = torch.nn.functional.avg_pool2d(level[None, None], size, 1, reach)[0, 0]
        share = torch.nn.functional.avg_pool2d(weight[None, None], size, 1, reach)[0, 0]
        now = missing & (share > 0)
        filled = torch.where(now, total / share.clamp_min(1e-9), filled)
        missing &= ~now
        reach *= 2
    good = ~masked.repeat_interleave(block, 0).repeat_interleave(block, 1)[:height, :width]
    smooth = torch.nn.functional.interpolate(filled[None, None], size=(height, width), mode="bilinear")[0, 0]
    spread = float((image - smooth)[good].std())
    noise = torch.randn(height, width, generator=torch.Generator().manual_seed(1)).to(image.device)
    if not math.isfinite(spread):
        return image
    return torch.where(good, image, smooth + spread * noise)
