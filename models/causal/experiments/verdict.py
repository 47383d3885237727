"""What an experiment says: gain in signal against movies per hour, by assignment, with an interval that looks allow.

Only assignments are compared. Movies that somebody took with two settings are no experiment: settings follow the order
of holes, squares and image shifts, and what those do would be taken for the setting's doing (`as_it_happened`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

import numpy as np

from frazil.config.errors import UsageError
from frazil.models.causal.experiments.blocks import Block, Unit, blocks_of, covariate_differences
from frazil.models.causal.experiments.design import Design
from frazil.models.causal.experiments.outcomes import FALL_ANGSTROM2, outcome_of, resolution_after_angstrom
from frazil.models.causal.experiments.pace import PAUSE, ln_rate_ratio, net_track, pace_of
from frazil.models.causal.experiments.sequence import Track, explained, track

State = Literal["not started", "running", "decided", "undecided"]
WORTH_LN = 0.03
"""A net difference within 3 % an hour is worth no further movie."""
ALPHA = 0.05
_EXPECTED_SCATTER_LN = 0.4
"""Of the difference of two movies' outcomes, before any has come."""
COMPLIED_ENOUGH = 0.8
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Interval:
    """Estimate with the ends of its 95 % confidence sequence (infinite: nothing is known yet)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """What one arm's movies were like; told beside the verdict, never the verdict."""

    movies: int
    failed: int
    complied_share: float | None
    """Of those whose setting was measured; None: of none it was."""
    seconds_per_movie: float | None
    fit_resolution_angstrom: float | None
    """Median."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All differences are A less B; a sentence of it makes `answer`."""

    state: State
    better: str
    """A or B when decided; empty: neither, or not decided."""
    pairs: int
    """Blocks that the verdict rests on; it stops at the first at which it is decided."""
    most_pairs: int
    gain: Interval
    """ln SSNR (or the outcome's own ln)."""
    rate: Interval | None
    """ln of the ratio of movies per hour; None: the movies do not say when they were taken."""
    net: Interval
    """Gain and rate together; without a rate, or where the outcome is no signal, the gain."""
    arms: tuple[ArmFacts, ArmFacts]
    complied_share: float | None
    fit_from_angstrom: float | None
    """Of the other arm than the better one (B while none is)."""
    fit_to_angstrom: float | None
    """With the better one, by the gain along the session's fall of signal."""
    movies_more: int | None
    """About, until it would be decided; None: decided, or nothing is known yet."""
    hours_more: float | None


def as_it_happened(*_: object) -> NoReturn:
    """Comparing movies by the setting that they happened to have. Raises `UsageError`, always."""
    raise UsageError(
        "movies that were not assigned by a coin are no experiment: settings go with the order of holes, squares and "
        "image shifts",
        remedy="plan one with `frazil experiment plan`",
    )


def judge(design: Design, units: Mapping[int, Unit], *, fall_angstrom2: float = FALL_ANGSTROM2) -> Verdict:
    """The verdict as of now.

    Parameters
    ----------
    units:
        By the place of the hole in the plan, what came of it.
    fall_angstrom2:
        -d ln SSNR / d(k^2) of the session's specimen, for the answer in angstrom.

    Raises
    ------
    UsageError
        Something is not of the plan.
    """
    if not set(units) <= {one.place for one in design.assignments}:
        as_it_happened()
    blocks = blocks_of(design, units)
    signal = outcome_of(design.outcome).is_signal
    b = np.array([block.b.value for block in blocks], dtype=np.float64)
    a = np.array([block.a.value for block in blocks], dtype=np.float64)
    a = a - explained(a, b, covariate_differences(design, blocks))
    gain = track(a, b, alpha=ALPHA, scatter=_EXPECTED_SCATTER_LN)
    pace = pace_of(blocks) if signal else None
    paths = _Paths(gain, None, gain)
    if pace is not None:
        paths = _Paths(gain, ln_rate_ratio(pace), net_track(pace, a, b, alpha=ALPHA, scatter=_EXPECTED_SCATTER_LN))
    end, better = _first_decision(paths.net, signal=signal)
    return _verdict(design, blocks[:end], paths, better, fall_angstrom2)


@dataclass(frozen=True, slots=True)
class _Paths:
    """What is followed over the blocks; `net` decides."""

    gain: Track
    rate: Track | None
    net: Track


def _first_decision(net: Track, *, signal: bool) -> tuple[int, str | None]:
    """After how many blocks it is decided, and for which arm (empty: neither); all of them and None: it is not."""
    for place, (low, high) in enumerate(zip(net.low, net.high, strict=True), 1):
        if low > 0.0:
            return place, "A"
        if high < 0.0:
            return place, "B"
        if signal and low >= -WORTH_LN and high <= WORTH_LN:
            return place, ""
    return len(net.low), None


def _verdict(
    design: Design,
    blocks: Sequence[Block],
    paths: _Paths,
    better: str | None,
    fall_angstrom2: float,
) -> Verdict:
    end = len(blocks)
    most = len(design.assignments) // 2
    arms = (_facts(design, [block.a for block in blocks], "A"), _facts(design, [block.b for block in blocks], "B"))
    state: State = "not started" if not end else "running"
    if better is not None:
        state = "decided"
    elif end >= most:
        state = "undecided"
    now = _at(paths.net, end)
    start = arms[0 if better == "B" else 1].fit_resolution_angstrom
    to = None
    if start is not None and outcome_of(design.outcome).is_signal:
        towards = _at(paths.gain, end).value * (-1.0 if better == "B" else 1.0)
        to = resolution_after_angstrom(start, towards, fall_angstrom2)
    more = None if better is not None else _movies_more(now, end, signal=outcome_of(design.outcome).is_signal)
    seconds = [arm.seconds_per_movie for arm in arms if arm.seconds_per_movie is not None]
    complied = _complied_share(design, blocks)
    return Verdict(
        state=state,
        better=better or "",
        pairs=end,
        most_pairs=most,
        gain=_at(paths.gain, end),
        rate=None if paths.rate is None else _at(paths.rate, end),
        net=now,
        arms=arms,
        complied_share=complied,
        fit_from_angstrom=start,
        fit_to_angstrom=to,
        movies_more=more,
        hours_more=None if more is None or not seconds else more * float(np.mean(seconds)) / _SECONDS_PER_HOUR,
    )


def _at(path: Track, end: int) -> Interval:
    if not end:
        return Interval(0.0, -np.inf, np.inf)
    return Interval(float(path.estimate[end - 1]), float(path.low[end - 1]), float(path.high[end - 1]))


def _movies_more(net: Interval, pairs: int, *, signal: bool) -> int | None:
    """Until the interval would leave 0, or lie within what is worth nothing, whichever is sooner: widths fall as one
    over the root of the number. None: nothing is known of the width yet."""
    half = (net.high - net.low) / 2
    if not np.isfinite(half) or not pairs:
        return None
    shares = [half / max(abs(net.value), 1e-3)]
    if signal and abs(net.value) < WORTH_LN:
        shares.append(half / (WORTH_LN - abs(net.value)))
    return max(2 * int(np.ceil(pairs * (min(shares) ** 2 - 1.0))), 2)


def _facts(design: Design, units: Sequence[Unit], arm: str) -> ArmFacts:
    movies = sum(unit.movies for unit in units)
    seconds = [unit.seconds for unit in units if unit.seconds is not None]
    usual = float(np.median(seconds)) if seconds else 0.0
    working = [one for one in seconds if one <= PAUSE * usual]
    fits = [unit.fit_resolution_angstrom for unit in units if unit.fit_resolution_angstrom is not None]
    return ArmFacts(
        movies=movies,
        failed=sum(unit.failed for unit in units),
        complied_share=_share([unit.complied(design, arm) for unit in units]),
        seconds_per_movie=float(np.mean(working)) if working else None,
        fit_resolution_angstrom=float(np.median(fits)) if fits else None,
    )


def _complied_share(design: Design, blocks: Sequence[Block]) -> float | None:
    each = [unit.complied(design, arm) for block in blocks for unit, arm in ((block.a, "A"), (block.b, "B"))]
    return _share(each)


def _share(complied: Sequence[bool | None]) -> float | None:
    known = [one for one in complied if one is not None]
    return sum(known) / len(known) if known else None
