"""The frazil half of `motion_vs_relion.py`: one movie through a worker's motion stage, in a process of its own.

    python -m benchmarks.motion.frazil_process MOVIE OUT --dose-e-per-a2 1.0 [--threads 2] [--repeat 1] [--patches 5]

Does what RELION's program does, by the functions that a worker calls: decode, defects, whole-frame and local motion,
dose-weighted and plain sums, MRC files, motion STAR. Prints JSON: seconds of every repetition; writes OUT/motion.npz
with the field on the places where it is scored.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.motion.movies import lattice
from benchmarks.motion.score import grid
from frazil.config.settings import MotionSettings, WorkerSettings
from frazil.models.formats.movie import open_movie
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.relion_motion import MovieMotion, write_motion
from frazil.models.gain.correction import BadPixels, CorrectedFrames, hot_pixels
from frazil.models.motion.align import AlignedMovie, align_movie
from frazil.models.motion.held_frames import HeldFrames

VOLTAGE_KV = 300.0


class Clock:
    """Wall and processor seconds of named stages."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self._stage, self._wall, self._cpu = "open", time.perf_counter(), time.process_time()

    def __call__(self, stage: str) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.wall_s[self._stage] = self.wall_s.get(self._stage, 0.0) + wall - self._wall
        self.cpu_s[self._stage] = self.cpu_s.get(self._stage, 0.0) + cpu - self._cpu
        self._stage, self._wall, self._cpu = stage, wall, cpu

    def rounded(self) -> dict[str, object]:
        """For JSON; closes the stage that runs."""
        self("end")
        return {
            "wall_s": round(sum(self.wall_s.values()), 3),
            "cpu_s": round(sum(self.cpu_s.values()), 3),
            "stages_wall_s": {name: round(seconds, 3) for name, seconds in self.wall_s.items()},
            "stages_cpu_s": {name: round(seconds, 3) for name, seconds in self.cpu_s.items()},
        }


def correct_one(
    movie: Path, out: Path, *, dose_e_per_a2: float, pixel_size_angstrom: float, patches: int, clock: Clock,
    decoders: ThreadPoolExecutor,
) -> AlignedMovie:  # fmt: skip
    """As `frazil.actors.frame_worker` does for a movie without gain reference."""
    settings = MotionSettings(patch_grid_x=patches, patch_grid_y=patches)
    with open_movie(movie, pixel_size_angstrom=pixel_size_angstrom, executor=decoders) as reader:
        clock("read")
        held = HeldFrames(reader, limit_bytes=WorkerSettings().movie_memory_mib << 20)
        mask = hot_pixels(held.half_sums().sum(axis=0))
        source = CorrectedFrames(held, multiplier=None, bad=BadPixels.from_mask(mask))
        aligned = align_movie(
            source,
            pixel_size_angstrom=pixel_size_angstrom,
            voltage_kv=VOLTAGE_KV,
            dose_per_frame_e_per_a2=dose_e_per_a2,
            pre_exposure_e_per_a2=0.0,
            settings=settings,
            device=torch.device("cpu"),
            on_stage=clock,
        )
        clock("write")
        write_mrc(out / "sum.mrc", aligned.dose_weighted.numpy(), aligned.pixel_size_angstrom)
        write_mrc(out / "sum_noDW.mrc", aligned.plain.numpy(), aligned.pixel_size_angstrom)
        shifts, local = aligned.shifts, aligned.local_motion
        write_motion(
            out / "motion.star",
            MovieMotion(
                movie_name=movie.name,
                width_px=reader.header.width_px,
                height_px=reader.header.height_px,
                pixel_size_angstrom=pixel_size_angstrom,
                binning=aligned.pixel_size_angstrom / pixel_size_angstrom,
                voltage_kv=VOLTAGE_KV,
                dose_per_frame_e_per_a2=dose_e_per_a2,
                pre_exposure_e_per_a2=0.0,
                shift_x_angstrom=shifts.shift_x_angstrom,
                shift_y_angstrom=shifts.shift_y_angstrom,
                local_x_angstrom=None if local is None else local.coefficients_x_angstrom,
                local_y_angstrom=None if local is None else local.coefficients_y_angstrom,
            ),
        )
    return aligned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("movie", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dose-e-per-a2", type=float, required=True)
    parser.add_argument("--pixel-size-angstrom", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patches", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="the same movie so often; all but the first are warm")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    timings = []
    with ThreadPoolExecutor(args.threads) as decoders:
        for _ in range(args.repeat):
            clock = Clock()
            aligned = correct_one(
                args.movie,
                args.out,
                dose_e_per_a2=args.dose_e_per_a2,
                pixel_size_angstrom=args.pixel_size_angstrom,
                patches=args.patches,
                clock=clock,
                decoders=decoders,
            )
            timings.append(clock.rounded())
    height, width = aligned.plain.shape
    x, y = grid()
    lattice_x, lattice_y = lattice(height, width)
    shifts = aligned.shifts
    np.savez(
        args.out / "motion.npz",
        grid_px=aligned.field.at(x - 0.5, y - 0.5) / args.pixel_size_angstrom,
        lattice_px=aligned.field.at(lattice_x - 0.5, lattice_y - 0.5) / args.pixel_size_angstrom,
        whole_px=np.stack((shifts.shift_x_angstrom, shifts.shift_y_angstrom), axis=-1) / args.pixel_size_angstrom,
        sd_px=np.asarray(shifts.sd_angstrom) / args.pixel_size_angstrom,
    )
    local = aligned.local_motion
    figures = {
        "timings": timings,
        "converged": shifts.converged,
        "local_motion_used": local is not None and local.accepted,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
