"""All stages of a movie on a device: no mix of devices, the CPU's values, and no more asked than the budgets allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.device_ledger.budgets import BUDGETS, exceeded
from benchmarks.device_ledger.ledger import Ledger
from benchmarks.device_ledger.run_movie import STAGES, Counted, processed
from frazil.models.device_arithmetic import set_device_arithmetic
from frazil.models.movie_pipeline import MovieProducts


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1])


def assert_same(device: MovieProducts, cpu: MovieProducts, *, image: float = 0.99999) -> None:
    """Values of a device against the CPU's."""
    for name in ("micrograph", "plain", "even", "odd", "restored", "restored_small"):
        assert correlation(getattr(device, name), getattr(cpu, name)) >= image, name
    for axis in ("shift_x_angstrom", "shift_y_angstrom"):
        np.testing.assert_allclose(getattr(device.shifts, axis), getattr(cpu.shifts, axis), atol=0.01)
    assert device.shifts.converged == cpu.shifts.converged
    assert device.local_motion is not None
    assert cpu.local_motion is not None
    assert device.local_motion.accepted == cpu.local_motion.accepted
    assert device.ctf.defocus_u_angstrom == pytest.approx(cpu.ctf.defocus_u_angstrom, abs=5.0)
    assert device.ctf.reliable == cpu.ctf.reliable
    assert len(device.picks.x_px) == pytest.approx(len(cpu.picks.x_px), abs=1 + 0.05 * len(cpu.picks.x_px))


def test_values_are_the_cpus(pretend: Counted, cpu_products: MovieProducts) -> None:
    assert cpu_products.local_motion is not None
    assert cpu_products.local_motion.accepted, "the movie is to take the path of local motion too"
    assert_same(pretend.products, cpu_products)


@pytest.mark.parametrize("stage", list(STAGES))
def test_budget(pretend: Counted, counts: np.ndarray, stage: str) -> None:
    used = pretend.of(stage)
    assert used.launches > 0, "nothing was done on the device"
    where = pretend.ledger.worst_lines("launch", STAGES[stage])
    assert not exceeded(stage, used, counts.nbytes), "\n".join(where)


def test_frames_go_up_once_as_bytes(pretend: Counted, counts: np.ndarray) -> None:
    used = pretend.of("motion")
    assert used.uploaded_bytes >= counts.nbytes
    assert max(used.float_uploads) < 0.5 * counts.nbytes
    assert used.downloaded_bytes < 0.5 * counts.nbytes, "no frames come back"


def test_a_stage_over_its_budget_is_told(pretend: Counted, counts: np.ndarray) -> None:
    used = pretend.of("motion")
    kept = used.launches, used.synchronisations, used.uploaded_bytes
    used.launches = BUDGETS["motion"].launches + 1
    used.synchronisations = BUDGETS["motion"].synchronisations + 1
    used.uploaded_bytes += 4 * counts.nbytes
    assert len(exceeded("motion", used, counts.nbytes)) == 3
    used.launches, used.synchronisations, used.uploaded_bytes = kept


@pytest.mark.gpu
def test_values_on_a_gpu_are_the_cpus_and_the_same_twice(counts: np.ndarray, cpu_products: MovieProducts) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda", 0)
    set_device_arithmetic(device)
    first, second = (processed(counts, device, Ledger()) for _ in range(2))
    assert_same(first, cpu_products, image=0.9999)
    for name in ("micrograph", "even", "odd"):
        assert torch.equal(getattr(first, name), getattr(second, name)), f"{name}: not the same bits twice"
    assert first.shifts == second.shifts
