"""What a session answers over HTTP, read-only: from a path and its parameters to a status, a type and a body.

No server lives here: `frazil.daemon.http_desk` puts it behind Ray Serve. `GET /state`, `/summary`,
`/query/NAME?param=value` and `/thumbnail/MOVIE_ID`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from frazil.config.errors import FrazilError, NotThereError, RetryLaterError, UsageError

_JSON = "application/json"
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost"})


class SessionSource(Protocol):
    """Where the answers come from; raises `frazil.config.errors` types."""

    def state(self) -> bytes:
        """The newest state as JSON."""
        ...

    def summary(self) -> bytes:
        """The session's summary as JSON."""
        ...

    def query(self, name: str, params: Mapping[str, str]) -> bytes:
        """Rows of a named query as JSON."""
        ...

    def thumbnail(self, movie_id: str) -> bytes:
        """A movie's thumbnail as PNG."""
        ...


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    content_type: str
    body: bytes


class SessionApi:
    """See the module."""

    def __init__(self, source: SessionSource) -> None:
        self._source = source

    def answer(self, method: str, path: str, params: Mapping[str, str], host: str) -> HttpReply:
        """The reply to one request.

        `host` is the request's Host header: a name other than this machine's own means that a web page in someone's
        browser was led here (DNS rebinding), and is refused.
        """
        if host.rsplit(":", 1)[0] not in _LOCAL_NAMES:
            return _failure(403, f"not for the host name {host!r}", "use http://127.0.0.1")
        if method != "GET":
            return _failure(405, f"{method} is not answered: this is read-only", "use GET")
        try:
            return self._route(path.strip("/").split("/"), params)
        except NotThereError as error:
            return _failure(404, error.what, error.remedy)
        except UsageError as error:
            return _failure(400, error.what, error.remedy)
        except RetryLaterError as error:
            return _failure(503, error.what, error.remedy)
        except FrazilError as error:
            return _failure(500, error.what, error.remedy)

    def _route(self, parts: list[str], params: Mapping[str, str]) -> HttpReply:
        match parts:
            case ["state"]:
                return HttpReply(200, _JSON, self._source.state())
            case ["summary"]:
                return HttpReply(200, _JSON, self._source.summary())
            case ["query", name]:
                return HttpReply(200, _JSON, self._source.query(name, params))
            case ["thumbnail", movie_id]:
                return HttpReply(200, "image/png", self._source.thumbnail(movie_id))
            case _:
                raise NotThereError(
                    f"there is nothing at /{'/'.join(parts)}",
                    remedy="ask for /state, /summary, /query/NAME or /thumbnail/MOVIE_ID",
                )


def _failure(status: int, what: str, remedy: str | None) -> HttpReply:
    return HttpReply(status, _JSON, json.dumps({"error": what, "remedy": remedy}).encode())
