"""Which holes to leave out: those whose ice costs more than it takes to go to others instead.

What is to come is like what a session has seen: its holes with their ice, at their stops and squares. Whoever skips
those above a thickness gets the mean signal of those below it, and pays for moves of the stage to fewer holes each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.advice.record import PAYS, Option
from frazil.models.causal.advice.timeline import LEAST_OF_A_HOLE, Timeline
from frazil.models.causal.bands import Array, curves_at
from frazil.models.causal.interventions import worlds_of
from frazil.models.causal.naming import NAMED_PER_ANGSTROM
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.structural_equations import World
from frazil.models.causal.structural_model import StructuralModel
from frazil.models.records import MovieEvidence

_LEAST_KEPT = 0.1
"""Of the holes: who keeps fewer has to look for them on many squares, which nobody has timed."""
_FEWEST_KEPT = 5
"""Holes: the mean of fewer says little of those to come."""
_NODE = "ice_thickness"


@dataclass(frozen=True, slots=True)
class _Ice:
    """Holes from thin to thick ice."""

    typical_nm: Array
    """(n,)"""
    signal: Array
    """(n, S, K) SSNR that the ice leaves of each, with its particles, all else alike."""
    per_kept_hole: Array
    """(n,) time for each if the first 1, 2, ... are kept, in units of that of all of them."""


def thinner_ice(
    holes: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    timeline: Timeline | None,
    seconds_per_movie: float | None,
    model: StructuralModel,
) -> tuple[Option, Array] | None:
    """The limit that brings most per hour among those that surely pay (`PAYS`), or among all where none does, and (S,
    K) what the kept holes gain over all. None: the ice is all alike.

    `holes`: as many as the session has seen lately, whatever became of them, and more than one square's if it can be.
    """
    ice = _ice_of(holes, prior, timeline, model)
    n = ice.typical_nm.size
    over_all = _kept_over_all(ice.signal)
    net = curves_at(NAMED_PER_ANGSTROM, over_all) - np.log(ice.per_kept_hole)[:, None]  # (n, S) of the first 1, 2, ...
    parts = np.append(np.diff(ice.typical_nm) > 0.0, False)  # holes of the same ice stay together
    allowed = parts & (np.arange(1, n + 1) >= max(_LEAST_KEPT * n, _FEWEST_KEPT))
    if not allowed.any():
        return None
    surely = allowed & (np.mean(net > 0.0, axis=1) >= PAYS)
    last = int(np.argmax(np.where(surely if surely.any() else allowed, net.mean(axis=1), -np.inf)))
    kept = last + 1
    limit_nm = float(0.5 * (ice.typical_nm[last] + ice.typical_nm[kept]))
    timed = timeline is not None and seconds_per_movie is not None
    cost = float(ice.per_kept_hole[last])
    option = Option(
        "ice",
        _NODE,
        "thin-ice",
        f"skip holes with ice above {limit_nm:.0f} nm",
        extra_s_per_movie=(seconds_per_movie or 0.0) * (cost - 1.0) if timed else 0.0,
        cost_ln=0.0 if timed else -float(np.log(cost)),
        cost_words=f"gives up {n - kept} of {n} holes, keeps {100 * kept / n:.0f} %",
        upwards=False,
    )
    return option, over_all[last]


def _ice_of(
    holes: Sequence[MovieEvidence], prior: PriorSnapshot, timeline: Timeline | None, model: StructuralModel
) -> _Ice:
    names = model.factors_reached(_NODE)
    worlds = worlds_of(holes, prior, names, model)
    typical_nm = np.array([float(np.median(world.causes.ice_thickness_nm)) for world in worlds])
    order = np.argsort(typical_nm, kind="stable")
    lost = np.array([np.sum([world.values[name] for name in names], axis=0) - _ln_particles(world) for world in worlds])
    number = np.arange(1, order.size + 1)
    if timeline is None:
        per_hole = 1.0 + LEAST_OF_A_HOLE * (order.size - number) / number
    else:
        per_hole = timeline.seconds_of_first(order) / number
    return _Ice(typical_nm[order], np.exp(-lost[order]), np.asarray(per_hole / per_hole[-1]))


def _ln_particles(world: World) -> Array:
    """(S, 1) up to a constant of the session, as it has told that they go with the ice."""
    if world.arrows is None or not world.arrows.particles_per_nm.told:
        return np.zeros((1, 1))
    nm = world.causes.ice_thickness_nm
    return np.asarray(nm * world.arrows.particles_per_nm.draws("ice_particles"))[:, None]


def _kept_over_all(signal: Array) -> Array:
    """(n, S, K) ln of the mean signal of the first 1, 2, ... over that of all."""
    mean = signal.cumsum(axis=0) / np.arange(1, len(signal) + 1)[:, None, None]
    return np.asarray(np.log(mean / mean[-1]))
