"""Streaming 2-D classes: online classification with in-plane turns and shifts, at a constant cost per particle.

Particle X belongs to class a, turned by psi and displaced by s, with ln p = sum_k w (2 Re(X* C A) - C^2 |A|^2), where
A(k) is the class average turned and displaced and w = 1 / power. The average is sum C X / (sum C^2 + 1): as if one more
particle had shown nothing. Turns and shifts are all tried in one matrix product, as in
`orientation_search`; each particle goes to its best class (Scheres et al. 2005, J. Mol. Biol. 348, 139, in the limit
of certain assignments; online updates as in Cappe & Moulines 2009, J. R. Stat. Soc. B 71, 593). The first particles
are waited for and classified together several times, so that there are averages to begin with.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.fourier_slices import FourierPlane
from frazil.models.reconstruction.particle_spectra import ParticleSpectra, shift_grid

CLASS_COUNT = 8
_RESOLUTION_ANGSTROM = 15.0
_TURNS = 60
_SHIFT_STEP_ANGSTROM = 6.0
_FIRST_PARTICLES = 48
"""So many are waited for before there are classes."""
_FIRST_ROUNDS = 12
_MEMORY_PARTICLES = 2000
"""Older contributions fade with this many; early, bad assignments are forgotten."""
_SEED = 20240229
_PADDING = 2


@dataclass(frozen=True, slots=True)
class ClassAssignment:
    """One row a particle; `class_id` from 1."""

    class_id: NDArray[np.int64]
    psi_deg: NDArray[np.float64]
    """The particle is its class average turned by -psi (RELION's angle: the image turned by psi fits the average)."""
    shift_px: NDArray[np.float64]
    """(n, 2) displacement (x, y) of the particle from its box centre, working pixels."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Samples of particles that came before there were classes."""

    movie_id: str
    masked: Tensor
    ctf: Tensor
    whitening: Tensor


class StreamingClasses:
    """The classes of one session. `add` returns what was decided, for this movie and for those that had waited."""

    def __init__(self, plane: FourierPlane, *, diameter_angstrom: float, device: torch.device) -> None:
        self._plane, self._device = plane, device
        self._count = plane.count_within(1 / _RESOLUTION_ANGSTROM)
        n = plane.box_px
        self._numerator = torch.zeros(CLASS_COUNT, n * n, 2, device=device)
        self._denominator = torch.zeros(CLASS_COUNT, n * n, device=device)
        self.counts = np.zeros(CLASS_COUNT, dtype=np.int64)
        self._waiting: list[_Waiting] = []
        self._started = False
        self.movie_count = 0
        self._shifts = shift_grid(0.15 * diameter_angstrom, _SHIFT_STEP_ANGSTROM, plane.pixel_size_angstrom)
        angle = np.arange(_TURNS) * (2 * np.pi / _TURNS)
        kx, ky = plane.kx[: self._count], plane.ky[: self._count]
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        # Sample k of an image whose content is the average turned by -psi is the average's sample at R(psi) k.
        turned = np.stack([cos * kx - sin * ky, sin * kx + cos * ky], axis=-1)
        self._turned = torch.from_numpy(turned).to(device, torch.float32)  # (T, M, 2) as x, y

    @property
    def particle_count(self) -> int:
        """Particles that have been given a class."""
        return int(self.counts.sum())

    def add(self, movie_id: str, particles: ParticleSpectra | None) -> list[tuple[str, ClassAssignment]]:
        """Classify a movie's particles (None: it has none, and is only counted)."""
        self.movie_count += 1
        if particles is None or not len(particles.masked):
            return []
        count = self._count
        fresh = _Waiting(movie_id, particles.masked[:, :count], particles.ctf[:count], particles.whitening[:count])
        if self._started:
            assignment = self._assign(fresh)
            fade = max(1.0 - len(fresh.masked) / _MEMORY_PARTICLES, 0.5)
            self._numerator *= fade
            self._denominator *= fade
            self._deposit(fresh, assignment)
            self.counts += np.bincount(assignment.class_id - 1, minlength=CLASS_COUNT)
            return [(movie_id, assignment)]
        self._waiting.append(fresh)
        if sum(len(item.masked) for item in self._waiting) < _FIRST_PARTICLES:
            return []
        return self._begin()

    def averages(self) -> tuple[Tensor, NDArray[np.int64]]:
        """(K, n, n) class averages (bright particles, centre at pixel n // 2) and how many particles each has had."""
        seen = self
        if not self._started and self._waiting:
            seen = copy.deepcopy(self)  # what a round shows must not change what the next movie meets
            seen._begin()
        spectrum = seen._average_spectra()
        images = centred_ifft_real(spectrum, 2)
        return images.cpu(), seen.counts.copy()

    def _begin(self) -> list[tuple[str, ClassAssignment]]:
        """Classify the waiting particles together, beginning with some of them as averages."""
        total = sum(len(item.masked) for item in self._waiting)
        seeds = np.sort(np.random.default_rng(_SEED).permutation(total)[: min(CLASS_COUNT, max(total // 4, 1))])
        first = 0
        for item in self._waiting:
            n = len(item.masked)
            class_of = {int(seed) - first: number for number, seed in enumerate(seeds) if first <= seed < first + n}
            if class_of:
                rows = sorted(class_of)
                self._deposit(
                    _Waiting(item.movie_id, item.masked[rows], item.ctf, item.whitening),
                    ClassAssignment(
                        np.array([class_of[row] + 1 for row in rows]), np.zeros(len(rows)), np.zeros((len(rows), 2))
                    ),
                )
            first += n
        assignments: list[ClassAssignment] = []
        for _ in range(_FIRST_ROUNDS):
            assignments = [self._assign(item) for item in self._waiting]
            self._numerator.zero_()
            self._denominator.zero_()
            for item, assignment in zip(self._waiting, assignments, strict=True):
                self._deposit(item, assignment)
        for assignment in assignments:
            self.counts += np.bincount(assignment.class_id - 1, minlength=CLASS_COUNT)
        decided = [(item.movie_id, found) for item, found in zip(self._waiting, assignments, strict=True)]
        self._waiting, self._started = [], True
        return decided

    def _average_spectra(self) -> Tensor:
        """(K, n, n) complex, origin at n // 2."""
        n = self._plane.box_px
        numerator = torch.view_as_complex(self._numerator).view(-1, n, n)
        denominator = self._denominator.view(-1, n, n)
        mirror = torch.roll(torch.flip(numerator, (1, 2)), (1, 1), (1, 2)).conj()
        both = denominator + torch.roll(torch.flip(denominator, (1, 2)), (1, 1), (1, 2))
        return (numerator + mirror) / (both + 1.0)

    def _references(self) -> Tensor:
        """(K, T, M) complex: every average in every turn."""
        n = self._plane.box_px
        spectrum = self._average_spectra()
        images = centred_ifft_real(spectrum, 2)
        weaken = torch.sinc((torch.arange(n, device=self._device) - n // 2) / (_PADDING * n)) ** 2
        padded = torch.zeros(len(images), _PADDING * n, _PADDING * n, device=self._device)
        low = _PADDING * n // 2 - n // 2
        padded[:, low : low + n, low : low + n] = images / (weaken[:, None] * weaken[None, :])
        fine = centred_fft(padded, 2)
        grid = (self._turned * _PADDING + _PADDING * n // 2) * (2.0 / (_PADDING * n - 1)) - 1.0
        found = torch.nn.functional.grid_sample(
            torch.view_as_real(fine).permute(0, 3, 1, 2),
            grid[None].expand(len(images), -1, -1, -1),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=True,
        )
        return torch.complex(found[:, 0], found[:, 1])

    def _assign(self, item: _Waiting) -> ClassAssignment:
        count, n = self._count, len(item.masked)
        references = self._references().flatten(0, 1)  # (K T, M)
        weight = item.whitening * item.ctf
        phases = self._plane.phases(self._shifts, count, self._device)
        flat = torch.view_as_real(((item.masked[:, None] * weight) * phases).contiguous()).flatten(2).flatten(0, 1)
        energy = references.abs().square() @ (weight * item.ctf)
        score = 2 * (flat @ torch.view_as_real(references).flatten(1).T).view(n, len(self._shifts), -1) - energy
        best = score.flatten(1).argmax(dim=1).cpu().numpy()
        shift, reference = best // len(references), best % len(references)
        turn = reference % _TURNS
        return ClassAssignment(
            class_id=reference // _TURNS + 1,
            psi_deg=(turn * (360.0 / _TURNS) + 180.0) % 360.0 - 180.0,
            shift_px=self._shifts[shift],
        )

    def _deposit(self, item: _Waiting, assignment: ClassAssignment) -> None:
        """Turn particles back and share their samples among the four grid points around them."""
        n, half = self._plane.box_px, self._plane.box_px // 2
        phases = self._plane.phases(assignment.shift_px, self._count, self._device)
        values = torch.view_as_real((item.masked * phases * item.ctf).contiguous())
        weight = item.ctf**2
        kx = torch.from_numpy(self._plane.kx[: self._count]).to(self._device, torch.float32)
        ky = torch.from_numpy(self._plane.ky[: self._count]).to(self._device, torch.float32)
        for value, number, psi_deg in zip(values, assignment.class_id - 1, assignment.psi_deg, strict=True):
            cos, sin = math.cos(math.radians(psi_deg)), math.sin(math.radians(psi_deg))
            x, y = cos * kx - sin * ky + half, sin * kx + cos * ky + half
            x0, y0 = torch.floor(x), torch.floor(y)
            fx, fy, first = x - x0, y - y0, (y0 * n + x0).to(torch.int64)
            for dy in (0, 1):
                for dx in (0, 1):
                    share = (fy if dy else 1 - fy) * (fx if dx else 1 - fx)
                    self._numerator[number].index_add_(0, first + (dy * n + dx), value * share[:, None])
                    self._denominator[number].index_add_(0, first + (dy * n + dx), weight * share)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on exactly as if nothing had happened."""
        arrays: dict[str, NDArray[Any]] = {
            "numerator": self._numerator.cpu().numpy(),
            "denominator": self._denominator.cpu().numpy(),
            "counts": self.counts.copy(),
            "progress": np.array([self.movie_count, int(self._started), len(self._waiting)], dtype=np.int64),
        }
        for number, item in enumerate(self._waiting):
            arrays[f"waiting.{number}.id"] = np.array(item.movie_id)
            for name in ("masked", "ctf", "whitening"):
                arrays[f"waiting.{number}.{name}"] = getattr(item, name).cpu().numpy()
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raises KeyError or ValueError when the arrays are not those of such classes."""
        if arrays["numerator"].shape != tuple(self._numerator.shape):
            raise ValueError("class averages of another size")
        self._numerator = torch.from_numpy(arrays["numerator"]).to(self._device)
        self._denominator = torch.from_numpy(arrays["denominator"]).to(self._device)
        self.counts = arrays["counts"].copy()
        self.movie_count, started, waiting = (int(value) for value in arrays["progress"])
        self._started = bool(started)
        self._waiting = [
            _Waiting(
                str(arrays[f"waiting.{number}.id"]),
                *(
                    torch.from_numpy(arrays[f"waiting.{number}.{name}"]).to(self._device)
                    for name in ("masked", "ctf", "whitening")
                ),
            )
            for number in range(waiting)
        ]
