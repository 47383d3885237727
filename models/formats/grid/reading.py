"""What a reader of a grid's files gives: targets, and what it could not read, for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from frazil.config.errors import FrazilError, RetryLaterError
from frazil.models.grid_target import STATES, GridTarget


@dataclass(frozen=True, slots=True)
class GridNote:
    """Something in a file that was not taken, or is doubtful."""

    file: str
    """Its name, not its path."""
    what: str
    remedy: str
    again: bool = False
    """True: the file was being written; read it again when it changes."""


@dataclass(frozen=True, slots=True)
class GridReading:
    """All that one file, or one session, tells."""

    targets: tuple[GridTarget, ...]
    """Unique by `target_id`; what stands higher on the grid comes first."""
    notes: tuple[GridNote, ...] = ()


def note_of(error: FrazilError, file: str) -> GridNote:
    """A file that could not be read at all, among others that could."""
    remedy = error.remedy or "nothing, if it comes again: the file is read again when it changes"
    return GridNote(file, error.what, remedy, again=isinstance(error, RetryLaterError))


def merged(earlier: GridTarget, later: GridTarget) -> GridTarget:
    """One target from what two files say of it: the later one counts where it says something.

    `seen` says nothing; other states of the later file hold, as features do by their name.

    >>> atlas = GridTarget("s1", "square", "epu", "1", stage_x_um=1.0, features=(("category_number", 2.0),))
    >>> square = GridTarget("s1", "square", "epu", "1", state="chosen", features=(("hole_spacing_um", 4.1),))
    >>> both = merged(atlas, square)
    >>> both.state, both.stage_x_um, both.features
    ('chosen', 1.0, (('category_number', 2.0), ('hole_spacing_um', 4.1)))
    """
    said: dict[str, Any] = {
        field.name: value for field in fields(later) if (value := getattr(later, field.name)) not in (None, "", ())
    }
    if later.state == STATES[0]:
        del said["state"]
    return replace(earlier, **{**said, "features": tuple({**dict(earlier.features), **dict(later.features)}.items())})


def merged_all(targets: Iterable[GridTarget]) -> tuple[GridTarget, ...]:
    """Every target once, in the order in which it was first told."""
    by_id: dict[str, GridTarget] = {}
    for target in targets:
        known = by_id.get(target.target_id)
        by_id[target.target_id] = target if known is None else merged(known, target)
    return tuple(by_id.values())


def known_features(**values: float | None) -> tuple[tuple[str, float], ...]:
    """Those that are known, by name.

    >>> known_features(intensity_mean_counts=723.9, intensity_sd_counts=None)
    (('intensity_mean_counts', 723.9),)
    """
    return tuple((name, float(value)) for name, value in values.items() if value is not None)
