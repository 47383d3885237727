"""One worker per GPU: placement, pinning and coming back, with GPUs that are declared to Ray and not there."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.gpu_pool import WorkerPool, plan_workers
from frazil.actors.ray_runtime import RayRuntime
from frazil.config.errors import RestartWorkerError, UsageError
from frazil.config.loading import load_settings
from frazil.models.records import DeviceReport

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


class PinnedWorker:
    """Says which GPUs Ray left visible, without touching CUDA."""

    def __init__(self, config: WorkerConfig) -> None:
        self._name = config.name

    def describe(self) -> DeviceReport:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return DeviceReport(self._name, platform.node(), f"cuda:{visible}", "declared", None, os.getpid())


def test_workers_are_pinned_to_different_gpus_and_come_back_on_the_same(tmp_path: Path) -> None:
    settings = load_settings(flags={"workers.accelerator_type": "A100"})
    runtime = RayRuntime(cpu_count=1, gpu_count=3, resources={"accelerator_type:A100": 1})
    try:
        configs = plan_workers(
            settings,
            tmp_path,
            gpu_total=runtime.gpu_total(),
            accelerator_types=runtime.accelerator_types(),
            cpu_count=1,
        )
        assert [config.device for config in configs] == ["cuda"] * 3  # more GPUs than cores: none of them waits
        pool = WorkerPool(runtime, configs, worker_class=PinnedWorker)
        before = pool.wait_started()
        assert sorted(report.device for report in before.values()) == ["cuda:0", "cuda:1", "cuda:2"]
        future = pool.restart("gpu-1")
        assert pool.finished([future], 60.0) == [future]
        after = pool.outcome(future)
        assert after.device == before["gpu-1"].device
        assert after.pid != before["gpu-1"].pid
        pool.close()
    finally:
        runtime.close()


def test_what_the_cluster_does_not_have_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    def plan(gpu_total: int, **flags: object) -> list[WorkerConfig]:
        settings = load_settings(flags=flags)
        return plan_workers(settings, tmp_path, gpu_total=gpu_total, accelerator_types=["H100"], cpu_count=2)

    with pytest.raises(UsageError, match="there is no GPU"):
        plan(0, **{"workers.device": "cuda"})
    with pytest.raises(UsageError, match="no node reports a A100"):
        plan(2, **{"workers.accelerator_type": "A100"})
    with pytest.raises(UsageError, match="there are 2 GPUs"):
        plan(2, **{"workers.count": 3})
    assert [config.device for config in plan(0)] == ["cpu", "cpu"]
    assert [config.threads for config in plan(0, **{"workers.count": 1})] == [2]


def test_a_worker_that_does_not_get_its_gpu_says_so(tmp_path: Path) -> None:
    config = WorkerConfig("gpu-0", str(tmp_path), load_settings(), "cuda", 1)
    with pytest.raises(RestartWorkerError, match="torch sees none"):
        FrameWorker(config)
