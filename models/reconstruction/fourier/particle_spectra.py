"""Extracted particles as what the reconstruction works on: down-scaled Fourier samples, CTF and noise of one movie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.optics.ctf import CtfParameters, chi_2d, defocus_phase_rad
from frazil.models.reconstruction.fourier.coma import coma_phase_rad
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane

MAX_WORKING_BOX_PX = 128
"""A live map is for judging: 128 px show a 180 A particle to 4.7 A."""


@dataclass(frozen=True, slots=True)
class ParticleSpectra:
    """Particles of one movie on a `FourierPlane`."""

    values: Tensor
    """(n, M) complex64: transforms about the box centre, white noise of the full image has unit variance."""
    masked: Tensor
    """(n, M) the same of the particles under a soft circular mask: for searching, so that neighbours do not matter."""
    ctf: Tensor
    """(n, M) of particles that are bright, -CTF as `frazil.models.optics.ctf` has it; (1, M) or (M,): all alike."""
    whitening: Tensor
    """(M,) 1 / power of this movie's boxes, ring by ring: the weight of a frequency in a comparison."""
    optics: CtfParameters | None = None
    """Of the movie; None: not known."""

    def __post_init__(self) -> None:
        if self.ctf.dim() == 1:  # of all alike
            object.__setattr__(self, "ctf", self.ctf[None])

    def chosen(self, index: Tensor | slice) -> ParticleSpectra:
        """Some of the particles."""
        ctf = self.ctf if len(self.ctf) == 1 else self.ctf[index]
        return replace(self, values=self.values[index], masked=self.masked[index], ctf=ctf)

    def within(self, count: int) -> ParticleSpectra:
        """All particles on the first `count` samples."""
        values, masked, ctf = (part[:, :count] for part in (self.values, self.masked, self.ctf))
        return replace(self, values=values, masked=masked, ctf=ctf, whitening=self.whitening[:count])

    def without_beam_tilt(self, tilt_mrad: NDArray[np.float64], plane: FourierPlane) -> ParticleSpectra:
        """With the phase of a beam tilt (2,) taken out, where it is known what they were taken with."""
        if self.optics is None or not tilt_mrad.any():
            return self
        coma = coma_phase_rad(plane, len(self.whitening), voltage_kv=self.optics.voltage_kv, cs_mm=self.optics.cs_mm)
        angle = torch.from_numpy(-tilt_mrad @ coma).to(torch.float32)
        turn = torch.polar(torch.ones_like(angle), angle).to(self.values.device)
        return replace(self, values=self.values * turn, masked=self.masked * turn)


def working_box_px(box_px: int) -> int:
    """Box of the running reconstruction for particles of a box."""
    return min(box_px, MAX_WORKING_BOX_PX)


def particle_spectra(
    stack: Tensor,
    plane: FourierPlane,
    *,
    pixel_size_angstrom: float,
    diameter_angstrom: float,
    ctf: CtfParameters,
    defocus_offset_angstrom: Sequence[float] = (),
) -> ParticleSpectra:
    """Transform, crop and describe a movie's particles.

    Parameters
    ----------
    stack:
        (n, box, box) bright particles on a background of 0 +- 1, centre at pixel box // 2, n >= 1; box x pixel size
        must be that of the plane.
    diameter_angstrom:
        Longest extent of a particle; the mask is a quarter wider.
    defocus_offset_angstrom:
        (n,) of each particle over that of `ctf` (`defocus_plane`); empty: none.

    Raises
    ------
    ValueError
        If the boxes are smaller than the plane or of another size in angstrom, or the offsets not those of the boxes.
    """
    box = stack.shape[-1]
    if box < plane.box_px or abs(box * pixel_size_angstrom / (plane.box_px * plane.pixel_size_angstrom) - 1) > 1e-3:
        raise ValueError(
            f"boxes of {box} px x {pixel_size_angstrom:g} A do not belong to a working box of "
            f"{plane.box_px} px x {plane.pixel_size_angstrom:g} A"
        )
    if len(defocus_offset_angstrom) not in (0, len(stack)):
        raise ValueError(f"{len(defocus_offset_angstrom)} defocus values for {len(stack)} particles")
    device = stack.device
    columns = torch.from_numpy(plane.kx).to(device)
    rows = torch.from_numpy(plane.ky % box).to(device)

    def samples(images: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(torch.fft.ifftshift(images, dim=(-2, -1)))
        chosen: Tensor = spectrum[:, rows, columns] / box
        return chosen

    values = samples(stack)
    mask = _circular_mask(box, 0.625 * diameter_angstrom / pixel_size_angstrom, device)
    kx = torch.from_numpy(plane.kx).double() / (plane.box_px * plane.pixel_size_angstrom)
    ky = torch.from_numpy(plane.ky).double() / (plane.box_px * plane.pixel_size_angstrom)
    phase = chi_2d(ctf, kx, ky)[None]
    if any(defocus_offset_angstrom):
        offset = torch.tensor(defocus_offset_angstrom, dtype=torch.float64)
        phase = phase + defocus_phase_rad(ctf.voltage_kv, kx * kx + ky * ky, offset[:, None])
    transfer = torch.sin(phase).to(torch.float32).to(device)
    return ParticleSpectra(values, samples(stack * mask), transfer, _whitening(values, plane), ctf)


def _whitening(values: Tensor, plane: FourierPlane) -> Tensor:
    ring = torch.from_numpy(np.rint(plane.radius_px).astype(np.int64)).to(values.device)
    power = torch.bincount(ring, weights=values.abs().square().mean(dim=0).double())
    mean = power / torch.bincount(ring).clamp_min(1)
    return (1 / mean.clamp_min(1e-6))[ring].to(torch.float32)


def _circular_mask(box_px: int, radius_px: float, device: torch.device) -> Tensor:
    axis = torch.arange(box_px, dtype=torch.float32, device=device) - box_px // 2
    distance = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    radius = min(radius_px, 0.5 * box_px - 2)
    edge = max(0.1 * radius, 2.0)
    return 0.5 + 0.5 * torch.cos(math.pi * ((distance - radius) / edge).clamp(0, 1))


def shift_grid(reach_angstrom: float, step_angstrom: float, pixel_size_angstrom: float) -> NDArray[np.float64]:
    """(S, 2) displacements (x, y) in working pixels within a circle; zero is the first."""
    count = math.ceil(reach_angstrom / step_angstrom)
    y, x = np.mgrid[-count : count + 1, -count : count + 1]
    inside = x**2 + y**2 <= count**2
    grid = np.stack([x[inside], y[inside]], axis=1) * (step_angstrom / pixel_size_angstrom)
    return np.asarray(grid[np.argsort((grid**2).sum(axis=1), kind="stable")])
