"""Weights of the networks that ship with frazil, as arrays by the names of their parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def load_into(network: Network, path: Path) -> Network:
    """The network with the weights of a file (float16 or float32), ready for inference on the CPU.

    Raises
    ------
    OSError, ValueError, KeyError, RuntimeError
        The file is not there, or does not hold this network.
    """
    with np.load(path, allow_pickle=False) as arrays:
        state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    return with_state(network, state)


def with_state(network: Network, state: dict[str, torch.Tensor]) -> Network:
    """The network with these weights, for inference."""
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
