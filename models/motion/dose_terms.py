"""Exposure weights as a few products of a number per frame and a function of frequency.

q_f(k) is smooth in f and k, so that q_f(k) = b_0(k) + sum_r a_r(f) b_r(k) holds to any wanted accuracy with a handful
of terms (Eckart & Young 1936, Psychometrika 1:211). Then sum_f q_f X_f = b_0 sum_f X_f + sum_r b_r sum_f a_r(f) X_f:
a few sums in real space and one transform for each of them replace a transform for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORST_ERROR = 1e-3
"""Largest error of any weight, of a largest weight of 1 or less."""


@dataclass(frozen=True, slots=True)
class DoseTerms:
    """The factors; see the module."""

    per_frame: NDArray[np.float32]
    """a (F, R)."""
    per_frequency: NDArray[np.float32]
    """b (R + 1, n): b_0 first."""
    worst_error: float
    """Largest |q_f(k) - sum| over all frames and frequencies."""


def dose_terms(weights: NDArray[np.float64]) -> DoseTerms:
    """Factors of `weights` (F, n) with the fewest terms that keep every weight within WORST_ERROR."""
    common = weights.mean(axis=0)
    rest = weights - common
    # The left singular vectors, strongest last: there are few frames and thousands of frequencies.
    _, left = np.linalg.eigh(rest @ rest.T)
    rank, curves = 0, [common]
    while rank < len(left) and np.abs(rest).max() > WORST_ERROR:
        rank += 1
        curves.append(left[:, -rank] @ rest)
        rest = rest - np.outer(left[:, -rank], curves[-1])
    return DoseTerms(
        np.ascontiguousarray(left[:, ::-1][:, :rank], dtype=np.float32),
        np.ascontiguousarray(np.stack(curves), dtype=np.float32),
        float(np.abs(rest).max()),
    )
