"""What every room of a running session needs: its store, its folder, its settings, its clocks, its notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from frazil.config.settings import Settings
from frazil.daemon.session.epochs import MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.store import Store
from frazil.models.causal.structural_model import StructuralModel, structural_model


@dataclass(frozen=True, slots=True)
class SessionContext:
    """Of one state of the settings; `dataclasses.replace` makes another."""

    store: Store
    session_dir: Path
    settings: Settings
    notices: Notices
    """The session's only one: what it tells reaches the log and the alerts, with the session's quiet time."""
    clock: Callable[[], float]
    """Monotonic, in seconds."""
    utc_us: Callable[[], int]
    """UTC in microseconds since 1970."""
    made_with: MadeWith
    """Under which parameter hash and code version results, and what is learnt from them, are filed."""
    causal_model: StructuralModel = field(default_factory=structural_model)
    """The session's causal graph, read once: its file may change meanwhile."""
