"""`./run bench`: runs the benchmarks, each a module that prints a table and writes JSON into benchmarks/results.

./run bench                     # list them
./run bench NAME ...            # run some; `all` for all
./run bench NAME --option ...   # one with arguments of its own (`--help` tells them); JSON only where `--json` says
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import made_by
from benchmarks.own_process import command_of

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CLAIMS = {
    "advice": "advice.bench",
    "ablation": "ablation.bench",
    "announced_changes": "attribution.announced_changes",
    "attribution": "attribution.bench",
    "capacity": "capacity.bench",
    "causal_cost": "attribution.cost",
    "class_choice": "class_choice.bench",
    "ctf_accuracy": "ctf.bench",
    "device_ledger": "device_ledger.bench",
    "document_settings": "documents.bench",
    "drawn_sessions": "drawn_sessions.bench",
    "experiments": "attribution.experiments",
    "finished_50k": "screen.finished_50k",
    "flat_session": "operation.flat_session",
    "hole_images": "hole_images.bench",
    "how_known": "attribution.how_known",
    "http_load": "operation.http_load",
    "http_starts": "operation.http_starts",
    "impact_forecast": "evaluators.impact_forecast",
    "k3_replay": "throughput.k3_replay",
    "local_basis": "motion.local_basis",
    "logic_faults": "evaluators.logic_faults",
    "map_classes": "reconstruction.map_classes",
    "map_forecast": "reconstruction.map_forecast",
    "map_session": "reconstruction.map_session",
    "motion_truth": "motion.truth",
    "motion_vs_relion": "motion.vs_relion",
    "name_limits": "attribution.name_limits",
    "novelty_index": "evaluators.novelty_index",
    "novelty_structures": "evaluators.novelty_structures",
    "page_50k": "operation.page_50k",
    "particle_evidence": "reconstruction.particle_evidence",
    "picking": "picking.bench",
    "particle_optics": "optics.bench",
    "planted_faults": "operation.planted_faults",
    "real_micrographs": "real_data.micrographs",
    "real_particles": "real_data.particles",
    "real_targets": "real_data.targets",
    "real_trajectory": "real_data.trajectory",
    "reconstruction": "reconstruction.bench",
    "restoration": "restoration.bench",
    "restoration_rivals": "restoration.rivals",
    "sandbox": "evaluators.sandbox",
    "scaling": "throughput.scaling",
    "simulated_truth": "simulated_truth.bench",
    "store_50k": "operation.store_50k",
    "throughput": "throughput.bench",
    "tui_50k": "screen.tui_50k",
    "value_weights": "evaluators.value_weights",
    "where_ceiling": "where_ceiling.bench",
    "where_closed_loop": "where_closed_loop.bench",
    "where_next": "where_next.bench",
    "whole_4k_movie": "throughput.whole_4k_movie",
}
"""What each benchmark is called, here and in benchmarks/results, and the module that measures it."""
TOOLS = {
    "attribution_truth": "attribution.truth",
    "causal_check": "causal_world.check",
    "causal_sessions": "causal_world.sessions",
    "class_judge_training": "class_choice.training",
    "citation_graph": "evaluators.citation_graph",
    "docs_images": "screen.docs_images",
    "intervention_truth": "attribution.interventions",
    "operators_card": "screen.operators_card",
    "page_screenshots": "screen.page_screenshots",
    "performance_tables": "throughput.tables",
    "protein_spectrum": "reconstruction.protein_spectrum",
    "screenshots": "screen.screenshots",
}
"""What benchmarks and docs are made with: run by name, not by `all`."""


def claim_of(module: str) -> str:
    """The first line of a benchmark's description."""
    path = HERE / (module.replace(".", "/") + ".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def main(words: list[str]) -> int:
    """Exit status: 0 done, 1 a benchmark failed, 2 no such benchmark."""
    known = CLAIMS | TOOLS
    if not words:
        for name, module in known.items():
            print(f"{name:20s} {claim_of(module)}")
        return 0
    first_option = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    if words[0] in TOOLS:
        first_option = 1
    names, options = words[:first_option], words[first_option:]
    names = list(CLAIMS) if names == ["all"] else names
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    if len(names) > 1 and options:
        print("options are for one benchmark at a time", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in names:
        print(f"== {name}: {claim_of(known[name])}", flush=True)
        given = options or (["--json", str(RESULTS / f"{name}.json")] if name in CLAIMS else [])
        started_ns = time.time_ns()
        if subprocess.run(command_of(known[name], *given), check=False).returncode != 0:
            failed.append(name)
        if "--json" in given[:-1]:
            made_by.record(Path(given[given.index("--json") + 1]), known[name], started_ns)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
