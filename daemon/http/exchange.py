"""A request and its reply, as they are on both sides of whatever server there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frazil.daemon.transport.messages import LiveState


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a server has read it: path and parameters decoded, headers by meaning ('' or None: absent)."""

    method: str
    path: str
    host: str
    params: tuple[tuple[str, str], ...] = ()
    authorization: str = ""
    content_type: str = ""
    idempotency_key: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """`file`: the body is this file instead. `events`: the body is a stream of what this returns from now on."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    events: Callable[[], LiveState] | None = None
