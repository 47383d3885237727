"""What one run of the daemon is told, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from frazil.config.loading import settings_to_yaml
from frazil.config.settings import Settings
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.session_names import session_name


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


def session_row(options: DaemonOptions, created_utc_us: int) -> SessionRow:
    """What the session's row says of the settings in force. `created_utc_us` counts for a new session only."""
    settings = options.settings
    microscope = settings.microscope
    return SessionRow(
        session_id=options.session_dir.resolve().name,
        name=session_name(options.session_dir),
        raw_root=str(options.raw_root.resolve()),
        created_utc_us=created_utc_us,
        settings_yaml=settings_to_yaml(settings),
        code_version=version("frazil"),
        preset=settings.preset,
        microscope=microscope.name,
        camera=settings.camera.name,
        voltage_kv=microscope.voltage_kv,
        cs_mm=microscope.cs_mm,
        amplitude_contrast=microscope.amplitude_contrast,
        pixel_size_angstrom=microscope.pixel_size_angstrom,
        dose_per_frame_e_per_a2=microscope.dose_per_frame_e_per_a2,
        gain_path=settings.camera.gain,
    )
