"""Where the sockets of a session lie, and whether that place is safe.

Default: `ipc://` sockets in `RUNTIME/frazil/HASH/` with `HASH` from the session's resolved path, so that a client
finds them knowing only the session. `RUNTIME` is `$XDG_RUNTIME_DIR`, else a directory of our own below the
temporary one (as tmux and gpg do). Both the daemon and the client look before they use it: directory, not a link,
ours, mode 0700; whoever can write there could answer in the daemon's name.

TCP only with CURVE keys on both sides, and never on all interfaces at once.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import EndpointError

MAX_IPC_PATH_BYTES = 107
"""`sockaddr_un.sun_path` of Linux without its closing zero."""

QUERY_SOCKET = "query.sock"
EVENTS_SOCKET = "events.sock"


@dataclass(frozen=True, slots=True)
class CurveServerKeys:
    """Z85 keys of the daemon and of every client it lets in."""

    public: str
    secret: str
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CurveClientKeys:
    """Z85 keys of a client, and the daemon's public one."""

    public: str
    secret: str
    server: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """ZeroMQ addresses of one session. `directory` is None for TCP."""

    query: str
    """ROUTER: requests."""
    events: str
    """PUB: the newest state."""
    directory: Path | None = None

    def present(self) -> bool:
        """Does a process listen here? Costs one local `connect`; TCP is taken to be there."""
        return self.directory is None or all(_listens(self.directory / name) for name in (QUERY_SOCKET, EVENTS_SOCKET))


def runtime_directories() -> Iterator[Path]:
    """Where sockets may lie, best first. The daemon takes the first that works, a client looks into all: the two may
    have been started with different environments (cron, ssh, a login manager that cleaned up)."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_absolute():
        yield Path(given) / "frazil"
    login = Path(f"/run/user/{os.getuid()}/frazil")
    if login.parent.is_dir() and (not given or Path(given) != login.parent):
        yield login
    yield Path(tempfile.gettempdir()) / f"frazil-{os.getuid()}"


def session_key(session_dir: Path) -> str:
    """16 hexadecimal digits that stand for the session's resolved path."""
    return hashlib.sha256(os.fsencode(session_dir.resolve())).hexdigest()[:16]


def create_endpoints(session_dir: Path) -> Endpoints:
    """The daemon's side: make (or check) the directory and name its sockets.

    Raises `EndpointError` with the reason of every place that was tried.
    """
    reasons: list[str] = []
    for runtime in runtime_directories():
        directory = runtime / session_key(session_dir)
        try:
            check_ipc_path(directory / EVENTS_SOCKET)
            for part in (runtime, directory):
                part.mkdir(mode=0o700, exist_ok=True)
                check_private(part)
        except (OSError, EndpointError) as error:
            reasons.append(str(error))
            continue
        return _at(directory)
    raise EndpointError(
        "no safe place for the daemon's sockets: " + "; ".join(reasons),
        remedy="set XDG_RUNTIME_DIR to a directory that belongs to you with mode 0700 and a short path",
    )


def find_endpoints(session_dir: Path) -> Endpoints | None:
    """The client's side: where a process listens for this session, or None. Unsafe places are passed over silently
    only when nothing lies in them; otherwise `EndpointError`."""
    for runtime in runtime_directories():
        directory = runtime / session_key(session_dir)
        if not directory.is_dir():
            continue
        check_private(runtime)
        check_private(directory)
        endpoints = _at(directory)
        if endpoints.present():
            return endpoints
    return None


def tcp_endpoints(
    host: str, query_port: int, events_port: int, *, curve: CurveServerKeys | CurveClientKeys | None
) -> Endpoints:
    """Addresses on a named interface. Raises `EndpointError` without keys, for `*`, `0.0.0.0` or `::`."""
    if curve is None:
        raise EndpointError(
            f"tcp on {host} without keys would let anyone on the network read and steer this session",
            remedy="give CURVE keys, or tunnel the local socket over ssh",
        )
    if isinstance(curve, CurveServerKeys) and not curve.clients:
        raise EndpointError("no client key is listed", remedy="list the public key of every client to let in")
    if not re.fullmatch(r"[0-9A-Za-z.:_-]+", host) or host in {"*", ""} or _is_everywhere(host):
        raise EndpointError(
            f"refusing to listen on {host!r}: that is every network the machine is on",
            remedy="name the one interface or address that clients use",
        )
    for port in (query_port, events_port):
        if not 0 < port < 65536:
            raise EndpointError(f"{port} is no TCP port", remedy="choose one between 1 and 65535")
    shown = f"[{host}]" if ":" in host else host
    return Endpoints(f"tcp://{shown}:{query_port}", f"tcp://{shown}:{events_port}")


def check_ipc_path(path: Path) -> None:
    """Raises `EndpointError` when the path does not fit into a socket address."""
    length = len(os.fsencode(path))
    if length > MAX_IPC_PATH_BYTES:
        raise EndpointError(
            f"the socket's path has {length} bytes, the system allows {MAX_IPC_PATH_BYTES}",
            path=path,
            remedy="set XDG_RUNTIME_DIR to a directory with a shorter path",
        )


def check_private(directory: Path) -> None:
    """Raises `EndpointError` unless this is a real directory that is ours and closed to others."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EndpointError("is a link or a file, not a directory", path=directory, remedy="remove it")
    if found.st_uid != os.getuid():
        raise EndpointError(f"belongs to user {found.st_uid}, not to you", path=directory, remedy="remove it")
    if found.st_mode & 0o077:
        raise EndpointError(
            f"can be reached by others (mode {found.st_mode & 0o777:o})",
            path=directory,
            remedy=f"close it with `chmod 700 {directory}`",
        )


def _at(directory: Path) -> Endpoints:
    return Endpoints(f"ipc://{directory / QUERY_SOCKET}", f"ipc://{directory / EVENTS_SOCKET}", directory)


def _is_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        try:  # 0, 0x0 and the like: what the system's own parser makes of it
            return socket.inet_aton(host) == b"\0\0\0\0"
        except OSError:
            return False


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True
