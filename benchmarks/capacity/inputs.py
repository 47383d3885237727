"""What the model of a machine is made from: every number with its unit and where it comes from.

`measured`: in a JSON file of benchmarks/results, made by committed code. `cited`: somebody else's, with its source.
`estimated`: nobody has measured it; what is concluded from it is only as good.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.capacity.machine import Law, Measured, law_of

RESULTS = Path(__file__).resolve().parents[1] / "results"
Kind = Literal["measured", "cited", "estimated"]


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    value: float
    unit: str
    kind: Kind
    source: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """By name."""

    all: dict[str, Input]

    def __getitem__(self, name: str) -> float:
        return self.all[name].value

    @property
    def estimated(self) -> list[str]:
        """Names of what nobody has measured."""
        return [one.name for one in self.all.values() if one.kind == "estimated"]


def _json(results: Path, name: str) -> Any:
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))


def costs_of_a_movie(results: Path) -> tuple[Law, Measured]:
    """From a pass of decoding, a worker on frames that are in memory, and a small movie: none of them the throughput
    that the model is compared with."""
    throughput, small = _json(results, "throughput")["movies"][0], _json(results, "throughput_flat")["flat"]
    stages = throughput["compute"]["stages_wall_s"]
    of_motion = sum(stages[stage] for stage in ("read", "align_global", "align_local", "sum")) / sum(stages.values())
    cpu_s = throughput["compute"]["cpu_s"]
    motion = of_motion * cpu_s + throughput["decode"]["cpu_s"]
    large = Measured(4096**2 / 1e6, throughput["frames"], motion, (1 - of_motion) * cpu_s)
    return law_of(large, 1024**2 / 1e6, 24, small["late_cpu_s"]), large


def measured(results: Path = RESULTS) -> list[Input]:
    """What this repository's own benchmarks have measured."""
    peer, throughput = _json(results, "motion_vs_relion"), _json(results, "throughput")["movies"][0]
    records, made = _json(results, "flat_session")["records"]["parts"], _json(results, "reconstruction")["cost"]
    warm = next(movie["warm"] for movie in peer["movies"] if movie["case"].startswith("4096_"))
    law, _ = costs_of_a_movie(results)
    where = "throughput.json: compute and decode; throughput_flat.json: flat.late_cpu_s"
    return [
        Input("a movie", law.movie_cpu_s, "CPU-s", "measured", where),
        Input("a pixel of a micrograph", law.mpx_cpu_s, "CPU-s a Mpx", "measured", where),
        Input("a pixel of a frame", law.frame_mpx_cpu_s, "CPU-s a Mpx and frame", "measured", where),
        Input(
            "efficiency", warm["cpu_s"] / (peer["threads"] * warm["wall_s"]), "of two cores", "measured",
            "motion_vs_relion.json: warm (another benchmark, without CTF, restoration and picking)",
        ),
        Input(
            "compressed", throughput["floor"]["read_mb"] / throughput["floor"]["decoded_mb"], "bytes a count, LZW",
            "measured", "throughput.json: floor",
        ),
        Input(
            "daemon", sum(part["late_cpu_ms"] for part in records.values()) / 1000, "CPU-s a movie", "measured",
            "flat_session.json: records, at fifty thousand movies",
        ),
        Input(
            "map", made["late_s"], "CPU-s a movie of 40 boxes of 64 px", "measured",
            "reconstruction.json: cost.late_s",
        ),
    ]  # fmt: skip


NOT_MEASURED = (
    Input(
        "kept files", 16.0, "MB a Mpx of the micrograph", "estimated",
        "two sums and two half sums of 4 bytes a pixel, as they were counted for one small movie",
    ),
    Input(
        "GPU", 1.5, "s a K3 movie, all of them in turn", "estimated",
        "130,000 launches at 10 us and 380 GB moved, counted on a CPU; no GPU was at hand",
    ),
    Input(
        "host beside a GPU", 11.0, "CPU-s a K3 movie", "estimated",
        "decoding 2.8, frames 2.2, copies and launches 2, CTF 1.2, restoration 0.5, picking 0.9, files 0.8 and more, "
        "from operation counts; no GPU was at hand",
    ),
    Input(
        "a worker with a GPU", 8.5, "s a K3 movie, from end to end", "estimated",
        "host and GPU one after the other, threads for what is threaded; no GPU was at hand",
    ),
    Input("NVMe", 3000.0, "MB/s read and written", "estimated", "a datasheet's order of magnitude: 3 to 7 GB/s"),
    Input("10 Gbit network", 1100.0, "MB/s", "estimated", "nine tenths of the line's rate"),
    Input("cores of a machine with 8 A100", 64.0, "", "estimated", "a common configuration; ask for yours"),
)  # fmt: skip


def inputs(results: Path = RESULTS) -> Inputs:
    """All of them. Raises OSError or KeyError where a benchmark has not been run."""
    return Inputs({one.name: one for one in (*measured(results), *NOT_MEASURED)})
