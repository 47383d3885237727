"""The actor that has one movie run again inside of the sandbox, and says what came of it."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import frazil.models.compiled as compiled
from frazil.actors import niceness
from frazil.actors.sandbox_process import SandboxLimits, SandboxRun, run_sandboxed
from frazil.models.evaluation.robustness import evaluator as robustness
from frazil.models.evaluation.robustness.rerun import Findings, RerunJob, findings_of
from frazil.models.evaluation.verdict import Verdict

_JOB, _FOUND, _COMPILED = "job.pickle", "found.json", "compiled"
_CODE = f"""
import json, os, pickle
os.environ["NUMBA_CACHE_DIR"] = os.path.join(os.getcwd(), {_COMPILED!r})
import torch
torch.set_num_threads(1)
from frazil.models.evaluation.robustness.rerun import rerun

def tell(found):
    with open("{_FOUND}.new", "w") as file:
        json.dump(found.record(), file)
    os.replace("{_FOUND}.new", "{_FOUND}")

with open({_JOB!r}, "rb") as file:
    job = pickle.load(file)
rerun(job, tell)
"""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a rerun came to."""

    verdict: Verdict
    seconds: float
    took: dict[str, float]
    """Seconds by part, and CPU time and memory in all. Not part of the verdict: the same movie gives the same."""


class Rerunner:
    """`polite`: only what others leave of the cores is used."""

    def __init__(self, *, polite: bool = False) -> None:
        if polite:
            niceness.give_way(niceness.EVALUATORS)

    def rerun(self, job: RerunJob) -> Rerun:
        """Never raises for what happens inside; what was found before a stop counts.

        Raises
        ------
        OSError
            There is no room for a temporary folder, or no process to be had.
        """
        chosen = job.settings.evaluation
        limits = SandboxLimits(
            cpu_s=chosen.sandbox_cpu_s, wall_s=chosen.sandbox_wall_s, memory_mib=chosen.sandbox_memory_mib
        )
        files = {_JOB: pickle.dumps(job)} | compiled_code()
        run = run_sandboxed(_CODE, limits=limits, files=files, results=(_FOUND,))
        findings = _found(run, job)
        stopped = None
        if not run.finished:
            stopped = run.text if run.stopped is None else f"{run.stopped}: {run.text}"
        took = findings.seconds | {"cpu": run.cpu_seconds, "peak_memory_mib": run.peak_memory_mib}
        return Rerun(robustness.evaluate(findings, run.walls, stopped), run.wall_seconds, took)


def _found(run: SandboxRun, job: RerunJob) -> Findings:
    try:
        return findings_of(json.loads(run.results[_FOUND]))
    except (KeyError, TypeError, ValueError):
        return Findings(job.result.movie_id)


def compiled_code() -> dict[str, bytes]:
    """numba's machine code of our functions, by the paths that it has below NUMBA_CACHE_DIR: the sandbox may write only
    to its own folder, and compiling all of it anew takes half a minute."""
    models = Path(compiled.__file__).resolve().parent
    given = Path(compiled.__file__).parent
    files: dict[str, bytes] = {}
    for kept in sorted(models.rglob("__pycache__/*.nb?")):
        folder = given / kept.parent.parent.relative_to(models)
        name = f"{folder.name}_{hashlib.sha1(str(folder).encode(), usedforsecurity=False).hexdigest()}"
        files[f"{_COMPILED}/{name}/{kept.name}"] = kept.read_bytes()
    return files
