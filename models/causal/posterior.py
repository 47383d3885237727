"""Learning from movies: conjugate updates in information form, one epoch at a time, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from frazil.models.causal import counts, learned_arrows, settle
from frazil.models.causal.bands import BAND_COUNT, Array
from frazil.models.causal.change_points import (
    CHANNELS,
    WINDOW_MOVIES,
    Announcement,
    ChangePoint,
    WindowRow,
    find_change,
    in_time,
)
from frazil.models.causal.draws import draw_causes, unit_losses
from frazil.models.causal.factors import ALL_FACTORS, MODELLED_FACTORS
from frazil.models.causal.forecasts import Forecaster, compared
from frazil.models.causal.graph import causal_graph
from frazil.models.causal.independence import IndependenceRecord, seen, with_movies
from frazil.models.causal.learned_arrows import ArrowSums
from frazil.models.causal.measured import ln_dose_rate, ln_drift_speed
from frazil.models.causal.naming import (
    lean,
    least_usual,
    losses_at_5_angstrom,
    of_before,
    usual_by_root,
)
from frazil.models.causal.prediction_record import PredictionRecord, with_epoch
from frazil.models.causal.prior import PriorSnapshot, packed, physics_prior
from frazil.models.causal.rings import ring_rows, unexplained_fall
from frazil.models.records import MovieEvidence

_ROBUST_ROUGHNESS = 2.0
"""A movie whose measured curve is rougher than so many times its noise counts less (Huber's weight). Judged by the
movie alone: against what others have taught, the order of movies would matter."""
_INDEPENDENT_SHARE = 0.5
"""Two movies count as one: holes of a square share their ice, and no session's thicknesses are quite lognormal. Chosen
among 1, 1/2 and 1/4 by coverage over 30 drawn sessions of another author (docs/science.md)."""
_OTHER_BEAM_MEAN, _OTHER_BEAM_SD = 4.0, 6.0
"""Strength of the beam's convergence after somebody changed the illumination: up to some 0.1 mrad."""
_RINGS_KNOWN_MOVIES = 10
"""Before so many movies the session's own curve is too uncertain for a movie's rings to be compared with it."""


def update(
    prior: PriorSnapshot,
    evidence: Sequence[MovieEvidence],
    temper: float = 1.0,
    forgetting: float = 1.0,
    announced: Sequence[Announcement] = (),
    first: PriorSnapshot | None = None,
    graph: nx.DiGraph | None = None,
) -> PriorSnapshot:
    """The next version: `prior` and a batch of movies, each judged against `prior`: their order does not matter.

    Parameters
    ----------
    temper:
        0 to 1: how far the evidence is trusted (power posterior); 1 is Bayes.
    forgetting:
        0 to 1: share of what earlier movies taught that is kept, for a session that drifts slowly; 1 forgets nothing.
    announced:
        Changes that people told of: a step there needs less to speak for it, and what it ends is forgotten sooner.
    first:
        The session's version 0, which also foretells these movies; None: physics alone.
    graph:
        By whose claims of independence movies are judged; None: the one that ships.
    """
    movies, last, moved = settle.with_settle_times(evidence, prior.last_exposure, prior.stage_moved_utc_us)
    learnt = _Learnt.of(prior, physics := physics_prior(), forgetting)
    rows = _taken_in(movies, prior, learnt, temper)
    empty = max([prior.empty_counts_per_px or 0.0, *(movie.dose_per_frame_e_per_px for movie in movies)])
    window = in_time([*prior.window, *_since_last_change(rows, prior)])
    change = find_change(window, prior.movie_count + len(movies) - len(window), announced)
    changes, usual_before, before = prior.change_points, prior.usual_before, prior.before
    if change is not None:
        point, first_row_after = change
        learnt.after(point, physics)
        usual_before = least_usual(window[:first_row_after], usual_before)
        before = () if point.cause != "grid" and point.forgets_counts else of_before(window[:first_row_after])
        changes = (*changes, point)
        empty = _most_counts_since(point, movies) if point.forgets_counts else empty
        window = _window_since(point, window[first_row_after:])
    learned = PriorSnapshot(
        version=prior.version + 1,
        movie_count=prior.movie_count + len(movies),
        precision=tuple(tuple(row) for row in learnt.precision.tolist()),
        information=tuple(learnt.information.tolist()),
        count_weights=packed(learnt.count_ln_weight),
        settle_sums=tuple(tuple(row) for row in learnt.settle_sums.tolist()),
        empty_counts_per_px=empty or None,
        last_exposure=last,
        stage_moved_utc_us=moved,
        window=tuple(window[-WINDOW_MOVIES:]),
        change_points=changes,
        usual_before=usual_before,
        before=before,
        change_sd=_change_sd(prior, learnt),
        independence=_independence(prior, movies, graph or causal_graph(), changed=change is not None),
        arrows=_arrows(prior, movies, change[0] if change else None, temper, forgetting),
        predictions=_predictions(prior, movies, first or physics, changed=change is not None),
    )
    of_now, of_then = (usual_by_root(rows, learned) for rows in (learned.window, before))
    return replace(learned, usual=of_now, usual_before_by_draw=of_then)


def _independence(
    prior: PriorSnapshot, movies: Sequence[MovieEvidence], graph: nx.DiGraph, *, changed: bool
) -> IndependenceRecord:
    """What the session says of the graph's claims; movies on both sides of a change are not compared."""
    if changed:
        return replace(prior.independence, waiting=())
    return with_movies(prior.independence, seen(movies), graph)


def _arrows(
    prior: PriorSnapshot, movies: Sequence[MovieEvidence], change: ChangePoint | None, temper: float, kept: float
) -> ArrowSums:
    """Another grid has other films and other particles."""
    if change is not None and change.cause == "grid":
        return ArrowSums()
    return learned_arrows.with_movies(prior.arrows, movies, temper=temper, kept=kept)


def _predictions(
    prior: PriorSnapshot, movies: Sequence[MovieEvidence], first: PriorSnapshot, *, changed: bool
) -> PredictionRecord:
    """How well `prior` foretold these movies; what it foretold before a change says nothing of the time after."""
    if changed:
        return PredictionRecord()
    now, then = Forecaster(prior), Forecaster(first)
    return with_epoch(prior.predictions, [compared(movie, now, then) for movie in movies], prior.movie_count)


def _taken_in(movies: Sequence[MovieEvidence], prior: PriorSnapshot, learnt: _Learnt, temper: float) -> list[WindowRow]:
    """Add movies to what is learnt; what each is like in a few numbers."""
    mean, covariance = prior.moments()
    rows = []
    for movie in movies:
        level, fall = learnt.add(movie, prior, mean, covariance, temper)
        rows.append(_window_row(movie, prior, level, fall))
    return rows


def _since_last_change(rows: Sequence[WindowRow], prior: PriorSnapshot) -> list[WindowRow]:
    """What was taken before the last change is another session's: it must not be found as a change again."""
    since = max((point.utc_us or 0 for point in prior.change_points), default=0)
    return [row for row in rows if row.utc_us is None or row.utc_us >= since]


def _most_counts_since(change: ChangePoint, movies: Sequence[MovieEvidence]) -> float:
    """e/px per frame: another beam has another zero, which is the most that was counted since. 0: nothing was."""
    since = change.utc_us or 0
    later = [m for m in movies if m.exposure.acquired_utc_us is None or m.exposure.acquired_utc_us >= since]
    return max((movie.dose_per_frame_e_per_px for movie in later), default=0.0)


def _window_since(change: ChangePoint, rows: list[WindowRow]) -> list[WindowRow]:
    """The rows after a change, as they can be compared with those to come."""
    if change.cause != "grid":
        return rows
    # Rings were compared with those of the specimen that is gone.
    rings = [CHANNELS.index("ring_level"), CHANNELS.index("ring_fall")]
    return [replace(row, channels=_without(row.channels, rings)) for row in rows]


@dataclass
class _Learnt:
    """The sums while a batch is added to them."""

    precision: Array
    information: Array
    count_ln_weight: Array
    settle_sums: Array

    @classmethod
    def of(cls, prior: PriorSnapshot, physics: PriorSnapshot, kept: float) -> _Learnt:
        start, base = np.array(prior.precision), np.array(physics.precision)
        information, base_information = np.array(prior.information), np.array(physics.information)
        count_base = counts.prior_ln_weight()
        return cls(
            base + kept * (start - base),
            base_information + kept * (information - base_information),
            count_base + kept * (prior.count_belief() - count_base),
            kept * prior.settle_belief(),
        )

    def add(
        self, movie: MovieEvidence, prior: PriorSnapshot, mean: Array, covariance: Array, temper: float
    ) -> tuple[float | None, float | None]:
        """Take in one movie; returns the level and the fall of its rings against what was expected."""
        own = counts.ln_likelihood(movie)
        if own is not None:
            self.count_ln_weight = self.count_ln_weight + temper * _INDEPENDENT_SHARE * own
        sums = settle.sums_of(movie)
        if sums is not None:
            self.settle_sums = self.settle_sums + temper * sums
        rows = ring_rows(movie, unit_losses(movie))
        if rows is None:
            return None, None
        trust = temper * _INDEPENDENT_SHARE * min(1.0, _ROBUST_ROUGHNESS / max(rows.roughness(), 1e-12))
        weighted = rows.whitened(rows.design)
        self.precision = self.precision + trust * rows.design.T @ weighted
        self.information = self.information + trust * weighted.T @ rows.y
        grids = [point.movie_number for point in prior.change_points if point.cause == "grid"]
        if prior.movie_count < max(grids, default=0) + _RINGS_KNOWN_MOVIES:
            return None, None
        effects, _ = rows.effects_given(mean, covariance)
        return float(effects[0]), float(effects[1])

    def after(self, change: ChangePoint, physics: PriorSnapshot) -> None:
        """Forget what a change made worthless: another beam has another zero, another grid other rings and ice."""
        if change.forgets_counts:
            base = counts.prior_ln_weight()
            # The camera stays what it was: only its own axis keeps what was learnt.
            camera = np.log(
                np.maximum(np.exp(self.count_ln_weight - self.count_ln_weight.max()).sum(axis=(1, 2)), 1e-26)
            )
            prior_camera = np.log(np.exp(base - base.max()).sum(axis=(1, 2)))
            self.count_ln_weight = base + (camera - prior_camera)[:, None, None]
        if change.cause == "grid":
            self._forget_columns(np.arange(BAND_COUNT), physics)  # the specimen's own curve
        if change.cause == "illumination":
            # Another beam converges otherwise, and nobody may have aligned it.
            column = BAND_COUNT + MODELLED_FACTORS.index("spatial_coherence")
            self._forget_columns(np.array([column]), physics)
            self.precision[column, column] = 1 / _OTHER_BEAM_SD**2
            self.information[column] = _OTHER_BEAM_MEAN / _OTHER_BEAM_SD**2
        if change.cause == "stage":
            self.settle_sums = settle.no_sums()

    def _forget_columns(self, columns: NDArray[np.intp], physics: PriorSnapshot) -> None:
        """Integrate out what was learnt of some columns of the ring model; what the others are stays as it is."""
        covariance = np.linalg.inv(self.precision)
        mean, rest = covariance @ self.information, np.setdiff1d(np.arange(len(self.information)), columns)
        kept = np.linalg.inv(covariance[np.ix_(rest, rest)])
        self.precision, self.information = np.array(physics.precision), np.array(physics.information)
        self.precision[np.ix_(rest, rest)], self.information[rest] = kept, kept @ mean[rest]


def _without(channels: tuple[float | None, ...], columns: Sequence[int]) -> tuple[float | None, ...]:
    return tuple(None if column in columns else value for column, value in enumerate(channels))


def _window_row(movie: MovieEvidence, prior: PriorSnapshot, level: float | None, fall: float | None) -> WindowRow:
    values = {
        "counts": counts.log_count_ratio(movie),
        "fixed_pattern": movie.fixed_pattern,
        "ring_level": level,
        "ring_fall": fall,
        "ln_drift_speed": ln_drift_speed(movie),
        "ln_stated_rate": ln_dose_rate(movie),
        "pattern_rms": movie.fixed_pattern_rms,
    }
    loss = {name: float(np.median(one)) for name, one in losses_at_5_angstrom(movie, draw_causes(movie, prior)).items()}
    loss["unexplained"] = 0.0 if fall is None else unexplained_fall(fall)
    return WindowRow(
        utc_us=movie.exposure.acquired_utc_us,
        channels=tuple(value if value is not None and np.isfinite(value) else None for value in values.values()),
        losses_at_5_angstrom=tuple(round(max(loss[name], 0.0), 4) for name in ALL_FACTORS),
        grid_square=movie.exposure.grid_square,
        evidence=lean(movie),
    )


def _change_sd(prior: PriorSnapshot, learnt: _Learnt) -> tuple[float, ...]:
    """How far this epoch moved each strength, in the sd that it had: the log of the self-evaluation loop."""
    mean, sd = prior.strengths()
    covariance = np.linalg.inv(learnt.precision)
    moved = (covariance @ learnt.information)[BAND_COUNT : BAND_COUNT + len(mean)]
    return tuple(np.abs((moved - mean) / sd).round(4).tolist())
