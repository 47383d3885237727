"""Each prover says of claims what is true of them by hand, with a counter-example; and gives up with a reason."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from frazil.actors import lean_project, provers
from frazil.actors.prover_process import run_limited
from frazil.actors.provers import Provers
from frazil.models.evaluation.logic import statements
from frazil.models.evaluation.logic.proving import coq, lean, smt
from frazil.models.evaluation.logic.proving.outcome import Outcome, Settled, by_exact, joint
from frazil.models.evaluation.logic.statements import Claim

from .proving_cases import TRUE_AND_FALSE, cases

CLAIMS, HOLDS = cases()
SECONDS = 100.0


def _settled(outcomes: Sequence[Outcome]) -> list[Settled]:
    return [outcome.settled for outcome in outcomes]


EXPECTED = [Settled.PROVED if holds else Settled.REFUTED for holds in HOLDS]


def _skip_without(name: str) -> None:
    there, words = provers.described(name)
    if not there:
        pytest.skip(words)


def test_every_obligation_is_among_the_cases() -> None:
    assert set(TRUE_AND_FALSE) == set(statements.STATEMENTS)


def test_exact_integers_settle_every_case() -> None:
    assert _settled(by_exact(CLAIMS)) == EXPECTED


def test_z3_settles_every_case_and_names_the_fault() -> None:
    outcomes = provers.by_z3(CLAIMS, SECONDS)
    assert _settled(outcomes) == EXPECTED
    for claim, outcome in zip(CLAIMS, outcomes, strict=True):
        assert (outcome.counter_example is None) == (outcome.settled is Settled.PROVED), claim


def test_coq_settles_every_case_and_names_the_fault() -> None:
    _skip_without("coq")
    outcomes = provers.by_coq(CLAIMS, SECONDS)
    assert _settled(outcomes) == EXPECTED
    assert all(outcome.counter_example for outcome in outcomes if outcome.settled is Settled.REFUTED)


def test_lean_settles_every_case() -> None:
    _skip_without("lean")
    assert _settled(provers.by_lean(CLAIMS, SECONDS)) == EXPECTED


def _refute(prover: Callable[[Sequence[Claim], float], tuple[Outcome, ...]], name: str) -> dict[str, int | str]:
    (outcome,) = prover([Claim(name, "x", TRUE_AND_FALSE[name][1])], SECONDS)
    assert outcome.counter_example is not None
    return outcome.counter_example


@pytest.mark.parametrize("name", ["z3", "coq"])
def test_a_counter_example_does_refute_the_claim(name: str) -> None:
    _skip_without(name)
    prover = {"z3": provers.by_z3, "coq": provers.by_coq}[name]
    assert _refute(prover, "halves-disjoint") == {"x_tenth_px": 7, "y_tenth_px": 3}
    assert _refute(prover, "operations-proper") == {"operation": 1, "determinant": -1}
    assert _refute(prover, "fsc-in-range") == {"shell": 1, "fsc_x_10000": -10_001}
    assert _refute(prover, "frames-counted") == {"frames": 40, "shifts": 41}

    operations = np.array(TRUE_AND_FALSE["operations-closed"][1]["operations"]).reshape(-1, 12)
    said = _refute(prover, "operations-closed")
    left, right = (np.array(operations[int(said[side])]) for side in ("left", "right"))
    w = left[:9].reshape(3, 3)
    product = [*(w @ right[:9].reshape(3, 3)).ravel(), *((w @ right[9:] + left[9:]) % 24)]
    assert product not in operations.tolist()

    # 20 x 30 x 40 A: a ball at (0.1, 0, 0.1), its mate at (-0.1, 0.5, -0.1) or a lattice translation from there
    clash = _refute(prover, "mates-apart")
    shift = np.array([clash["shift_x"], clash["shift_y"], clash["shift_z"]], dtype=float)
    apart = (np.array([0.9, 0.5, 0.9]) + shift - np.array([0.1, 0.0, 0.1])) * [20.0, 30.0, 40.0]
    assert clash["operation"] == 1
    assert np.linalg.norm(apart) == pytest.approx(17.464, abs=1e-3)


def test_a_claim_that_is_too_large_is_unknown_and_says_so() -> None:
    many = tuple(range(smt.MOST_CASES))
    (outcome,) = provers.by_z3([Claim("halves-disjoint", "x", {"first": many, "second": (-1,)})], SECONDS)
    assert outcome.settled is Settled.UNKNOWN
    assert "more than" in str(outcome.reason)


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_prover_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    ended = run_limited(
        ["/bin/sh", "-c", f"echo begun; sleep 300 & echo $! > {pid_file}; wait"], seconds=1.0, memory_mib=512
    )
    assert ended.printed == "begun\n"
    assert "longer than 1 s" in str(ended.reason)
    child = int(pid_file.read_text())
    for _ in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child still runs")


def test_a_prover_that_takes_too_much_memory_fails_alone() -> None:
    command = [sys.executable, "-S", "-c", "print(len(bytearray(10**10)))"]
    ended = run_limited(command, seconds=60.0, memory_mib=1024)
    assert ended.printed == ""
    assert ended.code not in (0, None)


def test_what_a_stopped_solver_has_not_said_is_unknown_with_the_reason(monkeypatch, tmp_path) -> None:
    _program(tmp_path / "z3", "echo 'claim 0'; echo unsat; sleep 300")
    monkeypatch.setattr(provers, "z3_program", lambda: str(tmp_path / "z3"))
    first, second = provers.by_z3(CLAIMS[:2], 1.0)
    assert first.settled is Settled.PROVED
    assert (second.settled, second.reason) == (Settled.UNKNOWN, "it took longer than 1 s")


@pytest.mark.parametrize("name", ["z3", "coq", "lean"])
def test_a_prover_that_is_not_there_is_unknown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(provers, "z3_program", lambda: None)
    run, oracle = Provers([name], seconds=5.0)(CLAIMS[:2])
    assert _settled(run.outcomes) == [Settled.UNKNOWN] * 2
    assert all("not installed" in str(outcome.reason) for outcome in run.outcomes)
    assert _settled(oracle.outcomes) == EXPECTED[:2]
    assert not provers.described(name)[0]


def test_claims_that_come_again_each_round_are_proved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def count(claims: Sequence[Claim], seconds: float) -> tuple[Outcome, ...]:
        asked.append([claim.name for claim in claims])
        return by_exact(claims)

    monkeypatch.setitem(provers._BACKENDS, "z3", count)
    group = Claim("group-order", "D7", {"order": 14, "expected": 14})
    movie = Claim("one-result-per-file", "m", {"results": 1})
    both = Provers(["z3"], seconds=5.0)
    assert both([group, movie]) == both([group, movie])
    changed = Claim("group-order", "D7", {"order": 13, "expected": 14})
    assert _settled(both([changed])[0].outcomes) == [Settled.REFUTED]
    assert asked == [["group-order", "one-result-per-file"], ["one-result-per-file"], ["group-order"]]


# --- what provers say together ---------------------------------------------------------------------------------------


def test_provers_together_settle_what_they_agree_on() -> None:
    proved, refuted = Outcome(Settled.PROVED), Outcome(Settled.REFUTED, {"n": 1})
    silent = Outcome(Settled.UNKNOWN, reason="not installed")
    assert joint([("z3", silent), ("exact", proved)]).settled is Settled.PROVED
    assert joint([("lean", Outcome(Settled.REFUTED)), ("exact", refuted)]) == refuted
    against = joint([("z3", refuted), ("exact", proved)])
    assert (against.settled, against.counter_example) == (Settled.UNKNOWN, None)
    assert against.reason == "provers contradict each other: z3 refuted, exact proved"
    assert joint([("z3", silent)]).reason == "z3: not installed"


# --- Coq's and Lean's words ------------------------------------------------------------------------------------------


def test_coq_is_not_believed_with_an_axiom() -> None:
    said = "yes_0\n     : claim_0\nAxioms:\nit : claim_0\n"
    (outcome,) = coq.read_answers(CLAIMS[:1], said)
    assert outcome.settled is Settled.UNKNOWN
    (outcome,) = coq.read_answers(CLAIMS[:1], "Coq < yes_0\n     : claim_0\nClosed under the global context\n")
    assert outcome.settled is Settled.PROVED


LEAN_CLAIMS = [CLAIMS[0], CLAIMS[1]]


def _line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def _diagnostic(text: str, start: str, data: str, severity: str = "error") -> str:
    return json.dumps({"severity": severity, "pos": {"line": _line_of(text, start), "column": 0}, "data": data})


def test_leans_diagnostics_are_read_by_theorem() -> None:
    text = lean.script(LEAN_CLAIMS)
    honest = [
        _diagnostic(text, "theorem no_0", "omega could not prove the goal"),
        _diagnostic(text, "theorem yes_1", "omega could not prove the goal"),
        _diagnostic(
            text, "#print axioms yes_0", "'Claims.yes_0' depends on axioms: [propext, Quot.sound]", "information"
        ),
        _diagnostic(text, "#print axioms no_0", "unknown constant"),
    ]

    def read(lines: list[str], *, source: str = text, finished: bool = True) -> list[Settled]:
        return _settled(lean.read_answers(LEAN_CLAIMS, source, "\n".join(lines), finished=finished))

    assert read(honest) == [Settled.PROVED, Settled.REFUTED]
    unknown = [Settled.UNKNOWN] * 2
    assert read(honest, finished=False) == unknown
    assert read([*honest, _diagnostic(text, "noncomputable def le ", "unexpected token")]) == unknown
    assert read(honest, source=text.replace("by omega", "by sorry", 1)) == unknown
    assert read(honest, source=text + "\naxiom it : False\n") == unknown
    assert read(honest, source=text.replace("by omega", "by native_decide", 1)) == unknown
    warned = [*honest, _diagnostic(text, "theorem yes_0", "declaration uses `sorry`", "warning")]
    assert read(warned) == [Settled.UNKNOWN, Settled.REFUTED]
    foreign = "'Claims.yes_0' depends on axioms: [propext, Lean.ofReduceBool]"
    compiled = [*honest, _diagnostic(text, "#print axioms yes_0", foreign, "information")]
    assert read(compiled) == [Settled.UNKNOWN, Settled.REFUTED]
    assert read([]) == unknown  # both a claim and its negation: no prover to be believed


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _lean_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, *, with_lake: bool) -> None:
    """Stand-ins that answer like Lean about `LEAN_CLAIMS` and note where they were started."""
    text = lean.script(LEAN_CLAIMS)
    lines = [_diagnostic(text, "theorem no_0", "omega failed"), _diagnostic(text, "theorem yes_1", "omega failed")]
    answer = "\n".join(["cat <<'END'", *lines, "END", f"cat Claims.lean > {folder}/given", f"pwd > {folder}/where"])
    version = '[ "$1" = --version ] && { echo "Lean (version 4.20.0, x86_64)"; exit 0; }'
    _program(folder / "lean", f"{version}\necho lean > {folder}/who\n{answer}\nexit 1")
    if with_lake:
        _program(
            folder / "lake", f'[ "$1 $2 $3" = "env lean --json" ] || exit 3\necho lake > {folder}/who\n{answer}\nexit 1'
        )
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("with_lake", [False, True])
def test_lean_is_asked_in_a_project_that_leandojo_pins(
    with_lake: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lean_on_path(tmp_path, monkeypatch, with_lake=with_lake)
    assert _settled(provers.by_lean(LEAN_CLAIMS, 60.0)) == [Settled.PROVED, Settled.REFUTED]
    assert (tmp_path / "given").read_text() == lean.script(LEAN_CLAIMS)
    assert (tmp_path / "who").read_text() == ("lake\n" if with_lake else "lean\n")
    # LeanDojo works on its own copy, below its cache.
    assert ("frazil-leandojo-" in (tmp_path / "where").read_text()) == with_lake


def test_a_lean_without_a_toolchain_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path / "lean", "echo 'error: no default toolchain configured' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    there, words = lean_project.described()
    assert not there
    assert "no toolchain" in words
    assert _settled(provers.by_lean(LEAN_CLAIMS, 5.0)) == [Settled.UNKNOWN] * 2
