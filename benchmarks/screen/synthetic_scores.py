"""Verdicts of a session that never was, for the screen's tests and pictures. Nothing is measured here."""

from __future__ import annotations

import json
import math

from frazil.daemon.transport.messages import Rows, Scalar

START_UTC_US = 1_790_000_000_000_000
_COLUMNS = ("round", "evaluator", "created_utc_us", "verdict", "uncertainty", "reliability", "unit", "seconds")
_UNITS = {
    "hyperscore": "100-200", "impact": "citations in 5 years", "logic": "share proved", "meta": "steadiness",
    "novelty": "0-1", "reproducibility": "ring agreement of halves", "temper": "exponent", "value": "V",
    "sandbox": "robust share",
}  # fmt: skip
_STATEMENTS = (
    ("frames-counted", "every frame of a movie has one measured shift"),
    ("dose-adds-up", "frames x dose per frame is the total dose, within 6 %"),
    ("halves-disjoint", "no particle is in both halves of the map"),
    ("fit-within-nyquist", "no CTF fit claims detail beyond Nyquist"),
    ("frames-promised", "a movie has the frames that its sidecar promises"),
)


def answer(name: str, params: dict[str, Scalar], rounds: int) -> Rows:
    """To the queries `verdicts` and `evidence`."""
    if name == "verdicts":
        last = params["last"]
        assert isinstance(last, int)
        numbers = range(max(0, rounds - last), rounds)
        return Rows(_COLUMNS, tuple(_row(n, evaluator) for n in numbers for evaluator in sorted(_UNITS)))
    number = params.get("round")
    evaluator = str(params["evaluator"])
    told = _evidence(evaluator, rounds - 1 if number is None else int(number))
    return Rows(("round", "evaluator", "evidence_json"), ((number, evaluator, json.dumps(told)),))


def _verdict(number: int, evaluator: str) -> tuple[float, float] | None:
    """Verdict and its error; None: nothing can be said."""
    settled = 1 - math.exp(-(number + 1) / 6)
    logic, repro, meta = (0.8 if number >= 30 else 1.0), 0.72 + 0.2 * settled, 0.86 + 0.12 * settled
    value = (logic + repro + meta) / 3
    match evaluator:
        case "logic":
            return logic, 0.0
        case "reproducibility":
            return repro, 0.12 / math.sqrt(number + 1)
        case "meta":
            return (meta, 0.04 / math.sqrt(number)) if number else None
        case "temper":
            return 0.93 + 0.05 * math.sin(number), 0.0
        case "sandbox":
            return 0.88 - 0.08 * (number >= 30), 0.06
        case "value":
            return value, 0.05 / math.sqrt(number + 1)
        case "hyperscore":
            return 100 * (1 + (1 / (1 + math.exp(-(5 * math.log(value) - math.log(2))))) ** 2), 4 / math.sqrt(
                number + 1
            )
    return None


def _row(number: int, evaluator: str) -> tuple[Scalar, ...]:
    said = _verdict(number, evaluator)
    verdict, error = (None, None) if said is None else (round(said[0], 4), round(said[1], 4) or None)
    reliability = (
        1.0 if verdict is None else 0.42 if evaluator == "temper" else min(1.0, verdict / (100 if verdict > 1 else 1))
    )
    return (number, evaluator, START_UTC_US + number * 57_000_000, verdict, error, min(1.0, reliability),
            _UNITS[evaluator], 0.002)  # fmt: skip


def _evidence(evaluator: str, number: int) -> dict[str, object]:
    if evaluator == "logic":
        refuted = number >= 30
        return {
            "proved": 4 - refuted + 0, "refuted": int(refuted), "unknown": 1, "prover": "exact integers",
            "obligations": [
                {
                    "name": name, "statement": statement,
                    "settled": "refuted" if refuted and place == 3 else "unknown" if place == 4 else "proved",
                    "checked": 0 if place == 4 else 5 * (number + 1), "refuted": int(refuted and place == 3),
                    "subject": "000000a1" if refuted and place == 3 else None,
                    "counter_example": {"fit_mA": 1640, "nyquist_mA": 1668} if refuted and place == 3 else None,
                }
                for place, (name, statement) in enumerate(_STATEMENTS)
            ],
            "does_not_know": [f"nothing to decide yet: {_STATEMENTS[4][1]}"],
        }  # fmt: skip
    if evaluator in ("novelty", "impact"):
        return {"references": 0, "does_not_know": ["no reference structures supplied"]}
    if evaluator == "reproducibility":
        return {
            "movies_compared": 5 * (number + 1), "movies_without_comparison": 0,
            "this_round": [
                {"movie_id": f"{5 * number + i:08x}", "agreement": 0.88 + 0.02 * i, "standard_error": 0.03}
                for i in range(5)
            ],
            "does_not_know": ["rerun agreement: nothing was run twice"],
        }  # fmt: skip
    if evaluator == "sandbox":
        return {
            "movie_id": "00000010", "rerun_round": number // 10 * 10,
            "most_fragile": "pixel_size_angstrom off by its error of 0.0042 moves defocus_u_angstrom by 8.1 of its own "
            "stated errors",
            "sensitivities": [
                {
                    "settled": settled, "statement": f"{output} against {parameter}", "in_own_errors": times,
                    "per_unit": slope, "smooth": True,
                }
                for settled, output, parameter, times, slope in (
                    ("fragile", "defocus_u_angstrom", "pixel_size_angstrom", 8.1, 35_200.0),
                    ("robust", "defocus_u_angstrom", "voltage_kv", 0.6, 29.4),
                    ("robust", "total_motion_angstrom", "pixel_size_angstrom", 0.2, 11.9),
                )
            ],
            "walls": {"files": "Landlock 7", "processes": "filter of system calls", "memory": "8192 MiB"},
            "does_not_know": ["parameters are varied one at a time: what two errors do together is not asked"],
        }  # fmt: skip
    if evaluator == "value":
        terms = {
            name: round((_verdict(number, name) or (0.0, 0.0))[0], 4) for name in ("logic", "reproducibility", "meta")
        }
        left_out = ["novelty is undefined and left out", "impact is undefined and left out"]
        return {"terms": terms, "weights": dict.fromkeys(terms, 1 / 3), "does_not_know": left_out}
    return {"rounds": number + 1, "does_not_know": []}
