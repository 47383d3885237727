"""The running map of one session with four kinds of knowledge of its movies' losses.

Particles are made as Fourier samples: slices of a known structure at known poses, CTF, what the movie has lost (coma as
a loss), and white noise. frazil's own `RunningMap` adds them, compares them with the other half's map, renews its
references and chooses its weights; only the search is left out: poses are the true ones, turned by 1.5 deg and moved
by 0.3 px (standard deviations). Poses that are worse where a movie is poor, and what a search adds by turning noise
towards the map, are therefore not in these figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablation.worlds import Array, World, told_losses, true_losses
from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.optics.ctf import CtfParameters, chi_2d
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.orientation.orientation_search import FoundPoses, OrientationSearch
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg
from frazil.models.reconstruction.refine.initial_map import INITIAL_RESOLUTION_ANGSTROM, low_pass
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.reconstruction.refine.weighted_sums import Mixture
from frazil.models.reconstruction.resolution.fsc import FscCurve, fourier_shell_correlation, spherical_mask
from frazil.models.simulation.structures import structure_path

CPU = torch.device("cpu")
BOX_PX = 64
SPECIMENS = {"gltph": 105.0, "apoferritin": 128.0}
"""Structures that ship with frazil, and their diameters in A. No symmetry is used."""
PRIORS = ("physics", "learned", "true")
_SHARP_A2 = 60.0
_TURNED_DEG, _MOVED_PX = 1.5, 0.3


@dataclass(frozen=True, slots=True)
class Reached:
    """In A; None: not resolved."""

    halves_0143: float | None
    """Half maps, under the mask of the map with its weights, freed of what the mask adds."""
    truth_05: float | None
    """Whole map against the true one, under a sphere."""
    share: float
    """Of the weights that were told, mean over the resolved shells."""


class _KnownPoses(RunningMap):
    """The running map of particles whose poses are given."""

    given: tuple[NDArray[Any], NDArray[Any]]

    def _orient(
        self, particles: ParticleSpectra, half_set: NDArray[np.int8], shell_ssnr: NDArray[np.float32]
    ) -> FoundPoses:
        ones = np.ones(len(half_set))
        return FoundPoses(self.given[0], self.given[1], 5 * ones, ones)

    def _search(self, half: int) -> OrientationSearch:
        return cast(OrientationSearch, SimpleNamespace(finest_per_angstrom=0.0))  # nothing was searched

    def with_shares(self, share: float | None) -> tuple[FscCurve, torch.Tensor, float]:
        """The half maps' FSC and the whole map with the weights that are chosen (None), as a round has them, or with so
        much of those that were told; and that share."""
        chosen = self._mixture()
        mixture = chosen if share is None else Mixture(np.full_like(chosen.share, share), chosen.mean_amplitude)
        curve = self._agreement(self._sums.half_maps(mixture)).corrected
        return curve, self._sums.whole_map(mixture), self._mean_share(mixture, curve)


@lru_cache(maxsize=2)
def _specimen(name: str) -> tuple[torch.Tensor, float, FourierPlane]:
    diameter_angstrom = SPECIMENS[name]
    pixel = 1.45 * diameter_angstrom / BOX_PX
    atoms = read_atoms(structure_path(name))
    volume = potential_map(atoms, box_px=BOX_PX, pixel_size_angstrom=pixel, b_factor_a2=_SHARP_A2)
    return volume, pixel, FourierPlane.of_box(BOX_PX, pixel)


@dataclass(frozen=True, slots=True)
class _Movie:
    particles: ParticleSpectra
    half_sets: tuple[int, ...]
    poses: NDArray[Any]
    shift_px: NDArray[Any]


class MapSession:
    """Particles of one world, and the maps of them."""

    def __init__(self, world: World, movies: int) -> None:
        rng = world.rng(3)
        self.world = world
        self.specimen = ("gltph", "apoferritin")[world.seed % 2]
        self.truth, self.pixel_size_angstrom, self.plane = _specimen(self.specimen)
        self.aim_angstrom = float(rng.uniform(2.6, 3.3)) * self.pixel_size_angstrom
        counts = np.maximum(rng.poisson(float(rng.uniform(18, 40)), movies), 2)
        k = self.plane.frequency_per_angstrom
        self.losses = true_losses(world, movies, k)
        ssnr = np.exp(-self.losses.total)
        self._scale = self._signal_scale(int(counts.sum()), ssnr.mean(axis=0))
        volume = FourierVolume(self.truth, device=CPU)
        self.movies = [self._movie(rng, volume, int(n), ssnr[number]) for number, n in enumerate(counts)]

    def _signal_scale(self, particles: int, ssnr: Array) -> float:
        """With which half of the particles resolve the structure to `aim_angstrom`: SSNR 1/6 in its half maps."""
        ring = round(BOX_PX * self.pixel_size_angstrom / self.aim_angstrom)
        at = np.abs(self.plane.radius_px - ring) <= 1
        poses = matrices_from_euler_deg(np.random.default_rng(1).uniform(-180, 180, (40, 3)))
        slices = FourierVolume(self.truth, device=CPU).slices(torch.from_numpy(poses), self.plane, len(at))
        power = float(slices.abs().square().mean(dim=0).numpy()[at].mean())
        covered = 0.5 * particles * 0.5 * float(ssnr[at].mean()) / (2 * ring)  # CTF^2 is a half
        return float(np.sqrt(1 / 6 / (covered * power)))

    def _movie(self, rng: np.random.Generator, volume: FourierVolume, count: int, ssnr: Array) -> _Movie:
        plane, samples = self.plane, len(self.plane.kx)
        euler = np.stack([rng.uniform(-180, 180, count), np.degrees(np.arccos(rng.uniform(-1, 1, count)))], axis=1)
        poses = matrices_from_euler_deg(np.column_stack([euler, rng.uniform(-180, 180, count)]))
        shift_px = rng.uniform(-2, 2, (count, 2))
        defocus = float(rng.uniform(9_000, 22_000))
        optics = CtfParameters(300.0, 2.7, 0.1, defocus + 200, defocus - 200, float(rng.uniform(0, 180)))
        box_angstrom = BOX_PX * self.pixel_size_angstrom
        kx, ky = (torch.from_numpy(axis).double() / box_angstrom for axis in (plane.kx, plane.ky))
        ctf = torch.sin(chi_2d(optics, kx, ky)).to(torch.float32)
        signal = volume.slices(torch.from_numpy(poses), plane, samples) * ctf * self._scale
        signal = signal * torch.from_numpy(np.sqrt(ssnr)).to(torch.float32)
        signal = signal * plane.phases(shift_px, samples, CPU).conj()
        noise = rng.standard_normal((2, count, samples)).astype(np.float32) * np.float32(np.sqrt(0.5))
        values = signal + torch.complex(torch.from_numpy(noise[0]), torch.from_numpy(noise[1]))
        found = _turned(poses, rng.normal(0, _TURNED_DEG, (count, 3)))
        halves = tuple(1 + n % 2 for n in rng.permutation(count))
        moved = shift_px + rng.normal(0, _MOVED_PX, (count, 2))
        return _Movie(ParticleSpectra(values, values, ctf, torch.ones(samples)), halves, found, moved)

    def running(self, losses: Array) -> _KnownPoses:
        """The map with these losses (movies, M) told; earlier movies are added again as in a session."""
        diameter = SPECIMENS[self.specimen]
        start = low_pass(self.truth, INITIAL_RESOLUTION_ANGSTROM, self.pixel_size_angstrom)
        running = _KnownPoses(start, self.plane, symmetry="C1", diameter_angstrom=diameter, device=CPU)
        for number, movie in enumerate(self.movies):
            running.given = (movie.poses, movie.shift_px)
            running.add(movie.particles, movie.half_sets, np.exp(-losses[number]))
            for earlier in running.due():
                again = self.movies[earlier]
                running.given = (again.poses, again.shift_px)
                running.again(earlier, again.particles)
        return running

    def reached(self, running: _KnownPoses, share: float | None) -> Reached:
        halves, whole, taken = running.with_shares(share)
        n, pixel = BOX_PX, self.pixel_size_angstrom
        mask = spherical_mask(n, min(0.55 * SPECIMENS[self.specimen] / pixel, 0.44 * n), 0.06 * n)
        curve = fourier_shell_correlation(whole * mask, self.truth * mask, pixel_size_angstrom=pixel)
        return Reached(halves.resolution_angstrom(0.143), curve.resolution_angstrom(0.5), taken)

    def all_weightings(self) -> dict[str, Reached]:
        """`uniform`, and each prior's with as much as the map takes of it (`learned`) and whole (`learned, whole`)."""
        out: dict[str, Reached] = {}
        for prior in PRIORS:
            true = self.losses
            running = self.running(true.total if prior == "true" else told_losses(self.world, true, prior))
            if not out:
                out["uniform"] = self.reached(running, 0.0)
            out[prior] = self.reached(running, None)
            out[f"{prior}, whole"] = self.reached(running, 1.0)
        return out


def _turned(poses: NDArray[Any], angle_deg: NDArray[Any]) -> NDArray[Any]:
    """(n, 3, 3) poses after small rotations about x, y and z, (n, 3)."""
    x, y, z = np.radians(angle_deg).T
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    u, _, v = np.linalg.svd(np.eye(3) + skew)
    return np.asarray((u @ v) @ poses)
