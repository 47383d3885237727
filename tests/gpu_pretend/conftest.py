"""One movie through all stages, on the CPU and on a device: the pretend one, or `cuda:0` where a test asks for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.device_ledger.ledger import Ledger
from benchmarks.device_ledger.movie import counted_movie
from benchmarks.device_ledger.run_movie import Counted, on_pretend_device, processed
from frazil.models.movie_pipeline import MovieProducts

SIDE_PX, FRAMES = 512, 12


@pytest.fixture(scope="session")
def counts() -> np.ndarray:
    """(F, h, w) uint8"""
    return counted_movie(SIDE_PX, FRAMES)


@pytest.fixture(scope="session")
def cpu_products(counts: np.ndarray) -> MovieProducts:
    return processed(counts, torch.device("cpu"), Ledger())


@pytest.fixture(scope="session")
def pretend(counts: np.ndarray) -> Counted:
    return on_pretend_device(counts)
