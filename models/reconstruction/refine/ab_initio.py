"""A first map from the particles alone: online expectation-maximisation at low resolution, from several random starts.

Every particle is compared with all poses of a grid and all displacements at once (two matrix products), and put in at
all of them with their posterior probabilities

    p(R, s | X) ~ exp[ b sum_k w (2 Re(X* e_s C V_R) - C^2 |V_R|^2) ]

(Scheres 2012, J. Mol. Biol. 415, 406), b rising from 1/8 to 1 while the resolution goes from 40 A to 22 A: a
doubtful start is not believed. Batches of movies, whose sums replace a part of the older ones, find the shape (online
EM: Cappe & Moulines 2009, J. R. Stat. Soc. B 71, 593; stochastic starts: Punjani et al. 2017, Nat. Methods 14, 290);
the start under which the particles are likeliest goes on. The hand of the map cannot be known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator, shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, shift_grid
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg, pose_grid
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.resolution.fsc import spherical_mask

STARTS, MOST_STARTS = 5, 16
"""At least and at most. Often three of four end in a shape that no particle fits; the likelihood tells them apart."""
_FIRST_RESOLUTION_ANGSTROM, _FIRST_RESOLUTION_DIAMETERS = 40.0, 0.35
_LAST_RESOLUTION_ANGSTROM, _LAST_RESOLUTION_DIAMETERS = 18.0, 0.16
"""The coarser of the two, so that a large particle costs no more than a small one."""
_APART = 3.0
_SEARCHED = 1.25
"""Of the last resolution: as fine as batches go."""
_BATCHES = 40
_BATCH_PARTICLES = 120
_FIRST_TEMPER = 1 / 8
_SHIFT_REACH_DIAMETERS = 0.12
_SHIFT_STEP = 0.36
"""Of the resolution."""
_SHIFT_SD_ANGSTROM = 6.0
_LEAST_STEP_DEG, _LARGEST_STEP_DEG = 8.0, 20.0
_PARTICLES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class AbInitioMap:
    """`volume` (n, n, n) [z, y, x] on the particles' plane; the rest says how sure it is."""

    volume: Tensor
    resolution_angstrom: float
    """It holds nothing finer. Coarser than this its hand would be lost: two halves may then choose different ones."""
    ln_likelihood: tuple[float, ...]
    """Of every start, per particle."""
    best: int


def ab_initio_map(
    particles: Sequence[ParticleSpectra],
    plane: FourierPlane,
    *,
    symmetry: str,
    diameter_angstrom: float,
    seed: int,
    device: torch.device,
    starts: int | None = None,
) -> AbInitioMap:
    """The map of one object from movies of particles (some hundred in all), its axes where RELION has them.

    `starts`: how many random ones are tried, None: `STARTS`, and on to `MOST_STARTS` until some stand out.

    Raises
    ------
    ValueError
        If there are no particles.
    """
    if not particles:
        raise ValueError("no particles to begin with")
    least, most = (STARTS, MOST_STARTS) if starts is None else (starts, starts)
    likelihood: list[float] = []
    best: _Run | None = None
    while len(likelihood) < least or (len(likelihood) < most and not some_stand_out(likelihood)):
        rng = np.random.default_rng([seed, len(likelihood)])
        run = _Run(particles, plane, symmetry, diameter_angstrom, rng, device)
        run.find_shape()
        likelihood.append(run.ln_likelihood())
        if likelihood[-1] == max(likelihood):
            best = run
    assert best is not None
    best.settle()
    return AbInitioMap(best.on_plane(plane), best.last_angstrom, tuple(likelihood), int(np.argmax(likelihood)))


def some_stand_out(likelihood: Sequence[float]) -> bool:
    """Whether the starts fall into two kinds, good ones and bad: one gap is wider than all else of their range. Where
    all are good (or all bad) none is, and every start that may be tried is."""
    gaps = np.diff(np.sort(likelihood))
    return bool(gaps.size and gaps.max() > _APART * (gaps.sum() - gaps.max()))


class _Run:
    """One start on its way. Works on the innermost samples of the plane, that is on a smaller box of the same size."""

    def __init__(
        self,
        particles: Sequence[ParticleSpectra],
        plane: FourierPlane,
        symmetry: str,
        diameter_angstrom: float,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        size_angstrom = plane.box_px * plane.pixel_size_angstrom
        self._first_angstrom = max(_FIRST_RESOLUTION_ANGSTROM, _FIRST_RESOLUTION_DIAMETERS * diameter_angstrom)
        self.last_angstrom: float = max(_LAST_RESOLUTION_ANGSTROM, _LAST_RESOLUTION_DIAMETERS * diameter_angstrom)
        box_px = min(2 * (math.ceil(size_angstrom / self.last_angstrom) + 3), plane.box_px)
        self._plane = FourierPlane.of_box(box_px, size_angstrom / box_px)
        count = len(self._plane.kx)
        self._movies = [movie.within(count) for movie in particles]
        self._diameter_angstrom, self._rng, self._device = diameter_angstrom, rng, device
        self._group = symmetry_matrices(symmetry)
        radius_px = min(0.55 * diameter_angstrom / self._plane.pixel_size_angstrom, 0.44 * box_px)
        self._mask = spherical_mask(box_px, radius_px, 0.08 * box_px).to(device)
        self._sums = self._random_sums()
        self._volume = self._solved(self._first_angstrom)

    def find_shape(self) -> None:
        """Batches, from coarse and doubtful to finer and certain."""
        per_batch = max(1, round(_BATCH_PARTICLES * len(self._movies) / sum(len(m.values) for m in self._movies)))
        order = self._rng.permutation(len(self._movies))
        at = 0
        for batch in range(_BATCHES):
            progress = batch / (_BATCHES - 1)
            resolution = 1 / np.interp(
                progress, [0, 1], [1 / self._first_angstrom, 1 / (_SEARCHED * self.last_angstrom)]
            )
            temper = _FIRST_TEMPER ** max(0.0, 1 - 1.5 * progress)
            chosen = [int(order[(at + step) % len(order)]) for step in range(min(per_batch, len(order)))]
            at += per_batch
            sums, _ = self._expected(chosen, float(resolution), temper)
            keep = 0.5 if progress < 0.3 else 0.8
            self._sums = sums if batch == 0 else self._sums.faded(keep) + sums
            self._volume = self._solved(float(resolution))

    def settle(self) -> None:
        """All particles together, twice, at the last resolution."""
        for resolution in (_SEARCHED * self.last_angstrom, self.last_angstrom):
            self._sums, _ = self._expected(list(range(len(self._movies))), resolution, 1.0)
            self._volume = self._solved(resolution)

    def ln_likelihood(self) -> float:
        """Per particle, over at most a few hundred of them that are the same for every start."""
        share = max(1, round(300 * len(self._movies) / sum(len(m.values) for m in self._movies)))
        chosen = list(range(min(share, len(self._movies))))
        _, value = self._expected(chosen, _SEARCHED * self.last_angstrom, 1.0)
        return value / sum(len(self._movies[number].values) for number in chosen)

    def on_plane(self, plane: FourierPlane) -> Tensor:
        """The map on the box of the particles' plane."""
        small, large = self._plane.box_px, plane.box_px
        spectrum = torch.zeros((large,) * 3, dtype=torch.complex64, device=self._device)
        low = large // 2 - small // 2
        spectrum[(slice(low, low + small),) * 3] = centred_fft(self._volume, 3)
        return centred_ifft_real(spectrum, 3) * (large / small) ** 3

    def _random_sums(self) -> FourierAccumulator:
        """Particles of a few movies at random poses: a blob of about the right size and strength, unlike any other."""
        sums = FourierAccumulator(self._plane.box_px, device=self._device)
        for number in self._rng.permutation(len(self._movies))[:4]:
            movie = self._movies[int(number)]
            angles = self._rng.uniform(0, 360, (len(movie.masked), 3))
            angles[:, 1] = np.degrees(np.arccos(self._rng.uniform(-1, 1, len(angles))))
            damped = movie.ctf * movie.whitening
            self._insert(sums, matrices_from_euler_deg(angles), movie.masked * damped, damped * movie.ctf)
        return sums

    def _insert(
        self, sums: FourierAccumulator, poses: NDArray[np.float64], numerator: Tensor, denominator: Tensor
    ) -> None:
        turned = np.concatenate([poses @ operator for operator in self._group])
        sums.insert(self._plane, torch.from_numpy(turned), numerator, denominator.expand(numerator.shape))

    def _solved(self, resolution_angstrom: float) -> Tensor:
        """Map of the sums, no finer than asked."""
        volume = self._sums.volume() * self._mask
        n = self._plane.box_px
        cut = n * self._plane.pixel_size_angstrom / resolution_angstrom
        gain = 0.5 + 0.5 * torch.cos(math.pi * ((shell_index(n) - cut) / 2.0).clamp(0, 1))
        return centred_ifft_real(centred_fft(volume, 3) * gain.to(self._device), 3)

    def _expected(
        self, movies: list[int], resolution_angstrom: float, temper: float
    ) -> tuple[FourierAccumulator, float]:
        """Sums with every particle at all of its poses by their probability, and the particles' ln likelihood."""
        plane, device = self._plane, self._device
        count = min(plane.count_within(1.1 / resolution_angstrom), len(plane.kx))
        step = float(
            np.clip(0.8 * np.degrees(resolution_angstrom / self._diameter_angstrom), _LEAST_STEP_DEG, _LARGEST_STEP_DEG)
        )
        grid = pose_grid(step, self._group)
        grid = grid @ _small_rotation(step, self._rng)
        poses = torch.from_numpy(grid).to(device, torch.float32)
        slices = FourierVolume(self._volume, device=device).slices(poses, plane, count)
        real = torch.view_as_real(slices).flatten(1)
        offsets = shift_grid(
            _SHIFT_REACH_DIAMETERS * self._diameter_angstrom,
            _SHIFT_STEP * resolution_angstrom,
            plane.pixel_size_angstrom,
        )
        phases = plane.phases(offsets, count, device)
        apart = (offsets**2).sum(axis=1) * plane.pixel_size_angstrom**2
        prior = torch.from_numpy(-apart / (2 * _SHIFT_SD_ANGSTROM**2)).to(device, torch.float32)
        sums = FourierAccumulator(plane.box_px, device=device)
        total = torch.zeros(len(poses), 2 * count, device=device)
        weight = torch.zeros(len(poses), count, device=device)
        ln_likelihood = 0.0
        for number in movies:
            movie = self._movies[number]
            for first in range(0, len(movie.masked), _PARTICLES_AT_ONCE):
                part = movie.chosen(slice(first, first + _PARTICLES_AT_ONCE)).within(count)
                damped, n = part.whitening * part.ctf, len(part.masked)
                norm = (damped * part.ctf).repeat_interleave(2, dim=1) @ real.square().T  # (1 or n, R)
                flat = torch.view_as_real(((part.masked * damped)[:, None] * phases).contiguous())
                flat = flat.flatten(2).flatten(0, 1)
                value = temper * (2 * (flat @ real.T).view(n, len(offsets), -1) - norm[:, None])
                value = (value + prior[None, :, None]).flatten(1)
                ln_likelihood += float(torch.logsumexp(value, dim=1).sum()) - len(value) * math.log(value.shape[1])
                share = torch.softmax(value, dim=1).view(len(flat), -1)
                total += share.T @ flat
                weight += share.view(n, len(offsets), -1).sum(dim=1).T @ (damped * part.ctf).expand(n, -1)
        padded = torch.zeros(len(poses), len(plane.kx), 2, device=device)
        padded[:, :count] = total.view(len(poses), count, 2)
        below = torch.zeros(len(poses), len(plane.kx), device=device)
        below[:, :count] = weight
        seen = torch.nonzero(weight[:, 0] > 1e-6)[:, 0]
        self._insert(sums, grid[seen.cpu().numpy()], torch.view_as_complex(padded[seen]), below[seen])
        return sums, ln_likelihood


def _small_rotation(step_deg: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Of less than a step, so that the grid's directions are not always the same."""
    angles = rng.uniform(-0.5, 0.5, 3) * step_deg
    turn: NDArray[np.float64] = matrices_from_euler_deg(np.array([angles[0], angles[1], -angles[0] + angles[2]]))
    return turn
