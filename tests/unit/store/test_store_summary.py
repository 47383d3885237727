"""What a person reads about a session: the right numbers, in words, escaped, for full and for empty sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from frazil.daemon.report.html.page import to_html
from frazil.daemon.report.summary.collect import raw_folder, summarise
from frazil.daemon.report.summary.text import to_json, to_text
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.rows import AlertRow, ForecastRow, InterventionRow, MovieRow, ReconstructionRow, ScoreRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.records import MovieResult

MakeMovie = Callable[[int], MovieRow]
MakeResult = Callable[..., MovieResult]
NOW_UTC_US = 3_600_000_000
SESSION = Path("/data/night")


def test_numbers_of_a_finished_session(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert (found.total, found.kept, found.rejected, found.set_aside, found.waiting) == (6, 4, 1, 1, 0)
    assert found.hours == pytest.approx(6 / 3600)  # from the first found (0 s) to the last ready (6 s)
    assert found.finished_per_hour == pytest.approx(5 * 600)
    assert (found.lag_p50_s, found.lag_max_s, found.particles) == (4.0, 6.0, 12)
    assert (found.voltage_kv, found.cs_mm, found.frame_count) == (300.0, 2.7, 8)
    metrics = {metric.name: metric for metric in found.metrics}
    assert metrics["motion_total_angstrom"].median == 11.5
    assert metrics["ctf_fit_angstrom"].quartile_3 == pytest.approx(4.225)
    assert "ice_ring_density" not in metrics, "never known in this session"
    assert {loss.factor for loss in found.losses} == {"motion", "ice"}
    text = to_text(found)
    assert "Collected: 6 movies" in text
    assert re.search(r"1 +rejected, astigmatism 6000 A, the limit is 5000 A", text)
    assert re.search(r"1 +set aside \(read\), the file ends in frame 3", text)
    assert re.search(r"CTF fits to +4\.15 A", text)
    assert "1 movie was set aside" in text
    record = json.loads(to_json(found))
    assert record["counts"] == {"quarantined": 1, "ready": 4, "rejected": 1}
    assert record["kept"] == 4
    assert "trend" not in record
    assert json.loads(to_json(found, with_trend=True))["trend"][0]["name"] == "ctf_fit_angstrom"


def test_a_live_session_is_measured_until_now(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=True)
    assert found.hours == 1.0
    assert found.found_per_hour == pytest.approx(6.0)
    assert "Session night (running)" in to_text(found)


def test_an_empty_session_has_a_summary_too(store: Store) -> None:
    found = summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=True)
    assert (found.total, found.name, found.finished_per_hour) == (0, "night", None)
    assert "Collected: 0 movies" in to_text(found)
    assert json.loads(to_json(found))["total"] == 0
    assert "<html" in to_html(found)


def test_causes_map_scores_and_advice_appear_when_they_exist(filled: Store) -> None:
    round_2 = ReconstructionRow(
        2, 10, 4, 480, "D2", resolution_0143_angstrom=6.25, map_path="maps/round2.mrc",
        frequency_per_angstrom=(0.05, 0.1, 0.16), fsc=(1.0, 0.8, 0.143), sphericity=0.91, best_direction_angstrom=5.8,
        uniform_resolution_0143_angstrom=8.4, causal_weight_share=0.9,
        weights_sentence="weights by cause (90% of what the causes say): 6.25 A against 8.40 A without",
        worst_direction_angstrom=9.0, orientation_sentence="preferred orientation: rot 10, tilt 20", b_factor_a2=180.0,
        b_factor_low_a2=120.0, b_factor_high_a2=260.0,
        forecasts=(ForecastRow(1, "end", 8, None, None, 1.0, 5.5, 5.0, 6.0, True, None, "after 8 movies: 5.5 A"),),
    )  # fmt: skip
    advice = InterventionRow("i", 10, "motion", "session", "waiting 3 s longer gains 0.4 A", "frazil")
    filled.submit(session_writes.record_reconstruction, round_2).result()
    filled.submit(session_writes.record_intervention, advice).result()
    filled.submit(session_writes.record_score, ScoreRow(1, "logic", 10, "{}", verdict=0.875)).result()
    filled.submit(session_writes.record_alert, AlertRow("info", "gain", "multiply, slope 1.00", 9)).result()
    alert = AlertRow("error", "gain", "the gain is <wrong>", 10, remedy="give --gain")
    filled.submit(session_writes.record_alert, alert).result()
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    text, page = to_text(found), to_html(found)
    assert "6.25 A (FSC 0.143) from 480 particles" in text
    assert "5.8 to 9.0 A by direction (sphericity 0.91)" in text
    assert "(90% of what the causes say): 6.25 A against 8.40 A without" in text
    assert "preferred orientation: rot 10, tilt 20" in text
    assert "B-factor 180 A2 (80 %: 120 to 260)" in text
    assert "after 8 movies: 5.5 A" in text
    assert json.loads(to_json(found))["map"]["forecast"] == ["after 8 movies: 5.5 A"]
    assert "  consistency: 88 %" in text
    assert re.search(r"motion inside frames +0\.75 \+- 0\.10", text)  # mean of 0.5 and 1.0
    assert "Noted (gain): multiply" in text
    assert text.index("Noted") < text.index("What went wrong") < text.index("error gain: the gain is <wrong>")
    assert found.advice[:2] == ("waiting 3 s longer gains 0.4 A", "the gain is <wrong>: give --gain")
    assert "the gain is &lt;wrong&gt;" in page
    assert "<wrong>" not in page
    assert "<polyline" in page
    kept, rejected = page.count("<circle class=kept"), page.count("path class='lost cross'")
    assert (kept, rejected) == (4 * 6, 6), "four kept movies and one rejected, six metrics that are known"
    assert "http" not in page, "one file, nothing fetched"


def test_a_share_that_reads_as_nothing_and_an_interval_that_reads_as_a_point_are_not_said(filled: Store) -> None:
    row = ReconstructionRow(
        1, 10, 10, 480, "D2", resolution_0143_angstrom=6.25, map_path="maps/a.mrc", discarded_share=0.004,
        frequency_per_angstrom=(0.05, 0.16), fsc=(1.0, 0.143), b_factor_a2=180.0, b_factor_low_a2=180.0,
        b_factor_high_a2=180.02,
    )  # fmt: skip
    filled.submit(session_writes.record_reconstruction, row).result()
    text = to_text(summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False))
    assert "hardly count" not in text
    assert "B-factor 180 A2\n" in text
    filled.submit(session_writes.record_reconstruction, replace(row, discarded_share=0.034)).result()
    text = to_text(summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False))
    assert "3% of the particles hardly count" in text


def test_what_was_happening_when_the_daemon_ended_is_no_longer_told_of(filled: Store) -> None:
    full = AlertRow("warning", "disk", "this session fills its disk in 3.0 h", 9, alert_id="rule-disk-hours")
    short = AlertRow("warning", "disk", "12 GB are free", 9, alert_id="rule-disk-free")
    for row in (full, short):
        filled.submit(session_writes.record_alert, row).result()
    running, over = (summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=live) for live in (True, False))
    assert {alert.text for alert in running.alerts} == {full.text, short.text}
    assert [alert.text for alert in over.alerts] == [short.text]


def test_a_map_that_was_begun_anew_says_so_once(filled: Store) -> None:
    anew = AlertRow("info", "reconstruction", "the map was begun anew: x changed", 9, alert_id="map-begun-anew")
    filled.submit(session_writes.record_alert, anew).result()
    before = to_text(summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=True))
    assert "Noted (reconstruction): the map was begun anew" in before
    filled.submit(session_writes.record_reconstruction, ReconstructionRow(1, 10, 4, 480, "C1")).result()
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=True)
    assert to_text(found).count("begun anew") == 1
    assert "the map was begun anew: x changed" in to_html(found)


def test_a_lag_says_that_it_leaves_a_stop_out(store: Store, make_movie: MakeMovie, make_result: MakeResult) -> None:
    hours_us = 3_600_000_000
    for index, waited_us in enumerate((4_000_000, 4_000_000, 2 * hours_us, 3 * hours_us)):
        store.submit(movie_writes.register_movie, make_movie(index))
        ready_utc_us = make_movie(index).found_utc_us + waited_us
        store.submit(movie_writes.record_result, make_result(index), ready_utc_us=ready_utc_us, lag_s=4.0).result()
    found = summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert (found.lag_max_s, found.over_a_stop, found.over_a_stop_max_s) == (4.0, 2, 3 * 3600.0)
    said = (
        "this leaves out what 2 movies waited before frazil was started again or took up other settings; with it 3.0 h"
    )
    assert "4.0 s at most" in to_text(found)
    assert said in to_text(found)
    assert said in to_html(found)


def test_movies_that_were_moved_were_at_their_place(filled: Store) -> None:
    here, gone = (
        summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False, raw_is_there=there) for there in (True, False)
    )
    assert raw_folder(filled) == Path("/raw")
    assert "movies from /raw" in to_text(here)
    for shown in (to_text(gone), to_html(gone)):
        assert "movies were at /raw (not there now)" in shown


@pytest.mark.parametrize(
    ("settings", "started"),
    [
        ("particles:\n  initial_map: /data/start.mrc\n", "started from /data/start.mrc"),
        ("particles:\n  initial_map: null\n", "started from the particles alone"),
        ("a: 1\n", "started from the particles alone"),
        ("][", "started from the particles alone"),
    ],
)
def test_the_map_says_what_it_started_from(filled: Store, settings: str, started: str) -> None:
    filled.submit(session_writes.set_settings, settings).result()
    row = ReconstructionRow(1, 10, 10, 480, "D2", resolution_0143_angstrom=6.25, map_path="maps/a.mrc")
    filled.submit(session_writes.record_reconstruction, row).result()
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert started in to_text(found)
    assert started in to_html(found)


def test_a_session_that_gets_worse_is_told(store: Store, make_movie: MakeMovie, make_result: MakeResult) -> None:
    for index in range(40):
        movie, result = make_movie(index), make_result(index)
        worse = replace(result.shifts, total_angstrom=5.0 + index, early_angstrom=7.0)
        drift = replace(result, shifts=worse, ctf=replace(result.ctf, fit_resolution_angstrom=7.5))
        store.submit(movie_writes.register_movie, movie)
        reason = "motion 40 A, the limit is 20 A" if index % 3 == 0 else None
        store.submit(
            movie_writes.record_result, drift, ready_utc_us=index * 1_000_000, lag_s=1.0, rejection_reason=reason
        ).result()
    said = " | ".join(summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=False).advice)
    assert "only 65 % of the finished movies were kept" in said
    assert "motion 40 A" in said
    assert "fits only to 7.5 A" in said
    assert "moves 7.0 A within the first 4 e/A2" in said
    assert "motion, whole got worse during the session" in said
    assert "CTF fits to got worse" not in said


def test_control_characters_in_names_do_not_reach_the_terminal(store: Store, make_movie: MakeMovie) -> None:
    store.submit(movie_writes.register_movie, make_movie(0)).result()
    store.submit(movie_writes.quarantine, "m00000", stage="read", reason="bad \x1b[31m name").result()
    text = to_text(summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=False))
    assert "\x1b" not in text


def test_the_file_reader_says_the_same_as_the_store(
    tmp_path: Path, make_movie: MakeMovie, make_result: MakeResult
) -> None:
    with Store.open(tmp_path, now_utc_us=1) as store:
        store.submit(movie_writes.register_movie, make_movie(1))
        store.submit(movie_writes.record_result, make_result(1), ready_utc_us=5, lag_s=1.0).result()
        live = summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=False)
    with FileReader(tmp_path) as reader:
        assert summarise(reader, SESSION, now_utc_us=NOW_UTC_US, live=False) == live
