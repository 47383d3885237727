"""What earlier sessions of the instrument taught: read once, from the files that they left."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from frazil.config.errors import FrazilError
from frazil.daemon.store.reading import FileReader
from frazil.models.causal.inheritance import inherit
from frazil.models.causal.prior import COLUMNS, PriorSnapshot, physics_prior

_log = logging.getLogger(__name__)


def starting_prior(learn_from: Iterable[str], *, session_dir: Path) -> PriorSnapshot:
    """Version 0 for a new session; physics alone where no earlier session says anything.

    A session that cannot be read (running, damaged, of another form of the model) is left out with a line in the log:
    a night must not fail because of another one.
    """
    taught = [snapshot for folder in session_folders(learn_from, session_dir) if (snapshot := last_prior(folder))]
    if taught:
        _log.info("the causal prior starts with what %d earlier sessions taught", len(taught))
    return inherit(taught) if taught else physics_prior()


def session_folders(learn_from: Iterable[str], session_dir: Path) -> Iterator[Path]:
    """Folders that hold a session, the one being made left out; in a fixed order."""
    found: set[Path] = set()
    for text in learn_from:
        pattern = Path(text)
        found |= set(pattern.parent.glob(pattern.name)) if any(c in pattern.name for c in "*?[") else {pattern}
    for folder in sorted(found):
        if (folder / "session.duckdb").is_file() and folder.resolve() != session_dir.resolve():
            yield folder


def last_prior(folder: Path) -> PriorSnapshot | None:
    """The newest version of a finished session; None where there is none that can be read."""
    try:
        with FileReader(folder) as reader:
            rows = reader.sql("SELECT state_json FROM priors ORDER BY version DESC LIMIT 1").rows
        if not rows:
            return None
        snapshot = msgspec.json.decode(str(rows[0][0]).encode(), type=PriorSnapshot)
    except (FrazilError, msgspec.DecodeError) as error:
        _log.warning("nothing is learnt from the session %s: %s", folder, error)
        return None
    return snapshot if len(snapshot.information) == COLUMNS else None
