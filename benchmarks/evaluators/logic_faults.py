"""Every planted fault is refuted and no true claim is, by every prover that is installed; agreement on random models.

./run bench logic_faults [--json FILE] [--provers z3 coq lean] [--random 1000] [--seed 1]

A prover that is not there is named and left out. Exit code 1: a fault was missed, a true claim refuted, or provers
disagree with exact integers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluators import logic_models
from frazil.actors.provers import Provers, described
from frazil.models.evaluation.logic.proving.outcome import ORACLE, Outcome, Settled, by_exact
from frazil.models.evaluation.logic.statements import Claim

_BATCH = 150
_SECONDS = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--provers", nargs="+", default=["exact", "z3", "coq", "lean"])
    parser.add_argument("--random", type=int, default=1000, help="random models")
    parser.add_argument("--lean-random", type=int, default=50, help="of them, how many Lean is given")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"random_models": arguments.random, "seed": arguments.seed, "provers": {}}
    rng = np.random.default_rng(arguments.seed)
    drawn = [logic_models.random_model(rng) for _ in range(arguments.random)]
    failed = False
    for name in arguments.provers:
        there, version = described(name)
        if not there:
            print(f"{name}: left out, {version}")
            figures["provers"][name] = {"left_out": version}
            continue
        given = drawn[: arguments.lean_random] if name == "lean" else drawn
        found = measure(name, given)
        figures["provers"][name] = {"version": version, **found}
        print(f"{name} ({version})")
        for words, text in rows(found):
            print(f"  {words:22s}{text}")
        failed |= bool(found["missed"] or found["true_refuted"] or found["disagree"])
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(failed)


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """A prover's figures in words."""
    random = f"{found['random_models']} ({found['random_claims']} claims, {found['random_false']} of them false)"
    true = f"{found['true_models_proved']}/{found['true_models']} ({found['true_claims']} claims)"
    return [
        ("faults refuted", f"{found['faults_refuted']}/{found['faults']}, missed: {found['missed'] or 'none'}"),
        ("true models proved", true),
        ("true claims refuted", f"{found['true_refuted'] or 'none'}; left open: {found['true_open'] or 'none'}"),
        ("random models", random),
        ("against exact", f"{found['disagree']} disagree, {found['open']} left open"),
        ("seconds", f"{found['seconds_known']:.1f} faults and true models, {found['seconds_random']:.1f} random"),
    ]


def measure(name: str, drawn: list[list[Claim]]) -> dict[str, Any]:
    """One prover on faults, true models and random models."""
    faults, true = logic_models.faults(), logic_models.true_claims()
    begun_s = time.perf_counter()
    by_fault = split(
        settle(name, [claim for *_, claims in faults for claim in claims]), [claims for *_, claims in faults]
    )
    by_truth = split(settle(name, [claim for _, claims in true for claim in claims]), [claims for _, claims in true])
    known_s = time.perf_counter() - begun_s
    missed = [
        words
        for (words, broken, claims), said in zip(faults, by_fault, strict=True)
        if not any(c.name == broken and o.settled is Settled.REFUTED for c, o in zip(claims, said, strict=True))
    ]

    def true_with(settled: Settled) -> list[str]:
        return [
            f"{words}: {claim.name}"
            for (words, claims), said in zip(true, by_truth, strict=True)
            for claim, outcome in zip(claims, said, strict=True)
            if outcome.settled is settled
        ]

    flat = [claim for claims in drawn for claim in claims]
    begun_s = time.perf_counter()
    said = settle(name, flat)
    random_s = time.perf_counter() - begun_s
    oracle = by_exact(flat)
    decided = [(a.settled, b.settled) for a, b in zip(said, oracle, strict=True) if a.settled is not Settled.UNKNOWN]
    return {
        "faults": len(faults),
        "faults_refuted": len(faults) - len(missed),
        "missed": missed,
        "true_models": len(true),
        "true_models_proved": sum(all(o.settled is Settled.PROVED for o in said_) for said_ in by_truth),
        "true_claims": sum(len(claims) for _, claims in true),
        "true_refuted": true_with(Settled.REFUTED),
        "true_open": true_with(Settled.UNKNOWN),
        "random_models": len(drawn),
        "random_claims": len(flat),
        "random_false": sum(outcome.settled is Settled.REFUTED for outcome in oracle),
        "disagree": sum(a is not b for a, b in decided),
        "open": len(flat) - len(decided),
        "seconds_known": known_s,
        "seconds_random": random_s,
    }


def settle(name: str, claims: list[Claim]) -> list[Outcome]:
    """By this prover alone."""
    prover = Provers([name], seconds=_SECONDS)
    outcomes: list[Outcome] = []
    for first in range(0, len(claims), _BATCH):
        runs = {run.prover: run.outcomes for run in prover(claims[first : first + _BATCH])}
        outcomes += runs[name if name in runs else ORACLE]
    return outcomes


def split(outcomes: list[Outcome], groups: list[list[Claim]]) -> list[list[Outcome]]:
    """In the shape of the groups."""
    rest = iter(outcomes)
    return [[next(rest) for _ in group] for group in groups]


if __name__ == "__main__":
    sys.exit(main())
