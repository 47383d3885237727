"""Where to shoot next: good exposures in the hours there are, beside the order of acquisition and the best route of
all.

./run bench where_next --exposures FILE --targets FILE [--budget-minutes 480] [--starts 50] [--moves first|later]
[--processes 1] [--work DIR] [--json OUT.json]

Replays a grid of which every hole was shot (`microscope` says by which clock). Start k is the hole
`random.Random(k).randrange(holes)`. `oracle` knows every answer; `scan` follows the order of acquisition; `random`;
`greedy` takes the best prediction first (`rivals`); `frazil` has the predictions and the live results,
`frazil_live_only` no predictions, `frazil_shuffled` and `frazil_inverted` predictions that lie: those of other holes;
good for bad. `frazil_degraded` and `greedy_degraded` have predictions with noise, as from a network that has not seen
these squares.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.where_next.frazil_policy import Frazil, rank_correlation
from benchmarks.where_next.grid import Array, Grid, read
from benchmarks.where_next.intervals import shares_held, signals_held
from benchmarks.where_next.microscope import LATER_MOVES, MOVES, Microscope
from benchmarks.where_next.rivals import Chance, Greedy, Scan, good_by_minute, oracle
from benchmarks.where_next.simulated import LAWS, simulated
from benchmarks.where_next.speed import decision_s
from frazil.models.targets.records import MoveMinutes

TOLD = ("oracle", "scan", "random", "greedy", "frazil", "frazil_live_only")
SHARED = Path(os.environ.get("FRAZIL_SHARED_DATA", "shared/data")) / "grid_exploration"
_DEGRADED_LN = 0.25
"""Noise on ln(prediction): its rank correlation with the truth falls from 0.79 to 0.69 on the squares of aldolase."""
_FEWER_STARTS = 20
"""Of what is shown beside the six."""
_SEEDS = range(6)


def predictions(grid: Grid, kind: str) -> Grid:
    """The grid as this policy is shown it."""
    told, chance = grid.predicted_angstrom, np.random.default_rng(1)
    if kind == "frazil_live_only":
        return grid.with_predictions(None)
    if kind == "frazil_shuffled":
        return grid.with_predictions(chance.permutation(told))
    if kind == "frazil_inverted":
        return grid.with_predictions(np.sort(told)[::-1][np.argsort(np.argsort(told, kind="stable"))])
    if kind.endswith("_degraded"):
        return grid.with_predictions(told * np.exp(chance.normal(0.0, _DEGRADED_LN, len(told))))
    return grid


def replay(
    kind: str, grid: Grid, moves: MoveMinutes, budget: float, minutes: tuple[float, ...], seed: int
) -> dict[str, Any]:
    """One run: good exposures by each of `minutes`, and how well frazil ranks what it has not shot."""
    start = random.Random(seed).randrange(len(grid.hole_ids))
    if kind == "oracle":
        return {"good": oracle(grid, start, moves, int(budget))[[int(end) for end in minutes]].tolist()}
    made: dict[str, Callable[[], Any]] = {
        "scan": partial(Scan, grid, seed), "random": partial(Chance, grid, seed), "greedy": partial(Greedy, grid, seed),
    }  # fmt: skip
    shown = predictions(grid, kind)
    policy = (
        made[kind]()
        if kind in made
        else Greedy(shown, seed)
        if kind == "greedy_degraded"
        else Frazil(shown, seed, moves)
    )
    microscope = Microscope(shown, start, moves, budget)
    while microscope.open_holes.size and microscope.shoot(policy.choose(microscope)):
        pass
    told: dict[str, Any] = {"good": good_by_minute(microscope, minutes).tolist()}
    if isinstance(policy, Frazil) and policy.kept is not None:
        told["rank_correlation"] = rank_correlation(policy.kept, shown)
    return told


def kept(
    work: Path | None, kind: str, grid: Grid, moves: MoveMinutes, budget: float, minutes: tuple[float, ...], seed: int
) -> dict[str, Any]:
    """As `replay`, from the folder where an earlier run by the same code on the same grid has left it."""
    if work is None:
        return replay(kind, grid, moves, budget, minutes, seed)
    path = work / f"{kind}-{moves.hole:g}-{budget:g}-{seed}.json"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_text(json.dumps(replay(kind, grid, moves, budget, minutes, seed)))
        path.with_suffix(".tmp").rename(path)
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def figures(grid: Grid, args: argparse.Namespace) -> dict[str, Any]:
    """All policies, by minutes, with errors over starts."""
    budget = float(args.budget_minutes)
    minutes = tuple(sorted({float(end) for end in (120, 240, 360, 480) if end <= budget} | {budget}))
    moves = MOVES if args.moves == "first" else LATER_MOVES
    beside = ("frazil_shuffled", "frazil_inverted", "greedy_degraded", "frazil_degraded")
    rows: dict[str, Any] = {}
    with ProcessPoolExecutor(args.processes) as pool:
        for kind in (*TOLD, *beside):
            starts = args.starts if kind in TOLD else min(args.starts, _FEWER_STARTS)
            runs = list(pool.map(
                kept, repeat(args.work), repeat(kind), repeat(grid), repeat(moves), repeat(budget), repeat(minutes),
                range(starts),
            ))  # fmt: skip
            good = np.array([one["good"] for one in runs])
            rows[kind] = _row(good, minutes) | {
                "starts": starts,
                "first_starts": float(good[:_FEWER_STARTS, -1].mean()),
            }
            known = [one["rank_correlation"] for one in runs if "rank_correlation" in one]
            if known:
                rows[kind]["rank_correlation_after_60"] = {"mean": float(np.mean(known)), "least": float(np.min(known))}
            print(_line(kind, rows[kind]), flush=True)
    return rows


def _row(good: Array, minutes: tuple[float, ...]) -> dict[str, Any]:
    error = good.std(axis=0, ddof=1) / np.sqrt(len(good)) if len(good) > 1 else np.zeros(len(minutes))
    return {
        "good": {f"{end:g}": float(value) for end, value in zip(minutes, good.mean(axis=0), strict=True)},
        "standard_error": {f"{end:g}": float(value) for end, value in zip(minutes, error, strict=True)},
    }


def _line(kind: str, row: dict[str, Any]) -> str:
    parts = [f"{row['good'][end]:7.1f} +- {row['standard_error'][end]:4.1f}" for end in row["good"]]
    told = row.get("rank_correlation_after_60")
    return f"{kind:18s}" + "  ".join(parts) + (f"  rank correlation {told['mean']:.2f}" if told else "")


def intervals(grid: Grid) -> dict[str, Any]:
    """Shares of 80 % intervals that hold the truth."""
    found: dict[str, Any] = {
        "share_of_a_square": _share(*shares_held(grid, _SEEDS)),
        "share_of_a_square_live_only": _share(*shares_held(grid.with_predictions(None), _SEEDS)),
    }
    for law in LAWS:
        worlds = [simulated(law, seed) for seed in _SEEDS[:4]]
        shares = [shares_held(world.grid, [seed]) for seed, world in enumerate(worlds)]
        signals = [signals_held(world, [seed]) for seed, world in enumerate(worlds)]
        found[f"simulated {law}"] = {
            "share_of_a_square": _share(*np.sum(shares, axis=0).tolist()),
            "effective_signal": _share(*np.sum(signals, axis=0).tolist()),
        }
    return found


def _share(held: int, asked: int) -> dict[str, float]:
    return {"held": held / max(asked, 1), "asked": asked}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exposures", type=Path, default=SHARED / "aldolase_exposures.csv")
    parser.add_argument("--targets", type=Path, default=SHARED / "aldolase_targets.csv")
    parser.add_argument("--budget-minutes", type=int, default=480)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--moves", choices=("first", "later"), default="first")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--work", type=Path, help="folder in which runs are kept: one that was cut off goes on")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    started = time.monotonic()
    grid = read(args.exposures, args.targets)
    rows = figures(grid, args)
    end = f"{args.budget_minutes:g}"
    told = {kind: rows[kind]["good"][end] for kind in rows}
    ratios = {kind: rows[kind]["first_starts"] / rows["oracle"]["first_starts"] for kind in told if kind not in TOLD}
    ratios |= {kind: told[kind] / told["oracle"] for kind in TOLD}
    print("of the oracle:", {kind: round(value, 3) for kind, value in ratios.items()})
    print(f"frazil_live_only by scan: {told['frazil_live_only'] / told['scan']:.2f}")
    held = intervals(grid)
    print("80 % intervals:", json.dumps(held))
    speed = decision_s()
    print(f"a decision over {speed['holes']} holes with {speed['outcomes']} outcomes: {speed['decision_s']:.3f} s")
    if args.json is not None:
        whole = {
            **told, "of_the_oracle": ratios, "by_minutes": rows, "intervals_80": held, "speed": speed,
            "live_only_by_scan": told["frazil_live_only"] / told["scan"],
            "lies_cost": {
                kind: 1.0 - rows[kind]["first_starts"] / rows["frazil_live_only"]["first_starts"]
                for kind in ("frazil_shuffled", "frazil_inverted")
            },
            "squares": len(np.unique(grid.square)), "exposures": len(grid.hole_ids), "starts": args.starts,
            "budget_minutes": args.budget_minutes, "moves": args.moves,
        }  # fmt: skip
        args.json.write_text(json.dumps(whole, indent=1) + "\n")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
