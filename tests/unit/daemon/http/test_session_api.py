"""From a request to status and body, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from frazil.config.errors import (
    DaemonGoneError,
    FrazilError,
    NotThereError,
    QueryError,
    RemoteError,
    UsageError,
)
from frazil.daemon.http.api import FullError, HttpReply, HttpRequest, HttpRules, SessionApi, digest_of
from frazil.daemon.http.orders import MAX_BODY_BYTES, Accept, Factor, Intervention, Order, Pause, read_order
from frazil.daemon.http.parameters import INT64_MAX, Parameter, Value
from frazil.daemon.http.routes import QueryDoc
from frazil.daemon.http.source import as_command
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.transport.messages import LiveState, Rows
from frazil.models.causal.factors import ALL_FACTORS

HOST = "127.0.0.1:8000"
TOKEN = "correct-horse-battery-staple"
QUERIES = {"movies": QueryDoc("Movies.", (Parameter("limit", int, 100, least=0), Parameter("state")))}


class Source:
    """Echoes what it is asked; raises what it is given."""

    def __init__(self, error: FrazilError | None = None) -> None:
        self._error = error
        self.orders: list[tuple[Order, str]] = []

    def _say(self, text: str) -> bytes:
        if self._error is not None:
            raise self._error
        return text.encode()

    def state(self) -> bytes:
        return self._say("state")

    def summary(self) -> bytes:
        return self._say("summary")

    def metrics(self) -> bytes:
        return self._say("metrics")

    def query(self, name: str, params: Mapping[str, Value]) -> bytes:
        return self._say(f"{name} {dict(params)}")

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes:
        return self._say(f"{movie_id} {kind} {small} {width_px}")

    def plan(self, experiment_id: str) -> bytes:
        return self._say(f"plan {experiment_id}")

    def next(self, limit: int, grid: str) -> bytes:
        return self._say(f"next {limit} {grid}".strip())

    def next_text(self, limit: int, grid: str) -> bytes:
        return self._say(f"lines {limit} {grid}".strip())

    def map_picture(self, kind: str) -> bytes:
        return self._say(f"map {kind}")

    def map_pictures(self) -> list[str]:
        return []

    def live(self) -> LiveState:
        self._say("")
        return LiveState(session_name="grid 4")

    def told(self) -> SessionSummary:
        self._say("")
        raise NotImplementedError

    def table(self, name: str, params: Mapping[str, Value]) -> Rows:
        self._say("")
        return Rows((), (), total=0)

    def micrograph_file(self, movie_id: str, kind: str) -> Path:
        return Path(f"/{movie_id}/{kind}")

    def order(self, order: Order, key: str) -> str:
        self.orders.append((order, key))
        return self._say("done").decode()


def make_api(source: Source | None = None, **rules: Any) -> SessionApi:
    return SessionApi(source or Source(), queries=QUERIES, schemas={}, rules=HttpRules(**rules), version="0")


def get(path: str, *params: tuple[str, str], **headers: Any) -> HttpRequest:
    return HttpRequest("GET", path, HOST, params, **headers)


def post(path: str, body: object, token: str | None = TOKEN, **headers: Any) -> HttpRequest:
    authorization = "" if token is None else f"Bearer {token}"
    told = {"content_type": "application/json", "authorization": authorization, **headers}
    return HttpRequest("POST", path, HOST, body=json.dumps(body).encode(), **told)


def error_of(reply: HttpReply) -> str:
    found = json.loads(reply.body)
    assert set(found) == {"error", "remedy"}
    return str(found["error"])


# --- reading -------------------------------------------------------------------------------------------------------


def test_each_path_asks_for_its_own() -> None:
    api = make_api()
    assert api.answer(get("/state")) == HttpReply(200, "application/json", b"state")
    assert api.answer(replace(get("/summary/"), host="LocalHost")).body == b"summary"
    assert api.answer(get("/next")) == HttpReply(200, "application/json", b"next 20")
    assert api.answer(get("/next", ("grid", "sample 2"))).body == b"next 20 sample 2"
    assert api.answer(get("/next.txt", ("limit", "3"))).body == b"lines 3"
    assert api.answer(get("/metrics")).content_type.startswith("text/plain; version=0.0.4")
    assert api.answer(get("/query/movies", ("limit", "3"))).body == b"movies {'limit': 3}"
    assert api.answer(get("/thumbnail/m1")) == HttpReply(200, "image/png", b"m1 sum True 1024")
    assert api.answer(get("/micrograph/m1", ("width_px", "64"))).body == b"m1 restored False 64"
    file = api.answer(get("/micrograph/m1", ("format", "mrc"), ("kind", "sum")))
    assert (file.file, file.content_type) == (Path("/m1/sum"), "application/octet-stream")


def test_pages_load_nothing_from_elsewhere_and_their_failures_are_pages() -> None:
    shown = make_api().answer(get("/movies", ("search", "<b>x")))
    assert (shown.status, shown.content_type) == (200, "text/html; charset=utf-8")
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert b"&lt;b&gt;x" in shown.body
    assert b"<b>x" not in shown.body
    failed = make_api(Source(DaemonGoneError("it is gone"))).answer(get("/"))
    assert (failed.status, failed.content_type) == (503, "text/html; charset=utf-8")
    assert b"It is gone." in failed.body
    assert make_api().answer(get("/movies", ("sort", "nothing"))).status == 400


def test_the_page_s_own_files_are_there_and_no_others() -> None:
    api = make_api(reading_needs_token=True, token_digest=digest_of(TOKEN))
    script = api.answer(get("/assets/page.js"))
    assert (script.status, script.content_type) == (200, "text/javascript; charset=utf-8")
    assert b"EventSource" in script.body
    assert api.answer(get("/assets/page.py")).status == 400
    assert api.answer(get("/")).status == 401  # the page itself is the session's


def test_who_listens_is_told_the_newest_state() -> None:
    reply = make_api().answer(get("/events"))
    assert reply.content_type == "text/event-stream"
    assert reply.events is not None
    assert reply.events().session_name == "grid 4"
    assert make_api(Source(DaemonGoneError("gone"))).answer(get("/events")).status == 503


@pytest.mark.parametrize(
    "path", ["/page", "/query", "/query/a/b", "/query/unknown", "/thumbnail", "/state/x", "/sql", "/thumbnail/a/b"]
)
def test_other_paths_are_not_found(path: str) -> None:
    assert make_api().answer(get(path)).status == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [(QueryError("a"), 400), (NotThereError("a"), 404), (DaemonGoneError("a"), 503), (RemoteError("a"), 500)],
)
def test_errors_keep_their_meaning(error: FrazilError, status: int) -> None:
    reply = make_api(Source(error)).answer(get("/state"))
    assert reply.status == status
    assert error_of(reply) == "a"


def test_who_asks_too_much_is_told_when_to_come_back() -> None:
    reply = make_api(Source(FullError("full", retry_after_s=3.2))).answer(get("/state"))
    assert (reply.status, reply.headers["Retry-After"]) == (429, "4")


@pytest.mark.parametrize(
    "params",
    [
        [("limit", "x")],
        [("limit", "-1")],
        [("limit", "1_0")],
        [("limit", " 1")],
        [("limit", "\u0661")],
        [("limit", str(INT64_MAX + 1))],
        [("limit", "1"), ("limit", "2")],
        [("unknown", "1")],
    ],
)
def test_parameters_that_are_not_described_are_refused(params: list[tuple[str, str]]) -> None:
    assert make_api().answer(get("/query/movies", *params)).status == 400


def test_numbers_are_finite_and_choices_are_kept() -> None:
    number = Parameter("x", float)
    assert number.read("-1.5e-3") == -0.0015
    for text in ("nan", "inf", "1e999", "", "1.", "0x1"):
        with pytest.raises(UsageError, match="x cannot be"):
            number.read(text)
    several = Parameter("m", choices=("a", "b"), several=True)
    assert several.read("a,b") == "a,b"
    with pytest.raises(UsageError, match="one of a, b"):
        several.read("a,c")
    with pytest.raises(UsageError, match="true or false"):
        Parameter("b", bool).read("1")


# --- methods and hosts ---------------------------------------------------------------------------------------------


def test_methods_that_are_not_there_name_those_that_are() -> None:
    api = make_api()
    for method in ("POST", "PUT", "DELETE", "TRACE"):
        reply = api.answer(HttpRequest(method, "/state", HOST))
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert api.answer(HttpRequest("GET", "/feedback", HOST)).headers["Allow"] == "OPTIONS, POST"
    assert api.answer(HttpRequest("OPTIONS", "/state", HOST)).status == 204
    assert api.answer(HttpRequest("HEAD", "/state", HOST)) == api.answer(get("/state"))


def test_only_by_this_machines_names() -> None:
    api = make_api(host_names=("Proxy.example",))
    for host in ("evil.example", "evil.example:8000", "", "127.0.0.1.evil.example"):
        assert api.answer(replace(get("/state"), host=host)).status == 403
    assert api.answer(replace(get("/state"), host="proxy.example:443")).status == 200


# --- writing -------------------------------------------------------------------------------------------------------

REJECT = {"verdict": "reject", "movie_id": "m1", "note": "ice", "who": "anna"}


def test_without_a_token_nothing_can_be_written() -> None:
    source = Source()
    api = make_api(source)
    for path in ("/feedback", "/intervention", "/acknowledge", "/pause", "/resume", "/experiment", "/experiment_stop"):
        reply = api.answer(post(path, REJECT, TOKEN))
        assert reply.status == 403
        assert "read-only" in error_of(reply)
    assert source.orders == []


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_a_wrong_token_writes_nothing(token: str | None) -> None:
    source = Source()
    reply = make_api(source, token_digest=digest_of(TOKEN)).answer(post("/feedback", REJECT, token))
    assert (reply.status, reply.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert source.orders == []


def test_the_token_writes_once_a_key() -> None:
    source = Source()
    api = make_api(source, token_digest=digest_of(TOKEN))
    accept = {"verdict": "accept", "movie_id": "m1"}
    assert json.loads(api.answer(post("/feedback", accept, idempotency_key="k-1")).body) == {"message": "done"}
    assert api.answer(post("/pause", {})).status == 200
    assert api.answer(replace(post("/pause", {}), body=b"", content_type="")).status == 200
    waited = {"sentence": "waited 5 s longer", "factor": "motion"}
    assert api.answer(post("/intervention", waited)).status == 200
    assert source.orders == [
        (Accept(movie_id="m1"), "k-1"),
        (Pause(), ""),
        (Pause(), ""),
        (Intervention(sentence="waited 5 s longer", factor="motion"), ""),
    ]


def test_a_change_may_be_told_afterwards() -> None:
    source = Source()
    api = make_api(source, token_digest=digest_of(TOKEN))
    said = {"sentence": "C2 50", "at": "2026-11-25T02:40:00+01:00"}
    assert api.answer(post("/intervention", said)).status == 200
    assert as_command(source.orders[0][0]) == (
        "intervention",
        {"sentence": "C2 50", "factor": "unexplained", "at_utc_us": 1_795_570_800_000_000},
    )
    for when in ("02:40", "2026-11-25T02:40:00", 5):  # nobody knows of which zone
        assert api.answer(post("/intervention", {"sentence": "C2 50", "at": when})).status == 400


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"verdict": "reject"},
        {"verdict": "delete", "movie_id": "m1"},
        {"verdict": "reject", "movie_id": ""},
        {"verdict": "reject", "movie_id": "m1", "who": "x" * 65},
        {"verdict": "reject", "movie_id": "m1", "note": "\x1b[2J"},
        {"verdict": "note"},
        {**REJECT, "state": "ready"},
    ],
)
def test_bodies_that_are_not_described_are_refused(body: object) -> None:
    source = Source()
    assert make_api(source, token_digest=digest_of(TOKEN)).answer(post("/feedback", body)).status == 400
    assert source.orders == []


def test_a_body_is_json_and_small() -> None:
    api = make_api(token_digest=digest_of(TOKEN))
    assert api.answer(post("/feedback", {"note": "x" * MAX_BODY_BYTES})).status == 413
    assert api.answer(post("/feedback", REJECT, content_type="text/plain")).status == 415
    assert api.answer(post("/feedback", REJECT, content_type="Application/JSON; charset=utf-8")).status == 200
    assert api.answer(post("/feedback", REJECT, idempotency_key="a b")).status == 400
    with pytest.raises(UsageError, match="is not what is wanted"):
        read_order("Feedback", b'{"verdict": "reject", "movie_id": "\xff"}')


def test_beyond_loopback_reading_needs_the_token_too() -> None:
    api = make_api(token_digest=digest_of(TOKEN), reading_needs_token=True)
    assert api.answer(get("/state")).status == 401
    assert api.answer(get("/state", authorization=f"bearer {TOKEN}")).status == 200
    assert api.answer(get("/openapi.json")).status == 200


# --- the document --------------------------------------------------------------------------------------------------


def document_of(api: SessionApi) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.answer(get("/openapi.json")).body)
    return found


def test_the_document_says_what_is_answered() -> None:
    document = document_of(make_api(token_digest=digest_of(TOKEN)))
    movies = document["paths"]["/query/movies"]["get"]
    assert movies["parameters"][0] == {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": INT64_MAX, "default": 100},
    }
    assert set(document["paths"]["/feedback"]["post"]["responses"]) >= {
        "200",
        "400",
        "401",
        "403",
        "404",
        "413",
        "429",
        "503",
    }
    assert document["paths"]["/feedback"]["post"]["security"] == [{"token": []}]
    assert "security" not in movies
    operations = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(operations)) == len(operations)


def test_the_document_asks_for_a_token_where_it_helps() -> None:
    assert "security" not in document_of(make_api())["paths"]["/feedback"]["post"]
    guarded = document_of(make_api(token_digest=digest_of(TOKEN), reading_needs_token=True))["paths"]
    assert guarded["/state"]["get"]["security"] == [{"token": []}]
    assert "security" not in guarded["/openapi.json"]["get"]


def test_factors_are_those_of_the_model() -> None:
    assert get_args(Factor) == ALL_FACTORS


def test_an_experiment_is_planned_told_as_csv_and_ended() -> None:
    source = Source()
    api = make_api(source, token_digest=digest_of("secret"))
    reply = api.answer(get("/experiment/x-5/plan.csv"))
    assert (reply.status, reply.content_type, reply.body) == (200, "text/csv; charset=utf-8", b"plan x-5")
    said = {"authorization": "Bearer secret", "content_type": "application/json"}
    body = b'{"comparison": "settle=5,20", "holes": [{"name": "h1", "ice": 0.4}], "squares": ["S1"], "who": "ada"}'
    assert api.answer(HttpRequest("POST", "/experiment", HOST, body=body, **said)).status == 200
    assert api.answer(HttpRequest("POST", "/experiment_stop", HOST, **said)).status == 200
    order, stop = (one for one, _ in source.orders)
    assert (order.comparison, order.holes[0].name, order.holes[0].ice, order.seed) == ("settle=5,20", "h1", 0.4, None)
    assert stop.experiment_id is None
    for wrong in (b"{}", b'{"comparison": "x", "outcome": "loss"}', b'{"comparison": "x", "movies": 0}',
                  b'{"comparison": "x", "seed": -1}', b'{"comparison": "x", "holes": [{"hole": 1}]}'):  # fmt: skip
        assert api.answer(HttpRequest("POST", "/experiment", HOST, body=wrong, **said)).status == 400
    assert len(source.orders) == 2
