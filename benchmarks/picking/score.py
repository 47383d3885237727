"""How good picks are, against known centres and axes: for `picking.py`. All places are x and y in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.spatial
from numpy.typing import NDArray

Places = NDArray[Any]
NEAR = 0.3
"""A pick this near to a true centre (or to a fibre's axis), in diameters, is right."""
REACH = 1.0
"""An axis is found where a right pick lies within this many widths along it; picks nearer than half as far are one."""


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one micrograph; of a fibre `found` and `missed` are lengths of axis in widths."""

    right: float
    wrong: float
    found: float
    missed: float
    offset_diameters: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sum over the right picks of x and y (pick - truth) and of the squared distance."""


def score_centres(picks: Places, centres: Places, diameter_px: float, size_px: int) -> Score:
    """One pick a particle, the best first. Particles nearer to the edge than half a diameter are neither truth nor
    error."""
    counted = _inside(centres, diameter_px / 2, size_px)
    free = np.ones(len(centres), dtype=bool)
    right = wrong = 0
    offset = np.zeros(3)
    for pick in picks:
        away = np.hypot(*(centres - pick).T) if len(centres) else np.zeros(0)
        away = np.where(free, away, np.inf)
        nearest = int(np.argmin(away)) if len(away) else -1
        if nearest >= 0 and away[nearest] < NEAR * diameter_px:
            free[nearest] = False
            if counted[nearest]:
                right += 1
                step = (pick - centres[nearest]) / diameter_px
                offset += [*step, float(step @ step)]
        elif _inside(pick[None], diameter_px / 2, size_px)[0]:
            wrong += 1
    return Score(
        right, wrong, right, float(counted.sum() - right), (float(offset[0]), float(offset[1]), float(offset[2]))
    )


def score_axes(picks: Places, axes: tuple[Places, ...], width_px: float, size_px: int) -> Score:
    """Picks on axes: a pick is right within NEAR widths of an axis, unless another right pick on it lies within half of
    REACH; an axis is found within REACH widths along it of a right pick. A margin of two widths is left out."""
    margin = 2 * width_px
    points = np.concatenate(axes) if axes else np.zeros((0, 2))
    # Away along the axis: axes do not join.
    along = np.concatenate([_length(axis) + 1e6 * number for number, axis in enumerate(axes)]) if axes else np.zeros(0)
    tree = scipy.spatial.cKDTree(points) if len(points) else None
    taken: list[float] = []
    wrong = 0
    counted_right = 0
    for pick in picks:
        inside = bool(_inside(pick[None], margin, size_px)[0])
        away, index = tree.query(pick) if tree is not None else (np.inf, 0)
        if away >= NEAR * width_px:
            wrong += inside
            continue
        here = float(along[index])
        if any(abs(here - other) < 0.5 * REACH * width_px for other in taken):
            wrong += inside
            continue
        taken.append(here)
        counted_right += inside
    counted = _inside(points, margin, size_px)
    step = np.concatenate([np.gradient(_length(axis)) for axis in axes]) if axes else np.zeros(0)
    near = np.zeros(len(points), dtype=bool)
    for here in taken:
        near |= np.abs(along - here) <= REACH * width_px
    found = float(step[counted & near].sum()) / width_px
    return Score(counted_right, wrong, found, float(step[counted & ~near].sum()) / width_px)


def f1(scores: list[Score]) -> float:
    """Of all picks together: harmonic mean of the share of picks that are right and of the share of truth that is
    found."""
    right, wrong = sum(s.right for s in scores), sum(s.wrong for s in scores)
    found, missed = sum(s.found for s in scores), sum(s.missed for s in scores)
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = found / (found + missed) if found + missed else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def precision_recall(scores: list[Score]) -> tuple[float, float]:
    right, wrong = sum(s.right for s in scores), sum(s.wrong for s in scores)
    found, missed = sum(s.found for s in scores), sum(s.missed for s in scores)
    return right / max(right + wrong, 1e-9), found / max(found + missed, 1e-9)


def _inside(places: Places, margin_px: float, size_px: int) -> NDArray[np.bool_]:
    return np.asarray(((places >= margin_px) & (places <= size_px - 1 - margin_px)).all(1))


def _length(axis: Places) -> NDArray[Any]:
    """From the axis's beginning; px."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(axis, axis=0).T))])
