"""The one way in which changed settings come into force: in the store and in the session's file, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from frazil.config.loading import settings_of, settings_to_yaml
from frazil.config.settings import Settings
from frazil.daemon.changes.interventions import store_without_daemon
from frazil.daemon.changes.plan import ChangePlan, plan_change
from frazil.daemon.changes.thresholds import judge_again
from frazil.daemon.changes.what_if import with_thresholds
from frazil.daemon.session import folder
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes


@dataclass(frozen=True, slots=True)
class Judged:
    """How many micrographs changed sides when the thresholds in force judged them."""

    set_aside: int
    kept_again: int


def origin_of(who: str, now_utc_us: int) -> str:
    """Who set a setting and when, as `Settings.origins` keeps it."""
    at = datetime.fromtimestamp(now_utc_us / 1e6, UTC)
    return f"set by {who or 'a client'} at {at:%Y-%m-%d %H:%M:%S} UTC"


def put_in_force(
    store: Store,
    session_dir: Path,
    settings: Settings,
    *,
    before: Settings,
    parameter_hash: str | None = None,
    note: AlertRow | None = None,
) -> Judged:
    """Settings take the place of those `before`, wholly or not at all: in the store in one transaction, with
    micrographs judged by their thresholds; then in the session's file. Every change of settings goes this way.

    Parameters
    ----------
    parameter_hash:
        Of `settings`: results made with another one are marked as outdated, and those that could not be made again are
        tried once more. None: the thresholds alone are others, which outdate no result.
    note:
        Who changed what, kept among the alerts.

    Raises
    ------
    RetryLaterError
        The disk refused the write of the store: nothing has changed.
    OSError
        It refused the file: all is as it was `before`; a second note says so where there was one.
    """
    judged = store.submit(_write, settings, parameter_hash, note).result()
    try:
        folder.write_settings(session_dir, settings)
    except OSError as error:
        hash_before = None if parameter_hash is None else folder.made_with(before)
        store.submit(_write, before, hash_before, _not_written(note, error)).result()
        raise
    return judged


def _write(connection: Connection, settings: Settings, parameter_hash: str | None, note: AlertRow | None) -> Judged:
    session_writes.set_settings(connection, settings_to_yaml(settings))
    if parameter_hash is not None:
        movie_writes.try_kept_again(connection)
    judged = Judged(*judge_again(connection, settings.thresholds))
    if parameter_hash is not None:
        movie_writes.mark_results(connection, parameter_hash, version("frazil"))
    if note is not None:
        session_writes.record_alert(connection, note)
    return judged


def _not_written(note: AlertRow | None, error: OSError) -> AlertRow | None:
    if note is None:
        return None
    return replace(note, severity="error", text=f"settings could not be written and are as before: {error}")


def apply_plan(
    store: Store, session_dir: Path, plan: ChangePlan, *, before: Settings, who: str, now_utc_us: int
) -> None:
    """Put the settings of a plan in force, with a note of who changed what. Raises what `put_in_force` raises."""
    what = "; ".join(plan.lines()[:-1])
    note = AlertRow("info", "daemon", f"{who or 'a client'} set {what}: {plan.sentence()}", now_utc_us)
    put_in_force(store, session_dir, plan.settings, before=before, parameter_hash=plan.parameter_hash, note=note)


def apply_thresholds(
    store: Store, session_dir: Path, changes: Mapping[str, object], *, before: Settings, who: str
) -> tuple[Settings, Judged]:
    """Put other thresholds in force while the session runs; returns the settings that now are, and what they judged.

    Raises
    ------
    SettingsError
        A name or a value that thresholds do not have.
    RetryLaterError, OSError
        As `put_in_force`.
    """
    thresholds = with_thresholds(before.thresholds, changes)
    origin = f"set by {who or 'a client'} while the session ran"
    origins = {**before.origins, **{f"thresholds.{name}": origin for name in changes}}
    settings = before.model_copy(update={"thresholds": thresholds, "origins": origins})
    return settings, put_in_force(store, session_dir, settings, before=before)


def preview_without_daemon(session_dir: Path, changes: Mapping[str, object]) -> ChangePlan:
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
            apply_plan(store, session_dir, plan, before=before, who=who, now_utc_us=now_utc_us)
        return plan
