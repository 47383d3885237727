"""What time a shot takes: moves by the highest level that changes, focusing, waiting, exposure; each lognormal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from frazil.models.simulation.grid.truth import GridTruth

STEPS = ("area", "square", "focus", "stage", "shift", "wait", "exposure")
_TIMES = 4  # purpose of random streams


@dataclass(frozen=True, slots=True)
class MoveTimes:
    """Medians in seconds: a hole 1 minute, a patch 2, a square 6, an area 8 (Li et al. 2022,
    doi 10.1101/2022.06.17.496614)."""

    stage_s: float = 40.0
    shift_s: float = 3.0
    wait_s: float = 12.0
    exposure_s: float = 6.0
    focus_s: float = 60.0
    square_s: float = 240.0
    """Height of the square, alignment."""
    area_s: float = 120.0
    spread_ln: float = 0.2
    reach_um: float = 0.0
    """Holes of the same patch so near to where the stage stands are reached by image shift."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one shot, by step."""

    seconds: tuple[tuple[str, float], ...]
    level: str
    """The highest level that changed."""
    image_shift_um: float
    waited_s: float
    """Since the stage last stopped."""

    @property
    def total_s(self) -> float:
        return math.fsum(seconds for _, seconds in self.seconds)


class Clock:
    """Where the stage stands, and the time that has passed."""

    def __init__(self, truth: GridTruth, times: MoveTimes | None = None) -> None:
        self.times = times or MoveTimes()
        self.elapsed_s = 0.0
        self._truth = truth
        self._at: int | None = None
        """Hole over which the stage stands."""
        self._area = truth.area
        self._stopped_s = 0.0

    def peek(self, hole: int) -> Taken:
        """What a shot there would take; the same hole always has the same luck."""
        holes, at, times = self._truth.holes, self._at, self.times
        level = self._level(hole)
        distance = 0.0 if at is None else math.hypot(
            holes.x_um[hole] - holes.x_um[at], holes.y_um[hole] - holes.y_um[at]
        )  # fmt: skip
        shifted = level == "hole" and distance <= times.reach_um
        steps: list[tuple[str, float]] = []
        if level == "area":
            steps.append(("area", times.area_s))
        if level in ("area", "square"):
            steps.append(("square", times.square_s))
        if level != "hole":
            steps.append(("focus", times.focus_s))
        steps += [("shift", times.shift_s)] if shifted else [("stage", times.stage_s), ("wait", times.wait_s)]
        steps.append(("exposure", times.exposure_s))
        draws = self._truth.rng(_TIMES, hole).normal(size=len(STEPS))
        drawn = tuple((name, s * math.exp(times.spread_ln * draws[STEPS.index(name)])) for name, s in steps)
        seconds = dict(drawn)
        waited_s = seconds.get("wait", self.elapsed_s - self._stopped_s + seconds.get("shift", 0.0))
        return Taken(drawn, level, distance if shifted else 0.0, waited_s)

    def take(self, hole: int) -> Taken:
        """Go there and expose."""
        taken = self.peek(hole)
        self.elapsed_s += taken.total_s
        if not any(name == "shift" for name, _ in taken.seconds):
            self._at = hole
            self._stopped_s = self.elapsed_s - dict(taken.seconds)["exposure"] - taken.waited_s
        return taken

    def _level(self, hole: int) -> str:
        holes, at = self._truth.holes, self._at
        if at is None or self._area[hole] != self._area[at]:
            return "area"
        if holes.square[hole] != holes.square[at]:
            return "square"
        return "patch" if holes.patch[hole] != holes.patch[at] else "hole"
