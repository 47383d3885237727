"""Requests to EPU's decision service and its answers: the socket alone. What the records are says
`models/formats/grid/athena_records.py`.

Nothing is followed to another address, and no proxy of the environment is asked: the service stands beside the
microscope.
"""

from __future__ import annotations

import http.client
import ssl
import time
import uuid
from urllib.parse import quote, urlencode, urlsplit

from frazil.config.errors import FormatError, NotThereError, RefusedError, RetryLaterError
from frazil.models.formats.grid.athena_records import Area, ServiceSession, read_areas, read_session

TIMEOUT_S = 20.0
"""For a connection, for each part of an answer, and for the answer as a whole three times that."""
_MOST_BYTES = 64 << 20
_PART_BYTES = 1 << 16
_TRY_AGAIN = (408, 429)
"""Of the answers that blame the request, those that are about its time (RFC 9110, 15.5.9; RFC 6585, 4)."""
_UNKNOWN = (404, 409)
"""By the description: session or area are not registered."""
_NOT_ALLOWED = (401, 403)
_API = "/api/v1"


class AthenaClient:
    """See the module. Every method raises

    RetryLaterError
        The service does not answer, or not now.
    NotThereError
        It does not know the session, or one of the areas.
    RefusedError
        It does not take this, or its answer is none of the description.

    Parameters
    ----------
    url:
        To the part before `/api/v1`.
    token:
        Sent as `Authorization: Bearer`; None: nothing is.
    """

    def __init__(self, url: str, token: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._parts, self._token, self._timeout_s = urlsplit(url), token, timeout_s

    def session(self, name: str) -> ServiceSession:
        """By its name or its UUID."""
        path = f"/Session/{name}" if _is_uuid(name) else f"/Session?{urlencode({'sessionName': name}, quote_via=quote)}"
        try:
            return read_session(self._ask("GET", path))
        except FormatError as error:
            raise RefusedError(f"{self.name} answers with {error.what}") from error

    def areas(self, session_id: str) -> list[Area]:
        """All that EPU has registered."""
        try:
            return read_areas(self._ask("GET", f"/Session/{quote(session_id, safe='')}/Areas"))
        except FormatError as error:
            raise RefusedError(f"{self.name} answers with {error.what}") from error

    def post_decisions(self, body: bytes) -> None:
        """An array of decisions; returns when the service has them."""
        self._ask("POST", "/Decisions", body)

    @property
    def name(self) -> str:
        """For a person."""
        return f"EPU's decision service at {self._parts.hostname}"

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        ends_s = time.monotonic() + 3 * self._timeout_s
        try:
            connection.request(method, f"{self._parts.path.rstrip('/')}{_API}{path}", body, headers)
            response = connection.getresponse()
            answer = _read(response, ends_s)
        except TimeoutError as error:
            raise RetryLaterError(f"{self.name} does not answer in time") from error
        except OSError as error:
            raise RetryLaterError(f"{self.name} does not answer ({error.strerror or type(error).__name__})") from error
        except (http.client.HTTPException, ValueError) as error:
            # By its name alone: the words of these may hold what was sent.
            raise RetryLaterError(f"{self.name} answers with no HTTP ({type(error).__name__})") from error
        finally:
            connection.close()
        self._check(response.status)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def _check(self, status: int) -> None:
        if 200 <= status < 300:
            return
        if status in _UNKNOWN:
            raise NotThereError(f"{self.name} does not know this session, or one of its areas ({status})")
        if status in _NOT_ALLOWED:
            remedy = "give targets.athena_token (env:NAME or file:PATH), or another one"
            raise RefusedError(f"{self.name} does not let frazil in ({status})", remedy=remedy)
        if status in _TRY_AGAIN or status >= 500:
            raise RetryLaterError(f"{self.name} cannot answer now ({status})")
        raise RefusedError(f"{self.name} does not take what frazil asks ({status})")


def _read(response: http.client.HTTPResponse, ends_s: float) -> bytes:
    """Raises `TimeoutError` for an answer that drips, and `ValueError` for one without end."""
    parts, size = [], 0
    while part := response.read1(_PART_BYTES):
        size += len(part)
        if size > _MOST_BYTES:
            raise ValueError("too long an answer")
        if time.monotonic() > ends_s:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
