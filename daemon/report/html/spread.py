"""Places that share one position of the stage, drawn beside each other.

Beam and image shift reach many holes from one stage position. How the axes of the image shift lie to those of the stage
depends on microscope and magnification, and no sidecar says it: drawn at its length, the pattern may be turned or
mirrored. Where no shift is known in um, places that would lie on each other stand on a ring that means no direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from frazil.daemon.report.summary.records import Hole

_SAME_STAGE_UM = 0.5
"""Readings of one position repeat to a few hundred nanometres."""
_LEAST_SHIFT_UM = 0.5
"""Smaller shifts centre an exposure in its hole; they tell no places apart."""
_RING = 0.3
"""Of the way to the nearest other position of the stage."""
_RING_ALONE_UM = 1.0


def spread(holes: Sequence[Hole]) -> list[Hole]:
    """The same places, so that none lies on another for lack of a shift; `stage_*_um` is where to draw them."""
    if _shifts_say_it(holes):
        return [
            replace(
                one,
                stage_x_um=one.stage_x_um + (one.image_shift_um or (0.0, 0.0))[0],
                stage_y_um=one.stage_y_um + (one.image_shift_um or (0.0, 0.0))[1],
            )
            for one in holes
        ]
    clusters = _clusters(holes)
    if not any(len(cluster) > 1 for cluster in clusters):
        return list(holes)
    radius_um = _ring_um([(cluster[0].stage_x_um, cluster[0].stage_y_um) for cluster in clusters])
    drawn = []
    for cluster in clusters:
        ordered = sorted(cluster, key=lambda one: (one.optics_group or 0, one.name))
        for place, one in enumerate(ordered if len(ordered) > 1 else ()):
            turn = 2 * math.pi * place / len(ordered)
            x, y = one.stage_x_um + radius_um * math.cos(turn), one.stage_y_um + radius_um * math.sin(turn)
            drawn.append(replace(one, stage_x_um=x, stage_y_um=y))
        drawn += ordered if len(ordered) == 1 else []
    return drawn


def spread_words(holes: Sequence[Hole]) -> str:
    """What a reader has to know of how the places are drawn; empty: they are where the stage was."""
    if _shifts_say_it(holes):
        return (
            "Image shift is added at its length; how its axes lie to the stage's is not known, so that the pattern "
            "about one stage position may be turned or mirrored."
        )
    if any(len(cluster) > 1 for cluster in _clusters(holes)):
        return (
            "Places that share one stage position stand on a ring about it: they were reached by beam shift, whose "
            "length is not known."
        )
    return ""


def _shifts_say_it(holes: Sequence[Hole]) -> bool:
    known = [one.image_shift_um for one in holes if one.image_shift_um is not None]
    return len(known) == len(holes) > 0 and any(
        max(values) - min(values) >= _LEAST_SHIFT_UM for values in zip(*known, strict=True)
    )


def _clusters(holes: Sequence[Hole]) -> list[list[Hole]]:
    found: dict[tuple[str, int, int], list[Hole]] = {}
    for one in holes:
        at = (one.square, round(one.stage_x_um / _SAME_STAGE_UM), round(one.stage_y_um / _SAME_STAGE_UM))
        found.setdefault(at, []).append(one)
    return list(found.values())


def _ring_um(centres: Sequence[tuple[float, float]]) -> float:
    """From neighbours in the order of x: near enough, and quick with thousands."""
    ordered = sorted(centres)
    gaps = [
        math.dist(one, other)
        for place, one in enumerate(ordered)
        for other in ordered[place + 1 : place + 8]
        if math.dist(one, other) > _SAME_STAGE_UM
    ]
    return _RING * min(gaps) if gaps else _RING_ALONE_UM
