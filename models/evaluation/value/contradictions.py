"""Contradictions between evaluators: pairs of things said of one session that cannot both be right.

Each check has a severity in [0, 1], 0 where the two go together; None where one of them has not been said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.logic.statements import ABOUT_SESSION, STATEMENTS
from frazil.models.evaluation.reproducibility.map_agreement import half_set_agreement
from frazil.models.evaluation.verdict import Verdict

_ABOUT_HALVES = tuple(
    name for name in STATEMENTS if name in ABOUT_SESSION and name.startswith(("halves", "map", "fsc"))
)
_FINER_THAN_RINGS = (1.5, 2.5)
"""A map a half finer than the best fitted rings is nothing unusual; 2.5 times is not believed."""
_REFUTED = 0.5
"""How much less the halves' agreement is worth for it. By how much it is wrong only the FSC could tell (`_plateau`)."""
_PLATEAU = (0.08, 0.75)
_TAIL_SHARE, _FLAT = 0.25, 0.25
_SHARED_NOISE = 0.5
"""Of where the masked FSC levels off, where the unmasked one does at least if it is by noise."""
_WORSE = (1.1, 1.5)
_APART = 0.3
"""By which halves of the particles may agree better than even and odd frames."""


@dataclass(frozen=True, slots=True)
class Check:
    """One pair that was held against each other."""

    name: str
    severity: float
    sentence: str


def checks(facts: RoundFacts, others: Sequence[Verdict], best_fit_angstrom: float | None) -> tuple[Check, ...]:
    """Those that can be made.

    `best_fit_angstrom`: the finest rings that a CTF fit of the session claims.
    """
    said = {verdict.evaluator: verdict for verdict in others}
    parts = _parts(said)
    found = [
        _refuted_but_agreeing(said, parts),
        _frames_apart(parts),
        _finer_than_rings(facts, best_fit_angstrom),
        _plateau(facts),
        _worse_with_more(facts),
    ]
    return tuple(check for check in found if check is not None)


def consistency(made: Sequence[Check]) -> float | None:
    """Product of what each check leaves; None: none was made."""
    return float(np.prod([1.0 - check.severity for check in made])) if made else None


def _parts(said: Mapping[str, Verdict]) -> Mapping[str, Any]:
    parts = said["reproducibility"].evidence.get("parts", {}) if "reproducibility" in said else {}
    return parts if isinstance(parts, Mapping) else {}


def _refuted_but_agreeing(said: Mapping[str, Verdict], parts: Mapping[str, Any]) -> Check | None:
    if "half_sets" not in parts or "logic" not in said:
        return None
    rows: Any = said["logic"].evidence.get("obligations", ())
    refuted = [row["name"] for row in rows if row["name"] in _ABOUT_HALVES and row["refuted"]]
    if not refuted:
        return Check("halves-against-logic", 0.0, "logic refutes nothing about the halves that agree")
    sentence = (
        f"half-sets agree by {parts['half_sets']:.2f}, but logic refutes what they rest on ({', '.join(refuted)})"
    )
    return Check("halves-against-logic", _REFUTED, sentence)


def _frames_apart(parts: Mapping[str, Any]) -> Check | None:
    if "half_sets" not in parts or "rings" not in parts:
        return None
    apart = float(parts["half_sets"]) - float(parts["rings"])
    severity = float(np.clip((apart - _APART) / (1 - _APART), 0.0, 1.0))
    sentence = f"half-sets agree by {parts['half_sets']:.2f}, even and odd frames by {parts['rings']:.2f}"
    return Check("halves-against-frames", severity, sentence)


def _finer_than_rings(facts: RoundFacts, best_fit_angstrom: float | None) -> Check | None:
    resolution = None if facts.map is None else facts.map.resolution_0143_angstrom
    if resolution is None or best_fit_angstrom is None:
        return None
    low, high = _FINER_THAN_RINGS
    severity = float(np.clip((best_fit_angstrom / resolution - low) / (high - low), 0.0, 1.0))
    sentence = f"the map claims {resolution:.1f} A, the best CTF fit reaches {best_fit_angstrom:.1f} A"
    return Check("map-against-rings", severity, sentence)


def _plateau(facts: RoundFacts) -> Check | None:
    """FSC of halves that share nothing but the specimen falls to 0 or ends on its way down. One that levels off at p is
    that of halves with particles, or noise, in common: (F - p) / (1 - p) is what they would have without (as with a
    mask, Chen et al. 2013). The severity is the share of their agreement that is lost by this.

    A map whose pixels end before its specimen does levels off, too. Noise that halves share fills their boxes, a
    specimen does not: without a mask the one stays where it is and the other sinks by what the solvent adds."""
    if facts.map is None or len(facts.map.fsc) < 8:
        return None
    tail = np.array(facts.map.fsc)[-max(4, round(_TAIL_SHARE * len(facts.map.fsc))) :]
    level = float(tail.mean())
    fall = float(tail[: len(tail) // 2].mean() - tail[len(tail) // 2 :].mean())
    low, high = _PLATEAU
    flat = low < level < high and abs(fall) < _FLAT * level
    if facts.map.fsc_unmasked is not None:
        outside = float(np.array(facts.map.fsc_unmasked)[-tail.size :].mean())
        flat, level = flat and outside > max(low, _SHARED_NOISE * level), min(level, outside)
    if not flat:
        return Check("fsc-against-halves", 0.0, f"the FSC ends at {level:.2f}")
    freed = replace(facts.map, fsc=tuple((value - level) / (1.0 - level) for value in facts.map.fsc))
    as_it_is, without = half_set_agreement(facts.map), half_set_agreement(freed)
    lost = 1.0 - without[0] / as_it_is[0] if as_it_is and without and as_it_is[0] > 0 else 0.0
    sentence = f"the FSC levels off at {level:.2f}: the halves are said to be independent, and share something"
    return Check("fsc-against-halves", min(1.0, max(0.0, lost)), sentence)


def _worse_with_more(facts: RoundFacts) -> Check | None:
    if len(facts.map_rounds) < 2:
        return None
    now, best = facts.map_rounds[-1][1], min(resolution for _, resolution in facts.map_rounds[:-1])
    low, high = _WORSE
    severity = float(np.clip((now / best - low) / (high - low), 0.0, 1.0))
    return Check(
        "map-against-itself", severity, f"the map is at {now:.1f} A, and was at {best:.1f} A with fewer movies"
    )
