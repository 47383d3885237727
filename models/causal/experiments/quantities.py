"""What two settings may be compared of: its unit, its limits, its node of the causal graph, and how it is read back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from frazil.config.errors import UsageError
from frazil.models.formats.metadata_limits import LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Quantity:
    """One setting of the microscope."""

    name: str
    """With its unit: settle_time_s."""
    word: str
    """On the command line: settle."""
    words: str
    """In a sentence: settle time."""
    unit: str
    node: str
    """Of the causal graph: settle_time."""
    limits: Limits
    tolerance: float
    """A movie follows its arm when what was measured is this near to it; absolute, in `unit`."""
    reach: bool = False
    """The setting is a greatest value ("image shift up to 3 um"), not a value."""

    def arm_words(self, value: float) -> str:
        """One arm as a person says it.

        >>> quantity_of("settle").arm_words(5.0)
        'settle time 5 s'
        """
        return f"{self.words} {'up to ' if self.reach else ''}{value:g} {self.unit}"

    def complies(self, measured: float, own: float, other: float) -> bool:
        """Whether a movie was taken as its arm wants it: within the tolerance, and nearer to its own arm."""
        if self.reach:
            return measured <= own + self.tolerance
        # Microscopes write underfocus as a negative number, the fit as a positive one.
        measured, own, other = abs(measured), abs(own), abs(other)
        near = max(self.tolerance, 0.25 * abs(own - other))
        return abs(measured - own) <= near and abs(measured - own) < abs(measured - other)


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("settle_time_s", "settle", "settle time", "s", "settle_time", Limits(0.0, 600.0, "s"), 1.0),
    Quantity(
        "dose_rate_e_per_px_per_s",
        "dose-rate",
        "dose rate",
        "e/px/s",
        "dose_rate",
        Limits(0.05, 1_000.0, "e/px/s"),
        0.5,
    ),
    Quantity(
        "image_shift_um",
        "image-shift",
        "image shift",
        "um",
        "image_shift",
        Limits(0.0, LIMITS["image_shift_x_um"].high, "um"),
        0.3,
        reach=True,
    ),
    Quantity("defocus_um", "defocus", "defocus", "um", "defocus_target", LIMITS["target_defocus_um"], 0.1),
)


def quantity_of(name: str) -> Quantity:
    """By its word or by its name with the unit. Raises `UsageError`.

    >>> quantity_of("dose-rate").name
    'dose_rate_e_per_px_per_s'
    """
    for one in QUANTITIES:
        if name in (one.word, one.name):
            return one
    words = ", ".join(one.word for one in QUANTITIES)
    raise UsageError(f"nothing that is compared is called {name[:80]!r}", remedy=f"use one of: {words}")


def read_comparison(text: str) -> tuple[Quantity, tuple[float, float]]:
    """The quantity and its two arms. Raises `UsageError`.

    >>> quantity, arms = read_comparison("settle=5,20")
    >>> quantity.name, arms
    ('settle_time_s', (5.0, 20.0))
    """
    name, equals, values = text.partition("=")
    parts = values.split(",")
    try:
        first, second = (float(part) for part in parts)
    except ValueError:
        equals = ""
        first = second = math.nan
    if not equals:
        raise UsageError(f"{text[:80]!r} is no comparison", remedy="write it as settle=5,20 or dose-rate=8,15")
    quantity = quantity_of(name.strip())
    return quantity, check_arms(quantity, first, second)


def check_arms(quantity: Quantity, first: float, second: float) -> tuple[float, float]:
    """The two arms. Raises `UsageError` where they are the same, or what no microscope does."""
    for value in (first, second):
        if not math.isfinite(value) or value not in quantity.limits:
            raise UsageError(
                f"{quantity.words} {value:g} {quantity.unit} cannot be set", remedy=f"give {quantity.limits}, twice"
            )
    if abs(first - second) <= 1e-6 * max(abs(first), abs(second), 1.0):
        raise UsageError(
            f"both arms are {quantity.arm_words(first)}: there is nothing to compare", remedy="give two values"
        )
    return first, second
