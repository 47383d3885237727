"""The shared documents against the truth that was read from them by hand (`documents/truth.csv` of the shared data)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.documents.scoring import near, plain_name
from frazil.models.documents.agreement import Agreed, agreed
from frazil.models.documents.cross_checks import Outcome, checked
from frazil.models.documents.fields import PIXELS, Field
from frazil.models.documents.findings import Finding
from frazil.models.documents.proposing import Proposal

TRUTH_FIELDS: dict[str, tuple[Field, ...]] = {
    "title": (Field.TITLE,),
    "microscope": (Field.MICROSCOPE,),
    "camera": (Field.CAMERA,),
    "camera_mode": (Field.CAMERA_MODE,),
    "defocus_min": (Field.DEFOCUS,),
    "defocus_max": (Field.DEFOCUS,),
    "total_dose": (Field.DOSE,),
    "frames": (Field.FRAMES,),
    "total_dose_as_printed": (Field.DOSE,),
    "pixel_size_stored": (Field.PIXEL_STORED,),
    "pixel_size_physical": (Field.PIXEL_PHYSICAL,),
    "image_width": (Field.WIDTH,),
    "image_height": (Field.HEIGHT,),
    "movies": (Field.MOVIES,),
    "images": (Field.MOVIES,),
    "file_format": (Field.FORMAT,),
    "movie_format": (Field.FORMAT,),
    "gain_corrected": (Field.GAIN_CORRECTED,),
    "related_map": (Field.RELATED,),
    "voltage": (Field.VOLTAGE,),
    "cs": (Field.CS,),
    "magnification_nominal": (Field.MAGNIFICATION,),
    "magnification_calibrated": (Field.MAGNIFICATION_CALIBRATED,),
    "pixel_size": PIXELS,
    "symmetry": (Field.SYMMETRY,),
    "particles": (Field.PARTICLES,),
    "resolution": (Field.RESOLUTION,),
    "specimen": (Field.SPECIMEN,),
    "concentration": (Field.CONCENTRATION,),
    "exposure_time": (Field.EXPOSURE,),
    "energy_slit": (Field.SLIT,),
    "c2_aperture": (Field.C2_APERTURE,),
    "mass": (Field.MASS,),
    "slit_inserted": (Field.SLIT_INSERTED,),
    "total_dose_camera": (Field.DOSE_CAMERA,),
    "dose_rate_camera": (Field.DOSE_RATE_CAMERA,),
    "frame_rate": (Field.FRAME_RATE,),
    "defocus_applied": (Field.DEFOCUS_TARGET,),
    "defocus_target": (Field.DEFOCUS_TARGET,),
    "target_defocus": (Field.DEFOCUS_TARGET,),
    "defocus_lens": (Field.DEFOCUS_LENS,),
    "software": (Field.SOFTWARE,),
    "phase_plate": (Field.PHASE_PLATE,),
    "binning": (Field.BINNING,),
    "pixel_size_binned": (Field.PIXEL_IMAGE,),
    "super_resolution_factor": (Field.SUPER_RESOLUTION,),
    "objective_aperture": (Field.OBJECTIVE_APERTURE,),
    "energy_filter": (Field.ENERGY_FILTER,),
    "beam_diameter": (Field.BEAM_DIAMETER,),
    "dose_sentence_conflict": (Field.DOSE_RATE,),
    "defocus_range_example": (Field.DEFOCUS,),
    "pixel_size_resampled": (Field.PIXEL_RESAMPLED,),
    "overview_magnification": (Field.MAGNIFICATION_OVERVIEW,),
    "overview_pixel_size": (Field.PIXEL_OVERVIEW,),
    "ctf_search_defocus": (Field.DEFOCUS_SEARCH,),
    "sample_kind": (Field.SAMPLE_KIND,),
    "tilt_min": (Field.TILT_RANGE,),
    "tilt_max": (Field.TILT_RANGE,),
    "tilt_step": (Field.TILT_STEP,),
    "tilt_axis": (Field.TILT_AXIS,),
    "dose_per_tilt": (Field.DOSE_TILT,),
    "dose_per_frame": (Field.DOSE_FRAME,),
    "dose_rate": (Field.DOSE_RATE_BARE,),
    "prior_dose": (Field.DOSE_PRIOR,),
}
"""Where the values of truth.csv are found."""
_TO_UM = {"nm": 1e-3, "um": 1.0}
_DEFOCI = frozenset(
    {Field.DEFOCUS, Field.DEFOCUS_TARGET, Field.DEFOCUS_LENS, Field.DEFOCUS_SEARCH, Field.DEFOCUS_CALIBRATED}
)
_YES = {"true": "yes", "false": "no"}
LISTED: dict[str, tuple[tuple[str, ...], str, tuple[Field, ...]]] = {
    "Falcon 4i: e/px written as e/A2": (
        ("oscem_apoferritin.cif", "oscem_apoferritin.json", "epu_falcon4i_exposure.xml"),
        "conflict",
        (Field.DOSE, Field.DOSE_CAMERA),
    ),
    "Falcon 4i: two total doses": (("oscem_apoferritin.json", "epu_falcon4i_exposure.xml"), "fact", (Field.DOSE,)),
    "Falcon 4i: e/A2 and e/px agree by the pixel": (
        ("epu_falcon4i_exposure.xml",),
        "holds",
        (Field.DOSE, Field.DOSE_CAMERA),
    ),
    "K3: e/A2 and e/px agree by the pixel": (("epu_k3_exposure.xml",), "holds", (Field.DOSE, Field.DOSE_CAMERA)),
    "K3: dose rate without a unit": (("epu_k3_exposure.xml",), "conflict", (Field.DOSE_RATE_BARE,)),
    "K3: pixel of a binned image": (("epu_k3_exposure.xml",), "conflict", (Field.PIXEL_IMAGE, Field.BINNING)),
    "EMPIAR: stored and physical pixel": (
        ("EMPIAR-10934.xml",),
        "conflict",
        (Field.PIXEL_STORED, Field.PIXEL_PHYSICAL),
    ),
    "defocus asked for and of the lens (Falcon 4i)": (
        ("epu_falcon4i_exposure.xml",),
        "conflict",
        (Field.DEFOCUS_TARGET, Field.DEFOCUS_LENS),
    ),
    "defocus asked for and of the lens (K3)": (
        ("epu_k3_exposure.xml",),
        "conflict",
        (Field.DEFOCUS_TARGET, Field.DEFOCUS_LENS),
    ),
    "signs of defocus in two exports": (
        ("oscem_apoferritin.cif", "oscem_apoferritin.json"),
        "conflict",
        (Field.DEFOCUS,),
    ),
    "measured defocus with two signs": (("oscem_apoferritin.cif",), "conflict", (Field.DEFOCUS_CALIBRATED,)),
    "Falcon 4 and Falcon 4i": (("oscem_apoferritin.cif", "oscem_apoferritin.json"), "fact", (Field.CAMERA,)),
    "TIFF and EER": (("oscem_apoferritin.json", "epu_falcon4i_exposure.xml"), "fact", (Field.FORMAT,)),
    "voltage without a unit": (("emharvest_tomo_data.json",), "conflict", (Field.VOLTAGE,)),
    "paper: 30 e/A2 and 30 e/A2/s": (("decolace_printed.pdf",), "conflict", (Field.DOSE, Field.DOSE_RATE)),
    "paper: three pixel sizes": (
        ("decolace_printed.pdf",),
        "note",
        (Field.PIXEL, Field.PIXEL_RESAMPLED, Field.PIXEL_OVERVIEW),
    ),
    "mdoc: dose per tilt is 26 frames": (
        ("serialem_TS_41.mrc.mdoc",),
        "holds",
        (Field.DOSE_TILT, Field.DOSE_FRAME, Field.FRAMES),
    ),
}
"""What SOURCES.md lists: documents, how it must be shown (a check of this outcome with these fields; `fact`: one field
with several values), fields."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of truth.csv."""

    document: str
    field: str
    value: str
    unit: str
    page: int | None


def read_truth(folder: Path) -> list[Row]:
    with (folder / "truth.csv").open(encoding="utf-8") as file:
        return [
            Row(one["document"], one["field"], one["value"], one["unit"], int(one["page"]) if one["page"] else None)
            for one in csv.DictReader(file)
        ]


def file_of(row: Row, folder: Path) -> Path:
    """Structures lie beside the data's folder."""
    return folder.parents[1] / row.document if row.document.startswith("structures/") else folder / row.document


def judge(row: Row, findings: list[Finding]) -> dict[str, Any]:
    """`right`, `marked`, `wrong`, `absent`, or of what is missing `empty` or `invented`; whether the page is right."""
    marked, _ = checked(findings)
    facts = agreed(marked)
    given = [facts[field] for field in TRUTH_FIELDS[row.field] if field in facts]
    verdict: dict[str, Any] = {"document": row.document, "field": row.field, "truth": row.value}
    if row.value == "missing":
        return verdict | {"verdict": "invented" if given else "empty"}
    if not given:
        return verdict | {"verdict": "absent"}
    fact = given[0]
    verdict |= {"found": fact.chosen.told(), "certain": fact.certain}
    right = [one for one in _counted(fact) if _is(row, one)]
    if right:
        pages = {one.place.page for one in (*right, *fact.same)}
        return verdict | {"verdict": "right"} | ({} if row.page is None else {"page_right": row.page in pages})
    return verdict | {"verdict": "wrong" if fact.certain else "marked"}


def _counted(fact: Agreed) -> tuple[Finding, ...]:
    """The chosen value; of a field that may have several, each."""
    return fact.shown() if fact.rivals and not fact.conflict else (fact.chosen,)


def _is(row: Row, finding: Finding) -> bool:
    if isinstance(finding.value, str):
        return plain_name(_YES.get(row.value, row.value)) == plain_name(finding.value)
    numbers = [float(part) for part in _parts(row.value)]
    if finding.field in _DEFOCI:
        # Ours is positive for underfocus; of programs' files the truth has the sign as it stands there.
        numbers = sorted(abs(number) * _TO_UM[row.unit] for number in numbers)
    elif finding.field is Field.BEAM_DIAMETER:
        numbers = [number * _TO_UM[row.unit] for number in numbers]
    ends = [finding.value] if finding.high is None else [finding.value, finding.high]
    if len(numbers) == 2:
        return len(ends) == 2 and near(numbers[0], ends[0]) and near(numbers[1], ends[1])
    return any(near(numbers[0], abs(end) if finding.field in _DEFOCI else end) for end in ends)


def _parts(value: str) -> list[str]:
    first = value.split()[0]
    if "-" in first[1:] and not first[1:].lower().startswith("e-"):
        low, _, high = first[1:].partition("-")
        return [first[0] + low, high]
    return [first]


def is_shown(proposal: Proposal, how: str, fields: tuple[Field, ...]) -> bool:
    """Whether a listed conflict is told."""
    if how == "fact":
        return any(fact.field is fields[0] and fact.conflict for fact in proposal.facts)
    outcome = Outcome(how)
    return any(check.outcome is outcome and set(fields) <= set(check.fields) for check in proposal.checks)


def counts(verdicts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of all rows."""
    number = {
        kind: sum(one["verdict"] == kind for one in verdicts)
        for kind in ("right", "marked", "wrong", "absent", "empty", "invented")
    }
    asked = sum(number[kind] for kind in ("right", "marked", "wrong", "absent"))
    pages = [one["page_right"] for one in verdicts if "page_right" in one]
    return number | {
        "values": asked,
        "right_percent": round(100.0 * number["right"] / max(asked, 1), 2),
        "missing": number["empty"] + number["invented"],
        "pages": len(pages),
        "pages_right": sum(pages),
        "not_right": [one for one in verdicts if one["verdict"] not in ("right", "empty")],
    }
