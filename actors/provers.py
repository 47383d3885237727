"""The provers of this machine, each given a batch of claims: exact integers, z3, Coq, Lean 4.

Every answer is *proved*, *refuted* or *unknown with the reason*. A prover that is not there, or ends early, is unknown.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from frazil.actors import lean_project
from frazil.actors.prover_process import Ended, run_limited
from frazil.models.evaluation.logic.proving import coq, smt
from frazil.models.evaluation.logic.proving.outcome import ORACLE, Outcome, ProverRun, Settled, by_exact, unknown
from frazil.models.evaluation.logic.statements import ABOUT_MOVIES, Claim

PROVERS = ("exact", "z3", "coq", "lean")
_RESOURCE_LIMIT = 50_000_000
"""z3's own steps a claim: some ten seconds. Counted rather than timed, so that the answer is the machine's no more than
the claim's."""
_MEMORY_MIB = {"z3": 2048, "coq": 4096, "lean": 8192}


class Provers:
    """Settles claims by each of the named provers, and by the oracle in any case.

    What was said of a claim about the session, its map or a model is kept, since the same one comes every round.

    Parameters
    ----------
    names:
        Of `PROVERS`.
    seconds:
        Wall time that one prover has for one batch.
    """

    def __init__(self, names: Sequence[str], *, seconds: float) -> None:
        self._names = (*dict.fromkeys(name for name in names if name != ORACLE), ORACLE)
        self._seconds = seconds
        self._kept: dict[tuple[object, ...], Outcome] = {}
        self.seconds: dict[str, float] = {}
        """What each prover took for the newest batch."""

    def __call__(self, claims: Sequence[Claim]) -> tuple[ProverRun, ...]:
        return tuple(self._run(name, claims) for name in self._names)

    def _run(self, name: str, claims: Sequence[Claim]) -> ProverRun:
        begun_s = time.perf_counter()
        run = ProverRun(name, self._answers(name, claims))
        self.seconds[name] = time.perf_counter() - begun_s
        return run

    def _answers(self, name: str, claims: Sequence[Claim]) -> tuple[Outcome, ...]:
        keys = [(name, claim.name, *sorted(claim.integers.items())) for claim in claims]
        new = [place for place, key in enumerate(keys) if key not in self._kept]
        answers = _BACKENDS[name]([claims[place] for place in new], self._seconds) if new else ()
        found = dict(zip(new, answers, strict=True))
        outcomes = tuple(found[place] if place in found else self._kept[key] for place, key in enumerate(keys))
        # Only those of this round: what no longer comes is forgotten.
        self._kept = {key: said for key, said in self._kept.items() if key[0] != name} | {
            key: outcome
            for key, claim, outcome in zip(keys, claims, outcomes, strict=True)
            if claim.name not in ABOUT_MOVIES and outcome.settled is not Settled.UNKNOWN
        }
        return outcomes


def by_z3(claims: Sequence[Claim], seconds: float) -> tuple[Outcome, ...]:
    """The solver that the package z3-solver brings, as a process: its own limits are kept only between its steps."""
    program = z3_program()
    if program is None:
        return unknown(len(claims), "z3 is not installed")
    encodings = [smt.encode(claim) for claim in claims]
    text = smt.script(encodings, resource_limit=_RESOURCE_LIMIT, milliseconds=round(1000 * seconds))
    ended = run_limited([program, "-smt2", "-in"], text=text, seconds=seconds, memory_mib=_MEMORY_MIB["z3"])
    return _or_reason(smt.read_answers(claims, encodings, ended.printed), ended, "no answer")


def by_coq(claims: Sequence[Claim], seconds: float) -> tuple[Outcome, ...]:
    """coqtop on its standard input: the same kernel as coqc's, and a false theorem does not stop the others."""
    program = shutil.which("coqtop")
    if program is None:
        return unknown(len(claims), "Coq (coqtop) is not installed")
    command = [program, "-q", "-quiet"]
    with tempfile.TemporaryDirectory(prefix="frazil-coq-") as name:  # what lies in its folder shadows Coq's library
        ended = run_limited(
            command, text=coq.script(claims), seconds=seconds, memory_mib=_MEMORY_MIB["coq"], folder=Path(name)
        )
    return _or_reason(coq.read_answers(claims, ended.printed), ended, "Coq proved neither")


def by_lean(claims: Sequence[Claim], seconds: float) -> tuple[Outcome, ...]:
    """`lake env lean --json` on a project that LeanDojo pins, or `lean --json` alone (`lean_project`)."""
    return lean_project.settle(claims, seconds=seconds, memory_mib=_MEMORY_MIB["lean"])


_BACKENDS: dict[str, Callable[[Sequence[Claim], float], tuple[Outcome, ...]]] = {
    ORACLE: lambda claims, _: by_exact(claims),
    "z3": by_z3,
    "coq": by_coq,
    "lean": by_lean,
}


def z3_program() -> str | None:
    """Beside this Python, where the package puts it, or on the path."""
    own = Path(sys.executable).parent / "z3"
    return str(own) if own.exists() else shutil.which("z3")


def described(name: str) -> tuple[bool, str]:
    """Whether a prover works here, and its version or why not. It is asked: a name on the path proves nothing (elan
    leaves a `lean` behind that has no toolchain)."""
    if name == ORACLE:
        return True, "exact integers"
    if name == "lean":
        return lean_project.described()
    program = z3_program() if name == "z3" else shutil.which("coqtop")
    if program is None:
        return False, f"{name} is not installed"
    ended = run_limited([program, "--version"], seconds=20, memory_mib=_MEMORY_MIB[name])
    first = ended.printed.splitlines()[0] if ended.printed.strip() else ended.reason or "it says nothing"
    return ended.code == 0, first


def _or_reason(outcomes: tuple[Outcome, ...], ended: Ended, unanswered: str) -> tuple[Outcome, ...]:
    """A prover that ended early is the reason for what it left open."""
    if ended.reason is None:
        return outcomes
    return tuple(
        Outcome(Settled.UNKNOWN, reason=ended.reason)
        if outcome.settled is Settled.UNKNOWN and (outcome.reason or "").startswith(unanswered)
        else outcome
        for outcome in outcomes
    )
