"""Movies per hour of one warm worker at 4096 x 4096 and 5760 x 4092 x 40, LZW and EER; decode, compute and write apart.

    ./run bench throughput [--movies FOLDER] [--only 4096_lzw] [--threads 2] [--device cpu] [--json OUT.json]
    ./run bench throughput --flat 500      # is the 500th movie as cheap as the first?

Files lie in the page cache. `whole` is a worker's own time for a movie, from the call to the last file written;
`decode` is one pass over the frames and nothing else; `compute` is the worker on frames that are in memory already, so
that decoding costs nothing; `floor` is what no motion correction can leave out (docs/performance.md), measured in the
same run on the same `--threads` threads as the worker and its decoders. Movies of `motion_movies.py`: LZW 1.0 e/px a
frame, EER 0.5 e/px in 12 raw frames each.
`--flat` sends so many movies of 1024 x 1024 x 24 through one worker; the claim: processor time of the last 50 within
5 % of the first 50, resident memory grown by less than 100 MB (exit 1 if not).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.motion.movies import make_scene, movie_frames, true_motion
from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.messages import MovieTask
from frazil.config.loading import load_settings
from frazil.config.settings import GainOrientation, Settings
from frazil.models.causal.prior import physics_prior
from frazil.models.cpu_threads import run_blocks
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.formats.movie import MovieReader, open_movie
from frazil.models.formats.tiff_write import write_movie_tiff
from frazil.models.gain.gate import GainDecision, GainVerdict
from frazil.models.records import MovieHeader, MovieResult
from frazil.models.simulation.eer_write import EerDescription, split_counts, write_movie_eer

FRAMES, PIXEL_SIZE_ANGSTROM, SEED = 40, 1.0, 1
RAW_FRAMES_PER_FRACTION = 12
MOTION_STAGES = ("open", "read", "align_global", "align_local", "sum", "write")
"""What the floor is compared with; the rest is CTF, restoration and picking."""
_ROWS_AT_ONCE = 64
FLAT_TIME, FLAT_MEMORY_MB, FLAT_PART = 1.05, 100.0, 50
_NO_GAIN = GainDecision(
    GainVerdict.CORRECT, "", None, None, None, GainOrientation.IDENTITY, "none", 1, None, None
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    height_px: int
    width_px: int
    file_format: str
    dose_e_per_px: float
    frames: int = FRAMES

    @property
    def name(self) -> str:
        return f"{self.width_px}_{self.file_format}"

    def movie(self, folder: Path) -> Path:
        """The file, made if it is not there yet."""
        suffix = "eer" if self.file_format == "eer" else "tiff"
        path = folder / f"t{self.width_px}x{self.height_px}x{self.frames}_{self.dose_e_per_px}.{suffix}"
        if path.exists():
            return path
        scene = make_scene((self.height_px, self.width_px), PIXEL_SIZE_ANGSTROM, SEED, "steep")
        frames = movie_frames(scene, true_motion("drifting", self.frames, SEED), self.dose_e_per_px, SEED)
        if self.file_format == "lzw":
            write_movie_tiff(path, frames, compression="lzw")
            return path
        random = np.random.default_rng(SEED)
        raw = (
            one for frame in frames for one in split_counts(frame.astype(np.uint16), RAW_FRAMES_PER_FRACTION, random)
        )
        write_movie_eer(
            path,
            raw,
            height_px=self.height_px,
            width_px=self.width_px,
            raw_frame_count=self.frames * RAW_FRAMES_PER_FRACTION,
            description=EerDescription(4.0, self.dose_e_per_px * self.frames, PIXEL_SIZE_ANGSTROM),
        )
        return path


CASES = (
    Case(4096, 4096, "lzw", 1.0),
    Case(4092, 5760, "lzw", 1.0),
    Case(4096, 4096, "eer", 0.5),
    Case(4092, 5760, "eer", 0.5),  # a K3 writes no EER: for the size alone
)


class MemoryReader:
    """A movie whose frames are decoded already; at most they are copied."""

    def __init__(self, header: MovieHeader, frames: np.ndarray) -> None:
        self.header, self._frames = header, frames

    def frames(
        self, start: int = 0, stop: int | None = None, *, into: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        for place, frame in enumerate(self._frames[start:stop]):
            if into is None:
                yield frame
            else:
                into[place] = frame
                yield into[place]

    def close(self) -> None:
        pass

    def __enter__(self) -> MemoryReader:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class MemoryWorker(FrameWorker):
    """A worker for which decoding costs nothing."""

    reader: MemoryReader

    @contextlib.contextmanager
    def _open(self, path: Path, pixel_size_angstrom: float | None) -> Iterator[MovieReader]:
        yield self.reader


def settings_for(case: Case, device: str) -> Settings:
    """A Krios's, with what these movies are."""
    return load_settings(
        preset="krios-k3",
        environ={},
        flags={
            "camera.no_gain": True,
            "camera.eer_dose_per_fraction_e_per_a2": case.dose_e_per_px / PIXEL_SIZE_ANGSTROM**2,
            "workers.device": device,
        },
    )


def task_for(case: Case, path: Path, number: int) -> MovieTask:
    """The `number`-th movie of a session; files of eight movies are kept, later ones replace them."""
    acquisition = AcquisitionParameters(
        PIXEL_SIZE_ANGSTROM, 300.0, 2.7, 0.1, case.dose_e_per_px / PIXEL_SIZE_ANGSTROM**2, 0.0, False, ()
    )
    return MovieTask(
        f"m{number}", str(path), f"m{number % 8}", 1, acquisition, _NO_GAIN, "benchmark", physics_prior()
    )  # fmt: skip


def timed(worker: FrameWorker, task: MovieTask) -> dict[str, Any]:
    """One movie: wall and processor seconds, and the wall seconds of its stages. Raises RuntimeError if it fails."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = worker.process(task)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not isinstance(result, MovieResult):
        raise RuntimeError(f"{result.reason}\n{result.traceback}")
    stages = {timing.stage: round(timing.seconds, 3) for timing in result.timings}
    return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "stages_wall_s": stages}


def decode(path: Path, case: Case, threads: int) -> tuple[dict[str, float], MovieHeader, np.ndarray]:
    """One pass over the frames on `threads` decoders."""
    with ThreadPoolExecutor(threads) as decoders:
        wall, cpu = time.perf_counter(), time.process_time()
        with open_movie(
            path,
            eer_dose_per_fraction_e_per_a2=case.dose_e_per_px / PIXEL_SIZE_ANGSTROM**2,
            pixel_size_angstrom=PIXEL_SIZE_ANGSTROM,
            executor=decoders,
        ) as reader:
            header = reader.header
            frames = np.empty((header.frame_count, header.height_px, header.width_px), dtype=header.dtype)
            for _ in reader.frames(into=frames):
                pass
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size = path.stat().st_size
    figures = {
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "frames_mb_per_cpu_s": round(frames.nbytes / 1e6 / cpu, 1),
        "file_mb": round(size / 1e6, 1),
    }
    return figures, header, frames


def transfer(frames: np.ndarray, device: str) -> dict[str, float] | None:
    """All frames to the GPU as they are stored; None on a CPU, where nothing is moved."""
    if device == "cpu":
        return None
    pinned = torch.from_numpy(frames).pin_memory()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for frame in pinned:
        frame.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return {"wall_s": round(seconds, 4), "gb_per_s": round(frames.nbytes / 1e9 / seconds, 2)}


def floor(frames: np.ndarray, decoded: dict[str, float], session: Path, threads: int) -> dict[str, Any]:
    """Bytes, operations and seconds of what has to be done at least: every frame decoded once, every pixel added to
    the two sums once, a transform there and back of each sum, both written.

    All on `threads` threads, as the decoding was and as the worker is; the sums are written one after the other.
    """
    count, height, width = frames.shape
    sums = torch.zeros((2, height, width))
    torch.set_num_threads(threads)

    def add() -> None:
        """Counts of some rows of all frames at a time, which stay in the core's cache."""
        run_blocks(
            lambda first, last: frames[:, first:last].sum(axis=0, dtype=np.uint16), height, -(-height // _ROWS_AT_ONCE)
        )

    def seconds_of(action: Callable[[], object]) -> float:
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            action()
            taken.append(time.perf_counter() - began)
        return min(taken)

    add_s = 2.0 * seconds_of(add)
    fft_s = seconds_of(lambda: torch.fft.irfft2(torch.fft.rfft2(sums), s=(height, width)))
    write_s = seconds_of(lambda: sums.numpy().tofile(session / "floor.raw"))
    pixels = height * width
    parts = {"decode": float(decoded["wall_s"]), "add": add_s, "fft": fft_s, "write": write_s}
    return {
        "threads": threads,
        "read_mb": decoded["file_mb"],
        "decoded_mb": round(frames.nbytes / 1e6, 1),
        "written_mb": round(2 * 4 * pixels / 1e6, 1),
        "add_gflop": round(2 * pixels * count / 1e9, 2),
        "fft_gflop": round(2 * 2 * 2.5 * pixels * np.log2(pixels) / 1e9, 2),
        "wall_s": round(sum(parts.values()), 3),
        "parts_wall_s": {name: round(seconds, 3) for name, seconds in parts.items()},
    }


def run_case(case: Case, folder: Path, *, threads: int, device: str, repeats: int) -> dict[str, Any]:
    """One file through a warm worker, and its parts."""
    path = case.movie(folder)
    path.read_bytes()
    with tempfile.TemporaryDirectory() as session:
        config = WorkerConfig("benchmark", session, settings_for(case, device), device, threads)
        worker = FrameWorker(config)
        runs = [timed(worker, task_for(case, path, number)) for number in range(repeats + 1)]
        whole = min(runs[1:], key=lambda run: float(run["wall_s"]))
        decoded, header, frames = decode(path, case, threads)
        memory = MemoryWorker(config)
        memory.reader = MemoryReader(header, frames)
        compute = min(
            (timed(memory, task_for(case, path, number)) for number in range(repeats)),
            key=lambda run: float(run["wall_s"]),
        )
        least = floor(frames, decoded, Path(session), threads)
    motion = sum(whole["stages_wall_s"].get(stage, 0.0) for stage in MOTION_STAGES)
    return {
        "floor": least,
        "motion_wall_s": round(motion, 3),
        "motion_over_floor": round(motion / float(least["wall_s"]), 2),
        "case": case.name,
        "frames": header.frame_count,
        "movies_per_h": round(3600.0 / whole["wall_s"], 1),
        "first": runs[0],
        "whole": whole,
        "decode": decoded,
        "transfer": transfer(frames, device),
        "compute": compute,
    }


def print_case(result: dict[str, Any]) -> None:
    """One movie's parts."""
    whole, decoded, compute = result["whole"], result["decode"], result["compute"]
    print(f"\n{result['case']} ({result['frames']} frames, {decoded['file_mb']:.0f} MB)")
    print(
        f"  whole    {whole['wall_s']:7.2f} s wall {whole['cpu_s']:7.2f} CPU-s  {result['movies_per_h']:.0f} movies/h"
    )
    print(
        f"  decode   {decoded['wall_s']:7.2f} s wall {decoded['cpu_s']:7.2f} CPU-s  once, "
        f"{decoded['frames_mb_per_cpu_s']:.0f} MB of frames per CPU-s"
    )
    moved = result["transfer"]
    print(f"  transfer {'none on a CPU' if moved is None else str(moved['wall_s']) + ' s'}")
    print(f"  compute  {compute['wall_s']:7.2f} s wall {compute['cpu_s']:7.2f} CPU-s  frames in memory")
    least = result["floor"]
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in least["parts_wall_s"].items())
    print(
        f"  floor    {least['wall_s']:7.2f} s wall  ({parts}; {least['threads']} threads); "
        f"read {least['read_mb']:.0f} MB, decoded {least['decoded_mb']:.0f} MB, written {least['written_mb']:.0f} MB, "
        f"{least['add_gflop']:.1f} GFLOP added, "
        f"{least['fft_gflop']:.1f} GFLOP transformed"
    )
    print(f"  motion   {result['motion_wall_s']:7.2f} s wall  {result['motion_over_floor']:.1f} times the floor")
    print("  stages of a movie from a file, and from memory (s wall):")
    for stage, seconds in whole["stages_wall_s"].items():
        print(f"    {stage:13s} {seconds:7.2f} {compute['stages_wall_s'].get(stage, 0.0):7.2f}")
    sys.stdout.flush()


def resident_mb() -> float:
    """Of this process, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def flat(count: int, folder: Path, *, threads: int, device: str) -> dict[str, Any]:
    """`count` small movies through one worker; the first one pays for what is loaded once."""
    case = Case(1024, 1024, "lzw", 1.5, 24)
    path = case.movie(folder)
    cpu_s, memory_mb = [], []
    with tempfile.TemporaryDirectory() as session:
        worker = FrameWorker(WorkerConfig("benchmark", session, settings_for(case, device), device, threads))
        for number in range(count):
            cpu_s.append(float(timed(worker, task_for(case, path, number))["cpu_s"]))
            memory_mb.append(resident_mb())
    part = min(FLAT_PART, max((count - 1) // 2, 1))
    early, late = slice(1, 1 + part), slice(-part, None)
    ratio = float(np.median(cpu_s[late]) / np.median(cpu_s[early]))
    grown = float(np.median(memory_mb[late]) - np.median(memory_mb[early]))
    return {
        "movies": count,
        "compared": part,
        "first_movie_cpu_s": round(cpu_s[0], 3),
        "early_cpu_s": round(float(np.median(cpu_s[early])), 3),
        "late_cpu_s": round(float(np.median(cpu_s[late])), 3),
        "cpu_ratio": round(ratio, 4),
        "early_memory_mb": round(float(np.median(memory_mb[early])), 1),
        "late_memory_mb": round(float(np.median(memory_mb[late])), 1),
        "holds": ratio <= FLAT_TIME and grown <= FLAT_MEMORY_MB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--movies", type=Path, help="keep the movies in this folder [default: a temporary one]")
    parser.add_argument("--only", help="only cases whose name has this in it: 4096, 5760, lzw, eer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each movie; the quickest counts")
    parser.add_argument("--flat", type=int, metavar="MOVIES", help="instead: so many small movies through one worker")
    args = parser.parse_args()
    figures: dict[str, Any] = {"threads": args.threads, "device": args.device, "cores": os.cpu_count()}
    with contextlib.ExitStack() as stack:
        folder = args.movies or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if args.flat:
            figures["flat"] = said = flat(args.flat, folder, threads=args.threads, device=args.device)
            print(json.dumps(said, indent=1))
        else:
            figures["movies"] = []
            for case in CASES:
                if args.only is None or args.only in case.name:
                    result = run_case(
                        case, folder, threads=args.threads, device=args.device, repeats=args.repeats
                    )  # fmt: skip
                    figures["movies"].append(result)
                    print_case(result)
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if figures.get("flat", {}).get("holds", True) else 1


if __name__ == "__main__":
    sys.exit(main())
