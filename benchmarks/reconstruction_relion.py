"""RELION 3.1 on the particles of a `reconstruction.py` session, from the same 30 A start: K = 1, 2 threads."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import mrcfile
import numpy as np
import torch

if TYPE_CHECKING:
    from reconstruction import Bench

_ITERATIONS = 12
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


def refined(bench: Bench) -> torch.Tensor | None:
    """RELION's map on the session's working plane; None: RELION is not on the PATH or gave up."""
    if shutil.which("relion_refine") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        n, box = bench.plane.box_px, bench.session.box_px
        _write(work / "particles.mrcs", _working_stack(bench), bench.pixel_size_angstrom)
        _write(work / "start.mrc", bench.start().numpy(), bench.pixel_size_angstrom)
        rows = [_OPTICS.format(pixel=bench.pixel_size_angstrom, box=n)]
        index = 0
        for movie in bench.movies:
            t = movie.optics
            u, v = t.defocus + t.astigmatism / 2, t.defocus - t.astigmatism / 2
            for _ in movie.stack:
                index += 1
                rows.append(f"{index:06d}@particles.mrcs {u:.1f} {v:.1f} {t.angle:.2f} 1\n")
        (work / "particles.star").write_text("".join(rows))
        command = (
            "relion_refine --i particles.star --ref start.mrc --ini_high 30 --o run --ctf "
            f"--sym {bench.session.shape.symmetry} "
            f"--particle_diameter {1.1 * bench.diameter_angstrom:.0f} --K 1 --tau2_fudge 4 --iter {_ITERATIONS} "
            "--flatten_solvent --zero_mask --norm --scale --firstiter_cc --healpix_order 2 --oversampling 1 "
            "--offset_range 5 --offset_step 2 --pad 2 --dont_combine_weights_via_disc --j 2 --random_seed 1"
        )
        done = subprocess.run(command.split(), cwd=work, capture_output=True, text=True, check=False)
        made = work / f"run_it{_ITERATIONS:03d}_class001.mrc"
        if done.returncode or not made.exists():
            print(f"RELION gave up on {bench.label} (box {box}): {done.stderr[-400:]}")
            return None
        with mrcfile.open(made) as mrc:
            return torch.from_numpy(np.array(mrc.data, dtype=np.float32))


def _working_stack(bench: Bench) -> np.ndarray:
    """All particles on the working box, by cropping their transforms (none are padded)."""
    n = bench.plane.box_px
    small = []
    for movie in bench.movies:
        box = movie.stack.shape[-1]
        spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(movie.stack, axes=(1, 2))), axes=(1, 2))
        low = box // 2 - n // 2
        part = spectrum[:, low : low + n, low : low + n]
        images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(part, axes=(1, 2))).real, axes=(1, 2)) * (n / box)
        small.append(images.astype(np.float32))
    return np.concatenate(small)


def _write(path: Path, values: np.ndarray, pixel_size_angstrom: float) -> None:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(np.ascontiguousarray(values, dtype=np.float32))
        mrc.voxel_size = pixel_size_angstrom
