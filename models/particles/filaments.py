"""Fibres: lines of even density, traced from end to end, and segments at an even spacing along them.

Matched filters for a straight piece of a cylinder in every direction (the oriented counterpart of `matched_filter.py`;
tracing as in Huber et al. 2018, J. Struct. Biol. 202, 1, with steps instead of a skeleton). A chain of particles
that touch is as long and as straight by chance but not as even: that tells it from a fibre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.spatial
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import frequency_grid
from frazil.models.particles.matched_filter import (
    WorkingImage,
    background_power,
    bands,
    in_spreads,
    transfer,
    unit_variance,
)
from frazil.models.records import CtfEstimate

Array = NDArray[np.float64]

WORKING_PIXELS_PER_WIDTH = 8
_DIRECTIONS = 30
_PIECE_WIDTHS, _SHORT_WIDTHS = 1.4, 0.2
"""Lengths of the pieces (1 sigma, in widths): one to trace by, one to see whether density goes on without a gap."""
_SOFT_EDGE = 0.15
_SEED_SIGMA, _FOLLOWED_SIGMA = 6.0, 3.0
_STEP_WIDTHS = 0.5
_LOOKED_AT_STEPS = 0.4
"""Where evenness is looked at: a fifth of a width apart, finer than particles that touch."""
_BEND_DEG = 18.0
"""Most that the direction changes in one step."""
_ASIDE_WIDTHS = 0.3
_GAP_STEPS, _CROSSING_STEPS = 2, 7
_LEAST_LENGTH_WIDTHS = 5.0
_FRINGE_WIDTHS, _FRINGE_SHARE, _FRINGE_DEG = 3.0, 0.6, 15.0
"""A strong fibre has fringes beside it: as near, as weak against it, and as parallel."""
_EVENNESS = 0.3
"""Of the short pieces' scores, the 20th percentile against the median: near 1 on a fibre, below 0 where particles
end."""
_MOST_SEEDS = 400


@dataclass(frozen=True, slots=True)
class Filament:
    """One fibre; points from end to end, evenly spaced, in px of the micrograph."""

    x_px: Array
    y_px: Array
    angle_deg: Array
    """In-plane direction of the axis from +x towards +y (rows), from the first point on, in [-180, 180)."""
    along_angstrom: Array
    """Of each point, from where the fibre begins."""
    score: Array
    """Response of the straight piece there, in units of the background's standard deviation."""
    length_angstrom: float


def find_filaments(
    work: WorkingImage, ctf: CtfEstimate, acquisition: AcquisitionParameters, *, spacing_angstrom: float
) -> list[Filament]:
    """Fibres as wide as `work` was made for, the strongest first; empty where there are none."""
    if min(work.image.shape) < _LEAST_LENGTH_WIDTHS * work.diameter_px or bool(work.masked.all()):
        return []
    field = _Field(work, ctf, acquisition)
    if not (field.strength[~field.used] > _SEED_SIGMA).any():
        return []
    found: list[Filament] = []
    order = np.argsort(-field.strength, axis=None, kind="stable")[: field.strength.size // 20]
    tried = 0
    for flat in order:
        y, x = divmod(int(flat), field.strength.shape[1])
        if field.strength[y, x] < _SEED_SIGMA or tried >= _MOST_SEEDS:
            break
        if field.used[y, x]:
            continue
        tried += 1
        way = field.trace(float(x), float(y))
        field.use(way)
        filament = field.filament(way, spacing_angstrom)
        if filament is not None and not _is_fringe(filament, found, work):
            found.append(filament)
    return found


def _is_fringe(new: Filament, found: list[Filament], work: WorkingImage) -> bool:
    """Whether most of it runs beside stronger fibres."""
    if not found:
        return False
    places = np.column_stack([np.concatenate([f.x_px for f in found]), np.concatenate([f.y_px for f in found])])
    angle, score = (np.concatenate([getattr(f, name) for f in found]) for name in ("angle_deg", "score"))
    away, nearest = scipy.spatial.cKDTree(places).query(np.column_stack([new.x_px, new.y_px]))
    turned = np.abs((new.angle_deg - angle[nearest] + 90.0) % 180.0 - 90.0)
    beside = np.asarray(away) < _FRINGE_WIDTHS * work.diameter_px * work.factor
    weak = new.score < _FRINGE_SHARE * score[nearest]
    return bool((beside & weak & (turned < _FRINGE_DEG)).mean() > 0.5)


class _Field:
    """Responses of long and short pieces in all directions, and what was traced already."""

    def __init__(self, work: WorkingImage, ctf: CtfEstimate, acquisition: AcquisitionParameters) -> None:
        self.work = work
        self.width = work.diameter_px
        height, width = work.image.shape
        self.frequency = frequency_grid(height, width, work.pixel_size_angstrom, device=work.image.device)
        self.through = transfer(work, ctf, acquisition)
        self.background = background_power(bands(work), ~work.masked)
        self.spectrum = torch.fft.rfft2(work.image)
        self.long = np.stack([self.response(number, _PIECE_WIDTHS) for number in range(_DIRECTIONS)])
        self.short: dict[int, Array] = {}
        self.turns = max(1, int(_BEND_DEG * _DIRECTIONS / 180))
        self.strength = self.long.max(axis=0)
        masked = work.masked.cpu().numpy()
        near = scipy.ndimage.distance_transform_edt(~masked) <= 0.5 * self.width if masked.any() else masked
        self.used = np.array(near)
        margin = math.ceil(self.width)
        self.used[:margin], self.used[-margin:], self.used[:, :margin], self.used[:, -margin:] = True, True, True, True
        self.closed = self.used.copy()

    def response(self, direction: int, length_widths: float) -> Array:
        """(h, w) to a straight piece of a fibre, in units of its own spread."""
        kx, ky = self.frequency
        size = self.work.diameter_px * self.work.pixel_size_angstrom
        angle = math.pi * direction / _DIRECTIONS
        along = kx * math.cos(angle) + ky * math.sin(angle)
        across = ky * math.cos(angle) - kx * math.sin(angle)
        blur = (math.pi * 0.5 * _SOFT_EDGE * size * across) ** 2 + (math.pi * length_widths * size * along) ** 2
        piece = self.through * _cylinder(across * (0.5 * size)) * torch.exp(-2 * blur) / self.background
        height, width = self.work.image.shape
        one = unit_variance(piece[None], self.background, width)[0]
        response = torch.fft.irfft2(self.spectrum * one, s=(height, width))
        return np.asarray(in_spreads(response, ~self.work.masked).cpu().numpy())

    def trace(self, x: float, y: float) -> Array:
        """(n, 4) x, y, direction (rad) and score of points half a width apart, from one end to the other."""
        angle = math.pi * int(np.argmax(self.long[:, int(y), int(x)])) / _DIRECTIONS
        here = self._best(x, y, angle, self.turns)
        back = self._follow(here[0], here[1], here[2] + math.pi)
        forth = self._follow(here[0], here[1], here[2])
        back = [(bx, by, ba - math.pi, score) for bx, by, ba, score in back]
        return np.array([*back[::-1], here, *forth])

    def _follow(self, x: float, y: float, angle: float) -> list[tuple[float, float, float, float]]:
        step = _STEP_WIDTHS * self.width
        way: list[tuple[float, float, float, float]] = []
        missing = shared = 0
        while len(way) < 10_000:
            x, y = x + step * math.cos(angle), y + step * math.sin(angle)
            if not self._inside(x, y):
                break
            crossing = bool(self.used[round(y), round(x)])
            # Straight on across another fibre.
            new = self._best(x, y, angle, 0 if crossing else self.turns)
            if not self._inside(new[0], new[1]):
                break
            shared = shared + 1 if crossing else 0
            missing = 0 if new[3] > _FOLLOWED_SIGMA else missing + 1
            if missing > _GAP_STEPS or shared > _CROSSING_STEPS:
                break
            way.append((x, y, angle, new[3]) if crossing else new)
            if not missing and not crossing:
                x, y, angle = new[:3]
        # Steps into nothing, or along another fibre, at the end are not of this one.
        return way[: max(0, len(way) - max(missing, shared))]

    def _best(self, x: float, y: float, angle: float, turns: int) -> tuple[float, float, float, float]:
        """The best place aside of a point and the best direction near one, and the score there."""
        reach = _ASIDE_WIDTHS * self.width
        aside = np.linspace(-reach, reach, 7)
        xs, ys = x - aside * math.sin(angle), y + aside * math.cos(angle)
        columns = np.clip(np.round(xs).astype(int), 0, self.strength.shape[1] - 1)
        rows = np.clip(np.round(ys).astype(int), 0, self.strength.shape[0] - 1)
        nearest = round(angle / math.pi * _DIRECTIONS)
        scores = self.long[
            (nearest + np.arange(-turns, turns + 1))[:, None] % _DIRECTIONS, rows[None, :], columns[None, :]
        ]
        turn, place = np.unravel_index(int(np.argmax(scores)), scores.shape)
        return (
            float(xs[place]),
            float(ys[place]),
            math.pi * (nearest + int(turn) - turns) / _DIRECTIONS,
            float(scores[turn, place]),
        )

    def _inside(self, x: float, y: float) -> bool:
        row, column = round(y), round(x)
        return 0 <= row < self.closed.shape[0] and 0 <= column < self.closed.shape[1] and not self.closed[row, column]

    def use(self, way: Array) -> None:
        """Nothing starts or ends beside what was traced."""
        reach = max(1, round(0.8 * self.width))
        for x, y in way[:, :2]:
            row, column = round(y), round(x)
            self.used[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = True

    def filament(self, way: Array, spacing_angstrom: float) -> Filament | None:
        """Evenly spaced points, if the way is long and even enough to be a fibre."""
        if len(way) * _STEP_WIDTHS < _LEAST_LENGTH_WIDTHS:
            return None
        at = np.arange(0.0, len(way) - 1 + 1e-6, _LOOKED_AT_STEPS)
        short = self._short(*(np.interp(at, np.arange(len(way)), way[:, column]) for column in range(3)))
        # A long piece that hangs over an end still sees the fibre; a short one hardly does.
        there = np.nonzero(short > 0.4 * np.median(short))[0]
        if len(there) < 2:
            return None
        first, last = math.floor(at[there[0]]), math.ceil(at[there[-1]])
        way, short = way[first : last + 1], short[there[0] : there[-1] + 1]
        steps = np.hypot(np.diff(way[:, 0]), np.diff(way[:, 1]))
        length = float(steps.sum())
        if length < _LEAST_LENGTH_WIDTHS * self.width:
            return None
        middle = float(np.median(short))
        # In noise of unit spread a fifth lies lower than 0.84 below the median.
        if middle <= 0 or np.percentile(short, 20) < _EVENNESS * middle - 0.84:
            return None
        at = np.concatenate([[0.0], np.cumsum(steps)])
        # Places are to the nearest of a few; a smooth curve through them lies nearer to the axis.
        smooth = [
            np.convolve(np.pad(way[:, axis], 2, mode="reflect", reflect_type="odd"), np.ones(5) / 5, "valid")
            for axis in (0, 1)
        ]
        spacing = spacing_angstrom / self.work.pixel_size_angstrom
        wanted = np.arange(0.5 * (length % spacing), length, spacing)
        x, y = (np.interp(wanted, at, values) for values in smooth)
        angle = np.degrees(np.interp(wanted, at, np.unwrap(way[:, 2], period=math.pi)))
        factor, offset = self.work.factor, (self.work.factor - 1) / 2
        return Filament(
            x_px=x * factor + offset,
            y_px=y * factor + offset,
            angle_deg=(angle + 180.0) % 360.0 - 180.0,
            along_angstrom=wanted * self.work.pixel_size_angstrom,
            score=np.interp(wanted, at, way[:, 3]),
            length_angstrom=length * self.work.pixel_size_angstrom,
        )

    def _short(self, x: Array, y: Array, angle: Array) -> Array:
        """Scores of short pieces at points along a direction (rad)."""
        rows = np.clip(np.round(y).astype(int), 0, self.strength.shape[0] - 1)
        columns = np.clip(np.round(x).astype(int), 0, self.strength.shape[1] - 1)
        direction = np.round(angle / math.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
        for number in set(direction.tolist()) - self.short.keys():
            self.short[number] = self.response(number, _SHORT_WIDTHS)
        return np.array([self.short[d][row, column] for d, row, column in zip(direction, rows, columns, strict=True)])


def _cylinder(q: Tensor) -> Tensor:
    """Transform of a cylinder's projection across its axis, 1 at 0; q = radius times frequency."""
    x = (2 * math.pi * q.abs()).clamp_min(1e-3)
    made: Tensor = 2 * torch.special.bessel_j1(x) / x
    return made
