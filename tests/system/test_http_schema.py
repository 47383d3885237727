"""schemathesis on the OpenAPI document: whatever it thinks of, the session answers as the document says.

The application runs in this process, on the daemon's real sockets and a real store; tests/system/test_api_http.py has
it behind Ray Serve.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imagecodecs
import numpy as np
import pytest

from frazil.daemon.http.api import FullError, HttpReply, HttpRequest, HttpRules, digest_of
from frazil.daemon.http.app import HttpApp, make_api
from frazil.daemon.http.cache import TimeBudget
from frazil.daemon.http.source import DaemonSource
from frazil.daemon.page.pages import Pages
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store.rows import AlertRow, MovieRow, ScoreRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.daemon.transport.messages import Command, GateState, LiveState, WorkerState
from frazil.daemon.transport.server import QueryServer
from frazil.models.formats.mrc_write import write_mrc

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (pip install -e '.[dev]')")

TOKEN = "a-token-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A session with one movie, its pictures, a verdict and an alert; `orders` has what reached the daemon's thread."""
    folder = tmp_path_factory.mktemp("s")
    orders: list[Command] = []

    def order(command: Command) -> str:
        orders.append(command)
        return "done"

    state = LiveState(
        session_name="grid 4", counts={"ready": 1}, workers=(WorkerState("w0"),), gate=GateState(), lag_p50_s=3.5
    )
    with Store.open(folder, now_utc_us=1) as store:
        store.submit(session_writes.create_session, SessionRow("s", "grid 4", "/raw", 1, "{}", "0")).result()
        store.submit(movie_writes.register_movie, MovieRow("m1", "a/m1.tif", 0, 1, sequence=0)).result()
        store.submit(session_writes.record_score, ScoreRow(0, "logic", 1, "{}", verdict=0.75)).result()
        store.submit(session_writes.record_alert, AlertRow("warning", "disk", "nearly full", 1)).result()
        for name in ("thumbnails", "motion", "restored"):
            (folder / name).mkdir()
        gradient = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
        for name in ("m1.png", "m1_restored.png"):
            (folder / "thumbnails" / name).write_bytes(imagecodecs.png_encode(gradient))
        for name in ("motion", "restored"):
            write_mrc(folder / name / "m1.mrc", gradient.astype(np.float32), pixel_size_angstrom=1.0)

        def pictures(connection: Any) -> None:
            connection.execute(
                "INSERT INTO quality (movie_id, thumbnail_path, micrograph_path, restored_path) VALUES "
                "('m1', 'thumbnails/m1.png', 'motion/m1.mrc', 'restored/m1.mrc')"
            )

        store.submit(pictures).result()
        service = DaemonService(store, folder, order, lambda: state)
        with QueryServer(folder, service, version="0"):
            yield SimpleNamespace(folder=folder, store=store, orders=orders)


@contextlib.contextmanager
def served(folder: Path, rules: HttpRules) -> Iterator[HttpApp]:
    """The application as it is behind Serve, but for how much may be asked of it."""
    source = DaemonSource(folder, TimeBudget(1e9, 1e9, clock=lambda: 0.0))
    app = HttpApp(make_api(source, rules))
    try:
        yield app
    finally:
        app.close()
        source.close()


def findings(app: HttpApp, *, path: str, at_least: int) -> list[str]:
    """What schemathesis finds with a fixed seed, in words."""
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {"max-examples": 3, "deterministic": True, "database": "none", "no-shrink": True},
            "phases": {"stateful": {"enabled": False}},
            "headers": {"Authorization": f"Bearer {TOKEN}"},
        }
    )
    # The stream of events has no end; others listen to it (test_event_stream.py, test_page_browser.py).
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config).exclude(path="/events")
    schema = schema.include(path_regex=path)
    found, cases = [], 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            cases += len(event.recorder.cases)
            for checks in event.recorder.checks.values():
                failed = [check for check in checks if check.failure_info is not None]
                found += [f"{event.recorder.label}: {check.name}: {check.failure_info}" for check in failed]
        elif isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(event))
    assert cases >= at_least, f"{cases} cases: schemathesis had nothing to ask"
    return found


@pytest.mark.parametrize(
    ("path", "at_least"),
    [
        ("^/[a-z.]+$|^/query/(movies|trend|rate_per_hour|failures)$|{movie_id}$", 400),
        pytest.param("/", 1000, marks=pytest.mark.slow),
    ],
)
def test_with_the_token_all_is_as_described(session: SimpleNamespace, path: str, at_least: int) -> None:
    with served(session.folder, HttpRules(digest_of(TOKEN), host_names=("testserver",))) as app:
        assert "\n\n".join(findings(app, path=path, at_least=at_least)) == ""
    assert {"pause", "resume", "class-verdict"} == {order.name for order in session.orders}
    assert _counts(session)["interventions"] > 0


def test_without_a_token_nothing_can_be_written(session: SimpleNamespace) -> None:
    before = (_counts(session), len(session.orders))
    with served(session.folder, HttpRules(host_names=("testserver",))) as app:
        assert (
            "\n\n".join(
                findings(
                    app,
                    path="^/(feedback|intervention|acknowledge|pause|resume|experiment|experiment_stop)$",
                    at_least=50,
                )
            )
            == ""
        )
    assert (_counts(session), len(session.orders)) == before


def test_a_night_of_holes_is_planned_and_an_impossible_plan_refused(session: SimpleNamespace) -> None:
    def plan(**body: object) -> HttpReply:
        head = {"authorization": f"Bearer {TOKEN}", "content_type": "application/json"}
        return app.answer(HttpRequest("POST", "/experiment", "testserver", body=json.dumps(body).encode(), **head))

    holes = [{"name": f"FoilHole_{number:08}", "square": f"GridSquare_{number // 50}"} for number in range(2000)]
    source = DaemonSource(session.folder, TimeBudget(1e9, 1e9, clock=lambda: 0.0))
    app = make_api(source, HttpRules(digest_of(TOKEN), host_names=("testserver",)))
    try:
        taken = plan(comparison="settle=5,20", holes=holes)
        assert taken.status == 200, taken.body
        told = json.loads(json.loads(taken.body)["message"])
        assert session.store.sql("SELECT count(*) FROM experiment_assignments").rows == ((2000,),)
        refused = plan(comparison="settle=5,5", movies=100, squares=["A"])
        assert (refused.status, "nothing to compare" in json.loads(refused.body)["error"]) == (409, True)
        assert plan(comparison=7).status == 400
        assert told["experiment_id"]
    finally:
        source.close()


def test_the_page_stands_although_others_have_used_up_the_budget(session: SimpleNamespace) -> None:
    now_s = [0.0]
    budget = TimeBudget(0.01, 3.0, clock=lambda: 0.0)
    source = DaemonSource(session.folder, budget, clock=lambda: now_s[0])
    try:
        pages = Pages(source)
        before = pages.make("overview", {})
        budget.spend(1000.0)
        now_s[0] = 3600.0
        with pytest.raises(FullError):
            source.table("movies", {"limit": 1})
        assert "grid 4" in before
        assert "grid 4" in pages.make("overview", {})
    finally:
        source.close()


def _counts(session: SimpleNamespace) -> dict[str, int]:
    tables = ("feedback", "interventions", "alerts", "movies")
    return {name: session.store.sql(f"SELECT count(*) FROM {name}").rows[0][0] for name in tables}
