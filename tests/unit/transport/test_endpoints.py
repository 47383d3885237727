from __future__ import annotations

import os
from pathlib import Path

import pytest

from frazil.config.errors import EndpointError
from frazil.daemon.transport.endpoints import (
    CurveServerKeys,
    check_ipc_path,
    check_private,
    create_endpoints,
    find_endpoints,
    session_key,
    tcp_endpoints,
)

KEYS = CurveServerKeys("p" * 40, "s" * 40, ("c" * 40,))


def test_the_directory_is_private_and_found_again(runtime: Path, tmp_path: Path) -> None:
    old_umask = os.umask(0)
    try:
        endpoints = create_endpoints(tmp_path)
    finally:
        os.umask(old_umask)
    assert endpoints.directory == runtime / "frazil" / session_key(tmp_path)
    assert endpoints.directory.stat().st_mode & 0o777 == 0o700
    assert endpoints.directory.parent.stat().st_mode & 0o777 == 0o700
    assert endpoints.query == f"ipc://{endpoints.directory}/query.sock"
    assert find_endpoints(tmp_path) is None, "nobody listens yet"


def test_a_link_to_the_session_is_the_session(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert session_key(tmp_path / "link") == session_key(tmp_path / "real")
    assert session_key(tmp_path / "real") != session_key(tmp_path)


def test_without_a_runtime_directory_the_temporary_one_serves(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "cleaned-up-at-logout"))
    monkeypatch.setattr("frazil.daemon.transport.endpoints.Path.is_dir", lambda path: False)  # no /run/user either
    directory = create_endpoints(tmp_path).directory
    assert directory is not None
    assert directory.parent == runtime / f"frazil-{os.getuid()}"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755, 0o701])
def test_a_directory_that_others_reach_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(EndpointError, match="chmod 700"):
        check_private(directory)


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EndpointError, match="link"):
        check_private(tmp_path / "d")


def test_a_directory_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(EndpointError, match=f"belongs to user {owner}"):
        check_private(tmp_path)


def test_daemon_passes_over_an_unsafe_place(runtime: Path, tmp_path: Path) -> None:
    (runtime / "frazil").mkdir()
    (runtime / "frazil").chmod(0o777)
    directory = create_endpoints(tmp_path).directory
    assert directory is not None
    assert directory.parent != runtime / "frazil"


def test_client_refuses_an_unsafe_place(runtime: Path, tmp_path: Path) -> None:
    (runtime / "frazil" / session_key(tmp_path)).mkdir(parents=True)
    (runtime / "frazil").chmod(0o777)
    with pytest.raises(EndpointError, match="can be reached by others"):
        find_endpoints(tmp_path)


def test_the_path_limit_is_in_bytes() -> None:
    check_ipc_path(Path("/" + "a" * 106))
    with pytest.raises(EndpointError, match="108 bytes"):
        check_ipc_path(Path("/" + "a" * 107))
    with pytest.raises(EndpointError, match="109 bytes"):
        check_ipc_path(Path("/" + "ü" * 54))


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "::", "0", "0x0", "", "0:0:0:0:0:0:0:0"])
def test_all_interfaces_are_refused_even_with_keys(host: str) -> None:
    with pytest.raises(EndpointError, match="refusing"):
        tcp_endpoints(host, 5555, 5556, curve=KEYS)


def test_tcp_needs_keys() -> None:
    with pytest.raises(EndpointError, match="without keys"):
        tcp_endpoints("127.0.0.1", 5555, 5556, curve=None)
    with pytest.raises(EndpointError, match="no client key"):
        tcp_endpoints("127.0.0.1", 5555, 5556, curve=CurveServerKeys("p", "s", ()))
    assert tcp_endpoints("127.0.0.1", 5555, 5556, curve=KEYS).query == "tcp://127.0.0.1:5555"
    assert tcp_endpoints("::1", 5555, 5556, curve=KEYS).events == "tcp://[::1]:5556"
