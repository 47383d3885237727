"""What is attainable where frazil falls short: ranking by live results alone, and the oracle's signal.

./run bench where_ceiling [--starts 10] [--grids 6] [--first-seed 4021] [--json OUT.json]

`recorded`: rank correlation on the recorded grid (benchmarks/where_ceiling/recorded.py). `simulated`: shares of the
oracle's signal that frazil's plan reaches with more knowledge than anybody has (benchmarks/where_ceiling/simulated.py).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.where_ceiling.recorded import rank_correlations
from benchmarks.where_ceiling.simulated import KNOWN, signals
from benchmarks.where_closed_loop.bench import settings_of
from benchmarks.where_closed_loop.strategies import make_grid
from benchmarks.where_next.bench import SHARED
from benchmarks.where_next.grid import read

HOURS = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--grids", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=4021)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    grid = read(SHARED / "aldolase_exposures.csv", SHARED / "aldolase_targets.csv").with_predictions(None)
    recorded = rank_correlations(grid, args.starts)
    print("rank correlation:", {name: round(value, 2) for name, value in recorded.items()}, flush=True)
    rows = [signals(make_grid(settings_of(number, args.first_seed)), HOURS) for number in range(args.grids)]
    total = sum(row["oracle"] for row in rows)
    simulated = {name: sum(row[name] for row in rows) / total for name in KNOWN}
    print("of the oracle:", {name: round(value, 3) for name, value in simulated.items()})
    if args.json is not None:
        told = {"recorded": recorded, "simulated": simulated, "each": rows, "starts": args.starts, "grids": args.grids}
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
