"""What a movie costs the causal model, from the first to the ten-thousandth: processor time and size of its state.

    ./run bench causal_cost [--movies 10000] [--json OUT.json]

The claim: an update takes at most 20 ms of one core per movie and an attribution no more, and both, and the snapshot
that travels to workers, are as large for the last thousand movies as for the first.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgspec
import numpy as np

from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.models.causal.attribution import attribute
from frazil.models.causal.bands import BAND_COUNT, band_frequencies_per_angstrom
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import physics_prior
from frazil.models.records import ExposureFacts, MovieEvidence

UPDATE_MS, GROWTH = 20.0, 1.25
START_UTC_US, MOVIE_US = 1_790_000_000_000_000, 8_000_000


def movie(number: int, random: np.random.Generator) -> MovieEvidence:
    """One of an ordinary session: 40 frames, rings to 4.5 A, three holes per stage position."""
    steps = random.normal(0, 0.3, (2, 40)).cumsum(axis=1)
    bands = band_frequencies_per_angstrom()
    rings = 1.0 - 12.0 * bands + random.normal(0, 0.6) + random.normal(0, 0.25, BAND_COUNT)
    thickness = float(np.exp(random.normal(np.log(45), 0.4)))
    return MovieEvidence(
        shift_x_angstrom=tuple(steps[0].tolist()),
        shift_y_angstrom=tuple(steps[1].tolist()),
        shift_sd_angstrom=(0.1,) * 40,
        local_residual_angstrom=0.1,
        frame_count=40,
        dose_per_frame_e_per_a2=1.0,
        pre_exposure_e_per_a2=0.0,
        dose_per_frame_e_per_px=float(np.exp(-0.06 - thickness / 395.0 + random.normal(0, 0.01))),
        pixel_size_angstrom=1.0,
        voltage_kv=300.0,
        cs_mm=2.7,
        defocus_angstrom=float(random.uniform(8_000, 25_000)),
        relative_ice_thickness=None,
        log_ssnr=tuple(float(v) if k < 1 / 4.5 else None for v, k in zip(rings, bands, strict=True)),
        log_ssnr_sd=0.25,
        exposure=ExposureFacts(
            acquired_utc_us=START_UTC_US + number * MOVIE_US,
            exposure_time_s=4.0,
            stated_dose_per_frame_e_per_a2=1.0,
            stage_x_um=9.0 * (number // 3),
            stage_y_um=0.0,
            image_shift_x_um=float(number % 3),
            image_shift_y_um=0.0,
            energy_filter=True,
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    prior = update(physics_prior(), [movie(-1, random)])  # what is computed once
    block = max(EPOCH_MOVIES, arguments.movies // 10 // EPOCH_MOVIES * EPOCH_MOVIES)
    rows = []
    print(f"{'movies':>8} {'update ms':>10} {'attribute ms':>13} {'snapshot kB':>12}")
    for first in range(0, block * 10, block):
        made = [movie(number, random) for number in range(first, first + block)]
        before = time.process_time()
        for start in range(0, block, EPOCH_MOVIES):
            prior = update(prior, made[start : start + EPOCH_MOVIES])
        updated = time.process_time()
        for one in made[:50]:
            attribute(one, prior)
        row = {
            "movies": first + block,
            "update_ms": 1e3 * (updated - before) / block,
            "attribute_ms": 1e3 * (time.process_time() - updated) / min(block, 50),
            "snapshot_bytes": len(msgspec.json.encode(prior)),
        }
        rows.append(row)
        print(f"{row['movies']:8d} {row['update_ms']:10.1f} {row['attribute_ms']:13.1f}", end="")
        print(f" {row['snapshot_bytes'] / 1e3:12.1f}", flush=True)
    update_ms = float(np.median([row["update_ms"] for row in rows]))
    growth = float(np.mean([r["update_ms"] for r in rows[-3:]]) / np.mean([r["update_ms"] for r in rows[:3]]))
    size = rows[-1]["snapshot_bytes"] / rows[1]["snapshot_bytes"]
    holds = {
        f"update <= {UPDATE_MS:.0f} ms a movie": update_ms <= UPDATE_MS,
        "time flat": growth <= GROWTH,
        "state flat": size <= GROWTH,
    }
    for claim, true in holds.items():
        print(f"{'holds' if true else 'FAILS':6} {claim}")
    if arguments.json is not None:
        result = {"update_ms": update_ms, "growth": growth, "state_growth": size, "holds": holds, "blocks": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
