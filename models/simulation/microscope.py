"""Image formation on a canvas: which grids it needs, how scattering becomes contrast, how contrast moves.

Weak phase object: relative contrast c(k) = 2 sigma V(k) CTF(k) E(k), with V the projected potential, sigma the
interaction parameter and E the envelopes of partial coherence (Kirkland 2010, chapter 3; Reimer & Kohl 2008, 6.4). The
canvas is larger than the camera by a margin, so that what drifts out on one side does not come in on the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frazil.models.atomic_model.projection import spline_transform
from frazil.models.optics.ctf import CtfParameters, chi_2d, frequency_grid
from frazil.models.optics.envelopes import spatial_coherence_envelope, temporal_coherence_envelope
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.simulation.settings import OpticsSettings


def fast_even_length(minimum: int) -> int:
    """The smallest even length >= minimum with prime factors 2, 3, 5 only."""
    n = minimum + minimum % 2
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2


@dataclass(frozen=True, slots=True)
class Canvas:
    """Frequencies (rfft2 half plane) of the area that is computed; the camera sees its middle."""

    height_px: int
    width_px: int
    margin_y_px: int
    margin_x_px: int
    pixel_size_angstrom: float
    kx: Tensor  # (1, w//2+1) 1/A, float64
    ky: Tensor  # (h, 1)
    k_squared: Tensor  # (h, w//2+1) 1/A^2, float32
    deposit_window: Tensor  # (h, w//2+1) transform of the splines that atoms are laid down with

    @property
    def spectrum_shape(self) -> tuple[int, int]:
        return self.height_px, self.width_px // 2 + 1


def make_canvas(
    height_px: int, width_px: int, margin_px: int, pixel_size_angstrom: float, device: torch.device | None = None
) -> Canvas:
    """Canvas for a camera of (height, width) with at least `margin_px` on every side."""
    h, w = fast_even_length(height_px + 2 * margin_px), fast_even_length(width_px + 2 * margin_px)
    kx, ky = frequency_grid(h, w, pixel_size_angstrom, device=device, dtype=torch.float64)
    window = spline_transform(h, half=False, device=device)[:, None] * spline_transform(w, half=True, device=device)
    return Canvas(
        h, w, (h - height_px) // 2, (w - width_px) // 2, pixel_size_angstrom, kx, ky, (kx**2 + ky**2).float(), window
    )


@dataclass(frozen=True, slots=True)
class TransferFunction:
    """CTF times envelopes on a canvas for one defocus, quickly shifted to other heights."""

    sin_chi: Tensor
    cos_chi: Tensor
    phase_per_angstrom: Tensor  # pi lambda k^2
    envelope: Tensor

    def at_height(self, height_angstrom: float) -> Tensor:
        """Damped CTF for an object whose defocus is greater by `height_angstrom`."""
        if height_angstrom == 0.0:
            return -self.sin_chi * self.envelope
        delta = self.phase_per_angstrom * height_angstrom
        return -(self.sin_chi * torch.cos(delta) + self.cos_chi * torch.sin(delta)) * self.envelope

    def rms_over_slab(self, thickness_angstrom: float) -> Tensor:
        """Root mean square of the damped CTF over heights spread evenly over a slab: the rings of thick ice wash out
        where lambda k^2 t reaches 1 (McMullan et al. 2015, eq. 4; Tichelaar et al. 2020, Ultramicroscopy 216, 113023).
        """
        wash = torch.sinc(self.phase_per_angstrom * (thickness_angstrom / math.pi))
        power = 0.5 * (1.0 - (self.cos_chi**2 - self.sin_chi**2) * wash)
        return torch.sqrt(power.clamp_min(0.0)) * self.envelope


def transfer_function(canvas: Canvas, ctf: CtfParameters, optics: OpticsSettings) -> TransferFunction:
    chi = chi_2d(ctf, canvas.kx, canvas.ky)
    k = torch.sqrt(canvas.k_squared)
    wavelength = electron_wavelength_angstrom(ctf.voltage_kv)
    # The envelope takes the mean defocus: astigmatism changes it by less than a per mille.
    envelope = spatial_coherence_envelope(
        k,
        defocus_angstrom=ctf.mean_defocus_angstrom,
        voltage_kv=ctf.voltage_kv,
        cs_mm=ctf.cs_mm,
        source_half_angle_mrad=optics.source_half_angle_mrad,
    ) * temporal_coherence_envelope(k, voltage_kv=ctf.voltage_kv, focal_spread_sd_angstrom=optics.focal_spread_angstrom)
    return TransferFunction(
        torch.sin(chi).float(), torch.cos(chi).float(), (math.pi * wavelength) * canvas.k_squared, envelope
    )


def white_spectrum(canvas: Canvas, rng: np.random.Generator) -> Tensor:
    """rfft2 of real white noise of unit variance, drawn in Fourier space: (h, w//2+1) complex64."""
    h, half = canvas.spectrum_shape
    draw = rng.standard_normal((h, half, 2), dtype=np.float32)
    spectrum = torch.view_as_complex(torch.from_numpy(draw)) * math.sqrt(0.5 * h * canvas.width_px)
    # irfft2 keeps only the Hermitian part of the first and the last column, half of their power: give it back.
    spectrum[:, 0] *= math.sqrt(2.0)
    spectrum[:, -1] *= math.sqrt(2.0)
    return spectrum


def noise_amplitude(power: Tensor, pixel_size_angstrom: float) -> Tensor:
    """Factor that turns `white_spectrum` into noise of this power per area (power in unit^2 A^2)."""
    return torch.sqrt(power) / pixel_size_angstrom


def motion_factor(
    canvas: Canvas, shift_angstrom: tuple[float, float], travel_angstrom: tuple[float, float] | None
) -> Tensor:
    """Multiplies a spectrum to displace the specimen by `shift` (x, y) and to blur it along `travel`."""
    phase_x = torch.exp(-2j * math.pi * canvas.kx * shift_angstrom[0]).to(torch.complex64)
    phase_y = torch.exp(-2j * math.pi * canvas.ky * shift_angstrom[1]).to(torch.complex64)
    factor = phase_x * phase_y
    if travel_angstrom is not None and math.hypot(*travel_angstrom) > 0.05 * canvas.pixel_size_angstrom:
        path = (canvas.kx * travel_angstrom[0]).float() + (canvas.ky * travel_angstrom[1]).float()
        factor = factor * torch.sinc(path)
    return factor


def to_finer_grid(spectrum: Tensor, canvas: Canvas, oversampling: float) -> Tensor:
    """Real image of a spectrum on a grid finer by about `oversampling` (even fast lengths), values unchanged."""
    h, w = canvas.height_px, canvas.width_px
    fine_h, fine_w = fast_even_length(round(h * oversampling)), fast_even_length(round(w * oversampling))
    padded = torch.zeros(fine_h, fine_w // 2 + 1, dtype=spectrum.dtype, device=spectrum.device)
    # Nyquist itself is left out: it has no direction.
    padded[: h // 2, : w // 2] = spectrum[: h // 2, : w // 2]
    padded[-(h // 2) + 1 :, : w // 2] = spectrum[-(h // 2) + 1 :, : w // 2]
    image: Tensor = torch.fft.irfft2(padded, s=(fine_h, fine_w)) * (fine_h * fine_w / (h * w))
    return image


def warp(fine: Tensor, canvas: Canvas, displacement_px: Tensor, height_px: int, width_px: int) -> Tensor:
    """The camera's view of a fine image whose points are displaced: out(x) = image(x - d), bicubic.

    `displacement_px`: (2, height, width) x, y in camera pixels. Returns (height, width).
    """
    fine_h, fine_w = fine.shape
    x = torch.arange(width_px, dtype=torch.float32, device=fine.device)[None, :] + canvas.margin_x_px
    y = torch.arange(height_px, dtype=torch.float32, device=fine.device)[:, None] + canvas.margin_y_px
    scale_x = 2.0 * fine_w / (canvas.width_px * (fine_w - 1))
    scale_y = 2.0 * fine_h / (canvas.height_px * (fine_h - 1))
    grid = torch.empty(height_px, width_px, 2, device=fine.device)
    grid[..., 0] = (x * scale_x - 1.0) - displacement_px[0] * scale_x
    grid[..., 1] = (y * scale_y - 1.0) - displacement_px[1] * scale_y
    image = torch.nn.functional.grid_sample(
        fine[None, None], grid[None], mode="bicubic", padding_mode="border", align_corners=True
    )
    return image[0, 0]
