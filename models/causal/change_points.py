"""When a session became another one: a new illumination, another gain, another grid, a stage that drifts differently.

The newest movies are kept in a few numbers each. After every epoch each channel is tested for one step in its mean by
the generalised likelihood ratio (Page 1955, Biometrika 42, 523; Siegmund & Venkatraman 1995, Ann. Statist. 23, 255),
with the scatter taken from differences of neighbours so that a step does not inflate it. Which channels stepped
together says what changed.

Where a person has announced a change, a step is expected: it is looked for at that place alone, and less has to speak
for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from frazil.models.causal.bands import Array
from frazil.models.records import MovieEvidence

WINDOW_MOVIES = 40
_LEAST_BEFORE, _LEAST_AFTER = 5, 3
_THRESHOLD = 40.0
"""Of the likelihood ratio (chi-square of one degree): with seven channels and 40 places in every window, chance reaches
it less than once in some thousand movies."""
_SUPPORTING = 12.0
"""The same for a channel that steps together with one that is sure ..."""
_TOGETHER_MOVIES = 2
"""... within so many movies."""
_ANNOUNCED_THRESHOLD = 18.0
"""For a step that was announced: with five places and seven channels, looked at after each of eight epochs, chance
reaches it in less than one announcement of a hundred."""
_AS_BEFORE_MOVIES = 4
_ANNOUNCED_WITHIN_MOVIES = 2
"""People speak a movie or two before or after they turn a knob."""
_MOVED_BY = {
    "motion": ("ln_drift_speed",),
    "radiation_damage": ("counts", "ln_stated_rate"),
    "coincidence": ("counts", "ln_stated_rate"),
    "ice": ("counts", "ring_level", "ring_fall"),
    "detector": ("fixed_pattern", "pattern_rms"),
    "motion_uncorrected": ("ln_drift_speed",),
}
"""The channels that an announced change of a cause may move; of the other causes all."""
_LEAST_STEP = {
    "counts": 0.04,
    "fixed_pattern": 0.1,
    "ring_level": 0.5,
    "ring_fall": 0.3,
    "ln_drift_speed": 0.8,
    "ln_stated_rate": 0.04,
    "pattern_rms": 0.03,
}
"""A step that is worth a word, in each channel's unit."""
CHANNELS = tuple(_LEAST_STEP)
_SCATTER_FLOOR = {
    "counts": 0.01,
    "fixed_pattern": 0.02,
    "ring_level": 0.2,
    "ring_fall": 0.1,
    "ln_drift_speed": 0.4,
    "ln_stated_rate": 0.005,
    "pattern_rms": 0.01,
}
_SQUARE_SD = {"counts": 0.12, "ring_level": 0.35, "ring_fall": 0.2}
"""How grid squares of one grid may differ (50 nm of ice): a step at the border of two has to be more than that. What a
window's own squares show counts with it, this with the weight of ..."""
_SQUARE_WEIGHT = 2.0
"""... so many squares."""
_DOUBTED = {"ln_stated_rate": 20, "counts": 10}
"""Where exposures are ended by counted dose the stated rate follows the ice, and neighbours are alike: the scatter of a
small window says too little there. Counts are not Gaussian either: four thick holes one after the other at the start
are no other beam. The likelihood ratio is that of an unknown variance (Student's t), known as well as from so many
movies more."""
_NEAR_BORDER = 3
_OUTLIER, _FAR = 3.0, 6.0
_PLACES = 6


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One movie in the channels of `CHANNELS` (None: not known), and its losses at 5 A."""

    utc_us: int | None
    channels: tuple[float | None, ...]
    losses_at_5_angstrom: tuple[float, ...]
    """In the order of `factors.ALL_FACTORS`."""
    grid_square: str | None = None
    evidence: MovieEvidence | None = None
    """Of the newest ones, without rings: what movies usually lose is asked again of every version."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a person says was changed at the microscope."""

    sentence: str
    factor: str
    """Of `factors.ALL_FACTORS`."""
    movie_number: int
    """From 0, in the order of acquisition, of the first movie after it."""
    utc_us: int | None = None
    """When that movie was acquired, by the microscope's clock."""

    def place_in(self, rows: Sequence[WindowRow], first_number: int) -> int:
        """The index of the first row after it; `first_number` is the number in the session of the first row."""
        times = [row.utc_us for row in rows if row.utc_us is not None]
        if self.utc_us is not None and len(times) == len(rows):
            return sum(time < self.utc_us for time in times)
        return self.movie_number - first_number

    def may_move(self, channel: str) -> bool:
        """Whether a step in this channel can be what was announced."""
        return channel in _MOVED_BY.get(self.factor, CHANNELS)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A step that was found between two movies."""

    utc_us: int | None
    """Of the first movie after it."""
    movie_number: int
    """From 0, in the order of acquisition, of that movie."""
    cause: str
    """`illumination`, `gain`, `grid` or `stage`."""
    sentence: str
    channel: str
    before: float
    after: float
    likelihood_ratio: float
    together: tuple[str, ...] = ()
    """All channels that stepped there."""
    announced: str = ""
    """What a person said of it; empty: nobody did."""

    @property
    def forgets_counts(self) -> bool:
        """Whether what counted electrons taught of beam and ice belongs to the time before."""
        return "counts" in self.together or self.cause == "grid"


def in_time(rows: Sequence[WindowRow]) -> list[WindowRow]:
    """By time of acquisition; those without one stay where they are among their neighbours."""
    return sorted(rows, key=lambda row: row.utc_us or 0) if all(row.utc_us is not None for row in rows) else list(rows)


def find_change(
    rows: Sequence[WindowRow], first_number: int, announced: Sequence[Announcement] = ()
) -> tuple[ChangePoint, int] | None:
    """The clearest step in a window in order of time, and the index of the first row after it; None: there is none.

    `first_number` is the number in the session of the first row. A step that nobody announced has to be clearer.
    """
    found = _steps(rows)
    sure = {channel: step for channel, step in found.items() if step[0] > _THRESHOLD}
    if sure:
        channel = _speaker(sure)
        told = next((one for one in announced if _is_of(one, channel, found[channel][1], rows, first_number)), None)
        return _change(rows, first_number, channel, found, told)
    for told in announced:
        place = told.place_in(rows, first_number)
        if not 0 < place < len(rows):
            continue
        found = _steps(rows, range(place - _ANNOUNCED_WITHIN_MOVIES, place + _ANNOUNCED_WITHIN_MOVIES + 1))
        sure = {c: step for c, step in found.items() if step[0] > _ANNOUNCED_THRESHOLD and told.may_move(c)}
        if sure:
            return _change(rows, first_number, _speaker(sure), found, told)
    return None


def is_over(point: ChangePoint, rows: Sequence[WindowRow]) -> bool:
    """Whether each of the newest movies is as it was before the step, rather than as it was after it. `rows`: those
    since, in order of time; too short a spell (a few holes of thick ice) leaves no second step to find."""
    column = CHANNELS.index(point.channel)
    values = [row.channels[column] for row in rows if column < len(row.channels)]
    known = [value for value in values if value is not None][-_AS_BEFORE_MOVIES:]
    return len(known) == _AS_BEFORE_MOVIES and _as_before(known, point.before, point.after)


def _as_before(values: Sequence[float] | Array, before: float, after: float) -> bool:
    return all(abs(value - before) < abs(value - after) for value in values)


_Step: TypeAlias = tuple[float, int, float, float]
"""Likelihood ratio, first index after, mean before, mean after."""


def _steps(rows: Sequence[WindowRow], places: range | None = None) -> dict[str, _Step]:
    """The largest step of each channel in which one is worth a word; `places`: only at these rows."""
    found = {}
    for column, channel in enumerate(CHANNELS):
        # Rows of an earlier frazil end before channels that came later.
        known = [(index, row.channels[column]) for index, row in enumerate(rows) if column < len(row.channels)]
        pairs = [(index, value) for index, value in known if value is not None]
        if len(pairs) < _LEAST_BEFORE + _LEAST_AFTER:
            continue
        index = np.array([i for i, _ in pairs])
        allowed = None if places is None else np.isin(index, np.array(places))
        step = _largest_step(np.array([v for _, v in pairs]), _SCATTER_FLOOR[channel], allowed)
        if step is None:
            continue
        ratio, place, before, after = step
        if channel in _DOUBTED:
            known_movies = len(pairs) + _DOUBTED[channel]
            ratio = known_movies * float(np.log1p(ratio / (known_movies - 2)))
        if channel in _SQUARE_SD:
            ratio = min(ratio, _among_squares(rows, column, int(index[place]), _SQUARE_SD[channel]))
        if ratio > _SUPPORTING and abs(after - before) > _LEAST_STEP[channel]:
            found[channel] = (ratio, int(index[place]), before, after)
    return found


def _is_of(told: Announcement, channel: str, place: int, rows: Sequence[WindowRow], first_number: int) -> bool:
    return told.may_move(channel) and abs(told.place_in(rows, first_number) - place) <= _ANNOUNCED_WITHIN_MOVIES


def _change(
    rows: Sequence[WindowRow],
    first_number: int,
    channel: str,
    found: Mapping[str, _Step],
    told: Announcement | None,
) -> tuple[ChangePoint, int]:
    ratio, place, before, after = found[channel]
    together = {name for name, step in found.items() if abs(step[1] - place) <= _TOGETHER_MOVIES}
    cause, sentence = _cause(channel, together, before, after, rows, place)
    row = rows[place]
    change = ChangePoint(
        row.utc_us,
        first_number + place,
        cause,
        sentence,
        channel,
        float(before),
        float(after),
        float(ratio),
        tuple(sorted(together)),
        "" if told is None else told.sentence,
    )
    return change, place


def _largest_step(values: Array, floor: float, allowed: NDArray[np.bool_] | None = None) -> _Step | None:
    """Robust to single outliers. `allowed`: (n,) the places that are looked at, all where left out."""
    n = values.size
    scatter = max(1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2), floor)
    best: tuple[float, int, float, float, Array] | None = None
    for place in _likely_places(values, allowed):
        before, after = _clipped_mean(values[:place], scatter), _clipped_mean(values[place:], scatter)
        rest = np.concatenate([values[:place] - before, values[place:] - after])
        rest = np.clip(rest, -_FAR * scatter, _FAR * scatter)
        misfit = float(rest @ rest)
        if best is None or misfit < best[0]:
            best = (misfit, place, before, after, rest)
    if best is None:
        return None
    _, place, before, after, rest = best
    if allowed is None and _as_before(values[-_LEAST_AFTER:], before, after):
        return None  # a spell that has passed is no other session
    # Where a step does not describe the values their scatter says so.
    spread = max(scatter, float(np.std(rest)))
    return (after - before) ** 2 * place * (n - place) / n / spread**2, place, before, after


def _among_squares(rows: Sequence[WindowRow], column: int, place: int, usual_sd: float) -> float:
    """Likelihood ratio of a step at the border of two grid squares, against how squares differ anyway; infinite where
    the step lies inside a square or squares are not known."""
    borders = [i for i in range(1, len(rows)) if rows[i].grid_square != rows[i - 1].grid_square]
    close = [i for i in borders if abs(i - place) <= _NEAR_BORDER]
    if not close or any(row.grid_square is None for row in rows):
        return float("inf")
    place = min(close, key=lambda i: abs(i - place))
    means = []
    for part in (rows[:place], rows[place:]):
        squares: dict[str | None, list[float]] = {}
        for row in part:
            value = row.channels[column]
            if value is not None:
                squares.setdefault(row.grid_square, []).append(value)
        means.append(np.array([np.median(values) for values in squares.values()]))
    before, after = means
    if not before.size or not after.size:
        return float("inf")
    apart = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
    freedom = before.size + after.size - 2
    variance = (_SQUARE_WEIGHT * usual_sd**2 + apart) / (_SQUARE_WEIGHT + freedom)
    step = float(after.mean() - before.mean())
    return step**2 / (variance * (1 / before.size + 1 / after.size))


def _likely_places(values: Array, allowed: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Where plain means explain most: the robust ones are looked at there only. None while they explain most by a step
    that the last few movies alone have seen: it may be a spell, and would be told a movie too early."""
    n = values.size
    places = np.arange(_LEAST_BEFORE, n)
    total = np.cumsum(values - values.mean())
    explained = total[places - 1] ** 2 * n / (places * (n - places))
    told = places <= n - _LEAST_AFTER
    if allowed is not None:
        told &= allowed[places]
    elif not told[np.argmax(explained)]:
        return places[:0]
    places, explained = places[told], explained[told]
    return np.asarray(np.sort(places[np.argsort(-explained)[:_PLACES]]))


def _clipped_mean(values: Array, scatter: float) -> float:
    middle = float(np.median(values))
    return float(np.mean(np.clip(values, middle - _OUTLIER * scatter, middle + _OUTLIER * scatter)))


def _speaker(found: Mapping[str, _Step]) -> str:
    """The channel that names the change: the most specific one first."""
    for channel in ("fixed_pattern", "pattern_rms", "ln_stated_rate"):
        if channel in found:
            return channel
    return max(found, key=lambda name: found[name][0])


def _cause(
    channel: str, stepped: set[str], before: float, after: float, rows: Sequence[WindowRow], place: int
) -> tuple[str, str]:
    change = after - before
    if channel == "fixed_pattern":
        return (
            "gain",
            f"the gain reference fits differently since then ({before:.2f} -> {after:.2f} of its pattern left)",
        )
    if channel == "pattern_rms":
        return (
            "gain",
            "the camera prints another pattern than its gain reference has since then "
            f"({100 * before:.1f} -> {100 * after:.1f} % of the counts)",
        )
    if channel == "ln_stated_rate":
        return "illumination", f"the dose rate was set to {100 * np.exp(change):.0f} % of what it was"
    if channel == "ln_drift_speed":
        return "stage", f"the stage drifts {np.exp(change):.1f} times as fast as before"
    new_squares = {row.grid_square for row in rows[place:]} - {row.grid_square for row in rows[:place]}
    if stepped & {"ring_level", "ring_fall"}:
        where = f" (grid square {', '.join(sorted(filter(None, new_squares)))})" if any(new_squares) else ""
        return "grid", f"the specimen is another one since then{where}: rings and ice changed together"
    counted = f"{100 * (np.exp(change) - 1):+.0f} % as counted, though the same dose is stated"
    if change < 0:  # ice takes electrons, too; rings that say so may be too weak to step
        return "illumination", f"the beam is {counted}, or the ice there is thicker"
    return "illumination", f"the beam is {counted}"
