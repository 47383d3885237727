"""`frazil fetch` against a local HTTP server that serves a folder tree with index pages, as EMPIAR does."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from frazil.config.errors import NotThereError, RetryLaterError, UsageError
from frazil.daemon import archive


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Knows byte ranges, and breaks off once in the middle of files named in `broken`."""

    broken: set[str] = set()
    ranges: list[str] = []

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return super().do_GET()
        data = path.read_bytes()
        start = 0
        if (wanted := self.headers.get("Range")) is not None:
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start >= len(data):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if path.name in self.broken:
            self.broken.discard(path.name)
            body = body[: len(body) // 2]
        self.wfile.write(body)
        return None


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    root = tmp_path / "served"
    root.mkdir()
    _Handler.broken, _Handler.ranges = set(), []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", root
    server.shutdown()
    server.server_close()
    thread.join()


def _entry(root: Path) -> Path:
    data = root / "10204" / "data"
    (data / "Movies").mkdir(parents=True)
    (data / "aligned").mkdir()
    for number in range(5):
        (data / "Movies" / f"m{number} a.tiff").write_bytes(bytes([number]) * 3_000_000)
        (data / "Movies" / f"m{number} a.xml").write_text("<x/>")
        for copy in "ab":
            (data / "aligned" / f"m{number}{copy}.mrc").write_bytes(b"sum")
    (data / "Movies" / "gain.mrc").write_bytes(b"gain")
    (data / "readme.txt").write_text("text")
    return data


def _fetch_all(remotes: list[archive.Remote], out: Path) -> None:
    for remote in remotes:
        archive.fetch(remote, out, on_bytes=lambda done, total: None)


def test_movies_with_gain_and_sidecars_and_not_the_aligned_sums(served: tuple[str, Path], tmp_path: Path) -> None:
    url, root = served
    data = _entry(root)
    remotes = archive.plan("EMPIAR-10204", limit=2, base_url=url)
    assert [remote.relative_path for remote in remotes] == [
        "Movies/gain.mrc",
        "Movies/m0 a.xml",
        "Movies/m1 a.xml",
        "Movies/m0 a.tiff",
        "Movies/m1 a.tiff",
    ]
    _fetch_all(remotes, tmp_path / "out")
    for remote in remotes:
        assert (tmp_path / "out" / remote.relative_path).read_bytes() == (data / remote.relative_path).read_bytes()
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_a_broken_download_goes_on_where_it_stopped(served: tuple[str, Path], tmp_path: Path) -> None:
    url, root = served
    data = _entry(root)
    remote = archive.plan("EMPIAR-10204", limit=1, base_url=url)[-1]
    _Handler.broken.add("m0 a.tiff")
    with pytest.raises(RetryLaterError, match="Call again"):
        archive.fetch(remote, tmp_path, on_bytes=lambda done, total: None)
    assert not (tmp_path / remote.relative_path).exists()
    archive.fetch(remote, tmp_path, on_bytes=lambda done, total: None)
    assert (tmp_path / remote.relative_path).read_bytes() == (data / remote.relative_path).read_bytes()
    assert _Handler.ranges == ["bytes=1500000-"]


def test_a_finished_file_is_left_alone(served: tuple[str, Path], tmp_path: Path) -> None:
    url, root = served
    _entry(root)
    remote = archive.plan("EMPIAR-10204", limit=1, base_url=url)[-1]
    (tmp_path / "Movies").mkdir()
    (tmp_path / remote.relative_path).write_text("mine")
    archive.fetch(remote, tmp_path, on_bytes=lambda done, total: None)
    assert (tmp_path / remote.relative_path).read_text() == "mine"


def test_maps_and_models(served: tuple[str, Path], tmp_path: Path) -> None:
    url, root = served
    (root / "EMD-3001" / "map").mkdir(parents=True)
    (root / "EMD-3001" / "map" / "emd_3001.map.gz").write_bytes(b"map")
    (root / "4v1w.cif.gz").write_bytes(b"model")
    _fetch_all(archive.plan("emd-3001", limit=1, base_url=url), tmp_path)
    _fetch_all(archive.plan("4V1W", limit=1, base_url=url), tmp_path)
    assert (tmp_path / "emd_3001.map.gz").read_bytes() == b"map"
    assert (tmp_path / "4v1w.cif.gz").read_bytes() == b"model"


def test_what_is_not_there_and_what_is_no_accession(served: tuple[str, Path], tmp_path: Path) -> None:
    url, root = served
    with pytest.raises(NotThereError, match="Check the accession"):
        archive.plan("EMPIAR-99999", limit=1, base_url=url)
    (root / "10001" / "data").mkdir(parents=True)
    with pytest.raises(NotThereError, match="no movies"):
        archive.plan("EMPIAR-10001", limit=1, base_url=url)
    with pytest.raises(UsageError, match="accession"):
        archive.plan("hello", limit=1, base_url=url)


def test_an_archive_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(RetryLaterError, match="network"):
        archive.plan("EMPIAR-10204", limit=1, base_url="http://127.0.0.1:9")


def test_links_that_leave_the_entry_are_not_followed(served: tuple[str, Path], tmp_path: Path) -> None:
    url, root = served
    data = root / "10205" / "data"
    data.mkdir(parents=True)
    (root / "secret.tiff").write_bytes(b"no")
    (data / "index.html").write_text(
        "<a href='../../secret.tiff'>x</a><a href='http://127.0.0.1:9/y.tiff'>y</a>"
        "<a href='%2e%2e/%2e%2e/secret.tiff'>z</a><a href='good.tiff'>g</a>"
    )
    (data / "good.tiff").write_bytes(b"yes")
    with pytest.raises(NotThereError, match="outside its entry"):
        archive.plan("EMPIAR-10205", limit=9, base_url=url)
    (data / "index.html").write_text("<a href='../../secret.tiff'>x</a><a href='good.tiff'>g</a>")
    assert [remote.relative_path for remote in archive.plan("EMPIAR-10205", limit=9, base_url=url)] == ["good.tiff"]
