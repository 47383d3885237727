"""Runs RELION's own motion correction and frazil's on one movie, and measures time and memory of both alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.motion.movies import Array, lattice
from benchmarks.motion.score import grid, read_relion_motion
from benchmarks.own_process import command_of

RELION = "relion_run_motioncorr"
_RELION_STAR = """# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographOriginalPixelSize #3
_rlnVoltage #4
_rlnSphericalAberration #5
_rlnAmplitudeContrast #6
opticsGroup1 1 {pixel_size_angstrom} 300.0 2.7 0.1

data_movies

loop_
_rlnMicrographMovieName #1
_rlnOpticsGroup #2
{movie} 1
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one program needed and said of one movie. Displacements in px of the movie."""

    wall_s: float
    """Of the whole process, from its start to its end."""
    cpu_s: float
    peak_memory_mb: float
    plain_sum: Path
    """MRC, not dose-weighted."""
    motions_px: dict[str, tuple[Array, Array]]
    """(F, y, x, 2) on `motion_score.grid` and on `motion_movies.lattice`: `relion`; or `field` (with which frazil's sum
    is made) and `star` (what its motion STAR says)."""
    said: dict[str, Any]
    """What frazil printed of itself."""
    whole_px: Array | None = None
    sd_px: Array | None = None


def measured(command: list[str], log: Path, threads: int) -> tuple[float, float, float]:
    """Wall s, processor s and peak resident MB of a program and what it starts; RuntimeError with its output."""
    # As frazil's workers have it: threads that wait for work do not spin on a core that another process could use.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=log.parent)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-4000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def relion_version() -> str | None:
    """The first line of `relion_run_motioncorr --version`; None where it is not installed."""
    if shutil.which(RELION) is None:
        return None
    said = subprocess.run([RELION, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return said.splitlines()[0] if said else "version not said"


def relion_flags(dose_e_per_a2: float, pixel_size_angstrom: float, threads: int, patches: int) -> list[str]:
    """Those of RELION's own implementation with dose weighting and both sums."""
    return (
        f"--use_own --j {threads} --patch_x {patches} --patch_y {patches} --bfactor 150 --bin_factor 1 "
        f"--dose_per_frame {dose_e_per_a2} --preexposure 0 --dose_weighting --save_noDW --voltage 300 "
        f"--angpix {pixel_size_angstrom}"
    ).split()


def run_relion(
    movie: Path, work: Path, *, dose_e_per_a2: float, pixel_size_angstrom: float, threads: int, patches: int,
    shape: tuple[int, int],
) -> Run:  # fmt: skip
    """RELION reads the movie under a link in `work` (its output repeats the movie's path)."""
    work.mkdir(parents=True)
    (work / "movie.tiff").symlink_to(movie.resolve())
    (work / "movies.star").write_text(_RELION_STAR.format(pixel_size_angstrom=pixel_size_angstrom, movie="movie.tiff"))
    flags = relion_flags(dose_e_per_a2, pixel_size_angstrom, threads, patches)
    wall, cpu, peak = measured([RELION, "--i", "movies.star", "--o", "out", *flags], work / "relion.log", threads)
    motions = {"relion": _on_places(work / "out" / "movie.star", shape)}
    return Run(wall, cpu, peak, work / "out" / "movie_noDW.mrc", motions, {})


def run_frazil(
    movie: Path, work: Path, *, dose_e_per_a2: float, pixel_size_angstrom: float, threads: int, patches: int,
    shape: tuple[int, int], repeat: int = 1,
) -> Run:  # fmt: skip
    """frazil in a process of its own; `repeat` > 1 shows in `said` how long a movie takes in a warm one."""
    work.mkdir(parents=True)
    command = command_of("motion.frazil_process", movie.resolve(), work / "out")
    command += ["--dose-e-per-a2", str(dose_e_per_a2), "--pixel-size-angstrom", str(pixel_size_angstrom)]
    command += ["--threads", str(threads), "--patches", str(patches), "--repeat", str(repeat)]
    wall, cpu, peak = measured(command, work / "frazil.log", threads)
    motion = np.load(work / "out" / "motion.npz")
    motions = {
        "field": (motion["grid_px"], motion["lattice_px"]),
        "star": _on_places(work / "out" / "motion.star", shape),
    }
    said = json.loads((work / "frazil.log").read_text().splitlines()[-1])
    return Run(
        wall, cpu, peak, work / "out" / "sum_noDW.mrc", motions, said, motion["whole_px"], motion["sd_px"]
    )  # fmt: skip


def _on_places(star: Path, shape: tuple[int, int]) -> tuple[Array, Array]:
    return read_relion_motion(star, *grid()), read_relion_motion(star, *lattice(*shape))
