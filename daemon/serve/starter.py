"""What a session's process is started with: its folder, settings, GPUs and port."""

from __future__ import annotations

import os
import socket
from collections.abc import Container, Mapping
from pathlib import Path

from frazil.actors.usable_cpus import usable_cpu_count
from frazil.config.errors import RetryLaterError
from frazil.config.serving import ServeRules, Treatment
from frazil.config.serving_file import session_settings
from frazil.daemon.serve.candidates import newest_gain
from frazil.daemon.serve.children import Order
from frazil.daemon.serve.folders import Access, make_session_folder
from frazil.daemon.serve.records import Acquisition, Records, write_private
from frazil.daemon.serve.roster import gpus_of
from frazil.daemon.session.folder import SETTINGS_FILE

_NVIDIA = Path("/proc/driver/nvidia/gpus")
_HOST = "127.0.0.1"


def machine_gpus(environment: Mapping[str, str] = os.environ, driver: Path = _NVIDIA) -> tuple[int, ...]:
    """Numbers of the GPUs that this process may use, without asking them for anything."""
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return tuple(int(part) for part in given.split(",") if part.strip().isdigit())
    try:
        return tuple(range(len(os.listdir(driver))))
    except OSError:
        return ()


def order_for(
    one: Acquisition,
    treatment: Treatment,
    rules: ServeRules,
    rules_path: Path,
    records: Records,
    *,
    place: int,
    access: Access,
    ports_taken: Container[int],
) -> Order:
    """Make the session's folder, and say what its process is told.

    A session that has settings goes on with them: a person may have changed them since. Raises OSError, and
    `RetryLaterError` where what the rule asks for is not there now.
    """
    session_dir = records.folder.parent / one.session
    make_session_folder(session_dir, access)
    gpus = machine_gpus() if rules.gpus is None else rules.gpus
    mine = gpus_of(place, rules.max_sessions, gpus)
    settings = None
    if not (session_dir / SETTINGS_FILE).exists():
        settings = records.settings_path(one.session)
        text = _settings_text(one, treatment, rules, rules_path, with_gpus=bool(mine))
        write_private(settings, text.encode(), access.file_mode, access.group)
    port = None if treatment.http_ports is None else free_port(treatment.http_ports, ports_taken, first=one.http_port)
    one.gpus, one.http_port = mine, port
    quiet_minutes = treatment.quiet_minutes or rules.quiet_minutes
    return Order(
        acquisition=Path(one.folder),
        session_dir=session_dir,
        log=records.log_path(one.session),
        access=access,
        settings=settings,
        quiet_s=60 * quiet_minutes,
        http_port=port,
        gpus=mine or (None if rules.gpus is None else ()),
    )


def _settings_text(
    one: Acquisition, treatment: Treatment, rules: ServeRules, rules_path: Path, *, with_gpus: bool
) -> str:
    folder, gain = Path(one.folder), None
    if treatment.gain is not None:
        gain = newest_gain(treatment.gain, folder)
        if gain is None:
            raise RetryLaterError(f"there is no gain reference {treatment.gain}", path=folder)
    # Without GPUs each session would start a worker on every core.
    workers = None if with_gpus else max(1, usable_cpu_count() // rules.max_sessions)
    return session_settings(treatment, rules_path, folder.name, gain, workers=workers)


def free_port(ports: tuple[int, int], taken: Container[int], *, first: int | None = None) -> int | None:
    """The first of these that nobody has, tried by binding; `first` before the others. None: all are taken."""
    low, high = ports
    wanted = [first] if first is not None and low <= first <= high else []
    for port in (*wanted, *range(low, high + 1)):
        if port in taken:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((_HOST, port))
            except OSError:
                continue
        return int(port)
    return None
