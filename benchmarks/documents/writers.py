"""A truth as a document of each format, written from its specification and without the readers' code."""

from __future__ import annotations

import html
import json
import textwrap
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.documents.truths import Truth

_MARGIN_PX = 40
Rows = Sequence[tuple[str, str]]
_WIN = {"−": "-", "–": "-", "⁻": "-", "μ": "µ", "×": "×", "₂": "2"}


def write_pdf(path: Path, pages: Sequence[tuple[Sequence[str], Rows]], *, extra: bytes = b"") -> None:
    """A4 pages in Helvetica, each with sentences and a table without rules. `extra`: added to the catalogue."""
    streams = [_content(sentences, rows) for sentences, rows in pages]
    write_pdf_objects(path, streams, extra)


def write_pdf_objects(path: Path, streams: Sequence[bytes], extra: bytes = b"", trailer: bytes = b"") -> None:
    """A PDF of one content stream a page."""
    count = len(streams)
    kids = b" ".join(b"%d 0 R" % (4 + 2 * place) for place in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R " + extra + b">>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for place, stream in enumerate(streams):
        packed = zlib.compress(stream)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * place)
        )
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed))
    path.write_bytes(_file_of(objects, trailer))


def _file_of(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Objects numbered from 1, the first the catalogue, with their table of places (ISO 32000-1, 7.5)."""
    body, places = b"%PDF-1.5\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    places_told = b"".join(b"%010d 00000 n \n" % at for at in places)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + places_told
    end = b"trailer\n<< /Size %d /Root 1 0 R %s>>\n" % (len(objects) + 1, trailer)
    return body + table + end + b"startxref\n%d\n%%%%EOF\n" % len(body)


def _content(sentences: Sequence[str], rows: Rows) -> bytes:
    lines, y = [], 780
    for line in textwrap.wrap(" ".join(sentences), 84):
        lines.append(b"BT /F1 10 Tf 60 %d Td (%s) Tj ET" % (y, _escaped(line)))
        y -= 13
    y -= 20
    for label, value in rows:
        lines.append(b"BT /F1 10 Tf 60 %d Td (%s) Tj ET" % (y, _escaped(label)))
        lines.append(b"BT /F1 10 Tf 320 %d Td (%s) Tj ET" % (y, _escaped(value)))
        y -= 15
    return b"\n".join(lines)


def _escaped(text: str) -> bytes:
    for sign, other in _WIN.items():
        text = text.replace(sign, other)
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("cp1252", "replace")


def write_scan(path: Path, pdf: Path, *, dpi: float = 150.0, tilt_deg: float = 0.0) -> None:
    """What is printed on the first page of a PDF as a picture, perhaps turned."""
    import cv2
    import numpy as np
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    image = document[0].render(scale=dpi / 72.0).to_numpy()[..., :3].copy()
    document.close()
    inked = np.argwhere(image.min(axis=2) < 128)
    (top, left), (bottom, right) = np.maximum(inked.min(axis=0) - _MARGIN_PX, 0), inked.max(axis=0) + _MARGIN_PX
    image = np.ascontiguousarray(image[top:bottom, left:right])
    if tilt_deg:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), tilt_deg, 1.0)
        image = np.asarray(cv2.warpAffine(image, turn, (width, height), borderValue=(255, 255, 255)))
    cv2.imwrite(str(path), image)


def write_picture_pdf(path: Path, picture: Path) -> None:
    """A page that is nothing but a picture, as scanners write it."""
    import cv2

    image = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise RuntimeError(f"{picture} is no picture")
    packed = zlib.compress(image.tobytes())
    height, width = image.shape
    size = (round(width * 72 / 150), round(height * 72 / 150))
    content = b"q %d 0 0 %d 0 0 cm /Im0 Do Q" % size
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R " % size
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        page + b"/Resources << /XObject << /Im0 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (width, height, len(packed), packed),
    ]
    path.write_bytes(_file_of(objects))


def write_docx(path: Path, sentences: Sequence[str], rows: Rows) -> None:
    """WordprocessingML with one paragraph and one table (ECMA-376)."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'

    raised = '<w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'

    def runs(text: str) -> str:
        # Word keeps raised letters in runs of their own.
        parts = text.replace("Å2", "Å\0" + "2\0").split("\0")
        return "".join(
            f'<w:r>{raised if place % 2 else ""}<w:t xml:space="preserve">{html.escape(part)}</w:t></w:r>'
            for place, part in enumerate(parts)
        )

    cells = "".join(
        "<w:tr>" + "".join(f"<w:tc><w:p>{runs(cell)}</w:p></w:tc>" for cell in row) + "</w:tr>" for row in rows
    )
    body = (
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Data collection</w:t></w:r></w:p>'
        f"<w:p>{runs(' '.join(sentences))}</w:p>" + (f"<w:tbl>{cells}</w:tbl>" if rows else "")
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        archive.writestr(
            "word/document.xml", f'<?xml version="1.0"?><w:document {space}><w:body>{body}</w:body></w:document>'
        )


def write_html(path: Path, sentences: Sequence[str], rows: Rows) -> None:
    """A page with a heading, a paragraph, a table, and a script that must not matter."""
    text = html.escape(" ".join(sentences)).replace("Å2", "Å<sup>2</sup>").replace("Å", "&Aring;")
    cells = "".join(f"<tr><th>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>" for label, value in rows)
    path.write_text(
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>Methods</title><script>var voltage = '80 "
        f"kV';</script></head>"
        f"<body><h2>Data collection</h2><p>{text}</p><table>{cells}</table></body></html>",
        encoding="utf-8",
    )


def write_jats(path: Path, sentences: Sequence[str], rows: Rows) -> None:
    """An article of a journal, with its document type and a list of references that must not be read."""
    text = html.escape(" ".join(sentences)).replace("Å2", "Å<sup>2</sup>").replace(" kV", "&nbsp;kV")
    cells = "".join(f"<tr><td>{html.escape(label)}</td><td>{html.escape(value)}</td></tr>" for label, value in rows)
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE article PUBLIC "-//NLM//DTD JATS 1.2//EN" "JATS-archivearticle1.dtd">'
        "<article><front><article-meta><title-group><article-title>A "
        "complex</article-title></title-group></article-meta></front>"
        f"<body><sec><title>Methods</title><p>{text}</p><table-wrap><table>{cells}</table></table-wrap></sec></body>"
        "<back><ref-list><ref><p>Images were recorded at 100 kV with a pixel size of 9.9 "
        "Å.</p></ref></ref-list></back></article>",
        encoding="utf-8",
    )


def write_text(path: Path, sentences: Sequence[str], rows: Rows) -> None:
    """Markdown."""
    lines = [
        "# Data collection",
        "",
        *textwrap.wrap(" ".join(sentences), 90),
        "",
        *(f"{label}: {value}" for label, value in rows),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_cif(path: Path, truth: Truth) -> None:
    """mmCIF (mmcif_pdbx): what it has items for."""
    told = {
        "_em_imaging.microscope_model": _quoted(truth.microscope),
        "_em_imaging.accelerating_voltage": _number(truth.voltage_kv),
        "_em_imaging.nominal_cs": _number(truth.cs_mm),
        "_em_imaging.nominal_defocus_min": _number(truth.defocus_um and truth.defocus_um[0] * 1000),
        "_em_imaging.nominal_defocus_max": _number(truth.defocus_um and truth.defocus_um[1] * 1000),
        "_em_imaging.nominal_magnification": _number(truth.magnification),
        "_em_image_recording.avg_electron_dose_per_image": _number(truth.dose_e_per_a2),
        "_em_image_recording.average_exposure_time": _number(truth.exposure_s),
        "_em_image_recording.film_or_detector_model": _quoted(truth.camera),
        "_em_imaging_optics.energyfilter_slit_width": _number(truth.slit_ev),
        "_em_single_particle_entity.point_symmetry": _quoted(truth.symmetry),
    }
    path.write_text("data_MADE\n" + "".join(f"{key} {value}\n" for key, value in told.items()), encoding="utf-8")


CIF_NAMES = (
    "microscope",
    "camera",
    "voltage_kv",
    "cs_mm",
    "defocus_um",
    "magnification",
    "dose_e_per_a2",
    "exposure_s",
    "slit_ev",
    "symmetry",
)


def write_oscem(path: Path, truth: Truth) -> None:
    """OSC-EM JSON; defocus is negative there."""
    acquisition: dict[str, object] = {}
    for key, value, unit in (
        ("pixel_size", truth.pixel_angstrom, "Å"),
        ("dose_per_movie", truth.dose_e_per_a2, "1/Å²"),
        ("exposure_time", truth.exposure_s, "s"),
    ):
        if value is not None:
            acquisition[key] = {"value": value, "unit": unit}
    if truth.defocus_um is not None:
        low, high = truth.defocus_um
        acquisition["nominal_defocus"] = {
            "minimal": {"value": -high * 1000, "unit": "nm"},
            "maximal": {"value": -low * 1000, "unit": "nm"},
        }
    if truth.slit_ev is not None:
        acquisition["energy_filter"] = {"used": True, "width": {"value": truth.slit_ev, "unit": "eV"}}
    acquisition |= {"detector": truth.camera, "nominal_magnification": truth.magnification}
    instrument: dict[str, object] = {"microscope": truth.microscope}
    if truth.voltage_kv is not None:
        instrument["acceleration_voltage"] = {"value": truth.voltage_kv, "unit": "kV"}
    if truth.cs_mm is not None:
        instrument["cs"] = {"value": truth.cs_mm, "unit": "mm"}
    document = {"scientificMetadata": {"acquisition": acquisition, "instrument": instrument}}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


OSCEM_NAMES = (
    "pixel_angstrom",
    "dose_e_per_a2",
    "exposure_s",
    "defocus_um",
    "slit_ev",
    "camera",
    "magnification",
    "microscope",
    "voltage_kv",
    "cs_mm",
)


def write_emdb(path: Path, truth: Truth) -> None:
    """A header of EMDB, by the element names of its schema (emdb-schemas 3)."""
    low, high = truth.defocus_um or (None, None)
    parts = [
        f"<microscope>{html.escape(truth.microscope)}</microscope>" if truth.microscope else "",
        _element("acceleration_voltage", truth.voltage_kv, "kV"),
        _element("nominal_cs", truth.cs_mm, "mm"),
        _element("nominal_defocus_min", low, "µm"),
        _element("nominal_defocus_max", high, "µm"),
        _element("nominal_magnification", truth.magnification, ""),
    ]
    recording = [
        f"<film_or_detector_model>{html.escape(truth.camera)}</film_or_detector_model>" if truth.camera else "",
        _element("average_exposure_time", truth.exposure_s, "s"),
        _element("average_electron_dose_per_image", truth.dose_e_per_a2, "e/Å^2"),
        _element("frames_per_image", truth.frames, ""),
    ]
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><emd '
        'emdb_id="EMD-0"><structure_determination_list><structure_determination>'
        f"<microscopy_list><single_particle_microscopy>{''.join(parts)}<image_recording_list><image_recording>{''.join(recording)}"
        "</image_recording></image_recording_list></single_particle_microscopy></microscopy_list></structure_determination>"
        "</structure_determination_list></emd>",
        encoding="utf-8",
    )


EMDB_NAMES = (
    "microscope",
    "camera",
    "voltage_kv",
    "cs_mm",
    "defocus_um",
    "magnification",
    "exposure_s",
    "dose_e_per_a2",
    "frames",
)


def write_empiar(path: Path, truth: Truth, sentences: Sequence[str]) -> None:
    """A header of EMPIAR: pixel size and frames have elements, the rest stands in sentences."""
    size = f"<pixelWidth>{truth.pixel_angstrom}</pixelWidth>" if truth.pixel_angstrom else ""
    frames = f"<framesPerImage>{truth.frames}</framesPerImage>" if truth.frames else ""
    path.write_text(
        '<entry xmlns="http://pdbe.org/empiar" accessionCode="EMPIAR-0"><imageSet>'
        f"{frames}<dimensions>{size}</dimensions><details>{html.escape(' '.join(sentences))}</details>"
        "</imageSet></entry>",
        encoding="utf-8",
    )


def write_mdoc(path: Path, truth: Truth) -> None:
    """SerialEM's mdoc of one movie; defocus is negative there."""
    lines = [f"Voltage = {truth.voltage_kv:g}"] if truth.voltage_kv else []
    camera, microscope = truth.camera or "a camera", truth.microscope or "a microscope"
    lines += [f"[T = SerialEM: Digitized by {camera} on {microscope} 03-May-23  13:59:32    ]", "", "[FrameSet = 0]"]
    for key, value in (
        ("PixelSpacing", truth.pixel_angstrom),
        ("Magnification", truth.magnification),
        ("ExposureTime", truth.exposure_s),
        ("NumSubFrames", truth.frames),
    ):
        if value is not None:
            lines.append(f"{key} = {value:g}")
    if truth.dose_frame_e_per_a2 and truth.frames:
        lines.append(f"FrameDosesAndNumber = {truth.dose_frame_e_per_a2} {truth.frames}")
    if truth.slit_ev is not None:
        lines.append(f"FilterSlitAndLoss = {truth.slit_ev:g} 0")
    lines.append("DateTime = 03-May-23  13:59:32")
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")


MDOC_NAMES = (
    "microscope",
    "camera",
    "voltage_kv",
    "magnification",
    "exposure_s",
    "frames",
    "dose_frame_e_per_a2",
    "slit_ev",
    "pixel_angstrom",
)


def write_epu(path: Path, truth: Truth) -> None:
    """EPU's XML of an exposure: SI units, defocus of the first end, negative."""
    low = None if truth.defocus_um is None else truth.defocus_um[0]
    custom = {
        "DetectorCommercialName": truth.camera,
        "AppliedDefocus": None if low is None else -low * 1e-6,
        "Dose": None if truth.dose_e_per_a2 is None else truth.dose_e_per_a2 * 1e20,
    }
    pairs = "".join(
        f"<a:KeyValueOfstringanyType><a:Key>{key}</a:Key><a:Value>{value}</a:Value></a:KeyValueOfstringanyType>"
        for key, value in custom.items()
        if value is not None
    )
    optics = (
        ""
        if truth.slit_ev is None
        else (
            f"<EnergyFilter><EnergySelectionSlitInserted>true</EnergySelectionSlitInserted><EnergySelectionSlitWidth>{truth.slit_ev:g}"
            "</EnergySelectionSlitWidth></EnergyFilter>"
        )
    )
    optics += _element("NominalMagnification", truth.magnification, "").join(
        ("<TemMagnification>", "</TemMagnification>")
    )
    gun = (
        ""
        if truth.voltage_kv is None
        else f"<gun><AccelerationVoltage>{truth.voltage_kv * 1000:g}</AccelerationVoltage></gun>"
    )
    time = "" if truth.exposure_s is None else f"<ExposureTime>{truth.exposure_s}</ExposureTime>"
    frames = "" if truth.frames is None else f"<b:NumberOffractions>{truth.frames}</b:NumberOffractions>"
    pixel = "" if truth.pixel_angstrom is None else f"<numericValue>{truth.pixel_angstrom}E-10</numericValue>"
    path.write_text(
        '<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects" xmlns:a="urn:a" '
        'xmlns:b="urn:b">'
        f"<CustomData>{pairs}</CustomData><microscopeData><acquisition><camera><Binning><a:x>1</a:x></Binning>{time}{frames}</camera>"
        f"</acquisition>{gun}<optics>{optics}</optics></microscopeData><SpatialScale><pixelSize><x>{pixel}</x></pixelSize></SpatialScale>"
        "</MicroscopeImage>",
        encoding="utf-8",
    )


EPU_NAMES = (
    "camera",
    "voltage_kv",
    "magnification",
    "exposure_s",
    "frames",
    "dose_e_per_a2",
    "slit_ev",
    "pixel_angstrom",
)


def _element(name: str, value: object, unit: str) -> str:
    return "" if value is None else f"<{name}{f' units={chr(34)}{unit}{chr(34)}' if unit else ''}>{value}</{name}>"


def _number(value: object) -> str:
    return "?" if value is None else f"{value}"


def _quoted(value: str | None) -> str:
    return "?" if value is None else f"'{value}'"
