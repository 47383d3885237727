"""The pixel size that a map of a known structure has, its hand and its scale.

A map M(r) on voxels that are thought to be p wide is compared with a structure's density rho: in truth voxels are
s p wide, and M(r) = D * rho(Q^-1 (s r - t)) + noise, D an unknown gain of each shell. With C_k the correlation of both
in shell k under the map's mask, and N_k the independent values in it, the likelihood with D and the noise at their best
is

    ln L(s, Q, t) = -1/2 sum_k N_k ln(1 - C_k^2),   N_k = n_k f / |G|

with n_k voxels in the shell, f the share of the box that the mask leaves and |G| the order of the point group that was
imposed. What the structure lacks (other conformations, flexible parts) counts as noise, so that errors grow with it.
Maximised by quasi-Newton steps through `torch.autograd`, from low resolution to the map's own; the error of s is that
of the inverse of the Hessian, all other parameters free. The hand is a ratio of two such likelihoods.

A map and a model with unknown gain and noise in shells: Murshudov 2016, Methods Enzymol. 579, 277.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.reconstruction.calibration.placing import mirrored, rough_places
from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.resolution.fsc import FscCurve
from frazil.models.reconstruction.resolution.half_map_fsc import half_map_fsc

COARSEST_ANGSTROM = 20.0
"""A map that is not better than this tells nothing of a pixel size."""
_ROUGH_ANGSTROM, _ROUGH_DIAMETERS = 18.0, 0.12
_FINEST_ANGSTROM = 5.0
"""What is finer is not looked at: at this resolution a pixel size is known to 0.1 % and a hand beyond doubt, and time
grows with the third power."""
_FOLLOWED = 4
"""Places of each hand that are looked at closely."""
_STEPS = (2.0, 1.3, 1.0)
"""Of the map's resolution: what is looked at from one refinement to the next."""
_NYQUIST_SHARE = 0.8
"""Of the grid on which map and structure are compared: its Nyquist frequency lies this much beyond the resolution."""
_FAR_BEHIND_LN = 50.0
"""A hand that is so much less likely at low resolution is not looked at more closely."""
HAND_TOLD_LN = 5.0
"""Of the likelihoods of both hands: 150 to 1."""
_FITS_SHARE = 1.3
"""A structure is the map's where both agree (FSC 0.5) to this many times the map's own resolution."""
_MODEL_AGREES, _HALVES_AGREE = 0.5, 0.143
_MOST = 0.9999
_FIRST_SHELL = 2
"""The first says how much mass there is."""
_MISFIT = 1.6
"""What a structure lacks is not noise of its own in each shell: in simulated maps the sizes were off by 1.6 of the
errors that the likelihood states (root mean square of five), and errors are stated so much wider."""
_LARGEST_LN_RATIO = 0.15
"""Nobody's pixel size is further off, and a structure swells without end in a map that is not of it."""
_SCALES = np.array([0.02, 0.02, 0.02, 0.5, 0.5, 0.5, 0.01])
"""Of turns (rad), shifts (A) and ln of the size, so that steps are alike."""
_GAIN_AGREES, _GAIN_FROM_ANGSTROM = 0.5, 15.0


class Structure(Protocol):
    """What is known."""

    def density(self, pixel_size_angstrom: float) -> tuple[Tensor, float]:
        """(m, m, m) [z, y, x] with its centre at voxel m // 2, m even, and the pixel size that it really has: at most
        that one."""
        ...


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a known structure told of a map."""

    pixel_size_ratio: float
    """True over stated."""
    pixel_size_ratio_error: float
    """One standard deviation; the structure's own scale taken as right."""
    is_mirrored: bool | None
    """The map has the other hand; None: cannot be told."""
    hand_ln: float
    """ln of the likelihood of the better hand over that of the other."""
    agreement: FscCurve
    """Of map and structure, at stated frequencies."""
    agrees_to_angstrom: float | None
    """Where that falls below 0.5, by the true pixel size; None: nowhere above it."""
    resolution_angstrom: float
    """Of the map's halves (0.143), by the stated pixel size."""
    gain: float
    """The map's values over the structure's, at low resolution."""
    gain_error: float
    b_factor_a2: float
    """By how much the map falls more steeply than the structure."""
    b_factor_error_a2: float

    @property
    def fits(self) -> bool:
        """Whether the map can be of this structure at all; else all else means nothing."""
        limit = _FITS_SHARE * max(self.resolution_angstrom, _FINEST_ANGSTROM) * self.pixel_size_ratio
        return self.agrees_to_angstrom is not None and self.agrees_to_angstrom <= limit


def calibrate(
    first: Tensor,
    second: Tensor,
    structure: Structure,
    *,
    pixel_size_angstrom: float,
    symmetry: str,
    diameter_angstrom: float,
) -> Calibration | None:
    """Compare half maps (n, n, n), made with a stated pixel size, with a structure. None: they are too coarse."""
    halves = half_map_fsc(first, second, pixel_size_angstrom=pixel_size_angstrom, diameter_angstrom=diameter_angstrom)
    resolution = halves.corrected.resolution_angstrom(_HALVES_AGREE)
    if resolution is None or resolution > COARSEST_ANGSTROM:
        return None
    full, mask = (first + second).float() / 2, halves.mask.values
    looked_at = max(resolution, _FINEST_ANGSTROM)
    rough = max(_ROUGH_ANGSTROM, _ROUGH_DIAMETERS * diameter_angstrom, resolution)
    n = full.shape[0]
    density, fine = structure.density(pixel_size_angstrom * n / _box_px(n * pixel_size_angstrom / looked_at, n) / 2)
    sharp = _between_voxels(density)
    hands = ((full, mask), (mirrored(full), mirrored(mask)))
    copies = len(symmetry_matrices(symmetry))

    def compared_at(resolution_angstrom: float) -> list[_Compared]:
        """Both hands on a grid that is as fine as it has to be."""
        box_px = _box_px(n * pixel_size_angstrom / resolution_angstrom, n)
        pixel = pixel_size_angstrom * n / box_px
        known = _Known(low_pass(sharp, 2 * pixel, fine), fine)
        return [_Compared.of(map_, outline, box_px, pixel, copies, known) for map_, outline in hands]

    best, hand_ln = _best(compared_at, _places(compared_at(rough), rough, symmetry), looked_at, rough)
    return best.told(resolution, looked_at, best.hand == 1 if hand_ln >= HAND_TOLD_LN else None, hand_ln)


def _box_px(shells: float, most_px: int) -> int:
    """Even, for so many shells, and some to spare."""
    return min(most_px - most_px % 2, max(2 * math.ceil(shells / _NYQUIST_SHARE), 24))


def _on_grid(volume: Tensor, box_px: int) -> Tensor:
    """On fewer voxels an axis, by cropping the transform; values stay."""
    n = volume.shape[0]
    low = n // 2 - box_px // 2
    part = centred_fft(volume.float(), 3)[(slice(low, low + box_px),) * 3]
    return centred_ifft_real(part, 3) * (box_px / n) ** 3


def _between_voxels(density: Tensor) -> Tensor:
    """So that what is read between its voxels, a mean of them, is the density's own value."""
    m = density.shape[0]
    weaken = torch.sinc((torch.arange(m, dtype=torch.float32) - m // 2) / m) ** 2
    window = weaken[:, None, None] * weaken[None, :, None] * weaken[None, None, :]
    return centred_ifft_real(centred_fft(density.float(), 3) / window, 3)


@dataclass(frozen=True, slots=True)
class _Known:
    """The structure, without what is finer than a map's voxels."""

    volume: Tensor
    """(m, m, m)."""
    pixel_size_angstrom: float

    def at(self, position_angstrom: Tensor) -> Tensor:
        """(n, n, n) values at (n, n, n, 3) positions x, y, z from the centre; trilinear, nothing outside."""
        m = self.volume.shape[0]
        grid = (position_angstrom / self.pixel_size_angstrom + m // 2) * (2.0 / (m - 1)) - 1.0
        found: Tensor = torch.nn.functional.grid_sample(
            self.volume[None, None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=True
        )[0, 0]
        return found


@dataclass(frozen=True, slots=True)
class _Compared:
    """A map of one hand on the grid on which it is compared."""

    volume: Tensor
    """(n, n, n), masked."""
    mask: Tensor
    spectrum: Tensor
    shell: Tensor
    """(n^3,) shell of each Fourier voxel."""
    position_angstrom: Tensor
    """(n, n, n, 3) of voxels from the centre, by the stated pixel size."""
    pixel_size_angstrom: float
    """Stated."""
    values: NDArray[np.float64]
    """Independent values in each shell from 0 on."""
    known: _Known

    @classmethod
    def of(cls, volume: Tensor, mask: Tensor, box_px: int, pixel: float, copies: int, known: _Known) -> _Compared:
        masked, outline = _on_grid(volume * mask, box_px), _on_grid(mask, box_px).clamp(0.0, 1.0)
        shell = shell_index(box_px).flatten()
        axis = (torch.arange(box_px, dtype=torch.float32) - box_px // 2) * pixel
        z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
        values = torch.bincount(shell).double().numpy() * float(outline.mean()) / copies
        spectrum = centred_fft(masked, 3).flatten()
        return cls(masked, outline, spectrum, shell, torch.stack([x, y, z], dim=-1), pixel, values, known)

    def shells_to(self, resolution_angstrom: float) -> int:
        """The last that is as coarse."""
        n = self.volume.shape[0]
        return min(int(n * self.pixel_size_angstrom / resolution_angstrom), n // 2 - 1)

    def products(self, start: Tensor, parameters: Tensor, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Sums over each shell up to `last`: Re(map* model), |model|^2, |map|^2, the structure where it is put."""
        turn = torch.linalg.matrix_exp(_across(parameters[:3])) @ start
        # (v - t) Q is Q^-1 (v - t) of column vectors.
        position = (self.position_angstrom * torch.exp(parameters[6]).float() - parameters[3:6].float()) @ turn.float()
        model = centred_fft(self.known.at(position) * self.mask, 3).flatten()

        def summed(values: Tensor) -> Tensor:
            total = torch.zeros(int(self.shell.max()) + 1, dtype=torch.float64)
            return total.index_add(0, self.shell, values.double())[: last + 1]

        return (
            summed((model * self.spectrum.conj()).real),
            summed(model.abs().square()),
            summed(self.spectrum.abs().square()),
        )


def _across(vector: Tensor) -> Tensor:
    """(3, 3) so that its product with another vector is the cross product."""
    x, y, z = vector
    zero = torch.zeros_like(x)
    return torch.stack([torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])])


@dataclass(frozen=True, slots=True)
class _Fit:
    """Where a structure lies in a map, as well as can be told."""

    hand: int
    """0: the map as it is, 1: mirrored."""
    compared: _Compared
    start: Tensor
    """(3, 3) the rotation from which turns are counted."""
    parameters: NDArray[np.float64]
    """(7,) turn vector (rad), shift (A), ln of true over stated pixel size."""
    ln_likelihood: float = -math.inf

    def cost(self, parameters: NDArray[np.float64], last: int) -> tuple[float, NDArray[np.float64]]:
        """-ln L and its gradient (7,)."""
        free = torch.from_numpy(parameters).requires_grad_()
        cross, model, own = self.compared.products(self.start, free, last)
        agreed = (cross / torch.sqrt(model * own + 1e-30)).clamp(0.0, _MOST)
        values = torch.from_numpy(self.compared.values[: last + 1])
        cost = 0.5 * (values * torch.log1p(-agreed.square()))[_FIRST_SHELL:].sum()
        cost.backward()  # type: ignore[no-untyped-call]
        assert free.grad is not None
        return float(cost.detach()), free.grad.numpy()

    def refined(self, resolution_angstrom: float) -> _Fit:
        last = self.compared.shells_to(resolution_angstrom)

        def scaled(steps: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = self.cost(self.parameters + steps * _SCALES, last)
            return value, gradient * _SCALES

        reach = [(-_LARGEST_LN_RATIO - self.parameters[6], _LARGEST_LN_RATIO - self.parameters[6])]
        bounds = [(None, None)] * 6 + [(low / _SCALES[6], high / _SCALES[6]) for low, high in reach]
        found = scipy.optimize.minimize(
            scaled, np.zeros(7), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
        )
        return replace(self, parameters=self.parameters + found.x * _SCALES, ln_likelihood=-float(found.fun))

    def told(
        self, resolution_angstrom: float, looked_at_angstrom: float, is_mirrored: bool | None, hand_ln: float
    ) -> Calibration:
        last = self.compared.shells_to(looked_at_angstrom)
        ratio = math.exp(self.parameters[6])
        with torch.no_grad():
            sums = self.compared.products(self.start, torch.from_numpy(self.parameters), last)
        cross, model, own = (one[1:].numpy() for one in sums)
        agreed = cross / np.sqrt(model * own)
        n, pixel = self.compared.volume.shape[0], self.compared.pixel_size_angstrom
        frequency = np.arange(1, last + 1) / (n * pixel)
        curve = FscCurve(tuple(frequency.tolist()), tuple(agreed.tolist()))
        to = curve.resolution_angstrom(_MODEL_AGREES)
        return Calibration(
            ratio,
            _MISFIT * ratio * self._error_of_ln_ratio(last),
            is_mirrored,
            hand_ln,
            curve,
            None if to is None else to * ratio,
            resolution_angstrom,
            *_gain(frequency / ratio, cross / model, agreed, self.compared.values[1 : last + 1]),
        )

    def _error_of_ln_ratio(self, last: int) -> float:
        """Of the inverse of the Hessian, by differences of the gradient."""
        hessian = np.empty((7, 7))
        for row, step in enumerate(_SCALES / 10):
            either = []
            for sign in (1.0, -1.0):
                aside = self.parameters.copy()
                aside[row] += sign * step
                either.append(self.cost(aside, last)[1])
            hessian[row] = (either[0] - either[1]) / (2 * step) * _SCALES
        hessian *= _SCALES[:, None]
        value, vector = np.linalg.eigh((hessian + hessian.T) / 2)
        # A direction in which nothing is told (about a fibre's axis) is none of the size's.
        value = np.maximum(value, 1e-6 * value.max())
        return float(np.sqrt(((vector[6] ** 2) / value).sum()) * _SCALES[6])


def _places(maps: Sequence[_Compared], rough: float, symmetry: str) -> list[list[_Fit]]:
    """Where to begin, for each hand."""
    n, pixel = maps[0].volume.shape[0], maps[0].pixel_size_angstrom
    box_px = min(n, _box_px(n * pixel / rough, n))
    small = pixel * n / box_px
    structure = maps[0].known.at(maps[0].position_angstrom)
    volumes = [_on_grid(low_pass(one, rough, pixel), box_px) for one in (structure, *(m.volume for m in maps))]
    return [
        [
            _Fit(
                hand, compared, torch.from_numpy(place.rotation), np.array([*[0.0] * 3, *(place.shift_px * small), 0.0])
            )
            for place in places
        ]
        for hand, (compared, places) in enumerate(
            zip(maps, rough_places(volumes[1:], volumes[0], symmetry=symmetry, count=_FOLLOWED), strict=True)
        )
    ]


def _best(
    compared_at: Callable[[float], list[_Compared]], begun: list[list[_Fit]], resolution: float, rough: float
) -> tuple[_Fit, float]:
    """Of both hands, and by how much ln L is larger than the other's. From coarse to fine, half of each hand's places
    left behind at each step; so is a hand, where it is far behind."""
    followed, hand_ln = [fit for fits in begun for fit in fits], 0.0
    for step in _STEPS:
        at = min(max(step * resolution, resolution), rough)
        maps = compared_at(at)
        refined = [replace(fit, compared=maps[fit.hand]).refined(at) for fit in followed]
        of_hands = [
            sorted((fit for fit in refined if fit.hand == hand), key=lambda fit: -fit.ln_likelihood) for hand in (0, 1)
        ]
        if all(of_hands):
            ahead = of_hands[0][0].ln_likelihood - of_hands[1][0].ln_likelihood
            hand_ln = abs(ahead)
            if hand_ln > _FAR_BEHIND_LN:
                of_hands[int(ahead > 0)] = []
        followed = [fit for fits in of_hands for fit in fits[: max(len(fits) // 2, 1)]]
    return max(followed, key=lambda fit: fit.ln_likelihood), hand_ln


def _gain(
    frequency: NDArray[np.float64], ratio: NDArray[np.float64], agreed: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Gain at low resolution and B of ratio = gain exp(-B k^2 / 4), each with its error."""
    use = (agreed > _GAIN_AGREES) & (ratio > 0) & (frequency >= 1 / _GAIN_FROM_ANGSTROM)
    if use.sum() < 3:
        return math.nan, math.nan, math.nan, math.nan
    agreed, k = agreed[use], frequency[use]
    sd = np.sqrt((1 - agreed**2) / (agreed**2 * values[use]))
    design = np.stack([np.ones_like(k), -(k**2) / 4], axis=1) / sd[:, None]
    covariance = np.linalg.inv(design.T @ design)
    ln_gain, b_factor = covariance @ design.T @ (np.log(ratio[use]) / sd)
    misfit = np.log(ratio[use]) - ln_gain + b_factor * k**2 / 4
    # Shells do not lie on a line to within their noise: the solvent is not the model's.
    wider = math.sqrt(max(1.0, float(np.mean((misfit / sd) ** 2))))
    errors = wider * np.sqrt(np.diag(covariance))
    gain = math.exp(ln_gain)
    return gain, gain * float(errors[0]), float(b_factor), float(errors[1])
