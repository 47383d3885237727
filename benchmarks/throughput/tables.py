"""Puts the figures of benchmarks/results/*.json into the tables of docs/performance.md.

    ./run bench performance_tables [--results FOLDER] [--page docs/performance.md] [--check]

Each table lies between `<!-- table NAME -->` and `<!-- end -->`; what is between is replaced, the rest of the page is
left alone. A table whose results are not there stays as it is, and is named. `--check`: print, write nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]
Json = dict[str, Any]
_KINDS = ("still", "drifting", "settling")


def table(head: list[str], rows: Sequence[Sequence[object]]) -> str:
    """GitHub's Markdown."""
    lines: list[Sequence[object]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def floor_table(throughput: Json) -> str:
    head = ["movie", "floor s", "motion stages s", "times the floor", "whole movie s", "CPU-s", "movies/h"]
    return table(
        head,
        [
            [
                _movie(r), f"{r['floor']['wall_s']:.1f}", f"{r['motion_wall_s']:.1f}", f"{r['motion_over_floor']:.1f}",
                f"{r['whole']['wall_s']:.1f}", f"{r['whole']['cpu_s']:.1f}", f"{r['movies_per_h']:.0f}",
            ]
            for r in throughput["movies"]
        ],
    )  # fmt: skip


def least_table(throughput: Json) -> str:
    head = ["movie", "read MB", "decoded MB", "added GFLOP", "transformed GFLOP", "written MB"]
    head += ["decode s", "add s", "transform s", "write s"]
    rows = []
    for r in throughput["movies"]:
        least, parts = r["floor"], r["floor"]["parts_wall_s"]
        row = [_movie(r), *(f"{least[k]:.0f}" for k in ("read_mb", "decoded_mb"))]
        row += [f"{least['add_gflop']:.1f}", f"{least['fft_gflop']:.1f}", f"{least['written_mb']:.0f}"]
        rows.append([*row, *(f"{parts[k]:.2f}" for k in ("decode", "add", "fft", "write"))])
    return table(head, rows)


def stage_table(throughput: Json) -> str:
    stages = list(throughput["movies"][0]["whole"]["stages_wall_s"])
    rows: list[list[object]] = []
    for r in throughput["movies"]:
        decoded, whole, memory = r["decode"], r["whole"]["stages_wall_s"], r["compute"]["stages_wall_s"]
        moved = r["transfer"]
        first = [f"{decoded['wall_s']:.2f}", "-" if moved is None else f"{moved['wall_s']:.2f}"]
        rows.append([_movie(r), *first, *(f"{whole.get(stage, 0.0):.2f}" for stage in stages)])
        rows.append(["the same from memory", "", "", *(f"{memory.get(stage, 0.0):.2f}" for stage in stages)])
    return table(["s wall", "decode alone", "transfer", *stages], rows)


def time_table(peer: Json) -> str:
    large = _case(peer, "4096_")
    rows: list[list[object]] = []
    for name, program in large["programs"].items():
        said = name if name == "relion" else "frazil, whole process"
        rows.append([said, f"{program['wall_s']:.1f}", f"{program['cpu_s']:.1f}", f"{program['peak_memory_mb']:.0f}"])
    rows.append(["frazil, warm", f"{large['warm']['wall_s']:.1f}", f"{large['warm']['cpu_s']:.1f}", ""])
    return table(["4096 x 4096 x 40, LZW, 1 e/px", "wall s", "CPU-s", "peak MB"], rows)


def error_table(peer: Json) -> str:
    head = [
        "movie, e/px a frame",
        "none",
        "RELION",
        "frazil field",
        "ratio",
        "frazil STAR",
        "ratio",
        "stated sd",
        "chi2",
    ]
    rows = []
    for r in peer["movies"]:
        size, kind, dose, _ = r["case"].split("_")
        e = r["error_px"]
        relion = e.get("relion")
        row: list[object] = [f"{size}, {kind}, {dose}", f"{e['none']['total']:.2f}", _parts(relion)]
        for name in ("frazil field", "frazil star"):
            row += [_parts(e[name]), f"{e[name]['total'] / relion['total']:.2f}" if relion else "."]
        rows.append([*row, f"{r['stated_sd_px']:.3f}", f"{r['whole_frame_chi_square']:.2f}"])
    return table(head, rows)


def ring_table(peer: Json) -> str:
    rows: list[list[object]] = []
    for r in peer["movies"]:
        at = [r["frc_frequency_per_px"].index(k) for k in (0.04, 0.10, 0.16, 0.24)]
        shown = [
            "/".join(f"{r['frc'][name][i]:.3f}" for i in at) if name in r["frc"] else "."
            for name in ("motion-free", "relion", "frazil")
        ]
        short = [
            f"{s['value']:.3f} +- {s['sd']:.3f} at {s['at_per_px']:.2f}" if s else "."
            for s in (r["frc_largest_shortfall"].get(name) for name in ("relion", "frazil"))
        ]
        size, kind, dose, _ = r["case"].split("_")
        rows.append([f"{size}, {kind}, {dose}", *shown, *short])
    head = ["movie, e/px a frame", "motion-free", "RELION", "frazil", "RELION's largest shortfall", "frazil's"]
    return table(head, rows)


def claim_table(figures: Json) -> str:
    rows = [[v["claim"], v["figure"], "yes" if v["holds"] else "**no**"] for v in figures["verdicts"]]
    return table(["claim", "figure", "holds"], rows)


def condition_table(truth: Json) -> str:
    head = ["condition", "movies", "whole-frame error A", "stated sd A", "chi2", "rings kept", "flagged"]
    rows: list[list[object]] = []
    for condition in dict.fromkeys(r["condition"] for r in truth["movies"]):
        those = [r for r in truth["movies"] if r["condition"] == condition]
        kept = [r["rings_kept"] for r in those if "rings_kept" in r]
        error = [r["error_angstrom"]["whole"] for r in those]
        rows.append([
            condition, len(those), _span(error, 2), _span([r["stated_sd_angstrom"] for r in those], 2),
            _span([r["chi_square"] for r in those], 2), _span(kept, 3) if kept else "",
            sum(not r["trusted"] for r in those),
        ])  # fmt: skip
    return table(head, rows)


def flat_table(flat: Json) -> str:
    f = flat["flat"]
    n = f["compared"]
    rows: list[list[object]] = [
        ["CPU-s a movie (1024 x 1024 x 24)", f["early_cpu_s"], f["late_cpu_s"]],
        ["resident MB", f["early_memory_mb"], f["late_memory_mb"]],
    ]
    return table([f"{f['movies']} movies", f"first {n} after the very first", f"last {n}"], rows)


def scaling_table(scaling: Json) -> str:
    rows: list[list[object]] = [
        [s["workers"], s["movies_per_h"], f"{s['efficiency']:.2f}", s["movies"]] for s in scaling["sessions"]
    ]
    return table(["workers, one thread each", "movies/h", "efficiency", "movies in the session"], rows)


def late_table(flat: Json) -> str:
    """The map's desk and the rest of the daemon, early and late in a session."""
    parts = flat["records"]["parts"]
    rows: list[list[object]] = [
        [_PART_WORDS[name], f"{one['early_cpu_ms']:.1f}", f"{one['late_cpu_ms']:.1f}"] for name, one in parts.items()
    ]
    sums = [sum(one[when] for one in parts.values()) for when in ("early_cpu_ms", "late_cpu_ms")]
    rows.append(["all", *(f"{value:.1f}" for value in sums)])
    head = [f"at {flat['records'][when]:,} movies" for when in ("early_movies", "movies")]
    return table(["CPU-ms a movie", *head], rows)


def map_table(flat: Json) -> str:
    """The reconstruction's own process."""
    one = flat["copied_map"]
    rows: list[list[object]] = [
        ["CPU-ms a movie, by turns", f"{1000 * one['early_cpu_s']:.0f}", f"{1000 * one['late_cpu_s']:.0f}"],
        ["kB written a movie", f"{one['early_written_bytes'] / 1e3:.1f}", f"{one['late_written_bytes'] / 1e3:.1f}"],
        ["checkpoint MB", f"{one['young_checkpoint_mb']:.1f}", f"{one['checkpoint_mb']:.1f}"],
        ["CPU-s to go on after a restart", "", f"{one['resumes_cpu_s']:.1f}"],
    ]
    head = [f"at {one[when]:,} movies" for when in ("young_movies", "movies")]
    return table([f"the map ({one['particles_a_movie']} boxes of {one['box_px']} px a movie)", *head], rows)


def input_table(figures: Json) -> str:
    rows = [[one["name"], f"{one['value']:.4g}", one["unit"], one["kind"], one["source"]] for one in figures["inputs"]]
    return table(["input", "value", "unit", "", "source"], rows)


def capacity_check_table(figures: Json) -> str:
    one = figures["check"]
    rows = [
        ["movies/h", f"{one['movies_per_h']:.0f}", f"{one['measured_movies_per_h']:.0f}", one["movies_per_h_ratio"]],
        ["CPU-s a movie", f"{one['cpu_s']:.1f}", f"{one['measured_cpu_s']:.1f}", one["cpu_ratio"]],
    ]
    return table([f"{one['movie']}, {one['cores']} cores", "model", "measured", "ratio"], rows)


def capacity_table(figures: Json) -> str:
    rows = []
    for name, one in figures["scenarios"].items():
        most = one["must_hold"]
        asked = "; ".join(f"{value:.4g} {what}" for what, value in most.items())
        borne = f"{one['movies_per_h']:.0f}" + (" (estimated)" if one["rests_on_estimates"] else "")
        rows.append([name, f"{one['wanted_per_h']:.0f}", borne, one["limit"], f"{one['cores_wanted']:.0f}", asked])
    head = ["asked", "movies/h wanted", "borne", "limited by", "cores wanted", "a movie may take at most"]
    return table(head, rows)


_PART_WORDS = {
    "store": "writing its rows and its file",
    "prior": "causal prior, losses, advice (without the computing)",
    "map": "the map's desk: listing, poses, rounds",
    "verdicts": "facts for the evaluators",
    "status": "the live state, once a movie",
    "alerts": "alert rules, once a movie",
    "actors": "the causal prior's computing",
}


def ledger_table(ledger: Json) -> str:
    head = ["stage", "launches", "before", "budget", "goal", "uploaded / counts", "MB back", "waits", "before", "goal"]
    rows: list[list[object]] = []
    for stage, one in ledger["stages"].items():
        before, budget, goal = one["before"], one["budget"], one["goal"]
        waits = "." if goal["synchronisations"] == budget["synchronisations"] else goal["synchronisations"]
        rows.append(
            [
                stage, one["launches"], before["launches"], budget["launches"], goal["launches"],
                f"{one['uploaded_over_counts']:.3f}", f"{one['downloaded_bytes'] / 1e6:.1f}",
                one["synchronisations"], before["synchronisations"], waits,
            ]
        )  # fmt: skip
    return table(head, rows)


TABLES = {
    "least": ("throughput", least_table),
    "floor": ("throughput", floor_table),
    "stages": ("throughput", stage_table),
    "time": ("motion_vs_relion", time_table),
    "errors": ("motion_vs_relion", error_table),
    "rings": ("motion_vs_relion", ring_table),
    "peer-claims": ("motion_vs_relion", claim_table),
    "truth-claims": ("motion_truth", claim_table),
    "conditions": ("motion_truth", condition_table),
    "flat": ("throughput_flat", flat_table),
    "scaling": ("scaling", scaling_table),
    "late": ("flat_session", late_table),
    "late-map": ("flat_session", map_table),
    "capacity-inputs": ("capacity", input_table),
    "capacity-check": ("capacity", capacity_check_table),
    "capacity": ("capacity", capacity_table),
    "ledger": ("device_ledger", ledger_table),
}
"""Name on the page: JSON file, and what makes the table of it."""


def _movie(result: Json) -> str:
    width, file_format = result["case"].split("_")
    return f"{width} px, {result['frames']} frames, {file_format.upper()}"


def _case(peer: Json, start: str) -> Json:
    return next(r for r in peer["movies"] if r["case"].startswith(start))


def _parts(error: Json | None) -> str:
    return "." if error is None else f"{error['total']:.3f} ({error['whole']:.3f} / {error['local']:.3f})"


def _span(values: list[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _filled(made: str, place: re.Match[str]) -> str:
    """The table between its two marks on the page."""
    return f"{place[1]}\n{made}\n\n{place[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results")
    parser.add_argument("--page", type=Path, default=BENCHMARKS.parent / "docs" / "performance.md")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = args.page.read_text()
    for name, (source, make) in TABLES.items():
        path = args.results / f"{source}.json"
        place = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not path.exists() or not place.search(text):
            print(f"left as it is: {name} ({'no place on the page' if path.exists() else f'no {path.name}'})")
            continue
        try:
            made = make(json.loads(path.read_text()))
        except (StopIteration, KeyError):
            print(f"left as it is: {name} (not all cases are in {path.name})")
            continue
        text = place.sub(partial(_filled, made), text)
    if args.check:
        print(text)
    else:
        args.page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
