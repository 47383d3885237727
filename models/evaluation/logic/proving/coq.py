"""Claims as Coq theorems, each together with its negation, by `vm_compute` on integers and booleans.

Not by `lia`: its proofs rest on a thousand lemmas of the standard library, and to ask what they assume took 0.4 s each.
The text is for coqtop's standard input, where a false theorem does not stop the others. A theorem counts if coqtop
knows it afterwards *and* finds it closed under the global context (no axiom, nothing admitted).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from frazil.models.evaluation.logic.exact_models import CounterExample
from frazil.models.evaluation.logic.proving import calls
from frazil.models.evaluation.logic.proving.arithmetic import formula_of, infix, leaf
from frazil.models.evaluation.logic.proving.outcome import Outcome, Settled
from frazil.models.evaluation.logic.statements import Claim

MOST_CASES = 3_000_000
"""A claim with more comparisons is not given to Coq: some seconds."""


def script(claims: Sequence[Claim]) -> str:
    """Prelude and claims."""
    parts = [resources.files(__package__).joinpath("prelude.v").read_text("utf-8")]
    parts += [_theorems(number, claim) for number, claim in enumerate(claims)]
    return "\n".join(parts)


def read_answers(claims: Sequence[Claim], printed: str) -> tuple[Outcome, ...]:
    """coqtop's standard output, claim by claim."""
    printed = re.sub(r"^(?:\w+ < )+", "", printed, flags=re.MULTILINE)
    printed = re.sub(r"^Fetching opaque proofs .*\n", "", printed, flags=re.MULTILINE)
    return tuple(_answer(number, claim, printed) for number, claim in enumerate(claims))


def too_large(claim: Claim) -> str | None:
    """Why Coq is not asked."""
    cases = calls.case_count(claim)
    return f"{cases} comparisons are more than the {MOST_CASES} that Coq is given" if cases > MOST_CASES else None


def _theorems(number: int, claim: Claim) -> str:
    terms = {name: leaf(value) for name, value in claim.integers.items() if isinstance(value, int)}
    formula = formula_of(claim.name, terms)
    if formula is not None:
        relations = " && ".join(f"({infix(r.left)} {r.sign}? {infix(r.right)})" for r in formula)
        definition, numbers = f"Definition claim_{number} : Prop := {relations} = true.", ""
    elif (reason := too_large(claim)) is not None:
        return f"(* claim {number}: {reason} *)"
    else:
        definition = f"Definition fault_{number} : fault := {calls.call(claim, calls.COQ)}.\n"
        definition += f"Definition claim_{number} : Prop := fault_{number} = None."
        numbers = f"Definition numbers_{number} := Eval vm_compute in fault_{number}. Print numbers_{number}.\n"
    lines = [definition]
    for word, statement, tactic in (("yes", "claim", "reflexivity"), ("no", "~ claim", "discriminate")):
        name = f"{word}_{number}"
        lines.append(f"Theorem {name} : {statement}_{number}. vm_compute. {tactic}. Qed.\nAbort All.")
        lines.append(f"Check {name}. Print Assumptions {name}.")
    return "\n".join(lines) + "\n" + numbers


def _answer(number: int, claim: Claim, printed: str) -> Outcome:
    reason = too_large(claim)
    if reason is not None:
        return Outcome(Settled.UNKNOWN, reason=reason)
    proved, denied = _known(f"yes_{number}", printed), _known(f"no_{number}", printed)
    if proved == denied:
        reason = "Coq proved the claim and its negation" if proved else "Coq proved neither the claim nor its negation"
        return Outcome(Settled.UNKNOWN, reason=reason)
    if proved:
        return Outcome(Settled.PROVED)
    return Outcome(Settled.REFUTED, _counter_example(number, claim, printed))


def _known(name: str, printed: str) -> bool:
    return re.search(rf"^{name}\s+: [^\n]*\s+Closed under the global context$", printed, re.MULTILINE) is not None


def _counter_example(number: int, claim: Claim, printed: str) -> CounterExample:
    if calls.is_relation(claim):
        return {name: value for name, value in claim.integers.items() if isinstance(value, int)}
    found = re.search(rf"^numbers_{number} =\s+Some\s+\[([^\]]*)\]", printed, re.MULTILINE)
    return {} if found is None else calls.fault_numbers(claim.name, [int(x) for x in found.group(1).split(";")])
