"""`frazil watch --http PORT`: the session over HTTP by Ray Serve, on loopback unless a person says otherwise.

The one replica is a process of its own and a client of the daemon's socket like any other: a slow or hostile request
cannot hold up the daemon. Whoever has an account on this machine can read the port; the default is no HTTP. Writing
needs a token (`http.token`).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import stat
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from frazil.actors.niceness import be_nice
from frazil.config.errors import SettingsError, StopDaemonError, UsageError
from frazil.config.settings import HttpSettings
from frazil.daemon.http.api import HttpRules, digest_of
from frazil.daemon.http.app import HttpApp, make_api
from frazil.daemon.http.source import DaemonSource, time_budget
from frazil.daemon.http.starting import NotUpError, keep_starting
from frazil.daemon.session.secrets import read_secret

_log = logging.getLogger(__name__)
_LOOPBACK = "127.0.0.1"
_TOKEN_KEY = "http.token"
_LEAST_TOKEN = 16
_NICENESS = 19
"""Once it is up. Movie workers have 5: on a machine without a free core a process of this niceness gets 4 % of one (its
weight in Linux's scheduler is 15, theirs 335)."""
_CALL_TIMEOUT_S = 30.0
_NAME = "frazil"
_ATTEMPT_S, _LOOK_EVERY_S = 180.0, 0.5


class HttpServer:
    """Starts Serve beside the daemon (it takes seconds, and no movie waits for it), again if need be, and ends it.

    Serve runs in the Ray that this process has joined, which was started with `ray_start.serve_environment`.

    Parameters
    ----------
    port:
        None: no HTTP.
    address:
        What is listened on.
    rules:
        See `http_rules`.
    own_ray:
        It is one that frazil has started, on loopback.
    tell:
        Told a sentence while HTTP is not up although it should be, and None when that has passed.

    Raises
    ------
    UsageError
        If the port is taken, or the Ray is not frazil's own.
    """

    def __init__(
        self,
        session_dir: Path,
        port: int | None,
        *,
        own_ray: bool,
        tell: Callable[[str | None], None],
        address: str = _LOOPBACK,
        rules: HttpRules = HttpRules(),
    ) -> None:
        self._session_dir, self._port, self._tell = session_dir.resolve(), port, tell
        self._address, self._rules = address, rules
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        if port is not None:
            if not own_ray:
                raise UsageError(
                    "--http is not for a Ray cluster that others use: its Serve listens where they chose",
                    remedy="leave --http out, or leave workers.ray_address out",
                )
            _refuse_taken_port(address, port)
            self._thread = threading.Thread(target=self._start, name="frazil-http", daemon=True)
            self._thread.start()

    def _start(self) -> None:
        if keep_starting(self._attempt, pause=self._closed.wait, tell=self._tell):
            _log.info("HTTP on %s:%s", self._address, self._port)

    def _attempt(self) -> bool:
        """Whether it is up; False: closed meanwhile. Raises for what failed."""
        import ray
        from ray import serve  # late: it takes a second, and most sessions have no HTTP

        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        quiet = {"enable_access_log": False, "log_level": "WARNING"}
        # Serve wants a proxy too: nobody is told where it is.
        serve.start(proxy_location="HeadOnly", http_options={"host": _LOOPBACK, "port": 0}, logging_config=quiet)
        if self._closed.is_set():
            return False
        # More requests than the replica takes at once: it is the one that says so in words.
        deployment = serve.deployment(
            name=_NAME,
            num_replicas=1,
            ray_actor_options={"num_cpus": 0},
            max_ongoing_requests=256,
            health_check_period_s=20,
            health_check_timeout_s=120,
        )(HttpReplica)
        bound = deployment.bind(str(self._session_dir), self._rules, self._address)
        serve.run_many([serve.RunTarget(bound, name=_NAME, logging_config=quiet)], wait_for_applications_running=False)
        try:
            up = self._wait(lambda: _state_of(serve))
        except NotUpError:
            # A port that one process could not have is kept from the next by the same Serve: it has to go.
            serve.shutdown()  # type: ignore[no-untyped-call]
            raise
        if up:
            _give_way(ray)
        return up

    def _wait(self, state: Callable[[], str]) -> bool:
        """Until Serve says that the session is served; False: closed meanwhile. Raises `NotUpError`."""
        until_s = time.monotonic() + _ATTEMPT_S
        while not self._closed.wait(_LOOK_EVERY_S):
            said = state()
            if said == "RUNNING":
                return True
            if said == "DEPLOY_FAILED":
                raise NotUpError("its process ended while it started", remedy="see the session's logs/daemon.log")
            if time.monotonic() > until_s:
                raise NotUpError("its process does not come up in time, the machine is busy")
        return False

    def close(self) -> None:
        """Start nothing any more; waits for an attempt that is under way, since Ray, asked when it has ended, would
        start another. Serve itself ends with frazil's Ray."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()


def _state_of(serve: Any) -> str:
    found = serve.status().applications.get(_NAME)
    return "" if found is None else str(found.status.value)


class HttpReplica:
    """The class behind Serve: lives in a worker process."""

    def __init__(self, session_dir: str, rules: HttpRules, address: str) -> None:
        _listen_where_told(address)
        self._gives_way = False
        self._app = HttpApp(make_api(DaemonSource(Path(session_dir), time_budget()), rules))

    async def __call__(self, request: Any) -> Any:
        """Starlette request in, Starlette response out."""
        answer = await self._app.respond(request)
        if not self._gives_way:
            # Not before: with this niceness it would not come up for minutes where all cores are busy.
            be_nice(None, _NICENESS)
            self._gives_way = True
        return answer


def http_rules(settings: HttpSettings, environ: Mapping[str, str]) -> HttpRules:
    """Who may do what. The token itself is forgotten here: what Ray carries to the replica is its digest.

    Raises
    ------
    SettingsError
        The token is not where the settings say, is short enough to be guessed, or others can read its file.
    """
    names = (settings.address, *settings.host_names)
    if settings.token is None:
        return HttpRules(host_names=names)
    token = read_secret(settings.token, _TOKEN_KEY, environ)
    kind, _, where = settings.token.partition(":")
    if kind == "file" and (path := Path(where).expanduser()).stat().st_mode & stat.S_IROTH:
        raise SettingsError(f"{_TOKEN_KEY}: everybody can read it", path=path, remedy=f"chmod o-rwx {path}")
    if len(token) < _LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise SettingsError(
            f"{_TOKEN_KEY}: what {settings.token} holds is no token of {_LEAST_TOKEN} or more ASCII characters",
            remedy="make one with `openssl rand -hex 32`",
        )
    beyond = not ipaddress.ip_address(settings.address).is_loopback
    return HttpRules(digest_of(token), reading_needs_token=beyond, host_names=names)


def _give_way(ray: Any) -> None:
    """Serve's own processes ask for the cores after everybody else, as the replica does."""
    try:
        controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
        proxies = ray.get(controller.get_proxies.remote(), timeout=_CALL_TIMEOUT_S)
        for process in (controller, *proxies.values()):
            ray.get(process.__ray_call__.remote(be_nice, _NICENESS), timeout=_CALL_TIMEOUT_S)
    except Exception:  # boundary to names that are Ray's own: it serves all the same
        _log.warning("Serve's processes keep their niceness", exc_info=True)


def _listen_where_told(address: str) -> None:
    """Serve 2.60 opens a port for calls between replicas on every interface, and whoever reaches it can have pickles
    loaded (ray/serve/_private/replica.py, `_on_initialized`, which runs after the constructor of this class; no switch
    exists): that one is kept on loopback. HTTP goes to `address`, the proxy's stays on loopback. Raises
    `StopDaemonError` in a Ray where this is done otherwise: better no HTTP than an open port."""
    from ray.serve._private import replica

    opener, starter = "add_port_to_grpc_server", "start_asgi_http_server"
    if not (hasattr(replica, opener) and hasattr(replica, starter)):
        raise StopDaemonError(
            "this release of Ray Serve may open a port to the network", remedy="install ray[serve]>=2.60,<2.62"
        )
    open_port, start_server = getattr(replica, opener), getattr(replica, starter)

    def on_loopback(server: Any, where: str) -> Any:
        return open_port(server, f"{_LOOPBACK}:{where.rsplit(':', 1)[1]}")

    def on_address(app: Any, options: Any, **others: Any) -> Any:
        return start_server(app, options.model_copy(update={"host": address}), **others)

    setattr(replica, opener, on_loopback)
    setattr(replica, starter, on_address)


def _refuse_taken_port(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"port {port} of {address} cannot be used for HTTP ({error})", remedy="choose another with --http"
            ) from error
