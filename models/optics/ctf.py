"""The contrast transfer function in frazil's conventions (`frazil.models.conventions`).

    CTF(k) = -sin(chi(k)),   chi = pi lambda dz k^2 - pi/2 Cs lambda^3 k^4 + phase shift + asin(amplitude contrast)
    dz(theta) = (U + V)/2 + (U - V)/2 cos(2 (theta - angle))

Underfocus positive, so that CTF(0) = -amplitude contrast: protein is dark. Source: Rohou & Grigorieff 2015,
J. Struct. Biol. 192, 216, eqs 2-5; Mindell & Grigorieff 2003, J. Struct. Biol. 142, 334.

Frequencies are in cycles per angstrom; theta is the direction of the frequency vector, from +x towards +y, where +y
is along increasing row index (as the images are indexed).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frazil.models.conventions import ANGSTROM_PER_MM
from frazil.models.optics.wavelength import electron_wavelength_angstrom


@dataclass(frozen=True, slots=True)
class CtfParameters:
    """All that the coherent CTF of one image depends on. U >= V is customary but not required here."""

    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    defocus_u_angstrom: float
    defocus_v_angstrom: float
    astigmatism_angle_deg: float = 0.0
    phase_shift_deg: float = 0.0

    @property
    def mean_defocus_angstrom(self) -> float:
        return 0.5 * (self.defocus_u_angstrom + self.defocus_v_angstrom)

    @property
    def astigmatism_angstrom(self) -> float:
        return self.defocus_u_angstrom - self.defocus_v_angstrom


def frequency_grid(
    height_px: int,
    width_px: int,
    pixel_size_angstrom: float,
    *,
    half_plane: bool = True,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """(kx, ky) in 1/A in the order of `torch.fft`: rfft2 (`half_plane`) or fft2.

    Shapes (1, w//2 + 1) or (1, w) for kx and (h, 1) for ky: they broadcast against each other.
    """
    make = torch.fft.rfftfreq if half_plane else torch.fft.fftfreq
    kx = make(width_px, d=pixel_size_angstrom, device=device, dtype=dtype)
    ky = torch.fft.fftfreq(height_px, d=pixel_size_angstrom, device=device, dtype=dtype)
    return kx[None, :], ky[:, None]


def defocus_at_angle(parameters: CtfParameters, theta_rad: Tensor) -> Tensor:
    """Defocus in A along direction theta (radians from +x towards +y); shape of `theta_rad`.

    U lies along the astigmatism angle, V across it:

    >>> optics = CtfParameters(300.0, 2.7, 0.07, 15_000.0, 14_000.0, astigmatism_angle_deg=90.0)
    >>> defocus_at_angle(optics, torch.tensor([0.0, math.pi / 2], dtype=torch.float64)).tolist()
    [14000.0, 15000.0]
    """
    angle = math.radians(parameters.astigmatism_angle_deg)
    return parameters.mean_defocus_angstrom + 0.5 * parameters.astigmatism_angstrom * torch.cos(
        2.0 * (theta_rad - angle)
    )


def constant_phase_rad(amplitude_contrast: float, phase_shift_deg: float) -> float:
    """The part of chi that does not depend on frequency."""
    if not 0.0 <= amplitude_contrast <= 1.0:
        raise ValueError(f"amplitude contrast must lie in [0, 1], not {amplitude_contrast}")
    return math.radians(phase_shift_deg) + math.asin(amplitude_contrast)


def chi(parameters: CtfParameters, k_squared: Tensor, defocus_angstrom: Tensor | float) -> Tensor:
    """Phase in radians. `k_squared` in 1/A^2; `defocus_angstrom` broadcasts against it."""
    wavelength = electron_wavelength_angstrom(parameters.voltage_kv)
    cs_angstrom = parameters.cs_mm * ANGSTROM_PER_MM
    aberration = 0.5 * math.pi * cs_angstrom * wavelength**3 * k_squared * k_squared
    constant = constant_phase_rad(parameters.amplitude_contrast, parameters.phase_shift_deg)
    return math.pi * wavelength * defocus_angstrom * k_squared - aberration + constant


def defocus_phase_rad(voltage_kv: float, k_squared: Tensor, defocus_angstrom: Tensor | float) -> Tensor:
    """The part of chi that goes with the defocus; it broadcasts against `k_squared` (1/A^2)."""
    return math.pi * electron_wavelength_angstrom(voltage_kv) * defocus_angstrom * k_squared


def chi_2d(parameters: CtfParameters, kx: Tensor, ky: Tensor) -> Tensor:
    """chi on a grid; `kx`, `ky` in 1/A, broadcast against each other.

    (U - V)/2 cos(2 (theta - angle)) k^2 is written with kx^2 - ky^2 and 2 kx ky, so no angle is computed per point.
    """
    half_astigmatism = 0.5 * parameters.astigmatism_angstrom
    double_angle = math.radians(2.0 * parameters.astigmatism_angle_deg)
    cos_part = half_astigmatism * math.cos(double_angle)
    sin_part = half_astigmatism * math.sin(double_angle)
    kx2, ky2 = kx * kx, ky * ky
    k2 = kx2 + ky2
    defocus_k2 = parameters.mean_defocus_angstrom * k2 + cos_part * (kx2 - ky2) + sin_part * (2.0 * kx * ky)
    wavelength = electron_wavelength_angstrom(parameters.voltage_kv)
    return chi(parameters, k2, 0.0) + math.pi * wavelength * defocus_k2


def ctf_1d(parameters: CtfParameters, frequency_per_angstrom: Tensor, *, theta_rad: float | None = None) -> Tensor:
    """CTF along direction `theta_rad`, or at the mean defocus when that is None; shape of the frequencies.

    It begins at minus the amplitude contrast, and underfocus lets it fall first: protein is dark.

    >>> optics = CtfParameters(300.0, 2.7, 0.07, 15_000.0, 15_000.0)
    >>> [round(value, 3) for value in ctf_1d(optics, torch.tensor([0.0, 0.01, 0.02])).tolist()]
    [-0.07, -0.162, -0.427]
    """
    if theta_rad is None:
        defocus: Tensor | float = parameters.mean_defocus_angstrom
    else:
        defocus = defocus_at_angle(parameters, torch.as_tensor(theta_rad, dtype=torch.float64))
        defocus = float(defocus)
    return -torch.sin(chi(parameters, frequency_per_angstrom * frequency_per_angstrom, defocus))


def ctf_2d(
    parameters: CtfParameters,
    height_px: int,
    width_px: int,
    pixel_size_angstrom: float,
    *,
    half_plane: bool = True,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """CTF on the grid of `torch.fft.rfft2` (h, w//2 + 1), or of `fft2` (h, w) with `half_plane=False`.

    At the lone Nyquist column or row of an even size +k and -k share one sample; the sample uses the sign that
    `torch.fft` gives it, so an astigmatic CTF is not exactly Hermitian there.
    """
    # chi reaches hundreds of radians at small pixels: float32 would cost 1e-5 of phase, so it is formed in float64.
    kx, ky = frequency_grid(
        height_px, width_px, pixel_size_angstrom, half_plane=half_plane, device=device, dtype=torch.float64
    )
    return -torch.sin(chi_2d(parameters, kx, ky)).to(dtype)
