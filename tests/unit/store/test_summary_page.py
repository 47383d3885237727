"""The session's page: its numbers are those of the JSON, nothing is fetched, nothing from outside gets through."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from frazil.daemon.report.html.page import to_html
from frazil.daemon.report.html.pictures import Pictures, collect
from frazil.daemon.report.html.spread import spread, spread_words
from frazil.daemon.report.summary import collect as collecting
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.headline import headline
from frazil.daemon.report.summary.records import Advised, Curve, Hole, MapState, SessionSummary
from frazil.daemon.report.summary.text import to_json, to_text
from frazil.daemon.store.rows import (
    AlertRow,
    FeedbackRow,
    InterventionRow,
    MovieRow,
    ReconstructionRow,
    ScoreRow,
    SessionRow,
)
from frazil.daemon.store.store import Store
from frazil.daemon.store.table import Scalar
from frazil.daemon.store.target_rows import KnownTarget, MovieTargetRow, TargetRoundRow, TargetWordRow
from frazil.daemon.store.writes import movie_writes, session_writes, target_writes
from frazil.models.grid_target import GridTarget
from frazil.models.map_round import MapRoundRecord, as_values
from frazil.models.records import MovieResult
from frazil.models.targets.records import MoveMinutes, NextTargets, RankedTarget, SquareOutlook

NOW_UTC_US = 3_600_000_000
SESSION = Path("/data/night")
EVIL = "<script>alert('x')</script>&\"'"


def fetched(page: str) -> list[str]:
    """What a browser would ask somebody else for."""
    links = re.findall(r"(?:src|href|srcset|data|poster|action)\s*=\s*['\"]?([^'\" >]+)", page)
    links += re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", page)
    return [str(link) for link in links if not str(link).startswith("data:")]


def full(filled: Store) -> SessionSummary:
    """A session with everything, and with mischief in every text that comes from outside."""
    session = SessionRow(
        "s1", f"night {EVIL}", f"/raw{EVIL}", 1, f"webhooks:\n- slack https://hooks.example/{EVIL}\nnote: {EVIL}\n",
        "0.1.0", microscope=EVIL,
    )  # fmt: skip
    rounds = [
        ReconstructionRow(
            number, 10, 4, 240 * number, "D2", resolution_0143_angstrom=12.5 / number,
            resolution_05_angstrom=20.0 / number, map_path="maps/map.mrc",
            frequency_per_angstrom=(0.05, 0.1, 0.16), fsc=(1.0, 0.8, 0.143),
            fsc_uniform=(1.0, 0.7, 0.1), orientation_sentence=EVIL,
        )
        for number in (1, 2)
    ]  # fmt: skip
    evidence = json.dumps(
        {"contradictions": [{"severity": 0.3, "sentence": f"the FSC levels off {EVIL}"}], "weird": {"raw": 1}}
    )
    for work, row in (
        (session_writes.create_session, session),
        *((session_writes.record_reconstruction, one) for one in rounds),
        (session_writes.record_intervention, InterventionRow("a", 10, "motion", "session", f"wait: {EVIL}", "frazil")),
        (session_writes.record_intervention, InterventionRow("b", 11, "ice", "session", f"did {EVIL}", EVIL)),
        (session_writes.record_feedback, FeedbackRow("f", 12, "note", EVIL, None, f"noted {EVIL}")),
        (session_writes.record_alert, AlertRow("error", "gain", EVIL, 10, remedy=EVIL)),
        *(
            (session_writes.record_score, ScoreRow(number, name, 10, evidence, verdict=value, unit=EVIL))
            for number in (1, 2)
            for name, value in (("meta", 0.7), ("value", 0.8), ("hyperscore", 101.0), (EVIL, 0.5))
        ),
    ):
        filled.submit(work, row).result()
    return summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)


def test_everything_from_outside_is_escaped_and_nothing_is_fetched(filled: Store) -> None:
    found = full(filled)
    page = to_html(found, '<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    assert "<script" not in page
    assert "alert('x')" not in page
    assert page.count("&lt;script&gt;") >= 12
    assert fetched(page) == []
    assert "http" not in page
    assert "hooks.example" not in page, "addresses of chat programs are secrets"
    assert "an address, not shown" in page
    assert '{"' not in page, "no JSON"


def test_numbers_of_the_page_are_those_of_the_json(filled: Store) -> None:
    found = full(filled)
    record, page = json.loads(to_json(found)), to_html(found)
    words = re.sub(r"<[^>]+>", " ", page)
    for sentence in record["headline"][0], record["map"]["forecast"]:
        assert not sentence or sentence in words
    assert f"{record['kept']} of {record['kept'] + record['rejected']} movies" in words
    for metric in record["metrics"]:
        if metric["name"] == "motion_total_angstrom":
            assert metric["median"] == 11.5
            assert re.search(r"motion, whole\s+11\.5 A\s+10\.8 to 12\.2", words)
    for loss in record["losses"]:
        assert f"{loss['loss_ln_ssnr']:.2f} ± {loss['loss_sd']:.2f}" in words
    assert f"{record['map']['resolution_0143_angstrom']:.2f} A at 0.143" in words
    assert f"{record['map']['resolution_05_angstrom']:.2f} A at 0.5" in words
    for score in record["scores"]:
        assert score["value"] in page or "&" in score["value"] or "<" in score["value"]
    assert "Take care: the FSC levels off" in words
    assert "take care: the FSC levels off" in to_text(found)


def test_what_was_done_is_told_with_the_movies_around_it(
    store: Store, make_movie: Callable[[int], MovieRow], make_result: Callable[[int], MovieResult]
) -> None:
    for index in range(24):
        result = make_result(index)
        early = (8.0 if index < 12 else 3.0) + 0.01 * (index % 3)
        result = replace(
            result,
            shifts=replace(result.shifts, early_angstrom=early),
            ctf=replace(result.ctf, fit_resolution_angstrom=4.0 + 0.1 * (index % 2)),
        )
        store.submit(movie_writes.register_movie, make_movie(index))
        store.submit(movie_writes.record_result, result, ready_utc_us=index, lag_s=1.0).result()
    did = InterventionRow("b", 12_000_000, "motion", "session", "waits 10 s now", "Ann")
    store.submit(session_writes.record_intervention, did).result()
    text = to_text(summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=False))
    assert "Ann: waits 10 s now" in text
    assert "motion, first 4 e/A2, 8.01 -> 3.01 A (-5.00 +- 0.01)" in text
    assert re.search(r"CTF fit no sure change \(\+0\.00 \+- 0\.04 A\)", text), "no arrow from a figure to itself"


def test_figures_that_read_alike_get_no_arrow(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    steady = replace(found.metrics[0], first_quarter_median=3.301, last_quarter_median=3.299)
    text = to_text(replace(found, metrics=(steady, *found.metrics[1:])))
    assert "3.30, steady" in text
    assert not re.search(r"(\d+\.?\d*) -> \1\b", text)


def test_rates_say_over_which_time_and_agree_with_the_screens(
    store: Store, make_movie: Callable[[int], MovieRow], make_result: Callable[[int], MovieResult]
) -> None:
    hour_us = 3_600_000_000
    for index, hour in enumerate((0.0, 0.5, 3.2, 3.4, 3.6, 4.0)):
        when = int(hour * hour_us)
        store.submit(movie_writes.register_movie, replace(make_movie(index), found_utc_us=when))
        store.submit(movie_writes.record_result, make_result(index), ready_utc_us=when, lag_s=1.0).result()
    found = summarise(store, SESSION, now_utc_us=9 * hour_us, live=False)
    assert (found.finished_per_hour, found.last_hour_finished_per_hour) == (pytest.approx(1.5), pytest.approx(4.0))
    header = store.named("rate_per_hour", {"now_utc_us": 4 * hour_us}).as_dicts()[0]
    assert found.last_hour_finished_per_hour == header["ready_per_hour"]
    text = to_text(found)
    assert "2 found and 2 finished per hour, mean of all 4 h 0 min" in text
    assert "4 found and 4 finished per hour in its last 1 h 0 min (as on the screen)" in text


def test_the_verdict_names_what_is_wrong(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert found.headline[0].startswith("Too few movies to judge")
    round_beam = tuple(replace(m, median=50.0) if m.name == "astigmatism_angstrom" else m for m in found.metrics)
    many = replace(found, counts={"ready": 60, "rejected": 40}, metrics=round_beam)
    assert headline(many)[0].startswith("A fair session (too many movies are rejected): 60 of 100 finished")
    bad = tuple(replace(m, median=7.5) if m.name == "ctf_fit_angstrom" else m for m in many.metrics)
    assert headline(replace(many, metrics=bad))[0].startswith("A poor session (")
    good = headline(replace(many, counts={"ready": 99, "rejected": 1}))
    assert good[0].startswith("A good session: 99 of 100 finished movies kept (99 %), CTF fits to")
    assert "Of what can be changed motion inside frames costs most signal; what to do" in good[1]


def test_a_map_from_the_truth_or_at_its_pixels_limit_makes_no_good_session(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    round_3 = MapRoundRecord(3, 1, 30, 5211, "D7", resolution_0143_angstrom=3.24, map_path="maps/map.mrc")
    state = MapState(**as_values(round_3), frequency_per_angstrom=(0.1, 0.3), fsc=(1.0, 0.1), by_round=())
    good = replace(found, counts={"ready": 99, "rejected": 1}, metrics=(), map=state)
    assert headline(good)[0].startswith("A good session: 99 of 100")
    begun = headline(replace(good, map=replace(state, initial_map="/x/truth.mrc")))[0]
    assert begun.startswith("Nothing speaks against the session: 99 of 100")
    assert "the running map, started from truth.mrc, is at 3.24 A from 5,211 particles (round 3)" in begun
    limited = headline(replace(good, map=replace(state, fsc=(1.0, 0.9))))[0]
    assert limited.startswith("Nothing speaks against the session")
    assert "3.24 A or better, the limit of its pixels, from 5,211 particles (round 3)" in limited


def test_thick_ice_that_is_kept_is_named(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    good = replace(found, counts={"ready": 99, "rejected": 1}, metrics=(), map=None)
    icy = headline(replace(good, thick_ice_nm=150.0, thick_ice_kept=3))[0]
    assert icy.startswith("A fair session (3 kept movies have ice beyond 150 nm): 99 of 100")


def test_advice_that_may_gain_nothing_is_no_headline(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    one = "skip holes with ice above 58 nm: signal at 5 A x1.03 (x0.97-1.10)"
    other = "wait 10 s longer after moving the stage: signal at 5 A x1.42 (x1.20-1.71)"
    unsure, sure = Advised(one, "ice", "session", 0.03, -0.03, 0.1), Advised(other, "m", "session", 0.3, 0.2, 0.5)
    told = replace(
        found, interventions=(one, other), advice=(one, other), advised=(unsure, replace(sure, surely_pays=True))
    )
    assert headline(told)[1].endswith("hat to do: wait 10 s longer after moving the stage.")
    alone = replace(told, interventions=(one,), advice=(one,), advised=(unsure,))
    assert headline(alone)[1].endswith("hat to do: go on; no change surely pays.")


def test_a_session_with_nothing_in_it_has_a_page(store: Store) -> None:
    page = to_html(summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=True))
    assert "No movie is finished yet" in page
    assert "The map" not in page
    assert fetched(page) == []


def test_long_sessions_are_told_in_bands(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "TREND_POINTS", 3)
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert found.bands[0].median[:2] == (pytest.approx(4.0), pytest.approx(4.1))
    page = to_html(found)
    assert "class=area" in page
    assert "class=kept cx" not in page.split("<h2>The grid</h2>")[0]


def test_a_page_of_very_many_movies_stays_small(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    rng = np.random.default_rng(1)
    holes = tuple(
        Hole(f"S{n // 50}", str(n), x_um, y_um, 3, int(rng.integers(0, 4)), 3 + 3 * rng.random())
        for n, (x_um, y_um) in enumerate(1000 * rng.random((20_000, 2)))
    )
    count = 5000
    times, kept = tuple(range(count)), tuple(bool(n % 7) for n in range(count))
    trend = tuple(Curve(curve.name, times, tuple(rng.random(count).tolist()), kept) for curve in found.trend)
    page = to_html(replace(found, holes=holes, trend=trend))
    assert "400 squares, by the median of their movies" in page
    assert len(page) < 2_000_000
    assert page.count("h0M") > 4000, "dots are strokes of one path"


def places(*shifts: tuple[float, float] | None, pitch_um: float = 10.0) -> tuple[Hole, ...]:
    """Two stage positions, each with the same template."""
    return tuple(
        Hole("S", f"h{centre}{number}", centre * pitch_um, 5.0, 1, 1, 4.0, shift, number)
        for centre in range(2)
        for number, shift in enumerate(shifts)
    )


def test_places_of_one_stage_position_are_drawn_apart_by_their_image_shift() -> None:
    shifts = [(x, y) for x in (-3.0, 0.0, 3.0) for y in (-3.0, 0.0, 3.0)]
    drawn = spread(places(*shifts))
    assert {(one.stage_x_um, one.stage_y_um) for one in drawn} == {
        (centre + x, 5.0 + y) for centre in (0.0, 10.0) for x, y in shifts
    }
    assert "turned or mirrored" in spread_words(places(*shifts))


@pytest.mark.parametrize("shift", [None, (0.0, 0.0), (0.1, 0.05)], ids=["not said", "kept zero", "centring alone"])
def test_without_a_shift_in_um_they_stand_on_a_ring(shift: tuple[float, float] | None) -> None:
    given = places(shift, shift, shift, shift)
    drawn = spread(given)
    assert len(drawn) == len(given)
    apart = [
        np.hypot(one.stage_x_um - other.stage_x_um, one.stage_y_um - other.stage_y_um)
        for place, one in enumerate(drawn)
        for other in drawn[:place]
    ]
    assert min(apart) > 2.0, "none on another, nor on those of the next position"
    for one in drawn:
        assert np.hypot(one.stage_x_um - 10.0 * int(one.name[1]), one.stage_y_um - 5.0) == pytest.approx(3.0)
    assert "stand on a ring" in spread_words(given)


def test_places_that_the_stage_went_to_stay_where_it_was() -> None:
    given = places(None)
    assert spread(given) == list(given)
    assert spread_words(given) == ""


def test_a_square_is_called_best_by_one_figure_everywhere(
    store: Store, make_movie: Callable[[int], MovieRow], make_result: Callable[[int], MovieResult]
) -> None:
    """Square 0 has the better mean, square 1 the better median."""
    fits = {0: (4.0, 4.0, 4.0), 1: (3.5, 3.5, 9.0)}
    index = 0
    for shot in range(3):
        for square in (0, 1):
            row, result = make_movie(index), make_result(index)
            changed = replace(result, ctf=replace(result.ctf, fit_resolution_angstrom=fits[square][shot]))
            store.submit(movie_writes.register_movie, row)
            store.submit(movie_writes.record_result, changed, ready_utc_us=index, lag_s=1.0).result()
            index += 1
    found = summarise(store, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert "best grid square by median CTF fit: GridSquare_1 (3.5 A, 3 of 3 kept), worst: GridSquare_0" in to_text(
        found
    )
    assert "<th>median CTF fit</th>" in to_html(found)
    given: tuple[tuple[str, dict[str, Scalar]], ...] = (
        ("squares", {}),
        ("best_squares", {"least_movies": 3}),
        ("acceptance_by_square", {}),
    )
    for name, params in given:
        rows = {row["grid_square"]: row["ctf_fit_angstrom"] for row in store.named(name, params).as_dicts()}
        assert rows == {"GridSquare_0": 4.0, "GridSquare_1": 3.5}, name


def test_pictures_are_in_the_page_and_only_those_of_the_session(filled: Store, tmp_path: Path) -> None:
    session, outside = tmp_path / "session_with_pictures", tmp_path / "secret.png"
    (session / "thumbnails").mkdir(parents=True)
    (session / "maps").mkdir()
    gray = np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8)
    for path in (session / "thumbnails" / "foil_0.png", session / "maps" / "sections.png", outside):
        path.write_bytes(imagecodecs.png_encode(gray))
    (session / "thumbnails" / "foil_1.png").write_bytes(b"not a picture")
    found = summarise(filled, session, now_utc_us=NOW_UTC_US, live=False)
    assert [example.group for example in found.examples] == ["best", "typical", "worst"], "of five movies"
    assert len({example.movie_id for example in found.examples}) == len(found.examples)
    stolen = replace(found.examples[-1], thumbnail_path="../secret.png", movie_id="thief")
    pictures = collect(session, replace(found, examples=(*found.examples, stolen)))
    assert list(pictures.thumbnails) == ["m00000"]
    assert [words for words, _ in pictures.of_map] == ["Central sections through the map"]
    page = to_html(full(filled), pictures=pictures)
    assert page.count("<img src='data:image/jpeg;base64,") == 1
    assert page.count("<img src='data:image/png;base64,") == 1
    assert "no thumbnail" in page
    assert fetched(page) == []


def test_without_pictures_the_page_says_so(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert to_html(found, pictures=Pictures()).count("no thumbnail") == len(found.examples)


def with_a_grid(filled: Store) -> None:
    """Two squares, four holes, one of them exposed; a round that tells of two."""
    places = [
        GridTarget(f"s:{n}", "square", "epu", f"{n}{EVIL}", stage_x_um=100.0 * n, stage_y_um=10.0, said_by="x")
        for n in (7, 8, 9)
    ]
    holes = [GridTarget(f"h:{n}", "hole", "epu", f"{n}", "s:7", "chosen", said_by="x") for n in range(4)]
    known = [KnownTarget(one, one.target_id) for one in places] + [KnownTarget(one, "s:7") for one in holes]
    filled.submit(target_writes.record_targets, known, utc_us=10).result()
    movie = next(row for row in filled.named("movies", {"limit": 10}).as_dicts() if row["state"] == "ready")
    link = MovieTargetRow(str(movie["movie_id"]), "h:0", "h:0", "name")
    filled.submit(target_writes.record_links, [link]).result()
    ranked = tuple(
        RankedTarget(rank, f"h:{rank}", f"{rank}", "s:7", None, 0.83, 0.7, 0.91, 210.0, 150.0, 290.0, 1.5, EVIL)
        for rank in (1, 2)
    )
    outlook = SquareOutlook("s:7", "7", 4, 1, 3, 1, 0.83, 0.7, 0.91, 2, "square 7: 83 %")
    answer = NextTargets(ranked, (outlook,), f"Stay {EVIL}", 2.5, 0.4, 0.31, (), MoveMinutes())
    word = TargetWordRow("s:8", "avoided", "anna", 20)
    filled.submit(target_writes.record_word, word).result()
    row = TargetRoundRow(3, 1000, 0, "usable", 6.0, 3.5, 4, 1, 1, "next: square 7", answer)
    filled.submit(target_writes.record_round, row).result()


def test_the_grid_is_told_the_same_in_json_text_and_page(filled: Store) -> None:
    with_a_grid(filled)
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    record = json.loads(to_json(found))["grid"]
    assert (record["taken_share"], record["holes"], record["exposed"]) == (0.31, 4, 1)
    assert [one["state"] for one in record["squares"]] == ["processed", "avoided", "seen"]
    assert [one["target_id"] for one in record["next"]] == ["h:1", "h:2"]
    facts = "3 squares, 1 of 4 holes exposed; 31 % of what it can give is taken; 3.5 h left"
    text, page = to_text(found), to_html(found)
    assert f"The grid: {facts}" in text
    assert "Stay <script>" in text
    assert f"more: frazil next {SESSION}" in text
    assert facts in page
    assert "<script" not in page
    assert fetched(page) == []
    assert "83 % (70 to 91)" in page
    assert page.count("class=tile x=") == 3 + 5, "a tile a square, five in the legend"
    assert re.search(r"<g class='u5 following'><title>square 7[^<]*: next, 1 of 4 holes exposed, 1 of 1 movies", page)
    assert re.search(r"<g class='u0'><title>square 8[^<]*: avoided, 0 of 0 holes exposed</title>", page)
    assert ">▶ 83<" in page
    assert ">–<" in page


def test_without_a_grid_nothing_is_said_of_one(filled: Store) -> None:
    found = summarise(filled, SESSION, now_utc_us=NOW_UTC_US, live=False)
    assert found.grid is None
    assert json.loads(to_json(found))["grid"] is None
    assert "The grid" not in to_text(found)
    assert "expected usable" not in to_html(found)
