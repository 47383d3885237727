"""What the page says: units, percent, the newest state in words."""

from __future__ import annotations

import msgspec
import pytest

from frazil.daemon.page.live_words import live_event, live_words, stamp, verdict_lines
from frazil.daemon.page.movie_words import facts, quantity, reason, state_words
from frazil.daemon.page.percent import change_percent, lost_percent
from frazil.daemon.page.typography import typeset
from frazil.daemon.transport.messages import GateState, LiveState

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        ("4.2 A", f"4.2{NBSP}Å"),
        ("between 10 and 4 A at 0.8 A/px", f"between 10 and 4{NBSP}Å at 0.8 Å/px"),
        ("1.5 um and 32 e/A2", f"1.5{NBSP}µm and 32 e/Å²"),
        ("defocus (um), motion (A)", "defocus (µm), motion (Å)"),
        ("3.4 -&gt; 3.7, 5 +- 1 %", f"3.4 → 3.7, 5 ± 1{NBSP}%"),
        ("A session, grid A, 4 Angles", "A session, grid A, 4 Angles"),
        ("<a title='4 A'>x</a><code>4 A um</code>", "<a title='4 A'>x</a><code>4 A um</code>"),
    ],
)
def test_units_are_written_out_but_never_in_names_and_tags(plain: str, written: str) -> None:
    assert typeset(plain) == written


def test_a_loss_of_ln_2_is_half_of_the_signal() -> None:
    assert lost_percent(0.6931) == pytest.approx(50.0, abs=0.01)
    assert lost_percent(-0.1) == 0.0
    assert (change_percent(0.6931), change_percent(-0.6931), change_percent(0.001)) == ("+100 %", "-50 %", "0 %")


def test_the_state_in_words() -> None:
    words = live_words(
        LiveState(
            status="running", counts={"ready": 1200, "rejected": 300, "queued": 2, "found": 1}, ready_per_hour=312.4,
            found_per_hour=330.0, map_resolution_angstrom=3.417, particle_count=120_000, lag_p50_s=41.0,
            lag_p95_s=80.0, free_disk_bytes=1_200_000_000_000, disk_full_in_h=31.0, recent_kept=20, recent_total=25,
        )
    )  # fmt: skip
    assert words["kept"] == f"80{NBSP}%"
    assert words["kept_of"] == "1,200 of 1,500 finished, 20 of the last 25: within the thresholds"
    assert (words["rate"], words["map"], words["waiting"]) == ("312", f"3.42{NBSP}Å", "3")
    assert words["map_of"] == "from 120,000 particles"
    assert (words["disk"], words["disk_of"]) == (f"1.2{NBSP}TB", "free, full in 31 h 0 min")


def test_what_is_not_known_is_no_zero() -> None:
    words = live_words(LiveState())
    assert {words[name] for name in ("kept", "rate", "map", "lag", "disk", "clock")} == {"–"}


def test_a_blocked_session_says_why() -> None:
    gate = GateState(status="blocked", blocking=True, evidence="the gain is inverted")
    assert live_words(LiveState(status="blocked", gate=gate))["status"] == "Blocked: the gain is inverted"


def test_the_stamp_changes_with_what_parts_are_made_of_and_not_with_the_clock() -> None:
    state = LiveState(utc_us=1, counts={"ready": 1})
    assert stamp(state) == stamp(msgspec.structs.replace(state, utc_us=2, sequence=9, free_disk_bytes=5))
    assert stamp(state) != stamp(msgspec.structs.replace(state, counts={"ready": 2}))
    assert stamp(state) != stamp(msgspec.structs.replace(state, alerts_open=1))


def test_an_event_is_one_line() -> None:
    assert "\n" not in live_event(LiveState(message="two\nlines"))


def test_movies_in_words() -> None:
    assert state_words("rejected") == "✖ rejected"
    assert (quantity(None, "A"), quantity(float("nan"), "A"), quantity(1234.5, "A")) == ("–", "–", "1,234.5 A")
    assert reason({"state": "ready", "rejection_reason": "x"}) == ""
    assert reason({"state": "rejected", "rejection_reason": "motion"}) == "motion"
    shown = dict(facts({"defocus_um": 1.5, "defocus_sd_angstrom": 120.0, "astigmatism_angstrom": 210.0, "lag_s": None}))
    assert shown["defocus"] == "1.50 um +- 0.012 um"
    assert shown["astigmatism"] == "210 A"
    assert "result after" not in shown


def test_what_is_seen_is_told_where_no_cause_is_decided():
    shifts = [{"frame": n, "shift_x_angstrom": x, "shift_y_angstrom": 0.0} for n, x in enumerate((0.0, 0.5, 5.5))]
    said = dict(facts({"flags": "drift-burst", "sequence": 7, "named_cause": None}, shifts))
    assert said["costs it most"] == "no single cause"
    assert said["seen"] == "motion of 5.0 A between frames 2 and 3"
    assert said["number, as found"] == "8"
    assert "seen" not in dict(facts({"flags": ""}, shifts))


def test_an_ended_session_has_no_map_yet_to_come():
    assert live_words(LiveState(particle_count=320))["map_of"] == "no map yet, 320 particles"
    assert live_words(LiveState(particle_count=320, ended_utc_us=1))["map_of"].startswith("no map was made: ")


def test_a_state_without_a_verdict_says_none() -> None:
    assert verdict_lines(LiveState()) == []
