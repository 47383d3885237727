"""Attribution of one movie's losses under a given prior, and the SSNR that this movie is predicted to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.bands import BAND_COUNT, Array, band_frequencies_per_angstrom, curves_at
from frazil.models.causal.causes import CauseDraws, centre_and_sd, normals_of
from frazil.models.causal.counts import tells_ice
from frazil.models.causal.draws import draw_causes, unit_losses
from frazil.models.causal.factors import ALL_FACTORS, MODELLED_FACTORS
from frazil.models.causal.mechanisms import ice_pattern
from frazil.models.causal.naming import NAMED_PER_ANGSTROM, by_root, excess_by_root, name_cause
from frazil.models.causal.particles import SessionParticles, draw_particles, session_particles
from frazil.models.causal.prior import COLUMNS, PriorSnapshot
from frazil.models.causal.rings import FALL_SD, fall_curve, own_effects, ring_rows, unexplained_fall
from frazil.models.causal.structural_equations import World
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import CausalLosses, MovieEvidence

_LEAST_SD = 0.01
_LEAST_SPECIMEN_SHARE = 0.1
COMMON_BLUR_SD = 0.45
"""ln SSNR at 5 A that all movies of a session may lose to what no mechanism here knows: a B-factor of some 20 A2. Maps
of good sessions fall by 50 to 100 A2 in all (Rosenthal & Henderson 2003, J. Mol. Biol. 333, 721, and since)."""
_RINGS_OF_ICE_SD = 1.0
"""Rings are made by the ice as well as by the specimen, and a ring averages over crowded and empty places: what they
predict of the specimen is no better than this (docs/decisions/0013; halves of the same movie know more of it)."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Losses by cause, and the posterior predictive ln SSNR of this micrograph on the prior's bands."""

    losses: CausalLosses
    frequency_per_angstrom: tuple[float, ...]
    log_ssnr: tuple[float, ...]
    """Of the specimen without its ice, per Fourier sample at CTF^2 = 1, envelopes included, shot noise 1."""
    log_ssnr_sd: tuple[float, ...]


def attribute(
    evidence: MovieEvidence,
    prior: PriorSnapshot,
    session: SessionParticles | None = None,
    particles: ParticleEvidence | None = None,
    model: StructuralModel | None = None,
) -> Attribution:
    """Split the loss of ln(SSNR) into causes.

    `session`, `particles`: what the map has said since of the session's particles and of this movie's. `model`: the
    session's causal graph (None: the one that ships); a person's own factors have strength 1 and are never named.

    Each factor's loss is the median over draws of its causes, its sd as of `centre_and_sd`. What the movie's own rings
    fall below the expected by, growing with k^2 and beyond what fields of one session differ by, is `unexplained`; it
    is never spread over the other causes. A level alone is crowding. What blurs all movies of a session alike no ring
    can tell: the sd of `unexplained` has it.
    """
    bands = band_frequencies_per_angstrom()
    model = structural_model() if model is None else model
    draws = draw_causes(evidence, prior)
    if session is not None:
        particle_draws = draw_particles(session, evidence, particles, explained_losses(evidence, draws, model))
        draws = draws.doing(
            axial_tilt_mrad=particle_draws.axial_tilt_mrad,
            shifted_tilt_mrad=particle_draws.shifted_tilt_mrad,
            level_and_fall=particle_draws.level_and_fall,
        )
    world = model.world(evidence, draws, bands)
    losses = model.losses_of(world)
    unit = unit_losses(evidence)
    effects, effects_covariance = own_effects(ring_rows(evidence, unit), *prior.moments())
    fall = float(effects[1]) + _fall_by_own_nodes(model, world)
    fall_sd = float(np.sqrt(max(effects_covariance[1, 1], 0.0)))
    table = {name: centre_and_sd(row) for name, row in losses.items()}
    of_rings = unexplained_fall(fall), float(np.hypot(fall_sd, COMMON_BLUR_SD))
    table["unexplained"] = (of_rings[0] * fall_curve(bands), of_rings[1] * fall_curve(bands))
    ice_ssnr = np.median(ice_pattern(evidence, draws, bands), axis=0)  # noise to the specimen
    log_ssnr, log_ssnr_sd = _predicted_log_ssnr(prior, unit, effects, effects_covariance, ice_ssnr)
    shipped = all_losses(evidence, draws, bands) if model.replaces else losses  # as what is usual was computed
    at_5_angstrom = {name: curves_at(NAMED_PER_ANGSTROM, row) for name, row in shipped.items()}
    at_5_angstrom["unexplained"] = _own_blur(fall, fall_sd)
    named = name_cause(excess_by_root(by_root(evidence, draws, at_5_angstrom), prior))
    names = (*ALL_FACTORS, *(name for name in model.own_losses if name not in world.unknown))
    told = CausalLosses(
        factor_names=names,
        frequency_per_angstrom=tuple(bands.tolist()),
        loss_ln_ssnr=tuple(tuple(np.maximum(table[name][0], 0.0).tolist()) for name in names),
        loss_sd=tuple(tuple(np.maximum(table[name][1], _LEAST_SD).tolist()) for name in names),
        prior_version=prior.version,
        named_cause=named.factor,
        named_excess_ln_ssnr=named.excess_ln_ssnr,
        notes=tuple(world.notes.values()),
        **_ice_nm(evidence, draws),
    )
    return Attribution(
        losses=told,
        frequency_per_angstrom=told.frequency_per_angstrom,
        log_ssnr=tuple(log_ssnr.tolist()),
        log_ssnr_sd=tuple(log_ssnr_sd.tolist()),
    )


def _ice_nm(evidence: MovieEvidence, draws: CauseDraws) -> dict[str, float]:
    """Thickness of this movie's ice and its error, by the record's fields; none: its counts do not tell it, and the
    draws are the prior's."""
    if not tells_ice(evidence):
        return {}
    low, middle, high = np.quantile(draws.ice_thickness_nm, (0.16, 0.5, 0.84))
    return {"ice_nm": float(middle), "ice_sd_nm": float(high - low) / 2.0}


def _predicted_log_ssnr(
    prior: PriorSnapshot, unit: Array, effects: Array, effects_covariance: Array, ice_ssnr: Array
) -> tuple[Array, Array]:
    """(BAND_COUNT,) ln SSNR of the specimen that this micrograph is predicted to have, and its sd.

    Parameters
    ----------
    unit:
        Losses at strength 1 (`draws.unit_losses`).
    effects, effects_covariance:
        (2,) and (2, 2): level and fall of the movie's own rings against the session's.
    ice_ssnr:
        (BAND_COUNT,) of the ice's own rings; taken off, but never more than most of what is predicted.
    """
    mean, covariance = prior.moments()
    expected = np.concatenate([np.eye(BAND_COUNT), -unit.T], axis=1)  # (J, COLUMNS)
    assert expected.shape == (BAND_COUNT, COLUMNS)
    expected[:, -1] = 0.0  # rings wash out over the ice, particles do not
    shape = np.stack([np.ones(BAND_COUNT), fall_curve(band_frequencies_per_angstrom())], axis=1)
    predicted = expected @ mean + shape @ effects
    variance = np.einsum("ij,jk,ik->i", expected, covariance, expected)
    variance = variance + np.einsum("ij,jk,ik->i", shape, effects_covariance, shape) + _RINGS_OF_ICE_SD**2
    predicted = np.log(np.maximum(np.exp(predicted) - ice_ssnr, _LEAST_SPECIMEN_SHARE * np.exp(predicted)))
    return predicted, np.sqrt(variance)


def all_losses(evidence: MovieEvidence, draws: CauseDraws, frequency_per_angstrom: Array) -> dict[str, Array]:
    """(S, K) loss by factor for draws of the causes; all but `unexplained`."""
    return dict(structural_model().world(evidence, draws, frequency_per_angstrom).values)


def _fall_by_own_nodes(model: StructuralModel, world: World) -> float:
    """What a person's own factors take from 5 A beyond what they take from low frequencies. A movie's rings fall by it,
    too: it is told once, as theirs, and not as unexplained."""
    curves = [np.median(world.values[name], axis=0) for name in model.own_losses]
    return float(sum(curves_at(NAMED_PER_ANGSTROM, curve) - curve[0] for curve in curves))


def explained_losses(evidence: MovieEvidence, draws: CauseDraws, model: StructuralModel | None = None) -> Array:
    """(BAND_COUNT,) mean loss of the particles by all that is known without them; coma is taken out of them."""
    model = structural_model() if model is None else model
    names = (*MODELLED_FACTORS, "defocus_spread", *model.own_losses)
    losses = model.world(evidence, draws, band_frequencies_per_angstrom(), wanted=names).values
    return np.asarray(sum(losses[name].mean(axis=0) for name in names))


def unexplained_share(movies: Sequence[MovieEvidence], prior: PriorSnapshot) -> tuple[float, float]:
    """Mean loss at 5 A that no cause explains, and its sd: what is common to all movies does not average out."""
    own, variance, moments = 0.0, 0.0, prior.moments()
    for movie in movies:
        effects, covariance = own_effects(ring_rows(movie, unit_losses(movie)), *moments)
        own += unexplained_fall(float(effects[1])) / len(movies)
        variance += float(covariance[1, 1]) / len(movies) ** 2
    return own, float(np.hypot(np.sqrt(variance), COMMON_BLUR_SD))


def session_of(
    movies: Sequence[tuple[MovieEvidence, ParticleEvidence]],
    prior: PriorSnapshot,
    model: StructuralModel | None = None,
) -> SessionParticles:
    """What the particles of a session's movies say together, the other causes being as `prior` has them."""
    explained = [explained_losses(movie, draw_causes(movie, prior), model) for movie, _ in movies]
    return session_particles(movies, explained)


def _own_blur(fall: float, fall_sd: float) -> Array:
    """(S,) draws of the loss at 5 A that sets this movie's rings apart: what they fall below the session's by, beyond
    what one field in twenty does."""
    return np.maximum(0.0, -(fall + fall_sd * normals_of("ring_fall")) - 2.0 * FALL_SD)
