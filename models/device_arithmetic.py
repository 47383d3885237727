"""How a GPU computes here: in full single precision, and in the same order each time as far as CUDA offers it."""

from __future__ import annotations

import os

import torch


def set_device_arithmetic(device: torch.device) -> None:
    """For this process: no TF32 (10 bits of mantissa), no choice of algorithms by timing, deterministic ones where
    there are any. Nothing where the device is no GPU. To be called before the first product of matrices on it.

    What CUDA has no deterministic form of (weighted `bincount`) warns and goes on: docs/performance.md says where.
    """
    if device.type != "cuda":
        return
    # cuBLAS asks for it (its documentation, "Results reproducibility"): with a workspace of its own it keeps its order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Deterministic mode would fill all new memory for those who read it unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
