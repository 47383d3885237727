"""Values held against each other, settings proposed from them, and the three forms in which they are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frazil.config.loading import load_settings
from frazil.daemon.report.proposal import Reading, to_json, to_text, to_yaml
from frazil.models.documents.cross_checks import Outcome, checked
from frazil.models.documents.fields import Field
from frazil.models.documents.findings import Finding
from frazil.models.documents.proposing import Proposal, propose
from frazil.models.documents.tree import Kind, Node, Place


def _found(
    field: Field, value: float | str, document: str = "a.pdf", confidence: float = 0.9, high: float | None = None
) -> Finding:
    return Finding(field, value, high, document, Place(page=2), f"{field} {value}", confidence)


def _setting(proposal: Proposal, name: str) -> object:
    return next((one.value for one in proposal.settings if one.setting == name), None)


def test_dose_per_frame_of_total_and_frames() -> None:
    proposal = propose([_found(Field.DOSE, 50.0), _found(Field.FRAMES, 40.0)])
    assert _setting(proposal, "microscope.dose_per_frame_e_per_a2") == 1.25
    assert "microscope.voltage_kv" in proposal.missing


def test_a_filter_that_is_only_named_is_said_to_be() -> None:
    """Whether its slit was in changes what is computed; that it stands in the column does not."""
    named = _found(Field.ENERGY_FILTER, "BioQuantum")
    text = to_text(propose([named]), [], [])
    assert "a filter is named (BioQuantum), but neither its slit's width" in text
    assert "a filter is named" not in to_text(propose([named, _found(Field.SLIT, 20.0)]), [], [])
    assert "a filter is named" not in to_text(propose([]), [], [])


def test_no_dose_per_frame_of_eer() -> None:
    proposal = propose([_found(Field.DOSE, 50.0), _found(Field.FRAMES, 40.0), _found(Field.FORMAT, "EER")])
    assert _setting(proposal, "microscope.dose_per_frame_e_per_a2") is None


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [(Field.DIAMETER, 120.0, 200.0), (Field.VOLTAGE, 80.0, 300.0), (Field.PIXEL, 0.8, 1.1)],
)
def test_a_range_is_no_certain_value(field: Field, low: float, high: float) -> None:
    (proposed,) = propose([_found(field, low, high=high)]).settings
    assert not proposed.certain
    assert any("a range" in note and f"{high:g}" in note for note in proposed.notes)


def test_a_range_of_frames_gives_no_certain_dose() -> None:
    proposal = propose([_found(Field.DOSE, 50.0), _found(Field.FRAMES, 40.0, high=50.0)])
    (dose,) = [one for one in proposal.settings if one.setting == "microscope.dose_per_frame_e_per_a2"]
    assert not dose.certain
    assert any("a range, 40 to 50" in note for note in dose.notes)


def test_documents_that_disagree_are_shown_both() -> None:
    proposal = propose([_found(Field.VOLTAGE, 300.0), _found(Field.VOLTAGE, 200.0, "b.docx", 0.85)])
    (voltage,) = [one for one in proposal.settings if one.setting == "microscope.voltage_kv"]
    assert voltage.value == 300.0
    assert not voltage.certain
    assert voltage.rivals == ("200 kV (b.docx, page 2)",)


def test_a_name_that_says_more_is_no_conflict_another_camera_is() -> None:
    both = propose([_found(Field.MICROSCOPE, "Titan Krios"), _found(Field.MICROSCOPE, "Titan Krios G4", "b")])
    assert both.settings[0].value == "Titan Krios G4"
    assert both.settings[0].certain
    cameras = propose([_found(Field.CAMERA, "Falcon 4"), _found(Field.CAMERA, "Falcon 4i", "b")])
    assert not cameras.settings[0].certain


def test_stored_pixel_goes_before_the_sensors() -> None:
    proposal = propose([_found(Field.PIXEL_PHYSICAL, 1.06), _found(Field.PIXEL_STORED, 0.53)])
    assert _setting(proposal, "microscope.pixel_size_angstrom") == 0.53
    assert any(check.outcome is Outcome.CONFLICT and "super-resolution" in check.text for check in proposal.checks)


def test_super_resolution_leaves_one_pixel_size_in_doubt() -> None:
    proposal = propose([_found(Field.PIXEL, 0.53), _found(Field.CAMERA_MODE, "super-resolution")])
    (pixel,) = [one for one in proposal.settings if one.setting == "microscope.pixel_size_angstrom"]
    assert not pixel.certain


def test_electrons_by_the_pixel() -> None:
    good = [_found(Field.DOSE, 40.0), _found(Field.DOSE_CAMERA, 40.0 * 0.8**2), _found(Field.PIXEL, 0.8)]
    marked, (check,) = checked(good)
    assert check.outcome is Outcome.HOLDS
    assert marked == good
    bad = [_found(Field.DOSE, 25.6), *good[1:]]
    marked, (check,) = checked(bad)
    assert check.outcome is Outcome.CONFLICT
    assert marked[0].confidence <= 0.5


def test_few_electrons_are_suspected_but_not_of_a_tilt() -> None:
    few = [_found(Field.DOSE, 4.8), _found(Field.PIXEL, 0.415), _found(Field.DOSE_CAMERA, 4.9, "b.xml")]
    marked, checks = checked(few)
    assert marked[0].confidence <= 0.5
    assert "27.87 e/A2" in checks[0].text
    assert "b.xml gives 4.9 e/px" in checks[0].text
    _, checks = checked([_found(Field.DOSE, 3.0), _found(Field.TILT_STEP, 3.0)])
    assert checks == []


@pytest.mark.parametrize(("frames", "outcome"), [(40.0, Outcome.HOLDS), (60.0, Outcome.CONFLICT)])
def test_total_is_the_sum_of_its_frames(frames: float, outcome: Outcome) -> None:
    _, (check,) = checked([_found(Field.DOSE, 50.0), _found(Field.DOSE_FRAME, 1.25), _found(Field.FRAMES, frames)])
    assert check.outcome is outcome


def test_rate_and_time_by_the_pixel_that_fits() -> None:
    found = [_found(Field.DOSE, 47.3), _found(Field.DOSE_RATE_CAMERA, 8.0), _found(Field.EXPOSURE, 10.0)]
    found += [_found(Field.PIXEL_PHYSICAL, 1.3), _found(Field.PIXEL_SUPER, 0.65)]
    rates = [check for check in checked(found)[1] if Field.DOSE_RATE_CAMERA in check.fields]
    assert [check.outcome for check in rates] == [Outcome.HOLDS]
    assert "1.3 A" in rates[0].text


def test_one_number_as_dose_and_as_rate() -> None:
    marked, (check,) = checked([_found(Field.DOSE, 30.0), _found(Field.DOSE_RATE, 30.0)])
    assert check.outcome is Outcome.CONFLICT
    assert marked[1].confidence <= 0.5
    _, (check,) = checked([_found(Field.DOSE, 30.0), _found(Field.DOSE_RATE, 30.0), _found(Field.EXPOSURE, 1.0)])
    assert check.outcome is Outcome.HOLDS


def test_what_no_setting_can_be_is_not_proposed() -> None:
    assert _setting(propose([_found(Field.SYMMETRY, "spiral")]), "particles.symmetry") is None


_PROPOSAL = propose(
    [
        _found(Field.VOLTAGE, 300.0), _found(Field.PIXEL, 0.83), _found(Field.PIXEL, 1.06, "b.docx"),
        _found(Field.CS, 2.7, confidence=0.5), _found(Field.CAMERA, 'K3 "new"\n# voltage_kv: 80'),
    ]
)  # fmt: skip
_READINGS = [Reading("a.pdf", Node(Kind.DOCUMENT, name="PDF")), Reading("b.docx", Node(Kind.DOCUMENT, name="DOCX"))]


def test_the_file_holds_what_is_certain_and_marks_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "setup.yaml"
    path.write_text(to_yaml(_PROPOSAL, ["a.pdf", "b.docx"]))
    settings = load_settings(yaml_path=path)
    assert settings.microscope.voltage_kv == 300.0
    assert settings.microscope.pixel_size_angstrom is None
    assert settings.microscope.cs_mm is None
    assert "#? pixel_size_angstrom: 0.83" in path.read_text()
    assert "but also 1.06 A (b.docx, page 2)" in path.read_text()


def test_words_of_a_document_cannot_become_settings(tmp_path: Path) -> None:
    path = tmp_path / "setup.yaml"
    path.write_text(to_yaml(_PROPOSAL, ["a.pdf\nmicroscope: {voltage_kv: 80}"]))
    assert load_settings(yaml_path=path).microscope.voltage_kv == 300.0


def test_text_tells_source_rival_in_force_and_missing() -> None:
    text = to_text(_PROPOSAL, _READINGS, ["c.pdf: is encrypted"], {"microscope.voltage_kv": 200.0})
    assert 'a.pdf, page 2: "voltage 300.0"' in text
    assert "in force: 200.0" in text
    assert "but also 1.06 A" in text
    assert "not read: c.pdf: is encrypted" in text
    assert "particles.symmetry" in text.splitlines()[-1]


def test_json_tells_the_same() -> None:
    told = json.loads(to_json(_PROPOSAL, _READINGS, [], with_trees=True))
    by_name = {one["setting"]: one for one in told["settings"]}
    assert by_name["microscope.voltage_kv"]["certain"]
    assert by_name["microscope.voltage_kv"]["sources"][0]["page"] == 2
    assert not by_name["microscope.pixel_size_angstrom"]["certain"]
    assert told["documents"][0]["tree"]["kind"] == "document"
