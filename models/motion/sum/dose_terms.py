"""Exposure weights as a few products of a number per frame and a function of frequency.

q_f(k) is smooth in f and k, so that q_f(k) = b_0(k) + sum_r a_r(f) b_r(k) holds to any wanted accuracy with a handful
of terms (Eckart & Young 1936, Psychometrika 1:211). Then sum_f q_f X_f = b_0 sum_f X_f + sum_r b_r sum_f a_r(f) X_f:
a few sums in real space and one transform for each of them replace a transform for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORST_ERROR = 5e-3
"""Of the weights of all frames at any one frequency, root of the sum of squares, relative to theirs: so much of the
noise's amplitude is not as wanted, and the square of it, 1/40,000, is the share of the SSNR that is lost."""


@dataclass(frozen=True, slots=True)
class DoseTerms:
    """The factors; see the module."""

    per_frame: NDArray[np.float32]
    """a (F, R)."""
    per_frequency: NDArray[np.float32]
    """b (R + 1, n): b_0 first."""
    worst_error: float
    """Largest over all frequencies, as `WORST_ERROR` counts it."""


def dose_terms(weights: NDArray[np.float64]) -> DoseTerms:
    """Factors of `weights` (F, n) with the fewest terms that keep every frequency within WORST_ERROR."""
    common = weights.mean(axis=0)
    rest = weights - common
    # The left singular vectors, strongest last: there are few frames and thousands of frequencies.
    _, left = np.linalg.eigh(rest @ rest.T)
    rank, curves = 0, [common]
    while rank < len(left) and relative_error(rest, weights) > WORST_ERROR:
        rank += 1
        curves.append(left[:, -rank] @ rest)
        rest = rest - np.outer(left[:, -rank], curves[-1])
    return DoseTerms(
        np.ascontiguousarray(left[:, ::-1][:, :rank], dtype=np.float32),
        np.ascontiguousarray(np.stack(curves), dtype=np.float32),
        relative_error(rest, weights),
    )


def relative_error(error: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Largest over frequencies of |error| / |weights|, lengths over frames; both (F, n)."""
    of = np.square(weights).sum(axis=0)
    return float(np.sqrt((np.square(error).sum(axis=0) / np.maximum(of, 1e-30)).max()))
