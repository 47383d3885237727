"""The examples in docstrings: what they show is what comes out."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("config", "models", "actors", "daemon", "tui")
WITH_EXAMPLES = sorted(
    "frazil." + str(module.relative_to(ROOT).with_suffix("")).replace("/", ".")
    for room in ROOMS
    for module in (ROOT / room).rglob("*.py")
    if ">>> " in module.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module_are_true(name: str) -> None:
    # By the one name under which everything is imported: pytest's own --doctest-modules would import it a second time.
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0, "its examples are where nothing looks: write them into docstrings"
    assert failed == 0
