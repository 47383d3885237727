"""What is asked and answered when somebody wants to know where to shoot next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
USABLE_ANGSTROM = 6.0
"""A movie whose CTF fits at least so far is usable (the threshold of Li et al. 2022, doi 10.1101/2022.06.17.496614)."""
VALUES = ("usable", "effective_signal")
"""What is counted: usable exposures; or what they bring to a map at its target resolution."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one exposure gave. None: not measured."""

    target_id: str
    """Of the hole, or of the exposure in it."""
    resolution_angstrom: float | None = None
    """To which the CTF could be fitted."""
    particles: float | None = None
    loss_ln: float | None = None
    """Of ln SSNR at the target resolution, as `models/causal` tells it."""
    exposed_utc_us: int | None = None
    """When; the times between exposures teach what a move costs."""
    usable: bool | None = None
    """What a person or a cut said of it; None: by its resolution."""


@dataclass(frozen=True, slots=True)
class MoveMinutes:
    """What the next exposure costs, by the highest level that it changes."""

    hole: float = 1.0
    patch: float = 2.0
    square: float = 6.0
    area: float = 8.0


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How to choose."""

    usable_angstrom: float = USABLE_ANGSTROM
    value: str = "usable"
    """One of `VALUES`."""
    ranked: int = 10
    """How many targets are told."""
    moves: MoveMinutes | None = None
    """None: learnt from the session's own clock."""
    trusted_features: tuple[str, ...] = ("predicted_resolution_angstrom",)
    """Whose slope is expected to be near 1 on logarithmic scales until the session says otherwise."""
    picked_ids: tuple[str, ...] = ()
    """Holes, patches or squares that a person wants to have taken first, in this order."""
    avoided_ids: tuple[str, ...] = ()
    """Holes, patches or squares that are left out, beside those whose state is `avoided`."""
    carried_slopes: tuple[tuple[str, float, float, float], ...] = ()
    """`NextTargets.feature_slopes` of another grid in the same microscope: what is expected of these here, until this
    grid's own outcomes say otherwise."""


@dataclass(frozen=True, slots=True)
class RankedTarget:
    """One of the exposures to take next."""

    rank: int
    """From 1."""
    target_id: str
    name: str
    square_id: str | None
    patch_id: str | None
    usable: float
    """Probability that it will be usable."""
    usable_low: float
    usable_high: float
    """80 % interval of that probability: what more exposures of its neighbourhood could make of it."""
    signal: float | None
    """Median of the effective signal if it is usable, in particles of an undamaged exposure; None: no exposure has told
    one yet."""
    signal_low: float | None
    signal_high: float | None
    """80 % interval of what this exposure will bring, if it is usable."""
    minutes: float
    """What it costs from the one before in this list."""
    reason: str
    """For a person."""
    picked: bool = False
    """By a person."""


@dataclass(frozen=True, slots=True)
class SquareOutlook:
    """What is left in one square."""

    square_id: str
    name: str
    holes: int
    exposed: int
    """With a result."""
    left: int
    """Neither exposed nor avoided."""
    usable_so_far: int
    usable: float
    """Share of what is left that is expected to be usable."""
    usable_low: float
    usable_high: float
    """80 % interval of that share."""
    worth_taking: int
    """How many of those left are worth their minutes, as it looks now: leave after so many."""
    words: str
    no_result: int = 0
    """Shot, by an outcome or by what their own file says, and nothing is known of them yet."""


@dataclass(frozen=True, slots=True)
class HolesExpected:
    """What is expected of every hole that may still be taken; arrays over them."""

    target_ids: tuple[str, ...]
    square_ids: tuple[str, ...]
    """Empty: in no square that is known."""
    usable: Array
    usable_low: Array
    usable_high: Array
    """80 % interval, as of `RankedTarget`."""
    signal: Array | None
    """Median of the effective signal if it is usable; None: no exposure has told one."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the exposures that are listed bring, as far as the minutes left reach: the same for equally likely states of
    what is not known of the grid (draws)."""

    minutes: float
    """Left."""
    usable: Array
    """(draws,) usable exposures"""
    signal: Array | None
    """(draws,) what they bring, in particles; None: no exposure has told one."""

    def of(self, counted: str) -> Array | None:
        """By one of `VALUES`."""
        return self.usable if counted == VALUES[0] else self.signal


@dataclass(frozen=True, slots=True)
class NextTargets:
    """The answer to "where to shoot next"."""

    ranked: tuple[RankedTarget, ...]
    squares: tuple[SquareOutlook, ...]
    """The most promising first."""
    verdict: str
    """One sentence for a person."""
    expected_more: float
    """Of what is counted, in the hours left, if this is followed."""
    price_per_minute: float
    """What a minute is worth: a hole is left out if it brings less for its time."""
    taken_share: float
    """Of all that the squares whose holes are known can give: 1 when nothing worth a shot is left in them;
    0 when no file names a place before it is taken, so that what the grid can give is not known."""
    feature_slopes: tuple[tuple[str, float, float, float], ...]
    """(feature, slope, low, high): d ln resolution by one standard deviation of the feature, 80 % interval."""
    moves: MoveMinutes
    unseen_squares: int = 0
    """Neither avoided nor taken, without known holes: the grid is not done before these are looked at."""
    every: HolesExpected | None = field(default=None, compare=False)
    prospect: Prospect | None = field(default=None, compare=False)
