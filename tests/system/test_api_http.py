"""The session over HTTP: through Ray Serve, the daemon's socket and the store, on loopback only."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import UsageError
from frazil.daemon.http.api import HttpRules, digest_of
from frazil.daemon.http.ray_start import serve_environment
from frazil.daemon.http.server import HttpServer
from frazil.daemon.status.answers import DaemonService
from frazil.daemon.store.rows import MovieRow, ScoreRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.daemon.transport.messages import LiveState
from frazil.daemon.transport.server import QueryServer
from frazil.models.formats.mrc_write import write_mrc

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Of Ray Serve's own settings, when it is imported beside pydantic 2.12 or newer.
    pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`"),
]


TOKEN = "a-token-of-the-tests-0123456789"


def _get(
    port: int, path: str, host: str | None = None, *, body: object = None, token: str | None = None
) -> tuple[int, str, bytes]:
    """A GET, or with a body a POST."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    headers |= {"Host": host} if host else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.headers["content-type"], reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


def _descendants(pid: int) -> set[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, todo = {pid}, [pid]
    while todo:
        fresh = parents.get(todo.pop(), [])
        found.update(fresh)
        todo += fresh
    return found


def _open_addresses() -> set[str]:
    """Addresses other than loopback on which this process or one below it listens."""
    inodes: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                words = bytes.fromhex(fields[1].split(":")[0])
                packed = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                address = ipaddress.ip_address(packed)
                address = getattr(address, "ipv4_mapped", None) or address
                if not address.is_loopback:
                    inodes[fields[9]] = f"{address} {int(fields[1].split(':')[1], 16)}"
    found = set()
    for pid in _descendants(os.getpid()):
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        found |= {inodes[link[8:-1]] for link in links if link.startswith("socket:[") and link[8:-1] in inodes}
    return found


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("s")
    with Store.open(folder, now_utc_us=1) as store:
        store.submit(session_writes.create_session, SessionRow("s", "grid 4", "/raw", 1, "{}", "0")).result()
        store.submit(movie_writes.register_movie, MovieRow("m1", "a/m1.tif", 0, 1, sequence=0)).result()
        store.submit(session_writes.record_score, ScoreRow(0, "logic", 1, "{}", verdict=0.75)).result()
        (folder / "thumbnails").mkdir()
        gradient = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
        (folder / "thumbnails" / "m1.png").write_bytes(imagecodecs.png_encode(gradient))
        (folder / "restored").mkdir()
        write_mrc(folder / "restored" / "m1.mrc", gradient.astype(np.float32), pixel_size_angstrom=1.5)

        def picture(connection: object) -> None:
            connection.execute(  # type: ignore[attr-defined]
                "INSERT INTO quality (movie_id, thumbnail_path, restored_path) VALUES "
                "('m1', 'thumbnails/m1.png', 'restored/m1.mrc')"
            )

        store.submit(picture).result()
        service = DaemonService(store, folder, lambda command: "", lambda: LiveState(session_name="grid 4"))
        with QueryServer(folder, service, version="0"):
            yield folder


@pytest.fixture(scope="module")
def port(session: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in serve_environment(number):
            patch.setenv(name, "1")  # what another session has left in the environment does not matter
        yield from _served(session, number)


def _served(session: Path, number: int) -> Iterator[int]:
    runtime = RayRuntime(cpu_count=1, environment=serve_environment(number))
    alerts: list[str | None] = []
    desk = HttpServer(session, number, own_ray=True, tell=alerts.append, rules=HttpRules(digest_of(TOKEN)))
    try:
        deadline_s = time.monotonic() + 300  # Serve starts in 10 s of processor time, on a busy machine much later
        while True:
            assert not alerts, alerts
            assert time.monotonic() < deadline_s, "HTTP did not come up"
            try:
                if _get(number, "/state")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.2)
        yield number
    finally:
        desk.close()
        runtime.close()


def test_state_summary_and_queries(port: int) -> None:
    status, kind, body = _get(port, "/state")
    assert (status, kind) == (200, "application/json")
    assert json.loads(body)["session_name"] == "grid 4"
    summary = json.loads(_get(port, "/summary")[2])
    assert summary["name"] == "grid 4"
    assert [(score["evaluator"], score["verdict"]) for score in summary["scores"]] == [("logic", 0.75)]
    table = json.loads(_get(port, "/query/movies?limit=5&state=found")[2])
    assert [row[table["columns"].index("relative_path")] for row in table["rows"]] == ["a/m1.tif"]
    assert json.loads(_get(port, "/query/movies?limit=5&state=ready")[2])["rows"] == []


def test_thumbnail_is_the_picture(port: int) -> None:
    status, kind, body = _get(port, "/thumbnail/m1")
    assert (status, kind) == (200, "image/png")
    picture = imagecodecs.png_decode(body)
    assert picture.shape == (48, 64)
    assert np.all(np.diff(picture[0].astype(int)) >= 0)
    assert picture[0, -1] > picture[0, 0]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/page", 404), ("/thumbnail/none", 404), ("/query/nothing", 404), ("/query/scores?limit=many", 400)],
)
def test_what_is_not_there_is_said_with_a_remedy(port: int, path: str, status: int) -> None:
    got, kind, body = _get(port, path)
    assert (got, kind) == (status, "application/json")
    assert json.loads(body)["error"]


def test_the_page_and_the_news_for_it(port: int) -> None:
    status, kind, body = _get(port, "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert b"<h1 id=verdict-title><bdi>grid 4</bdi></h1>" in body
    assert _get(port, "/assets/uplot.js")[0] == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = [stream.readline().decode() for _ in range(4)]
    assert told[0] == "retry: 3000\n"
    assert told[2] == "event: state\n"
    # A stream that was left takes nobody's place.
    assert _get(port, "/state")[0] == 200


def test_a_web_page_cannot_lead_a_browser_here(port: int) -> None:
    assert _get(port, "/state", host="evil.example")[0] == 403


def test_nothing_listens_beyond_loopback(port: int) -> None:
    assert _open_addresses() == set()


def test_metrics_and_the_description(port: int) -> None:
    status, kind, body = _get(port, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'frazil_session_info{preset="",session="grid 4"} 1.0' in body
    document = json.loads(_get(port, "/openapi.json")[2])
    assert document["openapi"] == "3.1.0"
    assert "/query/movies" in document["paths"]


def test_a_micrograph_as_a_picture_and_as_the_file_itself(port: int, session: Path) -> None:
    status, kind, body = _get(port, "/micrograph/m1?width_px=32")
    assert (status, kind) == (200, "image/png")
    assert imagecodecs.png_decode(body).shape == (24, 32)
    status, kind, body = _get(port, "/micrograph/m1?format=mrc")
    assert (status, kind) == (200, "application/octet-stream")
    assert body == (session / "restored" / "m1.mrc").read_bytes()


def test_only_the_token_writes(port: int) -> None:
    def said() -> list[str]:
        table = json.loads(_get(port, "/query/feedback?limit=1000")[2])
        return [row[table["columns"].index("note")] for row in table["rows"]]

    note = {"verdict": "note", "note": "by the token", "who": "anna"}
    assert _get(port, "/feedback", body=note)[0] == 401
    assert _get(port, "/feedback", body=note, token=TOKEN + "x")[0] == 401
    assert "by the token" not in said()
    assert _get(port, "/feedback", body=note, token=TOKEN)[0] == 200
    assert "by the token" in said()
    assert _get(port, "/feedback", body={**note, "note": "x" * 300_000}, token=TOKEN)[0] == 413


def test_serve_gives_way_to_movies(port: int) -> None:
    """All threads of Serve's own processes; the last to give way is the proxy."""

    def niceness() -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for pid in _descendants(os.getpid()):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
            if any(name in words for name in ("ServeReplica", "ProxyActor", "ServeController")):
                tasks = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
                found[words] = {os.getpriority(os.PRIO_PROCESS, task) for task in tasks}
        return found

    deadline_s = time.monotonic() + 60
    while not (len(found := niceness()) == 3 and set().union(*found.values()) == {19}):
        assert time.monotonic() < deadline_s, found
        time.sleep(0.2)


def test_schemathesis_finds_nothing(port: int, tmp_path: Path) -> None:
    """The whole document through Serve."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed (pip install -e '.[dev]')")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("run", f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--seed", "1"),
            *("--generation-deterministic", "--no-color"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]


def test_a_replica_that_dies_is_replaced_at_the_same_port(port: int) -> None:
    def replicas() -> set[int]:
        return {
            pid
            for pid in _descendants(os.getpid())
            if "ServeReplica" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        }

    (before,) = replicas()
    os.kill(before, signal.SIGKILL)
    deadline_s = time.monotonic() + 120
    while before in (now := replicas()) or not now:
        assert time.monotonic() < deadline_s, now
        time.sleep(0.2)
    while True:
        try:
            assert _get(port, "/state")[0] == 200
            break
        except OSError:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)


def test_a_taken_port_and_a_foreign_ray_are_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be used"):
            HttpServer(tmp_path, taken.getsockname()[1], own_ray=True, tell=lambda text: None)
    with pytest.raises(UsageError, match="cluster"):
        HttpServer(tmp_path, 1, own_ray=False, tell=lambda text: None)
