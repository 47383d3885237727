"""Every format, made with known truth; places, parts and what must not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.documents import writers
from benchmarks.documents.made import RECORDS, TEXTS, made_documents
from benchmarks.documents.scoring import Score, score_made
from benchmarks.documents.truths import Truth
from frazil.actors import document_reader
from frazil.config.errors import FormatError, HeaderLimitError, UnsupportedFormatError
from frazil.models.documents.agreement import agreed
from frazil.models.documents.fields import Field
from frazil.models.documents.formats import pdf
from frazil.models.documents.formats.layout import Piece, in_reading_order, nodes_of, rows_of
from frazil.models.documents.gathering import findings_of
from frazil.models.documents.reading import read_document
from frazil.models.documents.tree import Kind, Node, Place, from_record, to_record


def test_every_format_tells_its_truth(tmp_path: Path) -> None:
    by_format: dict[str, Score] = {}
    for kind, path, truth, names in made_documents(tmp_path, 4, held_out=False, begin=5000):
        by_format.setdefault(kind, Score()).add(score_made(truth, findings_of(read_document(path), path.name), names))
    assert set(by_format) == {*TEXTS, *RECORDS, "empiar.xml"}
    for kind, score in by_format.items():
        assert score.right >= 0.97 * score.asked, (kind, score)
        assert score.wrong == score.invented - score.invented_marked == 0, (kind, score)


def test_a_pdf_tells_pages_boxes_tables_and_the_very_line(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    filler = ["Nothing of interest is said here."] * 20
    writers.write_pdf(
        path, [(filler, []), (["Images have a pixel size of 0.83 Å."], [("Voltage (kV)", "300"), ("Frames", "40")])]
    )
    document = read_document(path)
    facts = agreed(findings_of(document, path.name))
    assert facts[Field.PIXEL].chosen.place.page == facts[Field.VOLTAGE].chosen.place.page == 2
    left, top, right, bottom = facts[Field.PIXEL].chosen.place.box or (0, 0, 0, 0)
    # Written at x = 60, 780 points above the lower edge of 842, in letters of 10 points.
    assert left == pytest.approx(60, abs=2)
    assert top < 842 - 780 < bottom
    assert bottom - top < 20
    assert right > 200
    (table,) = [node for node in document.walk() if node.kind is Kind.TABLE]
    assert [[cell.text for cell in row.children] for row in table.children] == [
        ["Voltage (kV)", "300"],
        ["Frames", "40"],
    ]


def test_html_runs_no_script_and_finds_formulas_and_figures(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<html><body><h1>Imaging</h1><script>document.write('at 80 kV')</script><p>At 300&nbsp;kV, 50 e<sup>-</sup>/"
        "&Aring;<sup>2</sup> in total, as <math>D = r t</math> tells.</p><img alt='a grid'></body></html>"
    )
    document = read_document(path)
    counts = document.count()
    assert (counts[Kind.FORMULA], counts[Kind.FIGURE], counts[Kind.SECTION]) == (1, 1, 1)
    found = {one.field: one.value for one in findings_of(document, path.name)}
    assert found == {Field.VOLTAGE: 300.0, Field.DOSE: 50.0}
    assert "script" in document.remarks[0]


@pytest.mark.parametrize(
    "page",
    [
        "<head><title>A</title><p>At 300 kV.</p>",
        "<head><title>A</title><body><p>At 300 kV.</p></body>",
        "<head><title>A</title><noscript><body>At 300 kV.</body>",
        "<body><nav><svg><path></nav><p>At 300 kV.</p></body>",
    ],
)
def test_what_html_leaves_open_hides_no_text(page: str, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(f"<html>{page}</html>")
    assert [one.value for one in findings_of(read_document(path), path.name)] == [300.0]


def test_a_head_stays_out_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<head><title>A</title><noscript><p>At 80 kV.</p></noscript></head><body><p>At 300 kV.</p>")
    assert [one.value for one in findings_of(read_document(path), path.name)] == [300.0]


_TEXT_PAGE = b"BT /F1 10 Tf 60 780 Td (Images were recorded at 300 kV.) Tj ET"
_PICTURE_PAGE = b"q 200 0 0 200 100 100 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"


def test_a_page_that_lies_askew_keeps_the_text_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def askew(image: object) -> list[Piece]:
        raise UnsupportedFormatError("lies askew by 15 degrees", remedy="turn the picture upright")

    monkeypatch.setattr(pdf, "pieces_of_picture", askew)
    monkeypatch.setattr(pdf, "reading_of_pictures", lambda: None)
    path = tmp_path / "a.pdf"
    writers.write_pdf_objects(path, [_TEXT_PAGE, _PICTURE_PAGE])
    document = pdf.read_pdf(path, pictures=True)
    assert [one.value for one in findings_of(document, path.name)] == [300.0]
    assert document.remarks == ["page 2 lies askew by 15 degrees, and was not read: turn the picture upright"]


@pytest.mark.parametrize("text", ["Recorded at 300 kV.", ""])
def test_pictures_that_take_too_much_keep_the_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path, data: bytes, *, pictures: bool) -> document_reader.ReadDocument:
        if pictures:
            raise HeaderLimitError("takes more to read than any document", path=path)
        parts = [Node(Kind.PARAGRAPH, text, Place(1)), Node(Kind.FIGURE, place=Place(2))]
        return document_reader.ReadDocument(Node(Kind.DOCUMENT, name="PDF", children=parts), 0.1, 1.0)

    monkeypatch.setattr(document_reader, "_read", read)
    monkeypatch.setattr(document_reader, "reading_of_pictures", lambda: None)
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF")
    if text:
        tree = document_reader.read_behind_walls(path).tree
        assert [one.value for one in findings_of(tree, path.name)] == [300.0]
        assert tree.remarks == ["its pictures were not read: takes more to read than any document"]
    else:
        with pytest.raises(HeaderLimitError):
            document_reader.read_behind_walls(path)


def test_jats_leaves_references_out(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    writers.write_jats(path, ["Images were recorded at 300 kV."], [])  # its references speak of 100 kV and 9.9 Å
    assert {one.value for one in findings_of(read_document(path), path.name)} == {300.0}


def test_missing_items_of_mmcif_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.cif"
    writers.write_cif(path, Truth(voltage_kv=200.0))
    assert [one.field for one in findings_of(read_document(path), path.name)] == [Field.VOLTAGE]


def test_json_says_its_units(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        '{"acquisition": {"pixel_size": {"value": 0.083, "unit": "nm"}, "exposure_time": {"value": 900, "unit": "ms"}}}'
    )
    found = {one.field: one.value for one in findings_of(read_document(path), path.name)}
    assert found == {Field.PIXEL: 0.83, Field.EXPOSURE: 0.9}


def test_a_wrong_dimension_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"acquisition": {"pixel_size": {"value": 0.83, "unit": "s"}}}')
    (found,) = findings_of(read_document(path), path.name)
    assert found.confidence < 0.5


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<svg/>", UnsupportedFormatError),
        (b"\0\0\0", FormatError),
        (b"<unheard/>", UnsupportedFormatError),
        (b"{", FormatError),
    ],
)
def test_what_is_not_read_is_named(content: bytes, error: type[Exception], tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(error):
        read_document(path)


def test_two_columns_are_read_one_after_the_other() -> None:
    left = [
        Piece(f"left column, line {place}, of running text", (50, 20 * place, 280, 20 * place + 12))
        for place in range(8)
    ]
    right = [
        Piece(f"right column, line {place}, of running text", (310, 20 * place, 540, 20 * place + 12))
        for place in range(8)
    ]
    mixed = [piece for pair in zip(left, right, strict=True) for piece in pair]
    (node,) = nodes_of(in_reading_order(mixed, 595), 1)
    assert node.text.index("left column, line 7") < node.text.index("right column, line 0")


def test_a_form_of_two_columns_is_rows() -> None:
    cells = [("Voltage", "300 kV"), ("Cs", "2.7 mm"), ("Frames", "40"), ("Slit", "20 eV"), ("Mag", "105 kx")]
    pieces = [
        Piece(text, (50 + 260 * column, 20 * place, 120 + 260 * column, 20 * place + 12))
        for place, row in enumerate(cells)
        for column, text in enumerate(row)
    ]
    (table,) = nodes_of(in_reading_order(pieces, 595), None)
    assert [tuple(cell.text for cell in row.children) for row in table.children] == cells


def test_words_divided_at_a_line_end_are_put_together() -> None:
    lines = [
        Piece("of the micro-", (0, 0, 90, 10)),
        Piece("graphs, -0.5-", (0, 12, 90, 22)),
        Piece("1.0 µm", (0, 24, 90, 34)),
    ]
    (node,) = nodes_of(rows_of(lines), 3)
    assert node.text == "of the micrographs, -0.5-1.0 µm"
    assert node.place_at(node.text.index("1.0")) == Place(3, (0, 24, 90, 34))


def test_a_tree_survives_its_record() -> None:
    node = Node(Kind.PARAGRAPH, "a", Place(1, (0.0, 1.0, 2.0, 3.0)), marks=((0, Place(1)),), score=0.5)
    document = Node(Kind.DOCUMENT, name="PDF", children=[node], remarks=["so"])
    assert from_record(to_record(document)) == document
    with pytest.raises(FormatError):
        from_record({"kind": "document", "children": [{"kind": "lie"}]})
