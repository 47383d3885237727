"""RELION 3.1 on the particles of `reconstruction.py` and `map_session.py`: `relion_reconstruct`, and auto-refinement in
gold-standard halves."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import mrcfile
import numpy as np
import torch

from benchmarks.real_data import shared_data
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane

_OPTICS = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnVoltage #2
_rlnSphericalAberration #3
_rlnAmplitudeContrast #4
_rlnImagePixelSize #5
_rlnImageSize #6
_rlnImageDimensionality #7
1 300.0 2.7 0.1 {pixel} {box} 2

data_particles

loop_
_rlnImageName #1
_rlnDefocusU #2
_rlnDefocusV #3
_rlnDefocusAngle #4
_rlnOpticsGroup #5
"""


@dataclass(frozen=True, slots=True)
class Stack:
    """One movie's boxes, with its defocus U, V (A) and angle (deg)."""

    images: np.ndarray
    optics: tuple[float, float, float]


class Session(Protocol):
    """What RELION is given."""

    plane: FourierPlane
    pixel_size_angstrom: float
    diameter_angstrom: float
    symmetry: str

    def stacks(self) -> Iterator[Stack]: ...

    def start(self) -> torch.Tensor:
        """On the working plane, 30 A."""
        ...


def refined(session: Session) -> torch.Tensor | None:
    """RELION's auto-refined map on the session's working plane; None: RELION is not on the PATH or gave up."""
    if shutil.which("relion_refine_mpi") is None or shutil.which("mpirun") is None:
        return None
    n, pixel = session.plane.box_px, session.pixel_size_angstrom
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows, images = [_OPTICS.format(pixel=pixel, box=n)], []
        index = 0
        for stack in session.stacks():
            images.append(_on_working_box(stack.images, n))
            u, v, angle = stack.optics
            for _ in stack.images:
                index += 1
                rows.append(f"{index:06d}@particles.mrcs {u:.1f} {v:.1f} {angle:.2f} 1\n")
        _write(work / "particles.mrcs", np.concatenate(images), pixel)
        _write(work / "start.mrc", session.start().numpy(), pixel)
        (work / "particles.star").write_text("".join(rows))
        command = (
            "mpirun --allow-run-as-root --oversubscribe -n 3 relion_refine_mpi --auto_refine --split_random_halves "
            "--i particles.star --ref start.mrc --ini_high 30 --o made/run --ctf "
            f"--sym {session.symmetry} --particle_diameter {1.1 * session.diameter_angstrom:.0f} "
            "--flatten_solvent --zero_mask --norm --scale --firstiter_cc --low_resol_join_halves 40 "
            "--healpix_order 2 --auto_local_healpix_order 4 --oversampling 1 --offset_range 5 --offset_step 2 "
            "--pad 2 --dont_combine_weights_via_disc --j 1 --random_seed 1"
        )
        (work / "made").mkdir()
        done = subprocess.run(command.split(), cwd=work, capture_output=True, text=True, check=False)
        made = work / "made" / "run_class001.mrc"
        if done.returncode or not made.exists():
            print(f"relion_refine_mpi gave up: {done.stderr[-400:]}")
            return None
        return read_mrc(made)


def reconstructed(session_dir: Path, symmetry: str, box_px: int) -> torch.Tensor | None:
    """`relion_reconstruct --ctf` of what `frazil export` writes of a session, on a box of `box_px`."""
    if shutil.which("relion_reconstruct") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        export = [*shared_data.frazil("export", session_dir, "--star", work)]
        subprocess.run(export, env=shared_data.environment(), capture_output=True, check=True)
        command = f"relion_reconstruct --i particles.star --o map.mrc --ctf --sym {symmetry} --j 2"
        done = subprocess.run(command.split(), cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"relion_reconstruct gave up: {done.stderr[-400:]}")
            return None
        volume = read_mrc(work / "map.mrc")
    low = volume.shape[0] // 2 - box_px // 2
    spectrum = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume)))[(slice(low, low + box_px),) * 3]
    return torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(spectrum)).real)


def _on_working_box(images: np.ndarray, n: int) -> np.ndarray:
    """By cropping the transforms."""
    box = images.shape[-1]
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2))), axes=(1, 2))
    low = box // 2 - n // 2
    part = spectrum[:, low : low + n, low : low + n]
    small = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(part, axes=(1, 2))).real, axes=(1, 2)) * (n / box)
    return np.asarray(small, dtype=np.float32)


def read_mrc(path: Path) -> torch.Tensor:
    """A map or a stack of images."""
    with mrcfile.open(path) as mrc:
        return torch.from_numpy(np.array(mrc.data, dtype=np.float32))


def _write(path: Path, values: np.ndarray, pixel_size_angstrom: float) -> None:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(np.ascontiguousarray(values, dtype=np.float32))
        mrc.voxel_size = pixel_size_angstrom
