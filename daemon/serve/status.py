"""What `frazil serve --status` says, from serve's files: each person is told of what he may look into."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from frazil.config.errors import UsageError
from frazil.daemon.serve.records import FOLDER, Acquisition, Records, ServeRecord, State
from frazil.daemon.store.lock import is_locked
from frazil.daemon.store.queries.many_sessions import hidden_words

_ORDER = (State.RUNNING, State.QUEUED, State.WAITS, State.SEEN, State.STOPPED, State.FINISHED, State.OLD)
_WORDS = {
    State.RUNNING: "running",
    State.QUEUED: "queued",
    State.WAITS: "waits for a person",
    State.SEEN: "seen",
    State.STOPPED: "stopped",
    State.FINISHED: "finished",
    State.OLD: "old",
}


@dataclass(frozen=True, slots=True)
class ServeStatus:
    """Of serve and its acquisitions."""

    running: bool
    own: ServeRecord
    acquisitions: tuple[Acquisition, ...]
    """Those that this account may read of: what runs first, then what needs somebody."""
    not_readable: int
    """Further ones."""


def serve_status(sessions_dir: Path) -> ServeStatus:
    """Raises `UsageError` where serve has never run, or may not be read of."""
    records = Records(sessions_dir)
    own = records.own()
    if own is None:
        there = not os.access(sessions_dir, os.R_OK | os.X_OK) and sessions_dir.exists()
        raise UsageError(
            "this folder may not be read" if there else "`frazil serve` has not run for this folder",
            path=sessions_dir / FOLDER,
            remedy="give the --sessions that `frazil serve` was given",
        )
    told = list(records.acquisitions())
    readable = [one for one in told if one is not None]
    readable.sort(key=lambda one: (_ORDER.index(one.state), one.session))
    return ServeStatus(is_locked(records.folder), own, tuple(readable), len(told) - len(readable))


def status_text(status: ServeStatus) -> str:
    """One line an acquisition."""
    own = status.own
    how = f"runs (process {own.pid})" if status.running else "does not run; this is what it knew"
    lines = [f"serve {how}, {own.root} by {own.rules}, looked {_time(own.looked_utc_s)}"]
    if own.problem:
        lines.append(f"! {own.problem}")
    width = max((len(one.session) for one in status.acquisitions), default=0)
    lines += [f"{one.session:{width}}  {_line(one)}" for one in status.acquisitions]
    if not status.acquisitions:
        lines.append("no acquisition yet")
    if status.not_readable:
        lines.append(hidden_words(status.not_readable))
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line).rstrip() for line in lines)


def status_json(status: ServeStatus) -> str:
    """One object."""
    told = {
        "running": status.running,
        "serve": status.own,
        "acquisitions": status.acquisitions,
        "not_readable": status.not_readable,
    }
    return msgspec.json.format(msgspec.json.encode(told)).decode()


def _line(one: Acquisition) -> str:
    parts = [f"{_WORDS[one.state]:18} since {_time(one.changed_utc_s)}  {one.folder}"]
    if one.rule:
        parts.append(f"rule {one.rule}")
    if one.state is State.RUNNING:
        parts += [f"process {one.pid}"] if one.pid is not None else []
        parts += [f"GPUs {' '.join(map(str, one.gpus))}"] if one.gpus else []
        parts += [f"HTTP on port {one.http_port}"] if one.http_port is not None else []
    return ", ".join(parts) + (f": {one.why}" if one.why else "")


def _time(utc_s: float) -> str:
    if not utc_s:
        return "never"
    return datetime.datetime.fromtimestamp(utc_s, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
