"""What summing a movie gives, whichever way it is summed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class MovieSums:
    """Sums over frames, each (h, w) float32 on the device."""

    dose_weighted: Tensor
    even: Tensor
    odd: Tensor
    """Unweighted sums of frames 0, 2, 4, ... and 1, 3, 5, ..."""

    @property
    def plain(self) -> Tensor:
        return self.even + self.odd
