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
from frazil.models.causal.bands import Array
from frazil.models.causal.causes import CauseDraws, normals_of
from frazil.models.causal.learned_arrows import LearnedArrows
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


_MOTION_BY_RATE_SD = 0.2
"""Of the power of the dose rate with which squared motion by the beam may grow, from 0 up: nobody knows it."""
_MOST_LN_MOTION = 4.0
"""Of a straight line that is drawn beyond the ice that the session has."""
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
    arrows: LearnedArrows | None = None
    """How strongly arrows act that the session's movies tell of; None: nothing is known of them."""
    taken_ice_nm: Array | None = None
    """(S,) of the movie as it was taken; None: this is it."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By node, what a person has to be told of the value that their equation gave."""

    def with_value(self, node: str, value: NodeValue | None) -> World:
        """The same movie with this value of a node, in its slot where it has one."""
        if isinstance(value, Departure):
            return self._departed(node, value)
        if node in SLOTS:
            same = getattr(self.causes, SLOTS[node]) is value
            return self if same else replace(self, causes=self.causes.doing(**{SLOTS[node]: value}))
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
        if node != "settle_time" and departure.more:
            raise ValueError(f"{node} can only be set to a share of what it was")
        causes, evidence = self.causes, self.evidence
        if node in _SHARES:
            causes = causes.doing(**{_SHARES[node]: departure.share})
        if node == _DOSE:
            evidence, causes = _ended_sooner(evidence, causes, departure.share)
        return replace(self, evidence=evidence, causes=causes, departures={**self.departures, node: departure})

    @property
    def more_ice_nm(self) -> Array | None:
        """(S,) than the movie had; None: this is the movie as it was taken."""
        return None if self.taken_ice_nm is None else self.causes.ice_thickness_nm - self.taken_ice_nm

    @property
    def ln_particles(self) -> Array | float:
        """(S,) of the particles against those of the movie as it was taken, as the session has told that they go with
        the ice."""
        more_nm, arrows = self.more_ice_nm, self.arrows
        if more_nm is None or arrows is None or not arrows.particles_per_nm.told:
            return 0.0
        return np.asarray(more_nm * arrows.particles_per_nm.draws("ice_particles"))

    @property
    def ln_dose(self) -> float:
        """Of the electrons against those of the movie as it was taken: a loss is told against an exposure of the same
        dose, so that what signal fewer of them bring is no loss of any factor."""
        return float(np.log(self.departures.get(_DOSE, Departure()).share))


SLOTS: Mapping[str, str] = {
    "ice_thickness": "ice_thickness_nm",
    "count_loss": "count_loss_s_px_per_e",
    "illumination_angle": "source_half_angle_mrad",
    "focal_spread": "focal_spread_sd_angstrom",
    "steady_drift": "drift_removed",
    "beam_induced_motion": "beam_motion_scale",
    "transmitted_counts": "transmitted_share",
    "height_spread": "height_spread_angstrom",
    "beam_tilt": "beam_tilt_rad",
}
"""Where `CauseDraws` keeps the value of a node. Steady drift is kept as what is taken off it, motion by
the beam as what multiplies its square."""
_SHARES: Mapping[str, str] = {"dose_rate": "dose_rate_scale", "image_shift": "image_shift_scale"}
_DOSE = "dose_e_per_a2"
DEPARTING = (*_SHARES, "settle_time", _DOSE)
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


def _ended_sooner(evidence: MovieEvidence, causes: CauseDraws, share: float) -> tuple[MovieEvidence, CauseDraws]:
    """The exposure ends after this share of its frames, at the same dose rate: a movie of its own."""
    if not 0.0 < share <= 1.0:
        raise ValueError(f"{_DOSE} can only be set to less than it was: nobody has seen the frames that would follow")
    frames = max(round(share * evidence.frame_count), 1)
    exposure, removed = evidence.exposure, causes.drift_removed
    time_s = exposure.exposure_time_s
    shorter = replace(
        evidence,
        shift_x_angstrom=evidence.shift_x_angstrom[:frames],
        shift_y_angstrom=evidence.shift_y_angstrom[:frames],
        shift_sd_angstrom=evidence.shift_sd_angstrom[:frames],
        frame_count=frames,
        exposure=replace(exposure, exposure_time_s=None if time_s is None else time_s * frames / evidence.frame_count),
    )
    return shorter, causes if removed is None else causes.doing(drift_removed=removed[:, :frames])


def _beam_motion_scale(world: World) -> Array | None:
    """Squared motion, which goes with the ice and the dose rate as the session has told. Before it has: a brighter beam
    may move the specimen more; that a weaker one moves it less nobody has to believe."""
    share, more_nm, arrows = world.departures.get("dose_rate", Departure()).share, world.more_ice_nm, world.arrows
    ln_scale: Array | float = 0.0
    if arrows is not None and arrows.motion_by_ln_rate.told:
        ln_scale = 2.0 * arrows.motion_by_ln_rate.draws("beam_motion") * np.log(share)
    elif share > 1.0:
        ln_scale = np.abs(_MOTION_BY_RATE_SD * normals_of("beam_motion")) * np.log(share)
    if arrows is not None and more_nm is not None and arrows.motion_per_nm.told:
        ln_scale = ln_scale + 2.0 * arrows.motion_per_nm.draws("ice_motion") * more_nm
    if not np.any(ln_scale):
        return world.causes.beam_motion_scale
    return np.asarray(np.exp(np.clip(ln_scale, -_MOST_LN_MOTION, _MOST_LN_MOTION)))


EQUATIONS: Mapping[str, StructuralEquation] = {
    "steady_drift": StructuralEquation(("settle_time", "dose_rate"), _drift_removed),
    "beam_induced_motion": StructuralEquation(("dose_rate", "ice_thickness"), _beam_motion_scale),
    "transmitted_counts": StructuralEquation(
        ("ice_thickness",), lambda world: mechanisms.transmitted_share(world.evidence, world.causes)
    ),
    "height_spread": StructuralEquation(
        ("ice_thickness",), lambda world: mechanisms.height_spread_angstrom(world.causes)
    ),
    "beam_tilt": StructuralEquation(
        ("image_shift",), lambda world: mechanisms.beam_tilt_rad(world.evidence, world.causes)
    ),
    "motion": _loss("motion", "steady_drift", "beam_induced_motion", "dose_e_per_a2"),
    "radiation_damage": _loss("radiation_damage", "dose_e_per_a2"),
    "spatial_coherence": _loss("spatial_coherence", "illumination_angle", "defocus_target"),
    "temporal_coherence": _loss("temporal_coherence", "focal_spread"),
    "ice": _loss("ice", "ice_thickness", "illumination_angle", "focal_spread", "defocus_target", "dose_e_per_a2"),
    "detector": _loss("detector", "dose_e_per_a2"),
    "coincidence": _loss("coincidence", "dose_rate", "count_loss", "transmitted_counts"),
    "heterogeneity": _loss("heterogeneity"),
    "aberrations": _loss("aberrations", "beam_tilt"),
    "defocus_spread": _loss("defocus_spread", "height_spread", "specimen_tilt"),
    "motion_uncorrected": _loss("motion_uncorrected"),
}
"""All that graph.yaml may name as `mechanism`."""
