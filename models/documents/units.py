"""Units as people print them, as units of a library.

pint knows units and converts; it cannot be given what stands in papers: `e` is a charge to it, `A` an ampere, and
`e-/Å2` no unit at all. So the words are read here, by a grammar of factors (`e-/Å^2/s`, `electrons per square
angstrom`), into powers of a few base units that pint then converts between, refusing what has another dimension.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe63\uff0d]")
_SPACES = re.compile("[ \t\r\n\u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_TEX_ANGSTROM = re.compile(r"\$?\\(?:AA|mathring\{\s*\\?(?:mathrm|text)?\{?A\}?\s*\}|angstrom)\b\$?(?:\{\})?")


def plain(text: str) -> str:
    """Text with one sign for each thing: `Å`, `µ`, `-`, `×`, `^2`; single spaces.

    >>> plain("30 e\u207b/\u212b\u00b2, \u22122.0 \u03bcm, 5 e-/\u00c5\\\\(^2\\\\)")
    '30 e-/Å^2, -2.0 µm, 5 e-/Å^2'
    """
    text = text.replace("\u212b", "Å").replace("A\u030a", "Å").replace("\u03bc", "µ").replace("\u2009", " ")
    text = _TEX_ANGSTROM.sub("Å", text)
    text = re.sub("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+", _power, text)
    text = _DASHES.sub("-", text)
    text = text.replace("\u2715", "×").replace("\u2a2f", "×").replace("\u223c", "~").replace("\u02dc", "~")
    text = text.replace("\u200b", "").replace("\u00ad", "").replace("\u00ba", "°").replace("\u22c5", "·")
    text = re.sub(r"\\\(\s*(\^\{?[-+]?\d\}?)\s*\\\)", r"\1", text)
    text = re.sub(r"\^\{\s*([-+]?\d)\s*\}", r"^\1", text)
    text = re.sub(r"(?<=[Åslx])-\^(\d)", r"^-\1", text)
    return _SPACES.sub(" ", text)


def _power(match: re.Match[str]) -> str:
    digits = match[0].translate(_SUPERSCRIPTS)
    return digits if digits in "-+" else f"^{digits}"  # e⁻ is an electron, not a power


_NAMES = {
    "electron": r"electrons?|e\s?\^?-(?![\w.])|e\s?-(?=\s?(?:/|per|Å|A\b))|e(?=\s?[/·]|\s?per\b|\s?Å|\s?A\^?-)",
    "angstrom": r"[Åå](?=[\s/^,;.)\d\\-]|$)|[Aa]ngstr[oö]ms?|[Åå]ngstr[oö]ms?|A(?!\w|\.\d)(?!\s(?!per\b|pix|"
    r"px)[a-z])|A(?=\^?-?\d(?!\d))",
    "pixel": r"pixels?|pix|px",
    "frame": r"frames?|(?:dose[- ])?fractions?|sub-?frames?",
    "second": r"seconds?|secs?|s(?!\w|\.\d)|s(?=\^?-1)",
    "millisecond": r"ms(?!\w)|milliseconds?",
    "minute": r"min(?:utes?)?(?!\w)",
    "nanometer": r"nm|nanomet(?:er|re)s?",
    "micrometer": r"[µu]m(?!\w)|microns?|micromet(?:er|re)s?",
    "millimeter": r"mm(?!\w)|millimet(?:er|re)s?",
    "meter": r"m(?![\w/])",
    "kilovolt": r"k[Vv](?!\w)|kilovolts?",
    "volt": r"V(?!\w)|volts?",
    "kiloelectron_volt": r"keV(?!\w)",
    "electron_volt": r"eV(?!\w)",
    "kilodalton": r"kDa(?!\w)|kilodaltons?",
    "megadalton": r"MDa(?!\w)|megadaltons?",
    "dalton": r"Da(?!\w)",
    "milligram": r"mg(?!\w)",
    "microgram": r"[µu]g(?!\w)",
    "milliliter": r"m[lL](?!\w)",
    "microliter": r"[µu][lL](?!\w)",
    "degree": r"°(?!\s?C)|degrees?(?!\s?C)|deg(?!\w)",
    "hertz": r"Hz(?!\w)|fps(?!\w)",
    "milliradian": r"mrad(?!\w)",
}
_ATOM = re.compile(
    r"(?P<square>sq(?:uare|\.)\s?)?(?:(?:physical|super-resolution|camera|detector|hardware|raw|movie|specimen)\s)?(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in _NAMES.items())
    + r")(?P<squared>\ssquared)?(?:\s?(?:\\\s?\(\s?)?\^\s?\{?(?P<power>[-+]?\d)\}?(?:\s?\\\))?|"
    r"(?P<tight>-?[123])(?![\w%]|\.\d))?"
)
_DIVIDE = re.compile(r"\s?/\s?|\s?per\s(?:a\s)?")
_TIMES = re.compile(r"\s?[·*.]\s?(?=[A-Za-zÅ])|\s?(?=(?:Å|A|pixel|pix|px|s|frame|m[lL])\s?\^?-\d)|\s?(?=Å\^?-)")
_APART = re.compile(r"\s2(?![\w%]|\.\d)")
"""A raised 2 that the text of a PDF has on the line, after a space."""
_COUNTED = re.compile(r"(?:\s?/\s?|\s?per\s)(?:micrograph|movie|image|exposure|stack|tilt|hole|shot)s?\b")

Powers = tuple[tuple[str, int], ...]


@lru_cache(maxsize=4096)
def unit_at(text: str, begin: int = 0) -> tuple[Powers, int]:
    """Powers of base units that stand at `begin` of plain text, and where they end; no unit: ((), begin).

    >>> unit_at("e-/Å^2/s, next")
    ((('angstrom', -2), ('electron', 1), ('second', -1)), 8)
    """
    powers: dict[str, int] = {}
    end, sign = begin, 1
    while (atom := _ATOM.match(text, end)) is not None:
        name = next(name for name in _NAMES if atom[name])
        given, end = atom["power"] or atom["tight"], atom.end()
        if name == "angstrom" and sign < 0 and not given and (apart := _APART.match(text, end)):
            given, end = "2", apart.end()
        power = int(given) if given else 2 if atom["square"] or atom["squared"] else 1
        powers[name] = powers.get(name, 0) + (sign * power if power > 0 or sign > 0 else power)
        if divide := _DIVIDE.match(text, end):
            sign, after = -1, divide.end()
        elif times := _TIMES.match(text, end):
            sign, after = 1, times.end()
        else:
            break
        if _ATOM.match(text, after) is None:
            break
        end = after
    if powers and (counted := _COUNTED.match(text, end)):
        end = counted.end()
    return tuple(sorted((name, power) for name, power in powers.items() if power)), end


CANONICAL = {
    "kV": "kilovolt", "mm": "millimeter", "um": "micrometer", "A": "angstrom", "s": "second", "eV": "electron_volt",
    "kDa": "kilodalton", "mg/ml": "milligram / milliliter", "deg": "degree", "px": "camera_pixel",
    "e/A2": "beam_electron / angstrom ** 2", "e/A2/s": "beam_electron / angstrom ** 2 / second",
    "e/px": "beam_electron / camera_pixel", "e/px/s": "beam_electron / camera_pixel / second",
    "e/A2/frame": "beam_electron / angstrom ** 2 / movie_frame", "frames": "movie_frame", "1/s": "movie_frame / second",
    "A/px": "angstrom / camera_pixel", "s/frame": "second / movie_frame",
    "m": "meter", "nm": "nanometer", "V": "volt", "keV": "kiloelectron_volt", "Da": "dalton", "MDa": "megadalton",
    "e/m2": "beam_electron / meter ** 2",
}  # fmt: skip
"""Our units and what pint is told of them; those of the last two lines are only read."""
_TO_PINT = {
    "electron": "beam_electron",
    "pixel": "camera_pixel",
    "frame": "movie_frame",
    "hertz": "movie_frame / second",
}


@cache
def _registry() -> Any:
    import pint  # some 0.3 s: only those who read documents wait for it

    registry: Any = pint.UnitRegistry(cache_folder=None)
    for name in ("beam_electron", "camera_pixel", "movie_frame"):
        registry.define(f"{name} = [{name}]")
    return registry


def powers_of(unit: str) -> Powers:
    """Of a unit as a file writes it, wholly read; of anything else nothing.

    >>> powers_of("1/Å²"), powers_of("mV?")
    ((('angstrom', -2),), ())
    """
    text = plain(unit).strip().strip("()[]").strip()
    if text.startswith("1/"):
        return tuple((name, -power) for name, power in powers_of(text[2:]))
    powers, end = unit_at(text)
    return powers if end == len(text) else ()


def converted(value: float, powers: Powers, unit: str) -> float | None:
    """`value` in one of our units (`CANONICAL`); None: it is of another dimension. Electrons that passed through a
    voltage are told by their energy, too: keV becomes kV.

    >>> converted(300.0, (("kiloelectron_volt", 1),), "kV"), converted(30.0, (("electron", 1),), "e/A2/s")
    (300.0, None)
    """
    if unit == "kV":
        powers = tuple((name.replace("electron_volt", "volt"), power) for name, power in powers)
    factor = _factor(powers, unit)
    # Twelve digits: 300000 V is 300 kV and not 300.00000000000006.
    return None if factor is None else float(f"{value * factor:.12g}")


@lru_cache(maxsize=1024)
def _factor(powers: Powers, unit: str) -> float | None:
    from pint.errors import DimensionalityError

    registry = _registry()
    told = registry.Quantity(1.0, "dimensionless")
    for name, power in powers:
        told = told * registry.Quantity(1.0, _TO_PINT.get(name, name)) ** power
    try:
        return float(told.to(CANONICAL[unit]).magnitude)
    except DimensionalityError:
        return None
