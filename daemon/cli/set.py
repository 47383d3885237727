"""`frazil set`: other settings for a session that runs or has run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.config.loading import one_key
from frazil.config.settings import PATH_KEYS
from frazil.daemon.client import connect, user_name


def set(  # the verb's name
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    changes: Annotated[list[str], typer.Argument(help="KEY=VALUE, as in docs/configuration.md; `null` takes it away.")],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Change nothing; say which results would be made again, and how long that takes."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Change settings of a session; only the results that depend on them are made again.

    A running daemon takes the change up at once: movies that come go first, those that are done again come behind
    them, and until then the old results count. Without a daemon the change waits for the next `frazil watch`.

    \b
    Examples:
      frazil set /data/s1 microscope.cs_mm=2.7 --dry-run
      frazil set /data/s1 particles.diameter_angstrom=180
      frazil set /data/s1 ctf.min_defocus_angstrom=4000 ctf.max_defocus_angstrom=30000
    """
    asked = _parsed(changes)
    client = connect(session)
    if client is not None:
        with client:
            plan = json.loads(client.command("settings-preview", **asked).message)
            if not dry_run and plan["changed"]:
                client.command("settings", **asked)
        when = "in force"
    else:
        from frazil.daemon.changes.apply import change_without_daemon, preview_without_daemon  # torch: not for --help

        if dry_run:
            change = preview_without_daemon(session, asked)
        else:
            change = change_without_daemon(session, asked, who=user_name(), now_utc_us=time.time_ns() // 1000)
        plan = {**change.to_dict(), "lines": change.lines()}
        when = "kept; no daemon is running: the next `frazil watch` on this session takes it up"
    done = not dry_run and bool(plan["changed"])
    if as_json:
        typer.echo(json.dumps({**plan, "applied": done}, indent=1))
    else:
        typer.echo("\n".join(plan["lines"]))
        if done:
            typer.echo(when)


def _parsed(changes: list[str]) -> dict[str, str]:
    asked = {}
    for text in changes:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"{text!r} is not KEY=VALUE", remedy="write for instance microscope.cs_mm=2.7")
        asked[key.strip()] = _from_here(key.strip(), value.strip())
    return asked


def _from_here(key: str, value: str) -> str:
    """Paths from this folder: the daemon runs in another."""
    if one_key(key) not in PATH_KEYS or not value or value.lower() in ("null", "none", "~") or value.startswith("["):
        return value
    return ",".join(str(Path(part.strip()).expanduser().absolute()) for part in value.split(","))
