"""The citation-graph network as it is before a graph has taught it anything: made by benchmarks/training."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from frazil.models.evaluation.impact.network import ImpactNetwork
from frazil.models.shipped_weights import load_into, with_state

_FILE = "impact_network.npz"


def load_network(path: Path) -> ImpactNetwork:
    """A network of arrays by the names of its parameters, ready for inference on the CPU.

    Raises
    ------
    OSError, ValueError, KeyError, RuntimeError
        The file is not there, or does not hold this network.
    """
    return load_into(ImpactNetwork(), path)


@lru_cache(maxsize=1)
def _shipped_state() -> dict[str, torch.Tensor]:
    return load_network(Path(__file__).parent / _FILE).state_dict()


def shipped_network(device: torch.device) -> ImpactNetwork:
    """A network of one's own with the shipped weights."""
    return with_state(ImpactNetwork(), _shipped_state()).to(device)
