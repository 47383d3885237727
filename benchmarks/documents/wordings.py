"""How a truth is put into words: sentences and labels as methods sections and forms have them.

Rules were made with one set of wordings in view (wordings_seen.yaml); the other (wordings_held_out.yaml) was written
for the check when they stood.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from benchmarks.documents.truths import Truth


def _read(name: str) -> tuple[dict[str, list[str]], dict[str, list[list[str]]]]:
    """Sentences and labels (each with its value) by the name of what they say."""
    told = yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return told["sentences"], told["labels"]


SEEN, SEEN_LABELS = _read("wordings_seen.yaml")
HELD_OUT, HELD_OUT_LABELS = _read("wordings_held_out.yaml")
FILLER = (
    "Grids were glow-discharged for 45 s at 15 mA and blotted for 4 s at 95% humidity and 4 °C.",
    "The sample was concentrated to 3.1 mg/ml and 3 µl were applied to the grid.",
    "Lamellae were milled with a focused ion beam at 30 kV and polished at 50 pA to a thickness of 150 nm.",
    "Negatively stained grids were screened at 120 kV on a Tecnai Spirit.",
    "The scale bar corresponds to 100 nm; 2D classes had a mask diameter of 250 Å.",
    "The map has a resolution of 3.2 Å by FSC, after low-pass filtering to 40 Å.",
    "Cells were grown at 37 °C with 5% CO2 for 48 h and lysed by sonication for 90 s.",
    "From the first 2 frames nothing was used, as they move most.",
)
"""Sentences with numbers that are no setting of the session."""


def values_of(truth: Truth) -> dict[str, object]:
    """What templates may name."""
    told = truth.told()
    if truth.defocus_um is not None:
        told |= {"low": truth.defocus_um[0], "high": truth.defocus_um[1]}
        told |= {"low_nm": truth.defocus_um[0] * 1000, "high_nm": truth.defocus_um[1] * 1000}
    if truth.pixel_angstrom is not None:
        told["pixel_nm"] = round(truth.pixel_angstrom / 10, 5)
    if truth.diameter_angstrom is not None:
        told["diameter_nm"] = truth.diameter_angstrom / 10
    if truth.magnification is not None:
        told["kilo"] = truth.magnification / 1000
    if truth.amplitude_contrast is not None:
        told["percent"] = round(truth.amplitude_contrast * 100, 3)
    return told


def prose(truth: Truth, seed: int, templates: Mapping[str, Sequence[str]]) -> list[str]:
    """Sentences in a random order, with others between them."""
    chance = random.Random(seed)
    values = values_of(truth)
    said = [chance.choice(templates[name]).format(**values) for name in truth.told()] + chance.sample(FILLER, 3)
    chance.shuffle(said)
    return said


def table(truth: Truth, seed: int, labels: Mapping[str, Sequence[Sequence[str]]]) -> list[tuple[str, str]]:
    """Rows of label and value, in a random order."""
    chance = random.Random(seed)
    values = values_of(truth)
    rows = [(label, value.format(**values)) for name in truth.told() for label, value in (chance.choice(labels[name]),)]
    chance.shuffle(rows)
    return rows
