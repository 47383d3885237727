"""For every obligation a claim that holds and one that does not, settled by hand."""

from __future__ import annotations

from frazil.models.evaluation.logic.statements import Claim

_TWO_FOLD = (1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, -1, 0, 0, 0, 1, 0, 0, 0, -1, 0, 12, 0)
"""P 21: x,y,z and -x,y+1/2,-z."""
_MIRROR = (*_TWO_FOLD[:12], 1, 0, 0, 0, -1, 0, 0, 0, 1, 0, 0, 0)
_THIRD = (*_TWO_FOLD[:12], -1, 0, 0, 0, 1, 0, 0, 0, -1, 0, 8, 0)
_ORTHOGONAL = (400_000, 0, 0, 0, 900_000, 0, 0, 0, 1_600_000)
"""20 x 30 x 40 A."""
_OBLIQUE = (400_000, 50_000, 0, 50_000, 900_000, 0, 0, 0, 1_600_000)
_EXACT = (1,) * 9
_CELL = {"g11": 400_000, "g12": 0, "g13": 0, "g22": 900_000, "g23": 0, "g33": 1_600_000}
_V4 = (0, 1, 2, 3, 1, 0, 3, 2, 2, 3, 0, 1, 3, 2, 1, 0)
_FALLING = (9000, 8000, 2000, 1000, 500)
_AT = (10, 20, 30, 40, 50)
# A ball at (0.1, 0, 0.1) and its mate at (-0.1, 0.5, -0.1): sqrt(4^2 + 15^2 + 8^2) = 17.46 A apart, next mate 20 A.
_BALL = (2400, 0, 2400)

TRUE_AND_FALSE: dict[str, tuple[dict[str, int | tuple[int, ...]], dict[str, int | tuple[int, ...]]]] = {
    "frames-counted": ({"frames": 40, "shifts": 40}, {"frames": 40, "shifts": 41}),
    "frames-promised": ({"frames": 40, "promised": 40}, {"frames": 39, "promised": 40}),
    "dose-adds-up": (
        {"frames": 40, "dose": 1000, "total": 40_100, "slack": 100},
        {"frames": 40, "dose": 1000, "total": 39_899, "slack": 100},
    ),
    "dose-arrives": ({"counts": 1250, "dose": 1000, "pixel": 1000}, {"counts": 1251, "dose": 1000, "pixel": 1000}),
    "fit-above-nyquist": ({"resolution": 2200, "pixel": 1100}, {"resolution": 2199, "pixel": 1100}),
    "defocus-ordered": ({"u": 5, "v": 5}, {"u": -6, "v": -5}),
    "one-result-per-file": ({"results": 1}, {"results": 0}),
    "halves-complete": ({"first": 3, "second": 4, "particles": 7}, {"first": 3, "second": 4, "particles": 8}),
    "halves-disjoint": ({"first": (1, 2, 2), "second": (3, 0)}, {"first": (1, 5, 30_000_007), "second": (30_000_007,)}),
    "fibres-whole": ({"first": (1, 4), "second": (2, 3)}, {"first": (1, 4), "second": (2, 4)}),
    "halves-apart": ({"nearest": 409, "reach": 409}, {"nearest": 408, "reach": 409}),
    "halves-balanced": ({"first": 3, "second": 6, "largest": 3}, {"first": 5, "second": 3, "largest": 1}),
    "box-holds-particle": (
        {"box": 100, "pixel": 1000, "diameter": 100_000},
        {"box": 100, "pixel": 1000, "diameter": 100_001},
    ),
    "group-order": ({"order": 14, "expected": 14}, {"order": 13, "expected": 14}),
    "group-closed": (
        {"order": 4, "table": _V4, "handed": (1000,) * 4},
        {"order": 4, "table": (*_V4[:15], 4), "handed": (1000,) * 4},
    ),
    "map-counts": (
        {"movies": 2, "processed": 2, "particles": 7, "extracted": 7},
        {"movies": 2, "processed": 2, "particles": 8, "extracted": 7},
    ),
    "map-halves-sum": (
        {"first": 3, "second": 4, "particles": 7, "in_map": 6},
        {"first": 3, "second": 4, "particles": 7, "in_map": 8},
    ),
    "map-halves-balanced": ({"first": 10, "second": 12, "slack": 2}, {"first": 10, "second": 13, "slack": 2}),
    "map-above-nyquist": ({"frequency": 7, "last": 7}, {"frequency": 8, "last": 7}),
    "map-within-pixels": ({"resolution": 3000, "pixel": 1500}, {"resolution": 2999, "pixel": 1500}),
    "fsc-in-range": ({"fsc": (10_000, -10_000, 0)}, {"fsc": (10_000, -10_001, 0)}),
    "fsc-starts-high": ({"fsc": (5000, 0)}, {"fsc": (4999, 10_000)}),
    "fsc-crosses-where-claimed": (
        {"fsc": _FALLING, "at": _AT, "claimed": 51},
        {"fsc": _FALLING, "at": _AT, "claimed": 52},
    ),
    "cell-positive": (
        {**_CELL, "face_slack": 1, "slack": 1},
        {**_CELL, "g12": 700_000, "face_slack": 1_000_000, "slack": 1_000_000},
    ),
    # Z M: 24,000 A3 are 1.6 A3/Da of 15,000 Da, and 4 of 6,000
    "matthews": (
        {**_CELL, "slack": 0, "mass_down": 15_000, "mass_up": 15_000},
        {**_CELL, "slack": 0, "mass_down": 15_001, "mass_up": 15_001},
    ),
    "cell-fits-operations": (
        {"operations": _TWO_FOLD, "metric": _ORTHOGONAL, "error": _EXACT},
        {"operations": _TWO_FOLD, "metric": _OBLIQUE, "error": _EXACT},
    ),
    "operations-closed": ({"operations": _TWO_FOLD}, {"operations": _THIRD}),
    "operations-order": ({"order": 4, "expected": 4}, {"order": 2, "expected": 4}),
    "operations-proper": ({"operations": _TWO_FOLD}, {"operations": _MIRROR}),
    "cell-contents": ({"molecules": 12, "order": 4, "copies": 3}, {"molecules": 13, "order": 4, "copies": 3}),
    "mates-apart": (
        {
            "operations": _TWO_FOLD,
            "spheres": (*_BALL, 8730),
            "metric": _ORTHOGONAL,
            "error": (0,) * 9,
            "shifts": (1, 1, 1),
        },
        {
            "operations": _TWO_FOLD,
            "spheres": (*_BALL, 8735),
            "metric": _ORTHOGONAL,
            "error": (0,) * 9,
            "shifts": (1, 1, 1),
        },
    ),
    "cell-in-box": ({"box": 10, "pixel": 5, "edge": 50}, {"box": 10, "pixel": 5, "edge": 51}),
    "helix-rises": ({"rise": 1, "twist": -180_000}, {"rise": 1, "twist": -180_001}),
    "helix-pitch": (
        {"turn": 36_000, "pitch": 10_000, "rise": 1000, "slack": 0},
        {"turn": 36_001, "pitch": 10_000, "rise": 1000, "slack": 9_999},
    ),
    "helix-handed": ({"hand": -1, "twist": -22_000}, {"hand": 1, "twist": -22_000}),
    "helix-in-box": ({"box": 100, "pixel": 1000, "rise": 50_000}, {"box": 100, "pixel": 1000, "rise": 50_001}),
}

_FURTHER_FALSE: list[tuple[str, dict[str, int | tuple[int, ...]]]] = [
    ("group-closed", {"order": 2, "table": (0, 1, 1, 0), "handed": (1000, -1000)}),
    ("group-closed", {"order": 2, "table": (1, 1, 1, 0), "handed": (1000, 1000)}),
    ("group-closed", {"order": 2, "table": (0, 1, 1, 1), "handed": (1000, 1000)}),
    ("operations-closed", {"operations": _TWO_FOLD[12:]}),
    ("operations-closed", {"operations": (*_TWO_FOLD, *_TWO_FOLD[12:])}),
    ("matthews", {**_CELL, "slack": 0, "mass_down": 5999, "mass_up": 5999}),
    ("cell-positive", {**_CELL, "g11": -400_000, "g22": -900_000, "face_slack": 1, "slack": 1}),
    ("cell-contents", {"molecules": 0, "order": 4, "copies": 0}),
    ("fsc-crosses-where-claimed", {"fsc": (9000, 1000, 9000, 500, 0), "at": _AT, "claimed": 50}),
    ("dose-adds-up", {"frames": 40, "dose": 1000, "total": 40_101, "slack": 100}),
]


def cases() -> tuple[list[Claim], list[bool]]:
    """All claims, and whether they hold."""
    claims: list[Claim] = []
    holds: list[bool] = []
    for name, (true, false) in TRUE_AND_FALSE.items():
        claims += [Claim(name, "true", true), Claim(name, "false", false)]
        holds += [True, False]
    claims += [Claim(name, "false", integers) for name, integers in _FURTHER_FALSE]
    return claims, holds + [False] * len(_FURTHER_FALSE)
