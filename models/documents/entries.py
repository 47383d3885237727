"""What entries of programs' files say: the keys' fields, values in our units, signs turned."""

from __future__ import annotations

import re
from collections.abc import Mapping

from frazil.models.documents.fields import RANGES, Field, facts_of
from frazil.models.documents.findings import GUESSED, KEYED, OWN_NAME, UNIT_MISSING, Finding, Source, number_finding
from frazil.models.documents.keys import CIF, EMDB, EMPIAR, EPU, MDOC, OSC, PROSE, Key
from frazil.models.documents.names import names_in
from frazil.models.documents.phrases import findings_in
from frazil.models.documents.tree import Kind, Node
from frazil.models.documents.units import CANONICAL, converted, plain, powers_of
from frazil.models.documents.vocabulary import TERMS, is_point_group, named, terms_in
from frazil.models.formats.sidecar_values import file_name, number, truth

_TABLES: Mapping[str, tuple[Mapping[str, Key], ...]] = {
    "EPU exposure": (EPU,),
    "EPU session": (EPU,),
    "SerialEM mdoc": (MDOC,),
    "mmCIF": (CIF,),
    "JSON": (OSC, CIF),
    "EMPIAR header": (EMPIAR,),
    "EMDB header": (EMDB,),
}
_TITLE = re.compile(r"Digitized by (?P<camera>.+?) on (?P<microscope>.+?)\s+\d{1,2}-[A-Za-z]{3}-\d{2,4}")
_AXIS = re.compile(r"Tilt axis(?: angle)? = (?P<axis>[-+]?\d+(?:\.\d+)?)")


def findings_of_entries(document: Node, name: str) -> list[Finding]:
    """What all entries of a document say. `name`: of the file."""
    entries = [node for node in document.walk() if node.kind is Kind.ENTRY]
    by_key = {_plain_key(document.name, node.name): node for node in reversed(entries)}
    found: list[Finding] = []
    for node in entries:
        key = _key_of(document.name, node.name)
        if key is not None:
            found += _findings(key, node, by_key, name)
        elif _last_part(node.name) in PROSE and len(node.text) > 20:
            text = plain(node.text)
            found += findings_in(node, text, name) + names_in(node, text, name)
    if document.name == "SerialEM mdoc":
        found += _of_mdoc(by_key, name)
    return found


def _plain_key(kind: str, name: str) -> str:
    if kind in ("mmCIF", "JSON"):
        return name.lstrip("_").lower().removeprefix("scientificmetadata.")
    return name


def _last_part(name: str) -> str:
    return re.split(r"[./]", name)[-1].lower()


def _key_of(kind: str, name: str) -> Key | None:
    """By the whole key, else (XML headers) by its last parts."""
    name = _plain_key(kind, name)
    for table in _TABLES.get(kind, ()):
        if name in table:
            return table[name]
        if kind.endswith("header"):
            parts = name.split("/")
            for count in (2, 1):
                if (found := table.get("/".join(parts[-count:]))) is not None:
                    return found
    return None


def _findings(key: Key, node: Node, by_key: Mapping[str, Node], name: str) -> list[Finding]:
    source = (
        name,
        node.place,
        f"{node.place.path or node.name} = {node.text[:80]}" + (f" {node.unit}" if node.unit else ""),
    )
    if facts_of(key.field).unit is None:
        finding = _words(key.field, node.text, source, by_key)
    else:
        ends = [node]
        if key.pair and (other := _partner(node, key.pair, by_key)) is not None:
            ends.append(other)
            source = (name, node.place, f"{source[2]}; {_last_part(other.name)} = {other.text}")
        finding = _number(key, [end.text for end in ends], node.unit, source)
    if finding is not None and key.loose:
        finding = finding.doubted(key.loose)
    return [] if finding is None else [finding]


def _partner(node: Node, pair: str, by_key: Mapping[str, Node]) -> Node | None:
    """The entry of the other end: by its key, or beside this one in an XML header."""
    beside = "/".join([*node.name.split("/")[:-1], pair]) if "/" in node.name else pair
    return by_key.get(beside) or by_key.get(pair)


def _words(field: Field, text: str, source: Source, by_key: Mapping[str, Node]) -> Finding | None:
    value: str | None = text
    if field in (Field.PHASE_PLATE, Field.SLIT_INSERTED):
        said = truth(text)
        value = {
            True: "yes",
            False: "no",
            None: {"none": "no"}.get(text.lower(), "yes" if field is Field.PHASE_PLATE else None),
        }[said]
    elif field is Field.GAIN:
        value = file_name(text)
    elif field is Field.SYMMETRY:
        value = text.upper() if is_point_group(text) else named(field, text)
    elif field is Field.SOFTWARE:
        version = by_key.get("microscopeData/core/ApplicationSoftwareVersion")
        value = f"{text} {version.text}" if version is not None else named(field, text)
    elif field in TERMS:
        value = named(field, plain(text))
        if value is None and field is Field.MICROSCOPE:
            return Finding(field, text, None, *source, GUESSED, (OWN_NAME,))
    return None if value is None else Finding(field, value, None, *source, KEYED)


def _number(key: Key, texts: list[str], unit: str, source: Source) -> Finding | None:
    numbers = [value for text in texts if (value := number(text)) is not None]
    if len(numbers) != len(texts):
        return None
    sign = -1.0 if key.unit.startswith("-") else 1.0
    for place, told in enumerate(key.unit.lstrip("-").split("|")):
        told = unit or told
        values = [_in_our_unit(value, told, key.field) for value in numbers]
        if None in values:
            return (
                Finding(key.field, numbers[0], None, *source, 0.2, (f"the unit {told!r} is not one of this quantity",))
                if unit
                else None
            )
        finding = _signed(key, [value for value in values if value is not None], sign, source)
        if finding is not None:
            if place:
                return finding.doubted(
                    f"no unit is written; in the usual one it cannot be, read as {told}", UNIT_MISSING
                )
            return finding
    return None


def _in_our_unit(value: float, told: str, field: Field) -> float | None:
    """None: of another dimension. A dose as `1/Å²` is one of electrons."""
    unit = facts_of(field).unit or ""
    if unit in ("", "frames", "px"):
        return value
    pint_known = powers_of(told) if told not in CANONICAL or told == "m" else ()
    powers = pint_known or _own_powers(told)
    if unit.startswith("e/") and "electron" not in dict(powers):
        powers = tuple(sorted((*powers, ("electron", 1))))
    number_ = converted(value, powers, unit)
    return converted(value, powers, "A/px") if number_ is None and unit == "A" else number_


_OWN_POWERS = {
    "e/A2": (("angstrom", -2), ("electron", 1)),
    "e/px": (("electron", 1), ("pixel", -1)),
    "e/px/s": (("electron", 1), ("pixel", -1), ("second", -1)),
    "e/m2": (("electron", 1), ("meter", -2)),
    "1/s": (("frame", 1), ("second", -1)),
    "A": (("angstrom", 1),),
    "Da": (("dalton", 1),),
}


def _own_powers(told: str) -> tuple[tuple[str, int], ...]:
    return _OWN_POWERS.get(told) or powers_of(told)


def _signed(key: Key, values: list[float], sign: float, source: Source) -> Finding | None:
    if key.field not in RANGES:
        return number_finding(key.field, values, source, KEYED)
    ends = sorted(sign * value for value in values)
    facts = facts_of(key.field)
    if not all(facts.low <= end <= facts.high for end in ends):
        return None
    notes = ("underfocus is written as negative",) if sign < 0 else ()
    high = ends[-1] if len(ends) > 1 and ends[-1] != ends[0] else None
    finding = Finding(key.field, ends[0] + 0.0, high, *source, KEYED, notes)
    if ends[0] < 0 and key.field is not Field.DEFOCUS_LENS:
        finding = finding.doubted("is overfocus by the file's own sign")
    return finding


def _of_mdoc(by_key: Mapping[str, Node], name: str) -> list[Finding]:
    """Values of which several stand under one key, and what only titles tell."""
    found: list[Finding | None] = []

    def said(key: str, field: Field, values: list[float | None], confidence: float = KEYED) -> None:
        if key in by_key and None not in values and values:
            node = by_key[key]
            source = (name, node.place, f"{node.place.path or key} = {node.text[:80]}")
            found.append(number_finding(field, [value for value in values if value is not None], source, confidence))

    def numbers(key: str) -> list[float | None]:
        return [number(part) for part in by_key[key].text.split()] if key in by_key else []

    tilted = "tilts" in by_key or any(abs(value or 0.0) > 1.0 for value in numbers("TiltAngle"))
    said("ExposureDose", Field.DOSE_TILT if tilted else Field.DOSE, [v for v in numbers("ExposureDose") if v])
    pairs = numbers("FrameDosesAndNumber")
    if len(pairs) == 2 and pairs[0]:
        said("FrameDosesAndNumber", Field.DOSE_FRAME, pairs[:1])
        said("FrameDosesAndNumber", Field.FRAMES, pairs[1:])
    said("FilterSlitAndLoss", Field.SLIT, numbers("FilterSlitAndLoss")[:1])
    said("ImageSize", Field.WIDTH, numbers("ImageSize")[:1])
    said("ImageSize", Field.HEIGHT, numbers("ImageSize")[1:2])
    said("tilts", Field.TILT_RANGE, numbers("tilts"))
    return [finding for finding in found if finding is not None]


def findings_of_titles(document: Node, name: str) -> list[Finding]:
    """An mdoc's title lines: program, camera, microscope, tilt axis."""
    found: list[Finding | None] = []
    for node in document.walk():
        if node.kind is not Kind.ENTRY or node.name != "T":
            continue
        source = (name, node.place, node.text[:120])
        if node.text.startswith("SerialEM"):
            found.append(Finding(Field.SOFTWARE, "SerialEM", None, *source, KEYED))
        told = _TITLE.search(node.text)
        for field in (Field.CAMERA, Field.MICROSCOPE):
            terms = terms_in(field, told[str(field)] if told else node.text)
            found += [Finding(field, value, None, *source, KEYED) for value, _, _ in terms[:1]]
        if axis := _AXIS.search(node.text):
            found.append(number_finding(Field.TILT_AXIS, [float(axis["axis"])], source, KEYED))
    return [finding for finding in found if finding is not None]
