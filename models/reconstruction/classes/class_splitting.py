"""K maps out of a sample of particles whose poses are known: expectation-maximisation without alignment.

    p(c | X) ~ pi_c exp[ sum_k w (2 Re(X* C S_c) - C^2 |S_c|^2) ],        S_c the slice of map c at the particle's pose

(Scheres et al. 2007, Nat. Methods 4, 27; 2012, J. Mol. Biol. 415, 406: RELION's 3-D classification without alignment).
It begins with particles dealt out at random; of several such starts the one under which they are likeliest is taken.
Each map is held back by how far it can be believed: SSNR / (1 + SSNR) of its share of the sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.resolution.fsc import filtered, fourier_shell_correlation, spherical_mask

_STARTS = 4
_MOST_ITERATIONS = 40
_SETTLED = 0.004
"""Mean change of a particle's probabilities from one iteration to the next."""
_SCALES = (0.5, 2.0)
_LEAST_SHARE = 0.02
"""A class never dies out quite: it may be that its particles have not found it yet."""


@dataclass(frozen=True, slots=True)
class SampledParticles:
    """Particles of one movie, moved to their centres: the first samples of the plane."""

    centred: Tensor
    """(n, M) complex64, under the soft circular mask."""
    ctf: Tensor
    """(n, M) or (1, M)"""
    whitening: Tensor
    """(M,)"""
    poses: NDArray[np.float32]
    """(n, 3, 3)"""
    half_set: NDArray[np.int8]
    certainty: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SplitMaps:
    """What a sample was split into."""

    volumes: Tensor
    """(K, n, n, n) on the plane's box, the largest class first."""
    share: NDArray[np.float64]
    """(K,) of the particles."""
    ln_likelihood: tuple[float, ...]
    """Per particle over that of one map, of every start."""


def split(
    sample: Sequence[SampledParticles],
    plane: FourierPlane,
    *,
    class_count: int,
    symmetry: NDArray[np.float64],
    diameter_angstrom: float,
    seed: int,
    device: torch.device,
) -> SplitMaps:
    """Split a sample, all of it given with the same number of samples.

    Raises
    ------
    ValueError
        For fewer than two classes or an empty sample.
    """
    if class_count < 2 or not sample:
        raise ValueError("a split needs two classes and some particles")
    work = _Sample(sample, plane, symmetry, diameter_angstrom, device)
    one = work.log_likelihood(work.maps(np.ones((work.particle_count, 1))))[:, 0]
    best: tuple[float, NDArray[np.float64]] | None = None
    values = []
    for start in range(_STARTS):
        rng = np.random.default_rng([seed, start])
        probability = np.eye(class_count)[rng.permutation(work.particle_count) % class_count]
        value = 0.0
        for _ in range(_MOST_ITERATIONS):
            prior = np.maximum(probability.mean(axis=0), _LEAST_SHARE)
            joint = work.log_likelihood(work.maps(probability)) + np.log(prior / prior.sum())
            highest = joint.max(axis=1, keepdims=True)
            total = highest[:, 0] + np.log(np.exp(joint - highest).sum(axis=1))
            renewed = np.exp(joint - total[:, None])
            moved = float(np.abs(renewed - probability).mean())
            probability, value = renewed, float((total - one).mean())
            if moved < _SETTLED:
                break
        values.append(value)
        if best is None or value > best[0]:
            best = value, probability
    assert best is not None
    probability = best[1][:, np.argsort(-best[1].mean(axis=0), kind="stable")]
    volumes = torch.stack([work.on_plane(one, plane) for one in work.maps(probability)])
    return SplitMaps(volumes, probability.mean(axis=0), tuple(values))


class _Sample:
    """The sample on the smallest box that holds its samples."""

    def __init__(
        self,
        sample: Sequence[SampledParticles],
        plane: FourierPlane,
        symmetry: NDArray[np.float64],
        diameter_angstrom: float,
        device: torch.device,
    ) -> None:
        count = sample[0].centred.shape[1]
        size_angstrom = plane.box_px * plane.pixel_size_angstrom
        box_px = min(2 * (math.ceil(float(plane.radius_px[count - 1])) + 3), plane.box_px)
        self._plane = FourierPlane.of_box(box_px, size_angstrom / box_px)
        self._count, self._group, self._device = count, symmetry, device
        self._centred = torch.cat([one.centred for one in sample]).to(device)
        self._power = torch.cat([(one.whitening * one.ctf**2).expand(len(one.centred), -1) for one in sample])
        self._damped = torch.cat([one.centred * (one.whitening * one.ctf) for one in sample])
        first_shell = math.ceil(size_angstrom / diameter_angstrom)
        self._compared = torch.from_numpy(self._plane.radius_px[:count] > first_shell - 0.5).to(device)
        """Waves longer than the particle are the background's."""
        self._movie = np.repeat(np.arange(len(sample)), [len(one.centred) for one in sample])
        self._poses = np.concatenate([one.poses for one in sample]).astype(np.float64)
        self._certainty = np.concatenate([one.certainty for one in sample]).astype(np.float64)
        half = np.concatenate([one.half_set for one in sample])
        radius_px = min(0.55 * diameter_angstrom / self._plane.pixel_size_angstrom, 0.44 * box_px)
        self._mask = spherical_mask(box_px, radius_px, 0.08 * box_px).to(device)
        halves = [self._solved((half == number).astype(np.float64)) for number in (1, 2)]
        curve = fourier_shell_correlation(*halves, pixel_size_angstrom=self._plane.pixel_size_angstrom)
        agreed = np.clip(np.array(curve.fsc), 0.0, 0.999)
        below = np.nonzero(agreed < 0.05)[0]
        agreed[below[0] if below.size else agreed.size :] = 0.0
        self._ssnr = 2 * agreed / (1 - agreed)
        """Of a map of the whole sample, shell by shell."""
        self._scale_movies()

    @property
    def particle_count(self) -> int:
        return len(self._poses)

    def maps(self, probability: NDArray[np.float64]) -> list[Tensor]:
        """One map a column of (n, K) probabilities."""
        made = []
        for column in probability.T:
            ssnr = self._ssnr * float(column.mean())
            made.append(filtered(self._solved(column), ssnr / (1 + ssnr)))
        return made

    def _scale_movies(self) -> None:
        """Thicker ice makes fainter particles: each movie's are brought to the common map's contrast."""
        slices = self._slices(self.maps(np.ones((self.particle_count, 1)))[0])
        cross = ((self._damped.conj() * slices).real * self._compared).sum(dim=1).cpu().double().numpy()
        power = ((self._power * slices.abs().square()) * self._compared).sum(dim=1).cpu().double().numpy()
        scale = np.bincount(self._movie, cross) / np.maximum(np.bincount(self._movie, power), 1e-30)
        by = torch.from_numpy(np.clip(scale, *_SCALES)[self._movie]).to(self._device, torch.float32)[:, None]
        self._damped, self._power = self._damped * by, self._power * by**2

    def _slices(self, one: Tensor) -> Tensor:
        poses = torch.from_numpy(self._poses)
        return FourierVolume(one, device=self._device).slices(poses, self._plane, self._count)

    def log_likelihood(self, maps: Sequence[Tensor]) -> NDArray[np.float64]:
        """(n, K), each against a box without a particle."""
        values = []
        for one in maps:
            slices = self._slices(one)
            fits = 2 * (self._damped.conj() * slices).real - self._power * slices.abs().square()
            values.append((fits * self._compared).sum(dim=1).cpu().double().numpy())
        return np.stack(values, axis=1)

    def on_plane(self, volume: Tensor, plane: FourierPlane) -> Tensor:
        small, large = self._plane.box_px, plane.box_px
        spectrum = torch.zeros((large,) * 3, dtype=torch.complex64, device=self._device)
        low = large // 2 - small // 2
        spectrum[(slice(low, low + small),) * 3] = centred_fft(volume, 3)
        return centred_ifft_real(spectrum, 3)

    def _solved(self, weight: NDArray[np.float64]) -> Tensor:
        sums = FourierAccumulator(self._plane.box_px, device=self._device)
        rows = np.nonzero(weight > 1e-3)[0]
        index = torch.from_numpy(rows).to(self._device)
        by = torch.from_numpy(weight[rows] * self._certainty[rows]).to(self._device, torch.float32)[:, None]
        every = len(self._plane.kx)
        numerator = torch.zeros(len(rows), every, dtype=torch.complex64, device=self._device)
        denominator = torch.zeros(len(rows), every, device=self._device)
        numerator[:, : self._count] = self._damped[index] * by
        denominator[:, : self._count] = self._power[index] * by
        turned = np.concatenate([self._poses[rows] @ operator for operator in self._group])
        sums.insert(self._plane, torch.from_numpy(turned), numerator, denominator)
        return sums.volume() * self._mask
