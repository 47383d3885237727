"""`./run bench`: runs the benchmarks, each a script that prints a table and writes JSON into benchmarks/results.

python benchmarks/run.py            # list them
python benchmarks/run.py NAME ...   # run some; `all` for all
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
_HELPERS = {
    "run.py", "synthetic_session.py", "screenshots.py", "shared_data.py",
    "motion_movies.py", "motion_score.py", "motion_programs.py", "motion_frazil.py", "structure_movies.py",
    "performance_tables.py", "protein_spectrum.py", "ctf_scenes.py", "restoration_scenes.py",
    "attribution_truth.py", "attribution_replay.py", "attribution_score.py", "intervention_truth.py",
    "causal_sessions.py", "causal_draws.py", "causal_physics.py", "causal_scene.py", "causal_sidecar.py",
    "causal_check.py", "picking_disc.py", "picking_scenes.py", "picking_score.py", "picking_specimens.py",
    "particle_stacks.py", "logic_models.py",
    "citation_graph.py", "map_session_movies.py", "reconstruction_scenes.py", "reconstruction_relion.py",
    "synthetic_scores.py", "value_sessions.py", "alert_sinks.py",
}  # fmt: skip


def claims() -> dict[str, str]:
    """Name of each benchmark and the first line of its description."""
    scripts = sorted(path for path in HERE.glob("*.py") if path.name not in _HELPERS)
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0] for path in scripts}


def main(names: list[str]) -> int:
    known = claims()
    if not names:
        for name, claim in known.items():
            print(f"{name:20s} {claim}")
        return 0
    chosen = list(known) if names == ["all"] else names
    for name in chosen:
        if name not in known:
            print(f"no benchmark {name}; there are: {', '.join(known)}", file=sys.stderr)
            return 2
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in chosen:
        print(f"== {name}: {known[name]}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(RESULTS / f"{name}.json")]
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
