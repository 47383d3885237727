"""The page's own files, by the names in its addresses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

CSS, JAVASCRIPT, SVG = "text/css", "text/javascript", "image/svg+xml"
ASSETS: Mapping[str, tuple[str, str, str]] = {
    "page.css": ("frazil.daemon.page.assets", "page.css", CSS),
    "plots.css": ("frazil.daemon.report", "plots.css", CSS),
    "uplot.css": ("frazil.daemon.page.assets", "uplot.css", CSS),
    "page.js": ("frazil.daemon.page.assets", "page.js", JAVASCRIPT),
    "movies.js": ("frazil.daemon.page.assets", "movies.js", JAVASCRIPT),
    "plots.js": ("frazil.daemon.page.assets", "plots.js", JAVASCRIPT),
    "uplot.js": ("frazil.daemon.page.assets", "uplot.js", JAVASCRIPT),
    "icon.svg": ("frazil.daemon.page.assets", "icon.svg", SVG),
}
"""Name, package, file, type."""


@cache
def asset(name: str) -> str:
    """Its text."""
    package, file, _ = ASSETS[name]
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")


def asset_type(name: str) -> str:
    """Its media type."""
    return ASSETS[name][2]
