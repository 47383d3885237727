"""What the alert rules are given: causes that were named against the session, not against what physics calls usual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frazil.config.settings import AlertSettings
from frazil.daemon.alerts.rule_check import RuleCheck
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import causal_writes
from frazil.daemon.transport.messages import LiveState
from frazil.models.records import CausalLosses


def named(cause: str, version: int) -> CausalLosses:
    return CausalLosses(("motion",), (0.1,), ((1.0,),), ((0.1,),), version, cause, 1.0)


@pytest.mark.parametrize(("version", "told"), [(0, 0), (1, 1)])
def test_a_common_cause_is_told_once_the_session_has_taught(
    store: Store, put: Callable[..., Any], alerts: Callable[[], list[str]], version: int, told: int
) -> None:
    for sequence in range(8):
        put(sequence, losses=named("radiation_damage" if sequence < 2 else "motion", version))
    desk = RuleCheck(AlertSettings(), store, Notices(store, utc_us=lambda: 100), late_sidecars=lambda newest: None)
    for second in range(3):
        desk.step(LiveState(utc_us=second * 1_000_000), expecting=False)
    texts = alerts()
    assert len(texts) == told
    assert all("motion inside frames: 6 of the last 8 movies" in text for text in texts)


def test_causes_are_found_behind_many_movies_without_any(
    store: Store, put: Callable[..., Any], alerts: Callable[[], list[str]]
) -> None:
    for sequence in range(100):
        put(sequence, losses=named("ice", 1) if sequence < 8 else None)
    desk = RuleCheck(AlertSettings(), store, Notices(store, utc_us=lambda: 100), late_sidecars=lambda newest: None)
    desk.step(LiveState(utc_us=0), expecting=False)
    assert [text for text in alerts() if "8 of the last 8 movies" in text]


def test_causes_that_are_named_again_end_the_alert(
    store: Store, put: Callable[..., Any], alerts: Callable[[], list[str]]
) -> None:
    results = [put(sequence, losses=named("ice", 1)) for sequence in range(8)]
    desk = RuleCheck(AlertSettings(), store, Notices(store, utc_us=lambda: 100), late_sidecars=lambda newest: None)
    desk.step(LiveState(utc_us=0), expecting=False)
    assert len(alerts()) == 1
    again = [(result.movie_id, named("", 2)) for result in results]
    store.submit(causal_writes.replace_losses, again, parameter_hash="h", code_version="1").result()
    desk.step(LiveState(utc_us=1_000_000), expecting=False)
    store.flush()
    assert store.rows("SELECT cleared_utc_us FROM alerts") == [(100,)]


def test_the_disk_alert_ends_with_the_writing(store: Store) -> None:
    desk = RuleCheck(AlertSettings(), store, Notices(store, utc_us=lambda: 100), late_sidecars=lambda newest: None)

    def look(minute: int, written_bytes_per_s: float | None, full_in_h: float | None) -> list[tuple[str, int | None]]:
        state = LiveState(utc_us=minute * 60_000_000, written_bytes_per_s=written_bytes_per_s, disk_full_in_h=full_in_h)
        desk.step(state, expecting=False)
        store.flush()
        return [(str(text), cleared) for text, cleared in store.rows("SELECT text, cleared_utc_us FROM alerts")]

    for minute in range(3):
        told = look(minute, 1e8, 2.0)
    full = "this session fills its disk in 2.0 h at the rate of its last hour"
    assert told == [(full, None)]
    assert look(4, None, None) == [(full, None)], "after a start nothing is known for a moment"
    assert look(5, 0.0, None) == [(full, 100)]
