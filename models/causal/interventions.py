"""What is done to movies on the causal graph, and what it gains: do(cause := value) along all of its paths.

An intervention is carried out on every movie by surgery on the graph (`structural_model`): the cause is set, what lies
downstream is computed again, everything else stays as it was drawn. What pays among the things that could be done is
`advice.decision`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal import settle
from frazil.models.causal.bands import BAND_COUNT, Array, band_frequencies_per_angstrom, curves_at
from frazil.models.causal.causes import CauseDraws
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.learned_arrows import learned
from frazil.models.causal.particles import SessionParticles, draw_particles
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.structural_equations import Departure, NodeValue, StageHistory, World
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.records import MovieEvidence

_LOW_PER_ANGSTROM = 1 / 15
"""By what they show here particles are found and turned: electrons that do not count at 5 A still count for that."""
DOSE = "dose_e_per_a2"
ADVISED_NODES = ("settle_time", "dose_rate", "ice_thickness", "illumination_angle", "image_shift", DOSE)
"""Of the graph: what advice sets."""


@dataclass(frozen=True, slots=True)
class Surgery:
    """What is set on the graph, movie by movie."""

    node: str
    values: Sequence[NodeValue | None]
    """Of the node, a movie each; None: nothing is done to this one."""


def gain_of_settling(movies: Sequence[MovieEvidence], prior: PriorSnapshot, extra_s: float) -> Array:
    """(S, K) mean gain in ln SSNR on the prior's bands if every movie had waited `extra_s` longer."""
    return _mean_gain(waiting(movies, extra_s), movies, prior)


def gain_of_dose_rate(movies: Sequence[MovieEvidence], prior: PriorSnapshot, share: float) -> Array:
    """(S, K) mean gain in ln SSNR on the prior's bands at `share` of the dose rate, the dose kept."""
    return _mean_gain(at_rate(movies, share), movies, prior)


def _mean_gain(surgery: Surgery, movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> Array:
    model = structural_model()
    return np.asarray(gains(surgery, worlds_of(movies, prior, touched(model), model), model).mean(axis=0))


def waiting(movies: Sequence[object], extra_s: float) -> Surgery:
    """Every movie's stage would have stood `extra_s` longer."""
    return Surgery("settle_time", [Departure(more=extra_s)] * len(movies))


def at_rate(movies: Sequence[object], share: float) -> Surgery:
    """The same dose in another time. At a lower rate: fewer coincidences, and each frame sees more of the stage's
    drift, which has had the longer exposures before it to settle."""
    return Surgery("dose_rate", [Departure(share=share)] * len(movies))


def touched(model: StructuralModel) -> list[str]:
    """Factors that some intervention changes, and a person's own: by these movies of one session differ."""
    reached = {name for node in ADVISED_NODES for name in model.factors_reached(node)}
    return sorted(reached.union(model.own_losses))


def worlds_of(
    movies: Sequence[MovieEvidence],
    prior: PriorSnapshot,
    wanted: Sequence[str],
    model: StructuralModel,
    together: SessionParticles | None = None,
) -> list[World]:
    """Every movie as it was taken, with the losses `wanted`. `together`: what the session's particles say of its beam
    tilt."""
    bands, belief, arrows = band_frequencies_per_angstrom(), prior.settle_belief(), learned(prior.arrows)
    stages = [
        StageHistory(belief, settled_s, before_s)
        for settled_s, before_s in zip(settle.settled_of(movies), settle.exposed_before_s(movies), strict=True)
    ]
    drawn = [_with_tilt(movie, draw_causes(movie, prior), together) for movie in movies]
    return [
        model.world(movie, draws, bands, stage=stage, arrows=arrows, wanted=wanted)
        for movie, draws, stage in zip(movies, drawn, stages, strict=True)
    ]


def _with_tilt(movie: MovieEvidence, draws: CauseDraws, together: SessionParticles | None) -> CauseDraws:
    if together is None or not together.tilt_mean:
        return draws
    of_particles = draw_particles(together, movie, None, np.zeros(BAND_COUNT))
    return draws.doing(axial_tilt_mrad=of_particles.axial_tilt_mrad, shifted_tilt_mrad=of_particles.shifted_tilt_mrad)


def gains(surgery: Surgery, worlds: Sequence[World], model: StructuralModel) -> Array:
    """(M, S, K) what the factors that the intervention reaches lose less, movie by movie."""
    names = model.factors_reached(surgery.node)
    found = []
    for world, value in zip(worlds, surgery.values, strict=True):
        done = world if value is None else model.done(world, surgery.node, value)
        gain = np.sum([world.values[name] - done.values[name] for name in names], axis=0)
        gain = gain + done.ln_dose + np.reshape(done.ln_particles, (-1, 1))
        found.append(_less_at_low(gain) if surgery.node == DOSE else gain)
    return np.array(found)


def _less_at_low(gain: Array) -> Array:
    """(S, K) the lesser of the gains here and at low frequencies: the last electrons have little to give at high ones,
    and particles are found and turned by low ones."""
    at_low = curves_at(_LOW_PER_ANGSTROM, gain)
    return np.asarray(np.minimum(gain, at_low[:, None]))


def gain_of_map(gains: Array, total: Array) -> Array:
    """(S, K) gain in ln SSNR of a map of all movies: SSNRs add up, so that a movie that is lost anyway counts little,
    and one that is saved for as much as it then gives."""
    least = total.min(axis=0)
    before = np.exp(least - total).sum(axis=0)
    after = np.exp(least - total + gains).sum(axis=0)
    return np.asarray(np.log(after / before))
