"""Claims for an SMT solver (z3): quantifier-free integer arithmetic in SMT-LIB 2.

The *negation* of a claim is asserted, with what could refute it (an index, a shell, a shift) as variables: `unsat` is a
proof, and `sat` comes with a model, which is the counter-example.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from frazil.models.evaluation.logic.exact_models import CounterExample
from frazil.models.evaluation.logic.proving import smt_models
from frazil.models.evaluation.logic.proving.arithmetic import formula_of, leaf, prefix, smt_number
from frazil.models.evaluation.logic.proving.calls import KINDS
from frazil.models.evaluation.logic.proving.outcome import Outcome, Settled
from frazil.models.evaluation.logic.proving.smt_models import Encoding, any_of, every, select
from frazil.models.evaluation.logic.statements import Claim

MOST_CASES = 60_000
"""A claim with more cases (pairs of mates, entries of a table) is not given to the solver: its text would take longer
to read than to settle exactly."""

_Numbers: TypeAlias = Mapping[str, Any]


def encode(claim: Claim) -> Encoding | str:
    """What to ask the solver, or why it is not asked."""
    terms = {name: leaf(name) for name, value in claim.integers.items() if isinstance(value, int)}
    formula = formula_of(claim.name, terms)
    if formula is not None:
        names = tuple(terms)
        facts = [f"(= {name} {smt_number(int(claim.integers[name]))})" for name in names]  # type: ignore[arg-type]
        holds = every(f"({r.sign} {prefix(r.left)} {prefix(r.right)})" for r in formula)
        return Encoding(names, (*facts, f"(not {holds})"))
    cases = smt_models.case_count(claim) if claim.name in smt_models.ENCODERS else _case_count(claim)
    if cases > MOST_CASES:
        return f"{cases} cases are more than the {MOST_CASES} that a solver is given"
    return {**_ENCODERS, **smt_models.ENCODERS}[claim.name](claim.integers)


def script(encodings: Sequence[Encoding | str], *, resource_limit: int, milliseconds: int) -> str:
    """One problem after the other; the limits are for each. `resource_limit` counts the solver's own steps, so that
    what it gives up on does not depend on the machine."""
    lines: list[str] = []
    for number, encoding in enumerate(encodings):
        if isinstance(encoding, str):
            continue
        lines += ["(reset)", f"(set-option :rlimit {resource_limit})", f"(set-option :timeout {milliseconds})"]
        lines += encoding.definitions
        lines += [f"(declare-const {name} Int)" for name in encoding.variables]
        lines += [f"(assert {assertion})" for assertion in encoding.assertions]
        values = f"(get-value ({' '.join(encoding.variables)}))"
        lines += [f'(echo "claim {number}")', "(check-sat)", values]
    return "\n".join([*lines, ""])


def read_answers(claims: Sequence[Claim], encodings: Sequence[Encoding | str], printed: str) -> tuple[Outcome, ...]:
    """The solver's output, claim by claim."""
    answers: dict[int, str] = {}
    for part in re.split(r"^claim (?=\d+$)", printed, flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        answers[int(head)] = rest
    outcomes: list[Outcome] = []
    for number, (claim, encoding) in enumerate(zip(claims, encodings, strict=True)):
        if isinstance(encoding, str):
            outcomes.append(Outcome(Settled.UNKNOWN, reason=encoding))
            continue
        word, _, rest = answers.get(number, "").partition("\n")
        if word == "unsat":
            outcomes.append(Outcome(Settled.PROVED))
        elif word == "sat":
            outcomes.append(Outcome(Settled.REFUTED, _counter_example(claim, rest)))
        else:
            outcomes.append(Outcome(Settled.UNKNOWN, reason=f"the solver said {word!r}" if word else "no answer"))
    return tuple(outcomes)


def _counter_example(claim: Claim, printed: str) -> CounterExample:
    values: CounterExample = {
        name: -int(digits) if minus else int(digits)
        for name, minus, digits in re.findall(r"\((\w+) (?:\((-) )?(\d+)\)", printed)
    }
    if claim.name == "halves-disjoint":
        place = int(values["place"])
        return {"x_tenth_px": place % 10**7, "y_tenth_px": place // 10**7}
    why = KINDS.get(claim.name)
    if why is None:
        return values
    words, names = why[int(values["kind"])]
    return {**{name: values[name] for name in names}, "why": words}


def _case_count(claim: Claim) -> int:
    return sum(len(value) for value in claim.integers.values() if isinstance(value, tuple))


def _disjoint(n: _Numbers, name: str = "place") -> Encoding:
    first, second = (any_of(f"(= {name} {number})" for number in n[half]) for half in ("first", "second"))
    return Encoding((name,), (first, second))


def _group(n: _Numbers) -> Encoding:
    order, table = n["order"], [smt_number(entry) for entry in n["table"]]
    rows = [table[i * order : (i + 1) * order] for i in range(order)]
    for e in range(order):
        if len(rows[e]) != order:
            raise ValueError(f"a table of {order} operations has {order * order} entries")
    handed = select(("element", "determinant"), enumerate(n["handed"]))
    entries = select(("left", "right", "entry"), ((i, j, rows[i][j]) for i in range(order) for j in range(order)))
    definitions = [
        f"(define-fun identity_{e} () Bool {every(f'(= {rows[e][a]} {a}) (= {rows[a][e]} {a})' for a in range(order))})"
        for e in range(order)
    ]
    is_identity = any_of(f"(and (= identity {e}) identity_{e})" for e in range(order))
    lonely = any_of(
        f"(and (= element {i}) {every(f'(distinct identity {entry})' for entry in row)})" for i, row in enumerate(rows)
    )
    faults = (
        f"(and (= kind 1) {handed} (distinct determinant 1000))",
        f"(and (= kind 2) {entries} (not (and (<= 0 entry) (< entry {order}))))",
        f"(and (= kind 3) {every(f'(not identity_{e})' for e in range(order))})",
        f"(and (= kind 4) {is_identity} {lonely})",
    )
    names = ("kind", "element", "determinant", "left", "right", "entry", "identity")
    return Encoding(names, (any_of(faults),), tuple(definitions))


def _fsc_in_range(n: _Numbers) -> Encoding:
    shells = select(("shell", "fsc_x_10000"), enumerate(n["fsc"]))
    return Encoding(("shell", "fsc_x_10000"), (shells, "(not (and (<= (- 10000) fsc_x_10000) (<= fsc_x_10000 10000)))"))


def _fsc_starts_high(n: _Numbers) -> Encoding:
    first = select(("shell", "fsc_x_10000"), [(0, n["fsc"][0])])
    return Encoding(("shell", "fsc_x_10000"), (first, "(< fsc_x_10000 5000)"))


def _fsc_crosses(n: _Numbers) -> Encoding:
    fsc, at = n["fsc"], n["at"]
    last = len(fsc) - 1
    shell = select(("shell", "first_below", "fsc_x_10000"), ((i, at[i], fsc[i]) for i in range(last + 1)))
    before = every(f"(or (<= shell {i}) (<= 1430 {smt_number(value)}))" for i, value in enumerate(fsc))
    steps = [smt_number(b - a) for a, b in itertools.pairwise(at)] or ["0"]
    widest = every([any_of(f"(= step {step})" for step in steps), *(f"(<= {step} step)" for step in steps)])
    near = "(and (<= (- claimed first_below) (+ step 1)) (<= (- first_below claimed) (+ step 1)))"
    here = f"(or (< fsc_x_10000 1430) (= shell {last}))"
    names = ("shell", "first_below", "fsc_x_10000", "claimed", "step")
    return Encoding(names, (shell, before, here, widest, f"(= claimed {smt_number(n['claimed'])})", f"(not {near})"))


_ENCODERS: Mapping[str, Callable[[_Numbers], Encoding]] = {
    "halves-disjoint": _disjoint,
    "fibres-whole": lambda n: _disjoint(n, "fibre"),
    "group-closed": _group,
    "fsc-in-range": _fsc_in_range,
    "fsc-starts-high": _fsc_starts_high,
    "fsc-crosses-where-claimed": _fsc_crosses,
}
