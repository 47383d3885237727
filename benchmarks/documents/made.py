"""Made documents of every format with their truths, and what is found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.documents import writers
from benchmarks.documents.truths import Truth, drawn
from benchmarks.documents.wordings import HELD_OUT, HELD_OUT_LABELS, SEEN, SEEN_LABELS, prose, table

Words = tuple[list[str], list[tuple[str, str]]]
TEXTS: dict[str, Callable[[Path, list[str], list[tuple[str, str]]], None]] = {
    "pdf": lambda path, sentences, rows: writers.write_pdf(path, [(sentences, rows)]),
    "docx": writers.write_docx,
    "html": writers.write_html,
    "jats.xml": writers.write_jats,
    "md": writers.write_text,
}
"""Formats of sentences and tables."""
RECORDS: dict[str, tuple[Callable[[Path, Truth], None], tuple[str, ...]]] = {
    "cif": (writers.write_cif, writers.CIF_NAMES),
    "json": (writers.write_oscem, writers.OSCEM_NAMES),
    "emdb.xml": (writers.write_emdb, writers.EMDB_NAMES),
    "mdoc": (writers.write_mdoc, writers.MDOC_NAMES),
    "epu.xml": (writers.write_epu, writers.EPU_NAMES),
}
"""Formats of keys, with what they have keys for."""


def words_of(truth: Truth, seed: int, *, held_out: bool) -> Words:
    """Half of the documents say it in sentences, the others in a table."""
    sentences, labels = (HELD_OUT, HELD_OUT_LABELS) if held_out else (SEEN, SEEN_LABELS)
    if seed % 2:
        return prose(Truth(), seed, sentences), table(truth, seed, labels)
    return prose(truth, seed, sentences), []


def _empiar(folder: Path, seed: int, place: int, *, held_out: bool) -> tuple[str, Path, Truth, tuple[str, ...]]:
    """A header of which most is said in a sentence's element."""
    truth, path = drawn(seed), folder / f"{seed}.empiar.xml"
    said = replace(truth, pixel_angstrom=None, frames=None)
    writers.write_empiar(path, truth, prose(said, place, HELD_OUT if held_out else SEEN))
    return "empiar.xml", path, truth, ()


def made_documents(
    folder: Path, count: int, *, held_out: bool, begin: int = 0
) -> Iterator[tuple[str, Path, Truth, tuple[str, ...]]]:
    """Kind, file, truth, and names that can stand in it (none: all); `count` of each format."""
    for place in range(count):
        for offset, (kind, write) in enumerate(TEXTS.items()):
            seed = begin + 100 * place + offset
            truth, path = drawn(seed), folder / f"{seed}.{kind}"
            sentences, rows = words_of(truth, place, held_out=held_out)
            write(path, sentences, rows)
            yield kind, path, truth, ()
        yield _empiar(folder, begin + 100 * place + 40, place, held_out=held_out)
        for offset, (kind, (write_record, names)) in enumerate(RECORDS.items()):
            seed = begin + 100 * place + 50 + offset
            truth, path = drawn(seed), folder / f"{seed}.{kind}"
            if kind == "mdoc" and truth.frames is None:  # doses of frames stand with their number there
                truth = replace(truth, dose_frame_e_per_a2=None)
            write_record(path, truth)
            yield kind, path, truth, names
