"""Motion correction beside RELION's own, same movies, same machine, same run: error, FRC, time, memory.

    ./run bench motion_vs_relion [--quick] [--movies FOLDER] [--json OUT.json]

Claims, each with a line that says whether it holds (exit 1 if one does not): on a 4096 x 4096 x 40 TIFF-LZW movie with
2 threads, 5 x 5 patches and dose weighting a frazil worker that runs (as in a session) takes at most 1/3 of RELION's
wall time (that of a process of its own is printed beside it) and half of its memory; at 2048 x 2048 x 40 its error is
at most 0.7 of RELION's at 1.0 and at 0.3 e/px/frame, and above RELION's at none of four doses, for movies that stand
still, drift or settle, in whole and in local motion; the aligned sum keeps the rings of a motion-free movie
within 0.01. Movies: `motion_movies.py`. RELION 3.1.3: `apt-get install relion`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from benchmarks.motion import programs as motion_programs
from benchmarks.motion.movies import KINDS, SPECTRA, TrueMotion, lattice, make_scene, movie_frames, true_motion
from benchmarks.motion.programs import Run
from benchmarks.motion.score import QUOTED_RINGS_PER_PX, RingComparison, grid, motion_errors, whole_frame_chi_square
from frazil.models.formats.tiff_write import write_movie_tiff

FRAMES, PIXEL_SIZE_ANGSTROM, PATCHES = 40, 1.0, 5
DOSES_E_PER_PX = (0.3, 0.6, 1.0, 1.5)
SEEDS = {"drifting": 1, "settling": 2, "still": 3}
MAX_ERROR_RATIO = 0.7
MAX_FRC_SHORTFALL = 0.01
_IDEAL_REALISATIONS = 4
_SLACK = 1.005
"""Of "never above": errors are compared to half a per cent."""


@dataclass(frozen=True, slots=True)
class Case:
    size_px: int
    kind: str
    dose_e_per_px: float
    seed: int
    spectrum: str

    @property
    def name(self) -> str:
        return f"{self.size_px}_{self.kind}_{self.dose_e_per_px}_{self.seed}"

    def scene(self) -> NDArray[Any]:
        return make_scene(self.size_px, PIXEL_SIZE_ANGSTROM, self.seed, self.spectrum)

    def motion(self) -> TrueMotion:
        return true_motion(self.kind, FRAMES, self.seed)

    def movie(self, folder: Path) -> Path:
        """The TIFF file, made if it is not there yet."""
        path = folder / f"m{self.name}_{self.spectrum}.tiff"
        if not path.exists():
            frames = movie_frames(self.scene(), self.motion(), self.dose_e_per_px, self.seed)
            write_movie_tiff(path, frames, compression="lzw")
        return path


def cases(seed: int, spectrum: str, quick: bool) -> list[Case]:
    """The error cases, and last the large one whose time and memory count (not in the quick run)."""
    if quick:
        return [Case(2048, "drifting", dose, SEEDS["drifting"] + seed, spectrum) for dose in (1.0, 0.3)]
    small = [Case(2048, kind, dose, SEEDS[kind] + seed, spectrum) for dose in DOSES_E_PER_PX for kind in KINDS]
    return [*small, Case(4096, "drifting", 1.0, SEEDS["drifting"] + seed, spectrum)]


# --- one movie -----------------------------------------------------------------------------------------------------


def score(case: Case, runs: dict[str, Run]) -> dict[str, Any]:
    """Errors of every motion and rings of every sum of one movie."""
    motion, scene = case.motion(), case.scene()
    truth, truth_lattice = motion.at(*grid()), motion.at(*lattice(*scene.shape))
    errors = {"none": motion_errors(np.zeros_like(truth), truth)}
    comparison = RingComparison(scene)
    rings = {}
    chi_square = mean_sd = None
    for program, run in runs.items():
        for name, (on_grid, _) in run.motions_px.items():
            errors[program if name == program else f"{program} {name}"] = motion_errors(on_grid, truth)
        applied = next(iter(run.motions_px.values()))[1]  # frazil's sum is made with its field, not with the STAR
        with mrcfile.open(run.plain_sum) as mrc:
            image = np.asarray(mrc.data, dtype=np.float32)
        rings[program] = comparison.frc(image, (truth_lattice - applied).mean(axis=0))
        if run.whole_px is not None and run.sd_px is not None:
            chi_square = round(whole_frame_chi_square(run.whole_px, run.sd_px, truth.mean(axis=(1, 2))), 3)
            mean_sd = round(float(np.sqrt(2.0 * (run.sd_px**2).mean())), 4)
    random = np.random.default_rng([case.seed, 2])
    expected = np.clip(case.dose_e_per_px * FRAMES * (1.0 + scene.astype(np.float64)), 0.0, None)
    ideal = np.mean(
        [comparison.frc(random.poisson(expected).astype(np.float32)) for _ in range(_IDEAL_REALISATIONS)], axis=0
    )
    shortfall = {program: ideal - frc for program, frc in rings.items()}
    worst = {program: int(np.argmax(values)) for program, values in shortfall.items()}
    return {
        "error_px": {name: {part: round(value, 4) for part, value in e.items()} for name, e in errors.items()},
        "stated_sd_px": mean_sd,
        "whole_frame_chi_square": chi_square,
        "frc_frequency_per_px": comparison.frequency_per_px,
        "frc": {name: np.round(values, 4).tolist() for name, values in {"motion-free": ideal, **rings}.items()},
        "frc_largest_shortfall": {
            program: {
                "value": round(float(values[worst[program]]), 4),
                "at_per_px": comparison.frequency_per_px[worst[program]],
                # Of two FRC of independent noise, the motion-free one being a mean of several.
                "sd": round(
                    float(
                        (1 - ideal[worst[program]] ** 2)
                        * np.sqrt((1 + 1 / _IDEAL_REALISATIONS) / (2 * comparison.coefficients[worst[program]]))
                    ),
                    4,
                ),
            }
            for program, values in shortfall.items()
        },
    }


def run_case(case: Case, folder: Path, *, threads: int, repeats: int, with_relion: bool) -> dict[str, Any]:
    """Both programs in turn, as often as asked for; the quickest run of each counts."""
    movie = case.movie(folder)
    movie.read_bytes()  # both read it from the page cache
    flags: dict[str, Any] = {
        "dose_e_per_a2": case.dose_e_per_px / PIXEL_SIZE_ANGSTROM**2,
        "pixel_size_angstrom": PIXEL_SIZE_ANGSTROM,
        "threads": threads,
        "patches": PATCHES,
        "shape": (case.size_px, case.size_px),
    }
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        tried: dict[str, list[Run]] = {}
        for turn in range(repeats):
            if with_relion:
                tried.setdefault("relion", []).append(
                    motion_programs.run_relion(movie, work / f"relion{turn}", **flags)
                )
            tried.setdefault("frazil", []).append(motion_programs.run_frazil(movie, work / f"frazil{turn}", **flags))
        runs = {program: min(several, key=lambda run: run.wall_s) for program, several in tried.items()}
        warm = []
        if case.size_px >= 4096:
            warm = motion_programs.run_frazil(movie, work / "warm", repeat=1 + repeats, **flags).said["timings"][1:]
        result = {"case": case.name, "movie_bytes": movie.stat().st_size, **score(case, runs)}
    result["programs"] = {
        program: {
            "wall_s": round(run.wall_s, 2),
            "cpu_s": round(run.cpu_s, 2),
            "peak_memory_mb": round(run.peak_memory_mb),
            **run.said,
        }
        for program, run in runs.items()
    }
    if warm:
        result["warm"] = min(warm, key=lambda timing: float(timing["wall_s"]))
    return result


# --- what is said of all -------------------------------------------------------------------------------------------


def verdicts(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every claim that these results can test."""
    out: list[dict[str, Any]] = []

    def claim(text: str, figure: str, holds: bool) -> None:
        out.append({"claim": text, "figure": figure, "holds": holds})

    small = [r for r in results if r["case"].startswith("2048") and "relion" in r["error_px"]]
    for dose in (1.0, 0.3):
        ratios = {r["case"].split("_")[1]: _ratio(r, "frazil field") for r in small if _dose(r) == dose}
        if ratios:
            said = ", ".join(f"{kind} {value:.2f}" for kind, value in ratios.items())
            claim(
                f"error <= {MAX_ERROR_RATIO} of RELION's at {dose} e/px", said, max(ratios.values()) <= MAX_ERROR_RATIO
            )
    for name in ("frazil field", "frazil star"):
        above = {
            f"{r['case']} {part}": _ratio(r, name, part)
            for r in results
            if "relion" in r["error_px"]
            for part in ("total", "whole", "local")
        }
        if above:
            worst = max(above, key=lambda key: above[key])
            claim(
                f"error of {name} never above RELION's", f"at most {above[worst]:.2f} ({worst})", above[worst] <= _SLACK
            )
    for r in results:
        if r["case"].startswith("4096"):
            worst_ring = r["frc_largest_shortfall"]["frazil"]
            said = f"{worst_ring['value']:.4f} +- {worst_ring['sd']:.4f} at {worst_ring['at_per_px']} per px"
            claim(f"FRC within {MAX_FRC_SHORTFALL} of a motion-free movie's in every ring", said,
                  worst_ring["value"] <= MAX_FRC_SHORTFALL)  # fmt: skip
            if "relion" in r["programs"]:
                relion, frazil = r["programs"]["relion"], r["programs"]["frazil"]
                wall, memory = frazil["wall_s"] / relion["wall_s"], frazil["peak_memory_mb"] / relion["peak_memory_mb"]
                warm = r["warm"]["wall_s"] / relion["wall_s"]
                said = f"{warm:.3f} in a running worker; {wall:.3f} with the start of Python and all imports"
                claim("wall time of a movie <= 1/3 of RELION's", said, warm <= 1 / 3)
                claim("peak memory <= 1/2 of RELION's", f"{memory:.3f}", memory <= 1 / 2)
    return out


def _ratio(result: dict[str, Any], name: str, part: str = "total") -> float:
    return float(result["error_px"][name][part] / result["error_px"]["relion"][part])


def _dose(result: dict[str, Any]) -> float:
    return float(result["case"].split("_")[2])


def print_case(result: dict[str, Any]) -> None:
    """A few lines a movie: errors, rings, time."""
    print(f"\n{result['case']}  ({result['movie_bytes'] / 1e6:.0f} MB)")
    print(f"  {'error px':14s} total  whole  local  of RELION's total")
    for name, e in result["error_px"].items():
        ratio = f"  {_ratio(result, name):5.2f}" if "relion" in result["error_px"] else ""
        print(f"  {name:14s} {e['total']:.3f}  {e['whole']:.3f}  {e['local']:.3f}{ratio}")
    chi_square, sd = result["whole_frame_chi_square"], result["stated_sd_px"]
    print(f"  stated sd {sd:.3f} px (2-D), reduced chi-square of whole-frame shifts {chi_square:.2f}")
    at = [result["frc_frequency_per_px"].index(ring) for ring in QUOTED_RINGS_PER_PX]
    print("  FRC at " + " / ".join(f"{ring:.2f}" for ring in QUOTED_RINGS_PER_PX) + " per px; largest shortfall")
    for name, values in result["frc"].items():
        short = result["frc_largest_shortfall"].get(name)
        said = "" if short is None else f"   {short['value']:+.4f} +- {short['sd']:.4f} at {short['at_per_px']:.2f}"
        print(f"  {name:14s} " + " / ".join(f"{values[i]:.3f}" for i in at) + said)
    for name, program in result["programs"].items():
        print(
            f"  {name:8s} {program['wall_s']:7.2f} s wall  {program['cpu_s']:7.2f} CPU-s  "
            f"{program['peak_memory_mb']:6.0f} MB"
        )
    if "warm" not in result:
        return
    warm = result["warm"]
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in warm["stages_wall_s"].items())
    print(f"  warm     {warm['wall_s']:7.2f} s wall  {warm['cpu_s']:7.2f} CPU-s  ({stages})")


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--movies", type=Path, help="keep the movies in this folder [default: a temporary one]")
    parser.add_argument("--quick", action="store_true", help="two movies of 2048 px only")
    parser.add_argument("--only", help="only cases whose name has this in it, e.g. 4096 or still_0.3")
    parser.add_argument("--seed", type=int, default=0, help="other movies of the same kinds")
    parser.add_argument("--spectrum", choices=sorted(SPECTRA), default="steep", help="of the scene")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2, help="runs of the large movie; the quickest counts")
    args = parser.parse_args()
    relion = motion_programs.relion_version()
    if relion is None:
        print("RELION is not installed (apt-get install relion): frazil runs alone, claims of a ratio are not tested")
    figures: dict[str, Any] = {
        "machine": machine(),
        "relion": relion,
        "threads": args.threads,
        "spectrum": args.spectrum,
        "movies": [],
    }
    with contextlib.ExitStack() as stack:
        folder = args.movies or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for case in cases(args.seed, args.spectrum, args.quick):
            if args.only and args.only not in case.name:
                continue
            repeats = args.repeats if case.size_px == 4096 else 1
            result = run_case(case, folder, threads=args.threads, repeats=repeats, with_relion=relion is not None)
            figures["movies"].append(result)
            print_case(result)
            sys.stdout.flush()
    figures["verdicts"] = verdicts(figures["movies"])
    print()
    for verdict in figures["verdicts"]:
        print(f"{'holds' if verdict['holds'] else 'FAILS'}  {verdict['claim']}: {verdict['figure']}")
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(verdict["holds"] for verdict in figures["verdicts"]) else 1


if __name__ == "__main__":
    sys.exit(main())
