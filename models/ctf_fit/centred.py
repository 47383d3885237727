"""Rings of the places where there is something to see: contrast brought home by the optics, then weighted by density.

Defocus displaces a detail of frequency k by +-lambda dz k, further than many particles are wide. A window
on the particles' places therefore cuts their rings away, and without one the empty ice drowns them. Here the image is
first multiplied by exp(i chi) of a known first answer: of the two displaced images of every detail one is back in its
place, in z and, conjugate, in z*. Weighted there with d, the root of the local density, and transformed,

    C(k) = Z(k) Z(-k),   Z = FT[d z],   mean of C = -(A / 4) exp(-i (2 chi - 2 chi_first)) + leak

(z z* replaces the periodogram: without d, C is |Y|^2 exp(2 i chi_first).) C varies as slowly as the error of the first
answer, so that means over cells of ring and sector hold all; amplitude and phase are its two quadratures and do not
disturb each other. The density is the image itself below 1/40 A, which shares no frequencies with the rings that are
fitted: the weight of a place may not depend on the noise that it weighs.

What is left of the power without displacement (the leak) is the smooth power times the weight's autocorrelation at the
displacement, and is subtracted. The variance of a mean is that of |C|^2 over (samples times the share of the area that
the weight leaves). The likelihood that this is the low-signal limit of: Gaussian field with local amplitude d, Whittle
in the particle's frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.ctf_fit.band import FloatArray, cubic_basis, uniform_knots
from frazil.models.ctf_fit.phase import RingOptics, astigmatism_precision
from frazil.models.ctf_fit.ring_model import (
    PARAMETER_SCALE_ANGSTROM,
    RingParameters,
    contrast_displacement,
    ring_parameters,
)

ComplexArray = NDArray[np.complex128]

DENSITY_BELOW_PER_ANGSTROM = 0.025
DENSITY_ABOVE_PER_ANGSTROM = 0.004
EDGE_ABOVE_DENSITY_PER_ANGSTROM = 0.009
"""Frequencies below the density's by so much more are not let in, so that no sample weighs itself."""
LOWEST_PER_ANGSTROM = 0.05
"""Rings are used from here: the weight mixes frequencies that lie closer than its own, and the edge is one of them."""
_EDGE_PER_ANGSTROM = 0.003
_BEYOND_PER_ANGSTROM = 0.02
"""The band's upper edge lies so far above the last frequency that is used."""
_FLOOR = 0.1
"""Weight of a place without density, of the mean one."""
_WIENER = 0.05
SECTORS = 24
_RINGS = 60
_LEVEL_WIDTH_PER_ANGSTROM = 0.004
_LEVEL_KNOTS_PER_ANGSTROM = 0.03
_AMPLITUDE_SMOOTHING_PER_ANGSTROM = 0.012
_STEPS = 15
_LONGEST_STEP_RAD = 1.0
_RING_GROUPS, _SECTOR_GROUPS = 10, 6
_SMALLEST_DISPERSION = 0.7
_DIRECTIONAL = 4.0
"""Variances by which a direction has to stand out to be granted half of what is seen."""
_SIGNIFICANT = 3.0
"""Standard deviations of the smoothed amplitude."""


@dataclass(frozen=True, slots=True)
class Field:
    """An image cropped to the band: its transform (rows, columns, complex64, fft2 order) and its frequencies (1/A)."""

    spectrum: Tensor
    kx: Tensor
    ky: Tensor
    pixel_angstrom: float
    low_per_angstrom: float
    high_per_angstrom: float


@dataclass(frozen=True, slots=True)
class Cells:
    """Means of C over cells of ring and sector, in units of the local power, and what a phase there depends on.

    mean: complex (cells,); variance: of each quadrature; gradient: (4, cells), d(2 chi) / d(dz, a_x, a_y in units of
    1000 A, phase in rad); ring: index; k: centre of each ring.
    """

    mean: ComplexArray
    variance: FloatArray
    gradient: FloatArray
    ring: NDArray[np.int64]
    k: FloatArray


@dataclass(frozen=True, slots=True)
class CentredFit:
    """parameters with covariance (4, 4) as in `RingFit`; gain: log-likelihood over no rings; share: of the area that
    the weight leaves; amplitude, k: ring amplitude over power and where."""

    parameters: RingParameters
    covariance: FloatArray
    gain: float
    share: float
    fit_per_angstrom: float | None

    @property
    def reach(self) -> float:
        """`fit_per_angstrom`, 0 if nowhere."""
        return self.fit_per_angstrom or 0.0


def crop_to_band(half: Tensor, width: int, pixel_size_angstrom: float, *, low: float, high: float) -> Field:
    """The image resampled to the pixels that the band needs; `half`: rfft2 of the flattened image (h, `width`)."""
    height = half.shape[0]
    rows = min(height, 2 * math.ceil((high + DENSITY_BELOW_PER_ANGSTROM) * height * pixel_size_angstrom))
    columns = min(width, 2 * math.ceil((high + DENSITY_BELOW_PER_ANGSTROM) * width * pixel_size_angstrom))
    rows, columns = rows // 2 * 2, columns // 2 * 2
    small = torch.cat([half[: rows // 2], half[height - rows // 2 :]])[:, : columns // 2 + 1]
    scale = rows * columns / (height * width)
    picture = torch.fft.irfft2(small * scale, s=(rows, columns))
    pixel_y, pixel_x = height * pixel_size_angstrom / rows, width * pixel_size_angstrom / columns
    ky = torch.fft.fftfreq(rows, pixel_y, device=half.device)[:, None]
    kx = torch.fft.fftfreq(columns, pixel_x, device=half.device)[None, :]
    return Field(torch.fft.fft2(picture), kx, ky, pixel_y, max(low, LOWEST_PER_ANGSTROM), high)


def chi_of(field: Field, optics: RingOptics, parameters: RingParameters) -> Tensor:
    """chi on the field's grid, radians."""
    kx2, ky2 = field.kx * field.kx, field.ky * field.ky
    k2 = kx2 + ky2
    gradient = 0.5 * optics.defocus_gradient
    double = gradient * (
        (parameters.defocus_angstrom + parameters.astigmatism_x_angstrom) * kx2
        + (parameters.defocus_angstrom - parameters.astigmatism_x_angstrom) * ky2
        + (2.0 * parameters.astigmatism_y_angstrom) * field.kx * field.ky
    )
    return double + (0.5 * optics.phase_without_defocus(k2) + parameters.phase_shift_rad)


def density_weight(field: Field, chi: Tensor) -> Tensor:
    """d^2, mean 1: the density above its median, restored between 250 and 40 A, plus a floor."""
    k = torch.sqrt(field.kx**2 + field.ky**2)
    band = 0.5 * (1.0 - torch.tanh((k - DENSITY_BELOW_PER_ANGSTROM) / (0.7 * _EDGE_PER_ANGSTROM)))
    band = band * (1.0 - torch.exp(-0.5 * (k / DENSITY_ABOVE_PER_ANGSTROM) ** 2))
    transfer = -torch.sin(chi)
    density = torch.fft.ifft2(field.spectrum * (band * transfer / (transfer * transfer + _WIENER))).real
    density = (density - density.median()).clamp_min(0.0)
    weight = density / density.mean().clamp_min(1e-30) + _FLOOR
    normalised: Tensor = weight / weight.mean()
    return normalised


def demodulate(field: Field, chi: Tensor) -> Tensor:
    """z on the picture's grid, complex64: the frequencies of the rings, whitened.

    Power that falls steeply would reach from low frequencies to higher ones through the weight's transform.
    """
    k = torch.sqrt(field.kx**2 + field.ky**2)
    edge = DENSITY_BELOW_PER_ANGSTROM + EDGE_ABOVE_DENSITY_PER_ANGSTROM
    top = field.high_per_angstrom + _BEYOND_PER_ANGSTROM
    inside = (k > edge) & (k < top)
    power = torch.view_as_real(field.spectrum).square().sum(-1)
    turning = torch.polar(torch.ones_like(chi[inside]), 2.0 * chi[inside])
    level = _smooth_level(power[inside], k[inside], turning, low=edge, high=top)
    band = 0.5 * (1.0 + torch.tanh((k[inside] - edge - _EDGE_PER_ANGSTROM) / _EDGE_PER_ANGSTROM)) / level.sqrt()
    amplitude = torch.zeros_like(k)
    amplitude[inside] = band
    field_home: Tensor = torch.fft.ifft2(field.spectrum * torch.polar(amplitude, chi))
    return field_home


def centred_cells(field: Field, optics: RingOptics, parameters: RingParameters) -> tuple[Cells, float]:
    """Cells at a first answer, and the share."""
    chi = chi_of(field, optics, parameters)
    weight = density_weight(field, chi)
    share = 1.0 / float((weight * weight).mean())
    root = weight.sqrt()
    transform = torch.fft.fft2(root * demodulate(field, chi))
    mirrored = torch.roll(transform.flip((0, 1)), (1, 1), (0, 1))
    rows, columns = transform.shape
    k2 = field.kx**2 + field.ky**2
    low = field.low_per_angstrom
    inside = (k2 > low**2) & (k2 < field.high_per_angstrom**2)
    inside[:, columns // 2 :] = False
    inside[:, 0] = False
    product = (transform * mirrored)[inside]
    base = (
        0.5 * (torch.view_as_real(transform).square().sum(-1) + torch.view_as_real(mirrored).square().sum(-1))[inside]
    )
    kx = field.kx.expand(rows, columns)[inside]
    ky = field.ky.expand(rows, columns)[inside]
    k2 = kx * kx + ky * ky
    k = torch.sqrt(k2)
    shift_x, shift_y = contrast_displacement(kx, ky, optics, parameters)
    overlap = _autocorrelation(root, shift_x / field.pixel_angstrom, shift_y / field.pixel_angstrom)
    turning = torch.polar(overlap, 2.0 * chi.expand(rows, columns)[inside])
    level = _smooth_level(base, k, turning, low=low, high=field.high_per_angstrom)
    product = product / level - turning
    sector = (torch.remainder(torch.atan2(ky, kx), math.pi) * (SECTORS / math.pi)).to(torch.int64).clamp(0, SECTORS - 1)
    width = (field.high_per_angstrom - low) / _RINGS
    ring = ((k - low) / width).to(torch.int64).clamp(0, _RINGS - 1)
    cell = ring * SECTORS + sector
    unit = optics.defocus_gradient * PARAMETER_SCALE_ANGSTROM
    columns_of = [product.real, product.imag, unit * k2, unit * (kx * kx - ky * ky), unit * 2.0 * kx * ky]
    cells = SECTORS * _RINGS
    count = torch.bincount(cell, minlength=cells).cpu().numpy().astype(np.float64)
    means = [
        torch.bincount(cell, weights=values.to(torch.float64), minlength=cells).cpu().numpy() / np.maximum(count, 1.0)
        for values in columns_of
    ]
    # The clip keeps a few reflections of crystals from deciding the spread of a ring.
    power = torch.view_as_real(product).square().sum(-1).clamp_max(100.0).to(torch.float64)
    spread = torch.bincount(ring, weights=power, minlength=_RINGS).cpu().numpy()
    per_ring = np.maximum(np.bincount(np.arange(cells) // SECTORS, count), 1.0)
    variance = np.repeat(0.5 * spread / per_ring, SECTORS) / np.maximum(count * share, 1e-9)
    used = count > 3
    gradient = np.stack([*means[2:], np.full(cells, 2.0)])
    return (
        Cells(
            (means[0] + 1j * means[1])[used],
            variance[used],
            gradient[:, used],
            (np.arange(cells) // SECTORS)[used],
            low + (np.arange(_RINGS) + 0.5) * width,
        ),
        share,
    )


def _autocorrelation(root: Tensor, shift_x_px: Tensor, shift_y_px: Tensor) -> Tensor:
    """Of the weight's root, 1 at no displacement, at displacements in pixels; taken on a grid four times coarser."""
    coarse = torch.nn.functional.avg_pool2d(root[None, None], 4)[0, 0]
    rows, columns = coarse.shape
    transform = torch.fft.rfft2(coarse, s=(2 * rows, 2 * columns))
    whole = torch.fft.irfft2(torch.view_as_real(transform).square().sum(-1), s=(2 * rows, 2 * columns))
    whole = torch.fft.fftshift(whole / whole[0, 0])
    # grid_sample takes x, y in [-1, 1] from the first to the last sample.
    x = (shift_x_px / 4.0 + columns) * (2.0 / (2 * columns - 1)) - 1.0
    y = (shift_y_px / 4.0 + rows) * (2.0 / (2 * rows - 1)) - 1.0
    grid = torch.stack([x, y], dim=-1)[None, None]
    return torch.nn.functional.grid_sample(whole[None, None], grid, align_corners=True)[0, 0, 0]


def _smooth_level(base: Tensor, k: Tensor, turning: Tensor, *, low: float, high: float) -> Tensor:
    """Power without its rings at every sample: a spline on a power law, next to cosine and sine of the leak."""
    bins = max(8, int((high - low) / _LEVEL_WIDTH_PER_ANGSTROM))
    width = (high - low) / bins
    index = ((k - low) / width).to(torch.int64).clamp(0, bins - 1)
    count = torch.bincount(index, minlength=bins).cpu().numpy().astype(np.float64)
    rows = [
        torch.bincount(index, weights=values.to(torch.float64), minlength=bins).cpu().numpy() / np.maximum(count, 1.0)
        for values in (base, turning.real, turning.imag)
    ]
    centre = low + (np.arange(bins) + 0.5) * width
    used = (count > 3) & (rows[0] > 0.0)
    if int(used.sum()) < 8:
        return base.mean().expand_as(base)
    weight = np.sqrt(count[used])
    law = np.polynomial.Polynomial.fit(np.log(centre[used]), np.log(rows[0][used]), 3, w=weight)
    trend = np.exp(law(np.log(centre)))
    splines = cubic_basis(centre, uniform_knots(low, high, _LEVEL_KNOTS_PER_ANGSTROM))
    rings = [curve * slope for curve in rows[1:] for slope in (np.ones(bins), centre / 0.1)]
    design = np.hstack([splines, np.stack(rings, axis=1)])
    target = (rows[0] / trend)[used]
    solution = np.linalg.lstsq(design[used] * weight[:, None], target * weight, rcond=1e-6)[0]
    level = trend * np.maximum(splines @ solution[: splines.shape[1]], 0.3)
    return torch.from_numpy(level).to(base)[index]


def fit_centred(
    field: Field, optics: RingOptics, first: RingParameters, *, fit_phase_shift: bool, rounds: int = 2
) -> CentredFit:
    """Ring parameters by the centred rings from a first answer within about one ring of the truth."""
    free = 4 if fit_phase_shift else 3
    parameters = first
    for _ in range(rounds):
        cells, share = centred_cells(field, optics, parameters)
        change, covariance, gain, reach = _phases(cells, parameters, free)
        parameters = ring_parameters(parameters.vector() + change)
    scale = np.array([PARAMETER_SCALE_ANGSTROM] * 3 + [1.0])[:free]
    whole = np.zeros((4, 4))
    whole[:free, :free] = covariance * np.outer(scale, scale)
    return CentredFit(parameters, whole, gain, share, reach)


def _phases(cells: Cells, first: RingParameters, free: int) -> tuple[FloatArray, FloatArray, float, float | None]:
    """Gauss-Newton in the phases, amplitudes by smoothing along rings: (change, covariance, gain, end of the rings)."""
    gradient, rings = cells.gradient[:free], len(cells.k)
    weight = 1.0 / np.maximum(cells.variance, 1e-30)
    ring_weight = np.bincount(cells.ring, weight, minlength=rings)
    distance = (cells.k[:, None] - cells.k[None, :]) / _AMPLITUDE_SMOOTHING_PER_ANGSTROM
    kernel = np.exp(-0.5 * distance * distance)
    change = np.zeros(4)
    start = first.vector()
    amplitude: FloatArray = np.zeros(rings)
    local: FloatArray = np.zeros(len(weight))
    normal = np.eye(free)
    steepest = np.abs(gradient[:3]).max()
    around = np.arctan2(gradient[2], gradient[1])
    for _ in range(_STEPS):
        turned = cells.mean * np.exp(1j * (change[:free] @ gradient))
        amplitude, local = _amplitudes(-turned.real, weight, cells.ring, around, kernel)
        where = start + change
        prior = np.zeros(free)
        prior[1:3] = astigmatism_precision(2.0 * PARAMETER_SCALE_ANGSTROM * math.hypot(where[1], where[2]))
        prior[1:3] *= PARAMETER_SCALE_ANGSTROM**2
        normal = (gradient * (local * local * weight)) @ gradient.T + np.diag(prior + 1e-9)
        pull = gradient @ (local * turned.imag * weight) - prior * where[:free]
        step = np.linalg.solve(normal, pull)
        step = step * min(1.0, _LONGEST_STEP_RAD / max(float(np.abs(step[:3]).max()) * steepest, 1e-12))
        change[:free] += step
        if float(np.abs(step).max()) < 1e-3:
            break
    # Residuals of the phases over groups of cells: what chance, as the variances have it, makes of them is 1.
    turned = cells.mean * np.exp(1j * (change[:free] @ gradient))
    amplitude, local = _amplitudes(-turned.real, weight, cells.ring, around, kernel)
    sector = np.mod(around / (2.0 * math.pi), 1.0) * _SECTOR_GROUPS
    group = cells.ring * _RING_GROUPS // rings * _SECTOR_GROUPS + sector.astype(np.int64)
    pulls = np.bincount(group, turned.imag * local * weight)
    information = np.asarray(np.bincount(group, local * local * weight), dtype=np.float64)
    seen = information > 1e-3 * information.max()
    dispersion = float(np.mean(pulls[seen] ** 2 / information[seen])) if seen.any() else 1.0
    dispersion = max(dispersion, _SMALLEST_DISPERSION)
    gain = 0.5 * float((ring_weight * amplitude**2).sum()) / dispersion
    chance = np.sqrt(dispersion * ((kernel * kernel) @ ring_weight)) / np.maximum(kernel @ ring_weight, 1e-30)
    ends = np.flatnonzero(amplitude < _SIGNIFICANT * chance)
    last = (int(ends[0]) if len(ends) else rings) - 1
    return change, np.linalg.inv(normal) * dispersion, gain, float(cells.k[last]) if last >= 0 else None


def _amplitudes(
    seen: FloatArray, weight: FloatArray, ring: NDArray[np.int64], around: FloatArray, kernel: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Amplitude of each ring, smoothed along k, and of each cell with its dependence on direction (cos, sin 2 theta).

    Drift leaves rings in some directions only. The directional terms are shrunk by what chance makes of them.
    """
    rings = len(kernel)
    harmonics = np.stack([np.ones_like(around), np.cos(around), np.sin(around)])
    sums = np.stack([np.bincount(ring, weight * seen * h, minlength=rings) for h in harmonics])
    total = kernel @ np.bincount(ring, weight, minlength=rings)
    moments = (sums @ kernel.T) / np.maximum(total, 1e-30)
    mean = np.maximum(moments[0], 0.0)
    # Over all directions cos^2 has the mean 1/2: twice the moment is the coefficient, of variance 2 / total.
    size = 2.0 * moments[1:]
    strength = (size**2).sum(0) / np.maximum(4.0 / np.maximum(total, 1e-30), 1e-30)
    size = size * np.maximum(1.0 - _DIRECTIONAL / np.maximum(strength, 1e-9), 0.0)
    cell = mean[ring] + (size[:, ring] * harmonics[1:]).sum(0)
    return mean, np.where(mean[ring] > 0.0, np.maximum(cell, 0.0), 0.0)
