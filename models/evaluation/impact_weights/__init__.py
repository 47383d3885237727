"""The citation-graph network as it is before a graph has taught it anything: made by benchmarks/training."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from frazil.models.evaluation.impact_network import ImpactNetwork

_FILE = "impact_network.npz"


def load_network(path: Path) -> ImpactNetwork:
    """A network of arrays by the names of its parameters, ready for inference on the CPU.

    Raises
    ------
    OSError, ValueError, KeyError, RuntimeError
        The file is not there, or does not hold this network.
    """
    with np.load(path, allow_pickle=False) as arrays:
        state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    network = ImpactNetwork()
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


@lru_cache(maxsize=1)
def _shipped_state() -> dict[str, torch.Tensor]:
    return load_network(Path(__file__).parent / _FILE).state_dict()


def shipped_network(device: torch.device) -> ImpactNetwork:
    """A network of one's own with the shipped weights."""
    network = ImpactNetwork()
    network.load_state_dict(_shipped_state())
    return network.eval().requires_grad_(False).to(device)
