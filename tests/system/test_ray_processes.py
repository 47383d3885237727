"""What a private Ray starts, and that it is given the time that a busy machine takes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from frazil.actors import ray_processes, ray_runtime
from frazil.actors.ray_runtime import RayRuntime, RayStart
from frazil.config.errors import StopDaemonError

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def _below(pid: int) -> Iterator[tuple[str, int]]:
    """Names and niceness of all that this process has started."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        yield words[0].rsplit("/", 1)[-1], os.getpriority(os.PRIO_PROCESS, int(child))
        yield from _below(int(child))


def test_a_private_ray_has_no_process_that_nobody_asks() -> None:
    runtime = RayRuntime(cpu_count=1)
    try:
        runtime.ray.get(runtime.ray.put(1))
        found = dict(_below(os.getpid()))
        assert set(found) - {"ray::IDLE"} == {"gcs_server", "raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent"}
        assert set(found.values()) == {os.getpriority(os.PRIO_PROCESS, 0)}  # what comes up does not wait
        time.sleep(2.5)  # the agent would ask for its head every second
        (log,) = Path(runtime.ray._private.worker._global_node.get_logs_dir_path()).glob("dashboard_agent.log")
        assert "Get dashboard http address failed" not in log.read_text(encoding="utf-8")
    finally:
        runtime.close()


def test_a_ray_comes_up_meanwhile_and_stays_until_it_is_closed() -> None:
    with RayStart(cpu_count=1) as start:
        runtime = start.runtime()
        square = runtime.ray.remote(lambda number: number * number)
        assert runtime.ray.get([square.remote(number) for number in range(4)]) == [0, 1, 4, 9]
        gc.collect()  # whoever has started Ray's processes is still there: they would end with it
        assert runtime.ray.get(square.remote(5)) == 25
        assert start.runtime() is runtime
    assert not runtime.ray.is_initialized()
    start.close()  # again


def test_a_ray_that_does_not_start_says_so_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> RayRuntime:
        raise StopDaemonError(f"no Ray with {options}")

    monkeypatch.setattr(ray_runtime, "RayRuntime", refuse)
    with RayStart(cpu_count=1) as start, pytest.raises(StopDaemonError, match="no Ray with"):
        start.runtime()


def test_a_node_is_asked_for_until_it_has_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_processes, "_LOOK_EVERY_S", 0.0)
    asked: list[str] = []

    def get_node(address: str, node_id: str) -> str:
        asked.append(node_id)
        if len(asked) < 5:
            raise RuntimeError("not there")
        return address

    wait = ray_processes._patient(get_node)
    assert wait("here", "node") == "here"
    assert len(asked) == 5
    asked.clear()
    monkeypatch.setattr(ray_processes, "START_PATIENCE_S", -1.0)
    with pytest.raises(RuntimeError, match="not there"):
        wait("here", "node")


def test_names_of_rays_own_are_put_back() -> None:
    import ray._private.node
    import ray._private.services

    node, services = ray._private.node.Node, ray._private.services
    before = node.start_monitor, node.start_log_monitor, node.start_api_server, services.get_node
    with ray_processes.lean_start():
        # Fails in a Ray that has renamed one of them: then lean_start leaves a process that nobody wants.
        assert all(now is not then for now, then in zip(_names(node, services), before, strict=True))
    assert _names(node, services) == before


def _names(node: type, services: object) -> tuple[object, ...]:
    return (
        *(getattr(node, name) for name in ("start_monitor", "start_log_monitor", "start_api_server")),
        getattr(services, "get_node"),  # noqa: B009 - Ray's module has no types
    )
