"""Settings from documents: what is right, marked, wrong, invented, refused, on shared documents and on made ones.

./run bench document_settings --data DATA [--json OUT.json] [--count N] [--only PART ...]

With --only, the other parts of OUT.json stay as they are.

shared      the documents of DATA against truth.csv, the conflicts that SOURCES.md lists, a page read by its looks
made        N documents of each format with wordings that no rule was made for, and with those that rules were made for
pictures    made forms as pictures: straight, turned by 3 degrees, turned by 15
hostile     documents that are broken or mean harm: how each is named
long        a PDF of 300 pages: time and memory
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.documents import hostile, shared, writers
from benchmarks.documents.made import made_documents
from benchmarks.documents.scoring import Score, score_made
from benchmarks.documents.truths import drawn
from benchmarks.documents.wordings import HELD_OUT, HELD_OUT_LABELS, prose, table
from benchmarks.real_data import shared_data
from frazil.actors.document_reader import read_behind_walls
from frazil.config import errors
from frazil.config.errors import FrazilError
from frazil.models.documents.findings import Finding
from frazil.models.documents.formats.picture import reading_of_pictures
from frazil.models.documents.gathering import findings_of
from frazil.models.documents.proposing import propose
from frazil.models.documents.quantities import quantities
from frazil.models.documents.reading import read_document
from frazil.models.documents.tree import Kind, Node
from frazil.models.documents.units import plain

_HELD_OUT_SEED, _SEEN_SEED, _PICTURE_SEED = 910_000, 300_000, 900_001
_PARTS = ["shared", "made", "hostile", "long", "pictures"]
_LONG_PAGES = 300
_PICTURES = 3


def main() -> int:
    parser = shared_data.parser(__doc__)
    parser.add_argument("--count", type=int, default=20, help="made documents of each format")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS)
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    if args.json is not None and args.json.exists() and args.only != _PARTS:
        figures = json.loads(args.json.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as made:
        for part in args.only:
            figures |= _part(part, args, Path(made))
    for part, values in figures.items():
        print(part, *(f"  {name:28} {value}" for name, value in values.items()), sep="\n")
    shared_data.write_json(args, figures)
    return 0


def _part(part: str, args: argparse.Namespace, work: Path) -> dict[str, Any]:
    if part == "shared":
        folder = shared_data.data_file(args, "documents")
        return {} if folder is None else {part: shared_figures(folder)}
    if part == "made":
        held_out = made_figures(work, args.count, held_out=True, begin=_HELD_OUT_SEED)
        return {
            "made_held_out": held_out,
            "made_seen": made_figures(work, args.count, held_out=False, begin=_SEEN_SEED),
        }
    if part == "hostile":
        return {part: hostile_figures(work)}
    if part == "long":
        return {part: long_figures(work)}
    return {part: picture_figures(work)} if reading_of_pictures() is None else {}


def shared_figures(folder: Path) -> dict[str, Any]:
    """Values against truth.csv, conflicts, what is missing, and the page that is a picture."""
    rows = shared.read_truth(folder)
    found: dict[str, list[Finding]] = {}
    for row in rows:
        if row.document not in found:
            path = shared.file_of(row, folder)
            found[row.document] = findings_of(read_behind_walls(path).tree, path.name)
    figures = shared.counts([shared.judge(row, found[row.document]) for row in rows])
    told = {
        name: shared.is_shown(propose([one for document in documents for one in found[document]]), how, fields)
        for name, (documents, how, fields) in shared.LISTED.items()
    }
    figures |= {
        "conflicts": len(told),
        "conflicts_shown": sum(told.values()),
        "conflicts_not_shown": [n for n, t in told.items() if not t],
    }
    without = propose(
        findings_of(read_behind_walls(folder / "decolace_v4eeafd_4pages.pdf").tree, "decolace_v4eeafd_4pages.pdf")
    )
    figures["proposed_of_the_paper_without_settings"] = {one.setting: one.value for one in without.settings}
    if reading_of_pictures() is None:
        figures["page_as_picture"] = _page_as_picture(folder)
    return figures


def _page_as_picture(folder: Path) -> dict[str, Any]:
    """Quantities of the page as a picture among those of its text layer."""
    text = read_behind_walls(folder / "decolace_printed.pdf").tree
    read = read_behind_walls(folder / "decolace_page7_150dpi.png")
    truth = _quantities_of([node for node in text.children if node.place.page == 7])
    seen = _quantities_of(read.tree.children)
    right = sum((truth & seen).values())
    return {
        "quantities": sum(truth.values()),
        "right": right,
        "percent": round(100.0 * right / sum(truth.values()), 1),
        "other": sum((seen - truth).values()),
        "seconds": round(read.seconds, 1),
        "peak_memory_mib": round(read.peak_memory_mib),
    }


def _quantities_of(nodes: Sequence[Node]) -> Counter[tuple[object, ...]]:
    """Values with their units; numbers without one are left out."""
    texts = [plain(part.text) for node in nodes for part in node.walk() if part.kind in (Kind.PARAGRAPH, Kind.CELL)]
    return Counter(
        (one.value, one.high, one.powers, one.tag)
        for text in texts
        for one in quantities(text)
        if one.powers or one.tag
    )


def made_figures(folder: Path, count: int, *, held_out: bool, begin: int) -> dict[str, Any]:
    """By format, and all together."""
    by_format: dict[str, Score] = {}
    for kind, path, truth, names in made_documents(folder, count, held_out=held_out, begin=begin):
        findings = findings_of(read_document(path), path.name)
        by_format.setdefault(kind, Score()).add(score_made(truth, findings, names))
    whole = Score()
    for score in by_format.values():
        whole.add(score)
    return {kind: score.record() for kind, score in by_format.items()} | {"all": whole.record()}


def hostile_figures(folder: Path) -> dict[str, Any]:
    """How each is named: the type of the error and its words."""
    figures: dict[str, Any] = {}
    for name, (make, suffix, kind) in hostile.REFUSED.items():
        path = folder / f"hostile{suffix}"
        make(path)
        try:
            read_behind_walls(path)
            figures[name] = "was read"
        except FrazilError as error:
            as_meant = isinstance(error, getattr(errors, kind)) and str(path) in str(error) and error.remedy is not None
            figures[name] = f"{type(error).__name__}: {error.what[:100]}" if as_meant else f"another error: {error}"
    scripted = folder / "scripted.pdf"
    hostile.scripted_pdf(scripted)
    figures["PDF with a script"] = "; ".join(read_behind_walls(scripted).tree.remarks)
    figures["named"] = sum(": " in str(words) and not str(words).startswith("another") for words in figures.values())
    figures["of"] = len(hostile.REFUSED)
    return figures


def long_figures(folder: Path) -> dict[str, Any]:
    """A PDF of 300 pages with its settings on the last."""
    truth = drawn(7, left_out=0.0)
    filler: list[tuple[list[str], list[tuple[str, str]]]] = [
        (prose(drawn(place, left_out=1.0), place, HELD_OUT) * 6, []) for place in range(_LONG_PAGES - 1)
    ]
    path = folder / "long.pdf"
    writers.write_pdf(path, [*filler, (prose(truth, 1, HELD_OUT), [])])
    read = read_behind_walls(path)
    score = score_made(truth, findings_of(read.tree, path.name))
    short = folder / "short.pdf"
    writers.write_pdf(short, filler[:1])
    return {
        "pages": _LONG_PAGES,
        "seconds": round(read.seconds, 2),
        "peak_memory_mib": round(read.peak_memory_mib),
        "peak_memory_mib_of_one_page": round(read_behind_walls(short).peak_memory_mib),
        "right": score.right,
        "asked": score.asked,
    }


def picture_figures(folder: Path) -> dict[str, Any]:
    """Forms and pages as pictures, by how they lie."""
    figures: dict[str, Any] = {}
    for name, tilt_deg in (("straight", 0.0), ("turned by 3 degrees", 3.0)):
        total = Score()
        for place in range(_PICTURES):
            truth, path = drawn(_PICTURE_SEED + place), folder / "picture.png"
            _write_picture(path, folder, place, tilt_deg)
            total.add(score_made(truth, findings_of(read_behind_walls(path).tree, path.name)))
        figures[name] = total.record()
    path = folder / "picture.png"
    _write_picture(path, folder, 0, 15.0)
    try:
        read_behind_walls(path)
        figures["turned by 15 degrees"] = "was read"
    except FrazilError as error:
        figures["turned by 15 degrees"] = f"{type(error).__name__}: {error.what}"
    _write_picture(path, folder, 0, 0.0)
    scan = folder / "scan.pdf"
    writers.write_picture_pdf(scan, path)
    score = score_made(drawn(_PICTURE_SEED), findings_of(read_behind_walls(scan).tree, scan.name))
    return figures | {"scanned PDF": score.record()}


def _write_picture(path: Path, folder: Path, place: int, tilt_deg: float) -> None:
    truth, page = drawn(_PICTURE_SEED + place), folder / "page.pdf"
    if place % 2:
        writers.write_pdf(page, [(prose(truth, place, HELD_OUT), [])])
    else:
        writers.write_pdf(page, [([], table(truth, place, HELD_OUT_LABELS))])
    writers.write_scan(path, page, tilt_deg=tilt_deg)


if __name__ == "__main__":
    sys.exit(main())
