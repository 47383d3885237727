from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from frazil.daemon.transport.messages import (
    PROTOCOL,
    Command,
    Done,
    Failure,
    GateState,
    LiveState,
    NamedQuery,
    Picture,
    PictureReply,
    Ping,
    Pong,
    Reply,
    Request,
    Rows,
    Snapshot,
    Sql,
    WorkerState,
    decode_reply,
    decode_request,
    open_envelope,
    open_state,
    pack,
    pack_state,
)

REQUESTS = [
    Ping(),
    Snapshot(),
    NamedQuery("movies", {"limit": 3, "low": 1.5, "text": None, "descending": True, "state": "ready"}),
    Sql("select 1", 0.5),
    Picture("m", "power_spectrum", 80, 40),
    Command("reject", {"movie_id": "m", "reason": "crystalline [ice]"}, "id", "ann"),
]
REPLIES = [
    Pong(1, "/s", 2, "0.1"),
    LiveState(3, counts={"ready": 4}, workers=(WorkerState("gpu0", since_s=1.5),), gate=GateState("blocked", True)),
    Rows(("a", "b"), ((1, None), (2.5, "x"), (True, float("inf"))), True, 9),
    PictureReply(2, 1, b"\x00\xff"),
    Done("ok"),
    Failure("query", "no", "try", "p"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda body: type(body).__name__)
def test_a_request_comes_out_as_it_went_in(request_: Request) -> None:
    envelope = open_envelope(pack(5, request_))
    assert (envelope.protocol, envelope.request_id) == (PROTOCOL, 5)
    assert decode_request(envelope) == request_


@pytest.mark.parametrize("reply", REPLIES, ids=lambda body: type(body).__name__)
def test_a_reply_comes_out_as_it_went_in(reply: Reply) -> None:
    assert decode_reply(open_envelope(pack(5, reply))) == reply


def test_a_newer_daemon_may_say_more() -> None:
    body = {"type": "live_state", "sequence": 3, "workers": [{"name": "w", "temperature_c": 60}], "moon": "full"}
    data = msgspec.msgpack.encode([PROTOCOL, 3, body])
    assert open_state(data) == LiveState(3, workers=(WorkerState("w"),))


def test_a_state_of_another_protocol_is_passed_over() -> None:
    assert open_state(pack(1, LiveState(1), protocol=PROTOCOL + 1)) is None
    assert open_state(pack_state(LiveState(1))) == LiveState(1)


def test_a_wrong_field_is_named() -> None:
    data = msgspec.msgpack.encode([PROTOCOL, 1, {"type": "picture", "movie_id": "m", "kind": "x-ray"}])
    with pytest.raises(msgspec.ValidationError, match=r"\$\.kind"):
        decode_request(open_envelope(data))


def test_rows_as_dicts() -> None:
    assert Rows(("a", "b"), ((1, 2), (3, 4))).as_dicts() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_the_client_costs_no_heavy_import() -> None:
    code = (
        "import sys, frazil.daemon.client\n"
        "heavy = {'torch', 'ray', 'duckdb', 'numpy', 'pydantic', 'textual', 'typer', 'rich', 'networkx'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
