"""A value that was found against the truth: right, marked, wrong, or not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.documents.truths import Truth
from frazil.models.documents.agreement import Agreed, agreed
from frazil.models.documents.cross_checks import checked
from frazil.models.documents.fields import PIXELS, Field
from frazil.models.documents.findings import Finding

FIELDS: dict[str, tuple[Field, ...]] = {
    "microscope": (Field.MICROSCOPE,), "camera": (Field.CAMERA,), "voltage_kv": (Field.VOLTAGE,), "cs_mm": (Field.CS,),
    "amplitude_contrast": (Field.AMPLITUDE_CONTRAST,), "pixel_angstrom": PIXELS, "dose_e_per_a2": (Field.DOSE,),
    "frames": (Field.FRAMES,), "dose_frame_e_per_a2": (Field.DOSE_FRAME,), "exposure_s": (Field.EXPOSURE,),
    "defocus_um": (Field.DEFOCUS,), "slit_ev": (Field.SLIT,), "magnification": (Field.MAGNIFICATION,),
    "symmetry": (Field.SYMMETRY,), "diameter_angstrom": (Field.DIAMETER,),
}  # fmt: skip
"""Where a truth's values are found."""
TOLERANCE = 1e-3


@dataclass(slots=True)
class Score:
    """Counts. `marked`: wrong, but with a low confidence or in a conflict; `invented`: found where there is nothing."""

    asked: int = 0
    right: int = 0
    marked: int = 0
    wrong: int = 0
    absent: int = 0
    nothing: int = 0
    invented: int = 0
    invented_marked: int = 0

    def add(self, other: Score) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def record(self) -> dict[str, float]:
        figures: dict[str, float] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        figures["right_percent"] = round(100.0 * self.right / max(self.asked, 1), 2)
        return figures


def same(value: object, finding: Finding) -> bool:
    """Whether a finding is this true value: a number in the field's unit, a range, a name."""
    if isinstance(value, tuple):
        return (
            finding.high is not None
            and near(float(value[0]), float(finding.value))
            and near(float(value[1]), finding.high)
        )
    if isinstance(value, str):
        return plain_name(value) == plain_name(str(finding.value))
    return not isinstance(finding.value, str) and finding.high is None and near(float(value), finding.value)  # type: ignore[arg-type]


def near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other))


def plain_name(text: str) -> str:
    """Without makers and with arabic numbers: what one and the same instrument is called in two files."""
    text = re.sub(
        r"\b(?:fei|tfs|gatan|thermo fisher|bioquantum|summit|titan|jeol|300|200)\b|\(.*?\)", " ", text.lower()
    )
    for roman, arabic in (("iii", "3"), ("ii", "2"), ("iv", "4")):
        text = re.sub(rf"\b{roman}\b", arabic, text)
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text).split())


def score_made(truth: Truth, findings: Sequence[Finding], asked: Sequence[str] = ()) -> Score:
    """A made document: what its truth says must be found, what it leaves out must stay empty. `asked`: only these names
    can stand in such a document (none: all)."""
    marked, _ = checked(list(findings))
    facts = agreed(marked)
    told, score = truth.told(), Score()
    for name, fields in FIELDS.items():
        if asked and name not in asked:
            continue
        given = [facts[field] for field in fields if field in facts]
        if name not in told:
            score.nothing += 1
            score.invented += bool(given)
            score.invented_marked += bool(given) and not given[0].certain
        else:
            score.add(score_one(told[name], given))
    return score


def score_one(value: object, given: Sequence[Agreed]) -> Score:
    """One value that must be found: the chosen one counts."""
    if not given:
        return Score(asked=1, absent=1)
    if same(value, given[0].chosen):
        return Score(asked=1, right=1)
    return Score(asked=1, wrong=1) if given[0].certain else Score(asked=1, marked=1)
