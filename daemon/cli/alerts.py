"""`frazil alerts`: what a person should know, who was told where, and the word that it has been seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from frazil.config.errors import DaemonGoneError
from frazil.daemon.client import connect
from frazil.daemon.store.reading import SessionReader, open_session

_MOST = 1000


def alerts(
    session: Annotated[Path, typer.Argument(help="The session's folder.")] = Path(),
    all_of_them: Annotated[bool, typer.Option("--all", help="Also what is over or was acknowledged.")] = False,
    acknowledge: Annotated[
        str | None, typer.Option("--acknowledge", help="The id of an alert, or `all`: it has been seen.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List a session's alerts, with where each was sent; or acknowledge them.

    \b
    Examples:
      frazil alerts /data/2026-09-21_apoferritin
      frazil alerts /data/2026-09-21_apoferritin --acknowledge all
    """
    if acknowledge is not None:
        typer.echo(_acknowledge(session, acknowledge))
        return
    with open_session(session) as reader:
        found = listed(reader, open_only=not all_of_them)
    typer.echo(json.dumps(found, indent=1) if as_json else alerts_text(found))


def listed(reader: SessionReader, *, open_only: bool) -> list[dict[str, Any]]:
    """Alerts, newest first, each with its `deliveries` (channel, state, sent_utc_us, last_error)."""
    rows = reader.named("alerts", {"open_only": open_only, "limit": _MOST}).as_dicts()
    sent: dict[tuple[object, object], list[dict[str, Any]]] = {}
    for row in reader.named("alert_deliveries", {"limit": 10 * _MOST}).as_dicts():
        kept = {name: row[name] for name in ("channel", "state", "attempts", "sent_utc_us", "last_error")}
        sent.setdefault((row["alert_id"], row["opened_utc_us"]), []).append(kept)
    return [{**row, "deliveries": sent.get((row["alert_id"], row["opened_utc_us"]), [])} for row in rows]


def alerts_text(found: list[dict[str, Any]]) -> str:
    """Two or three lines an alert."""
    lines = []
    for alert in found:
        state = ""
        if alert["cleared_utc_us"] is not None:
            state = f", over at {_clock(alert['cleared_utc_us'])}"
        elif alert["acknowledged_utc_us"] is not None:
            state = f", acknowledged by {alert['acknowledged_by']}"
        went = ", ".join(f"{row['channel']} {row['state']}" for row in alert["deliveries"])
        lines.append(
            f"{_clock(alert['opened_utc_us'])} {alert['severity']:7} {alert['subject']}: {alert['text']}{state}"
        )
        if alert["remedy"]:
            lines.append(f"    -> {alert['remedy']}")
        lines.append(f"    id {alert['alert_id']}" + (f"; {went}" if went else ""))
    return "\n".join(lines) or "no open alerts"


def _acknowledge(session: Path, which: str) -> str:
    client = connect(session)
    if client is None:
        raise DaemonGoneError(
            "no daemon is running on this session, and only it may write", path=session, remedy="start `frazil watch`"
        )
    with client:
        ids = [which]
        if which == "all":
            ids = [str(row["alert_id"]) for row in client.named("alerts", open_only=True, limit=_MOST).as_dicts()]
        for alert_id in ids:
            client.command("acknowledge", alert_id=alert_id)
    return f"{len(ids)} acknowledged" if ids else "no open alerts"


def _clock(utc_us: int) -> str:
    return datetime.fromtimestamp(utc_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
