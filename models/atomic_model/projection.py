"""Projections of atoms, without a volume between: exact for spherical atoms at any pose and sub-pixel position.

The transform of a projection is sum_atoms f(k) exp(-2 pi i k r), so atoms of one element are laid on a grid (cubic
B-splines), transformed, and multiplied with their scattering factor; dividing by the transform of the splines undoes
their blur. A three-dimensional map is made the same way. The exit wave is taken as the projected potential
(no Ewald-sphere curvature inside one particle).

Poses are RELION's: r' = A r with A = `euler_matrix(rot, tilt, psi)`, projected along z'; the map's centre is voxel
n // 2, the projection's pixel n // 2.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.atomic_model.potential import Atoms, atom_transform


def euler_matrix(rot_deg: float, tilt_deg: float, psi_deg: float) -> NDArray[np.float64]:
    """RELION's `Euler_angles2matrix`: the inverse of the intrinsic ZYZ rotation Rz(rot) Ry(tilt) Rz(psi)."""
    ca, sa = math.cos(math.radians(rot_deg)), math.sin(math.radians(rot_deg))
    cb, sb = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
    cg, sg = math.cos(math.radians(psi_deg)), math.sin(math.radians(psi_deg))
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


def random_euler_deg(rng: np.random.Generator) -> tuple[float, float, float]:
    """Uniform over rotations: rot, psi uniform in [-180, 180), cos(tilt) uniform in [-1, 1]."""
    rot, psi = rng.uniform(-180.0, 180.0, 2)
    return float(rot), math.degrees(math.acos(rng.uniform(-1.0, 1.0))), float(psi)


def spline_weights(fraction: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cubic B-spline at the grid points -1, 0, 1, 2 from the one at or below a position; they add up to 1."""
    g = 1.0 - fraction
    inner = [(4.0 - 6.0 * d * d + 3.0 * d * d * d) / 6.0 for d in (fraction, g)]
    return g * g * g / 6.0, inner[0], inner[1], fraction * fraction * fraction / 6.0


def scatter_2d(x_px: Tensor, y_px: Tensor, height_px: int, width_px: int) -> Tensor:
    """Unit weights at sub-pixel positions shared among 4 x 4 pixels; those at or beyond the edge are dropped. (h, w).

    Divided by `spline_transform`, what is left of the grid is aliasing: 0.6 % of the amplitude at k = 0.22 / px, 3 % at
    0.3 / px, 20 % at 0.4 / px of that of a single atom (linear weights: 8, 18, 45 %).
    """
    x0, y0 = torch.floor(x_px), torch.floor(y_px)
    column, row = x0.to(torch.int64), y0.to(torch.int64)
    inside = (column >= 1) & (column < width_px - 2) & (row >= 1) & (row < height_px - 2)
    fx, fy = x_px - x0, y_px - y0
    if not bool(inside.all()):
        fx, fy, column, row = fx[inside], fy[inside], column[inside], row[inside]
    first = row * width_px + column
    grid = torch.zeros(height_px * width_px, dtype=x_px.dtype, device=x_px.device)
    weights_x = spline_weights(fx)
    for dy, wy in enumerate(spline_weights(fy), start=-1):
        for dx, wx in enumerate(weights_x, start=-1):
            grid.index_add_(0, first + (dy * width_px + dx), wy * wx)
    return grid.view(height_px, width_px)


def spline_transform(n: int, *, half: bool, device: torch.device | None = None) -> Tensor:
    """sinc(k)^4 of the cubic B-spline on an axis of n samples, in `torch.fft` order."""
    k = torch.fft.rfftfreq(n, device=device) if half else torch.fft.fftfreq(n, device=device)
    return torch.sinc(k) ** 4


def project_atoms(
    atoms: Atoms,
    pose_deg: tuple[float, float, float],
    *,
    box_px: int,
    pixel_size_angstrom: float,
    b_factor_a2: float,
    shift_px: tuple[float, float] = (0.0, 0.0),
    device: torch.device | None = None,
) -> Tensor:
    """Projected potential in V A, (box, box), of one particle centred on pixel box // 2 plus `shift_px` (x, y)."""
    rotation = torch.from_numpy(euler_matrix(*pose_deg)[:2].astype(np.float32)).to(device)
    xy = torch.from_numpy(atoms.position_angstrom).to(device) @ rotation.T / pixel_size_angstrom + box_px // 2
    kx = torch.fft.rfftfreq(box_px, d=pixel_size_angstrom, device=device)
    ky = torch.fft.fftfreq(box_px, d=pixel_size_angstrom, device=device)
    k_squared = kx[None, :] ** 2 + ky[:, None] ** 2
    window = spline_transform(box_px, half=False, device=device)[:, None] * spline_transform(
        box_px, half=True, device=device
    )
    spectrum = torch.zeros(box_px, box_px // 2 + 1, dtype=torch.complex64, device=device)
    elements = torch.from_numpy(atoms.element_index).to(device)
    for number, element in enumerate(atoms.elements):
        chosen = xy[elements == number]
        grid = scatter_2d(chosen[:, 0] + shift_px[0], chosen[:, 1] + shift_px[1], box_px, box_px)
        spectrum += torch.fft.rfft2(grid) * atom_transform(element, k_squared, b_factor_a2)
    image: Tensor = torch.fft.irfft2(spectrum / window, s=(box_px, box_px)) / pixel_size_angstrom**2
    return image


def potential_map(
    atoms: Atoms,
    *,
    box_px: int,
    pixel_size_angstrom: float,
    b_factor_a2: float,
    device: torch.device | None = None,
) -> Tensor:
    """Potential against the solvent in V, (z, y, x), centred on voxel box // 2: the map that a reconstruction seeks."""
    position = torch.from_numpy(atoms.position_angstrom).to(device) / pixel_size_angstrom + box_px // 2
    kx = torch.fft.rfftfreq(box_px, d=pixel_size_angstrom, device=device)
    k = torch.fft.fftfreq(box_px, d=pixel_size_angstrom, device=device)
    k_squared = kx[None, None, :] ** 2 + k[None, :, None] ** 2 + k[:, None, None] ** 2
    along = spline_transform(box_px, half=False, device=device)
    window = along[:, None, None] * along[None, :, None] * spline_transform(box_px, half=True, device=device)
    spectrum = torch.zeros(box_px, box_px, box_px // 2 + 1, dtype=torch.complex64, device=device)
    elements = torch.from_numpy(atoms.element_index).to(device)
    for number, element in enumerate(atoms.elements):
        chosen = position[elements == number]
        base = torch.floor(chosen)
        fraction, corner = chosen - base, base.to(torch.int64)
        inside = ((corner >= 1) & (corner < box_px - 2)).all(dim=1)
        fraction, corner = fraction[inside], corner[inside]
        wx, wy, wz = (spline_weights(fraction[:, axis]) for axis in range(3))
        first = (corner[:, 2] * box_px + corner[:, 1]) * box_px + corner[:, 0]
        grid = torch.zeros(box_px**3, device=device)
        for dz, dy, dx in itertools.product(range(4), repeat=3):
            step = ((dz - 1) * box_px + dy - 1) * box_px + dx - 1
            grid.index_add_(0, first + step, wz[dz] * wy[dy] * wx[dx])
        spectrum += torch.fft.rfftn(grid.view(box_px, box_px, box_px)) * atom_transform(element, k_squared, b_factor_a2)
    volume: Tensor = torch.fft.irfftn(spectrum / window, s=(box_px, box_px, box_px)) / pixel_size_angstrom**3
    return volume
