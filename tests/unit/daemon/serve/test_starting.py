"""What a session is started with: settings, gain, port, GPUs; what its process is told and what it is not."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest
import yaml

from frazil.config.errors import RetryLaterError
from frazil.config.serving import Rule, ServeRules, Treatment
from frazil.daemon.serve.candidates import newest_gain
from frazil.daemon.serve.children import Children, Order, last_words, process_began, watch_command
from frazil.daemon.serve.folders import Access
from frazil.daemon.serve.notify import notify
from frazil.daemon.serve.records import Acquisition, Records, State
from frazil.daemon.serve.starter import free_port, machine_gpus, order_for

OPEN = Access(0o750)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made = Records(tmp_path / "sessions")
    made.prepare()
    return made


def order(tmp_path: Path, records: Records, treatment: Treatment, rules: ServeRules, place: int = 0) -> Order:
    acquisition = tmp_path / "apo"
    acquisition.mkdir(exist_ok=True)
    one = Acquisition(folder=str(acquisition), program="epu", session="apo", state=State.QUEUED)
    return order_for(one, treatment, rules, tmp_path / "serve.yaml", records, place=place, access=OPEN, ports_taken=())


def test_the_newest_gain_that_there_is(tmp_path: Path) -> None:
    for name, time_s in (("b_gain.mrc", 100), ("a_gain.mrc", 200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time_s, time_s))
    (tmp_path / "apo [1]").mkdir()
    (tmp_path / "apo [1]" / "c_gain.mrc").touch()
    assert newest_gain(str(tmp_path / "*_gain.mrc"), tmp_path / "x") == tmp_path / "a_gain.mrc"
    assert newest_gain("*_gain.mrc", tmp_path / "apo [1]") == tmp_path / "apo [1]" / "c_gain.mrc"
    assert newest_gain("*.gain", tmp_path) is None


def test_a_session_begins_with_the_rules_settings_and_goes_on_with_its_own(tmp_path: Path, records: Records) -> None:
    (tmp_path / "apo").mkdir()
    (tmp_path / "apo" / "gain.mrc").touch()
    rule = Rule(name="krios", preset="krios-k3", gain="gain.mrc", quiet_minutes=3)
    first = order(tmp_path, records, rule, ServeRules(gpus=(2, 3)), place=1)
    assert first.settings is not None
    told = yaml.safe_load(first.settings.read_text())
    assert told == {"preset": "krios-k3", "camera": {"gain": str(tmp_path / "apo" / "gain.mrc")}}
    assert (first.quiet_s, first.gpus, first.http_port) == (180.0, (3,), None)
    assert watch_command(first)[-4:] == ["--exit-when-idle", "180", "--config", first.settings]
    (first.session_dir / "settings.yaml").touch()
    again = order(tmp_path, records, rule, ServeRules(gpus=(2, 3)), place=1)
    assert again.settings is None
    assert "--config" not in watch_command(again)
    (tmp_path / "apo" / "gain.mrc").unlink()
    (first.session_dir / "settings.yaml").unlink()
    with pytest.raises(RetryLaterError, match="no gain reference"):
        order(tmp_path, records, rule, ServeRules())


def test_without_gpus_the_cores_are_shared_out(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("frazil.daemon.serve.starter.usable_cpu_count", lambda: 9)
    first = order(tmp_path, records, Treatment(), ServeRules(max_sessions=4))
    assert first.settings is not None
    assert yaml.safe_load(first.settings.read_text()) == {"workers": {"count": 2}}


def test_gpus_are_those_of_this_process_or_of_the_machine(tmp_path: Path) -> None:
    assert machine_gpus({"CUDA_VISIBLE_DEVICES": "1, 3"}) == (1, 3)
    assert machine_gpus({"CUDA_VISIBLE_DEVICES": ""}) == ()
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert machine_gpus({}, tmp_path) == (0, 1)
    assert machine_gpus({}, tmp_path / "none") == ()


def test_a_port_that_somebody_has_is_passed_over() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert free_port((port, port), ()) is None
    low = min(port, 65533)
    assert free_port((low, low + 2), (low,), first=None) in (low + 1, low + 2)
    assert free_port((low, low), (low,)) is None


def command(*words: str):
    return lambda order: [sys.executable, "-c", *words]


def test_a_process_has_its_own_group_umask_and_log_and_none_of_serves_secrets(tmp_path: Path) -> None:
    code = (
        "import os, sys; open(os.path.join(sys.argv[1], 'made'), 'w').close(); "
        "print(os.getsid(0) == os.getpid(), os.environ.get('NOTIFY_SOCKET'), os.environ['CUDA_VISIBLE_DEVICES']); "
        "print('\\rfrazil: no gain', end=''); sys.exit(2)"
    )
    children = Children(command(code, str(tmp_path)), environment={**os.environ, "NOTIFY_SOCKET": "/run/x"})
    log = tmp_path / "log"
    pid, began = children.start(Order(tmp_path, tmp_path, log, OPEN, None, 1.0, gpus=(1, 2)))
    while children.alive(pid, began):
        time.sleep(0.01)
    assert children.exit_code(pid) == 2
    assert log.read_text().splitlines()[0] == "True None 1,2"
    assert last_words(log) == "no gain"
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640
    assert log.stat().st_mode & 0o777 == 0o640


def test_a_process_that_another_serve_started_is_known_by_its_start(tmp_path: Path) -> None:
    mine, other = Children(command("import time; time.sleep(60)")), Children()
    pid, began = mine.start(Order(tmp_path, tmp_path, tmp_path / "log", OPEN, None, 1.0))
    assert began == process_began(pid)
    assert other.alive(pid, began)
    assert not other.alive(pid, (began or 0) + 1)  # the number was used again
    other.ask_to_end(pid, began)
    while mine.alive(pid, began):
        time.sleep(0.01)
    assert other.exit_code(pid) is None
    assert mine.exit_code(pid) == -15
    assert not other.alive(pid, began)


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@frazil-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        assert notify("READY=1", "STATUS=2 run\nSTOPPING=1", environment={"NOTIFY_SOCKET": name})
        assert manager.recv(200) == b"READY=1\nSTATUS=2 run STOPPING=1"
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": name})
    assert not notify("READY=1", environment={})
