"""Puts changed settings in force: in the store and in the session's file, wholly or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from frazil.config.loading import settings_of, settings_to_yaml
from frazil.config.settings import Settings
from frazil.daemon.changes.interventions import store_without_daemon
from frazil.daemon.changes.plan import ChangePlan, plan_change
from frazil.daemon.changes.thresholds import judge_again
from frazil.daemon.session import folder
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes


def origin_of(who: str, now_utc_us: int) -> str:
    """As `Settings.origins` keeps it."""
    at = datetime.fromtimestamp(now_utc_us / 1e6, UTC)
    return f"set by {who or 'a client'} at {at:%Y-%m-%d %H:%M:%S} UTC"


def put_in_force(
    store: Store, session_dir: Path, plan: ChangePlan, *, before: Settings, who: str, now_utc_us: int
) -> None:
    """Settings, the marks of what they outdate, judged thresholds and a note of who changed what together in one
    transaction; then the session's file.

    Raises
    ------
    RetryLaterError
        The disk refused the write of the store: nothing has changed.
    OSError
        It refused the file: all is as it was `before`, but for the note, which says so.
    """
    what = "; ".join(plan.lines()[:-1])
    note = AlertRow("info", "daemon", f"{who or 'a client'} set {what}: {plan.sentence()}", now_utc_us)
    store.submit(_apply, plan.settings, plan.parameter_hash, note).result()
    try:
        folder.write_settings(session_dir, plan.settings)
    except OSError as error:
        back = AlertRow("error", "daemon", f"settings could not be written and are as before: {error}", now_utc_us)
        store.submit(_apply, before, folder.made_with(before), back).result()
        raise


def _apply(connection: Connection, settings: Settings, parameter_hash: str, note: AlertRow) -> None:
    session_writes.set_settings(connection, settings_to_yaml(settings))
    movie_writes.try_kept_again(connection)
    judge_again(connection, settings.thresholds)
    movie_writes.mark_results(connection, parameter_hash, version("frazil"))
    session_writes.record_alert(connection, note)


def look(session_dir: Path, changes: Mapping[str, object]) -> ChangePlan:
    """What changes would do to a session that no daemon has; nothing is changed. Raises what `plan_change` raises."""
    with open_session(session_dir) as reader:
        before = settings_of(str(reader.named("session").as_dicts()[0]["settings_yaml"]))
        return plan_change(reader, before, changes, origin="")


def change_without_daemon(session_dir: Path, changes: Mapping[str, object], *, who: str, now_utc_us: int) -> ChangePlan:
    """Change the settings of a session that no daemon has; the next `frazil watch` makes again what they touch.

    Raises what `plan_change` and `put_in_force` raise, and `SessionLockedError` if a daemon has just begun.
    """
    with store_without_daemon(session_dir, now_utc_us=now_utc_us) as store:
        before = settings_of(str(store.named("session").as_dicts()[0]["settings_yaml"]))
        plan = plan_change(store, before, changes, origin=origin_of(who, now_utc_us))
        if plan.changed:
            put_in_force(store, session_dir, plan, before=before, who=who, now_utc_us=now_utc_us)
        return plan
