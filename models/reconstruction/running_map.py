"""The running 3-D reconstruction: each movie's particles are oriented and added once; nothing is gone through again.

Half-sets never see each other: each half is oriented against the start (30 A) and, from the first round in which the
data reach further, against its own half map, filtered by what the FSC of the round supports. References are renewed
after every `ROUND_MOVIES` movies, counted, not timed, so that the map depends on the movies and their order alone.

Seams for later: `_WEIGHTINGS` names the accumulators that are kept side by side (uniform weights as the comparison),
and `add` takes one pose per particle with weight 1 where a pose's certainty can come in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.fsc import FscCurve, filtered, spherical_mask
from frazil.models.reconstruction.half_map_fsc import HalfMapFsc, half_map_fsc
from frazil.models.reconstruction.initial_map import INITIAL_RESOLUTION_ANGSTROM
from frazil.models.reconstruction.orientation_search import FoundPoses, OrientationSearch
from frazil.models.reconstruction.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.symmetry import symmetry_matrices

ROUND_MOVIES = 10
_WEIGHTINGS = ("causal",)
_FSC_THRESHOLD = 0.143


@dataclass(frozen=True, slots=True)
class MapRound:
    """What the reconstruction has to show: maps (n, n, n) [z, y, x] and how far they agree."""

    full: Tensor
    """Both halves, each shell multiplied with its estimated correlation with the truth."""
    half1: Tensor
    half2: Tensor
    """As they are, under a soft sphere."""
    agreement: HalfMapFsc
    pixel_size_angstrom: float
    own_orientations: bool
    """A round or more of the particles were oriented against the map itself and not the start."""

    @property
    def fsc(self) -> FscCurve:
        """Under a mask made from the map, freed of what the mask adds."""
        return self.agreement.corrected

    @property
    def resolution_0143_angstrom(self) -> float | None:
        return self.fsc.resolution_angstrom(_FSC_THRESHOLD)

    @property
    def resolution_05_angstrom(self) -> float | None:
        return self.fsc.resolution_angstrom(0.5)


class RunningMap:
    """One session's map.

    Parameters
    ----------
    start:
        (n, n, n) map on the plane's box and pixel, low-passed to 30 A (`initial_map`).
    symmetry:
        Point group, RELION's name.
    """

    def __init__(
        self, start: Tensor, plane: FourierPlane, *, symmetry: str, diameter_angstrom: float, device: torch.device
    ) -> None:
        self._plane, self._device = plane, device
        self._diameter_angstrom = diameter_angstrom
        self._symmetry = symmetry_matrices(symmetry)
        self._sums = {
            name: (FourierAccumulator(plane.box_px, device=device), FourierAccumulator(plane.box_px, device=device))
            for name in _WEIGHTINGS
        }
        radius_px = min(0.55 * diameter_angstrom / plane.pixel_size_angstrom, 0.44 * plane.box_px)
        self._mask = spherical_mask(plane.box_px, radius_px, 0.06 * plane.box_px).to(device)
        self._references = [start.to(device), start.to(device)]
        self._reference_resolution_angstrom = INITIAL_RESOLUTION_ANGSTROM
        self._searches: list[OrientationSearch | None] = [None, None]
        self.movie_count = 0
        self.particle_count = 0

    def add(
        self, particles: ParticleSpectra | None, half_sets: tuple[int, ...], relative_ssnr: NDArray[np.float64]
    ) -> FoundPoses | None:
        """Orient a movie's particles and add them; None: a movie without usable particles, which is only counted.

        `half_sets`: 1 or 2 per particle; `relative_ssnr`: (M,) on the plane, of this movie (`weights.relative_ssnr`).
        """
        found = None
        if particles is not None and len(half_sets):
            found = self._orient(particles, np.array(half_sets))
            self._insert(particles, np.array(half_sets), found, relative_ssnr)
            self.particle_count += len(half_sets)
        self.movie_count += 1
        if self.movie_count % ROUND_MOVIES == 0:
            self._renew_references()
        return found

    def round(self) -> MapRound:
        """The present maps; changes nothing."""
        first, second = self._sums["causal"]
        halves = [first.volume(), second.volume()]
        agreement = self._agreement(halves)
        full = filtered((first + second).volume() * self._mask, agreement.corrected.map_filter())
        half1, half2 = ((half * self._mask).cpu() for half in halves)
        own = self._reference_resolution_angstrom < INITIAL_RESOLUTION_ANGSTROM and self.movie_count >= 2 * ROUND_MOVIES
        return MapRound(full.cpu(), half1, half2, agreement, self._plane.pixel_size_angstrom, own)

    def _agreement(self, halves: list[Tensor]) -> HalfMapFsc:
        """Of half maps that no mask has touched."""
        return half_map_fsc(
            halves[0],
            halves[1],
            pixel_size_angstrom=self._plane.pixel_size_angstrom,
            diameter_angstrom=self._diameter_angstrom,
            last_shell=int(self._plane.radius_px.max()),
        )

    def _search(self, half: int) -> OrientationSearch:
        search = self._searches[half]
        if search is None:
            search = OrientationSearch(
                FourierVolume(self._references[half], device=self._device),
                self._plane,
                resolution_angstrom=self._reference_resolution_angstrom,
                diameter_angstrom=self._diameter_angstrom,
                symmetry=self._symmetry,
                device=self._device,
            )
            self._searches[half] = search
            if self._references[0] is self._references[1]:
                self._searches = [search, search]
        return search

    def _orient(self, particles: ParticleSpectra, half_set: NDArray[np.int64]) -> FoundPoses:
        n = len(half_set)
        poses, shifts, scores = np.zeros((n, 3, 3)), np.zeros((n, 2)), np.zeros(n)
        for half in (0, 1):
            chosen = np.nonzero(half_set == half + 1)[0]
            if not chosen.size:
                continue
            index = torch.from_numpy(chosen).to(self._device)
            own = replace(particles, values=particles.values[index], masked=particles.masked[index])
            found = self._search(half).find(own)
            poses[chosen], shifts[chosen], scores[chosen] = found.poses, found.shift_px, found.score
        return FoundPoses(poses, shifts, scores)

    def _insert(
        self,
        particles: ParticleSpectra,
        half_set: NDArray[np.int64],
        found: FoundPoses,
        relative_ssnr: NDArray[np.float64],
    ) -> None:
        centred = particles.values * self._plane.phases(found.shift_px, len(self._plane.kx), self._device)
        for name in _WEIGHTINGS:
            ssnr = torch.from_numpy(relative_ssnr).to(self._device, torch.float32)
            damped = particles.ctf * torch.sqrt(ssnr)
            numerator, denominator = centred * damped, (damped**2).expand(len(centred), -1)
            for half in (0, 1):
                chosen = np.nonzero(half_set == half + 1)[0]
                index = torch.from_numpy(chosen).to(self._device)
                for operator in self._symmetry:
                    turned = torch.from_numpy(found.poses[chosen] @ operator)
                    self._sums[name][half].insert(self._plane, turned, numerator[index], denominator[index])

    def _renew_references(self) -> None:
        halves = [accumulator.volume() for accumulator in self._sums["causal"]]
        fsc = self._agreement(halves).corrected
        resolution = fsc.resolution_angstrom(_FSC_THRESHOLD)
        if resolution is None or resolution >= INITIAL_RESOLUTION_ANGSTROM:
            return  # the start still knows more than the data
        self._references = [filtered(half * self._mask, fsc.map_filter()) for half in halves]
        self._reference_resolution_angstrom = resolution
        self._searches = [None, None]

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on exactly as if nothing had happened."""
        arrays: dict[str, NDArray[Any]] = {
            "counts": np.array([self.movie_count, self.particle_count], dtype=np.int64),
            "reference_resolution_angstrom": np.array(self._reference_resolution_angstrom),
            "references": torch.stack(self._references).cpu().numpy(),
        }
        for name, halves in self._sums.items():
            for number, accumulator in enumerate(halves, start=1):
                for part, array in accumulator.state().items():
                    arrays[f"{name}.{number}.{part}"] = array
        return arrays

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raises KeyError or ValueError when the arrays are not those of such a map."""
        for name, halves in self._sums.items():
            for number, accumulator in enumerate(halves, start=1):
                accumulator.restore({part: arrays[f"{name}.{number}.{part}"] for part in ("numerator", "denominator")})
        self._references = [torch.from_numpy(array).to(self._device) for array in arrays["references"]]
        self._reference_resolution_angstrom = float(arrays["reference_resolution_angstrom"])
        self._searches = [None, None]
        self.movie_count, self.particle_count = (int(value) for value in arrays["counts"])
