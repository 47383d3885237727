"""How long an answer takes on a grid of 50,000 holes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.where_next.simulated import simulated
from frazil.models.targets.policy import arranged, next_targets
from frazil.models.targets.records import Outcome, TargetSettings

_SHOT = 2_000
_REPEATS = 5


def decision_s() -> dict[str, Any]:
    """The least of five, in seconds of the process: the machine is shared."""
    world = simulated("normal", 1, areas=10, squares=20, patches=10)
    settings = TargetSettings()
    started = time.process_time()
    places = arranged(world.grid.targets, settings)
    arranging = time.process_time() - started
    shot = np.random.default_rng(1).choice(len(world.grid.hole_ids) // 8, _SHOT, replace=False)
    outcomes = [
        Outcome(
            world.grid.hole_ids[at],
            resolution_angstrom=float(world.grid.resolution_angstrom[at]),
            exposed_utc_us=rank * 60_000_000,
        )
        for rank, at in enumerate(shot.tolist(), 1)
    ]
    next_targets(places, outcomes, 600.0, settings)
    taken = []
    for _ in range(_REPEATS):
        started = time.process_time()
        next_targets(places, outcomes, 600.0, settings)
        taken.append(time.process_time() - started)
    return {"holes": len(world.grid.hole_ids), "outcomes": _SHOT, "decision_s": min(taken), "arranging_s": arranging}
