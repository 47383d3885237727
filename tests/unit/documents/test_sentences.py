"""What sentences and labels say, against what was put into them; numbers of other things stay out."""

from __future__ import annotations

import pytest

from benchmarks.documents.scoring import FIELDS, same
from benchmarks.documents.truths import drawn
from benchmarks.documents.wordings import FILLER, SEEN, SEEN_LABELS, values_of
from frazil.models.documents import gathering, labels
from frazil.models.documents.agreement import agreed
from frazil.models.documents.fields import Field
from frazil.models.documents.findings import Finding
from frazil.models.documents.gathering import findings_of
from frazil.models.documents.labels import Label, findings_of_line, findings_of_row, label_at
from frazil.models.documents.phrases import sentences
from frazil.models.documents.tree import Kind, Node, Place

WORDS_BESIDE = {Field.CAMERA_MODE, Field.SAMPLE_KIND, Field.GAIN_CORRECTED, Field.FORMAT}
"""Said in words by some sentences, truly."""
TRUTH = drawn(3, left_out=0.0)
VALUES = values_of(TRUTH)


def _said(*paragraphs: str) -> list[Finding]:
    return findings_of(Node(Kind.DOCUMENT, children=[Node(Kind.PARAGRAPH, text) for text in paragraphs]), "a.pdf")


def _rows(*rows: tuple[str, ...]) -> list[Finding]:
    table = Node(Kind.TABLE)
    table.children = [Node(Kind.ROW, children=[Node(Kind.CELL, cell) for cell in row]) for row in rows]
    return findings_of(Node(Kind.DOCUMENT, children=[table]), "a.docx")


@pytest.mark.parametrize("name", SEEN)
def test_every_wording_gives_its_value_and_nothing_else(name: str) -> None:
    for template in SEEN[name]:
        facts = agreed(_said(template.format(**VALUES)))
        given = [facts[field] for field in FIELDS[name] if field in facts]
        assert given, template
        assert same(TRUTH.told()[name], given[0].chosen), (template, given[0].chosen)
        allowed = {*FIELDS[name], *WORDS_BESIDE}
        assert set(facts) <= allowed, (template, set(facts) - allowed)


@pytest.mark.parametrize("name", SEEN_LABELS)
def test_every_label_gives_its_value(name: str) -> None:
    for label, value in SEEN_LABELS[name]:
        facts = agreed(_rows((label, value.format(**VALUES))))
        given = [facts[field] for field in FIELDS[name] if field in facts]
        assert given, label
        assert same(TRUTH.told()[name], given[0].chosen), label


@pytest.mark.parametrize("sentence", FILLER)
def test_other_numbers_of_a_paper_are_no_settings(sentence: str) -> None:
    allowed = {Field.SAMPLE_KIND, Field.RESOLUTION}
    assert {finding.field for finding in _said(sentence)} <= allowed


def test_several_pixel_sizes_have_several_meanings() -> None:
    found = {
        finding.field: finding.value
        for finding in _said(
            "Micrographs were recorded in super-resolution mode, with a physical pixel size of 1.3 Å (a super-"
            "resolution pixel size of 0.65 Å). Movies were binned by 2 to a pixel size of 1.31 Å. Overview images were "
            "taken at 2,250x magnification (38 Å pixel size)."
        )
    }
    assert found[Field.PIXEL_PHYSICAL] == 1.3
    assert found[Field.PIXEL_SUPER] == 0.65
    assert found[Field.PIXEL_RESAMPLED] == 1.31
    assert found[Field.PIXEL_OVERVIEW] == 38.0
    assert found[Field.MAGNIFICATION_OVERVIEW] == 2250.0
    assert Field.PIXEL not in found


@pytest.mark.parametrize(
    "text",
    ["a defocus range of -0.8 to -2.0 µm", "an underfocus of 0.8 to 2.0 µm", "defocus values from 2.0 to 0.8 µm"],
)
def test_underfocus_is_positive_and_in_order(text: str) -> None:
    (found,) = [one for one in _said(f"Images were taken with {text}.") if one.field is Field.DEFOCUS]
    assert (found.value, found.high) == (0.8, 2.0)


def test_a_search_of_the_fit_is_no_range_of_the_session() -> None:
    found = _said("The CTF was estimated using ctffind, searching between 0.2 and 5 µm defocus.")
    assert [one.field for one in found] == [Field.DEFOCUS_SEARCH]


def test_a_value_without_its_unit_is_marked_and_a_dose_without_one_is_none() -> None:
    (voltage,) = _rows(("Voltage", "300"))
    assert voltage.value == 300.0
    assert voltage.confidence < 0.6
    assert _rows(("Total dose", "50"), ("Voltage", "?")) == []


def test_several_columns_of_a_table_are_a_conflict() -> None:
    facts = agreed(_rows(("Pixel size (Å)", "0.83", "1.06")))
    assert facts[Field.PIXEL].conflict
    assert {one.value for one in facts[Field.PIXEL].shown()} == {0.83, 1.06}


def test_labels_in_the_first_row() -> None:
    found = {one.field: one.value for one in _rows(("Voltage (kV)", "Pixel size (Å)", "Frames"), ("200", "1.1", "40"))}
    assert found == {Field.VOLTAGE: 200.0, Field.PIXEL: 1.1, Field.FRAMES: 40.0}


def test_a_finding_tells_the_line_that_it_stands_on() -> None:
    text = "Images were recorded with a pixel size of 0.83 Å."
    marks = ((0, Place(4, (0, 0, 9, 9))), (26, Place(5, (0, 20, 9, 29))))
    document = Node(Kind.DOCUMENT, children=[Node(Kind.PARAGRAPH, text, marks=marks)])
    (found,) = findings_of(document, "a.pdf")
    assert found.place == Place(5, (0, 20, 9, 29))
    assert "pixel size of 0.83 Å" in found.words
    assert [part.text for part in document.walk() if part.kind is Kind.QUANTITY] == ["0.83 Å"]


def test_references_are_not_read() -> None:
    assert _said("References", "A. Author. Imaging at 300 kV with a pixel size of 0.83 Å.") == []


@pytest.mark.parametrize(
    "heading",
    ["Methods", "Materials and Methods", "Extended Data", "Table S1. Data collection", "Supplementary Methods"],
)
@pytest.mark.parametrize("before", ["References", "Acknowledgements"])
def test_what_follows_references_is_read(before: str, heading: str) -> None:
    texts = (before, "A. Author. Imaging at 200 kV.", heading, "Images were recorded at 300 kV.")
    document = Node(Kind.DOCUMENT, children=[Node(Kind.PARAGRAPH, text) for text in texts])
    assert [one.value for one in findings_of(document, "a.pdf")] == [300.0]
    assert document.remarks == ["2 paragraph(s) of references and acknowledgements were not looked at"]


def test_a_table_after_references_is_read_but_not_its_sentences() -> None:
    rows = (
        ("Voltage (kV)", "300"),
        ("12.", "A. Author. " * 6 + "Imaging of a complex at 200 kV and 0.83 Å per pixel."),
    )
    table = Node(Kind.TABLE)
    table.children = [Node(Kind.ROW, children=[Node(Kind.CELL, cell) for cell in row]) for row in rows]
    document = Node(Kind.DOCUMENT, children=[Node(Kind.PARAGRAPH, "Acknowledgements"), table])
    assert [one.value for one in findings_of(document, "a.pdf")] == [300.0]


def test_a_long_line_or_cell_is_looked_through_for_labels_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begins: list[tuple[int, int]] = []

    def counted(text: str, begin: int = 0) -> Label | None:
        begins.append((len(text), begin))
        return label_at(text, begin)

    monkeypatch.setattr(labels, "label_at", counted)
    endless = "Voltage: 300 kV " + "x " * 50_000
    assert findings_of_line(endless, Place(), "a.txt") == []
    findings_of_row([(endless, Place())], "a.txt")
    assert max(length for length, _ in begins) <= 400
    assert len(begins) < 2000


def test_a_text_that_means_to_take_for_ever_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_FINDINGS", 100)
    endless = "0.83 Å pixel size " * 60
    document = Node(Kind.DOCUMENT, children=[Node(Kind.PARAGRAPH, endless) for _ in range(50)])
    found = findings_of(document, "a.txt")
    assert 100 < len(found) < 300
    assert "not looked at" in document.remarks[0]
    assert max(len(part) for _, part in sentences(endless * 5)) <= 1200
    assert "".join(part for _, part in sentences(endless * 5)) == endless * 5
