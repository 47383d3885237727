"""What the evaluators say, as sentences for a person: a value with its unit, and what it rests on. Pure.

Evidence is JSON of a form that each evaluator chooses. What is known of it is told in words; of an evaluator that is
not known here, the plain numbers of its evidence. JSON itself is never shown: `--json` has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from frazil.models.interval_words import eighty

Evidence = Mapping[str, Any]

TITLES: Mapping[str, str] = {
    "hyperscore": "HyperScore",
    "value": "V",
    "logic": "consistency",
    "reproducibility": "reproducibility",
    "meta": "self-check",
    "feasibility": "goal in reach",
    "sandbox": "robustness",
    "temper": "learning pace",
    "novelty": "novelty",
    "impact": "citations",
}
"""What a person reads for an evaluator, in the order in which they are told: the words of the screen. By name,
so that telling them needs none of what judging needs (a test compares these with the panel's)."""
SCALES: Mapping[str, str] = {
    "hyperscore": "100 is worst, 111 has every term at its best; above that only with citations to come, at most 200",
    "value": "the whole in one number: 0 is worst, 1 has every term at its best; citations to come can lift it higher",
    "logic": "of what must hold; 100 % is best: all of it is proved",
    "reproducibility": "half-sets, second runs, costs; 100 % is best: all comes out the same",
    "meta": "whether the verdicts can be believed; 100 % is best: nothing speaks against them",
    "feasibility": "up to 1 it is within reach",
    "sandbox": "against the instrument's errors; 100 % is best: every result stands",
    "temper": "how much new movies teach; 1: new evidence counts in full; 0: it is not believed at all",
    "novelty": "against known structures; 0 %: known, 100 %: like nothing known; neither is better",
    "impact": "the median of what is foretold for five years; there is no best",
}
"""Which value is good, for a person who has never seen the evaluator."""
_PARTS = {
    "half_sets": "the map's halves",
    "rings": "rings in even and odd frames",
    "reruns": "second runs",
    "cost": "computing cost against its forecast",
    "consistency": "verdicts do not contradict each other",
    "steadiness": "verdicts are steady",
    "calibration": "forecasts came true",
    "drift": "no drift",
}
_SCARCE = {"microscope_h": "microscope time", "compute_h": "computing time", "disk_bytes": "disk"}
_SHOWN = 3
CONTRADICTION = "a contradiction: "
"""How such a sentence of `meta` begins."""


def title(evaluator: str) -> str:
    """The evaluator's question in words; its own name where it is not known here."""
    return TITLES.get(evaluator, evaluator.replace("_", " "))


def scale(evaluator: str) -> str:
    """Its range, and which end of it is good; empty where the evaluator is not known here."""
    return SCALES.get(evaluator, "")


def place(evaluator: str) -> tuple[int, str]:
    """To sort by: known ones in the order of `TITLES`, then the others."""
    known = list(TITLES)
    return (known.index(evaluator) if evaluator in known else len(known), evaluator)


def value_words(
    evaluator: str, verdict: float | None, uncertainty: float | None, unit: str | None, evidence: Evidence
) -> str:
    """`0.82 +- 0.002` with what it is counted in; words where the number alone would mislead."""
    if verdict is None:
        return "nothing can be said"
    if evaluator == "feasibility":
        if evidence.get("reached"):
            return "yes, it is reached"
        return f"{'yes' if verdict <= 1 else 'no'}: {_with_error(verdict, uncertainty)} of what is left is needed"
    if evaluator in ("logic", "sandbox", "reproducibility", "meta", "novelty"):
        text = f"{100 * verdict:.0f} %"
        return text if not uncertainty or uncertainty < 0.005 else f"{text} (+- {100 * uncertainty:.0f} %)"
    if evaluator == "impact":
        return f"{_with_error(verdict, uncertainty)} citations in five years"
    of = f" ({unit})" if unit and evaluator not in SCALES else ""
    return f"{_with_error(verdict, uncertainty)}{of}"


def sentences(evaluator: str, evidence: Evidence) -> tuple[str, ...]:
    """What the verdict rests on, most important first; empty: nothing is known of it."""
    tell = _TELLERS.get(evaluator, _plain)
    return tuple(sentence for sentence in tell(evidence) if sentence)


def unknown(evidence: Evidence) -> tuple[str, ...]:
    """What the evaluator does not know; without a verdict the first says why."""
    said = evidence.get("does_not_know")
    return tuple(str(one) for one in said) if isinstance(said, list) else ()


def _logic(evidence: Evidence) -> list[str]:
    proved, refuted, still = (int(evidence.get(key) or 0) for key in ("proved", "refuted", "unknown"))
    told = [f"{proved} of {proved + refuted + still} claims that must hold are proved from the session's numbers"]
    rows = [row for row in evidence.get("obligations") or () if isinstance(row, Mapping)]
    wrong = [str(row.get("statement") or row.get("name")) for row in rows if row.get("settled") == "refuted"]
    told += [f"refuted: {statement}" for statement in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        told.append(f"and {len(wrong) - _SHOWN} more refuted")
    return told


def _reproducibility(evidence: Evidence) -> list[str]:
    return [_parts(evidence.get("parts"), "weakest first: ")]


def _meta(evidence: Evidence) -> list[str]:
    rows = [row for row in evidence.get("contradictions") or () if isinstance(row, Mapping)]
    worst = sorted(rows, key=lambda row: -float(row.get("severity") or 0.0))
    told = [f"{CONTRADICTION}{row.get('sentence')}" for row in worst[:_SHOWN] if row.get("sentence")]
    due, held = int(evidence.get("forecasts_due") or 0), int(evidence.get("forecasts_held") or 0)
    if due:
        told.append(f"{held} of {due} forecasts of the map that came due were true")
    return [*told, _parts(evidence.get("parts"), "")]


def _value(evidence: Evidence) -> list[str]:
    terms, weights = evidence.get("terms"), evidence.get("weights")
    if not isinstance(terms, Mapping) or not terms or not isinstance(weights, Mapping):
        return []
    rows = sorted(terms, key=lambda name: -float(weights.get(name) or 0.0))
    told = [f"{name} {_figure(terms[name])} (weight {100 * float(weights.get(name) or 0.0):.0f} %)" for name in rows]
    return ["weighted mean of " + ", ".join(told)]


def _hyperscore(evidence: Evidence) -> list[str]:
    return [f"made of V = {_figure(evidence['v'])}; steeper where V is high"] if _is_number(evidence.get("v")) else []


def _temper(evidence: Evidence) -> list[str]:
    given = evidence.get("reliabilities")
    if not isinstance(given, Mapping) or not given:
        return []
    weakest = min(given, key=lambda name: float(given[name]))
    left_out = [str(name) for name in evidence.get("why") or () if name not in given]
    told = [f"of {', '.join(left_out)} nobody can say, so they are left out"] if left_out else []
    if float(given[weakest]) >= 1.0:
        return ["new evidence counts in full", *told]
    return [f"what holds it back most: {weakest}, whose evidence counts {100 * float(given[weakest]):.0f} %", *told]


def _feasibility(evidence: Evidence) -> list[str]:
    goal, now = evidence.get("goal_angstrom"), evidence.get("resolution_angstrom")
    told = []
    if _is_number(goal):
        told.append(
            f"the goal is {goal:g} A, by the settings" + (f"; the map is at {now:.2f} A" if _is_number(now) else "")
        )
    more, between = evidence.get("more_movies"), evidence.get("more_movies_80")
    if _is_number(more):
        span = eighty(between[0], between[-1], 0) if isinstance(between, list) and len(between) == 2 else ""
        told.append(f"{more} more movies{span}")
    scarcest = evidence.get("scarcest")
    if scarcest:
        told.append(f"scarcest is {_SCARCE.get(str(scarcest), str(scarcest))}")
    return told


def _sandbox(evidence: Evidence) -> list[str]:
    rows = [row for row in evidence.get("sensitivities") or () if isinstance(row, Mapping)]
    count = {word: sum(row.get("settled") == word for row in rows) for word in ("robust", "fragile", "unknown")}
    told = []
    if rows:
        told.append(
            f"of {len(rows)} results run again with the instrument off by its errors, {count['robust']} stand, "
            f"{count['fragile']} do not, of {count['unknown']} nothing can be said"
        )
    if evidence.get("most_fragile"):
        told.append(f"most fragile: {_worded(str(evidence['most_fragile']))}")
    return told


def _novelty(evidence: Evidence) -> list[str]:
    nearest = [row for row in evidence.get("nearest") or () if isinstance(row, Mapping)]
    if not nearest:
        return []
    names = ", ".join(f"{row.get('name')} ({_figure(row.get('distance'))})" for row in nearest[:_SHOWN])
    return [f"nearest of {evidence.get('references')} known structures, with distances: {names}"]


def _impact(evidence: Evidence) -> list[str]:
    between = evidence.get("interval_80")
    told = [f"80 %: {between[0]} to {between[1]}"] if isinstance(between, list) and len(between) == 2 else []
    if evidence.get("graph_nodes"):
        told.append(f"from a graph of {evidence['graph_nodes']} works")
    return told


def _plain(evidence: Evidence) -> list[str]:
    """Scalars of an evaluator that is not known here, beside their names."""
    told = [
        f"{str(key).replace('_', ' ')}: {_figure(value) if _is_number(value) else value}"
        for key, value in evidence.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    return [", ".join(told)] if told else []


_TELLERS: Mapping[str, Callable[[Evidence], list[str]]] = {
    "logic": _logic,
    "reproducibility": _reproducibility,
    "meta": _meta,
    "value": _value,
    "hyperscore": _hyperscore,
    "temper": _temper,
    "feasibility": _feasibility,
    "sandbox": _sandbox,
    "novelty": _novelty,
    "impact": _impact,
}


def _parts(parts: object, start: str) -> str:
    if not isinstance(parts, Mapping):
        return ""
    known = {str(name): float(value) for name, value in parts.items() if _is_number(value)}
    told = [f"{_PARTS.get(name, name)} {100 * known[name]:.0f} %" for name in sorted(known, key=lambda n: known[n])]
    return start + ", ".join(told) if told else ""


def _worded(text: str) -> str:
    """Names of quantities as words; their errors are told in their own units anyway."""
    return text.replace("_angstrom", "").replace("_", " ")


def _with_error(verdict: float, uncertainty: float | None) -> str:
    """To the place of the error's first digit."""
    if not uncertainty:
        return _figure(verdict)
    digits = min(3, max(0, -math.floor(math.log10(uncertainty))))
    return f"{verdict:.{digits}f} +- {uncertainty:.{digits}f}"


def _figure(value: Any) -> str:
    if not _is_number(value):
        return "not known"
    return f"{value:d}" if isinstance(value, int) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
