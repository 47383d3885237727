"""A finished session of synthetic movies, as a folder."""

from __future__ import annotations

from pathlib import Path

from benchmarks.screen.store_service import insert
from benchmarks.screen.synthetic_session import START_UTC_US, make_rows
from frazil.config.loading import settings_to_yaml
from frazil.config.settings import MicroscopeSettings, Settings
from frazil.daemon.store.rows import AlertRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes

MOVIES = 120
ROWS = make_rows(MOVIES, 1, waiting=0)
KEPT = sum(row["state"] == "ready" for row in ROWS)
FINISHED_UTC_US = START_UTC_US + 3_600_000_000


def fill(folder: Path, *, closed: bool = True) -> Path:
    """A session of synthetic movies."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_to_yaml(Settings(microscope=MicroscopeSettings(voltage_kv=300.0)))
    row = SessionRow(folder.name, folder.name, "/raw", START_UTC_US, settings, "0.1.0", voltage_kv=300.0)
    with Store.open(folder, now_utc_us=1) as store:
        store.submit(session_writes.create_session, row).result()
        store.submit(insert, ROWS).result()
        alert = AlertRow("warning", "motion", "drift after stage moves", START_UTC_US)
        store.submit(session_writes.record_alert, alert).result()
        if closed:
            store.submit(session_writes.finish_session, FINISHED_UTC_US).result()
    return folder
