"""What each stage of a movie asks of a GPU, counted on a pretend one: launches, bytes moved, synchronisations, budgets.

    ./run bench device_ledger [--json OUT.json] [--side-px 512] [--frames 12]

The claim: no stage asks for more than its budget (`budgets.py`), and the sums are those of the CPU. No time is
measured: a pretend device has none.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.device_ledger.budgets import BEFORE, BUDGETS, GOALS, exceeded
from benchmarks.device_ledger.ledger import Ledger
from benchmarks.device_ledger.movie import counted_movie
from benchmarks.device_ledger.run_movie import STAGES, on_pretend_device, processed


def main() -> int:
    """Exit status: 0 within the budgets, 1 not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side-px", type=int, default=512)
    parser.add_argument("--frames", type=int, default=12)
    chosen = parser.parse_args()
    counts = counted_movie(chosen.side_px, chosen.frames)
    pretend = on_pretend_device(counts)
    cpu = processed(counts, torch.device("cpu"), Ledger())
    one, other = (products.micrograph.numpy().ravel() for products in (pretend.products, cpu))
    correlation = float(np.corrcoef(one, other)[0, 1])
    stages, over = {}, []
    print("stage         launches  uploaded / counts  MB back  waits   budget: launches, waits")
    for stage in STAGES:
        used, budget = pretend.of(stage), BUDGETS[stage]
        over += exceeded(stage, used, counts.nbytes)
        share = used.uploaded_bytes / counts.nbytes
        print(
            f"{stage:12s} {used.launches:9d} {share:18.3f} {used.downloaded_bytes / 1e6:8.2f}"
            f" {used.synchronisations:6d}   {budget.launches}, {budget.synchronisations}"
        )
        stages[stage] = {
            "launches": used.launches,
            "uploaded_bytes": used.uploaded_bytes,
            "uploaded_over_counts": share,
            "downloaded_bytes": used.downloaded_bytes,
            "synchronisations": used.synchronisations,
            "budget": asdict(budget),
            "goal": asdict(GOALS[stage]),
            "before": asdict(BEFORE[stage]),
        }
    print(f"dose-weighted sum against the CPU's: correlation {correlation:.9f}")
    print("\n".join(over) or "all within their budgets")
    if chosen.json is not None:
        movie = {"side_px": chosen.side_px, "frames": chosen.frames, "counts_bytes": counts.nbytes}
        found = {"movie": movie, "stages": stages, "dose_weighted_correlation_with_cpu": correlation}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
