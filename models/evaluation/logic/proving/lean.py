"""Claims as Lean 4 theorems, each together with its negation: `omega` for relations of a few numbers, `decide +kernel`
for the rest.

Exactly one of the two compiles, so a file always has errors; an error anywhere else voids all of it. What Lean says is
not believed blindly: the text is searched for `sorry`, axioms and `native_decide` before, and the diagnostics for
warnings and foreign axioms after (the compiler's own word for `sorry` has changed between versions).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources

from frazil.models.evaluation.logic.exact_models import CounterExample
from frazil.models.evaluation.logic.proving import calls
from frazil.models.evaluation.logic.proving.arithmetic import formula_of, infix, leaf
from frazil.models.evaluation.logic.proving.outcome import Outcome, Settled, unknown
from frazil.models.evaluation.logic.statements import Claim

MOST_CASES = 30_000
"""A claim with more comparisons is not given to Lean's kernel: a millisecond or so each."""
MOST_CLAIMS = 40
"""In one file: Lean ends after a hundred errors."""

_FORBIDDEN = re.compile(r"\b(sorry|sorryAx|admit|axiom|native_decide|unsafe|implemented_by|extern|ofReduceBool)\b")
_TRUSTED_AXIOMS = frozenset({"propext", "Quot.sound", "Classical.choice"})
"""Those of Lean's core logic."""


def script(claims: Sequence[Claim], *, print_axioms: bool = True) -> str:
    """Prelude and claims. Claims that are too large are left out."""
    parts = [resources.files(__package__).joinpath("prelude.lean").read_text("utf-8")]
    for number, claim in enumerate(claims):
        if too_large(claim) is None:
            parts.append(_theorems(number, claim, print_axioms=print_axioms))
    return "\n".join([*parts, "end Claims\n"])


def too_large(claim: Claim) -> str | None:
    """Why Lean is not asked."""
    cases = calls.case_count(claim)
    return f"{cases} comparisons are more than the {MOST_CASES} that Lean is given" if cases > MOST_CASES else None


def theorem_names(text: str) -> tuple[str, ...]:
    """Of a generated file, in its order."""
    return tuple(re.findall(r"^theorem (\w+)", text, re.MULTILINE))


def read_answers(claims: Sequence[Claim], text: str, printed: str, *, finished: bool) -> tuple[Outcome, ...]:
    """Lean's JSON diagnostics (one a line) about this text. `finished`: Lean ran to the end of the file."""
    forbidden = _FORBIDDEN.search(re.sub(r"/-.*?-/|--[^\n]*", "", text, flags=re.DOTALL))
    if forbidden is not None:
        return unknown(len(claims), f"the generated file says {forbidden.group()}")
    if not finished:
        return unknown(len(claims), "Lean did not read the file to its end")
    said = _read(text, printed)
    if said.void is not None:
        return unknown(len(claims), f"Lean refused the file: {said.void}")
    return tuple(_answer(number, claim, said) for number, claim in enumerate(claims))


@dataclass(slots=True)
class _Said:
    failed: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    void: str | None = None


def _theorems(number: int, claim: Claim, *, print_axioms: bool) -> str:
    terms = {name: leaf(value) for name, value in claim.integers.items() if isinstance(value, int)}
    formula = formula_of(claim.name, terms)
    if formula is not None:
        sign = {"=": "=", "<=": "≤"}
        statement = " ∧ ".join(f"({infix(r.left)} : Int) {sign[r.sign]} {infix(r.right)}" for r in formula)
        yes, no = (
            f"theorem yes_{number} : {statement} := by omega",
            f"theorem no_{number} : ¬ ({statement}) := by omega",
        )
        lines = [yes, no]
    else:
        lines = [f"noncomputable def fault_{number} : Fault := {calls.call(claim, calls.LEAN)}"]
        for word, value in (("yes", "true"), ("no", "false")):
            lines.append(f"theorem {word}_{number} : holds fault_{number} = {value} := by decide +kernel")
    if print_axioms:
        lines += [f"#print axioms yes_{number}", f"#print axioms no_{number}"]
    return "\n".join(lines) + "\n"


def _read(text: str, printed: str) -> _Said:
    owners: dict[int, str] = {}
    said = _Said()
    owner = ""
    for line_number, line in enumerate(text.splitlines(), start=1):
        found = re.match(r"(?:theorem|noncomputable def|#print axioms|end) ?(\w*)", line)
        if found is not None:
            owner = "" if line.startswith("#") else found.group(1)
            if line.startswith("#"):
                owner = "#"
            elif line.startswith("theorem"):
                said.names.add(owner)
        owners[line_number] = owner
    for line in printed.splitlines():
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        place, what = owners.get(int(message["pos"]["line"]), ""), str(message["data"])
        if place == "#":
            _note_axioms(what, said)
        elif message["severity"] == "error" or "sorry" in what:
            if place in said.names:
                said.failed.add(place)
            else:
                said.void = said.void or what.splitlines()[0]
    return said


def _note_axioms(what: str, said: _Said) -> None:
    found = re.match(r"'(?:Claims\.)?(\w+)' depends on axioms: \[([^\]]*)\]", what)
    if found is not None and not {name.strip() for name in found.group(2).split(",")} <= _TRUSTED_AXIOMS:
        said.failed.add(found.group(1))


def _answer(number: int, claim: Claim, said: _Said) -> Outcome:
    reason = too_large(claim)
    if reason is not None:
        return Outcome(Settled.UNKNOWN, reason=reason)
    proved, denied = (name in said.names and name not in said.failed for name in (f"yes_{number}", f"no_{number}"))
    if proved == denied:
        reason = (
            "Lean proved the claim and its negation" if proved else "Lean proved neither the claim nor its negation"
        )
        return Outcome(Settled.UNKNOWN, reason=reason)
    if proved:
        return Outcome(Settled.PROVED)
    # The theorem about a relation names its numbers; of the others Lean says that there is a fault, not where.
    numbers: CounterExample = {name: value for name, value in claim.integers.items() if isinstance(value, int)}
    return Outcome(Settled.REFUTED, numbers if calls.is_relation(claim) else None)
