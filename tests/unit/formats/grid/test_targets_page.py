"""docs/targets.md says what the benchmark has measured, and names functions that are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
FIGURES = json.loads((ROOT / "benchmarks" / "results" / "real_targets.json").read_text(encoding="utf-8"))


def test_figures_are_those_of_the_benchmark() -> None:
    session, shift, navigator = FIGURES["session"], FIGURES["beam_shift"], FIGURES["navigator"]
    said = (
        f"{session['squares']} squares, {session['holes']} holes",
        f"({session['holes_near_bars']} near bars, {session['holes_exposed']} exposed,",
        f"{session['holes_chosen']} chosen and to come)",
        f"{session['exposures']} exposures without a note, in {session['whole_s']:.1f} s",
        f"{shift['holes']} holes in {shift['clusters']} clusters of {shift['exposures']} real exposures give",
        f"{shift['um_per_unit']:.2f} +- {shift['error_um_per_unit']:.2f} um for 1, mirrored and",
        f"turned by {shift['rotation_deg']:.0f} degrees",
        f"{navigator['items']:,} items is read in {navigator['read_s']:.1f} s",
        f"and written anew in {navigator['write_s']:.1f} s",
    )
    flat = " ".join(PAGE.split())
    assert [words for words in said if words not in flat] == []
    assert session["exposures_linked"] == session["exposures"]
    assert (session["notes"], shift["mirrored"]) == (0, True)


def test_every_function_on_the_page_is_in_the_rooms_it_names() -> None:
    rooms = [
        *(ROOT / "models" / "formats" / "grid").glob("*.py"),
        ROOT / "models" / "optics" / "beam_shift_calibration.py",
    ]
    there = set(re.findall(r"^def (\w+)", "\n".join(path.read_text(encoding="utf-8") for path in rooms), re.MULTILINE))
    named = set(re.findall(r"`((?:read|write|link|fit|ranked|leginon|serialem)_\w+)`", PAGE))
    assert len(named) > 10
    assert named <= there
