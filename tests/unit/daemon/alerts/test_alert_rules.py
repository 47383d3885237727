"""When the rules speak and when they are silent; the time is given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frazil.daemon.alerts.rules import AlertRules, Cleared, Event, Measured, Raised, RuleLimits

MINUTE_US = 60_000_000
WELL = Measured(0, last_found_utc_us=0, waiting=0, found_per_hour=100.0, ready_per_hour=120.0, free_bytes=1 << 40)


def run(rules: AlertRules, *steps: Measured) -> list[list[Event]]:
    return [rules.step(step) for step in steps]


def names(events: list[Event]) -> list[str]:
    return [f"+{event.found.rule}" if isinstance(event, Raised) else f"-{event.rule}" for event in events]


def at(minute: float, **changes: object) -> Measured:
    fresh = {"last_found_utc_us": int(minute * MINUTE_US), **changes}
    return replace(WELL, utc_us=int(minute * MINUTE_US), **fresh)  # type: ignore[arg-type]


def test_nothing_is_said_of_a_session_that_is_well() -> None:
    rules = AlertRules(RuleLimits())
    assert all(not events for events in run(rules, *(at(minute) for minute in range(120))))


def test_no_movie_is_told_of_once_and_is_over_with_the_next_movie() -> None:
    rules = AlertRules(RuleLimits(no_movie_minutes=15))
    told = [names(rules.step(at(minute, last_found_utc_us=0))) for minute in range(40)]
    assert [minute for minute, said in enumerate(told) if said] == [15]
    assert told[15] == ["+no-movie"]
    assert rules.step(at(40)) == [Cleared("no-movie")]
    assert names(rules.step(at(60, last_found_utc_us=40 * MINUTE_US))) == ["+no-movie"]


def test_no_movie_counts_from_the_daemons_start_and_not_when_the_session_is_to_end() -> None:
    never = {"last_found_utc_us": None, "watching_since_utc_us": 100 * MINUTE_US}
    rules = AlertRules(RuleLimits(no_movie_minutes=15))
    assert rules.step(at(114, **never)) == []
    assert rules.step(at(120, **never, expecting=False)) == []
    (raised,) = rules.step(at(120, **never))
    assert isinstance(raised, Raised)
    assert "no movie has come" in raised.found.text


def test_lag_must_grow_and_last_and_has_a_second_limit() -> None:
    rules = AlertRules(RuleLimits(lag_minutes=30, lag_window_minutes=10))
    # 60 an hour get done: a backlog of 31 is 31 minutes.
    behind = [names(rules.step(at(minute, waiting=31 + minute, ready_per_hour=60.0))) for minute in range(15)]
    assert [minute for minute, said in enumerate(behind) if said] == [11]  # grown since minute 1, and 10 minutes long
    assert rules.step(at(20, waiting=25, ready_per_hour=60.0)) == []  # below the limit, above half of it
    assert rules.step(at(21, waiting=14, ready_per_hour=60.0)) == [Cleared("lag")]


def test_lag_that_shrinks_is_no_alert_and_the_words_have_the_hours_to_catch_up() -> None:
    shrinking = AlertRules(RuleLimits(lag_minutes=30, lag_window_minutes=1))
    assert not any(shrinking.step(at(m, waiting=200 - m, ready_per_hour=60.0)) for m in range(60))
    growing = AlertRules(RuleLimits(lag_minutes=30, lag_window_minutes=1))
    said = [e for m in range(5) for e in growing.step(at(m, waiting=90 + 10 * m, ready_per_hour=50.0))]
    assert isinstance(said[0], Raised)
    assert "100 movies come an hour, 50 get done; 110 wait, 2.2 h to catch up" in said[0].found.text
    stuck = AlertRules(RuleLimits(lag_minutes=30, lag_window_minutes=1))
    said = [e for m in range(5) for e in stuck.step(at(m, waiting=1 + m, ready_per_hour=0.0))]
    assert isinstance(said[0], Raised)
    assert "none gets done" in said[0].found.text


@pytest.mark.parametrize(
    ("limits", "bad", "between", "good"),
    [
        (RuleLimits(disk_hours=6), {"disk_full_in_h": 5.0}, {"disk_full_in_h": 8.0}, {"disk_full_in_h": 9.5}),
        (RuleLimits(disk_free_gb=50), {"free_bytes": 49 << 30}, {"free_bytes": 55 << 30}, {"free_bytes": 61 << 30}),
        (RuleLimits(late_sidecars=3), {"late_sidecars": 3}, {"late_sidecars": 1}, {"late_sidecars": 0}),
    ],
)
def test_values_that_waver_about_a_limit_are_told_of_once(
    limits: RuleLimits, bad: dict[str, object], between: dict[str, object], good: dict[str, object]
) -> None:
    rules = AlertRules(limits)
    wavering = [bad if minute % 2 or minute < 6 else between for minute in range(60)]
    said = [event for minute, value in enumerate(wavering) for event in rules.step(at(minute, **value))]
    assert len(said) == 1
    assert isinstance(said[0], Raised)
    assert len(run(rules, at(61, **good))[0]) == 1
    assert rules.step(at(62, **between)) == []


def test_a_disk_that_is_short_for_a_moment_is_no_alert() -> None:
    rules = AlertRules(RuleLimits(disk_hours=6))
    assert not any(rules.step(at(m, disk_full_in_h=1.0 if m % 3 == 0 else 100.0)) for m in range(30))


def test_a_common_cause_is_named_and_another_one_after_it() -> None:
    rules = AlertRules(RuleLimits(), cause_words={"ice": ("ice thickness", "thinner areas")})
    recent: list[str | None] = [None] * 10
    assert rules.step(at(0, named_causes=recent)) == []
    for minute, cause in enumerate(["ice"] * 4, 1):
        recent = [cause, *recent][:10]
        assert rules.step(at(minute, named_causes=recent)) == []
    recent = ["ice", *recent][:10]
    (raised,) = rules.step(at(5, named_causes=recent))
    assert isinstance(raised, Raised)
    assert (raised.found.rule, raised.found.remedy) == ("cause:ice", "thinner areas")
    assert raised.found.text.startswith("ice thickness: 5 of the last 10 movies")
    told = []
    for minute in range(6, 20):
        recent = ["motion", *recent][:10]
        told += names(rules.step(at(minute, named_causes=recent)))
    assert told == ["-cause:ice", "+cause:motion"]


def test_after_a_restart_what_was_told_is_not_told_again() -> None:
    rules = AlertRules(RuleLimits(no_movie_minutes=15), raised=["no-movie", "cause:ice"])
    stands = at(30, last_found_utc_us=0, named_causes=["ice"] * 10)
    assert rules.step(stands) == []
    assert names(rules.step(at(31, named_causes=[None] * 10))) == ["-no-movie", "-cause:ice"]


def test_after_a_restart_late_sidecars_are_not_over_before_enough_movies_have_come() -> None:
    rules = AlertRules(RuleLimits(late_sidecars=3), raised=["late-sidecars"])
    assert rules.step(at(0, late_sidecars=None)) == []
    assert names(rules.step(at(1, late_sidecars=0))) == ["-late-sidecars"]


def test_rules_can_be_switched_off() -> None:
    off = RuleLimits(None, None, 10.0, None, None, 10, None, None)
    worst = {"last_found_utc_us": None, "waiting": 999, "ready_per_hour": 0.0, "disk_full_in_h": 0.1, "free_bytes": 0}
    rules = AlertRules(off)
    assert not any(
        rules.step(at(m, **worst, named_causes=["ice"] * 10, late_sidecars=9))
        for m in range(100)  # type: ignore[arg-type]
    )
