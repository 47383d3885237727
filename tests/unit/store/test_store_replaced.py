"""What is done or said again replaces what was there, also when there is less of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from frazil.config.errors import WriteError
from frazil.daemon.store import rebuild
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import AlertRow, MovieRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.records import MovieResult, ParticlePicks

MakeMovie = Callable[[int], MovieRow]
MakeResult = Callable[..., MovieResult]
MINUTE_US = 60_000_000


def particles(store: Store, movie_id: str) -> list[tuple[object, ...]]:
    return store.rows(
        "SELECT x_px, score, diameter_angstrom, psi_deg FROM particle_arrays WHERE movie_id = ?", movie_id
    )


def record(store: Store, result: MovieResult) -> None:
    store.submit(movie_writes.record_result, result, ready_utc_us=5, lag_s=1.0).result()


def test_a_movie_done_again_without_picks_has_no_particles(filled: Store, make_result: MakeResult) -> None:
    assert particles(filled, "m00001")
    record(filled, replace(make_result(1), picks=ParticlePicks((), (), (), None)))
    assert particles(filled, "m00001") == []


def test_picks_that_differ_in_score_or_diameter_alone_are_other_picks(filled: Store, make_result: MakeResult) -> None:
    result = make_result(1)
    for picks in (replace(result.picks, score=(0.1, 0.2, 0.3)), replace(result.picks, diameter_angstrom=99.0)):
        record(filled, replace(result, picks=picks))
        [(x_px, score, diameter, _)] = particles(filled, "m00001")
        assert (tuple(x_px), tuple(score), diameter) == (picks.x_px, picks.score, picks.diameter_angstrom)


def test_the_same_picks_keep_their_poses(filled: Store, make_result: MakeResult) -> None:
    filled.submit(lambda c: c.execute("UPDATE particle_arrays SET psi_deg = [1, 2, 3]") and None).result()
    record(filled, make_result(1))
    assert particles(filled, "m00001")[0][3] == [1.0, 2.0, 3.0]


def test_fibres_that_are_told_later_make_other_halves(filled: Store, make_result: MakeResult) -> None:
    def halves() -> list[int]:
        return [int(row["half_set"]) for row in filled.named("particles", {"movie_id": "m00001"}).as_dicts()]

    before = halves()
    assert before[0] == before[2] != before[1]
    record(filled, make_result(1))
    assert halves() == before  # a result of before fibres were numbered keeps its halves
    result = make_result(1)
    along, axis = (0.0, 50.0, 0.0), (30.0, 31.0, -60.0)
    picks = replace(result.picks, fibre=(1, 1, 2), along_angstrom=along, axis_deg=axis)
    record(filled, replace(result, picks=picks))
    now = halves()
    assert now[0] == now[1] != now[2]
    rows = filled.named("particles", {"movie_id": "m00001"}).as_dicts()
    assert [(row["fibre"], row["along_angstrom"], row["axis_deg"]) for row in rows] == [
        (1, 0.0, 30.0), (1, 50.0, 31.0), (2, 0.0, -60.0),
    ]  # fmt: skip


def open_alerts(store: Store) -> list[int]:
    rows = store.named("alerts", {"open_only": True, "limit": 10}).as_dicts()
    return [int(str(row["created_utc_us"])) for row in rows]


def test_an_alert_that_comes_back_after_it_was_acknowledged_is_open_again(store: Store) -> None:
    alert = AlertRow("error", "disk", "less than 5 GB are free", 1)
    assert store.submit(session_writes.record_alert, alert).result()
    store.submit(session_writes.acknowledge_alert, alert.key(), who="x", utc_us=10).result()
    assert not store.submit(session_writes.record_alert, replace(alert, created_utc_us=5)).result(), "from before"
    assert open_alerts(store) == []
    assert store.submit(session_writes.record_alert, replace(alert, created_utc_us=20)).result()
    assert open_alerts(store) == [20]


def test_an_open_alert_is_brought_up_to_date_once_a_minute(store: Store) -> None:
    alert = AlertRow("error", "disk", "less than 5 GB are free", 1)
    for utc_us, expected in ((1, 1), (MINUTE_US, 1), (MINUTE_US + 1, MINUTE_US + 1), (2 * MINUTE_US, MINUTE_US + 1)):
        store.submit(session_writes.record_alert, replace(alert, created_utc_us=utc_us)).result()
        assert open_alerts(store) == [expected]


def test_rebuilding_makes_only_a_files_newest_generation_ready(
    store: Store, make_movie: MakeMovie, make_result: MakeResult
) -> None:
    def stored(index: int, generation: int) -> StoredResult:
        row = replace(make_movie(index), relative_path="a.tif", generation=generation)
        return StoredResult(row, make_result(index), 10, 1.0)

    # The newest comes neither first nor last, and another one only at a second rebuild.
    rebuild.rebuild_from(store, (stored(1, 0), stored(2, 3), stored(3, 1)), now_utc_us=1)
    rebuild.rebuild_from(store, (stored(4, 2),), now_utc_us=1)
    states = {movie.generation: movie.state.value for movie in store.read(movie_writes.known_movies)}
    assert states == {0: "outdated", 1: "outdated", 2: "outdated", 3: "ready"}


def test_a_kept_result_that_the_database_does_not_take_keeps_no_other_away(
    store: Store, make_movie: MakeMovie, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt = rebuild.adopt

    def adopt_but_one(connection: Connection, item: StoredResult) -> object:
        if item.movie.movie_id == make_movie(1).movie_id:
            raise WriteError("no such column")
        return adopt(connection, item)

    monkeypatch.setattr(rebuild, "adopt", adopt_but_one)
    results = [StoredResult(make_movie(index), make_result(index), 10, 1.0) for index in (1, 2)]
    assert rebuild.rebuild_from(store, results, now_utc_us=1).adopted == (make_movie(2).movie_id,)
