"""The house itself: packaging and the one name under which everything is imported."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("config", "models", "actors", "daemon", "tui")


def test_every_sub_package_is_listed_for_the_wheel() -> None:
    # A forgotten one works in editable mode and is missing from the wheel.
    on_disk = {
        "frazil." + str(init.parent.relative_to(ROOT)).replace("/", ".")
        for room in ROOMS
        for init in (ROOT / room).rglob("__init__.py")
    }
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == on_disk


def test_every_folder_with_modules_is_a_package() -> None:
    lost = [
        str(module.relative_to(ROOT))
        for room in ROOMS
        for module in (ROOT / room).rglob("*.py")
        if not (module.parent / "__init__.py").exists()
    ]
    assert lost == []


def test_type_checkers_see_the_same_rooms() -> None:
    assert {link.name: link.resolve() for link in (ROOT / ".typing" / "frazil").iterdir()} == {
        room: ROOT / room for room in ROOMS
    }


def test_the_screen_stays_light() -> None:
    """`frazil tui` runs on a laptop or the scope's host: importing it must not bring torch, Ray or DuckDB."""
    code = (
        "import sys, frazil.tui.app; "
        "print([m for m in ('torch', 'ray', 'duckdb', 'scipy', 'config', 'models', 'daemon') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert shown.stdout.strip() == "[]"
