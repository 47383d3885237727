"""Structural equations by the name that a node of graph.yaml gives: how its value follows from what acts on it.

A movie is a `World`: its evidence, the draws of what nobody sees, and the values of its nodes. Causes that mechanisms
share are kept in `CauseDraws` (a slot a node), losses by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from frazil.models.causal import mechanisms, settle
from frazil.models.causal.causes import CauseDraws, normals_of
from frazil.models.causal.factors import Array
from frazil.models.records import MovieEvidence


@dataclass(frozen=True, slots=True)
class Departure:
    """A setting as it would be instead, against what it was: a share of it, and more of it (in the node's unit)."""

    share: float = 1.0
    more: float = 0.0


@dataclass(frozen=True, slots=True)
class StageHistory:
    """What one movie alone does not say of its stage."""

    belief: Array
    """How the session's stage settles (`settle.no_sums`)."""
    settled_s: float | None
    """From its last move to the exposure; None: nobody knows."""
    exposed_before_s: float = 0.0
    """Exposures since then: longer ones give it more time."""


NodeValue = Array | Departure | float


@dataclass(frozen=True, slots=True)
class World:
    """One movie, as it was taken or as it would be after an intervention."""

    evidence: MovieEvidence
    causes: CauseDraws
    k_per_angstrom: Array
    stage: StageHistory | None = None
    departures: Mapping[str, Departure] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    """(S, K) losses, and (S,) what a person's equations give, in the node's unit."""
    unknown: frozenset[str] = frozenset()
    """Nodes whose equation needs what this movie does not know; a loss of these is 0."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By node, what a person has to be told of the value that their equation gave."""

    def with_value(self, node: str, value: NodeValue | None) -> World:
        """The same movie with this value of a node, in its slot where it has one."""
        if isinstance(value, Departure):
            return self._departed(node, value)
        if node in SLOTS:
            return replace(self, causes=self.causes.doing(**{SLOTS[node]: value}))
        if value is None:
            return self
        return replace(self, values={**self.values, node: np.asarray(value, dtype=np.float64)})

    def told(self, node: str, note: str, *, known: bool) -> World:
        """The same movie with what is to be said of a node that a person's equation computes."""
        if known == (node not in self.unknown) and self.notes.get(node, "") == note:
            return self
        notes = {name: text for name, text in self.notes.items() if name != node} | ({node: note} if note else {})
        return replace(self, unknown=self.unknown - {node} if known else self.unknown | {node}, notes=notes)

    def _departed(self, node: str, departure: Departure) -> World:
        if node not in DEPARTING:
            raise ValueError(f"{node} is set to a value, not against what it was")
        causes = self.causes
        if node in _SHARES:
            if departure.more:
                raise ValueError(f"{node} can only be set to a share of what it was")
            causes = causes.doing(**{_SHARES[node]: departure.share})
        return replace(self, causes=causes, departures={**self.departures, node: departure})


SLOTS: Mapping[str, str] = {
    "ice_thickness": "ice_thickness_nm",
    "count_loss": "count_loss_s_px_per_e",
    "illumination_angle": "source_half_angle_mrad",
    "focal_spread": "focal_spread_sd_angstrom",
    "steady_drift": "drift_removed",
    "transmitted_counts": "transmitted_share",
    "height_spread": "height_spread_angstrom",
    "beam_tilt": "beam_tilt_rad",
}
"""Where `CauseDraws` keeps the value of a node. Steady drift is kept as what is taken off it."""
_SHARES: Mapping[str, str] = {"dose_rate": "dose_rate_scale", "image_shift": "image_shift_scale"}
DEPARTING = (*_SHARES, "settle_time")
"""Settings that a movie's evidence holds: they are set against what they were, so that nothing is rounded."""


@dataclass(frozen=True, slots=True)
class StructuralEquation:
    """How a node follows from others."""

    reads: tuple[str, ...]
    """Nodes of whose values it makes use: each must have an arrow to it."""
    compute: Callable[[World], Array | None]
    """None: as measured."""


def _loss(name: str, *reads: str) -> StructuralEquation:
    return StructuralEquation(reads, partial(_loss_by, name))


def _loss_by(name: str, world: World) -> Array:
    return mechanisms.MECHANISMS[name](world.evidence, world.causes, world.k_per_angstrom)


def _drift_removed(world: World) -> Array | None:
    """What another settle time and another dose rate take off the drift; a lower rate also makes the exposures longer
    that came before at the same place."""
    stage, nothing = world.stage, Departure()
    waited, rate = world.departures.get("settle_time", nothing), world.departures.get("dose_rate", nothing)
    if stage is None or (waited == nothing and rate == nothing):
        return world.causes.drift_removed
    return settle.drift_removed(
        stage.belief,
        world.evidence,
        normals_of("settle"),
        settled_s=stage.settled_s,
        extra_s=waited.more + stage.exposed_before_s * (1.0 / rate.share - 1.0),
        rate_share=rate.share,
    )


EQUATIONS: Mapping[str, StructuralEquation] = {
    "steady_drift": StructuralEquation(("settle_time", "dose_rate"), _drift_removed),
    "transmitted_counts": StructuralEquation(
        ("ice_thickness",), lambda world: mechanisms.transmitted_share(world.evidence, world.causes)
    ),
    "height_spread": StructuralEquation(
        ("ice_thickness",), lambda world: mechanisms.height_spread_angstrom(world.causes)
    ),
    "beam_tilt": StructuralEquation(
        ("image_shift",), lambda world: mechanisms.beam_tilt_rad(world.evidence, world.causes)
    ),
    "motion": _loss("motion", "steady_drift"),
    "radiation_damage": _loss("radiation_damage", "dose_e_per_a2"),
    "spatial_coherence": _loss("spatial_coherence", "illumination_angle", "defocus_target"),
    "temporal_coherence": _loss("temporal_coherence", "focal_spread"),
    "ice": _loss("ice", "ice_thickness", "illumination_angle", "focal_spread", "defocus_target", "dose_e_per_a2"),
    "detector": _loss("detector"),
    "coincidence": _loss("coincidence", "dose_rate", "count_loss", "transmitted_counts"),
    "heterogeneity": _loss("heterogeneity"),
    "aberrations": _loss("aberrations", "beam_tilt"),
    "defocus_spread": _loss("defocus_spread", "height_spread", "specimen_tilt"),
    "motion_uncorrected": _loss("motion_uncorrected"),
}
"""All that graph.yaml may name as `mechanism`."""
