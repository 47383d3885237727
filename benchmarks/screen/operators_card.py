"""docs/operators-card.md as one printed page (A4), with the Chromium of this machine.

    ./run bench operators_card docs/operators-card.pdf

The file's title holds the beginning of the SHA-256 of what it was made from, so that a test sees when it is old.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

CARD = Path(__file__).resolve().parents[2] / "docs" / "operators-card.md"
_STYLE = """
@page { size: A4; margin: 11mm 13mm }
body { font: 9.2pt/1.25 "DejaVu Sans", Arial, sans-serif; color: #000; margin: 0 }
h1 { font-size: 16pt; margin: 0 0 1mm } h2 { font-size: 11pt; margin: 3mm 0 1mm; border-bottom: .4mm solid #0072b2 }
p { margin: 1mm 0 } pre { background: #f0f0f0; padding: 1mm 2mm; margin: 1mm 0; white-space: pre-wrap }
code { font: 8.2pt "DejaVu Sans Mono", monospace } table { border-collapse: collapse; width: 100%; margin: 1mm 0 }
td, th { border: .2mm solid #999; padding: .5mm 1.5mm; text-align: left; vertical-align: top }
"""


def browser() -> str | None:
    """None: there is none on this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def digest(card: Path) -> str:
    """Of what the page is made from."""
    return hashlib.sha256(card.read_bytes() + _STYLE.encode()).hexdigest()[:12]


def as_html(card: Path) -> str:
    """One document; empty heads of tables are left out."""
    body = MarkdownIt("commonmark").enable("table").render(card.read_text(encoding="utf-8"))
    body = re.sub(r"<thead>\s*<tr>\s*(<th></th>\s*)+</tr>\s*</thead>", "", body)
    return (
        f'<!doctype html><meta charset="utf-8"><title>frazil at the microscope ({digest(card)})</title>'
        f"<style>{_STYLE}</style>{body}"
    )


def print_page(card: Path, out: Path, program: str) -> int:
    """How many pages it took."""
    with tempfile.TemporaryDirectory(prefix="fz") as place:
        page = Path(place) / "card.html"
        page.write_text(as_html(card), encoding="utf-8")
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        command += [f"--user-data-dir={place}/profile", f"--print-to-pdf={out.resolve()}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return len(re.findall(rb"/Type\s*/Page\b", out.read_bytes()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    program = browser()
    if program is None:
        sys.exit("no chromium on PATH")
    pages = print_page(CARD, given.out, program)
    print(f"{given.out}: {pages} page(s), {given.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
