"""docs/configuration.md is made from the models and must be current; every setting must be explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.config.reference import KNOWN_KEYS, SECTIONS, allowed_values, configuration_page, nearest_keys

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == configuration_page(), (
        "run: python -m frazil.config.reference > docs/configuration.md"
    )


@pytest.mark.parametrize("key", sorted(KNOWN_KEYS))
def test_every_setting_has_a_meaning_and_a_unit_where_its_name_has_one(key: str) -> None:
    facts = KNOWN_KEYS[key]
    assert len(facts.meaning) >= 8
    suffixes = ("_angstrom", "_kv", "_mm", "_um", "_s", "_px", "_px2", "_e_per_a2", "_gb", "_minutes", "_hours")
    assert bool(facts.unit) == (key.endswith(suffixes) or key == "camera.counts_per_electron")


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_section_is_introduced(section: str) -> None:
    assert SECTIONS[section].__doc__


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("microscope.voltage_kv", "number from 60 up to 1300 kV, or null"),
        ("microscope.amplitude_contrast", "number from 0 up to 1"),
        ("ctf.box_px", "even whole number from 128 up to 2048 px"),
        ("workers.device", "auto, cpu, cuda"),
        ("camera.gain", "path, or null"),
        ("intake.sidecar_roots", "list of paths"),
    ],
)
def test_ranges_in_words(key: str, words: str) -> None:
    assert allowed_values(key) == words


def test_nothing_is_suggested_for_nonsense() -> None:
    assert nearest_keys("qqqq.wwww") == []
