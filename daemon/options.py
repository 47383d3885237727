"""What one run of the daemon is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frazil.config.settings import Settings


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    raw_root: Path
    session_dir: Path
    settings: Settings
    once: bool = False
    """Process what is there and end."""
    exit_when_idle_s: float | None = None
    """End when nothing has happened this long; None: run until told to stop."""
    http_port: int | None = None
    """Serve the session over HTTP on this port (settings `http`); None: not at all."""
    gpu_count: int | None = None
    """Tests: GPUs to declare to Ray; None: let it look."""


@dataclass(frozen=True, slots=True)
class ExitReport:
    """Why the daemon ended."""

    ok: bool
    sentence: str
    remedy: str | None = None
    stopped: bool = False
    """A person or a signal ended it before its work was done."""
