"""Turns a map so that its symmetry axes lie where its point group has them (as `relion_align_symmetry` does).

Found by what symmetry means: the map does not change under the rotation. First the direction of the first generator's
axis is searched over the sphere, then the turn about it that puts the second generator right, then both more finely.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.orientation.rotations import directions, neighbours
from frazil.models.reconstruction.orientation.symmetry import axis_rotation, generators, symmetry_matrices

_SEARCH_BOX_PX, _FINE_BOX_PX = 24, 36
_STEP_DEG = 5.0
_FINE_ROUNDS = 7


def rotated(volume: Tensor, rotation: NDArray[np.float64]) -> Tensor:
    """m'(r) = m(Q^-1 r) for a cubic map centred on voxel n // 2: what lay at r lies at Q r."""
    n = volume.shape[0]
    axis = torch.arange(n, dtype=torch.float32, device=volume.device) - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    back = torch.from_numpy(rotation.T.astype(np.float32)).to(volume.device)
    points = torch.stack([x, y, z], dim=-1) @ back.T
    grid = (points + n // 2) * (2.0 / (n - 1)) - 1.0
    found: Tensor = torch.nn.functional.grid_sample(
        volume[None, None].to(torch.float32), grid[None], mode="bilinear", padding_mode="zeros", align_corners=True
    )[0, 0]
    return found


def asymmetry(volume: Tensor, symmetry: str, frame: NDArray[np.float64] | None = None) -> float:
    """1 - correlation of the map with itself turned by the generators (the worst of them), axes turned by `frame`."""
    q = np.eye(3) if frame is None else frame
    worst = 0.0
    for order, axis in generators(symmetry):
        turned = rotated(volume, axis_rotation(q @ np.array(axis), 2 * math.pi / order))
        worst = max(worst, 1.0 - _correlation(volume, turned))
    return worst


def symmetry_frame(volume: Tensor, symmetry: str) -> NDArray[np.float64]:
    """(3, 3) rotation Q from the point group's axes to those of the map; `rotated(volume, Q.T)` puts the map right.

    Of the rotations that do so alike the smallest: a map that is nearly right stays where it was.
    """
    steps = generators(symmetry)
    if not steps:
        return np.eye(3)
    small = _binned(volume, _SEARCH_BOX_PX)
    order, axis = steps[0]
    first_axis = np.array(axis) / np.linalg.norm(axis)
    views = directions(_STEP_DEG, np.eye(3)[None])
    views = views[views[:, 2] >= 0]  # an axis has no direction
    mismatch = [1 - _correlation(small, rotated(small, axis_rotation(view, 2 * math.pi / order))) for view in views]
    best_frame, best = np.eye(3), math.inf
    # Other axes of the group fit the first generator too (any 2-fold of D2): several are followed up.
    for index in np.argsort(mismatch, kind="stable")[:6]:
        bring = _rotation_between(first_axis, views[index])
        # A turn by 360 / order about the first axis changes nothing.
        spins = np.arange(0.0, 360.0 / order, _STEP_DEG) if len(steps) > 1 else np.zeros(1)
        for spin in spins:
            frame = axis_rotation(views[index], math.radians(spin)) @ bring
            value = asymmetry(small, symmetry, frame)
            if value < best:
                best_frame, best = frame, value
    small, step_deg = _binned(volume, _FINE_BOX_PX), _STEP_DEG / 2
    for _ in range(_FINE_ROUNDS):
        tried = [turn @ best_frame for turn in neighbours(step_deg)]
        values = [asymmetry(small, symmetry, frame) for frame in tried]
        best_frame = tried[int(np.argmin(values))]
        step_deg *= 0.6
    if len(steps) == 1:  # nothing says how far about the axis, nor which way it points
        along = best_frame @ first_axis
        return _rotation_between(first_axis, along if along @ first_axis >= 0 else -along)
    return max((best_frame @ operator for operator in symmetry_matrices(symmetry)), key=np.trace)


def _correlation(first: Tensor, second: Tensor) -> float:
    a, b = first - first.mean(), second - second.mean()
    return float((a * b).sum() / torch.sqrt(a.square().sum() * b.square().sum()).clamp_min(1e-30))


def _binned(volume: Tensor, box_px: int) -> Tensor:
    """On at most `box_px` voxels an axis, by cropping the transform."""
    n = volume.shape[0]
    if n <= box_px:
        return volume.to(torch.float32)
    low = n // 2 - box_px // 2
    part = centred_fft(volume, 3)[(slice(low, low + box_px),) * 3]
    return centred_ifft_real(part, 3).to(torch.float32)


def _rotation_between(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    axis = np.cross(start, end)
    if np.linalg.norm(axis) < 1e-9:
        across = np.array([1.0, 0.0, 0.0]) if abs(start[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
        return np.eye(3) if start @ end > 0 else axis_rotation(np.cross(start, across), math.pi)
    return axis_rotation(axis, math.acos(float(np.clip(start @ end, -1, 1))))
