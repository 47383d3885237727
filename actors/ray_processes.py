"""A private Ray without the processes that nobody asks anything, and with the patience that a busy machine needs.

Ray has no switches for it: names of its own are replaced while it starts (`ray[serve]>=2.60,<2.62`), where they exist.
It would otherwise start its autoscaler, its log monitor and the head of its dashboard for frazil too, whoever leaves
them out: 160 MB, and a third of what starting costs. It gives its raylet 30 s, which is too little on two cores with
twenty busy processes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

START_PATIENCE_S = 240.0
_LOOK_EVERY_S = 0.2
_NO_ADDRESS = b"127.0.0.1:0"


@contextlib.contextmanager
def lean_start() -> Iterator[None]:
    """What `ray.init` does within this block."""
    import ray._private.node
    import ray._private.services

    node, services = ray._private.node.Node, ray._private.services
    with contextlib.ExitStack() as replaced:
        for name in ("start_monitor", "start_log_monitor"):
            replaced.enter_context(_replaced(node, name, lambda _: lambda *__: None))
        replaced.enter_context(_replaced(node, "start_api_server", lambda _: _say_where_no_dashboard_is))
        replaced.enter_context(_replaced(services, "get_node", _patient))
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, by: Callable[[Any], Any]) -> Iterator[None]:
    """`owner.name` is `by(owner.name)` meanwhile, in a Ray that has it."""
    kept = getattr(owner, name, None)
    if kept is None:
        yield
        return
    setattr(owner, name, by(kept))
    try:
        yield
    finally:
        setattr(owner, name, kept)


def _say_where_no_dashboard_is(node: Any, **_: Any) -> None:
    """The dashboard's agent, which a raylet cannot do without, asks for its head every second, and logs a traceback
    each time, until it is told where that is."""
    from ray._private import ray_constants

    node.get_gcs_client().internal_kv_put(
        ray_constants.DASHBOARD_ADDRESS.encode(), _NO_ADDRESS, True, ray_constants.KV_NAMESPACE_DASHBOARD
    )


def _patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Asked for a node that has not registered yet it raises `RuntimeError`; this one asks again first."""

    def wait_for_node(*arguments: Any, **named: Any) -> Any:
        until_s = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                return get_node(*arguments, **named)
            except RuntimeError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(_LOOK_EVERY_S)

    return wait_for_node
