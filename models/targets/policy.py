"""Where to shoot next: from tables of places and of outcomes to a ranked list with its reasons.

Pure and deterministic: the same places, outcomes, hours and settings give the same answer, in whatever order outcomes
come. `arranged` is made once while the table of places stays the same; `next_targets` is asked again with every
outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from frazil.models.grid_target import GridTarget
from frazil.models.targets.belief import Belief, learn
from frazil.models.targets.choice import Choice, choose, forecast_of, situation
from frazil.models.targets.costs import learnt_moves, shot_order
from frazil.models.targets.features import Columns, columns_of
from frazil.models.targets.itinerary import following, worth_taking
from frazil.models.targets.layout import Flags, Holes, holes_of
from frazil.models.targets.levels import Index
from frazil.models.targets.outcomes import Array, Seen, seen_resolution, seen_signal
from frazil.models.targets.probing import Forecast, Situation, way_minutes
from frazil.models.targets.prospect import prospect_of
from frazil.models.targets.records import (
    HolesExpected,
    NextTargets,
    Outcome,
    RankedTarget,
    SquareOutlook,
    TargetSettings,
)
from frazil.models.targets.spread import TEN_PERCENT, square_shares, usable_interval
from frazil.models.targets.words import reason_of, square_words, verdict_of


@dataclass(frozen=True, slots=True)
class Arranged:
    """A table of places, made ready."""

    holes: Holes
    columns: Columns


def arranged(targets: Iterable[GridTarget], settings: TargetSettings) -> Arranged:
    """Once for a table of places; avoided ones are those of the settings then."""
    holes = holes_of(targets, settings.avoided_ids)
    return Arranged(holes, columns_of(holes, settings.trusted_features, settings.usable_angstrom))


def _with_carried(places: Arranged, settings: TargetSettings) -> Arranged:
    """Slopes of another grid are expected here, too."""
    if not settings.carried_slopes:
        return places
    return Arranged(places.holes, replace(places.columns, carried=settings.carried_slopes))


@dataclass(frozen=True, slots=True)
class Outlooks:
    """What the outcomes so far make one expect of every hole."""

    seen: Seen
    belief: Belief
    usable: Array
    """(holes,) probability."""
    forecast: Forecast
    signal: Signal | None
    counted: str
    """One of `VALUES`: usable exposures as long as none has told its signal."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Of every hole, if it is usable: ln effective signal of one exposure."""

    mean: Array
    sd: Array


def outlooks_of(places: Arranged, outcomes: Sequence[Outcome], settings: TargetSettings) -> Outlooks:
    """From all outcomes so far, in any order."""
    holes, columns = places.holes, places.columns
    seen = seen_resolution(outcomes, holes.index, settings.usable_angstrom)
    belief = learn(holes, columns, seen, columns.hypotheses())
    outlooks = belief.outlooks()
    usable = np.asarray(sum(one.weight * one.usable() for one in outlooks))
    signal = _signal(places, outcomes, settings)
    weight, counted = np.ones(len(usable)), "usable"
    if settings.value == "effective_signal" and signal is not None:
        counted = settings.value
        # The median. A mean of lognormals would be dearest where least is known: every place not yet seen would beckon,
        # though no hole holds more particles than fit into it.
        weight = np.exp(signal.mean)
    forecast = replace(forecast_of(outlooks, weight), predicted=any(columns.trusted))
    return Outlooks(seen, belief, usable, forecast, signal, counted)


def _signal(places: Arranged, outcomes: Sequence[Outcome], settings: TargetSettings) -> Signal | None:
    """None: no exposure has told one. No slopes are expected here of what foretells the resolution."""
    seen = seen_signal(outcomes, places.holes.index, settings.usable_angstrom)
    if not len(seen.hole):
        return None
    middle = float(np.median(seen.value))
    forecast = forecast_of(
        learn(
            places.holes, places.columns, Seen(seen.hole, seen.value - middle), places.columns.untrusted()
        ).outlooks(),
        np.ones(len(places.holes.ids)),
    )
    return Signal(forecast.mean + middle, np.sqrt(forecast.variance))


def open_holes(holes: Holes, outcomes: Iterable[Outcome]) -> Flags:
    """Neither exposed nor avoided."""
    return ~(shot_holes(holes, outcomes) | holes.avoided)


def shot_holes(holes: Holes, outcomes: Iterable[Outcome]) -> Flags:
    """By an outcome, with or without a result, or by what their own file says."""
    found = holes.exposed.copy()
    found[[holes.index[one.target_id] for one in outcomes if one.target_id in holes.index]] = True
    return found


def next_targets(
    places: Arranged, outcomes: Sequence[Outcome], minutes_left: float, settings: TargetSettings, at: str | None = None
) -> NextTargets:
    """The next exposures and why, what is left in each square, and a sentence. `at`: the hole that was shot last; None:
    by the outcomes' times."""
    holes = places.holes
    known = outlooks_of(_with_carried(places, settings), outcomes, settings)
    moves = settings.moves or learnt_moves(holes, outcomes)
    shots = shot_order(holes, outcomes)
    hole = holes.index.get(at) if at is not None else (shots[-1][1] if shots else None)
    free = open_holes(holes, outcomes)
    value = known.usable * known.forecast.weight
    now = situation(holes, known.forecast, value, free, hole, moves, minutes_left)
    choice = choose(now)
    picked = _picked(holes, free, settings.picked_ids)
    listed = picked[: settings.ranked]
    if choice is not None:
        listed = [*listed, *(one for one in following(now, choice, settings.ranked) if one not in set(listed))]
    listed = listed[: settings.ranked]
    squares = _squares(known, now, choice, shot_holes(holes, outcomes), settings.usable_angstrom)
    given = _given(known, outcomes, settings)
    more = 0.0 if choice is None else choice.expected
    whole = given + float(value[free].sum())
    ranked = _ranked(known, now, choice, listed, set(picked))
    share = 0.0 if not holes.ever_open else given / whole if whole > 0.0 else 1.0
    return NextTargets(
        ranked, squares, verdict_of(now, choice, ranked, squares, share, known.counted), more,
        0.0 if choice is None else choice.price, share, known.belief.slopes(), moves, holes.unseen_squares,
        _every(known, free),
        prospect_of(now, known.belief, ranked, listed, _median(known.signal), cut=len(listed) == settings.ranked),
    )  # fmt: skip


def _median(signal: Signal | None) -> Array | None:
    """(holes,) as plans count it."""
    return None if signal is None else np.asarray(np.exp(signal.mean))


def _every(known: Outlooks, free: Flags) -> HolesExpected:
    hole = np.flatnonzero(free)
    low, high = usable_interval(known.forecast, hole)
    holes, signal = known.belief.holes, _median(known.signal)
    squares = np.array(holes.square_ids, dtype=object)[holes.square[hole]] if len(hole) else np.zeros(0, dtype=object)
    return HolesExpected(
        tuple(np.array(holes.ids, dtype=object)[hole].tolist()), tuple(squares.tolist()), known.usable[hole], low, high,
        None if signal is None else signal[hole],
    )  # fmt: skip


def _given(known: Outlooks, outcomes: Sequence[Outcome], settings: TargetSettings) -> float:
    """Of what is counted, so far."""
    if known.counted == "effective_signal":
        return float(np.exp(seen_signal(outcomes, known.belief.holes.index, settings.usable_angstrom).value).sum())
    return float((known.seen.value <= 0.0).sum())


def _picked(holes: Holes, free: Flags, picked_ids: Sequence[str]) -> list[int]:
    """Open holes that a person wants first: themselves, or all of a patch or square."""
    found: dict[int, None] = {}
    for one in picked_ids:
        if one in holes.index:
            found[holes.index[one]] = None
            continue
        inside = np.isin(holes.stop, [n for n, name in enumerate(holes.stop_ids) if name == one])
        inside |= np.isin(holes.square, [n for n, name in enumerate(holes.square_ids) if name == one])
        found |= dict.fromkeys(np.flatnonzero(inside).tolist())
    return [hole for hole in found if free[hole]]


def _ranked(
    known: Outlooks, now: Situation, choice: Choice | None, listed: Sequence[int], picked: set[int]
) -> tuple[RankedTarget, ...]:
    hole: Index = np.array(listed, dtype=np.intp)
    lows, highs = (part.tolist() for part in usable_interval(known.forecast, hole))
    found, here, holes = [], now.here, now.holes
    for rank, (one, low, high) in enumerate(zip(listed, lows, highs, strict=True), 1):
        usable, stop = float(known.usable[one]), int(holes.stop[one])
        signal, signal_low, signal_high = _signal_ends(known.signal, one)
        found.append(RankedTarget(
            rank, holes.ids[one], holes.names[one], holes.square_ids[int(holes.square_of_stop[stop])] or None,
            holes.stop_ids[stop] or None, usable, low, high, signal, signal_low, signal_high,
            way_minutes(here, holes, stop, now.moves),
            reason_of(now, choice, one, usable, (low, high), known.counted, picked=one in picked), one in picked,
        ))  # fmt: skip
        here = here.after(holes, one)
    return tuple(found)


def _signal_ends(signal: Signal | None, hole: int) -> tuple[float | None, float | None, float | None]:
    """Median, as plans count it, and the 80 % interval of what one exposure brings."""
    if signal is None:
        return None, None, None
    mean, sd = float(signal.mean[hole]), float(signal.sd[hole])
    median, low, high = (float(np.exp(mean + sign * TEN_PERCENT * sd)) for sign in (0.0, -1.0, 1.0))
    return median, low, high


def _squares(
    known: Outlooks, now: Situation, choice: Choice | None, was_shot: Flags, usable_angstrom: float
) -> tuple[SquareOutlook, ...]:
    holes = now.holes
    count = len(holes.square_ids)
    shares = square_shares(holes, known.forecast, np.flatnonzero(now.open_hole))
    worth = worth_taking(now, 0.0 if choice is None else choice.price)
    taken = np.bincount(holes.square[worth], minlength=count)
    shot = np.bincount(holes.square[known.seen.hole], minlength=count)
    no_result = np.bincount(holes.square[was_shot], minlength=count) - shot
    usable = np.bincount(holes.square[known.seen.hole[known.seen.value <= 0.0]], minlength=count)
    every = np.bincount(holes.square, minlength=count)
    expected = np.bincount(holes.square[worth], now.value[worth], count)
    probed, looks = -1, 0
    if choice is not None and choice.kind == "look" and choice.probe is not None:
        probed, looks = int(holes.square_of_stop[choice.probe.stop]), choice.probe.looks
    found = []
    for square in np.lexsort((np.arange(count), -np.nan_to_num(shares.mean), -expected)).tolist():
        left = int(shares.holes[square])
        ends = [float(np.nan_to_num(part[square])) for part in (shares.mean, shares.low, shares.high)]
        one = SquareOutlook(
            holes.square_ids[square], holes.square_names[square], int(every[square]), int(shot[square]), left,
            int(usable[square]), ends[0], ends[1], ends[2], int(taken[square]), "", int(no_result[square]),
        )  # fmt: skip
        here, looked = square == now.here.square, square == probed
        found.append(square_words(one, usable_angstrom, here=here, looks=looks if looked else 0))
    return tuple(found)
