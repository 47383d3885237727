"""What it is worth to say what was changed: steps in made windows, with and without an announcement.

    ./run bench announced_changes [--sessions 100] [--seed 0]

Sixty movies with a step at the twentieth, of the scatter that real channels have (counts 5 %, drift speeds by a factor
of 1.8 with long tails), judged after every fifth movie as the causal prior does.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from frazil.models.causal.change_points import (
    CHANNELS,
    WINDOW_MOVIES,
    Announcement,
    ChangePoint,
    WindowRow,
    find_change,
)
from frazil.models.causal.factors import ALL_FACTORS

MOVIES, STEP_AT, EPOCH = 60, 20, 5
STEPS: tuple[Mapping[str, float], ...] = (
    {"ln_drift_speed": 1.0},
    {"ln_drift_speed": 1.5},
    {"counts": -0.08},
    {"counts": -0.15},
    {"pattern_rms": 0.04},
)
ANNOUNCED = (Announcement("turned a knob", "unexplained", STEP_AT, 1000 * STEP_AT),)


def make_rows(random: np.random.Generator, step: Mapping[str, float]) -> list[WindowRow]:
    """A session's movies."""
    rows = []
    for index in range(MOVIES):
        values = {
            "counts": random.normal(0.0, 0.05),
            "fixed_pattern": random.normal(0.0, 0.02),
            "ring_level": 0.3 * random.standard_t(4),
            "ring_fall": 0.2 * random.standard_t(4),
            "ln_drift_speed": 0.6 * random.standard_t(3),
            "ln_stated_rate": 0.0,
            "pattern_rms": abs(random.normal(0.01, 0.004)),
        }
        if index >= STEP_AT:
            values = {name: value + step.get(name, 0.0) for name, value in values.items()}
        rows.append(
            WindowRow(
                1000 * index, tuple(values[name] for name in CHANNELS), (0.0,) * len(ALL_FACTORS), grid_square="A"
            )
        )
    return rows


def first_change(rows: Sequence[WindowRow], announced: Sequence[Announcement]) -> tuple[int, ChangePoint] | None:
    """After how many movies a change is found, and which."""
    for count in range(2 * EPOCH, MOVIES + 1, EPOCH):
        first = max(0, count - WINDOW_MOVIES)
        found = find_change(rows[first:count], first, announced)
        if found is not None:
            return count, found[0]
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    for step in ({}, *STEPS):
        sessions = [make_rows(random, step) for _ in range(args.sessions if step else 4 * args.sessions)]
        for announced in ((), ANNOUNCED):
            found = [change for rows in sessions if (change := first_change(rows, announced)) is not None]
            after = f"{np.median([count for count, _ in found]) - STEP_AT:4.0f}" if found else "   -"
            print(
                f"{step or 'nothing'!s:26} {'announced' if announced else 'not announced':13} "
                f"found in {len(found):3d} of {len(sessions)}, after {after} movies (median)"
            )


if __name__ == "__main__":
    main()
