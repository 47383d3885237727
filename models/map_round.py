"""The numbers of one round of the running map, from the actor that makes the map to the screen that shows them.

A field of `MapRoundRecord` is a column of the table `reconstructions` with the same name: the store writes and reads
the record by its fields, and summary and screen read the columns. To add a number of the map: a field here, its value
where it is computed, its column in `daemon/store/schema.sql`, and the place where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class MapRoundRecord:
    """One round. None: not known, or the map is not resolved."""

    round: int
    """From 1; a last, shorter round has the number of the full one that takes its place when more movies come."""
    created_utc_us: int | None
    """When it was stored; None: it is not stored yet."""
    movie_count: int
    particle_count: int
    symmetry: str
    """Point group, RELION's name."""
    prior_version: int | None = None
    """Of the causal prior whose weights its particles have; None: not recorded."""
    resolution_0143_angstrom: float | None = None
    """Where the corrected FSC falls to 0.143."""
    resolution_05_angstrom: float | None = None
    map_path: str | None = None
    """Relative to the session folder; None: there are classes, and no map yet."""
    half1_path: str | None = None
    half2_path: str | None = None
    uniform_resolution_0143_angstrom: float | None = None
    """Of the same particles when all count alike, without the causal weights."""
    causal_weight_share: float | None = None
    """How much of the causal weights the map takes: 0 all particles count alike, 1 as the causal prior says; as much as
    particles bear out that the reference has not seen. None: not recorded."""
    weights_sentence: str | None = None
    """What that brings the map; None: it is not resolved."""
    mask: str | None = None
    """Of the FSC: `map` (its own outline) or `sphere`."""
    randomised_from_per_angstrom: float | None = None
    """Phases were randomised beyond this frequency to measure what the mask adds to the FSC."""
    sphericity: float | None = None
    """Of the conical FSC's surface: 1 is resolved alike in all directions."""
    best_direction_angstrom: float | None = None
    """FSC 0.143 within the cone that is resolved finest, and coarsest."""
    worst_direction_angstrom: float | None = None
    orientation_efficiency: float | None = None
    """Sampling compensation factor: 1 is evenly spread views."""
    preferred_orientation: bool | None = None
    orientation_sentence: str | None = None
    b_factor_a2: float | None = None
    """Median, with its 80 % interval."""
    b_factor_low_a2: float | None = None
    b_factor_high_a2: float | None = None
    discarded_share: float | None = None
    """Of the particles, those that hardly count in the map: no particle is seen in their boxes."""
    map_class_sentence: str | None = None
    """Of several maps: whether there is more than one kind of particle; None: one map was asked for."""


NAMES = tuple(field.name for field in fields(MapRoundRecord))
"""Of the record's fields and of the table's columns."""


def record_values(source: object) -> dict[str, Any]:
    """What `source` knows of a record: its attributes that are named as a field of the record is."""
    return {name: getattr(source, name) for name in NAMES if hasattr(source, name)}


def record_from_row(row: Mapping[str, Any]) -> MapRoundRecord:
    """The record that a row of the named query `reconstructions` holds. Raises KeyError for a missing column."""
    return MapRoundRecord(**{name: row[name] for name in NAMES})


def as_values(record: MapRoundRecord) -> dict[str, Any]:
    """By column name, without what a subclass adds."""
    return {name: getattr(record, name) for name in NAMES}
