"""Numbers as text, gray as cells, states as words: pure."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from frazil.daemon.transport.messages import GateState, LiveState, VerdictState, WorkerState
from frazil.tui.live.motion_plot import square_limits
from frazil.tui.live.movie_columns import fitting, row_cells
from frazil.tui.live.movie_facts import facts, facts_text, reason_text
from frazil.tui.live.trend_plots import TRENDS, headline
from frazil.tui.widgets.plot_values import plot_range
from frazil.tui.widgets.session_header import header_lines
from frazil.tui.widgets.verdict_line import VERDICTS, verdict_text
from frazil.tui.widgets.workers_panel import worker_line
from frazil.tui.words import formatting as f
from frazil.tui.words.alerts import words_first
from frazil.tui.words.palette import MOVIE_STATES, SESSION_STATES, WORKER_STATES


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (4.24, "4.2 s"), (99.4, "99 s"), (130, "2 min 10 s"), (11_100, "3 h 05 min"), (187_200, "2 d 4 h"),
     (None, "–"), (float("nan"), "–"), (float("inf"), "–"), (True, "–")],
)  # fmt: skip
def test_durations(seconds: object, text: str) -> None:
    assert f.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_700, "1.0 MB"), (7_310_000_000_000, "7.3 TB"), (2e15, "2.0 PB"),
     (None, "–")],
)  # fmt: skip
def test_sizes(size: float | None, text: str) -> None:
    assert f.size(size) == text


def test_numbers_that_are_not_known() -> None:
    assert [f.number(v) for v in (None, float("nan"), True, "3", 3, float("inf"))] == ["–", "–", "–", "–", "3.0", "∞"]
    assert f.quantity(None, "Å") == "–"
    assert f.quantity(3.14159, "Å", 2) == "3.14 Å"


def test_nothing_from_outside_reaches_the_terminal_raw() -> None:
    assert f.clean("a\x1b]0;x\x07\r\nb\u202ec\x9bm") == "a\ufffd]0;x\ufffd\ufffd\ufffdb\ufffdc\ufffdm"
    assert f.movie_name("x/FoilHole_1_Data_2_Fractions.tiff") == "FoilHole_1_Data_2"
    assert f.movie_name("x/EMD_EER.eer") == "EMD"
    assert f.movie_name(".tiff") == ".tiff"
    assert f.shorten_left("abcdef", 4) == "…def"


def test_one_angstrom_is_as_long_along_both_axes() -> None:
    x, y = [-3.0, 0.0, 5.0], [0.0, 1.0, 1.5]
    (x0, x1), (y0, y1) = square_limits(x, y, 40, 12)
    assert (x1 - x0) / (2 * 40) == pytest.approx((y1 - y0) / (4 * 12))
    assert x0 < min(x) <= max(x) < x1
    assert y0 < min(y) <= max(y) < y1


def test_one_wild_fit_does_not_flatten_the_trend() -> None:
    low, high = plot_range([*[4.0 + 0.01 * i for i in range(100)], 1e6])
    assert 3.5 < low < 4.1
    assert 4.9 < high < 5.2


def test_headline_compares_the_last_with_all() -> None:
    rows = [{"ctf_fit_angstrom": 4.0}] * 75 + [{"ctf_fit_angstrom": 6.0}] * 25
    assert headline(TRENDS[0], rows) == "CTF fit  6.0 Å ↑"
    assert headline(TRENDS[0], [{"ctf_fit_angstrom": None}]) == "CTF fit  –"


def test_every_state_has_a_sign_and_a_word_of_its_own() -> None:
    from frazil.models.records import MovieState

    assert {state.value for state in MovieState} == set(MOVIE_STATES)
    for looks in (MOVIE_STATES, SESSION_STATES, WORKER_STATES):
        assert len({look.sign + look.word for look in looks.values()}) == len(looks)
        assert all(len(look.sign) == 1 and look.word for look in looks.values())


STATE = LiveState(
    session_name="s1", status="running", voltage_kv=300.0, pixel_size_angstrom=0.834, instrument="Krios",
    counts={"ready": 1168, "rejected": 24, "quarantined": 4, "settling": 1}, found_per_hour=313.0,
    ready_per_hour=200.0, lag_p50_s=18.0, lag_p95_s=34.0, free_disk_bytes=10**12, disk_full_in_h=3.5,
    recent_kept=10, recent_total=25, queue_depth=7, utc_us=10**15,
)  # fmt: skip


@pytest.mark.parametrize("width", [30, 60, 78, 100, 120, 198])
def test_header_fits_and_keeps_what_matters_most(width: int) -> None:
    lines = header_lines(STATE, width)
    assert len(lines) == 3
    assert all(line.cell_len <= width for line in lines)
    assert "running" in lines[0].plain
    assert "10" in lines[1].plain
    assert "kept" in lines[2].plain


def test_header_has_numbers_and_leaves_the_judgement_to_the_verdict() -> None:
    text = header_lines(STATE, 198)[1].plain
    assert "last 25: 10 kept" in text
    assert "lag 18 s, 95 % 34 s" in text
    assert "disk 1.0 TB left, 3 h 30 min" in text
    assert "!" not in text


def test_header_tells_the_sessions_own_rate_beside_the_disks() -> None:
    shared = replace(STATE, written_bytes_per_s=2.8e6, disk_shrinks_bytes_per_s=103e6)
    assert "session writes 10 GB/h, disk shrinks 371 GB/h" in header_lines(shared, 198)[1].plain


def test_a_map_goes_with_its_own_particles_round_start_and_limit() -> None:
    mapped = replace(
        STATE, map_resolution_angstrom=3.42, map_round=3, map_particle_count=1250, particle_count=1400,
        map_start="truth.mrc", map_at_pixel_limit=True,
    )  # fmt: skip
    wide = header_lines(mapped, 198)[2].plain
    assert "map ≤ 3.42 Å of 1 250 particles, round 3 (at the pixels' limit, started from truth.mrc)" in wide
    assert "1 400" not in wide
    assert "1 400 particles" in header_lines(replace(STATE, particle_count=1400), 198)[2].plain


@pytest.mark.parametrize("width", [40, 78, 118, 198])
def test_the_verdict_fits_and_begins_with_a_sign(width: int) -> None:
    verdict = VerdictState(
        "stop", "stop: thick ice, 250 nm: 0 of 24 movies are good", "...",
        ("stop: thick ice, 250 nm: 0 of 24 movies are good", "change: 1 of 2 workers is dead"),
    )  # fmt: skip
    text = verdict_text(replace(STATE, verdict=verdict), width)
    assert text.cell_len <= width
    assert text.plain.startswith("■ stop: thick ice, 250 nm")
    if width >= 118:
        assert "also: 1 of 2 workers is dead" in text.plain
    elif width == 78:
        assert text.plain.endswith("and 1 more")


@pytest.mark.parametrize("width", [40, 78, 118])
def test_what_to_do_is_seen_first_and_then_what_is_the_matter(width: int) -> None:
    """However little room there is, the second line begins with what to do."""
    verdict = VerdictState(
        "change", "change: thick ice, 200 nm: 10 of 24 movies are good", "...", ("change: thick ice",),
        action="choose thinner areas", not_good="14 not good: thick ice (14, in square 7)",
    )  # fmt: skip
    first, second = verdict_text(replace(STATE, verdict=verdict), width).plain.splitlines()
    assert second.startswith("  → choose thinner areas")
    assert max(len(first), len(second)) <= width
    assert ("14 not good: thick ice (14, in square 7)" in second) == (width > 70)
    fine = replace(verdict, action="", not_good="", line="go on: 24 of the last 24 movies are good", word="go on")
    assert "\n" not in verdict_text(replace(STATE, verdict=fine), width).plain, "no empty line"


def test_every_verdict_has_a_sign() -> None:
    from frazil.models.session_verdict.records import Word

    assert {word.value for word in Word} == set(VERDICTS)


def test_header_says_since_when_nothing_came() -> None:
    quiet = replace(STATE, last_found_utc_us=STATE.utc_us - 720_000_000)
    assert "… nothing new for 12 min 00 s, before that found 313/h" in header_lines(quiet, 198)[1].plain
    assert "… idle 12 min 00 s" in header_lines(quiet, 90)[1].plain
    slow = replace(quiet, found_per_hour=10.0)
    assert "nothing new" not in header_lines(slow, 198)[1].plain, "every six minutes: twice that is nothing"


def test_header_says_how_far_results_are_made_again() -> None:
    again = replace(STATE, redo_stage="ctf", redo_done=120, redo_total=312)
    assert "redoing 120 of 312 (CTF)" in header_lines(again, 198)[1].plain
    assert "redoing" not in header_lines(STATE, 198)[1].plain


PATH = "Images-Disc1/GridSquare_1/Data/FoilHole_71_Data_7200000_9_20260101_000300_Fractions.tiff"


def test_an_alert_says_first_what_happened() -> None:
    text = f"{PATH} is set aside: Truncated: ends at byte 2,454,570"
    assert words_first(text, 200) == (
        "set aside: Truncated: ends at byte 2,454,570 · FoilHole_71_Data_7200000_9_20260101_000300"
    )
    short = words_first(text, 60)
    assert len(short) <= 60
    assert short.startswith("set aside: Truncated: ends at byte")
    assert short.endswith("101_000300"), "the end of a name tells movies apart"
    assert words_first(f"the gain changed at {PATH}, look", 200).startswith("the gain changed at FoilHole_71_Data")
    assert words_first("lag grows by 3.5 s/h: 7 movies wait", 20) == "lag grows by 3.5 s/h: 7 movies wait"
    assert "\x1b" not in words_first(f"{PATH} is \x1b[2Jgone", 200)


@pytest.mark.parametrize("width", [60, 78])
def test_how_many_were_kept_has_room(width: int) -> None:
    assert "kept 10/25" in header_lines(STATE, width)[1].plain


def test_header_of_a_daemon_that_knows_nothing_yet() -> None:
    lines = [line.plain for line in header_lines(LiveState(), 80)]
    assert "running" in lines[0]
    assert lines[1].startswith("none finished yet")
    assert "no movie has come yet" in lines[2]


def test_worker_line() -> None:
    worker = WorkerState("gpu0", device_name="A100", state="working", movie="a/b_Fractions.tiff", done=3, failed=1)
    assert "! 1 failed" in worker_line(worker, 4, 100).plain
    assert worker_line(worker, 4, 100).plain.endswith(" b")
    assert worker_line(worker, 4, 30).cell_len == 30


def test_facts_name_units_and_leave_out_what_is_not_known() -> None:
    row = {"state": "ready", "fit_resolution_angstrom": 3.456, "defocus_um": 1.25, "defocus_sd_angstrom": 40.0,
           "reliable": False, "flag": "ambiguous", "motion_total_angstrom": None, "frame_count": 40, "width_px": 5760,
           "height_px": 4092}  # fmt: skip
    known = dict(facts(row))
    assert known["CTF fit"] == "3.5 Å (ambiguous)"
    assert (known["defocus"], known["  fit alone"]) == ("1.250 µm", "0.004 µm scatter")
    whole = dict(facts({**row, "defocus_systematic_sd_angstrom": 125.0, "fit_resolution_sd_angstrom": 0.06}))
    assert whole["defocus"] == "1.250 ± 0.013 µm"
    assert whole["CTF fit"] == "3.5 ± 0.1 Å (ambiguous)"
    assert dict(facts({"ice_nm": 45.4, "ice_sd_nm": 8.0}))["ice"] == "45 ± 8 nm"
    assert known["frames"] == "40 of 5760 × 4092 px"
    assert "motion" not in known
    lines = facts_text(row, 90, 3).plain.splitlines()
    assert len(lines) <= 3


def test_reason_is_given_for_what_was_set_aside_only() -> None:
    quarantined = {"state": "quarantined", "failure_stage": "intake", "failure_reason": "the file ends early"}
    text = reason_text(quarantined)
    assert text is not None
    assert text.plain == "in intake: the file ends early"
    assert reason_text({"state": "ready", "failure_reason": "once"}) is None
    waits = reason_text({"state": "settling", "failure_reason": "incomplete: it ends in frame 31 of 40"})
    assert waits is not None
    assert "it ends in frame 31" in waits.plain


def test_a_file_that_is_not_whole_says_so_in_the_list() -> None:
    layout = fitting(120)
    row = {"state": "settling", "relative_path": "a.tiff", "reason": "incomplete: it ends in frame 31 of 40"}
    assert row_cells(layout, row)[1][0].strip() == "… incomplete"
    assert row_cells(layout, {**row, "reason": "the file is still changing"})[1][0].strip() == "… settling"


def test_ice_stands_in_the_list_in_nm_with_its_error() -> None:
    cells = [text.strip() for text, _ in row_cells(fitting(120), {"state": "ready", "ice_nm": 45.4, "ice_sd_nm": 8.0})]
    assert "45±8" in cells


def test_gate_state_is_open_by_default() -> None:
    assert not GateState().blocking
