"""What a setting costs in time, and its gain set against that: movies per hour from the times of acquisition.

Net of A over B is theta + ln(T_B / T_A), theta the gain in ln SSNR and T the microscope's time per movie. Differences
of time within blocks are symmetric about T_A - T_B for the same reason as those of the outcome (`sequence`), and so are
those of outcome less time over the usual time, which are judged together: their theta is the net but for the curvature
of the logarithm, which the interval of T_A - T_B bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frazil.models.causal.bands import Array
from frazil.models.causal.experiments.blocks import Block
from frazil.models.causal.experiments.sequence import Track, track

PAUSE = 5.0
"""A movie that took so many times the usual time was waited for: not part of the mean."""
TIME_ALPHA = 0.01
"""Of the net's error, what the interval of the time may take."""
_TIME_SCATTER = 0.2
"""Of the difference of two movies' times, in units of the usual one, before any has come."""
_FIRST_BLOCKS = 4
"""Make the usual time: before any answer is possible, and without a look at their settings."""
_NEEDED_SHARE = 0.8
_POINTS = 41


@dataclass(frozen=True, slots=True)
class Pace:
    """Time per movie of the blocks, A's and B's, in units of the usual one, nan: not known; and their difference."""

    a: Array
    b: Array
    difference: Track


def pace_of(blocks: Sequence[Block]) -> Pace | None:
    """None: too few movies say when they were taken."""
    a, b = (
        np.array([np.nan if one.seconds is None else one.seconds for one in arm], dtype=np.float64)
        for arm in ([block.a for block in blocks], [block.b for block in blocks])
    )
    known = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
    if known.size < _NEEDED_SHARE * len(blocks) or not known.size:
        return None
    first = known[:_FIRST_BLOCKS]
    usual_s = float(np.median((a[first] + b[first]) / 2))
    a, b = a / usual_s, b / usual_s
    return Pace(a, b, track(a, b, alpha=TIME_ALPHA, scatter=_TIME_SCATTER))


def ln_rate_ratio(pace: Pace) -> Track:
    """ln of the ratio of movies per hour, A over B, after each block."""
    return _over_times(pace, _ln_ratio)


def net_track(pace: Pace, a: Array, b: Array, *, alpha: float, scatter: float) -> Track:
    """Net ln of A over B after each block; `a` and `b` are outcomes. A block whose time is not known does not count."""
    together = track(a - pace.a, b - pace.b, alpha=alpha - TIME_ALPHA, scatter=scatter)
    bend = _over_times(pace, lambda difference, mean: _ln_ratio(difference, mean) + difference)
    return Track(together.low + bend.low, together.high + bend.high, together.estimate + bend.estimate)


def _over_times(pace: Pace, function: Callable[[Array, float], Array]) -> Track:
    """A function of the difference and the mean of the times, with its extremes over what these may be."""
    low, high, value = [], [], []
    for end, (least, most) in enumerate(zip(pace.difference.low, pace.difference.high, strict=True), 1):
        mean, error = _mean_time((pace.a[:end] + pace.b[:end]) / 2)
        value.append(float(function(pace.difference.estimate[end - 1 : end], mean)[0]))
        if not np.isfinite(least) or not np.isfinite(most):
            low.append(-np.inf)
            high.append(np.inf)
            continue
        tried = np.linspace(least, most, _POINTS)
        ends = np.concatenate([function(tried, mean + shift) for shift in (-2 * error, 2 * error)])
        low.append(float(ends.min()))
        high.append(float(ends.max()))
    return Track(np.array(low), np.array(high), np.array(value))


def _mean_time(values: Array) -> tuple[float, float]:
    """Mean and its error, without pauses."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 1.0, 0.25
    working = known[known <= PAUSE * np.median(known)]
    mean = float(working.mean())
    error = float(working.std(ddof=1) / np.sqrt(working.size)) if working.size > 1 else 0.25 * mean
    return mean, min(error, 0.25 * mean)


def _ln_ratio(difference: Array, mean: float) -> Array:
    """ln(time of B / time of A) from their difference and mean; infinite where one of them would take no time."""
    half = np.clip(difference / (2 * mean), -1.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(-half) - np.log1p(half))
