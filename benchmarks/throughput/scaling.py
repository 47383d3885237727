"""Movies per hour of whole sessions with 1, 2, ... N workers of one thread each, and how much of N the N-th still adds.

    ./run bench scaling [--workers 2] [--movies-per-worker 8] [--size 1024] [--json OUT.json]

Each session is a fresh `frazil watch --once` on the same movies (24 frames, TIFF-LZW, in the page cache). The rate is
taken between the moment when every worker has delivered its first movie and the last delivery, so that starting Python
and Ray does not count; the whole time with the start is told beside it. Efficiency: rate / (workers x rate of one).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.motion.movies import make_scene, movie_frames, true_motion
from benchmarks.real_data import shared_data
from frazil.models.formats.tiff_write import write_movie_tiff

FRAMES, PIXEL_SIZE_ANGSTROM, DOSE_E_PER_PX = 24, 1.0, 1.5
_DIFFERENT = 4
"""Different movies; the others are copies of them."""


def write_movies(folder: Path, size_px: int, count: int) -> None:
    """`count` movies of moving particles."""
    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f"movie_{number:04d}.tiff"
        if number >= _DIFFERENT:
            shutil.copyfile(folder / f"movie_{number % _DIFFERENT:04d}.tiff", path)
            continue
        scene = make_scene(size_px, PIXEL_SIZE_ANGSTROM, number, "steep")
        motion = true_motion("drifting", FRAMES, number)
        write_movie_tiff(path, movie_frames(scene, motion, DOSE_E_PER_PX, number), compression="lzw")


def session(raw: Path, folder: Path, workers: int) -> dict[str, Any]:
    """One session with so many workers. Raises CalledProcessError if it does not end well."""
    for path in raw.iterdir():
        path.read_bytes()
    command = shared_data.frazil(
        "watch", raw, "--session", folder, "--once", "--preset", "simulated", "--no-gain", "--workers", workers,
        "--device", "cpu", "--pixel-size-angstrom", PIXEL_SIZE_ANGSTROM,
        "--dose-per-frame-e-per-a2", DOSE_E_PER_PX / PIXEL_SIZE_ANGSTROM**2,
    )  # fmt: skip
    environment = {
        **shared_data.environment(), "FRAZIL_WORKERS__THREADS": "1", "FRAZIL_INTAKE__SIDECAR": "ignore",
    }  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall_s = time.monotonic() - began
    if done.returncode != 0:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()
    ready = sorted(
        int(row["ready_utc_us"]) / 1e6
        for row in shared_data.rows(folder, "SELECT ready_utc_us FROM movies WHERE ready_utc_us IS NOT NULL")
    )
    per_worker = shared_data.rows(
        folder, "SELECT worker, count(DISTINCT movie_id) AS movies FROM stages GROUP BY worker ORDER BY worker"
    )
    counted = len(ready) - workers
    return {
        "workers": workers,
        "movies": len(ready),
        "movies_per_h": round(3600.0 * counted / (ready[-1] - ready[workers - 1]), 1),
        "wall_s_with_start": round(wall_s, 1),
        "movies_of_each_worker": [int(row["movies"]) for row in per_worker],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="the largest number [default: cores]")
    parser.add_argument("--movies-per-worker", type=int, default=8)
    parser.add_argument("--size", type=int, default=1024, help="side of a movie in px")
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as name:
        for workers in range(1, args.workers + 1):
            raw = Path(name) / f"raw{workers}"
            write_movies(raw, args.size, workers * args.movies_per_worker)
            result = session(raw, Path(name) / f"session{workers}", workers)
            results.append(result)
            result["efficiency"] = round(result["movies_per_h"] / (workers * results[0]["movies_per_h"]), 3)
            print(
                f"{workers:3d} workers  {result['movies_per_h']:7.1f} movies/h  efficiency {result['efficiency']:.2f}  "
                f"({result['movies']} movies, {result['wall_s_with_start']:.0f} s with the start)",
                flush=True,
            )
            shutil.rmtree(raw)
    figures = {"cores": os.cpu_count(), "size_px": args.size, "frames": FRAMES, "sessions": results}
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
