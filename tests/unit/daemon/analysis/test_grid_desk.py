"""The grid while a session runs: movies find their holes, rounds are made and kept, people are heard and told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets.desk import GridDesk
from frazil.daemon.analysis.targets.grid_work import GridWork, judge_without_daemon
from frazil.daemon.analysis.targets.reading import FILE_ALERT
from frazil.daemon.analysis.targets.told import GRID_DONE
from frazil.daemon.changes.targets import note_hours, note_word
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes

HOLES = 12
"""In each of two squares; movies of the first are bad, those of the second good."""
LONG_S = 20.0
STEP_S = 40.0
"""Of the clock: enough for a look, and for a round of what is new."""


class Bench:
    """A desk over a real store, with a clock that moves when the test says so."""

    def __init__(self, context, store: Store, root: Path, **targets: object) -> None:
        (root / "raw").mkdir(exist_ok=True)
        row = SessionRow("s", "s", str(root / "raw"), 1, "{}", "1")
        store.write(WritePolicy.DURABLE, session_writes.create_session, row)
        self.now_s, self.store, self.root = 0.0, store, root
        settings = Settings.model_validate({"targets": {"roots": [str(root / "grid.csv")], **targets}})
        self.desk = GridDesk(context(settings=settings, clock=lambda: self.now_s, utc_us=lambda: int(1e6 * self.now_s)))

    def table(self, holes: int = HOLES) -> None:
        lines = [
            f"{10 * s + n},{name},{100 * s + 3 * n},0" for s, name in enumerate("ab") for n in range(min(holes, 10))
        ]
        (self.root / "grid.csv").write_text("name,square,x_um,y_um\n" + "\n".join(lines), encoding="utf-8")

    def run(self, step_s: float = STEP_S) -> None:
        """Until the work under way has ended and been taken."""
        self.now_s += step_s
        self.desk.step()
        ends_s = time.monotonic() + LONG_S
        while self.desk._background.busy and time.monotonic() < ends_s:
            self.desk.step()
            time.sleep(0.01)
        assert not self.desk._background.busy

    def drain(self) -> None:
        ends_s = time.monotonic() + LONG_S
        while not self.desk.drained(final=True) and time.monotonic() < ends_s:
            time.sleep(0.01)
        assert self.desk.drained(final=True)

    def rows(self, name: str, **params: str | int) -> list[dict[str, object]]:
        return [dict(row) for row in self.store.named(name, params).as_dicts()]


@pytest.fixture
def bench(context, store, tmp_path):
    made = Bench(context, store, tmp_path)
    yield made
    made.desk.close()


@pytest.fixture
def take(put, store, bench):
    """Movies of these holes, with this resolution of their fit, one a minute."""

    def taken(numbers, resolution_angstrom: float, *, after_minutes: int = 0) -> None:
        for place, number in enumerate(numbers):
            result = put(number)
            at_utc_us = int(6e7) * (after_minutes + place + 1)

            def work(connection, movie_id=result.movie_id, at=at_utc_us):
                connection.execute(
                    "UPDATE ctf SET fit_resolution_angstrom = ? WHERE movie_id = ?", [resolution_angstrom, movie_id]
                )
                connection.execute("UPDATE movies SET acquired_utc_us = ? WHERE movie_id = ?", [at, movie_id])

            store.write(WritePolicy.DURABLE, work)
            bench.desk.movie_ended(result.movie_id)

    return taken


def test_a_session_without_a_grid_says_nothing(bench, put) -> None:
    put(0)
    bench.run()
    bench.drain()
    assert bench.desk.summary.line == ""
    assert bench.rows("next_rounds") == []
    assert bench.rows("grid")[0]["holes"] == 0


def test_movies_find_their_holes_and_the_good_square_is_advised(bench, take, alerts, store, tmp_path) -> None:
    bench.table()
    note_hours(store, tmp_path, 0.2, who="ann", now_utc_us=1)  # with time for all, nobody has to leave anything
    take(range(10, 14), 3.2)
    take(range(4), 9.5, after_minutes=10)
    bench.run()

    squares = {row["name"]: row for row in bench.rows("grid_squares")}
    assert [(squares[name]["exposed"], squares[name]["processed"]) for name in "ab"] == [(4, 4), (4, 4)]
    assert squares["b"]["ctf_fit_angstrom"] == pytest.approx(3.2)
    assert squares["b"]["usable"] > squares["a"]["usable"]
    ranked = bench.rows("next_targets")
    assert ranked[0]["square"] == "b"
    assert {row["name"] for row in ranked}.isdisjoint({str(n) for n in (*range(4), *range(10, 14))})
    assert "leave square a now" in bench.desk.summary.line
    assert (bench.desk.summary.holes, bench.desk.summary.exposed) == (20, 8)

    assert not any("leave square" in text for text in alerts()), "one round alone sends nobody across the grid"
    take([4], 9.5, after_minutes=20)
    bench.run()
    assert [text for text in alerts() if text.startswith("leave square a: ")]
    take([14], 3.2, after_minutes=30)
    bench.run()
    store.flush()
    open_now = [str(row["text"]) for row in bench.rows("alerts", open_only=True)]
    assert not any("leave square a" in text for text in open_now), "it was followed"


def test_what_people_say_counts_from_the_next_round_on(bench, take, store, tmp_path) -> None:
    bench.table()
    take(range(10, 13), 3.2)
    bench.run()
    first = bench.rows("next_targets")[0]["name"]
    assert "is left out" in note_word(store, tmp_path, str(first), "avoided", who="ann", now_utc_us=50)
    note_word(store, tmp_path, "7", "picked", who="ann", now_utc_us=60)
    note_hours(store, tmp_path, 3.0, who="ann", now_utc_us=int(1e6 * bench.now_s))
    bench.run()
    ranked = bench.rows("next_targets")
    assert (ranked[0]["name"], ranked[0]["picked"]) == ("7", True)
    assert first not in {row["name"] for row in ranked}
    (newest,) = bench.rows("next_rounds")
    assert newest["hours_left"] == pytest.approx(3.0, abs=0.1)
    assert newest["words_utc_us"] == int(1e6 * (bench.now_s - STEP_S))

    note_word(store, tmp_path, "all", "forgotten", who="ann", now_utc_us=int(2e6 * bench.now_s))
    assert judge_without_daemon(store, utc_us=5) is not None
    assert str(first) in {row["name"] for row in bench.rows("next_targets", limit=100)}


def test_a_session_does_not_end_before_its_last_work_has_been_taken(bench, take) -> None:
    bench.table()
    take(range(10, 13), 3.2)
    assert not bench.desk.drained(final=True), "it has only begun"
    bench.drain()
    assert len(bench.rows("next_rounds")) == 1


def test_a_later_run_goes_on_with_what_is_stored(bench, take, context, store, tmp_path) -> None:
    bench.table()
    take(range(10, 13), 3.2)
    bench.run()
    bench.drain()
    before = bench.rows("next_targets")
    rows = store.rows("SELECT * FROM grid_targets ORDER BY target_id")
    bench.desk.close()
    (tmp_path / "grid.csv").unlink()
    again = Bench(context, store, tmp_path)
    again.run()
    again.drain()
    assert store.rows("SELECT * FROM grid_targets ORDER BY target_id") == rows, "although its file is gone"
    assert [row["target_id"] for row in again.rows("next_targets")] == [row["target_id"] for row in before]
    again.desk.close()


def test_a_grid_that_appears_late_takes_up_the_movies_of_before(bench, take) -> None:
    take(range(10, 13), 3.2)
    bench.run()
    assert bench.rows("grid")[0]["movies"] == 0
    bench.table()
    bench.run()
    assert bench.rows("grid")[0]["movies"] == 3
    assert bench.rows("target_movies", target_id="list:hole:b/11")[0]["linked_by"] == "name"


def test_movies_without_a_result_make_no_round_at_once(bench, take, store) -> None:
    bench.table()
    take([10], 3.2)
    bench.run()
    take(range(11, 16), 3.2, after_minutes=10)
    with_state = "UPDATE movies SET state = ? WHERE movie_id <> 'm010'"
    store.write(WritePolicy.DURABLE, lambda connection: connection.execute(with_state, ["queued"]))
    bench.run(10.0)
    assert bench.rows("grid")[0]["movies"] == 6
    assert bench.rows("next_rounds")[0]["round"] == 1, "five were taken, and nothing is known of them"
    store.write(WritePolicy.DURABLE, lambda connection: connection.execute(with_state, ["ready"]))
    bench.run(10.0)
    assert bench.rows("next_rounds")[0]["round"] == 2


def test_when_nothing_is_left_a_person_is_told(bench, take, alerts) -> None:
    bench.table(holes=2)
    take([0, 1, 10, 11], 3.2)
    bench.run()
    assert bench.desk.summary.line == "next: nothing is left to shoot on this grid"
    assert "Nothing is left to shoot on this grid." in alerts()


def test_what_an_earlier_run_told_is_over_when_it_has_passed(bench, take, context, store, tmp_path) -> None:
    bench.table(holes=2)
    take([0, 1, 10, 11], 3.2)
    bench.run()
    (tmp_path / "grid.csv").write_text("nothing,of,the,kind\n1,2,3,4\n", encoding="utf-8")
    bench.run()
    bench.desk.close()
    assert _open_ids(bench) == {GRID_DONE, f"{FILE_ALERT}{tmp_path / 'grid.csv'}"}
    again = Bench(context, store, tmp_path)
    again.now_s = bench.now_s
    again.table()
    again.run()
    again.drain()
    assert _open_ids(again) == set(), "there are more holes now, and the table can be read"
    again.desk.close()


def _open_ids(bench: Bench) -> set[str]:
    bench.store.flush()
    return {str(row["alert_id"]) for row in bench.rows("alerts", open_only=True)}


@pytest.mark.parametrize("stops_after", [0, 1])
def test_work_that_outlives_its_desk_writes_nothing_more(
    bench, take, context, tmp_path, monkeypatch, stops_after
) -> None:
    bench.table()
    take(range(10, 13), 3.2)
    writes, write = [], Store.write

    def counted(store: Store, policy: WritePolicy, work, *given, **named):
        writes.append(work)
        return write(store, policy, work, *given, **named)

    def stop() -> bool:
        """The table has been read, and so much of it written."""
        return bool(grid_work._book.known) and len(writes) >= stops_after

    monkeypatch.setattr(Store, "write", counted)
    settings = Settings.model_validate({"targets": {"roots": [str(tmp_path / "grid.csv")]}})
    grid_work = GridWork(context(settings=settings), tmp_path / "raw", stop=stop, now_ns=lambda: 1)
    grid_work.carry_out(frozenset(), final=True)
    assert grid_work._book.known
    assert len(writes) == stops_after


def test_it_can_be_switched_off(context, store, tmp_path) -> None:
    bench = Bench(context, store, tmp_path, enabled=False)
    bench.table()
    bench.run()
    assert bench.desk.drained(final=True)
    assert bench.rows("grid")[0]["holes"] == 0
