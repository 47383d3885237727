"""Pose and centre of every particle of a movie: all of a coarse grid at once, then the best few ever more finely.

The score is the correlation of the whitened particle with the CTF-affected slice, normalised by the slice (so that
the scale of neither matters):  sum_k w Re(X* C S) / sqrt(sum_k w C^2 |S|^2). On the coarse grid all poses, in-plane
turns and shifts are one matrix product: at 20-30 A a slice has some hundred samples, and a product is faster than an
FFT each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume, cropped
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, shift_grid
from frazil.models.reconstruction.orientation.rotations import neighbours, pose_grid

_COARSE_RESOLUTION_ANGSTROM, _COARSE_RESOLUTION_DIAMETERS = 22.0, 0.18
"""The coarser of the two: the grid, and with it the time, does not grow with the particle."""
_SHIFT_STEP = 0.32
"""Of the coarse resolution."""
_FINEST_ANGSTROM = 5.0
"""What is finer costs more and turns hardly any particle: from 6.5 to 4.8 A poses got better by a fifteenth."""
SHIFT_REACH_DIAMETERS = 0.15
"""From the centre of its box a particle is looked for so far."""
_KEPT = (4, 2, 1)
"""Candidates of a particle that go into each round of the fine search, the last number into all that follow; the
resolution doubles from round to round."""
_SHRINK = 0.55
"""Of the steps, from round to round."""
_LAST_STEP = 0.17
"""Of Crowther's step at the finest resolution: what is finer moves the particle's rim by less than is seen."""
_MAX_ROUNDS = 6
_POSES_AT_ONCE, _PARTICLES_AT_ONCE = 4096, 24
"""Bounds of memory, whatever the movie and the particle."""
_LEAST_STEP_DEG, _LARGEST_STEP_DEG = 6.0, 15.0


@dataclass(frozen=True, slots=True)
class FoundPoses:
    """One row a particle."""

    poses: NDArray[np.float64]
    """(n, 3, 3)"""
    shift_px: NDArray[np.float64]
    """(n, 2) displacement (x, y) of the particle from the centre of its box, in working pixels."""
    score: NDArray[np.float64]
    """(n,) its square is the ln likelihood against a box without a particle."""
    certainty: NDArray[np.float64]
    """(n,) probability that there is such a particle at all: noise that is compared with enough poses fits one, too."""


class OrientationSearch:
    """Searches one reference.

    Parameters
    ----------
    reference:
        (n, n, n) map on the plane's box, filtered to `resolution_angstrom`.
    symmetry:
        (s, 3, 3) of the map: only one asymmetric unit is searched.
    """

    def __init__(
        self,
        reference: Tensor,
        plane: FourierPlane,
        *,
        resolution_angstrom: float,
        diameter_angstrom: float,
        symmetry: NDArray[np.float64],
        device: torch.device,
    ) -> None:
        self._plane, self._device = plane, device
        finest = max(resolution_angstrom, _FINEST_ANGSTROM)
        self._fine_count = plane.count_within(1.1 / finest)
        self._last_step_deg = _LAST_STEP * float(np.degrees(finest / diameter_angstrom))
        self._reference = FourierVolume(cropped(reference, plane, self._fine_count), device=device)
        coarse = max(resolution_angstrom, _COARSE_RESOLUTION_ANGSTROM, _COARSE_RESOLUTION_DIAMETERS * diameter_angstrom)
        self._shift_step_angstrom = _SHIFT_STEP * coarse
        # Crowther's step, resolution / diameter, lets the rim of the particle move by half a resolution element.
        step = float(np.clip(np.degrees(coarse / diameter_angstrom), _LEAST_STEP_DEG, _LARGEST_STEP_DEG))
        self._step_deg = step
        self._coarse_count = plane.count_within(1 / coarse)
        self._grid = torch.from_numpy(pose_grid(step, symmetry)).to(device, torch.float32)
        chunks = [
            self._reference.slices(part, plane, self._coarse_count) for part in torch.split(self._grid, _POSES_AT_ONCE)
        ]
        self._slices = torch.view_as_real(torch.cat(chunks)).flatten(1)  # (R, 2 M)
        self._reach_angstrom = SHIFT_REACH_DIAMETERS * diameter_angstrom

    @property
    def pose_count(self) -> int:
        """Poses of the coarse grid."""
        return len(self._grid)

    @property
    def finest_per_angstrom(self) -> float:
        """Up to which frequency particles are compared with the reference."""
        return float(self._plane.frequency_per_angstrom[self._fine_count - 1])

    def find(self, particles: ParticleSpectra) -> FoundPoses:
        """Best pose and centre of each particle under this reference."""
        found = []
        for start in range(0, len(particles.values), _PARTICLES_AT_ONCE):
            part = slice(start, start + _PARTICLES_AT_ONCE)
            own = particles.chosen(part)
            found.append(self._refine(own, *self._coarse(own)))
        return FoundPoses(
            np.concatenate([one.poses for one in found]),
            np.concatenate([one.shift_px for one in found]),
            np.concatenate([one.score for one in found]),
            np.concatenate([one.certainty for one in found]),
        )

    def _coarse(self, particles: ParticleSpectra) -> tuple[Tensor, Tensor]:
        """(n, c, 3, 3) and (n, c, 2): the best candidates of the grid."""
        count, n = self._coarse_count, len(particles.values)
        shifts = shift_grid(self._reach_angstrom, self._shift_step_angstrom, self._plane.pixel_size_angstrom)
        phases = self._plane.phases(shifts, count, self._device)
        ctf = particles.ctf[:, :count]
        weight = particles.whitening[:count] * ctf
        centred = (particles.masked[:, :count] * weight)[:, None] * phases  # (n, S, M)
        flat = torch.view_as_real(centred.contiguous()).flatten(2).flatten(0, 1)  # (n S, 2 M)
        power = (weight * ctf).repeat_interleave(2, dim=1)
        # (R, 1) or, where particles have CTFs of their own, (R, n).
        norm = torch.sqrt((self._slices.square() @ power.T).clamp_min(1e-30)).T[:, None]
        best_value = torch.full((n, 0), 0.0, device=self._device)
        best_pose = torch.zeros((n, 0), dtype=torch.int64, device=self._device)
        best_shift = torch.zeros((n, 0), dtype=torch.int64, device=self._device)
        for start in range(0, len(self._slices), _POSES_AT_ONCE):
            part = slice(start, start + _POSES_AT_ONCE)
            score = (flat @ self._slices[part].T).view(n, len(shifts), -1) / norm[..., part]
            value, shift = score.max(dim=1)
            top, where = value.topk(min(_KEPT[0], value.shape[1]), dim=1)
            best_value = torch.cat([best_value, top], dim=1)
            best_pose = torch.cat([best_pose, where + start], dim=1)
            best_shift = torch.cat([best_shift, shift.gather(1, where)], dim=1)
        chosen = best_value.topk(min(_KEPT[0], best_value.shape[1]), dim=1).indices
        offsets = torch.from_numpy(shifts).to(self._device, torch.float32)
        return self._grid[best_pose.gather(1, chosen)], offsets[best_shift.gather(1, chosen)]

    def _refine(self, particles: ParticleSpectra, poses: Tensor, shifts: Tensor) -> FoundPoses:
        """Grids of 27 turns and 9 shifts around each candidate, finer and finer; the worse candidates drop out."""
        n = len(poses)
        step_deg, step_px = self._step_deg / 2, self._shift_step_angstrom / 2 / self._plane.pixel_size_angstrom
        coarse_per_angstrom = float(self._plane.frequency_per_angstrom[self._coarse_count - 1])
        around = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)], dtype=float)
        value = torch.zeros(n, poses.shape[1], device=self._device)
        for number in range(_MAX_ROUNDS):
            kept = _KEPT[min(number, len(_KEPT) - 1)]
            count = min(self._plane.count_within(coarse_per_angstrom * 2 ** (number + 0.5)), self._fine_count)
            if number:
                best = value.topk(min(kept, value.shape[1]), dim=1).indices
                poses = poses.gather(1, best[:, :, None, None].expand(-1, -1, 3, 3))
                shifts = shifts.gather(1, best[:, :, None].expand(-1, -1, 2))
            value, poses, shifts = self._one_round(particles, poses, shifts, count, step_deg, around * step_px)
            if step_deg <= self._last_step_deg and count == self._fine_count and kept == 1:
                break
            step_deg, step_px = step_deg * _SHRINK, step_px * _SHRINK
        return FoundPoses(
            poses=_orthonormal(poses[:, 0].cpu().double().numpy()),
            shift_px=shifts[:, 0].cpu().double().numpy(),
            score=(score := value[:, 0].cpu().double().numpy()),
            certainty=self._certainty(score),
        )

    def _certainty(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bayes with even odds beforehand; the poses and displacements that were tried share them."""
        shifts = shift_grid(self._reach_angstrom, self._shift_step_angstrom, self._plane.pixel_size_angstrom)
        return np.asarray(scipy.special.expit(np.maximum(score, 0) ** 2 - math.log(self.pose_count * len(shifts))))

    def _one_round(
        self,
        particles: ParticleSpectra,
        poses: Tensor,
        shifts: Tensor,
        count: int,
        step_deg: float,
        around_px: NDArray[np.float64],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Best neighbour of each candidate: (n, c) scores, (n, c, 3, 3) poses, (n, c, 2) shifts."""
        n, c = shifts.shape[:2]
        ctf = particles.ctf[:, :count]
        weight = particles.whitening[:count] * ctf
        turns = torch.from_numpy(neighbours(step_deg)).to(self._device, torch.float32)
        tried = torch.einsum("tij,njk->ntik", turns, poses.flatten(0, 1))  # turned in the particle's own frame
        slices = self._reference.slices(tried.flatten(0, 1), self._plane, count).view(n * c, len(turns), count)
        power = (weight * ctf).repeat_interleave(c, dim=0) if len(ctf) > 1 else weight * ctf
        norm = torch.sqrt((slices.abs().square() @ power[..., None])[..., 0].clamp_min(1e-30))
        own = self._plane.phases(shifts.flatten(0, 1).cpu().numpy().astype(np.float64), count, self._device)
        near = self._plane.phases(around_px, count, self._device)
        weighted = (particles.masked[:, :count] * weight).repeat_interleave(c, dim=0)
        real = torch.view_as_real((weighted * own)[:, None] * near).flatten(2)  # (n c, 9, 2 M)
        score = real @ torch.view_as_real(slices).flatten(2).transpose(1, 2) / norm[:, None]  # (n c, 9, 27)
        value, best = score.flatten(1).max(dim=1)
        shift_index, turn_index = best // len(turns), best % len(turns)
        moved = torch.from_numpy(around_px).to(self._device, torch.float32)[shift_index]
        found = tried[torch.arange(n * c, device=self._device), turn_index]
        return value.view(n, c), found.view(n, c, 3, 3), shifts + moved.view(n, c, 2)


def _orthonormal(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest rotations: many small float32 turns add up."""
    u, _, v = np.linalg.svd(matrices)
    return np.asarray(u @ v)
