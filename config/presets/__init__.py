"""Presets: what is known of an instrument before anyone looks at a session.

A preset fills what nobody said; it never contradicts a sidecar, a header or a person. It says nothing that changes
from session to session (pixel size, dose, super-resolution, gain).
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from typing import Any

from frazil.config.errors import SettingsError
from frazil.config.safe_yaml import parse_yaml_mapping

PRESET_ORIGIN = "preset "
"""How `Settings.origins` begins for a value that a preset filled."""


def list_presets() -> dict[str, str]:
    """Name of each shipped preset and the line that describes it."""
    found: dict[str, str] = {}
    for entry in sorted(files(__name__).iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            first_line = entry.read_text(encoding="utf-8").partition("\n")[0]
            found[entry.name.removesuffix(".yaml")] = first_line.removeprefix("#").strip()
    return found


def load_preset(name: str) -> dict[str, Any]:
    """The sections of a preset.

    Raises
    ------
    SettingsError
        There is no preset of this name; names the nearest.
    """
    known = list_presets()
    if name not in known:
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SettingsError(f"unknown preset {name}", remedy=f"{hint}known presets: {', '.join(known)}")
    return parse_yaml_mapping((files(__name__) / f"{name}.yaml").read_text(encoding="utf-8"), source=f"preset {name}")
