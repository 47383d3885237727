"""The oracle: settles claims by exact integer arithmetic. Other provers must agree with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from frazil.models.evaluation.logic import exact_models
from frazil.models.evaluation.logic.exact_models import CounterExample
from frazil.models.evaluation.logic.statements import Claim

__all__ = ["CounterExample", "counter_example"]

_Checker: TypeAlias = Callable[[Mapping[str, Any]], CounterExample | None]

_FSC_0143 = 1430


def counter_example(claim: Claim) -> CounterExample | None:
    """The numbers that refute a claim; None: it is proved.

    Raises
    ------
    KeyError
        If there is no obligation of this name.
    """
    return _CHECKERS[claim.name](claim.integers)


def _equal(first: str, second: str) -> _Checker:
    def check(n: Mapping[str, Any]) -> CounterExample | None:
        return None if n[first] == n[second] else {first: n[first], second: n[second]}

    return check


def _not_above(low: str, high: str) -> _Checker:
    def check(n: Mapping[str, Any]) -> CounterExample | None:
        return None if n[low] <= n[high] else {low: n[low], high: n[high]}

    return check


def _dose_adds_up(n: Mapping[str, Any]) -> CounterExample | None:
    added = n["frames"] * n["dose"]
    return None if abs(added - n["total"]) <= n["slack"] else {"frames_x_dose": added, **_scalars(n)}


def _dose_arrives(n: Mapping[str, Any]) -> CounterExample | None:
    # counts [1/1000 e/px] <= 1.25 dose [1/1000 e/A2] pixel^2 [1/1000 A]^2
    return None if 4 * n["counts"] * 10**6 <= 5 * n["dose"] * n["pixel"] ** 2 else _scalars(n)


def _fit_above_nyquist(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["resolution"] >= 2 * n["pixel"] else _scalars(n)


def _one_result(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["results"] == 1 else _scalars(n)


def _halves_complete(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["first"] + n["second"] == n["particles"] else _scalars(n)


def _halves_disjoint(n: Mapping[str, Any]) -> CounterExample | None:
    both = sorted(set(n["first"]) & set(n["second"]))
    return {"x_tenth_px": both[0] % 10**7, "y_tenth_px": both[0] // 10**7, "shared": len(both)} if both else None


def _fibres_whole(n: Mapping[str, Any]) -> CounterExample | None:
    both = sorted(set(n["first"]) & set(n["second"]))
    return {"fibre": both[0], "shared": len(both)} if both else None


def _halves_balanced(n: Mapping[str, Any]) -> CounterExample | None:
    return None if abs(n["first"] - n["second"]) <= n["largest"] else _scalars(n)


def _box_holds(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["box"] * n["pixel"] >= n["diameter"] else _scalars(n)


def _group_closed(n: Mapping[str, Any]) -> CounterExample | None:
    order, table = n["order"], n["table"]
    for element, determinant in enumerate(n["handed"]):
        if determinant != 1000:
            return {"element": element, "determinant_x_1000": determinant}
    for left, right in itertools.product(range(order), repeat=2):
        if not 0 <= table[left * order + right] < order:
            return {"left": left, "right": right, "why": "their product is not in the group"}
    identities = [
        e for e in range(order) if all(table[e * order + a] == a == table[a * order + e] for a in range(order))
    ]
    if len(identities) != 1:
        return {"identities": len(identities)}
    for element in range(order):
        if identities[0] not in table[element * order : (element + 1) * order]:
            return {"element": element, "why": "it has no inverse"}
    return None


def _map_counts(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["movies"] <= n["processed"] and n["particles"] <= n["extracted"] else _scalars(n)


def _halves_sum(n: Mapping[str, Any]) -> CounterExample | None:
    together = n["first"] + n["second"]
    return None if together == n["particles"] and n["in_map"] <= together else _scalars(n)


def _map_halves_balanced(n: Mapping[str, Any]) -> CounterExample | None:
    return None if abs(n["first"] - n["second"]) <= n["slack"] else _scalars(n)


def _cell_in_box(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["box"] * n["pixel"] >= n["edge"] else _scalars(n)


def _contents(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["copies"] >= 1 and n["copies"] * n["order"] == n["molecules"] else _scalars(n)


def _helix_rises(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["rise"] >= 1 and abs(n["twist"]) <= 180_000 else _scalars(n)


def _helix_pitch(n: Mapping[str, Any]) -> CounterExample | None:
    return None if abs(n["turn"] * n["pitch"] - 360_000 * n["rise"]) <= n["slack"] else _scalars(n)


def _helix_handed(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["hand"] * n["twist"] >= 0 else _scalars(n)


def _helix_in_box(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["box"] * n["pixel"] >= 2 * n["rise"] else _scalars(n)


def _fsc_in_range(n: Mapping[str, Any]) -> CounterExample | None:
    for shell, value in enumerate(n["fsc"]):
        if not -10_000 <= value <= 10_000:
            return {"shell": shell, "fsc_x_10000": value}
    return None


def _fsc_starts_high(n: Mapping[str, Any]) -> CounterExample | None:
    return None if n["fsc"][0] >= 5000 else {"shell": 0, "fsc_x_10000": n["fsc"][0]}


def _fsc_crosses(n: Mapping[str, Any]) -> CounterExample | None:
    fsc, at = n["fsc"], n["at"]
    below = next((shell for shell, value in enumerate(fsc) if value < _FSC_0143), len(fsc) - 1)
    step = max((b - a for a, b in itertools.pairwise(at)), default=0)
    if abs(n["claimed"] - at[below]) <= step + 1:
        return None
    return {"first_below": at[below], "claimed": n["claimed"], "shell": below, "fsc_x_10000": fsc[below]}


def _scalars(n: Mapping[str, Any]) -> CounterExample:
    return {name: value for name, value in n.items() if isinstance(value, int)}


_CHECKERS: Mapping[str, _Checker] = {
    "frames-counted": _equal("frames", "shifts"),
    "frames-promised": _equal("frames", "promised"),
    "dose-adds-up": _dose_adds_up,
    "dose-arrives": _dose_arrives,
    "fit-above-nyquist": _fit_above_nyquist,
    "defocus-ordered": _not_above("v", "u"),
    "one-result-per-file": _one_result,
    "halves-complete": _halves_complete,
    "halves-disjoint": _halves_disjoint,
    "fibres-whole": _fibres_whole,
    "halves-apart": _not_above("reach", "nearest"),
    "halves-balanced": _halves_balanced,
    "box-holds-particle": _box_holds,
    "group-order": _equal("order", "expected"),
    "group-closed": _group_closed,
    "map-counts": _map_counts,
    "map-halves-sum": _halves_sum,
    "map-halves-balanced": _map_halves_balanced,
    "map-above-nyquist": _not_above("frequency", "last"),
    "map-within-pixels": _fit_above_nyquist,
    "fsc-in-range": _fsc_in_range,
    "fsc-starts-high": _fsc_starts_high,
    "fsc-crosses-where-claimed": _fsc_crosses,
    "cell-positive": exact_models.positive,
    "cell-fits-operations": exact_models.fits_operations,
    "operations-closed": exact_models.closed,
    "operations-order": _equal("order", "expected"),
    "operations-proper": exact_models.proper,
    "cell-contents": _contents,
    "matthews": exact_models.matthews,
    "mates-apart": exact_models.apart,
    "cell-in-box": _cell_in_box,
    "helix-rises": _helix_rises,
    "helix-pitch": _helix_pitch,
    "helix-handed": _helix_handed,
    "helix-in-box": _helix_in_box,
}
