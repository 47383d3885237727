"""Secrets are named in the settings (`env:NAME`, `file:PATH`), never written there: settings are stored and shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from frazil.config.errors import SettingsError


def read_secret(place: str, key: str, environ: Mapping[str, str]) -> str:
    """What lies there, without white space around it; `key` is the setting that names it.

    Raises
    ------
    SettingsError
        The variable is not set, the file cannot be read, or there is nothing in it.
    """
    kind, _, where = place.partition(":")
    if kind == "env":
        value = environ.get(where, "").strip()
        if not value:
            raise SettingsError(
                f"{key}: the environment variable {where} is not set", remedy=f"export {where}, then start again"
            )
        return value
    path = Path(where).expanduser()
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: cannot be read ({error})", path=path, remedy="correct the path") from error
    if not value:
        raise SettingsError(f"{key}: the file is empty", path=path, remedy="put the secret into it")
    return value
