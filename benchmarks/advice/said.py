"""What frazil says of a session's movies: its own prior, particles and advice, as the daemon brings them together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.advice.actions import TrueGains
from benchmarks.advice.truth import Course
from frazil.actors.causal_prior import CausalPriorActor
from frazil.daemon.analysis import advice_rows
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store.rows import InterventionRow
from frazil.models.causal.advice.record import SESSION
from frazil.models.causal.advice.timeline import seconds_per_movie
from frazil.models.causal.particles import SessionParticles
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.settle import with_settle_times
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import MovieEvidence

_WITNESSES = 100


@dataclass(frozen=True, slots=True)
class Said:
    """One advice and what it would truly bring."""

    action: str
    sentence: str
    net_ln: float
    pays_probability: float
    known_by: str
    true_kind: str
    true_size: float
    true_net_ln: float


@dataclass(frozen=True, slots=True)
class Look:
    """What was said after so many movies; `said` best first, of the whole session."""

    movies: int
    said: tuple[Said, ...]
    withdrawn: tuple[str, ...]


def look(
    movies: Sequence[MovieEvidence],
    particles: Sequence[ParticleEvidence] | None,
    course: Course,
    gains: TrueGains,
    prior: PriorSnapshot,
) -> Look:
    """Advice after `movies`, with the version of the prior that has seen them."""
    settled = with_settle_times(movies, None, None)[0]
    kept = settled[-advice_rows.ADVISED_MOVIES :]
    witnesses = settled[-_WITNESSES:]
    actor = CausalPriorActor()
    together: SessionParticles | None = None
    if particles is not None:
        together = actor.session_particles(prior, list(zip(settled, particles, strict=True)))
    actor.attribute(prior, kept[-1:], together, particles[-1:] if particles else ())
    found = actor.advise(
        prior,
        {SESSION: kept},  # what is said of single squares is not judged
        None if particles is None else gains.world.map_angstrom,
        seconds_per_movie(witnesses),
        physics_prior(),
        together,
        witnesses,
    )
    rows = advice_rows.advice_rows(found.advice, prior.version, utc_us=0)
    seen = course.site[len(movies) - len(witnesses) : len(movies)]
    told = tuple(_said(row, gains, gains.grid.thickness_nm[seen]) for row in rows if row.scope == SESSION)
    return Look(len(movies), told, tuple(one.action for one in found.withdrawn))


def learnt(movies: Sequence[MovieEvidence]) -> list[PriorSnapshot]:
    """Versions 0, 1, ... of the prior."""
    priors = [physics_prior()]
    for end in range(EPOCH_MOVIES, len(movies) + 1, EPOCH_MOVIES):
        priors.append(update(priors[-1], movies[end - EPOCH_MOVIES : end]))
    return priors


def _said(row: InterventionRow, gains: TrueGains, thickness_nm: np.ndarray) -> Said:
    kind, size = meant(str(row.action), row.sentence, thickness_nm)
    return Said(
        action=str(row.action),
        sentence=row.sentence,
        net_ln=float(row.net_ln_ssnr or 0.0),
        pays_probability=float(row.pays_probability or 0.0),
        known_by=str(row.known_by),
        true_kind=kind,
        true_size=size,
        true_net_ln=gains.of(kind, size),
    )


def meant(action: str, sentence: str, thickness_nm: np.ndarray) -> tuple[str, float]:
    """What a person would do: the truth's kind of action and its size. `thickness_nm` (n,): of the newest movies, of
    which the thickest are given up, as many as the sentence says."""
    number = re.search(r"[-+*]([\d.]+)", action)
    if action.startswith("settle"):
        seconds = float(number.group(1)) if number else 0.0
        return "settle", -seconds if "-" in action else seconds
    if action.startswith("dose-rate"):
        return "rate", float(number.group(1)) if number else 1.0
    if action.startswith("dose*"):
        return "electrons", float(number.group(1)) if number else 1.0
    if action.startswith("image-shift"):
        return "shift", float(number.group(1)) if number else 1.0
    if action == "thin-ice":
        counted = re.search(r"gives up (\d+) of (\d+)", sentence)
        assert counted, sentence
        ordered = np.sort(thickness_nm)
        kept = len(ordered) - int(counted.group(1))
        return "ice limit", float(0.5 * (ordered[kept - 1] + ordered[kept]))
    return {"parallel-beam": "parallel", "calibrate-beam-tilt": "coma"}[action], 0.0
