"""Documents that mean harm, or are broken; each must be named and do nothing."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.documents.writers import write_pdf, write_pdf_objects

_SENTENCE = "Images were recorded at 300 kV with a pixel size of 0.83 Å."


def broken_pdf(path: Path) -> None:
    write_pdf(path, [([_SENTENCE], [])])
    path.write_bytes(b"%PDF-1.5\n" + random.Random(1).randbytes(4000))


def cut_pdf(path: Path) -> None:
    write_pdf(path, [([_SENTENCE], [])])
    path.write_bytes(path.read_bytes()[:120])


def encrypted_pdf(path: Path) -> None:
    """Standard security handler, revision 3, with keys that no password fits."""
    key = b"A" * 32
    encrypt = (
        b"/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O (%s) /U (%s) >> /ID [(aaaaaaaaaaaaaaaa) "
        b"(aaaaaaaaaaaaaaaa)] " % (key, key)
    )
    write_pdf_objects(path, [b"BT ET"], trailer=encrypt)


def bomb_pdf(path: Path) -> None:
    """A page of which the stream decompresses twice over to 4 GB."""
    packed = zlib.compress(_zeros(4096), 9)
    head = (
        b"%PDF-1.5\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Count 1 /Kids "
        b"[3 0 R] >>\nendobj\n"
        b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>\nendobj\n"
    )
    stream = b"4 0 obj\n<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n" % len(packed)
    end = b"\nendstream\nendobj\ntrailer\n<< /Size 5 /Root 1 0 R >>\n%%EOF\n"
    path.write_bytes(head + stream + packed + end)


def _zeros(mebibytes: int) -> bytes:
    """So many MiB of zeros, deflated: the same flushed block again and again."""
    packer = zlib.compressobj(9)
    first, again = (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (mebibytes - 1) + packer.flush()


def scripted_pdf(path: Path) -> None:
    action = b'/OpenAction << /S /JavaScript /JS (app.launchURL\\("http://127.0.0.1:9/"\\);) >> '
    write_pdf(path, [([_SENTENCE], [])], extra=action)


def svg(path: Path) -> None:
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><image href="file:///etc/passwd"/></svg>'
    )


def xml_bomb(path: Path) -> None:
    entities = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE article [<!ENTITY l0 '
        f'"ha">{entities}]><article><body><p>&l9;</p></body></article>'
    )


def xml_foreign_file(path: Path) -> None:
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE article [<!ENTITY e SYSTEM "file:///etc/passwd">]><article><body><p>&e;</p></body></article>'
    )


def docx_bomb(path: Path) -> None:
    """100 MB of blanks."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("word/document.xml", "w", force_zip64=True) as stream,
    ):
        stream.write(b'<w:document xmlns:w="urn:w"><w:body>')
        for _ in range(100):
            stream.write(b" " * (1 << 20))


def docx_liar(path: Path) -> None:
    """Its directory says that the text has 1,000 bytes; it decompresses to 100 MB."""
    docx_bomb(path)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 1000)
    path.write_bytes(bytes(data))


def docx_encrypted(path: Path) -> None:
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048))


def docx_damaged(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w:document xmlns:w='urn:w'><w:body>")
    path.write_bytes(path.read_bytes()[:-40])


def png_bomb(path: Path) -> None:
    """A header that claims 60,000 x 60,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)))


def png_broken(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))


def json_deep(path: Path) -> None:
    path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def unknown(path: Path) -> None:
    path.write_bytes(b"\0" * 100 + random.Random(2).randbytes(2000))


REFUSED: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "broken PDF": (broken_pdf, ".pdf", "FormatError"),
    "PDF cut off": (cut_pdf, ".pdf", "FormatError"),
    "encrypted PDF": (encrypted_pdf, ".pdf", "UnsupportedFormatError"),
    "PDF bomb": (bomb_pdf, ".pdf", "FormatError"),
    "SVG": (svg, ".svg", "UnsupportedFormatError"),
    "XML bomb": (xml_bomb, ".xml", "FormatError"),
    "XML that names a file": (xml_foreign_file, ".xml", "FormatError"),
    "DOCX bomb": (docx_bomb, ".docx", "HeaderLimitError"),
    "DOCX that lies about its size": (docx_liar, ".docx", "FormatError"),
    "encrypted DOCX": (docx_encrypted, ".docx", "UnsupportedFormatError"),
    "damaged DOCX": (docx_damaged, ".docx", "FormatError"),
    "PNG bomb": (png_bomb, ".png", "HeaderLimitError"),
    "broken PNG": (png_broken, ".png", "FormatError"),
    "JSON without a bottom": (json_deep, ".json", "FormatError"),
    "empty file": (empty, ".pdf", "FormatError"),
    "unknown bytes": (unknown, ".bin", "FormatError"),
}
"""Name to what writes it, its ending, and the error that names it (or one that is of that type)."""
