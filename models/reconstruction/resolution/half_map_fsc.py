"""How far two half maps agree, and how much of that a mask made up: unmasked, masked and corrected FSC.

A mask multiplies the maps, so it correlates their Fourier voxels with its own: two maps of noise under one mask agree.
Chen et al. (2013, Ultramicroscopy 135, 24): randomise the phases of both halves beyond a shell where they still agree
without a mask, mask them, and what they agree by then is the mask's doing:

    FSC_true = (FSC_masked - FSC_randomised) / (1 - FSC_randomised)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.resolution.fsc import FscCurve, fourier_shell_correlation
from frazil.models.reconstruction.resolution.masks import MapMask, field_mask, map_mask

_RANDOMISED_BELOW = 0.8
"""Unmasked FSC below which phases are randomised (RELION's)."""
_SHELLS_LEFT = 2
"""Shells next to the randomised ones into which the mask carries what is left of the signal: not corrected (RELION)."""
_DRAWS = 3
"""Random phases are drawn so often and their FSC averaged: one draw's chance must not move the answer."""
_SEED = 135_24


@dataclass(frozen=True, slots=True)
class HalfMapFsc:
    """The curves of one pair of half maps, all at the same frequencies."""

    unmasked: FscCurve
    """Of the sphere that the box holds."""
    masked: FscCurve
    randomised: FscCurve
    """What the mask alone makes two halves agree by, where the phases are random; 0 before."""
    corrected: FscCurve
    """The one to believe."""
    randomised_from_per_angstrom: float | None
    """None: the halves agree by more than 0.8 without a mask at every frequency."""
    mask: MapMask
    first_shell: int = 1
    """Distance of the curves' first shell from the origin, in Fourier voxels."""

    def chance_covariance(self, box_px: int, symmetry_order: int) -> NDArray[np.float64]:
        """(k, k) of atanh(corrected FSC): one over a shell's independent pairs of coefficients (Fisher 1921, Metron 1,
        3), and what the mask correlates neighbouring shells by. Random phases scatter, too, where they are subtracted.
        """
        count = len(self.corrected.fsc)
        shells = slice(self.first_shell, self.first_shell + count)
        voxels = torch.bincount(shell_index(box_px).flatten()).double().numpy()[shells]
        pairs = voxels / symmetry_order
        subtracted = np.array(self.randomised.fsc) != 0.0
        sd = np.sqrt(np.where(subtracted, 1 + 1 / _DRAWS, 1.0) / pairs)
        between = self.mask.chance_correlation()
        shell = np.arange(count)
        covariance = between[np.abs(shell[:, None] - shell)] * sd[:, None] * sd
        # Only nearly that of a stationary process: the nearest one that is a covariance.
        value, vector = np.linalg.eigh(covariance)
        return np.asarray((vector * np.maximum(value, 1e-9 * value.max())) @ vector.T)


def half_map_fsc(
    first: Tensor,
    second: Tensor,
    *,
    pixel_size_angstrom: float,
    diameter_angstrom: float,
    mask: MapMask | None = None,
    first_shell: int = 1,
    last_shell: int | None = None,
) -> HalfMapFsc:
    """All curves of two (n, n, n) half maps that no mask has touched.

    Parameters
    ----------
    diameter_angstrom:
        Longest extent of the particle.
    mask:
        None: made from the sum of both (`map_mask`).
    first_shell, last_shell:
        The curves' ends, in Fourier voxels from the origin: waves longer than the particle are the background's, and
        the last is the last that the maps hold. None: the last inside of Nyquist.
    """
    n = first.shape[0]
    field = field_mask(n).to(first.device)
    a, b = first * field, second * field

    def curve_of(one: Tensor, other: Tensor, under: Tensor | None = None) -> FscCurve:
        curve = fourier_shell_correlation(one, other, pixel_size_angstrom=pixel_size_angstrom, mask=under)
        return FscCurve(curve.frequency_per_angstrom[shells], curve.fsc[shells])

    shells = slice(first_shell - 1, last_shell)
    unmasked = curve_of(a, b)
    if mask is None:
        mask = map_mask(
            (a + b) / 2,
            pixel_size_angstrom=pixel_size_angstrom,
            diameter_angstrom=diameter_angstrom,
            agreed_angstrom=unmasked.resolution_angstrom(0.143),
        )
    values = mask.values.to(first.device)
    masked = curve_of(a, b, values)
    below = np.nonzero(np.array(unmasked.fsc) < _RANDOMISED_BELOW)[0]
    if not below.size:
        nothing = FscCurve(masked.frequency_per_angstrom, (0.0,) * len(masked.fsc))
        return HalfMapFsc(unmasked, masked, nothing, masked, None, mask, first_shell)
    start = int(below[0])
    draws = [curve_of(one, other, values).fsc for one, other in _randomised_pairs(a, b, start + first_shell)]
    noise = np.mean(draws, axis=0)
    noise[: start + _SHELLS_LEFT] = 0.0
    corrected = np.clip((np.array(masked.fsc) - noise) / np.maximum(1 - noise, 1e-3), -1.0, 1.0)
    frequency = masked.frequency_per_angstrom
    return HalfMapFsc(
        unmasked=unmasked,
        masked=masked,
        randomised=FscCurve(frequency, tuple(noise.tolist())),
        corrected=FscCurve(frequency, tuple(corrected.tolist())),
        randomised_from_per_angstrom=frequency[start],
        mask=mask,
        first_shell=first_shell,
    )


def _randomised_pairs(first: Tensor, second: Tensor, from_shell: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Both maps with random phases from a shell on, `_DRAWS` times, the same ones in every call."""
    generator = torch.Generator().manual_seed(_SEED)
    spectra = centred_fft(first.double(), 3), centred_fft(second.double(), 3)
    for _ in range(_DRAWS):
        yield (
            phase_randomised(spectra[0], from_shell=from_shell, generator=generator),
            phase_randomised(spectra[1], from_shell=from_shell, generator=generator),
        )


def phase_randomised(spectrum: Tensor, *, from_shell: int, generator: torch.Generator) -> Tensor:
    """The real map of a centred (n, n, n) transform, from a shell on with phases of white noise (drawn on the CPU)."""
    noise = centred_fft(torch.randn(spectrum.shape, generator=generator, dtype=torch.float64), 3).to(spectrum.device)
    turned = spectrum.abs() * noise / noise.abs().clamp_min(1e-12)
    random = (shell_index(spectrum.shape[0]) >= from_shell).to(spectrum.device)
    return centred_ifft_real(torch.where(random, turned, spectrum), 3)
