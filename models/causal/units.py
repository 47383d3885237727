"""Units of the causal graph's nodes: what each is in base units, and whether two can be added.

A unit is a number times powers of length (A), electrons (e), pixels (px), time (s), angle (rad) and voltage (V). An
angle is a dimension of its own, so that a beam tilt cannot pass for a loss; pixels are counted (e/px is per pixel, and
A2/px the area of one). Logarithms (`ln SSNR`, `ln`) and numbers without a unit are dimensionless.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

_BASES = ("A", "e", "px", "s", "rad", "V")
Dimension = tuple[Fraction, ...]
"""Powers of `_BASES`."""
NO_DIMENSION: Dimension = (Fraction(0),) * len(_BASES)
_ATOMS: dict[str, tuple[float, str]] = {
    "A": (1.0, "A"),
    "nm": (10.0, "A"),
    "um": (1e4, "A"),
    "mm": (1e7, "A"),
    "s": (1.0, "s"),
    "ms": (1e-3, "s"),
    "min": (60.0, "s"),
    "h": (3600.0, "s"),
    "e": (1.0, "e"),
    "px": (1.0, "px"),
    "rad": (1.0, "rad"),
    "mrad": (1e-3, "rad"),
    "deg": (math.pi / 180, "rad"),
    "V": (1.0, "V"),
    "kV": (1e3, "V"),
}
_NUMBERS = ("", "1", "ln", "ln SSNR")
_POWER = re.compile(r"([A-Za-z]+)([1-9]?)")
ATOM_PATTERN = "(?:" + "|".join(sorted(_ATOMS, key=len, reverse=True)) + ")[1-9]?"


@dataclass(frozen=True, slots=True)
class Unit:
    """`scale` times the base units."""

    scale: float
    dimension: Dimension


def unit_of(text: str) -> Unit | None:
    """A unit as it is written; None: it is none.

    >>> unit_of("nm").scale
    10.0
    >>> dimension_words(unit_of("e/px/s").dimension)
    'e/px/s'
    >>> unit_of("furlong") is None
    True
    """
    if text.strip() in _NUMBERS:
        return Unit(1.0, NO_DIMENSION)
    scale, powers = 1.0, [Fraction(0)] * len(_BASES)
    for place, product in enumerate(text.split("/")):
        sign = 1 if place == 0 else -1
        for factor in product.split():
            if factor == "1" and place == 0:
                continue
            match = _POWER.fullmatch(factor)
            if match is None or match[1] not in _ATOMS:
                return None
            size, base = _ATOMS[match[1]]
            power = sign * int(match[2] or 1)
            scale *= size**power
            powers[_BASES.index(base)] += power
        if not product.strip():
            return None
    return Unit(scale, tuple(powers))


def powered(dimension: Dimension, power: Fraction) -> Dimension:
    """Of a quantity to this power."""
    return tuple(one * power for one in dimension)


def product(one: Dimension, other: Dimension, power: int = 1) -> Dimension:
    """Of one quantity times the other's power."""
    return tuple(a + power * b for a, b in zip(one, other, strict=True))


def dimension_words(dimension: Dimension) -> str:
    """In base units.

    >>> dimension_words(unit_of("mrad/um").dimension)
    'rad/A'
    >>> dimension_words(NO_DIMENSION)
    'a number'
    """
    above = [f"{base}{_power_words(power)}" for base, power in zip(_BASES, dimension, strict=True) if power > 0]
    below = [f"/{base}{_power_words(-power)}" for base, power in zip(_BASES, dimension, strict=True) if power < 0]
    if not above and not below:
        return "a number"
    return " ".join(above or ["1"]) + "".join(below)


def _power_words(power: Fraction) -> str:
    return "" if power == 1 else str(power) if power.denominator == 1 else f"^({power})"
