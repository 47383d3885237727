"""Spectral restoration of a micrograph with its own, causally predicted signal-to-noise ratio.

F(k) = X(k) C(k) / (C(k)^2 + 1 / SSNR(k)), SSNR the posterior predictive of *this* micrograph at C^2 = 1 (its envelopes
are already in it, because the losses are part of ln SSNR), not a constant of the program (Wiener 1949; for cryo-EM see
Penczek 2010, Methods Enzymol. 482, 73). Where the specimen is tilted, each place is filtered with its own defocus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.conventions import ANGSTROM_PER_MM
from frazil.models.cpu_threads import run_blocks
from frazil.models.deconvolution.spectral_kernels import TABLE, ring_power_rows, wiener_rows
from frazil.models.deconvolution.ssnr import SsnrCurve
from frazil.models.deconvolution.working_grid import SOFT_START_ANGSTROM
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.optics.ctf import CtfParameters, constant_phase_rad, frequency_grid
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.records import CtfEstimate

_LOW_PASS_ANGSTROM = 20.0
"""Without a usable CTF the restoration is only a low-pass."""
_RINGS_PER_CYCLE = 400.0
"""Rings of 1/400 of a cycle per pixel: some thousand samples each in the smallest images."""
_ICE_BANDS_PER_ANGSTROM = ((1 / 3.98, 1 / 3.35), (1 / 2.76, 1 / 2.02))
"""Reflections of hexagonal and cubic ice: 3.90, 3.67, 3.44; 2.67, 2.25, 2.07 A (Dowell & Rinfret 1960, Nature 188,
1144)."""
_REFLECTION = 14.0
"""Times the ring's power: of a million samples of noise one is as strong."""
_GRATING = 60.0
"""Times the ring's power at other frequencies: protein crystals and bundles of fibres stay, a camera's or a display's
grating, one sample that holds a thousandth of its ring's power, goes."""
_FAINT_SSNR = 0.3
"""Above it, strong samples are the specimen's."""
_PHASE_STEP_RAD = 0.6
"""Between neighbouring planes of defocus of a tilted specimen, at the highest frequency that shows the specimen."""
_SEEN_SSNR = 0.03
_MOST_PLANES = 24
_BLOCKS = 32


class PredictiveSsnr(Protocol):
    """What a restoration takes of an attribution: the posterior predictive ln SSNR of this micrograph at CTF^2 = 1, its
    envelopes included, the shot noise 1, on bands of frequency."""

    @property
    def frequency_per_angstrom(self) -> tuple[float, ...]: ...
    @property
    def log_ssnr(self) -> tuple[float, ...]: ...
    @property
    def log_ssnr_sd(self) -> tuple[float, ...]: ...


@dataclass(frozen=True, slots=True)
class FilteredSpectrum:
    """rfft2 of what the Wiener filter gives, specimen bright.

    planes: transforms for planes of their own defocus (one where the specimen is level), offset_angstrom what each adds
    to the mean defocus. noise_power: (TABLE,) mean noise |X|^2 by |k|, points_per_cycle as in `radial_point`.
    """

    planes: list[Tensor]
    offset_angstrom: tuple[float, ...]
    height_px: int
    width_px: int
    pixel_size_angstrom: float
    attenuated: int
    """Samples of reflections and gratings that were brought to their surroundings' level."""
    noise_power: NDArray[np.float64]


def ctf_parameters(ctf: CtfEstimate, acquisition: AcquisitionParameters, offset_angstrom: float = 0.0) -> CtfParameters:
    """Of the fitted CTF, its defocus larger by an offset."""
    return CtfParameters(
        voltage_kv=acquisition.voltage_kv,
        cs_mm=acquisition.cs_mm,
        amplitude_contrast=acquisition.amplitude_contrast,
        defocus_u_angstrom=ctf.defocus_u_angstrom + offset_angstrom,
        defocus_v_angstrom=ctf.defocus_v_angstrom + offset_angstrom,
        astigmatism_angle_deg=ctf.astigmatism_angle_deg,
        phase_shift_deg=ctf.phase_shift_deg,
    )


def low_passed(image: Tensor, pixel_size_angstrom: float) -> Tensor:
    """What can be said without a CTF: inverted, without gradients, nothing finer than 20 A."""
    height, width = image.shape
    kx, ky = frequency_grid(height, width, pixel_size_angstrom, device=image.device)
    k2 = kx * kx + ky * ky
    transfer = torch.exp(-0.5 * k2 * _LOW_PASS_ANGSTROM**2) * (1 - torch.exp(-0.5 * k2 * SOFT_START_ANGSTROM**2))
    restored: Tensor = torch.fft.irfft2(torch.fft.rfft2(image - image.mean()) * -transfer, s=(height, width))
    return restored


def wiener_spectrum(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    ssnr: SsnrCurve,
    blur_covariance_a2: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> FilteredSpectrum:
    """The filter in Fourier space, reflections and gratings attenuated.

    Parameters
    ----------
    image:
        (h, w), specimen dark.
    ssnr:
        Its mean over all directions.
    blur_covariance_a2:
        xx, yy, xy of the blur that frames kept (A^2): what of it differs between directions takes SSNR along the motion
        and gives it across, exp(-(2 pi)^2 k.M.k), its mean over the ring being in `ssnr` already.
    """
    height, width = image.shape
    spectrum = torch.fft.rfft2(image - image.mean())
    k = _table_frequencies(pixel_size_angstrom)
    ln_ssnr = np.clip(ssnr.at(k), -25.0, 25.0)
    power = _ring_power(spectrum, width)
    tables = (
        np.exp(-ln_ssnr).astype(np.float32),
        (1 - np.exp(-0.5 * (k * SOFT_START_ANGSTROM) ** 2)).astype(np.float32),
        _highest_power(k, power, ln_ssnr).astype(np.float32),
        power.astype(np.float32),
    )
    ky, kx = (np.asarray(f(n, d=pixel_size_angstrom)) for f, n in ((np.fft.fftfreq, height), (np.fft.rfftfreq, width)))
    xx, yy, xy = blur_covariance_a2
    blur = (2 * math.pi) ** 2 * np.array([0.5 * (xx - yy), xy])
    offsets = _plane_offsets(ctf, acquisition, (height, width), pixel_size_angstrom, k, ln_ssnr)
    planes, attenuated = [], np.zeros(height + 1, dtype=np.int64)
    source = spectrum.cpu().numpy()
    for number, offset in enumerate(offsets):
        # The last plane may overwrite its source.
        out = source if number == len(offsets) - 1 else np.empty_like(source)
        terms = _chi_terms(ctf_parameters(ctf, acquisition, offset))
        work = partial(wiener_rows, source, out, (ky, kx), terms, (TABLE - 1) / k[-1], tables, blur, attenuated)
        run_blocks(work, height, _BLOCKS)
        planes.append(torch.from_numpy(out).to(image.device))
    contrast = _mean_square_ctf(ctf_parameters(ctf, acquisition), k)
    noise_power = power / (1 + contrast * np.exp(ln_ssnr))
    return FilteredSpectrum(
        planes, tuple(offsets), height, width, pixel_size_angstrom, int(attenuated.sum()), noise_power
    )


def _highest_power(
    k: NDArray[np.float64], power: NDArray[np.float64], ln_ssnr: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(TABLE,) |X|^2 above which a sample is no specimen: an ice reflection in ice's bands, a grating elsewhere."""
    faint = ln_ssnr < math.log(_FAINT_SSNR)
    ceiling = power * np.where(faint, _GRATING, np.inf)
    for low, high in _ICE_BANDS_PER_ANGSTROM:
        band = (k > low) & (k < high) & faint
        ceiling[band] = _REFLECTION * power[band]
    return np.asarray(ceiling)


def to_image(filtered: FilteredSpectrum, ctf: CtfEstimate) -> Tensor:
    """(h, w) restored micrograph; between two planes of defocus each place takes its share of both."""
    size = (filtered.height_px, filtered.width_px)
    if len(filtered.planes) == 1:
        level: Tensor = torch.fft.irfft2(filtered.planes[0], s=size)
        return level
    return blend([torch.fft.irfft2(plane, s=size) for plane in filtered.planes], filtered, ctf)


def blend(images: list[Tensor], filtered: FilteredSpectrum, ctf: CtfEstimate) -> Tensor:
    """One image of those of all planes. Images may be smaller than the micrograph: they show the same field."""
    if len(images) == 1:
        return images[0]
    height, width = images[0].shape
    pixel = filtered.pixel_size_angstrom * filtered.height_px / height
    device = images[0].device
    y = (torch.arange(height, device=device) - 0.5 * (height - 1)) * pixel
    x = (torch.arange(width, device=device) - 0.5 * (width - 1)) * pixel
    along_x, along_y = ctf.defocus_gradient
    rise = along_x * x[None, :] + along_y * y[:, None]
    step = filtered.offset_angstrom[1] - filtered.offset_angstrom[0]
    position = ((rise - filtered.offset_angstrom[0]) / step).clamp(0, len(images) - 1)
    result = torch.zeros_like(images[0])
    for number, image in enumerate(images):
        result += (1 - (position - number).abs()).clamp_min(0) * image
    return result


def _plane_offsets(
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    shape: tuple[int, int],
    pixel_size_angstrom: float,
    k: NDArray[np.float64],
    ln_ssnr: NDArray[np.float64],
) -> list[float]:
    """Planes so close that between two of them the CTF's phase is known where the specimen is seen."""
    along_x, along_y = ctf.defocus_gradient
    height, width = shape
    reach = 0.5 * pixel_size_angstrom * (abs(along_x) * width + abs(along_y) * height)
    seen = k[(ln_ssnr > math.log(_SEEN_SSNR)) & (k > 0)]
    highest = float(seen.max()) if seen.size else float(k[1])
    wavelength = electron_wavelength_angstrom(acquisition.voltage_kv)
    step = _PHASE_STEP_RAD / (math.pi * wavelength * highest**2)
    if reach < 0.5 * step:
        return [0.0]
    count = min(max(2, math.ceil(2 * reach / step) + 1), _MOST_PLANES)
    return [float(offset) for offset in np.linspace(-reach, reach, count)]


def _table_frequencies(pixel_size_angstrom: float) -> NDArray[np.float64]:
    """(TABLE,) 1/A from zero to the corner."""
    return np.linspace(0.0, math.sqrt(0.5) / pixel_size_angstrom, TABLE)


def _ring_power(spectrum: Tensor, width_px: int) -> NDArray[np.float64]:
    """(TABLE,) mean |X|^2 by |k|, not carried by single strong samples."""
    values = spectrum.cpu().numpy()
    height = len(values)
    ky, kx = np.fft.fftfreq(height).astype(np.float64), np.fft.rfftfreq(width_px).astype(np.float64)
    rings = math.ceil(math.sqrt(0.5) * _RINGS_PER_CYCLE) + 1
    limit: NDArray[np.float64] = np.full(rings, np.inf)
    mean = np.ones(rings)
    for _ in range(2):
        totals, counts = np.zeros((_BLOCKS, rings)), np.zeros((_BLOCKS, rings))
        work = partial(_ring_rows, values, ky, kx, limit, totals, counts)
        run_blocks(work, height, _BLOCKS)
        count = counts.sum(0)
        mean = totals.sum(0) / np.maximum(count, 1.0)
        # Power beyond 8 times the mean is e^-8 of what noise has.
        limit = 8.0 * mean
    used = count > 0
    middle = (np.arange(rings) + 0.5) / _RINGS_PER_CYCLE
    at = np.linspace(0.0, math.sqrt(0.5), TABLE)
    return np.asarray(np.interp(at, middle[used], mean[used]))


def _ring_rows(
    values: NDArray[np.complex64],
    ky: NDArray[np.float64],
    kx: NDArray[np.float64],
    limit: NDArray[np.float64],
    totals: NDArray[np.float64],
    counts: NDArray[np.float64],
    first: int,
    last: int,
) -> None:
    """Each block of rows adds to sums of its own."""
    block = -(-first * _BLOCKS // len(values))
    ring_power_rows(values, ky, kx, _RINGS_PER_CYCLE, limit, totals[block], counts[block], first, last)


def _chi_terms(parameters: CtfParameters) -> NDArray[np.float64]:
    """Factors of k^2, kx^2 - ky^2, 2 kx ky, k^4 and the constant in chi (`optics.ctf.chi_2d`)."""
    wavelength = electron_wavelength_angstrom(parameters.voltage_kv)
    half, angle = 0.5 * parameters.astigmatism_angstrom, math.radians(2.0 * parameters.astigmatism_angle_deg)
    first = math.pi * wavelength
    return np.array(
        [
            first * parameters.mean_defocus_angstrom,
            first * half * math.cos(angle),
            first * half * math.sin(angle),
            -0.5 * math.pi * parameters.cs_mm * ANGSTROM_PER_MM * wavelength**3,
            constant_phase_rad(parameters.amplitude_contrast, parameters.phase_shift_deg),
        ]
    )


def _mean_square_ctf(parameters: CtfParameters, k: NDArray[np.float64]) -> NDArray[np.float64]:
    """CTF^2 at the mean defocus."""
    terms = _chi_terms(parameters)
    k2 = k * k
    return np.asarray(np.sin(terms[4] + k2 * (terms[0] + k2 * terms[3])) ** 2)
