"""The forecast in rows and sentences: the map at the end of the session, and what the next steps would cost."""

from __future__ import annotations

from dataclasses import dataclass

from frazil.models.interval_words import eighty
from frazil.models.reconstruction.resolution.forecast import Interval, Ssnr

_STEPS_ANGSTROM = (30, 25, 20, 17, 15, 12, 10, 9, 8, 7, 6, 5, 4.5, 4, 3.5, 3.2, 3, 2.8, 2.5, 2.2, 2, 1.8, 1.5)
_STEPS_TOLD = 3
_LONGEST_HOURS = 72.0
"""A session of three days is long; what takes longer is not a matter of movies."""
_HOPELESS_TIMES = 10_000.0
"""Beyond so many times the movies there is no number worth telling."""
_MOST_TIMES = 20.0
"""The same where nobody knows how fast movies come."""
_PIXEL = "pixel size of the running map"


@dataclass(frozen=True, slots=True)
class OutlookRow:
    """One sentence and its numbers. Intervals are 80 %."""

    kind: str
    """`end`: of the session; `step`: to a resolution."""
    movies: int | None
    """In all; None: no number of them."""
    movies_low: int | None
    movies_high: int | None
    hours: float | None
    """From now on; None: the rate is not known."""
    resolution_angstrom: float
    resolution_low_angstrom: float | None
    """The finer end; None: this is a step, its interval is in movies."""
    resolution_high_angstrom: float | None
    reachable: bool
    limited_by: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that is foretold after a round."""

    b_factor_a2: Interval | None
    rows: tuple[OutlookRow, ...]


def outlook(
    ssnr: Ssnr,
    *,
    movie_count: int,
    particle_count: int,
    resolution_angstrom: float,
    movies_at_end: int | None,
    movies_per_hour: float | None,
    largest_cause: str | None,
    goal_angstrom: float | None = None,
) -> Outlook:
    """What one round's belief says about more movies like those in the map.

    Parameters
    ----------
    resolution_angstrom:
        Of the round.
    movies_at_end:
        How many kept movies the session will have; None, or not more than now: twice as many as now are looked at.
    largest_cause:
        In words, what the causal model finds to cost most: named where more movies do not help.
    goal_angstrom:
        A step that a person asks for, told with the others.
    """
    end = movies_at_end if movies_at_end is not None and movies_at_end > movie_count else 2 * movie_count
    rows = [_end(ssnr, movie_count, end, particle_count, movies_per_hour)]
    steps = [step for step in _STEPS_ANGSTROM if step < 0.98 * resolution_angstrom][:_STEPS_TOLD]
    for step in steps:
        rows.append(_step(ssnr, step, movie_count, movies_per_hour, largest_cause))
        if rows[-1].limited_by == _PIXEL:
            break  # as is everything finer
    if goal_angstrom is not None and goal_angstrom < resolution_angstrom and goal_angstrom not in steps:
        rows.append(_step(ssnr, goal_angstrom, movie_count, movies_per_hour, largest_cause))
    return Outlook(ssnr.b_factor_a2(), tuple(rows))


def _end(ssnr: Ssnr, movie_count: int, end: int, particle_count: int, movies_per_hour: float | None) -> OutlookRow:
    found = ssnr.resolution(end / movie_count)
    at_limit = found.median <= ssnr.limit_angstrom * 1.001
    limit = f"; the running map ends at {ssnr.limit_angstrom:.1f} A" if at_limit else ""
    return OutlookRow(
        kind="end",
        movies=end,
        movies_low=None,
        movies_high=None,
        hours=_hours(end - movie_count, movies_per_hour),
        resolution_angstrom=found.median,
        resolution_low_angstrom=found.low,
        resolution_high_angstrom=found.high,
        reachable=True,
        limited_by=_PIXEL if at_limit else None,
        sentence=(
            f"expected after {end:,} movies ({round(particle_count * end / movie_count):,} particles): "
            f"{found.median:.1f} A{eighty(found.low, found.high, 1)}{limit}"
        ),
    )


def _step(
    ssnr: Ssnr, step: float, movie_count: int, movies_per_hour: float | None, largest_cause: str | None
) -> OutlookRow:
    gain = ssnr.gain_for(step)
    if gain is None:
        return _no(
            step, _PIXEL, f"{step:g} A is out of reach: the running map's pixels end at {ssnr.limit_angstrom:.1f} A"
        )
    cause = largest_cause or "the signal of single movies"
    if not gain.median < _HOPELESS_TIMES:
        many = f"{_HOPELESS_TIMES:,.0f} times as many movies"
        return _no(step, cause, f"{step:g} A is out of reach: more than {many}; limited by {cause}")
    low, middle, high = (
        max(round(movie_count * min(one, _HOPELESS_TIMES)), movie_count) for one in (gain.low, gain.median, gain.high)
    )
    hours = _hours(middle - movie_count, movies_per_hour)
    if hours > _LONGEST_HOURS if hours is not None else gain.median > _MOST_TIMES:
        return _no(step, cause, f"{step:g} A is out of reach: {middle:,} movies; limited by {cause}", middle)
    more = middle - movie_count
    time = "" if hours is None else f", {hours:.1f} h"
    return OutlookRow(
        kind="step",
        movies=middle,
        movies_low=low,
        movies_high=high,
        hours=hours,
        resolution_angstrom=step,
        resolution_low_angstrom=None,
        resolution_high_angstrom=None,
        reachable=True,
        limited_by=None,
        sentence=(
            f"{more} more movies{time} to reach {step:g} A{eighty(low - movie_count, high - movie_count, 0, ' movies')}"
        ),
    )


def _no(step: float, cause: str, sentence: str, movies: int | None = None) -> OutlookRow:
    return OutlookRow("step", movies, None, None, None, step, None, None, False, cause, sentence)


def _hours(movies: int, movies_per_hour: float | None) -> float | None:
    return movies / movies_per_hour if movies_per_hour else None
