"""Places one frame worker per GPU (or some on the CPU), pins it there, and brings it back when it dies.

Ray restarts nothing and retries nothing here: an actor that dies is replaced by us, and what it held is the scheduler's
to judge (docs/decisions/0005). Nothing waits without a limit: Ray lets an actor that fits nowhere wait in silence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.ray_runtime import WORKER_ENVIRONMENT, RayRuntime
from frazil.config.errors import FrazilError, StopDaemonError, UsageError
from frazil.config.settings import Settings
from frazil.models.records import DeviceReport

_log = logging.getLogger(__name__)
_START_TIMEOUT_S = 120.0
"""Importing torch on a busy machine takes tens of seconds; a placement that is impossible takes for ever."""


def plan_workers(
    settings: Settings, session_dir: Path, *, gpu_total: int, accelerator_types: list[str], cpu_count: int
) -> list[WorkerConfig]:
    """Decide how many workers there are and where each one computes.

    Raises
    ------
    UsageError
        If the settings ask for GPUs or a card that the cluster does not have.
    """
    wanted = settings.workers
    if wanted.device == "cuda" and gpu_total == 0:
        raise UsageError("workers.device is cuda, and there is no GPU", remedy="set workers.device to auto or cpu")
    if wanted.accelerator_type is not None and wanted.accelerator_type not in accelerator_types:
        there = ", ".join(accelerator_types) or "none"
        raise UsageError(
            f"no node reports a {wanted.accelerator_type} (reported: {there})",
            remedy="correct workers.accelerator_type or leave it out",
        )
    on_gpu = gpu_total > 0 and wanted.device != "cpu"
    count = wanted.count if wanted.count is not None else (gpu_total if on_gpu else cpu_count)
    if on_gpu and count > gpu_total:
        raise UsageError(
            f"{count} workers are set, one per GPU, and there are {gpu_total} GPUs", remedy="lower workers.count"
        )
    threads = wanted.threads if wanted.threads is not None else max(1, cpu_count // count)
    kind = "gpu" if on_gpu else "cpu"
    return [
        WorkerConfig(
            name=f"{kind}-{index}",
            session_dir=str(session_dir),
            settings=settings,
            device="cuda" if on_gpu else "cpu",
            threads=threads,
            expected_accelerator=wanted.accelerator_type if on_gpu else None,
            polite=True,
        )
        for index in range(count)
    ]


@dataclass(slots=True)
class _Slot:
    config: WorkerConfig
    bundle: int
    actor: Any


class WorkerPool:
    """The frame workers of one daemon."""

    def __init__(self, runtime: RayRuntime, configs: list[WorkerConfig], *, worker_class: type = FrameWorker) -> None:
        self._ray, self._own_ray = runtime.ray, runtime.private
        self._class = worker_class
        self._group: Any = None
        if configs and configs[0].device == "cuda":
            self._group = self._reserve(configs)
        self._slots = {
            config.name: _Slot(config, index, self._create(config, index)) for index, config in enumerate(configs)
        }

    @property
    def names(self) -> list[str]:
        return list(self._slots)

    def _reserve(self, configs: list[WorkerConfig]) -> Any:
        bundle: dict[str, float] = {"GPU": 1}
        if configs[0].expected_accelerator is not None:
            bundle[f"accelerator_type:{configs[0].expected_accelerator}"] = 0.001
        group = self._ray.util.placement_group([dict(bundle) for _ in configs], strategy="PACK")
        ready, _ = self._ray.wait([group.ready()], timeout=_START_TIMEOUT_S)
        if not ready:
            raise StopDaemonError(
                f"Ray could not reserve {len(configs)} GPUs within {_START_TIMEOUT_S:.0f} s",
                remedy="see with `nvidia-smi` who uses them, or set workers.count",
            )
        return group

    def _create(self, config: WorkerConfig, bundle: int) -> Any:
        # num_cpus=0: with the default of 1, GPU workers beyond the number of cores would wait for ever.
        options: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "max_task_retries": 0}
        if not self._own_ray:
            options["runtime_env"] = {"env_vars": dict(WORKER_ENVIRONMENT)}
        if config.device == "cuda":
            from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

            options["num_gpus"] = 1
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                placement_group=self._group, placement_group_bundle_index=bundle
            )
        return self._ray.remote(self._class).options(**options).remote(config)

    def call(self, name: str, method: str, *arguments: object) -> Any:
        """Start a call on a worker; returns its future (`ObjectRef`)."""
        return getattr(self._slots[name].actor, method).remote(*arguments)

    def describe(self, name: str) -> Any:
        """Future of the worker's `DeviceReport`; it comes when the worker has started."""
        return self.call(name, "describe")

    def wait_started(self) -> dict[str, DeviceReport]:
        """Wait until every worker has told what it runs on.

        Raises
        ------
        StopDaemonError
            If one does not come up in time, or got another device than it was promised.
        """
        futures = {self.describe(name): name for name in self._slots}
        ready, waiting = self._ray.wait(list(futures), num_returns=len(futures), timeout=_START_TIMEOUT_S)
        if waiting:
            late = ", ".join(sorted(futures[future] for future in waiting))
            raise StopDaemonError(
                f"workers did not start within {_START_TIMEOUT_S:.0f} s: {late}", remedy="run `frazil doctor`"
            )
        return {futures[future]: self.outcome(future) for future in ready}

    def finished(self, futures: list[Any], timeout_s: float) -> list[Any]:
        """Those of the futures that have come in, after at most `timeout_s`."""
        if not futures:
            return []
        # The first one ends the waiting: to wait for all would keep idle workers idle until the time is up.
        self._ray.wait(futures, num_returns=1, timeout=timeout_s)
        ready, _ = self._ray.wait(futures, num_returns=len(futures), timeout=0)
        return list(ready)

    def outcome(self, future: Any) -> Any:
        """The value of a finished call.

        Raises
        ------
        WorkerDiedError
            If the worker's process ended before it answered.
        FrazilError
            What the worker raised.
        """
        try:
            return self._ray.get(future)
        except self._ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, FrazilError):
                raise cause from error
            raise
        except self._ray.exceptions.RayError as error:
            raise WorkerDiedError(f"a worker's process ended: {type(error).__name__}") from error

    def restart(self, name: str) -> Any:
        """Replace a worker by a fresh process; returns the future of its `DeviceReport`."""
        slot = self._slots[name]
        _log.warning("restarting worker %s", name)
        self._ray.kill(slot.actor, no_restart=True)
        slot.actor = self._create(slot.config, slot.bundle)
        return self.describe(name)

    def stop(self, name: str) -> None:
        """End one worker for good."""
        self._ray.kill(self._slots[name].actor, no_restart=True)

    def close(self) -> None:
        """End all workers."""
        for slot in self._slots.values():
            self._ray.kill(slot.actor, no_restart=True)
        if self._group is not None:
            self._ray.util.remove_placement_group(self._group)


class WorkerDiedError(FrazilError):
    """The process of a worker ended before it answered; the scheduler decides whose fault it was."""
