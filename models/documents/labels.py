"""Labels of tables, forms and screens: `Voltage (kV)  300`, `Pixel size: 0.83 Å`, `Frames 40`.

The first words of a row (or of a line) that are a label name the field; the unit stands behind the value or in
brackets behind the label. Where neither has one, the value is taken in the field's usual unit and marked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from frazil.models.documents.fields import Field, facts_of
from frazil.models.documents.findings import TABLED, UNIT_MISSING, Finding, Source, number_finding
from frazil.models.documents.quantities import quantities
from frazil.models.documents.tree import Place
from frazil.models.documents.units import Powers, converted, powers_of
from frazil.models.documents.vocabulary import TERMS, is_point_group, named

_DOSE_FIELDS = (Field.DOSE, Field.DOSE_FRAME, Field.DOSE_CAMERA, Field.DOSE_RATE, Field.DOSE_RATE_CAMERA)
_ELECTRON = r"(?:electron |e- ?)?"
LABELS: tuple[tuple[str, tuple[Field, ...]], ...] = (
    (r"(?:acc(?:elerat\w+|\.)? |operating |high )?(?:voltage|tension)|\bHT", (Field.VOLTAGE,)),
    (r"(?:spherical aberration|nominal Cs|C_?[sS])(?:,? \(?C_?s\)?)?(?: coefficient)?(?: of the "
     r"objective)?", (Field.CS,)),
    (r"amp(?:litude|\.)? contrast(?: ratio| fraction)?", (Field.AMPLITUDE_CONTRAST,)),
    (r"calibrated mag(?:nification|\.)?|mag(?:nification)? \(calibrated\)", (Field.MAGNIFICATION_CALIBRATED,)),
    (r"(?:nominal |indicated |TEM )?mag(?:nification|\.)?", (Field.MAGNIFICATION,)),
    (r"physical pixel(?: size| spacing)?|pixel size \(physical\)|unbinned pixel size", (Field.PIXEL_PHYSICAL,)),
    (r"super-?[ -]?res(?:olution)?\.? pixel(?: size)?|pixel size \(super-?res\w*\)", (Field.PIXEL_SUPER,)),
    (r"(?:binned|resampled|final|refinement|box) pixel(?: size)?", (Field.PIXEL_RESAMPLED,)),
    (r"(?:calibrated |nominal |image |movie |raw )?(?:pixel (?:size|spacing)|apix|sampling|pixel)", (Field.PIXEL,)),
    (r"(?:dose|exposure)(?: rate)? (?:per|/) ?(?:raw |movie )?(?:frame|fraction)|(?:frame|fraction) dose|"
     r"dose/(?:frame|fraction)", (Field.DOSE_FRAME,)),
    (rf"{_ELECTRON}(?:dose|flux|exposure) rate|dose rate on \w+", (Field.DOSE_RATE_CAMERA, Field.DOSE_RATE)),
    (r"pre-?exposure(?: dose)?|dose before", (Field.DOSE_PRIOR,)),
    (rf"(?:total |cumulative |accumulated |specimen )?{_ELECTRON}(?:dose|fluence|exposure)(?: \(total\)| on "
     rf"(?:specimen|camera))?(?: per (?:movie|image|micrograph))?",
     (*_DOSE_FIELDS, Field.EXPOSURE)),
    (r"exposure(?: time| duration)?(?: ?(?:per|/) ?(?:movie|image|micrograph|hole|stack))?|"
     r"exp\.? time", (Field.EXPOSURE, Field.DOSE)),
    (r"frame (?:time|exposure|duration)|(?:time|exposure) per frame", (Field.FRAME_TIME,)),
    (r"frame rate", (Field.FRAME_RATE,)),
    (r"(?:no\.?|number|#|nr\.?)?(?: ?of)? ?(?:raw |movie |dose )?(?:frames|fractions|sub-?frames)(?: ?(?:per|/) "
     r"?(?:movie|image|micrograph|exposure|stack))?(?: \((?:no\.?|#|number)\))?", (Field.FRAMES,)),
    (r"target (?:de|under)-?focus", (Field.DEFOCUS_TARGET, Field.DEFOCUS)),
    (r"(?:nominal |set |applied )?(?:de|under)-?focus(?:ing)?(?: range| values?| settings?| list)?(?: "
     r"set)?", (Field.DEFOCUS, Field.DEFOCUS_TARGET)),
    (r"(?:imposed )?(?:point[- ]group )?symmetry(?: imposed| applied| group)?|point group", (Field.SYMMETRY,)),
    (r"final (?:particle(?: images)?|particles)(?: used)?(?: \((?:no\.?|#|number)\))?", (Field.PARTICLES,)),
    (r"(?:overall |final |map |reported )resolution(?: at FSC ?[= ]?0\.143)?", (Field.RESOLUTION,)),
    (r"(?:particle|molecule|protein|complex|expected particle) (?:diameter|size)|diameter", (Field.DIAMETER,)),
    (r"(?:molecular (?:weight|mass)|mol\.? ?wt|\bMW\b|mass)", (Field.MASS,)),
    (r"(?:sample |protein )?conc(?:entration|\.)?", (Field.CONCENTRATION,)),
    (r"C ?2(?: condenser)? ap(?:erture|\.)?|condenser (?:2 )?aperture", (Field.C2_APERTURE,)),
    (r"obj(?:ective|\.)? ap(?:erture|\.)?", (Field.OBJECTIVE_APERTURE,)),
    (r"beam (?:size|diameter)|illuminated area", (Field.BEAM_DIAMETER,)),
    (r"(?:energy[- ]?)?(?:filter )?(?:slit|window)(?: width)?|(?:energy )?filter width", (Field.SLIT,)),
    (r"energy filter|filter", (Field.ENERGY_FILTER, Field.SLIT)),
    (r"(?:no\.?|number|#)?(?: ?of )?(?:movies|micrographs)(?: collected| recorded| acquired)?(?: \((?:no\.?|#|"
     r"number)\))?", (Field.MOVIES,)),
    (r"(?:electron |cryo-?)?(?:microscope|instrument|TEM)(?: model)?", (Field.MICROSCOPE,)),
    (r"(?:direct )?(?:electron )?(?:camera|detector)(?: model)?", (Field.CAMERA,)),
    (r"(?:camera|detector|recording|acquisition|imaging) mode", (Field.CAMERA_MODE,)),
    (r"(?:data collection |acquisition |automation )?software|collected with", (Field.SOFTWARE,)),
    (r"(?:movie|file|data|output) format", (Field.FORMAT,)),
    (r"gain(?: reference| ref\.?)?(?: file)?", (Field.GAIN,)),
    (r"(?:sample|specimen)(?: name)?", (Field.SPECIMEN,)),
    (r"(?:volta )?phase plate", (Field.PHASE_PLATE,)),
    (r"(?:camera |hardware )?binning", (Field.BINNING,)),
    (r"tilt axis(?: angle)?", (Field.TILT_AXIS,)),
    (r"tilt (?:step|increment)", (Field.TILT_STEP,)),
    (r"tilt range", (Field.TILT_RANGE,)),
)  # fmt: skip
_UNIT_AFTER = re.compile(
    r"\s?[(\[]\s?(?P<unit>[^()\[\]]{1,24}(?:\([^()]*\))?[^()\[\]]{0,8})\s?[)\]]|,\s(?P<bare>[^\s:=]{1,12})(?=\s|$|[:=])"
)
_BETWEEN = re.compile(r"\s?(?::|=|\||\.{3,})?\s?")
_OTHER_THING = re.compile(
    r"\b(?:map|model|screen\w*|atlas|search|overview|preview|focus area|binned|extract\w*|refine\w*|initial|"
    r"mask|box|threshold|FSC|"
    r"rate|validation|B.factor|tilt|min|max|minimum|maximum|error|calibrat\w* by)\b",
    re.IGNORECASE,
)
"""Words that make another thing of a label: they are read as labels of their own, or not at all."""
_LOOSE_REST = re.compile(r"(?:[\s/,]+[A-Za-zÅµ.]+){0,3}\s?(?:[(\[]\s?(?P<unit>[^()\[\]]{1,24})[)\]])?\s?:?")
_SEPARATED = re.compile(r"[:=|]|\.{3}")
_NEEDS_UNIT = frozenset(
    {*_DOSE_FIELDS, Field.DOSE_PRIOR, Field.BEAM_DIAMETER, Field.CONCENTRATION, Field.DIAMETER, Field.RESOLUTION}
)
"""Fields whose number alone says nothing: without a unit anywhere they are left empty."""
_TRUE, _FALSE = ("yes", "true", "on", "in", "used"), ("no", "none", "false", "off", "out", "not used", "n/a", "-")
_MAX_LETTERS = 400
"""Of a line or a cell: what is longer is no form, and its words are not tried as labels without end."""
_WORD_BEGINS = re.compile(r"(?<=[\s,;|])(?=[A-Za-z#])")
_VALUE_BEGINS = re.compile(r"\s?[:=(]|\s?[-+]?\d")
_KILO = re.compile(r"\s?[kK]\b")
_EMPTY = re.compile(
    r"^(?:\?|-|n/?a|none|not (?:stated|known|given|recorded|applicable)|unknown|tbd|\.*)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Label:
    """A label and where it ends; `unit`: of the brackets behind it, as powers or `%`."""

    fields: tuple[Field, ...]
    unit: Powers
    unit_words: str
    end: int
    letters: int
    """Of the label alone, without its unit."""


def label_at(text: str, begin: int = 0) -> Label | None:
    """The longest label that begins at `begin` of plain text and ends with a word."""
    best: Label | None = None
    for place, (_, fields) in enumerate(LABELS):
        match = _PATTERNS[place].match(text, begin)
        if match is None or match.end() == begin or text[match.end() : match.end() + 1].isalnum():
            continue
        if best is None or match.end() > best.end:
            best = Label(fields, (), "", match.end(), match.end() - begin)
    if best is None:
        return None
    if unit := _UNIT_AFTER.match(text, best.end):
        words = unit["unit"] or unit["bare"]
        powers = powers_of(words)
        if powers or words.strip() in ("%", "×", "x", "no.", "no", "#", "e-", "imposed", "set"):
            return Label(best.fields, powers, words.strip(), unit.end(), best.letters)
        if unit["unit"]:  # a remark, or a short form of the label: `Spherical aberration (Cs)`
            return Label(best.fields, (), "", unit.end(), best.letters)
    return best


_PATTERNS = [re.compile(words, re.IGNORECASE) for words, _ in LABELS]


def loose_label(text: str) -> Label | None:
    """A label among a few other words: `Camera/detector`, `Microscope type`, `Mean exposure time (s)`.

    For text that is known to be nothing but a label: a cell, or what stands before a colon.
    """
    if len(text) > 60 or _OTHER_THING.search(text):
        return None
    best: Label | None = None
    for begin in [0, *(match.end() for match in re.finditer(r"[\s/]+", text))][:4]:
        label = label_at(text, begin)
        if label is None or (best and label.letters <= best.letters) or (unit := _unit_behind(text, label.end)) is None:
            continue
        if facts_of(label.fields[0]).unit is None and (label.unit or unit[0]):
            continue  # `Microscope voltage (kV)` is no microscope
        powers, words = (label.unit, label.unit_words) if label.unit or label.unit_words else unit
        best = Label(label.fields, powers, words, len(text), label.letters)
    return best


def _unit_behind(text: str, end: int) -> tuple[Powers, str] | None:
    """Powers and words of a unit in brackets, after at most three words without digits; None: there is more."""
    rest = _LOOSE_REST.fullmatch(text, end)
    if rest is None:
        return None
    words = (rest["unit"] or re.split(r"[\s,]+", rest[0].rstrip(" :"))[-1]).strip()  # `Voltage, kV`
    return powers_of(words), words


def findings_of_row(cells: Sequence[tuple[str, Place]], document: str) -> list[Finding]:
    """What a row of a table says: a cell that is a label, and the values behind it up to the next label."""
    found: list[Finding] = []
    label: Label | None = None
    words = ""
    for text, place in cells:
        if not text:
            continue
        text = text[:_MAX_LETTERS]
        begun = label_at(text)
        rest = text[begun.end :].strip(" :=|") if begun else ""
        if label is None and len(cells) > 1 and (loose := loose_label(text)) is not None:
            begun, rest = loose, ""
        if begun is not None and (not rest or len(cells) == 1 or _value_of(begun, rest, ("", place, ""))):
            label, words = begun, text
            if rest:
                found += findings_of_line(text, place, document)
        elif label is not None:
            source = (document, place, f"{words} | {text}")
            if (finding := _value_of(label, text, source)) is not None:
                found.append(finding)
    return found


def findings_of_line(text: str, place: Place, document: str) -> list[Finding]:
    """What a line of a form or screen says: labels each followed by its value; nothing for a sentence."""
    text = text[:_MAX_LETTERS]
    found: list[Finding] = []
    position = 0
    while (label := label_at(text, position)) is not None:
        begin = _BETWEEN.match(text, label.end).end()  # type: ignore[union-attr]
        upto = _next_label(text, begin)
        value = text[begin:upto].strip(" ,;|")
        if (
            not value
            or len(value) > 60
            or not (_SEPARATED.search(text, label.end, begin) or _is_bare_value(label, value))
        ):
            break
        finding = _value_of(label, value, (document, place, text[position:upto].strip()))
        if finding is not None:
            found.append(finding)
        position = upto
    return found or _of_loose_line(text, place, document)


def _of_loose_line(text: str, place: Place, document: str) -> list[Finding]:
    """What stands before and behind the first colon, if the former is a label among other words."""
    before, colon, behind = (part.strip() for part in text.partition(":"))
    if not colon or not behind or len(behind) > 60 or (label := loose_label(before)) is None:
        return []
    finding = _value_of(label, behind, (document, place, text))
    return [] if finding is None else [finding]


def _is_bare_value(label: Label, value: str) -> bool:
    """Whether a value without `:` or `=` before it is nothing but a number or a name: a sentence goes on."""
    if facts_of(label.fields[0]).unit is None:
        return label.fields[0] in TERMS and len(value) <= 30
    given = quantities(value)
    return bool(given) and given[0].begin <= 2 and len(value) - given[0].end <= 3


def _next_label(text: str, begin: int) -> int:
    for match in _WORD_BEGINS.finditer(text, begin + 1):
        label = label_at(text, match.start())
        # A label is followed by a separator or a number, or it is a word of the value.
        if label is not None and _VALUE_BEGINS.match(text, label.end):
            return match.start()
    return len(text)


def _value_of(label: Label, text: str, source: Source) -> Finding | None:
    text = text.strip()
    if _EMPTY.match(text):
        return None
    for place, field in enumerate(label.fields):
        if facts_of(field).unit is None:
            finding = _words_of(field, text, source)
        else:
            finding = _number_of(field, label, text, source, first=place == 0)
        if finding is not None:
            return finding
    return None


def _words_of(field: Field, text: str, source: Source) -> Finding | None:
    value: str | None = text
    if field is Field.PHASE_PLATE:
        value = "yes" if text.lower() in _TRUE else "no" if text.lower() in _FALSE else None
    elif field is Field.GAIN:
        value = text if re.fullmatch(r"\S+\.(?:mrc|dm4|gain|tiff?|dm3)", text, re.IGNORECASE) else None
    elif field is Field.SYMMETRY:
        first = re.split(r"[\s(,;]", text)[0]
        value = first.upper() if is_point_group(first) else named(field, text)
    elif field in TERMS:
        value = named(field, text)
    elif re.fullmatch(r"[-\d.,\s×x%]+", text) or len(text) > 120:
        value = None
    return None if value is None else Finding(field, value, None, *source, TABLED)


def _number_of(field: Field, label: Label, text: str, source: Source, *, first: bool) -> Finding | None:
    """`first`: of a label that may mean several things only the first may come without a unit."""
    given = quantities(text)
    if not given or given[0].begin > 12:
        return None
    quantity, unit = given[0], facts_of(field).unit or ""
    if field is Field.MAGNIFICATION and _KILO.match(text, quantity.end):
        quantity = replace(quantity, value=quantity.value * 1000)
    powers = quantity.powers or label.unit
    ends = [quantity.value] if quantity.high is None else [quantity.value, quantity.high]
    if field in (Field.DEFOCUS, Field.DEFOCUS_TARGET):
        field = Field.DEFOCUS_TARGET if quantity.high is None else Field.DEFOCUS
    if unit in ("", "frames", "px"):
        if powers and unit == "":
            return None
        percent = quantity.tag == "percent" or label.unit_words == "%"
        return number_finding(field, [end / 100.0 for end in ends] if percent else ends, source, TABLED)
    if powers:
        numbers = [number for end in ends if (number := _in_unit(end, powers, unit, field)) is not None]
        return number_finding(field, numbers, source, TABLED) if numbers else None
    if field in _NEEDS_UNIT or quantity.tag or not first:
        return None
    finding = number_finding(field, ends, source, UNIT_MISSING)
    if finding is None and field is Field.VOLTAGE:
        finding = number_finding(field, [end / 1000.0 for end in ends], source, UNIT_MISSING)
        unit = "V"
    return None if finding is None else finding.doubted(f"no unit is printed; read as {unit}", UNIT_MISSING)


def _in_unit(value: float, powers: Powers, unit: str, field: Field) -> float | None:
    number = converted(value, powers, unit)
    if number is None and field is Field.DOSE_FRAME:
        number = converted(value, powers, "e/A2/frame")
    if number is None and unit == "A":
        number = converted(value, powers, "A/px")
    return number
