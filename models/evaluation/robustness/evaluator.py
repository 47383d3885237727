"""Robustness: do results stand when the instrument's parameters are off by their errors.

One movie is run again in the sandbox (`rerun.py`, `frazil.actors.sandbox_process`). The verdict is the share of pairs
(parameter, result) in which the result changes by less than its own stated error, formulas left out; it is no term of
V.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from frazil.models.evaluation.robustness.rerun import FORMULAS, PARTS, Findings
from frazil.models.evaluation.robustness.sensitivity import Sensitivity, most_fragile, robust_share
from frazil.models.evaluation.verdict import Json, Verdict, reliability

NAME = "sandbox"
UNIT = "robust share"
_NOT_VARIED = (
    "reconstruction was not run again: a sample of one movie has too few particles for a resolution",
    "parameters are varied one at a time: what two errors do together is not asked",
)


def evaluate(findings: Findings, walls: Mapping[str, str], stopped: str | None) -> Verdict:
    """The verdict on one rerun. The uncertainty is half the width of what is possible (rows so near to the border that
    the numerical derivative does not decide them); the reliability is the share of the parts that were run.

    Parameters
    ----------
    walls:
        Walls of the sandbox by name, with how each was made; an empty text: there was none.
    stopped:
        Why the rerun was stopped before its end; None: it was not.
    """
    rows = findings.rows
    # A person's formulas are told beside: what they add is already in what they are made from.
    measured = [row for row in rows if row.part != FORMULAS]
    share = robust_share(measured)
    worst = most_fragile(measured)
    unknown = [*([f"the rerun was stopped: {stopped}"] if stopped is not None else [])]
    unknown += [f"{part} was not run: {why}" for part, why in findings.not_run.items()]
    missing = [name for name, how in walls.items() if not how]
    if missing:
        unknown.append(f"this machine's sandbox has no wall for: {', '.join(missing)}")
    unknown += _NOT_VARIED
    wanted = [part for part in PARTS if part != FORMULAS]
    done = {row.part for row in rows}
    evidence: dict[str, Json] = {
        "movie_id": findings.movie_id,
        "most_fragile": None if worst is None else _sentence(worst),
        "sensitivities": [_row(row) for row in sorted(rows, key=lambda row: -(row.in_own_errors or 0.0))],
        "formulas": [dict(one) for one in findings.formulas],
        "walls": dict(walls),
        "stopped": stopped,
    }
    if share is None:
        reason = "nothing was run again" if not rows else "no result states an error of its own"
        return Verdict(NAME, None, unit=UNIT, evidence=evidence, does_not_know=(*unknown[:1], reason, *unknown[1:]))
    return Verdict(
        NAME,
        share[0],
        unit=UNIT,
        uncertainty=share[1],
        reliability=reliability(sum(part in done for part in wanted) / len(wanted)),
        evidence=evidence,
        does_not_know=tuple(unknown),
    )


def nothing(why: str) -> Verdict:
    """Nothing can be said."""
    return Verdict(NAME, None, unit=UNIT, does_not_know=(why,))


def _row(row: Sensitivity) -> dict[str, Json]:
    words = {True: "robust", False: "fragile", None: "unknown"}
    return {
        "settled": words[row.robust],
        "statement": f"{row.output} against {row.parameter}",
        "part": row.part,
        "parameter": row.parameter,
        "output": row.output,
        "in_own_errors": row.in_own_errors,
        "over_error": row.over_error,
        "error": row.error,
        "at": row.at,
        "per_unit": row.per_unit,
        "per_unit_error": row.per_unit_error,
        "smooth": row.smooth,
        "value": row.value,
    }


def _sentence(row: Sensitivity) -> str:
    assert row.in_own_errors is not None
    off = f"{row.parameter} off by its error of {row.error:.3g}"
    times = row.in_own_errors
    size = f"{times:.1f}" if times < 100 or not math.isfinite(times) else f"{times:.0f}"
    return f"{off} moves {row.output} by {size} of its own stated errors"
