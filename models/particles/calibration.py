"""How many false picks a threshold lets through, counted where there can be no particle.

Two counts, of which the larger is believed: peaks in surrogates (Gaussian fields of the background's power: what noise
alone would give; Theiler et al. 1992, Physica D 58, 77), and peaks of the sign-flipped response away from all picks
(what is as uneven as the picture but brighter than its surroundings is no particle; the decoys of Elias & Gygi 2007,
Nat. Methods 4, 207).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.particles.matched_filter import WorkingImage, evidence, parts

Array = NDArray[np.float64]

_SURROGATE_PIXELS = 1_000_000
_MOST_SURROGATES = 24
_LEAST_SCORE = 1.5
"""Of a peak that is looked at."""
_SUMMIT = 0.3
"""A peak is the highest place within so many diameters; of those nearer than `SEPARATION` the higher stays."""
SEPARATION = 0.62


@dataclass(frozen=True, slots=True)
class Peaks:
    """Best first; places in working pixels."""

    x: Array
    y: Array
    score: Array

    def best(self, count: int) -> Peaks:
        return Peaks(self.x[:count], self.y[:count], self.score[:count])


def find_peaks(score: Tensor, allowed: Tensor, diameter_px: float) -> Peaks:
    """Summits of a score (h, w) where `allowed` (h, w bool), to a part of a pixel."""
    reach = max(1, math.floor(_SUMMIT * diameter_px))
    side = 2 * reach + 1
    # Rows, then columns: the same square at a fraction of the cost.
    highest = torch.nn.functional.max_pool2d(score[None, None], (1, side), stride=1, padding=(0, reach))
    highest = torch.nn.functional.max_pool2d(highest, (side, 1), stride=1, padding=(reach, 0))[0, 0]
    is_peak = (score >= highest) & (score > _LEAST_SCORE) & allowed
    is_peak[0], is_peak[-1], is_peak[:, 0], is_peak[:, -1] = False, False, False, False
    rows, columns = torch.nonzero(is_peak, as_tuple=True)
    value = score[rows, columns]
    order = torch.argsort(value, descending=True, stable=True)
    rows, columns, value = rows[order], columns[order], value[order]
    x = columns + _vertex(score[rows, columns - 1], value, score[rows, columns + 1])
    y = rows + _vertex(score[rows - 1, columns], value, score[rows + 1, columns])
    kept = apart(x.double().cpu().numpy(), y.double().cpu().numpy(), SEPARATION * diameter_px)
    return Peaks(x.double().cpu().numpy()[kept], y.double().cpu().numpy()[kept], value.double().cpu().numpy()[kept])


def _vertex(before: Tensor, at: Tensor, after: Tensor) -> Tensor:
    """Of the parabola through three neighbours, from the middle one."""
    bend = (before - 2 * at + after).clamp_max(-1e-9)
    return (0.5 * (before - after) / bend).clamp(-0.5, 0.5)


def apart(x: Array, y: Array, distance: float) -> NDArray[np.int64]:
    """Indices of places none of which is nearer than `distance` to an earlier one that stays."""
    cells: dict[tuple[int, int], list[int]] = {}
    kept = []
    for index, (px, py) in enumerate(zip(x, y, strict=True)):
        column, row = int(px // distance), int(py // distance)
        near = (other for dc in (-1, 0, 1) for dr in (-1, 0, 1) for other in cells.get((column + dc, row + dr), ()))
        if all((px - x[other]) ** 2 + (py - y[other]) ** 2 >= distance**2 for other in near):
            cells.setdefault((column, row), []).append(index)
            kept.append(index)
    return np.array(kept, dtype=np.int64)


def surrogate_peaks(background: Tensor, filters: Tensor, over: Tensor, work: WorkingImage) -> tuple[Array, int]:
    """Scores of peaks in fields of the background's power (always the same fields), and how many micrographs they
    stand for."""
    height, width = work.image.shape
    count = min(max(round(_SURROGATE_PIXELS / (height * width)), 1), _MOST_SURROGATES)
    shape = (height, width)
    random = torch.Generator().manual_seed(20_20)
    everywhere = torch.ones(shape, dtype=torch.bool, device=filters.device)
    found = []
    for _ in range(count):
        white = torch.randn(height, width, generator=random).to(filters.device)
        field = torch.fft.irfft2(torch.fft.rfft2(white) * background.sqrt(), s=shape)
        score = evidence(parts(field, filters, everywhere), over, everywhere)
        found.append(find_peaks(score, everywhere, work.diameter_px).score)
    return np.sort(np.concatenate(found))[::-1], count


def expected_false(score: Array, falling: Array, micrographs: float) -> Array:
    """How many peaks as high as each score come up by chance, from falling scores of peaks known to be false."""
    rising = falling[::-1]
    return (len(rising) - np.searchsorted(rising, score, side="left")) / max(micrographs, 1e-9)


def believed(score: Array, expected: Array, most_false: float, false_share: float) -> int:
    """How many of the best are taken: as many as come with at most `most_false` expected false ones, or with at most
    this share of false ones among them (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57, 289)."""
    taken = np.nonzero(expected <= np.maximum(most_false, false_share * np.arange(1, len(score) + 1)))[0]
    return int(taken[-1]) + 1 if len(taken) else 0
