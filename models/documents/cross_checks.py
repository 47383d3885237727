"""Values of one session held against each other: what must be equal by arithmetic, and what cannot both be true.

A check that holds is told, too: it is the reason to believe a unit. One that fails marks the values that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from frazil.models.documents.fields import Field
from frazil.models.documents.findings import Finding, same_value

_EXACT, _PRINTED, _ROUGH = 0.02, 0.12, 0.3
"""Relative: of numbers that programs wrote, of numbers that people rounded, and beyond which one of them is wrong."""
_LOW_DOSE_E_PER_A2 = 10.0
_TILTED = frozenset({Field.TILT_RANGE, Field.TILT_STEP, Field.TILT_AXIS, Field.DOSE_TILT})
_OF_PIXELS = (Field.PIXEL_IMAGE, Field.PIXEL, Field.PIXEL_STORED, Field.PIXEL_PHYSICAL, Field.PIXEL_SUPER)


class Outcome(StrEnum):
    """Of a check."""

    HOLDS = "holds"
    CONFLICT = "conflict"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """`documents`: names of those that it is about."""

    outcome: Outcome
    fields: tuple[Field, ...]
    documents: tuple[str, ...]
    text: str


@dataclass(slots=True)
class _Pool:
    """The findings of one document, or of all."""

    findings: list[Finding]

    def numbers(self, field: Field) -> list[Finding]:
        return [one for one in self.findings if one.field is field and isinstance(one.value, float)]

    def first(self, *fields: Field) -> Finding | None:
        return next((one for field in fields for one in self.numbers(field)), None)

    def has(self, *fields: Field) -> bool:
        return any(one.field in fields for one in self.findings)


def checked(findings: Sequence[Finding]) -> tuple[list[Finding], list[Check]]:
    """Findings, marked where a check speaks against them, and the checks: of each document, then of all together."""
    doubts: dict[int, str] = {}
    checks: list[Check] = []
    documents = list(dict.fromkeys(one.document for one in findings))
    for document in documents:
        own = _Pool([one for one in findings if one.document == document])
        for check in _WITHIN:
            checks += check(own, _Pool(list(findings)), doubts)
    if len(documents) > 1:
        checks += _signs(_Pool(list(findings)))
    marked = [one.doubted(doubts[id(one)], 0.5) if id(one) in doubts else one for one in findings]
    return marked, list(dict.fromkeys(checks))


_Doubts = dict[int, str]


def _said(outcome: Outcome, text: str, *about: Finding) -> Check:
    return Check(outcome, tuple(one.field for one in about), tuple(dict.fromkeys(one.document for one in about)), text)


def _number(finding: Finding) -> float:
    return float(finding.value)


def _near(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def _camera_and_specimen(own: _Pool, _: _Pool, doubts: _Doubts) -> list[Check]:
    """e/px = e/A2 x (A/px)^2."""
    dose, camera, pixel = own.first(Field.DOSE), own.first(Field.DOSE_CAMERA), own.first(*_OF_PIXELS)
    if dose is None or camera is None or pixel is None:
        return []
    product = _number(dose) * _number(pixel) ** 2
    text = f"{dose.told()} x ({_number(pixel):.5g} A)^2 = {product:.4g} e/px, {camera.told()} on the camera"
    if _near(product, _number(camera), _PRINTED):
        return [_said(Outcome.HOLDS, text, dose, camera, pixel)]
    doubts |= {id(dose): "does not fit the dose on the camera", id(camera): "does not fit the dose on the specimen"}
    return [_said(Outcome.CONFLICT, text, dose, camera, pixel)]


def _low_dose(own: _Pool, everything: _Pool, doubts: _Doubts) -> list[Check]:
    """Few electrons for a whole exposure: e/px that carry the unit e/A2, perhaps."""
    if own.has(*_TILTED):
        return []
    checks = []
    for dose in own.numbers(Field.DOSE):
        if _number(dose) >= _LOW_DOSE_E_PER_A2:
            continue
        pixel = own.first(*_OF_PIXELS) or everything.first(*_OF_PIXELS)
        text = f"{dose.told()} is little for a whole exposure"
        about = [dose]
        if pixel is not None:
            text += f"; as e/px it would be {_number(dose) / _number(pixel) ** 2:.4g} e/A2 at {_number(pixel):.4g} A"
            about.append(pixel)
        camera = next(
            (one for one in everything.numbers(Field.DOSE_CAMERA) if _near(_number(one), _number(dose), 0.05)), None
        )
        if camera is not None and camera.document != dose.document:
            text += f"; {camera.document} gives {camera.told()} on the camera"
            about.append(camera)
        doubts[id(dose)] = "may be e/px with the wrong unit: little for a whole exposure"
        checks.append(_said(Outcome.CONFLICT, text, *about))
    return checks


def _sums(own: _Pool, _: _Pool, doubts: _Doubts) -> list[Check]:
    """Total = dose per frame x frames; time = time per frame x frames."""
    checks = []
    for whole, part in (
        (Field.DOSE, Field.DOSE_FRAME),
        (Field.DOSE_TILT, Field.DOSE_FRAME),
        (Field.EXPOSURE, Field.FRAME_TIME),
    ):
        total, each, frames = own.first(whole), own.first(part), own.first(Field.FRAMES)
        if total is None or each is None or frames is None or total.high is not None:
            continue
        product = _number(each) * _number(frames)
        text = f"{each.told()} x {frames.told()} = {product:.4g} {total.unit}, {whole} {total.told()}"
        holds = _near(product, _number(total), _PRINTED)
        checks.append(_said(Outcome.HOLDS if holds else Outcome.CONFLICT, text, total, each, frames))
        if not holds:
            doubts |= {id(one): f"{whole}, {part} and frames do not fit each other" for one in (total, each, frames)}
    return checks


def _rates(own: _Pool, _: _Pool, doubts: _Doubts) -> list[Check]:
    """Dose = rate x time: on the camera, on the specimen, and from one to the other by one of the pixels."""
    time = own.first(Field.EXPOSURE)
    if time is None or time.high is not None:
        return []
    checks = []
    dose, camera = own.first(Field.DOSE), own.first(Field.DOSE_CAMERA)
    on_camera, on_specimen = own.first(Field.DOSE_RATE_CAMERA), own.first(Field.DOSE_RATE)
    if on_camera is not None and camera is not None:
        checks.append(_product(on_camera, time, camera, doubts))
    elif on_camera is not None and dose is not None and on_camera.high is None:
        checks += _through_pixel(own, on_camera, time, dose, doubts)
    if on_specimen is not None and dose is not None and on_specimen.high is None:
        checks.append(_product(on_specimen, time, dose, doubts))
    return checks


def _product(rate: Finding, time: Finding, total: Finding, doubts: _Doubts) -> Check:
    product = _number(rate) * _number(time)
    text = f"{rate.told()} x {time.told()} = {product:.4g} {total.unit}, {total.told()} in all"
    if not _near(product, _number(total), _ROUGH):
        doubts[id(total)] = "does not fit dose rate and time"
    return _said(_outcome(product, total), text, rate, time, total)


def _through_pixel(own: _Pool, rate: Finding, time: Finding, dose: Finding, doubts: _Doubts) -> list[Check]:
    """With the pixel that fits best: which of them a rate counts is seldom said."""
    totals = {
        pixel: _number(rate) * _number(time) / _number(pixel) ** 2
        for field in _OF_PIXELS
        if (pixel := own.first(field)) is not None
    }
    if not totals:
        return []
    best = min(totals, key=lambda pixel: abs(totals[pixel] - _number(dose)))
    of_pixel = f"{rate.told()} x {time.told()} at {_number(best):.4g} A"
    if not _near(totals[best], _number(dose), _ROUGH):
        doubts[id(dose)] = "does not fit dose rate, time and pixel size"
    text = f"{of_pixel} = {totals[best]:.4g} e/A2, {dose.told()} in all"
    return [_said(_outcome(totals[best], dose), text, rate, time, best, dose)]


def _outcome(product: float, total: Finding) -> Outcome:
    return Outcome.HOLDS if _near(product, _number(total), _PRINTED) else Outcome.CONFLICT


def _one_number_two_units(own: _Pool, _: _Pool, doubts: _Doubts) -> list[Check]:
    """The same number as a dose and as a dose a second: one of both is a slip, unless the exposure took a second."""
    time = own.first(Field.EXPOSURE)
    if time is not None and _near(_number(time), 1.0, 0.05):
        return []
    checks = []
    for dose in own.numbers(Field.DOSE):
        for rate in own.numbers(Field.DOSE_RATE):
            if _number(dose) == _number(rate):
                places = [f"{one.told()} ({one.place.words()})" for one in (dose, rate)]
                text = f"{' and '.join(places)}: one number, two units"
                checks.append(_said(Outcome.CONFLICT, text, dose, rate))
                doubts[id(rate)] = "the same number stands elsewhere as a dose"
    return checks


def _sensor_pixels(own: _Pool, _: _Pool, doubts: _Doubts) -> list[Check]:
    """Super-resolution halves the sensor's pixel."""
    checks = []
    physical, half = own.first(Field.PIXEL_PHYSICAL), own.first(Field.PIXEL_STORED, Field.PIXEL_SUPER, Field.PIXEL)
    if physical is not None and half is not None:
        ratio = _number(physical) / _number(half)
        text = f"pixel sizes {half.told()} ({half.field}) and {physical.told()} ({physical.field}): "
        if _near(ratio, 2.0, _EXACT):
            checks.append(
                _said(
                    Outcome.CONFLICT, text + "super-resolution and sensor; movies have one or the other", half, physical
                )
            )
        elif not _near(ratio, 1.0, _EXACT):
            checks.append(_said(Outcome.CONFLICT, text + "neither equal nor one half", half, physical))
            doubts |= {
                id(half): "does not fit the physical pixel size",
                id(physical): "does not fit the other pixel size",
            }
    return checks


def _binned_image(own: _Pool, _: _Pool, doubts: _Doubts) -> list[Check]:
    """The image beside a movie is binned; the movie's pixel is that of the sensor, or half of it."""
    image, binning, factor = (own.first(one) for one in (Field.PIXEL_IMAGE, Field.BINNING, Field.SUPER_RESOLUTION))
    binned, finer = (1.0 if one is None else _number(one) for one in (binning, factor))
    if image is None or binned * finer == 1.0:
        return []
    sensor = _number(image) / binned
    text = f"{image.told()} is of the summed image at binning {binned:g}; the sensor's pixel is {sensor:.4g} A"
    if finer > 1:
        text += f", in super-resolution {sensor / finer:.4g} A: which of them the movies have tells their header"
    doubts[id(image)] = "of the summed image, which is binned: not of the movies"
    return [_said(Outcome.CONFLICT, text, image, *(one for one in (binning, factor) if one is not None))]


def _pixel_sizes(own: _Pool, _: _Pool, __: _Doubts) -> list[Check]:
    """Several pixel sizes with several meanings: told in one place."""
    fields = (*_OF_PIXELS, Field.PIXEL_RESAMPLED, Field.PIXEL_OVERVIEW)
    given = [one for field in fields if (one := own.first(field)) is not None]
    if len(given) < 3:
        return []
    text = "pixel sizes: " + ", ".join(f"{one.told()} ({one.field})" for one in given)
    return [_said(Outcome.NOTE, text, *given)]


def _bare_rate(own: _Pool, _: _Pool, __: _Doubts) -> list[Check]:
    """A dose rate without a unit: which unit the other numbers would give it."""
    bare, camera, time = own.first(Field.DOSE_RATE_BARE), own.first(Field.DOSE_CAMERA), own.first(Field.EXPOSURE)
    if bare is None:
        return []
    if camera is None or time is None:
        return [_said(Outcome.CONFLICT, f"dose rate {bare.told()} has no unit in the file", bare)]
    rate = _number(camera) / _number(time)
    binning, factor = own.first(Field.BINNING), own.first(Field.SUPER_RESOLUTION)
    binned = _number(binning) if binning else 1.0
    finer = binned * (_number(factor) if factor else 1.0)
    for divided, words in ((1.0, "the image"), (binned**2, "the sensor"), (finer**2, "super-resolution")):
        if _near(rate / divided, _number(bare), _EXACT):
            fits = f"{camera.told()} / {time.told()} / {divided:g} fits e/px/s of a pixel of {words}"
            text = f"dose rate {bare.told()} has no unit in the file; {fits}"
            return [_said(Outcome.CONFLICT, text, bare, camera, time)]
    return [
        _said(Outcome.CONFLICT, f"dose rate {bare.told()} has no unit in the file, and fits none that is told", bare)
    ]


def _two_defoci(own: _Pool, _: _Pool, __: _Doubts) -> list[Check]:
    """What was asked for, and where the lens stood."""
    asked, lens = own.first(Field.DEFOCUS_TARGET, Field.DEFOCUS), own.first(Field.DEFOCUS_LENS)
    checks = []
    if asked is not None and lens is not None and not same_value(asked, lens):
        text = f"{asked.told()} was asked for, the lens stood at {lens.told()} (underfocus positive): the former counts"
        checks.append(_said(Outcome.CONFLICT, text, asked, lens))
    measured = own.first(Field.DEFOCUS_CALIBRATED)
    if measured is not None and _number(measured) < 0:
        text = f"defocus measured {measured.told()}: its ends have two signs, one of them is overfocus or a slip"
        checks.append(_said(Outcome.CONFLICT, text, measured))
    return checks


def _signs(everything: _Pool) -> list[Check]:
    """Documents that write underfocus as negative, and others that write it as positive."""
    ranges = [
        one
        for field in (Field.DEFOCUS, Field.DEFOCUS_TARGET, Field.DEFOCUS_CALIBRATED)
        for one in everything.numbers(field)
    ]
    negative = [one for one in ranges if any("negative" in note for note in one.notes)]
    positive = [one for one in ranges if one not in negative]
    if not negative or not positive or {one.document for one in negative} == {one.document for one in positive}:
        return []
    names = [", ".join(dict.fromkeys(one.document for one in group)) for group in (negative, positive)]
    return [
        _said(
            Outcome.CONFLICT,
            f"underfocus is negative in {names[0]} and positive in {names[1]}; here it is positive",
            *ranges,
        )
    ]


def _unit_doubt(own: _Pool, _: _Pool, __: _Doubts) -> list[Check]:
    """Values that came without a unit."""
    bare = [
        one
        for one in own.findings
        if any("no unit" in note for note in one.notes) and one.field is not Field.DOSE_RATE_BARE
    ]
    return [_said(Outcome.CONFLICT, f"{one.words}: {'; '.join(one.notes)} ({one.told()})", one) for one in bare]


_WITHIN: tuple[Callable[[_Pool, _Pool, _Doubts], list[Check]], ...] = (
    _camera_and_specimen, _low_dose, _sums, _rates, _one_number_two_units, _sensor_pixels, _binned_image,
    _pixel_sizes, _bare_rate, _two_defoci, _unit_doubt,
)  # fmt: skip
