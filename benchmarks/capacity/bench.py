"""What a machine bears, in movies an hour, and what limits it: from measured costs, beside what was measured.

    ./run bench capacity [--cores N --gpus M --read MB_PER_S --write MB_PER_S --mpx P --frames F] [--json OUT.json]

From what decoding takes, what a worker takes on frames in memory, and what a small movie takes, processor seconds by
size follow, and with the efficiency of two cores that another benchmark tells, the throughput that `throughput` has
measured: they have to agree within 15 % (exit 1 if not). Then it tells what other machines bear. Every input is named
with its source; what nobody has measured is marked as estimated, and what is concluded from it as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.capacity.inputs import RESULTS, Inputs, inputs
from benchmarks.capacity.machine import HOUR_S, Costs, Machine, Movie, capacity, must_hold

WITHIN = 0.15
_MONTH_S = 30 * 24 * HOUR_S
_K3_MPX, _FRAMES = 5760 * 4092 / 1e6, 40
_4K_MPX = 4096 * 4096 / 1e6


def movie_of(known: Inputs, mpx: float, frames: int) -> Movie:
    """Of LZW counts."""
    return Movie(mpx, frames, known["compressed"] * mpx * frames, known["kept files"] * mpx)


def costs_of(known: Inputs, movie: Movie, *, alone: bool = False) -> Costs:
    """`alone`: a worker and nothing beside it, as `throughput` runs it."""
    of_pixels = movie.mpx * (known["a pixel of a micrograph"] + movie.frames * known["a pixel of a frame"])
    of_k3 = movie.mpx * movie.frames / (_K3_MPX * _FRAMES)
    beside = (0.0, 0.0) if alone else (known["daemon"], known["map"])
    return Costs(
        movie_cpu_s=known["a movie"] + of_pixels,
        gpu_host_cpu_s=known["host beside a GPU"] * of_k3,
        gpu_s=known["GPU"] * of_k3,
        gpu_worker_s=known["a worker with a GPU"] * of_k3,
        daemon_cpu_s=beside[0],
        map_cpu_s=beside[1],
        map_in_turn_s=beside[1],
        efficiency=known["efficiency"],
    )


def check(known: Inputs, results: Path) -> dict[str, Any]:
    """The model beside what `throughput` measured of a movie that it was not made from."""
    measured = json.loads((results / "throughput.json").read_text(encoding="utf-8"))
    one = next(case for case in measured["movies"] if case["case"] == "4096_lzw")
    movie = movie_of(known, _4K_MPX, one["frames"])
    costs = costs_of(known, movie, alone=True)
    foretold = capacity(Machine("2 cores", measured["cores"]), movie, costs)
    ratios = foretold.movies_per_h / one["movies_per_h"], costs.movie_cpu_s / one["whole"]["cpu_s"]
    return {
        "movie": "4096 x 4096 x 40",
        "cores": measured["cores"],
        "movies_per_h": round(foretold.movies_per_h, 1),
        "measured_movies_per_h": one["movies_per_h"],
        "cpu_s": round(costs.movie_cpu_s, 2),
        "measured_cpu_s": one["whole"]["cpu_s"],
        "movies_per_h_ratio": round(ratios[0], 3),
        "cpu_ratio": round(ratios[1], 3),
        "holds": abs(ratios[0] - 1) <= WITHIN,
    }


def scenario(known: Inputs, machine: Machine, movie: Movie, wanted_per_h: float) -> dict[str, Any]:
    """What a machine bears of what is wanted, and what a movie may take for it."""
    costs = costs_of(known, movie)
    found = capacity(machine, movie, costs)
    cpu_s = (costs.gpu_host_cpu_s if machine.gpus else costs.movie_cpu_s) + costs.daemon_cpu_s + costs.map_cpu_s
    return {
        "machine": asdict(machine),
        "movie": asdict(movie),
        "wanted_per_h": round(wanted_per_h, 1),
        "movies_per_h": round(found.movies_per_h, 1),
        "limit": found.limit,
        "by_resource": {name: round(value, 1) for name, value in found.by_resource.items()},
        "bears_it": found.movies_per_h >= wanted_per_h,
        "cores_wanted": round(wanted_per_h * cpu_s / (HOUR_S * costs.efficiency), 1),
        "costs": {name: round(value, 3) for name, value in asdict(costs).items()},
        "must_hold": {name: round(value, 2) for name, value in must_hold(machine, movie, costs, wanted_per_h).items()},
        "rests_on_estimates": bool(machine.gpus) or machine.read_mb_per_s == known["NVMe"],
    }


def scenarios(known: Inputs) -> dict[str, Any]:
    """The machines that are asked about."""
    k3 = movie_of(known, _K3_MPX, _FRAMES)
    nvme = known["NVMe"]
    month = 100e6 / k3.file_mb / _MONTH_S * HOUR_S
    of_a100, network = int(known["cores of a machine with 8 A100"]), known["10 Gbit network"]
    asked = {
        "a K3 at 900 movies/h, 16 cores without a GPU": (Machine("16 cores", 16, 0, 0, nvme, nvme), 900.0),
        "a K3 at 900 movies/h, one GPU, 3 workers": (Machine("16 cores, a GPU", 16, 1, 3, nvme, nvme), 900.0),
        "one H100 at 3,000 movies/h, one worker": (Machine("16 cores, an H100", 16, 1, 1, nvme, nvme), 3000.0),
        "one H100 at 3,000 movies/h, 6 workers": (Machine("16 cores, an H100", 16, 1, 6, nvme, nvme), 3000.0),
        "8 A100, 100 TB a month, 8 workers": (Machine("8 A100", of_a100, 8, 8, network, nvme), month),
        "8 A100 at 3,000 movies/h, 8 workers": (Machine("8 A100", of_a100, 8, 8, network, nvme), 3000.0),
    }
    return {name: scenario(known, machine, k3, wanted) for name, (machine, wanted) in asked.items()}


def print_scenario(name: str, one: dict[str, Any]) -> None:
    told = "bears" if one["bears_it"] else "does not bear"
    mark = " (on estimates)" if one["rests_on_estimates"] else ""
    print(f"{name}: {one['movies_per_h']:.0f} movies/h, limited by {one['limit']}; {told} it{mark}")
    for what, most in one["must_hold"].items():
        print(f"    at most {most:.2f} {what}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--cores", type=int, help="another machine")
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--workers", type=int, help="on the GPUs together [default: one each]")
    parser.add_argument("--read", type=float, default=1000.0, help="MB/s")
    parser.add_argument("--write", type=float, default=1000.0, help="MB/s")
    parser.add_argument("--mpx", type=float, default=_K3_MPX)
    parser.add_argument("--frames", type=int, default=_FRAMES)
    parser.add_argument("--wanted", type=float, default=900.0, help="movies/h")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = inputs(options.results)
    for one in known.all.values():
        print(f"{one.value:10.4g} {one.unit:35s} {one.name}: {one.kind}, {one.source}")
    if options.cores:
        workers = options.gpus if options.workers is None else options.workers
        machine = Machine("as asked", options.cores, options.gpus, workers, options.read, options.write)
        print_scenario("asked", scenario(known, machine, movie_of(known, options.mpx, options.frames), options.wanted))
        return 0
    checked, told = check(known, options.results), scenarios(known)
    print(json.dumps(checked, indent=1))
    for name, one in told.items():
        print_scenario(name, one)
    if options.json:
        figures = {"inputs": [asdict(one) for one in known.all.values()], "check": checked, "scenarios": told}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if checked["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
