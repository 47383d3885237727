"""The map that a running reconstruction starts from: read, resampled, turned to its axes, low-passed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.config.errors import FormatError, UsageError
from frazil.models.atomic_model.potential import read_atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.formats.mrc import MrcReader
from frazil.models.reconstruction.fourier.accumulator import shell_index
from frazil.models.reconstruction.fourier.centred_fft import centred_fft, centred_ifft_real
from frazil.models.reconstruction.orientation.symmetry_alignment import asymmetry, rotated, symmetry_frame
from frazil.models.reconstruction.resolution.fsc import spherical_mask

INITIAL_RESOLUTION_ANGSTROM = 30.0
"""What is finer than this comes from the data alone, so that the FSC beyond it owes nothing to the start."""
MODEL_SUFFIXES = (".pdb", ".cif", ".ent", ".pdb.gz", ".cif.gz", ".ent.gz")
_MODEL_B_FACTOR_A2 = 100.0
_ALIGNING_RESOLUTION_ANGSTROM = 18.0
_ALIGNED = 0.002
"""Share of the map's variance that changes under its rotations; interpolation alone costs less."""
_NOT_SYMMETRIC = 0.3


def initial_map(
    path: Path, *, box_px: int, pixel_size_angstrom: float, symmetry: str, diameter_angstrom: float
) -> Tensor:
    """(n, n, n) float32 [z, y, x] on the working grid, low-passed to 30 A, its axes where the point group has them.

    Raises
    ------
    UsageError
        If the file is not there, or the map cannot have the symmetry.
    FormatError
        If it is neither a cubic map with a pixel size nor an atomic model.
    """
    _refuse_missing(path)
    if path.name.lower().endswith(MODEL_SUFFIXES):
        volume = potential_map(
            read_atoms(path), box_px=box_px, pixel_size_angstrom=pixel_size_angstrom, b_factor_a2=_MODEL_B_FACTOR_A2
        )
    else:
        volume = _resampled(*read_map(path), box_px=box_px, pixel_size_angstrom=pixel_size_angstrom)
    radius_px = min(0.6 * diameter_angstrom / pixel_size_angstrom, 0.47 * box_px)
    volume = low_pass(volume, _ALIGNING_RESOLUTION_ANGSTROM, pixel_size_angstrom)
    volume = volume * spherical_mask(box_px, radius_px, 0.06 * box_px)
    before = asymmetry(volume, symmetry)
    if before > _ALIGNED:
        turned = rotated(volume, symmetry_frame(volume, symmetry).T)
        after = asymmetry(turned, symmetry)
        if after > _NOT_SYMMETRIC:
            raise UsageError(
                f"the initial map does not have the symmetry {symmetry}: {after:.0%} of it change under its rotations",
                path=path,
                remedy="correct particles.symmetry (C1 always works) or give another map",
            )
        volume = turned if after < 0.5 * before else volume
    return low_pass(volume, INITIAL_RESOLUTION_ANGSTROM, pixel_size_angstrom)


def low_pass(volume: Tensor, resolution_angstrom: float, pixel_size_angstrom: float) -> Tensor:
    """The cubic map without what is finer than the resolution; the edge is a raised cosine of three Fourier voxels."""
    n = volume.shape[0]
    cut = n * pixel_size_angstrom / resolution_angstrom
    gain = 0.5 + 0.5 * torch.cos(math.pi * ((shell_index(n) - cut + 1.5) / 3.0).clamp(0, 1))
    return centred_ifft_real(centred_fft(volume, 3) * gain, 3)


def check_initial_map(path: Path) -> None:
    """Raises what `initial_map` raises of the file."""
    _refuse_missing(path)
    if path.name.lower().endswith(MODEL_SUFFIXES):
        read_atoms(path)
    else:
        read_map(path)


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise UsageError("the initial map does not exist", path=path, remedy="correct particles.initial_map")


def read_map(path: Path) -> tuple[NDArray[np.float32], float]:
    with MrcReader(path) as reader:
        header = reader.header
        shape = (header.frame_count, header.height_px, header.width_px)
        if len(set(shape)) != 1:
            raise FormatError(
                f"a map is a cube, and this is {shape[2]} x {shape[1]} x {shape[0]}",
                path=path,
                remedy="pad it to a cube",
            )
        if header.pixel_size_angstrom is None:
            raise FormatError("the map's header has no pixel size", path=path, remedy="set it, e.g. with alterheader")
        volume = np.stack([np.asarray(section, dtype=np.float32) for section in reader.frames()])
    return volume, header.pixel_size_angstrom


def _resampled(volume: NDArray[np.float32], own_angstrom: float, *, box_px: int, pixel_size_angstrom: float) -> Tensor:
    """Trilinear on the working grid, the centre (voxel n // 2) staying the centre; outside of the map its rim's mean.

    Low-passed first: then linear interpolation is exact enough, and finer detail would be filtered anyhow.
    """
    n = volume.shape[0]
    source = torch.from_numpy(volume)
    rim = torch.cat([source[0].flatten(), source[-1].flatten(), source[:, 0].flatten(), source[:, -1].flatten()]).mean()
    source = low_pass(source - rim, _ALIGNING_RESOLUTION_ANGSTROM, own_angstrom)
    where = (torch.arange(box_px) - box_px // 2) * (pixel_size_angstrom / own_angstrom) + n // 2
    axis = where * (2.0 / (n - 1)) - 1.0
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    grid = torch.stack([x, y, z], dim=-1)[None].to(torch.float32)
    found: Tensor = torch.nn.functional.grid_sample(
        source[None, None].to(torch.float32), grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )[0, 0]
    return found
