"""Claims about crystals in SMT-LIB 2: see `smt`. The solver itself multiplies operations, metrics and distances."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frazil.models.evaluation.logic.proving.arithmetic import smt_number
from frazil.models.evaluation.logic.statements import Claim
from frazil.models.symmetry_model import TRANSLATION_UNIT

_GRID = 1000 * TRANSLATION_UNIT
_PRODUCT = """(define-fun code ((a Int) (b Int) (c Int) (d Int) (e Int) (f Int) (g Int) (h Int) (i Int)
 (x Int) (y Int) (z Int)) Int (let ((r (+ a (* 1000 b) (* 1000000 c) (* 1000000000 d) (* 1000000000000 e)
 (* 1000000000000000 f) (* 1000000000000000000 g) (* 1000000000000000000000 h) (* 1000000000000000000000000 i))))
 (+ (mod x 24) (* 24 (mod y 24)) (* 576 (mod z 24)) (* 13824 r))))
(define-fun product ((a Int) (b Int) (c Int) (d Int) (e Int) (f Int) (g Int) (h Int) (i Int) (x Int) (y Int) (z Int)
 (j Int) (k Int) (l Int) (m Int) (n Int) (o Int) (p Int) (q Int) (r Int) (u Int) (v Int) (w Int)) Int (code
 (+ (* a j) (* b m) (* c p)) (+ (* a k) (* b n) (* c q)) (+ (* a l) (* b o) (* c r))
 (+ (* d j) (* e m) (* f p)) (+ (* d k) (* e n) (* f q)) (+ (* d l) (* e o) (* f r))
 (+ (* g j) (* h m) (* i p)) (+ (* g k) (* h n) (* i q)) (+ (* g l) (* h o) (* i r))
 (+ x (* a u) (* b v) (* c w)) (+ y (* d u) (* e v) (* f w)) (+ z (* g u) (* h v) (* i w))))"""
"""An operation as one integer (entries of a product are below 500 in size, so that no two share it), and products."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """One problem: the claim is refuted by values of the variables that satisfy every assertion."""

    variables: tuple[str, ...]
    assertions: tuple[str, ...]
    definitions: tuple[str, ...] = ()


def every(parts: Iterable[str]) -> str:
    return f"(and true {' '.join(parts)})"


def any_of(parts: Iterable[str]) -> str:
    return f"(or false {' '.join(parts)})"


def select(names: Sequence[str], rows: Iterable[Sequence[int | str]]) -> str:
    """The variables are one of the rows."""
    return any_of(
        every(f"(= {name} {smt_number(v) if isinstance(v, int) else v})" for name, v in zip(names, row, strict=True))
        for row in rows
    )


def case_count(claim: Claim) -> int:
    """How many cases the solver is given."""
    operations = len(_chunks(claim.integers["operations"], 12))
    if claim.name == "operations-closed":
        return operations**2
    if claim.name == "mates-apart":
        spheres = len(_chunks(claim.integers["spheres"], 4))
        return operations * spheres**2 * len(_shifts(claim.integers["shifts"]))
    return 9 * operations


def _closed(n: Mapping[str, Any]) -> Encoding:
    operations = [" ".join(chunk) for chunk in _chunks(n["operations"], 12)]
    places = range(len(operations))
    codes = tuple(f"(define-fun code_{k} () Int (code {operation}))" for k, operation in enumerate(operations))
    missing = every(f"(distinct (code 1 0 0 0 1 0 0 0 1 0 0 0) code_{k})" for k in places)
    twice = any_of(
        f"(and (= left {j}) (= right {i}) (= code_{i} code_{j}))" for i, j in itertools.combinations(places, 2)
    )
    products = select(
        ("left", "right", "made"),
        ((i, j, f"(product {operations[i]} {operations[j]})") for i, j in itertools.product(places, repeat=2)),
    )
    outside = every(f"(distinct made code_{k})" for k in places)
    faults = (f"(and (= kind 1) {missing})", f"(and (= kind 2) {twice})", f"(and (= kind 3) {products} {outside})")
    return Encoding(("kind", "left", "right", "made"), (any_of(faults),), (_PRODUCT, *codes))


def _proper(n: Mapping[str, Any]) -> Encoding:
    rows = [(k, _determinant(chunk)) for k, chunk in enumerate(_chunks(n["operations"], 12))]
    names = ("operation", "determinant")
    return Encoding(names, (select(names, rows), "(distinct determinant 1)"))


def _fits(n: Mapping[str, Any]) -> Encoding:
    metric, error = _texts(n["metric"]), _texts(n["error"])
    rows = [
        (k, i, j, _congruent(chunk, metric, i, j), metric[3 * i + j], _allowed(chunk, error, i, j))
        for k, chunk in enumerate(_chunks(n["operations"], 12))
        for i in range(3)
        for j in range(3)
    ]
    names = ("operation", "row", "column", "turned", "metric", "allowed")
    off = "(or (> (- turned metric) allowed) (> (- metric turned) allowed))"
    return Encoding(names, (select(names, rows), off), (_ABSOLUTE,))


def _apart(n: Mapping[str, Any]) -> Encoding:
    metric, error = _texts(n["metric"]), _texts(n["error"])
    spheres = _chunks(n["spheres"], 4)
    definitions = [
        _ABSOLUTE,
        f"(define-fun form ((x Int) (y Int) (z Int)) Int {_form(metric, 'xyz')})",
        f"(define-fun doubt ((x Int) (y Int) (z Int)) Int {_form(error, 'xyz')})",
        "(define-fun touches ((x Int) (y Int) (z Int) (r Int)) Bool (< (* 1000 (+ (form x y z) "
        f"(doubt (absolute x) (absolute y) (absolute z)))) (* r r {_GRID} {_GRID})))",
    ]
    identity = ["1", "0", "0", "0", "1", "0", "0", "0", "1", "0", "0", "0"]
    names = ("operation", "first", "second", "shift_x", "shift_y", "shift_z")
    cases: list[str] = []
    for k, operation in enumerate(_chunks(n["operations"], 12)):
        for i, first in enumerate(spheres):
            for axis, name in enumerate("xyz"):
                row = operation[3 * axis : 3 * axis + 3]
                moved = " ".join(f"(* {w} {u})" for w, u in zip(row, first[:3], strict=True))
                mate = f"(mod (+ {moved} (* 1000 {operation[9 + axis]})) {_GRID})"
                definitions.append(f"(define-fun mate_{k}_{i}_{name} () Int {mate})")
            for j, second in enumerate(spheres):
                for shift in _shifts(n["shifts"]):
                    if operation == identity and not any(shift):
                        continue
                    v = " ".join(
                        f"(- (+ mate_{k}_{i}_{name} {smt_number(_GRID * s)}) {u})"
                        for name, s, u in zip("xyz", shift, second[:3], strict=True)
                    )
                    which = select(names, [(k, i, j, *shift)])
                    cases.append(f"(and {which} (touches {v} (+ {first[3]} {second[3]})))")
    return Encoding(names, (any_of(cases),), tuple(definitions))


ENCODERS: Mapping[str, Callable[[Mapping[str, Any]], Encoding]] = {
    "operations-closed": _closed,
    "operations-proper": _proper,
    "cell-fits-operations": _fits,
    "mates-apart": _apart,
}

_ABSOLUTE = "(define-fun absolute ((x Int)) Int (ite (< x 0) (- x) x))"


def _determinant(w: Sequence[str]) -> str:
    def minor(a: int, b: int, c: int, d: int) -> str:
        return f"(- (* {w[a]} {w[d]}) (* {w[b]} {w[c]}))"

    return f"(+ (* {w[0]} {minor(4, 5, 7, 8)}) (- (* {w[1]} {minor(3, 5, 6, 8)})) (* {w[2]} {minor(3, 4, 6, 7)}))"


def _congruent(w: Sequence[str], g: Sequence[str], i: int, j: int) -> str:
    """Entry of W^T G W."""
    parts = (f"(* {w[3 * k + i]} {g[3 * k + m]} {w[3 * m + j]})" for k in range(3) for m in range(3))
    return f"(+ {' '.join(parts)})"


def _allowed(w: Sequence[str], d: Sequence[str], i: int, j: int) -> str:
    return f"(+ {d[3 * i + j]} {_congruent([f'(absolute {entry})' for entry in w], d, i, j)})"


def _form(g: Sequence[str], v: str) -> str:
    return f"(+ {' '.join(f'(* {g[3 * i + j]} {v[i]} {v[j]})' for i in range(3) for j in range(3))})"


def _shifts(most: Any) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(-s, s + 1) for s in most)))


def _chunks(numbers: Any, size: int) -> list[list[str]]:
    return [_texts(numbers[i : i + size]) for i in range(0, len(numbers), size)]


def _texts(numbers: Sequence[int]) -> list[str]:
    return [smt_number(number) for number in numbers]
