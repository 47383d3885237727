"""docs/setup.md and docs/measurements.md tell what the benchmark has kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
KEPT: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "document_settings.json").read_text())
PAGE = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
NAMES = {
    "PDF": "pdf", "DOCX": "docx", "HTML": "html", "JATS": "jats.xml", "Markdown": "md", "EMPIAR XML": "empiar.xml",
    "mmCIF": "cif", "OSC-EM JSON": "json", "EMDB XML": "emdb.xml", "mdoc": "mdoc", "EPU XML": "epu.xml", "all": "all",
}  # fmt: skip


def _row(name: str) -> list[str]:
    (row,) = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


@pytest.mark.parametrize("name", NAMES)
def test_made_documents_as_they_were_measured(name: str) -> None:
    held_out, seen = KEPT["made_held_out"][NAMES[name]], KEPT["made_seen"][NAMES[name]]
    assert _row(name) == [
        f"{held_out['right']} of {held_out['asked']}", f"{held_out['right_percent']:.1f} %",
        f"{held_out['marked']}", f"{held_out['wrong']}", f"{held_out['invented']} of {held_out['nothing']}",
        f"{seen['right_percent']:.1f} %",
    ]  # fmt: skip


def test_shared_documents_as_they_were_measured() -> None:
    shared, pictures, long = KEPT["shared"], KEPT["pictures"], KEPT["long"]
    page = shared["page_as_picture"]
    straight, turned = pictures["straight"], pictures["turned by 3 degrees"]
    for text in (
        f"{shared['right']} of {shared['values']} values right",
        f"{shared['wrong']} wrong without a mark",
        f"{shared['empty']} of {shared['missing']} that are missing left empty",
        f"all {shared['conflicts']} that are listed" if shared["conflicts_shown"] == shared["conflicts"] else "not all",
        f"{page['right']} of {page['quantities']} quantities",
        f"straight {straight['right']} of {straight['asked']}",
        f"turned by 3 degrees {turned['right']} of {turned['asked']}",
        f"{KEPT['hostile']['named']} of {KEPT['hostile']['of']}",
        f"{long['peak_memory_mib']} MiB",
        f"{long['peak_memory_mib_of_one_page']} MiB",
    ):
        assert text in " ".join(PAGE.split()), text
    assert "UnsupportedFormatError" in pictures["turned by 15 degrees"]
