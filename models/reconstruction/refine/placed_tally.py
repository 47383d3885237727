"""What all placed particles of a map come to together, kept as they are put in and taken out.

Certainties are added up in whole steps of 2^-40, so that the order in which they come and go leaves no trace, and a map
that everything was taken out of holds exactly nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.models.reconstruction.orientation.placed_particles import SEEN, PlacedParticles
from frazil.models.reconstruction.orientation.view_counts import ViewCounts

_STEP = 2.0**-40


class PlacedTally:
    """Of one map; `shells` of its plane, the origin counted; `operators`: (s, 3, 3) of its point group."""

    def __init__(self, shells: int, operators: NDArray[np.float64]) -> None:
        self.particle_count = 0
        """Chosen ones."""
        self.views = ViewCounts(operators)
        self._hardly = 0
        """Of the chosen, those in whose boxes rather no particle is seen."""
        self._steps = 0
        """Sum of certainties."""
        self._own_steps = 0
        """Of those that were oriented against the map itself and not the start."""
        self._amplitude = np.zeros(shells)
        """(S,) sum of certainty times sqrt(relative SSNR)."""

    def put_in(self, placed: PlacedParticles) -> None:
        self._see(placed, 1)

    def take_out(self, placed: PlacedParticles) -> None:
        self._see(placed, -1)

    def _see(self, placed: PlacedParticles, sign: int) -> None:
        chosen = placed.is_chosen
        steps = int(np.rint(placed.counts.astype(np.float64) / _STEP).sum())
        self.particle_count += sign * int(chosen.sum())
        self._hardly += sign * int((placed.certainty[chosen] <= SEEN).sum())
        self._steps += sign * steps
        self._own_steps += sign * steps * (placed.renewal > 0)
        self._amplitude += sign * steps * _STEP * np.sqrt(placed.shell_ssnr.astype(np.float64))
        if not self._steps:
            self._amplitude[:] = 0.0
        self.views.see(placed, sign=sign)

    @property
    def mean_amplitude(self) -> NDArray[np.float64] | None:
        """(S,) sqrt of the relative SSNR over the particles, by how much they count; None: nothing counts."""
        return self._amplitude / (self._steps * _STEP) if self._steps > 0 else None

    @property
    def discarded_share(self) -> float | None:
        """Of the chosen, how many are hardly in the map; None: there are none."""
        return self._hardly / self.particle_count if self.particle_count else None

    @property
    def own_share(self) -> float:
        """By how much they count: what was oriented against the map itself and not the start."""
        return self._own_steps / self._steps if self._steps else 0.0

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs; names begin with `tally.` and `views.`."""
        counts = (self.particle_count, self._hardly, *divmod(self._steps, 1 << 60), *divmod(self._own_steps, 1 << 60))
        return {
            "tally.counts": np.array(counts, dtype=np.int64),
            "tally.amplitude": self._amplitude.copy(),
        } | self.views.state()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises KeyError when a part is missing."""
        counts = [int(count) for count in arrays["tally.counts"]]
        self.particle_count, self._hardly = counts[:2]
        self._steps, self._own_steps = (high * (1 << 60) + low for high, low in (counts[2:4], counts[4:6]))
        self._amplitude = arrays["tally.amplitude"].copy()
        self.views.restore(arrays)
