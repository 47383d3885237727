"""The sums of a running map: both half-sets, with particles weighted by their movie's losses and with all alike.

Two pairs of sums are kept with the same poses: the gain of the weights can be seen, and every mixture of the two is a
map whose weights lie between, sum (1 + lambda (sqrt(s) / mean - 1)) C X. So weights can be chosen anew at every round
(`held_out_weights`), shell by shell, without a particle being put in again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.refine.weights import on_plane

WEIGHTINGS = ("causal", "uniform")
"""By what the causal prior says of the movie; all particles alike."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """How much of the causal weights a map takes."""

    share: NDArray[np.float64]
    """(S,) lambda by shell: 0 all alike, 1 as the causal prior says; shell i has the radius i."""
    mean_amplitude: NDArray[np.float64]
    """(S,) mean of sqrt(relative SSNR) over the particles: what all movies have lost is undone, however they count."""

    def without_causes(self) -> Mixture:
        """Of the same shells with all particles alike."""
        return Mixture(np.zeros_like(self.share), self.mean_amplitude)


class WeightedSums:
    """Numerators and denominators of both half-sets, once for each of `WEIGHTINGS`.

    Parameters
    ----------
    symmetry:
        (s, 3, 3) operators of the point group: each particle is put in s times.
    """

    def __init__(self, plane: FourierPlane, symmetry: NDArray[np.float64], device: torch.device) -> None:
        self._plane, self._symmetry, self._device = plane, symmetry, device
        self._sums = {
            name: (FourierAccumulator(plane.box_px, device=device), FourierAccumulator(plane.box_px, device=device))
            for name in WEIGHTINGS
        }

    def insert(self, particles: ParticleSpectra, placed: PlacedParticles, *, sign: float) -> None:
        """Put a movie's particles in as they are placed, or take them out (sign -1)."""
        shifts = placed.shift_px.astype(np.float64)
        centred = particles.values * self._plane.phases(shifts, len(self._plane.kx), self._device)
        certainty = torch.from_numpy(placed.counts).to(self._device)[:, None]
        for name in WEIGHTINGS:
            by_losses = name == "causal"
            ssnr = (
                on_plane(placed.shell_ssnr, self._plane, self._device) if by_losses else torch.ones_like(particles.ctf)
            )
            damped = particles.ctf * torch.sqrt(ssnr)
            numerator, denominator = centred * damped * certainty, damped**2 * certainty
            for half in (0, 1):
                chosen = np.nonzero(placed.half_set == half + 1)[0]
                if not chosen.size:
                    continue
                index = torch.from_numpy(chosen).to(self._device)
                turned = np.concatenate([placed.poses[chosen] @ operator for operator in self._symmetry])
                self._sums[name][half].insert(
                    self._plane, torch.from_numpy(turned), numerator[index], denominator[index], sign=sign
                )

    def half_maps(self, mixture: Mixture) -> list[Tensor]:
        """Two (n, n, n) half maps [z, y, x] that no mask has touched."""
        return [self._mixed(half, mixture).volume() for half in (0, 1)]

    def whole_map(self, mixture: Mixture) -> Tensor:
        """(n, n, n) map of both halves together."""
        return (self._mixed(0, mixture) + self._mixed(1, mixture)).volume()

    def _mixed(self, half: int, mixture: Mixture) -> FourierAccumulator:
        causal, alike, mean = mixture.share, 1 - mixture.share, mixture.mean_amplitude
        uniform = self._sums["uniform"][half].by_shell(alike * mean, alike * mean**2)
        return self._sums["causal"][half].by_shell(causal, causal) + uniform

    def state(self) -> dict[str, NDArray[Any]]:
        """The sums, exactly; `restore` takes them back."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, halves in self._sums.items():
            for number, accumulator in enumerate(halves, start=1):
                for part, array in accumulator.state().items():
                    arrays[f"{name}.{number}.{part}"] = array
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError or ValueError when the arrays are not those of such sums."""
        for name, halves in self._sums.items():
            for number, accumulator in enumerate(halves, start=1):
                accumulator.restore({part: arrays[f"{name}.{number}.{part}"] for part in ("numerator", "denominator")})
