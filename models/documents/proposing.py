"""Settings proposed from what documents say. Nothing is guessed: a setting that no document gives is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frazil.config.errors import SettingsError
from frazil.config.loading import with_changes
from frazil.config.settings import Settings
from frazil.models.documents.agreement import Agreed, agreed
from frazil.models.documents.cross_checks import Check, checked
from frazil.models.documents.fields import PIXELS, Field, facts_of
from frazil.models.documents.findings import GUESSED, LOW, Finding

WANTED = (
    "microscope.name", "microscope.voltage_kv", "microscope.cs_mm", "microscope.amplitude_contrast",
    "microscope.pixel_size_angstrom", "microscope.dose_per_frame_e_per_a2", "microscope.energy_filter", "camera.name",
    "particles.diameter_angstrom", "particles.symmetry",
)  # fmt: skip
"""Settings that a session is set up with."""
WANTED_FACTS = (Field.DOSE, Field.FRAMES, Field.DEFOCUS, Field.GAIN)
"""What people look for beside them."""
_SPARE = 0.05
"""How much less sure a value is that was computed from two."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """One setting. `sources`: what it comes from; `rivals`: other values that documents give."""

    setting: str
    value: Any
    confidence: float
    sources: tuple[Finding, ...]
    rivals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        """May be taken as it is: neither contradicted nor unsure."""
        return not self.rivals and self.confidence >= LOW


@dataclass(frozen=True, slots=True)
class Proposal:
    """All of it. `facts`: what documents say of each field, whether it is a setting or not."""

    settings: tuple[Proposed, ...]
    facts: tuple[Agreed, ...]
    checks: tuple[Check, ...]
    missing: tuple[str, ...]


def propose(findings: Sequence[Finding]) -> Proposal:
    """From the findings of all documents of one session."""
    marked, checks = checked(findings)
    facts = agreed(marked)
    settings = [one for make in (_plain, _pixel, _dose_per_frame, _filter) for one in make(facts)]
    allowed = [one for one in settings if _is_allowed(one)]
    order = {setting: place for place, setting in enumerate(WANTED)}
    allowed.sort(key=lambda one: order.get(one.setting, len(order)))
    given = {one.setting for one in allowed}
    missing = [setting for setting in WANTED if setting not in given]
    missing += [str(field) for field in WANTED_FACTS if field not in facts]
    return Proposal(tuple(allowed), tuple(facts.values()), tuple(checks), tuple(missing))


def _is_allowed(proposed: Proposed) -> bool:
    try:
        with_changes(Settings(), {proposed.setting: proposed.value}, origin="a document")
    except SettingsError:
        return False
    return True


def _of(fact: Agreed, setting: str, value: Any = None, notes: tuple[str, ...] = ()) -> Proposed:
    rivals = tuple(f"{one.told()} ({_where(one)})" for one in fact.rivals) if fact.conflict else ()
    value = fact.chosen.value if value is None else value
    sources, chosen = (fact.chosen, *fact.same), _as_one_value(fact.chosen)
    return Proposed(setting, value, chosen.confidence, sources, rivals, (*chosen.notes, *notes))


def _as_one_value(finding: Finding) -> Finding:
    """The same, doubted where it is a range: a setting is one value, and its low end is not what was said."""
    if finding.high is None:
        return finding
    return finding.doubted(f"a range, {finding.told()}: its low end is no more likely than another value", GUESSED)


def _where(finding: Finding) -> str:
    return ", ".join(part for part in (finding.document, finding.place.words()) if part)


def _plain(facts: dict[Field, Agreed]) -> list[Proposed]:
    """Fields that are settings as they are; words of yes and no where yes is not the default."""
    found = []
    for field in (
        Field.MICROSCOPE,
        Field.VOLTAGE,
        Field.CS,
        Field.AMPLITUDE_CONTRAST,
        Field.CAMERA,
        Field.DIAMETER,
        Field.SYMMETRY,
    ):
        setting = facts_of(field).setting
        if field in facts and setting is not None:
            found.append(_of(facts[field], setting))
    for field in (Field.GAIN_CORRECTED, Field.PHASE_PLATE):
        setting = facts_of(field).setting
        if field in facts and setting is not None and facts[field].chosen.value == "yes":
            found.append(_of(facts[field], setting, True))
    return found


def _pixel(facts: dict[Field, Agreed]) -> list[Proposed]:
    """Of the movies as they are stored; where only other pixels are told, one of them with a mark."""
    field = next((one for one in PIXELS if one in facts), None)
    if field is None:
        return []
    fact, notes = facts[field], []
    confidence, rivals = _as_one_value(fact.chosen).confidence, []
    others = [facts[one].chosen for one in PIXELS if one in facts and one is not field]
    others = [one for one in others if abs(float(one.value) - float(fact.chosen.value)) > 0.01 * float(one.value)]
    mode = facts.get(Field.CAMERA_MODE)
    if field in (Field.PIXEL_SUPER, Field.PIXEL_PHYSICAL):
        notes.append(f"{field}: movies may be stored with half or twice of it")
        confidence = min(confidence, 0.5 if others or _is_super(mode) else 0.7)
    elif field is Field.PIXEL and _is_super(mode) and not others:
        notes.append("super-resolution is told: whether it is the pixel of the sensor or half of it is not")
        confidence = min(confidence, 0.55)
    if field is not Field.PIXEL_STORED:
        rivals = [f"{one.told()} ({one.field}, {_where(one)})" for one in others]
    given = _of(fact, "microscope.pixel_size_angstrom", notes=tuple(notes))
    value = float(f"{float(fact.chosen.value):.6g}")
    return [Proposed(given.setting, value, confidence, given.sources, (*given.rivals, *rivals), given.notes)]


def _is_super(mode: Agreed | None) -> bool:
    return mode is not None and any(one.value == "super-resolution" for one in mode.shown())


def _dose_per_frame(facts: dict[Field, Agreed]) -> list[Proposed]:
    """As it is told, else the total by the number of frames; not of EER, whose frames are not fractions."""
    setting = "microscope.dose_per_frame_e_per_a2"
    if Field.DOSE_FRAME in facts:
        return [_of(facts[Field.DOSE_FRAME], setting)]
    dose, frames, kind = facts.get(Field.DOSE), facts.get(Field.FRAMES), facts.get(Field.FORMAT)
    if dose is None or frames is None or dose.chosen.high is not None:
        return []
    if kind is not None and any(one.value == "EER" for one in kind.shown()):
        return []
    value = float(f"{float(dose.chosen.value) / float(frames.chosen.value):.4g}")
    rivals = tuple(f"{one.told()} ({_where(one)})" for fact in (dose, frames) if fact.conflict for one in fact.rivals)
    counted = _as_one_value(frames.chosen)
    confidence = min(dose.chosen.confidence, counted.confidence) - _SPARE
    notes = (f"{dose.chosen.told()} / {frames.chosen.told()}", *dose.chosen.notes, *counted.notes)
    return [Proposed(setting, value, confidence, (dose.chosen, frames.chosen), rivals, notes)]


def _filter(facts: dict[Field, Agreed]) -> list[Proposed]:
    """Whether a slit was in: told, or a width of it."""
    setting = "microscope.energy_filter"
    if Field.SLIT_INSERTED in facts:
        return [_of(facts[Field.SLIT_INSERTED], setting, facts[Field.SLIT_INSERTED].chosen.value == "yes")]
    if Field.SLIT in facts:
        # Two widths are no conflict about whether there was a slit.
        slit = facts[Field.SLIT]
        return [
            Proposed(setting, True, slit.chosen.confidence, (slit.chosen,), (), (f"a slit of {slit.chosen.told()}",))
        ]
    return []
