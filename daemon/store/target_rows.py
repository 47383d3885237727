"""What is written about the grid and about where to shoot next: one frozen dataclass a kind of row."""

from __future__ import annotations

from dataclasses import dataclass

from frazil.models.grid_target import GridTarget
from frazil.models.optics.beam_shift_calibration import BeamShiftAnswer
from frazil.models.targets.records import NextTargets

WORDS = ("picked", "avoided", "forgotten", "hours_left")
"""What people may say of a target; the last of the session as a whole."""
OF_SESSION = ""
"""In place of a target's id."""


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A target as it is kept."""

    target: GridTarget
    square_id: str | None
    """The square that it lies in, itself for a square."""
    gone: bool = False
    """No file names it any more."""
    grid_id: str = ""
    """The grid that it lies on, itself for a grid."""


@dataclass(frozen=True, slots=True)
class TargetWordRow:
    """A person's word on a target; also a line of results/targets.jsonl: the database's loss does not take it."""

    target_id: str
    """Empty: of the session as a whole."""
    word: str
    """One of `WORDS`."""
    who: str
    created_utc_us: int
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class MovieTargetRow:
    """Which place on the grid a movie is of."""

    movie_id: str
    target_id: str
    """Exposure or hole."""
    hole_id: str
    linked_by: str
    """`MovieLink.how`"""


@dataclass(frozen=True, slots=True)
class PostedDecisionRow:
    """What EPU's decision service was told of a square or hole last."""

    service_session_id: str
    area_id: int
    area_type: str
    decision_type: str
    decision_value: str
    details: str
    round: int
    """That decided it."""
    posted_utc_us: int


@dataclass(frozen=True, slots=True)
class BeamShiftRow:
    """One calibration of EPU's beam shift, or why there is none."""

    exposures: int
    """That the session had then; it rests on the newest of them."""
    created_utc_us: int
    answer: BeamShiftAnswer
    words: str
    """What is to be believed with this one, for a person."""


@dataclass(frozen=True, slots=True)
class TargetRoundRow:
    """One answer to "where to shoot next", and what it was made from."""

    round: int
    created_utc_us: int
    words_utc_us: int
    """Of the newest word of a person that it has heard; 0: none."""
    counted: str
    """One of `models.targets.records.VALUES`."""
    usable_angstrom: float
    hours_left: float | None
    holes: int
    exposed: int
    outcomes: int
    line: str
    answer: NextTargets
    grid_id: str = ""
    other_grid: str = ""
    """A sentence where another grid is better; empty: none is, as far as is known."""


@dataclass(frozen=True, slots=True)
class SquareHolesRow:
    """What is expected of the holes of one square that may still be taken, one value for each as text."""

    square_id: str
    """Empty: they lie in no square that is known."""
    id_start: str
    """What their ids begin with."""
    id_ends: str
    """With chr(31) between them."""
    usable_percent: str
    """Comma separated, as the others."""
    usable_low_percent: str
    usable_high_percent: str
    signal: str | None
    """Particles, two digits; None: no exposure has told one."""


@dataclass(frozen=True, slots=True)
class GridOutlookRow:
    """A grid against the one that is in the microscope."""

    grid_id: str
    counted: str
    times: float
    """As much an hour, the exchange counted."""
    times_low: float
    times_high: float
    exchange_minutes: float
