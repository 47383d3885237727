"""Which cause to name first for a movie: the one that costs it most beyond what the session's movies usually lose.

Causes are named at their root: thick ice loses electrons and spreads heights, and both count as ice. A loss that every
movie has (radiation damage, the camera) is no news about this one. What is not known of a session (the zero of its
counts, how far heights spread) is the same for all of its movies: each draw of the causes is compared with what is
usual under the same draw, so that it does not pass for something that sets this movie apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.bands import Array
from frazil.models.causal.causes import CauseDraws
from frazil.models.causal.change_points import WindowRow
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.mechanisms import aberrations, tilt_spread
from frazil.models.causal.particles import SessionParticles, tilt_draws
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.structural_model import structural_model
from frazil.models.records import MovieEvidence

NAMED_PER_ANGSTROM = 1 / 5
"""Where losses are compared and named: detail that a map needs, and that rings still show."""
_FACTORS_OF_ROOT = {
    "motion": ("motion",),
    "ice": ("ice", "defocus_spread"),
    "aberrations": ("aberrations",),
    "coincidence": ("coincidence",),
    "spatial_coherence": ("spatial_coherence",),
    "radiation_damage": ("radiation_damage",),
    "unexplained": ("unexplained",),
}
_TILT = "defocus_spread"
ROOTS = (*_FACTORS_OF_ROOT, _TILT)
"""Root causes: the factors through which each acts are above; the tilt's share of the spread of heights is a root of
its own."""
LEAST_EXCESS_LN_SSNR = 0.25
"""Less is within what good movies differ by."""
_LEAST_RATIO, _LEAST_NEXT = 2.0, 0.05
"""A cause is dominant that costs twice as much more than usual as the next one."""
LEAST_PROBABILITY = 0.6
"""That a cause is the dominant one, for it to be named. Where an excess lies at the line itself half of the draws are
beyond it: a name that is as likely as not says more than is known."""
_LEAST_TYPICAL_MOVIES = 3
_MOST_BEFORE = 12
"""Movies of before a change."""
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_SHIFT_DIGITS = 3


@dataclass(frozen=True, slots=True)
class NamedCause:
    """The root cause that costs a movie most beyond the usual, in ln SSNR at 5 A; empty name: nothing stands out."""

    factor: str
    excess_ln_ssnr: float


def losses_at_5_angstrom(
    evidence: MovieEvidence, draws: CauseDraws, factors: Collection[str] | None = None
) -> dict[str, Array]:
    """(S,) draws of this movie's loss by factor at 5 A; all that the graph computes, or those asked for."""
    k = np.array([NAMED_PER_ANGSTROM])
    values = structural_model().world(evidence, draws, k, wanted=factors).values
    return {name: np.asarray(loss)[:, 0] for name, loss in values.items() if factors is None or name in factors}


def by_root(evidence: MovieEvidence, draws: CauseDraws, at_5_angstrom: Mapping[str, Array]) -> Array:
    """(roots, S) loss at 5 A by root cause; a factor that is not given loses nothing."""
    nothing: Array = np.zeros(draws.blur_scale.size)
    rows = {
        root: np.sum([at_5_angstrom.get(name, nothing) for name in names], axis=0)
        for root, names in _FACTORS_OF_ROOT.items()
    }
    # Heights spread because the ice is thick or because the field is tilted: each root takes its share.
    spread = at_5_angstrom["defocus_spread"]
    tilt = float(tilt_spread(evidence, draws, np.array([NAMED_PER_ANGSTROM])).mean())
    of_tilt = tilt / max(float(np.mean(spread)), 1e-9) * spread
    rows["ice"] = rows["ice"] - of_tilt
    return np.array([*rows.values(), of_tilt])


def dominance(excess: Array) -> Array:
    """(roots,) share of the draws in which each root is the dominant cause; `excess` (roots, S) as `excess_by_root`."""
    order = np.argsort(-excess, axis=0)
    most = np.take_along_axis(excess, order[:1], axis=0)[0]
    following = np.take_along_axis(excess, order[1:2], axis=0)[0]
    dominates = (most > LEAST_EXCESS_LN_SSNR) & (most > _LEAST_RATIO * np.maximum(following, _LEAST_NEXT))
    return np.array([np.mean(dominates & (order[0] == root)) for root in range(len(ROOTS))])


def name_cause(excess: Array) -> NamedCause:
    """The root that is the dominant cause in enough draws; `excess` (roots, S): of `excess_by_root`."""
    probability = dominance(excess)
    first = int(np.argmax(probability))
    if probability[first] < LEAST_PROBABILITY:
        return NamedCause("", 0.0)
    return NamedCause(ROOTS[first], float(np.median(excess[first])))


def excess_by_root(of_movie: Array, prior: PriorSnapshot) -> Array:
    """(roots, S) loss of a movie (`by_root`) beyond what is usual under the same draw, or what was usual before a
    change if that was less; before either is known, what physics calls usual."""
    before = _roots_of_factors(prior.usual_before)[:, None] if prior.usual_before else None
    if prior.usual_before_by_draw:
        before = np.array(prior.usual_before_by_draw)
    if prior.usual:
        now = np.array(prior.usual)
        return np.asarray(of_movie - (now if before is None else np.minimum(now, before)))
    return np.asarray(of_movie - (_roots_of_factors(_BEFORE)[:, None] if before is None else before))


def usual_by_root(window: Sequence[WindowRow], prior: PriorSnapshot) -> tuple[tuple[float, ...], ...]:
    """(roots, S) median loss of the window's movies under each draw, by this version of the prior; empty: too few."""
    rows = [row for row in window if row.evidence is not None]
    if len(rows) < _LEAST_TYPICAL_MOVIES:
        return ()
    table = []
    needed = [name for names in _FACTORS_OF_ROOT.values() for name in names]
    unexplained = ALL_FACTORS.index("unexplained")
    for row in rows:
        evidence = row.evidence
        assert evidence is not None
        draws = draw_causes(evidence, prior, own_errors=False)
        at_5_angstrom = losses_at_5_angstrom(evidence, draws, needed)
        at_5_angstrom["unexplained"] = np.full(draws.blur_scale.size, row.losses_at_5_angstrom[unexplained])
        table.append(by_root(evidence, draws, at_5_angstrom))
    return tuple(tuple(root) for root in _median_by_draw(np.array(table)).round(4).tolist())


def of_before(window: Sequence[WindowRow]) -> tuple[WindowRow, ...]:
    """A few movies by which what was usual before a change can be asked again of every version."""
    rows = [row for row in window if row.evidence is not None]
    return tuple(row for number, row in enumerate(rows) if number * _GOLDEN % 1.0 < _MOST_BEFORE / max(len(rows), 1))


def _median_by_draw(losses: Array) -> Array:
    """(..., S) median of (n, ..., S) losses of n movies: under each draw of n movies drawn from them with replacement,
    so that the median's own error, is in the draws (Efron 1979).
    """
    count, draws = len(losses), losses.shape[-1]
    drawn = _resampled(count, draws)
    return np.stack([np.median(losses[drawn[s], ..., s], axis=0) for s in range(draws)], axis=-1)


@lru_cache(maxsize=8)
def _resampled(count: int, draws: int) -> NDArray[np.int64]:
    """(S, n) places among n movies, the same for every session."""
    places = np.random.default_rng(19790101).integers(0, count, (draws, count))
    places.flags.writeable = False
    return places


def usual_with_particles(prior: PriorSnapshot, session: SessionParticles) -> PriorSnapshot:
    """`prior`, its usual loss by aberrations being what the session's particles say of the movies that it keeps: an
    image shift that particles found to cost much is no news of a movie whose neighbours are shifted as far."""
    rows = [row.evidence for row in prior.window if row.evidence is not None]
    if not prior.usual or not session.tilt_mean:
        return prior
    draws, k = draw_causes(rows[-1], prior, own_errors=False), np.array([NAMED_PER_ANGSTROM])
    losses = []
    for movie in rows:
        axial, shifted = tilt_draws(session, movie, None)
        losses.append(aberrations(movie, draws.doing(axial_tilt_mrad=axial, shifted_tilt_mrad=shifted), k)[:, 0])
    row = ROOTS.index("aberrations")
    usual = tuple(_median_by_draw(np.array(losses)).round(4).tolist())
    return replace(prior, usual=(*prior.usual[:row], usual, *prior.usual[row + 1 :]))


def lean(evidence: MovieEvidence) -> MovieEvidence:
    """What losses follow from, without the rings: as a prior keeps its newest movies."""
    x, y, sd = (
        tuple(np.round(values, _SHIFT_DIGITS).tolist())
        for values in (evidence.shift_x_angstrom, evidence.shift_y_angstrom, evidence.shift_sd_angstrom)
    )
    return replace(
        evidence,
        shift_x_angstrom=x,
        shift_y_angstrom=y,
        shift_sd_angstrom=sd,
        log_ssnr=(),
        log_ssnr_counting_sd=(),
    )


def least_usual(window: Sequence[WindowRow], usual_before: Sequence[float]) -> tuple[float, ...]:
    """By factor the median loss of some movies, or what was usual before them if that was less; empty: not known."""
    if len(window) < _LEAST_TYPICAL_MOVIES:
        return tuple(usual_before)
    table: Array = np.array([row.losses_at_5_angstrom for row in window])
    usual = np.median(table, axis=0)
    return tuple((np.minimum(usual, usual_before) if len(usual_before) else usual).tolist())


def _roots_of_factors(losses: Sequence[float]) -> Array:
    """(roots,) of losses in the order of `ALL_FACTORS`, the field being level."""
    loss = dict(zip(ALL_FACTORS, losses, strict=True))
    return np.array([*(sum(loss[name] for name in names) for names in _FACTORS_OF_ROOT.values()), 0.0])


_GOOD = dict.fromkeys(ALL_FACTORS, 0.0) | {
    "motion": 0.3,
    "radiation_damage": 1.5,
    "spatial_coherence": 0.2,
    "temporal_coherence": 0.05,
    "ice": 0.25,
    "detector": 0.3,
    "coincidence": 0.08,
    "aberrations": 0.1,
    "defocus_spread": 0.2,
}
"""Losses at 5 A of a good movie of 40 e/A2 in 40 nm of ice at 300 kV."""
_BEFORE = tuple(_GOOD[name] for name in ALL_FACTORS)
