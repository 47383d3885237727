"""From path and parameters to status and body, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from frazil.actors.api import HttpReply, SessionApi
from frazil.config.errors import DaemonGoneError, FrazilError, NotThereError, QueryError, RemoteError

HOST = "127.0.0.1:8000"


class Source:
    """Echoes what it is asked; raises what it is given."""

    def __init__(self, error: FrazilError | None = None) -> None:
        self._error = error

    def _say(self, text: str) -> bytes:
        if self._error is not None:
            raise self._error
        return text.encode()

    def state(self) -> bytes:
        return self._say("state")

    def summary(self) -> bytes:
        return self._say("summary")

    def query(self, name: str, params: Mapping[str, str]) -> bytes:
        return self._say(f"{name} {dict(params)}")

    def thumbnail(self, movie_id: str) -> bytes:
        return self._say(movie_id)


def test_each_path_asks_for_its_own() -> None:
    api = SessionApi(Source())
    assert api.answer("GET", "/state", {}, HOST) == HttpReply(200, "application/json", b"state")
    assert api.answer("GET", "/summary/", {}, "localhost") == HttpReply(200, "application/json", b"summary")
    assert api.answer("GET", "/query/movies", {"limit": "3"}, HOST).body == b"movies {'limit': '3'}"
    assert api.answer("GET", "/thumbnail/m1", {}, HOST) == HttpReply(200, "image/png", b"m1")


@pytest.mark.parametrize("path", ["/", "/query", "/query/a/b", "/thumbnail", "/state/x", "/sql"])
def test_other_paths_are_not_found(path: str) -> None:
    assert SessionApi(Source()).answer("GET", path, {}, HOST).status == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [(QueryError("a"), 400), (NotThereError("a"), 404), (DaemonGoneError("a"), 503), (RemoteError("a"), 500)],
)
def test_errors_keep_their_meaning(error: FrazilError, status: int) -> None:
    reply = SessionApi(Source(error)).answer("GET", "/state", {}, HOST)
    assert reply.status == status
    assert json.loads(reply.body)["error"] == "a"


def test_only_reading_and_only_by_this_machines_names() -> None:
    api = SessionApi(Source())
    for method in ("POST", "PUT", "DELETE"):
        assert api.answer(method, "/state", {}, HOST).status == 405
    for host in ("evil.example", "evil.example:8000", "", "127.0.0.1.evil.example"):
        assert api.answer("GET", "/state", {}, host).status == 403
