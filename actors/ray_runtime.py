"""Starting and stopping Ray the way frazil wants it: private, quiet, on loopback, without telemetry.

Everything that imports ray goes through here, because several switches are read by Ray at import time.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from frazil.actors import ray_leftovers
from frazil.actors.ray_processes import START_PATIENCE_S, lean_start
from frazil.config.errors import StopDaemonError

_log = logging.getLogger(__name__)

# Despite its name this is what makes a Linux node bind all its sockets to 127.0.0.1 (docs/decisions/0004).
_LOOPBACK_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_OBJECT_STORE_BYTES = 256 * 1024 * 1024
"""Frames never pass through the object store; results are a few hundred kilobytes."""
WORKER_ENVIRONMENT: Mapping[str, str] = MappingProxyType({"OMP_WAIT_POLICY": "PASSIVE"})
"""Threads that spin while they wait for each other cost a busy machine several times the work itself. Processes of a
private Ray inherit it: with variables of its own (`runtime_env`) an actor could not use a process that Ray has started
ahead, and a worker would be up two seconds later."""


def import_ray(*, loopback: bool = True) -> ModuleType:
    """Import Ray with its telemetry off and, unless a real cluster is meant, bound to loopback."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # Ray's own 15 is for good: nothing would come up on a busy machine. Each takes its niceness when it is up.
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_agent_register_timeout_ms", f"{1000 * START_PATIENCE_S:.0f}")
    os.environ.setdefault("RAY_worker_register_timeout_seconds", f"{START_PATIENCE_S:.0f}")
    # Ray would warn about, and later change, what CUDA_VISIBLE_DEVICES means for actors without GPUs.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if loopback:
        os.environ.setdefault(_LOOPBACK_SWITCH, "0")
    import ray
    import ray._private.worker

    # Ray prints the death of a worker on standard output, whatever `log_to_driver` says, and standard output is ours
    # (`frazil watch --json`): it goes to the log.
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = _to_log
    return ray


def _to_log(data: dict[str, Any], ignore_prefix: bool = False) -> None:
    _log.warning("Ray (%s): %s", data.get("pid"), " ".join(map(str, data.get("lines", ()))))


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """`ray.init` puts its own handler in the place of what a program does on SIGTERM: it would end in the middle of
    whatever it is doing."""
    if threading.current_thread() is not threading.main_thread():  # there Ray leaves handlers alone
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


class RayRuntime:
    """A Ray that this process started (or joined) and will leave again.

    Parameters
    ----------
    address:
        `None` starts a private Ray on this machine; anything else joins that cluster.
    cpu_count, gpu_count:
        What to declare to a private Ray; `None` lets Ray look. Tests declare GPUs that are not there.
    resources:
        Further resources to declare to a private Ray (tests: `{"accelerator_type:A100": 1}`).
    environment:
        Variables for this process and all that Ray starts, in the place of what is there.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        cpu_count: int | None = None,
        gpu_count: int | None = None,
        resources: dict[str, float] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        os.environ.update(environment)
        self.private = address is None
        """Started by this process, which its processes have inherited their variables from."""
        self.ray: Any = import_ray(loopback=address is None)
        self._temp_dir: Path | None = None
        if address is not None:
            with _sigterm_kept():
                self.ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            return
        ray_leftovers.remove_leftovers()
        os.environ.update(WORKER_ENVIRONMENT)
        # Short, because a socket's path may hold 107 bytes; 0700 (mkdtemp), because Ray makes its own folders 0777.
        self._temp_dir = Path(tempfile.mkdtemp(prefix=f"{ray_leftovers.TEMP_PREFIX}{os.getpid()}-"))
        try:
            with ray_leftovers.marked_children(), _sigterm_kept(), lean_start():
                self.ray.init(
                    num_cpus=cpu_count,
                    num_gpus=gpu_count,
                    resources=resources,
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _temp_dir=str(self._temp_dir),
                )
        except Exception as error:  # boundary: a raylet that is too slow is a bare Exception of Ray
            shutil.rmtree(self._temp_dir, ignore_errors=True)
            raise StopDaemonError(
                f"Ray did not start: {error}", remedy="run `frazil doctor` to see what is missing on this machine"
            ) from error

    def gpu_total(self) -> int:
        """GPUs that the cluster declares."""
        return int(self.ray.cluster_resources().get("GPU", 0))

    def accelerator_types(self) -> list[str]:
        """Ray's names of the cards that the nodes report."""
        prefix = "accelerator_type:"
        return sorted(key[len(prefix) :] for key in self.ray.cluster_resources() if key.startswith(prefix))

    def close(self) -> None:
        """Leave; a private Ray ends with its processes and its temporary folder."""
        self.ray.shutdown()
        if self._temp_dir is not None:
            ray_leftovers.end_own_processes()
            shutil.rmtree(self._temp_dir, ignore_errors=True)
            self._temp_dir = None


class RayStart:
    """A Ray that comes up while its process does something else, its imports for example: most of what takes its time
    are other processes. Takes what `RayRuntime` takes.

    Its thread lives until `close`: a private Ray's processes are told by the kernel (PR_SET_PDEATHSIG) when the thread
    that has started them ends, and end with it.
    """

    def __init__(self, **options: Any) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="frazil-ray")
        self._started = self._thread.submit(RayRuntime, **options)

    def __enter__(self) -> RayStart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runtime(self) -> RayRuntime:
        """The Ray, when it is up. Raises `StopDaemonError` where it did not start."""
        return self._started.result()

    def close(self) -> None:
        """Leave it, whether it was asked for or not; nothing where it did not start."""
        with self._thread:
            if self._started.exception() is None:
                self._started.result().close()
