"""The blur that frames keep: alignment moves whole frames, not what moved while one was taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def frame_blur_covariance_a2(
    shift_x_angstrom: Sequence[float], shift_y_angstrom: Sequence[float]
) -> tuple[float, float, float]:
    """xx, yy, xy (A^2) of the displacement within frames, mean over frames; 0 for a single frame.

    A frame taken while the specimen moves by d is blurred by a line of that length: variance d^2/12 along it. d is
    taken from the steps to the frames before and after.
    """
    x, y = np.asarray(shift_x_angstrom, dtype=float), np.asarray(shift_y_angstrom, dtype=float)
    if x.size < 2:
        return 0.0, 0.0, 0.0
    dx, dy = np.gradient(x), np.gradient(y)
    return float(np.mean(dx * dx)) / 12, float(np.mean(dy * dy)) / 12, float(np.mean(dx * dy)) / 12
