"""Decisions posted to a stand-in for EPU's service: down, slow, failing, started again, without the session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from athena_stand_in import SESSION_ID, SESSION_NAME, StandIn
from grid_files import NAMESPACES, hole_xml, square_xml

from frazil.config.errors import RefusedError, RetryLaterError
from frazil.config.settings import Settings
from frazil.daemon.analysis.athena.client import AthenaClient, _read
from frazil.daemon.analysis.athena.decisions import RoundDecisions
from frazil.daemon.analysis.athena.posting import DecisionPoster
from frazil.daemon.analysis.targets.desk import GridDesk
from frazil.daemon.changes.targets import note_word
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes
from frazil.models.formats.grid.athena_records import AreaDecision

SQUARE, HOLES = 7, (101, 102, 103)
LONG_S = 20.0


def order(*numbers: int, round_number: int = 1, without_id: int = 0) -> RoundDecisions:
    """Holes in this order, others left out."""
    ranks = {number: rank for rank, number in enumerate(numbers, 1)}
    decided = [
        AreaDecision(number, "foilhole", "include", "true" if number in ranks else "false", "why") for number in HOLES
    ]
    decided += [
        AreaDecision(number, "foilhole", "acquisitionOrder", str(rank), "why") for number, rank in ranks.items()
    ]
    return RoundDecisions(round_number, tuple(decided), without_id, (SESSION_NAME,))


class Bench:
    """A poster with a clock that moves when the test says so; `step` tries once."""

    def __init__(self, context: Callable[..., object], store: Store, service: StandIn) -> None:
        self.service, self.store, self._context = service, store, context
        self.now_s = 0.0
        self.environ: dict[str, str] = {}
        self.poster = self.another()

    def another(self, *, timeout_s: float = 10.0, **targets: object) -> DecisionPoster:
        settings = Settings.model_validate({"targets": {"athena_url": self.service.url, **targets}})
        notices = Notices(self.store, utc_us=self._utc_us)
        context = self._context(settings=settings, notices=notices, clock=lambda: self.now_s, utc_us=self._utc_us)

        def client(url: str, token: str | None) -> AthenaClient:
            return AthenaClient(url, token, timeout_s=timeout_s)

        self.poster = DecisionPoster(context, environ=self.environ, client=client)  # type: ignore[arg-type]
        return self.poster

    def _utc_us(self) -> int:
        self.now_s += 1e-6
        return int(1e6 * self.now_s)

    def step(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.poster.step()
        self.store.flush()

    def open_alerts(self) -> list[str]:
        self.store.flush()
        rows = self.store.named("alerts", {"open_only": True, "limit": 100}).as_dicts()
        return [str(row["text"]) for row in rows if row["severity"] == "warning"]


@pytest.fixture
def service() -> StandIn:
    made = StandIn()
    made.register({SQUARE: list(HOLES)})
    return made


@pytest.fixture
def bench(context, store, service) -> Iterator[Bench]:
    made = Bench(context, store, service)
    yield made
    made.poster.close()
    assert service.complaints == [], "the description was kept to"


def test_a_round_is_posted_and_then_only_what_has_changed(bench, service, store) -> None:
    with service.serve():
        bench.poster.want(order(102, 101))
        bench.step()
        assert service.latest("include") == {101: "true", 102: "true", 103: "false"}
        assert service.latest("acquisitionOrder") == {102: "1", 101: "2"}
        before = len(service.decisions)
        bench.step(60.0)
        assert len(service.decisions) == before, "there is nothing new to say"

        bench.poster.want(order(102, 103, 101, round_number=2))
        bench.step()
    new = [(one["areaId"], one["decisionType"], one["decisionValue"]) for one in service.decisions[before:]]
    assert sorted(new) == [(101, "acquisitionOrder", "3"), (103, "acquisitionOrder", "2"), (103, "include", "true")]
    assert service.latest("acquisitionOrder") == {102: "1", 103: "2", 101: "3"}, "the old round's are overwritten"
    kept = {
        (row["area_id"], row["decision_type"]): (row["decision_value"], row["round"])
        for row in store.named("athena_decisions").as_dicts()
    }
    assert kept[103, "include"] == ("true", 2)
    assert kept[102, "acquisitionOrder"] == ("1", 1)


def test_a_service_that_is_down_at_the_start_is_told_once_and_gets_the_newest_round(bench, service, alerts) -> None:
    bench.poster.want(order(101))
    bench.step()
    bench.step(1.0)  # before its time
    for _ in range(4):
        bench.step(1000.0)
    down = [text for text in alerts() if "does not answer" in text]
    assert len(down) == 1
    assert down[0].startswith("what frazil advises does not reach EPU: EPU's decision service at 127.0.0.1")
    bench.poster.want(order(103, 101, round_number=2))
    with service.serve():
        bench.step(1000.0)
    assert service.latest("acquisitionOrder") == {103: "1", 101: "2"}
    assert {one["details"] for one in service.decisions} == {"why"}
    assert len(service.decisions) == 5, "the round that nobody could be told is not posted afterwards"
    assert bench.open_alerts() == []
    assert len([text for text in alerts() if "reaches EPU's decision service again" in text]) == 1


def test_failures_of_the_service_are_tried_again_ever_more_seldom(bench, service) -> None:
    service.broken = lambda: 500
    with service.serve():
        bench.poster.want(order(101))
        for _ in range(400):
            bench.step(1.0)
        asked = len(service.requests)
        assert 4 <= asked <= 8, "5, 10, 20, ... s"
        assert len(bench.open_alerts()) == 1
        service.broken = lambda: None
        bench.step(400.0)
    assert service.latest("include")[101] == "true"
    assert bench.open_alerts() == []


def test_a_failure_between_two_requests_loses_nothing_and_repeats_nothing(bench, service, monkeypatch) -> None:
    monkeypatch.setattr("frazil.daemon.analysis.athena.posting._AT_ONCE", 2)
    wanted, asked = order(102, 101), []

    def broken() -> int | None:
        asked.append(1)
        return 503 if len(asked) == 4 else None  # session, areas, the first two; then the next two

    service.broken = broken
    with service.serve():
        bench.poster.want(wanted)
        bench.step()
        assert len(service.decisions) == 2
        bench.step(100.0)
    assert len(service.decisions) == len(wanted.decisions)


def test_an_answer_that_comes_too_late_keeps_nobody_waiting(bench, service) -> None:
    bench.another(timeout_s=0.2)
    service.delay_s = 1.0
    with service.serve():
        bench.poster.want(order(101))
        bench.step()
        assert "does not answer in time" in bench.open_alerts()[0]
        service.delay_s = 0.0
        bench.step(100.0)
    assert service.latest("include")[101] == "true"


def test_an_answer_that_drips_is_given_up() -> None:
    class Dripping:
        def read1(self, _: int) -> bytes:
            return b" "

    with pytest.raises(TimeoutError):
        _read(Dripping(), time.monotonic() - 1.0)  # type: ignore[arg-type]


def test_a_restart_of_frazil_goes_on_with_what_it_has_said(bench, service) -> None:
    with service.serve():
        bench.poster.want(order(102, 101))
        bench.step()
        before = len(service.decisions)
        bench.another()
        bench.poster.want(order(102, 101))
        bench.step()
        assert len(service.decisions) == before
        bench.poster.want(order(101, round_number=2))
        bench.step()
    assert service.latest("include") == {101: "true", 102: "false", 103: "false"}


def test_a_failure_of_before_a_restart_is_over_when_the_service_answers(bench, service) -> None:
    bench.poster.want(order(101))
    bench.step()
    assert len(bench.open_alerts()) == 1
    bench.another()
    bench.poster.want(order(101))
    with service.serve():
        bench.step()
    assert bench.open_alerts() == []


def test_a_service_that_was_started_again_without_its_memory_is_told_everything(bench, service) -> None:
    with service.serve():
        bench.poster.want(order(102, 101))
        bench.step()
    service.decisions.clear()
    service.sessions.clear()
    with service.serve():
        bench.poster.want(order(102, 101, round_number=2))
        bench.step()
        (told,) = bench.open_alerts()
        assert "does not know this session" in told
        service.sessions[SESSION_ID] = SESSION_NAME
        bench.step(1000.0)
    assert service.latest("acquisitionOrder") == {102: "1", 101: "2"}
    assert bench.open_alerts() == []


def test_a_session_by_the_name_that_a_person_gives_or_by_none(bench, service) -> None:
    service.sessions["3fa85f64-5717-4562-b3fc-2c963f66afa6"] = "another one"
    with service.serve():
        bench.another(athena_session="another one")
        bench.poster.want(order(101))
        bench.step()
        assert {one["sessionId"] for one in service.decisions} == {"3fa85f64-5717-4562-b3fc-2c963f66afa6"}
        bench.another(athena_session=SESSION_ID)
        bench.poster.want(order(101))
        bench.step()
        assert service.decisions[-1]["sessionId"] == SESSION_ID, "what one session was told the other was not"
        bench.another()
        bench.poster.want(RoundDecisions(1, order(101).decisions, 0, ()))
        bench.step()
    (told,) = bench.open_alerts()
    assert "no EpuSession.dm" in told


def test_a_token_that_is_missing_or_wrong_is_told_and_never_written_anywhere(bench, service, alerts, caplog) -> None:
    caplog.set_level("DEBUG")
    service.token = "the-real-secret"
    with service.serve():
        bench.poster.want(order(101))
        bench.step()
        assert "does not let frazil in (401)" in bench.open_alerts()[0]
        bench.another(athena_token="env:ATHENA_TOKEN")
        bench.poster.want(order(101))
        bench.step()
        assert "the environment variable ATHENA_TOKEN is not set" in bench.open_alerts()[0]
        bench.environ["ATHENA_TOKEN"] = "another-secret"
        bench.step(1000.0)
        assert "does not let frazil in (401)" in bench.open_alerts()[0]
        bench.environ["ATHENA_TOKEN"] = "the-real-secret"
        bench.step(1000.0)
    assert service.latest("include")[101] == "true", "the token is read anew for each try"
    assert bench.open_alerts() == []
    assert not [text for text in (*alerts(), caplog.text) if "secret" in text]


def test_areas_that_the_service_does_not_know_wait_until_it_does(bench, service) -> None:
    service.areas.clear()
    with service.serve():
        bench.poster.want(order(101, 102))
        bench.step()
        assert service.decisions == []
        assert bench.open_alerts() == [
            "EPU's decision service at 127.0.0.1 knows none of the 3 squares and holes of this grid"
        ]
        service.register({SQUARE: [101]})
        service.areas[102] = "particle", 101
        bench.poster.want(order(101, 102, round_number=2))
        bench.step()
    assert set(service.latest("include")) == {101}, "a number that means something else there is not decided on"


def test_what_has_no_number_of_epus_is_told_once(bench, service, alerts) -> None:
    with service.serve():
        for number in (1, 2):
            bench.poster.want(order(101, round_number=number, without_id=12))
            bench.step()
    told = [text for text in alerts() if "no number of EPU's" in text]
    assert told == ["12 squares and holes have no number of EPU's and are left out of what is posted"]


def test_a_dry_run_posts_nothing_and_says_how_much_it_would(bench, service, alerts) -> None:
    bench.another(athena_dry_run=True)
    with service.serve():
        bench.poster.want(order(101, 102))
        bench.step()
    assert service.decisions == []
    assert not any(line.startswith("POST") for line in service.requests)
    assert any("would be told 5 decisions on 3 squares and holes" in text for text in alerts())


def test_something_else_at_the_address(service) -> None:
    client = AthenaClient(f"{service.url}/elsewhere", None)
    with service.serve(), pytest.raises(RefusedError, match=r"does not take what frazil asks \(400\)"):
        client.session("s")
    with service.serve():
        service.broken = lambda: 200  # an answer that is no session
        with pytest.raises(RefusedError, match="description"):
            client.session("s")
    with pytest.raises(RetryLaterError):
        client.session("s")


def test_the_thread_posts_by_itself_and_ends(bench, service) -> None:
    bench.poster.start()
    with service.serve():
        bench.poster.want(order(101))
        bench.poster.close()  # at once: what is due is tried
    assert service.latest("include")[101] == "true"
    assert not [thread for thread in threading.enumerate() if thread.name == "athena-poster"]


# --- from EPU's files to its service ------------------------------------------------------------------------------


def epu_folder(raw: Path) -> None:
    (raw / "Metadata").mkdir(parents=True)
    name = f'<?xml version="1.0"?><EpuSessionXml {NAMESPACES}><Name>{SESSION_NAME}</Name></EpuSessionXml>'
    (raw / "EpuSession.dm").write_text(name, encoding="utf-8")
    holes = "".join(
        hole_xml(number, 100.0 * n, 100.0, (3.0 * n, 0.0), order=n, near_bar=number == 103, selected=number != 103)
        for n, number in enumerate(HOLES)
    )
    (raw / "Metadata" / f"GridSquare_{SQUARE}.dm").write_text(square_xml(holes, number=SQUARE), encoding="utf-8")


@pytest.fixture
def desk(context, store, service, tmp_path) -> Iterator[GridDesk]:
    epu_folder(tmp_path / "raw")
    row = SessionRow("s", "s", str(tmp_path / "raw"), 1, "{}", "1")
    store.write(WritePolicy.DURABLE, session_writes.create_session, row)
    settings = Settings.model_validate({"targets": {"athena_url": service.url}})
    made = GridDesk(context(settings=settings, clock=time.monotonic, utc_us=lambda: time.time_ns() // 1000))
    yield made
    made.close()


def wait_for(what: Callable[[], bool], desk: GridDesk) -> None:
    ends_s = time.monotonic() + LONG_S
    while not what() and time.monotonic() < ends_s:
        desk.drained(final=True)
        time.sleep(0.02)
    assert what()


def test_the_grid_of_epus_files_is_decided_and_a_word_changes_it(desk, service, store, tmp_path) -> None:
    with service.serve():
        wait_for(lambda: bool(service.decisions), desk)
        assert service.latest("include") == {SQUARE: "true", 101: "true", 102: "true"}, "not the one at the bar"
        note_word(store, tmp_path, "101", "avoided", who="ann", now_utc_us=time.time_ns() // 1000)
        desk.movie_ended("m")
        wait_for(lambda: service.latest("include").get(101) == "false", desk)
        desk.close()
    assert service.complaints == []


def test_a_service_that_never_answers_delays_no_round(desk, service, store) -> None:
    service.delay_s = 2.0
    with service.serve():
        wait_for(lambda: bool(store.rows("SELECT 1 FROM target_rounds")), desk)
        assert service.decisions == [], "the round did not wait for it"
        desk.close()
