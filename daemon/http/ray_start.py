"""The Ray of a daemon, with what serving a session over HTTP needs. Imports little: it comes up while the rest of the
daemon is imported."""

from __future__ import annotations

from frazil.actors.ray_runtime import RayStart
from frazil.daemon.session.options import DaemonOptions


def ray_start(options: DaemonOptions) -> RayStart:
    """Begins to start it; whoever calls closes it."""
    return RayStart(
        address=options.settings.workers.ray_address,
        gpu_count=options.gpu_count,
        environment=serve_environment(options.http_port),
    )


def serve_environment(port: int | None) -> dict[str, str]:
    """What Ray has to be started with, so that Serve costs movies little; nothing without HTTP.

    Browsers talk to the replica itself ("direct ingress"), not to Serve's proxy, and the replica's loop is its only
    one: an answer then costs 1.1 ms of processor time instead of 8. Serve's controller looks after one replica
    every second instead of ten times, and metrics of Serve's own are not what anybody reads here.
    """
    if port is None:
        return {}
    return {
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(port),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(port + 1),
        "RAY_SERVE_DIRECT_INGRESS_PORT_RETRY_COUNT": "1",
        "RAY_SERVE_PORT_QUARANTINE_S": "0",  # a new replica has to have the port of the one that died
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",
        # Whoever is slow on a busy machine is not dead.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
    }
