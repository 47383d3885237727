"""The running map and the 2-D classes on a device: no mix of devices, and the CPU's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.device_ledger.pretend_cuda import CUDA, pretend_cuda
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes.class_averages import StreamingClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import particle_spectra
from frazil.models.reconstruction.refine.running_map import RunningMap

BOX_PX, PIXEL_ANGSTROM, DIAMETER_ANGSTROM, PARTICLES, MOVIES = 24, 8.0, 110.0, 10, 6
OPTICS = CtfParameters(300.0, 2.7, 0.07, 12_000.0, 11_800.0, 10.0)


def _volume() -> np.ndarray:
    random = np.random.default_rng(0)
    axis = np.arange(BOX_PX) - BOX_PX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    blobs = random.normal(0, 4, (12, 3))
    return sum(np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 6) for a, b, c in blobs).astype(np.float32)


def _stacks() -> list[torch.Tensor]:
    """Noisy pictures of the volume along z, of some movies."""
    random = np.random.default_rng(1)
    picture = _volume().sum(axis=0)
    picture /= picture.max()
    shape = (PARTICLES, BOX_PX, BOX_PX)
    return [torch.from_numpy((random.normal(0, 1, shape) + picture).astype(np.float32)) for _ in range(MOVIES)]


def _reconstructed(device: torch.device) -> tuple[np.ndarray, torch.Tensor, list[torch.Tensor]]:
    """Poses, the map after a round, and the class averages, all on the CPU."""
    plane = FourierPlane.of_box(BOX_PX, PIXEL_ANGSTROM)
    volume = torch.from_numpy(_volume())
    running = RunningMap(volume, plane, symmetry="C2", diameter_angstrom=DIAMETER_ANGSTROM, device=device)
    classes = StreamingClasses(plane, diameter_angstrom=DIAMETER_ANGSTROM, device=device)
    poses = []
    for number, stack in enumerate(_stacks()):
        spectra = particle_spectra(
            stack.to(device), plane, pixel_size_angstrom=PIXEL_ANGSTROM, diameter_angstrom=DIAMETER_ANGSTROM, ctf=OPTICS
        )
        found = running.add(spectra, tuple(1 + np.arange(PARTICLES) % 2), np.ones(len(plane.kx)))
        poses.append(np.asarray(found.poses))
        classes.add(str(number), spectra)
    made = running.round()
    averages = [one.image for one in classes.averages()]
    return np.stack(poses), made.full.cpu(), [torch.as_tensor(one).cpu() for one in averages]


def _assert_same(device: torch.device) -> None:
    poses, volume, averages = _reconstructed(device)
    cpu_poses, cpu_volume, cpu_averages = _reconstructed(torch.device("cpu"))
    np.testing.assert_allclose(poses, cpu_poses, atol=1e-3)
    torch.testing.assert_close(volume, cpu_volume, rtol=0, atol=1e-3 * float(cpu_volume.std()))
    assert len(averages) == len(cpu_averages) > 0
    for one, other in zip(averages, cpu_averages, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3 * float(other.std()))


def test_map_and_classes_are_the_cpus() -> None:
    with pretend_cuda():
        _assert_same(CUDA)


@pytest.mark.gpu
def test_map_and_classes_on_a_gpu_are_the_cpus() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    _assert_same(torch.device("cuda", 0))
