"""Results in, rows out: known numbers arrive, replays change nothing, people's verdicts win."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from frazil.config.errors import UsageError
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.rows import (
    AlertRow,
    ClassRow,
    FeedbackRow,
    ForecastRow,
    InterventionRow,
    MovieRow,
    ParticleRows,
    PriorRow,
    ReconstructionRow,
    ScoreRow,
    SessionRow,
)
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.records import MovieResult, MovieState

MakeMovie = Callable[[int], MovieRow]
MakeResult = Callable[..., MovieResult]


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    tables = store.sql("SELECT table_name FROM duckdb_tables() ORDER BY 1").column("table_name")
    return {str(name): sorted(map(repr, store.sql(f"SELECT * FROM {name}").rows)) for name in tables}  # type: ignore[misc]


def test_a_result_arrives_with_its_numbers(filled: Store, make_result: MakeResult) -> None:
    truth = make_result(2)
    (movie,) = filled.named("movie", {"movie_id": "m00002"}).as_dicts()
    assert movie["state"] == "ready"
    assert movie["stem"] == "foil_2"
    assert movie["grid_square"] == "GridSquare_0"
    assert movie["attempts"] == 1
    assert movie["frame_count"] == 8
    assert movie["defocus_u_angstrom"] == 15_002.0
    assert movie["astigmatism_angstrom"] == 1_002.0
    assert movie["ice_ring_density"] is None, "NaN is not known, and not known is NULL"
    assert (movie["tilt_angle_deg"], movie["tilt_sd_deg"], movie["tilt_axis_deg"]) == (31.0, 2.5, None)
    assert movie["motion_total_angstrom"] == 12.0
    assert movie["particle_count"] == 3
    assert movie["micrograph_path"] == "motion/foil_2.mrc"
    assert movie["lag_s"] == 4.0
    shifts = filled.named("frame_shifts", {"movie_id": "m00002"})
    assert shifts.column("frame") == list(range(1, 9))
    assert tuple(shifts.column("shift_y_angstrom")) == truth.shifts.shift_y_angstrom
    local = filled.named("local_motion", {"movie_id": "m00002"})
    assert [row[1] for row in local.rows if row[0] == "y"] == list(range(18))
    assert truth.local_motion is not None
    assert tuple(row[2] for row in local.rows if row[0] == "y") == truth.local_motion.coefficients_y_angstrom
    spectrum = filled.named("spectrum", {"movie_id": "m00002"})
    assert tuple(spectrum.column("ring_amplitude")) == truth.spectra.ring_amplitude
    losses = {(r[0], r[1]): r[2] for r in filled.named("losses", {"movie_id": "m00002"}).rows}
    assert losses == {("motion", 0.1): 0.5, ("motion", 0.2): 1.0, ("ice", 0.1): 0.25, ("ice", 0.2): 0.75}
    assert filled.named("stage_timings").as_dicts()[0]["total_s"] == 10.0


def test_delivered_twice_leaves_the_tables_identical(
    filled: Store, make_movie: MakeMovie, make_result: MakeResult
) -> None:
    before = everything(filled)
    for index in range(4):
        filled.submit(movie_writes.register_movie, make_movie(index))
        filled.submit(movie_writes.record_result, make_result(index), ready_utc_us=99_000_000, lag_s=77.0)
    filled.flush()
    assert everything(filled) == before


def test_other_parameters_replace_and_never_add(filled: Store, make_result: MakeResult) -> None:
    newer = replace(make_result(1, frames=5), parameter_hash="parameters-2", losses=None)
    filled.submit(movie_writes.record_result, newer, ready_utc_us=50_000_000, lag_s=9.0).result()
    (movie,) = filled.named("movie", {"movie_id": "m00001"}).as_dicts()
    assert movie["ready_utc_us"] == 50_000_000
    assert len(filled.named("frame_shifts", {"movie_id": "m00001"}).rows) == 5
    assert filled.named("losses", {"movie_id": "m00001"}).rows == ()
    hashes = filled.sql("SELECT DISTINCT parameter_hash FROM stages WHERE movie_id = 'm00001'").rows
    assert hashes == (("parameters-2",),)


def test_late_results_of_replaced_and_unknown_movies_are_not_kept(
    filled: Store, make_movie: MakeMovie, make_result: MakeResult
) -> None:
    newer = replace(make_movie(1), movie_id="m1-again", generation=1, stem=None)
    filled.submit(movie_writes.register_movie, newer).result()
    assert filled.submit(movie_writes.mark_outdated, newer.relative_path, 1).result() == 1
    before = everything(filled)
    late = replace(make_result(1), parameter_hash="parameters-9")
    assert filled.submit(movie_writes.record_result, late, ready_utc_us=1, lag_s=1.0).result() is None
    stranger = replace(make_result(1), movie_id="nobody")
    assert filled.submit(movie_writes.record_result, stranger, ready_utc_us=1, lag_s=1.0).result() is None
    assert everything(filled) == before


def test_registering_again_keeps_state_and_takes_late_knowledge(store: Store, make_movie: MakeMovie) -> None:
    row = replace(make_movie(3), sidecar_path=None, voltage_kv=None)
    store.submit(movie_writes.register_movie, row)
    store.submit(movie_writes.set_state, row.movie_id, MovieState.QUEUED)
    store.submit(movie_writes.register_movie, replace(row, sidecar_path="a.xml", voltage_kv=200.0, stem="another"))
    store.submit(movie_writes.register_movie, replace(row, size_bytes=None)).result()
    (movie,) = store.named("movie", {"movie_id": row.movie_id}).as_dicts()
    assert (movie["state"], movie["sidecar_path"], movie["voltage_kv"]) == ("queued", "a.xml", 200.0)
    assert (movie["size_bytes"], movie["stem"]) == (1003, "foil_3")


def test_attempts_count_up_survive_and_can_be_given_back(store: Store, make_movie: MakeMovie) -> None:
    store.submit(movie_writes.register_movie, make_movie(0))
    assert [store.submit(movie_writes.start_attempt, "m00000").result() for _ in range(3)] == [1, 2, 3]
    store.submit(movie_writes.give_attempt_back, "m00000")
    (movie,) = store.submit(movie_writes.unfinished_movies).result()
    assert (movie.attempts, movie.state) == (2, MovieState.QUEUED)
    with pytest.raises(LookupError, match="nobody"):
        store.submit(movie_writes.start_attempt, "nobody").result()


def test_failure_quarantine_and_requeue(filled: Store) -> None:
    (failure,) = filled.named("failures", {"include_rejected": False}).as_dicts()
    assert failure["reason"] == "the file ends in frame 3"
    assert failure["state"] == "quarantined"
    assert not filled.submit(movie_writes.record_failure, "nobody", stage="read", reason="x").result()
    assert filled.submit(movie_writes.requeue, "m00005").result()
    (movie,) = filled.named("movie", {"movie_id": "m00005"}).as_dicts()
    assert (movie["state"], movie["attempts"], movie["failure_reason"]) == ("queued", 0, None)
    assert [m.movie_id for m in filled.submit(movie_writes.unfinished_movies).result()] == ["m00005"]


def test_a_movie_taken_as_it_is_is_known_as_such_until_somebody_takes_it_back(filled: Store) -> None:
    def restored(movie_id: str) -> bool:
        book = MovieRegistry.restore(filled, parameter_hash="other", code_version="other")
        paths = {movie.path: movie.accept_as_is for movie in book.for_intake()}
        return paths[str(filled.named("movie", {"movie_id": movie_id}).as_dicts()[0]["relative_path"])]

    def flags(movie_id: str) -> object:
        return filled.named("movie", {"movie_id": movie_id}).as_dicts()[0]["flags"]

    for movie_id in ("m00001", "m00005"):  # with a result, and set aside
        before = flags(movie_id)
        assert not restored(movie_id)
        filled.submit(movie_writes.requeue, movie_id, accept_as_is=True).result()
        assert restored(movie_id)
        filled.submit(movie_writes.requeue, movie_id).result()
        assert restored(movie_id), "queued again for another reason"
        filled.submit(movie_writes.requeue, movie_id, accept_as_is=False).result()
        assert not restored(movie_id)
        assert (flags(movie_id) or None) == (before or None)
    filled.submit(movie_writes.requeue, "m00005", accept_as_is=True).result()
    filled.submit(movie_writes.quarantine, "m00005", stage="metadata", reason="no pixel size").result()
    assert restored("m00005"), "what is missing may be said later"
    filled.submit(movie_writes.quarantine, "m00005", stage="intake", reason="damaged").result()
    assert not restored("m00005"), "it was to no avail: the next file by this name is judged as any other"


def test_resume_knows_what_was_made_with_which_parameters(filled: Store) -> None:
    known = filled.submit(movie_writes.known_movies).result()
    assert [movie.movie_id for movie in known] == [f"m{i:05d}" for i in range(6)]
    assert known[0].parameter_hash == "parameters-1"
    assert known[0].sequence == 0
    assert (known[5].state, known[5].parameter_hash) == (MovieState.QUARANTINED, None)


def test_a_person_outweighs_the_thresholds_also_after_a_replay(filled: Store, make_result: MakeResult) -> None:
    accept = FeedbackRow("f1", 10, "accept", "ada", "m00004")
    reject = FeedbackRow("f2", 11, "reject", "ada", "m00000", "contamination")
    assert filled.submit(session_writes.record_feedback, accept).result() == MovieState.READY
    assert filled.submit(session_writes.record_feedback, reject).result() == MovieState.REJECTED
    for index, reason in ((4, "astigmatism 6000 A, the limit is 5000 A"), (0, None)):
        filled.submit(
            movie_writes.record_result, make_result(index), ready_utc_us=1, lag_s=1.0, rejection_reason=reason
        ).result()
    states = {m["movie_id"]: (m["state"], m["reason"]) for m in filled.named("movies").as_dicts()}
    assert states["m00004"] == ("ready", None)
    assert states["m00000"] == ("rejected", "contamination")
    assert filled.submit(session_writes.record_feedback, replace(accept, verdict="note")).result() == MovieState.READY
    with pytest.raises(UsageError, match="no movie"):
        filled.submit(session_writes.record_feedback, replace(accept, movie_id="nobody")).result()
    with pytest.raises(UsageError, match="maybe"):
        filled.submit(session_writes.record_feedback, replace(accept, verdict="maybe")).result()


def test_alerts_are_told_once_and_acknowledged_once(store: Store) -> None:
    alert = AlertRow("error", "disk", "4 GB left", 5, remedy="free some")
    assert store.submit(session_writes.record_alert, alert).result()
    assert not store.submit(session_writes.record_alert, replace(alert, created_utc_us=6)).result()
    assert store.submit(session_writes.record_alert, replace(alert, text="3 GB left")).result()
    assert store.submit(session_writes.acknowledge_alert, alert.key(), who="ada", utc_us=7).result()
    assert not store.submit(session_writes.acknowledge_alert, alert.key(), who="bob", utc_us=8).result()
    assert [row["text"] for row in store.named("alerts", {"open_only": True}).as_dicts()] == ["3 GB left"]


def test_picks_keep_what_was_found_out_about_them_and_half_sets_are_fixed(
    filled: Store, make_result: MakeResult
) -> None:
    before = filled.named("particles", {"movie_id": "m00001"}).as_dicts()
    assert {row["half_set"] for row in before} == {1, 2}
    halves = tuple(int(row["half_set"] or 0) for row in before)
    picks = make_result(1).picks
    rows = ParticleRows(
        *("m00001", picks.x_px, picks.y_px, halves, picks.score, (4, None, 5)),
        certainty=(0.99, 0.5, 0.0),
        diameter_angstrom=picks.diameter_angstrom,
    )
    filled.submit(session_writes.record_particles, rows).result()
    filled.submit(movie_writes.record_result, make_result(1), ready_utc_us=1, lag_s=1.0).result()
    after = filled.named("particles", {"movie_id": "m00001"}).as_dicts()
    assert [row["class_id"] for row in after] == [4, None, 5]
    assert [row["certainty"] for row in after] == [0.99, 0.5, 0.0]
    assert tuple(row["half_set"] for row in after) == halves
    with pytest.raises(ValueError, match="different length"):
        filled.submit(session_writes.record_particles, replace(rows, half_set=(1,))).result()


def test_session_wide_rows_replace_by_their_key(store: Store) -> None:
    round_1 = ReconstructionRow(
        1, 10, 5, 500, "D2", resolution_0143_angstrom=7.5, frequency_per_angstrom=(0.1, 0.2), fsc=(0.9, 0.1),
        classes=(ClassRow(1, 300, 9.0), ClassRow(2, 200)),
    )  # fmt: skip
    for _ in range(2):
        store.submit(session_writes.record_reconstruction, round_1)
        store.submit(session_writes.record_prior, PriorRow(3, 10, 5, ("motion",), (1.0,), (0.2,), "{}"))
        store.submit(session_writes.record_score, ScoreRow(1, "logic", 10, "{}", verdict=0.8))
        store.submit(
            session_writes.record_intervention, InterventionRow("i1", 10, "motion", "session", "wait longer", "frazil")
        )
    store.flush()
    assert [row[2] for row in store.named("fsc").rows] == [0.9, 0.1]
    assert [row["particle_count"] for row in store.named("classes", {"round": 1}).as_dicts()] == [300, 200]
    counts = [len(store.named(name).rows) for name in ("reconstructions", "priors", "scores", "interventions")]
    assert counts == [1, 1, 1, 1]


def test_a_round_with_all_that_it_foretells(store: Store) -> None:
    step = ForecastRow(2, "step", 160, 140, 190, 1.5, 6.0, None, None, True, None, "60 more movies")
    row = ReconstructionRow(
        1, 10, 5, 500, "D2", resolution_0143_angstrom=7.5, frequency_per_angstrom=(0.1, 0.2), fsc=(0.9, 0.1),
        fsc_unmasked=(0.8, 0.0), fsc_masked=(0.92, 0.2), fsc_randomised=(0.0, 0.1),
        fsc_uniform=(0.7, 0.1), uniform_resolution_0143_angstrom=8.1, mask="map", sphericity=0.97,
        orientation_efficiency=0.7, preferred_orientation=True, b_factor_a2=210.0,
        forecasts=(ForecastRow(1, "end", 200, None, None, None, 6.5, 6.0, 7.0, True, None, "after 200"), step),
    )  # fmt: skip
    for _ in range(2):
        store.submit(session_writes.record_reconstruction, row).result()
    assert store.named("fsc").rows == ((1, 0.1, 0.9, 0.8, 0.92, 0.0, 0.7), (1, 0.2, 0.1, 0.0, 0.2, 0.1, 0.1))
    told = store.named("forecast").as_dicts()
    assert [found["sentence"] for found in told] == ["after 200", "60 more movies"]
    assert (told[1]["movies_low"], told[1]["movies_high"], told[1]["b_factor_a2"]) == (140, 190, 210.0)
    (found,) = store.named("reconstructions").as_dicts()
    assert found["uniform_resolution_0143_angstrom"] == 8.1
    assert (found["mask"], found["sphericity"], found["preferred_orientation"]) == ("map", 0.97, True)


def test_a_map_that_is_made_again_leaves_no_later_round_behind(store: Store) -> None:
    for number, movies in ((1, 10), (2, 20), (1, 8)):
        row = ReconstructionRow(
            number, 10, movies, 50 * movies, "C1", frequency_per_angstrom=(0.1,), fsc=(0.9 / number,),
            classes=(ClassRow(number, 300, 9.0),),
            forecasts=(ForecastRow(1, "end", 3_000_000_000, None, None, None, 6.5, 6.0, 7.0, True, None, "far"),),
        )  # fmt: skip
        store.submit(session_writes.record_reconstruction, row).result()
    assert [found["movie_count"] for found in store.named("reconstructions").as_dicts()] == [8]
    assert store.named("fsc").column("fsc") == [0.9]
    assert store.named("classes").column("class_id") == [1]
    assert store.named("forecast").column("movies") == [3_000_000_000]


def test_a_start_that_was_refused_leaves_the_session_as_it_was(filled: Store) -> None:
    session, states = (
        filled.named("session").as_dicts(),
        filled.sql("SELECT movie_id, state FROM movies ORDER BY 1").rows,
    )
    row = SessionRow("s", "s", "/raw", 1, "pixel_size_angstrom: 2", "1", pixel_size_angstrom=2.0)
    if session:
        row = replace(row, session_id=str(session[0]["session_id"]))
    filled.submit(session_writes.create_session, row)
    filled.submit(lambda connection: connection.execute("UPDATE movies SET state = 'settling' WHERE state = 'ready'"))
    filled.submit(session_writes.take_back_start, session).result()
    assert filled.sql("SELECT movie_id, state FROM movies ORDER BY 1").rows == states
    if session:
        assert filled.named("session").as_dicts() == session


def test_a_session_in_a_folder_of_another_name_is_the_same_session(filled: Store) -> None:
    """Copied or moved: when it began and what its gain gate decided are not forgotten."""
    filled.submit(session_writes.record_gain_verdict, '{"passes": true}').result()
    before = filled.named("session").as_dicts()
    row = SessionRow("copy", "copy", "/elsewhere", 99, "a: 2\n", "0.1.0")
    filled.submit(session_writes.create_session, row).result()
    (now,) = filled.named("session").as_dicts()
    assert (now["session_id"], now["raw_root"], now["settings_yaml"]) == ("copy", "/elsewhere", "a: 2\n")
    assert (now["created_utc_us"], now["gain_verdict"]) == (1, '{"passes": true}')
    filled.submit(session_writes.take_back_start, before).result()
    assert filled.named("session").as_dicts() == before


def test_times_with_a_zone_can_be_asked_for(store: Store) -> None:
    assert "1970-01-01" in str(store.sql("SELECT to_timestamp(1e6 / 1e6) AS t").rows[0][0])


def test_views_are_counted_in_bins_of_equal_area(filled: Store) -> None:
    """Three particles straight from above, one from the side; a rejected movie's do not count."""
    picks = {"x_px": (1.0,) * 4, "y_px": (1.0,) * 4, "half_set": (1, 2, 1, 2)}
    for movie_id in ("m00001", "m00002"):
        rows = ParticleRows(
            movie_id, **picks, rot_deg=(10.0, 10.0, 10.0, 180.0), tilt_deg=(0.0, 5.0, 3.0, 92.0), psi_deg=(0.0,) * 4
        )
        filled.submit(session_writes.record_particles, rows).result()
    filled.submit(
        lambda c: c.execute("UPDATE movies SET state = 'rejected' WHERE movie_id = 'm00002'") and None
    ).result()
    filled.submit(lambda c: c.execute("UPDATE movies SET state = 'ready' WHERE movie_id = 'm00001'") and None).result()
    found = filled.named("orientations", {"rot_bins": 36, "tilt_bins": 10}).as_dicts()
    assert [row["particles"] for row in found] == [3, 1]
    assert [row["rot_deg"] for row in found] == pytest.approx([15.0, -175.0])
    cosine = [math.cos(math.radians(row["tilt_deg"])) for row in found]
    assert cosine == pytest.approx([0.9, -0.1])  # ten slices of equal height


@pytest.mark.parametrize(
    ("curve", "angstrom"),
    [
        ((1.0, 0.5, 0.0), 1 / (0.2 + 0.1 * (0.5 - 0.143) / 0.5)),
        ((1.0, 0.9, 0.8), 1 / 0.3),
        ((0.1, 0.9, 0.9), None),
        ((), None),
        ((1.0, 0.5, math.nan), 1 / 0.3),
    ],
)
def test_where_a_correlation_falls_below_a_threshold(curve: tuple[float, ...], angstrom: float | None) -> None:
    found = movie_writes.crossing_angstrom((0.1, 0.2, 0.3), curve, 0.143)
    assert found == (None if angstrom is None else pytest.approx(angstrom))


def test_alerts_of_schema_8_are_open_since_they_were_told_and_can_be_over(store: Store) -> None:
    store.submit(session_writes.record_alert, AlertRow("error", "disk", "4 GB left", 5)).result()

    def as_schema_8(connection: Connection) -> None:
        for table in ("alert_deliveries", "map_gains"):
            connection.execute(f"DROP TABLE {table}")
        for column in ("opened_utc_us", "cleared_utc_us"):
            connection.execute(f"ALTER TABLE alerts DROP COLUMN {column}")
        connection.execute("UPDATE schema_version SET version = 8")

    store.submit(as_schema_8).result()
    store.close()
    with Store.open(store.session_dir, now_utc_us=6) as again:
        (alert,) = again.named("alerts", {"open_only": True}).as_dicts()
        assert alert["opened_utc_us"] == 5
        assert again.submit(session_writes.clear_alert, str(alert["alert_id"]), utc_us=7).result()
        assert again.named("alerts", {"open_only": True}).rows == ()
        assert again.named("optics_groups").rows == ()
