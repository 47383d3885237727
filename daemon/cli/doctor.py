"""`frazil doctor`: what works on this machine, what does not, and how to mend it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

_WATCHES_WANTED = 8192
_QUEUE_WANTED = 16384
_FREE_GB_WANTED = 20.0
_BYTES_PER_GB = 1 << 30


_PROVE = "optional, they check that the session's own numbers agree (counts add up, limits are kept)"


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    verdict: str
    """ok, note (works, could be better) or problem"""
    text: str
    remedy: str = ""


def doctor(
    folder: Annotated[Path, typer.Argument(help="Folder that sessions will lie in; its disk is looked at")] = Path(),
    start_ray: Annotated[bool, typer.Option("--start-ray", help="Also start a private Ray for a moment")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON")] = False,
) -> None:
    """Look at this machine: Python, packages, GPUs, file watching, disk, sockets, sandbox, Ray, provers.

    Example: frazil doctor /data --start-ray
    """
    findings = list(examine(folder, start_ray=start_ray))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.verdict:8s} {finding.subject:14s} {finding.text}")
            if finding.remedy:
                typer.echo(f"{'':24s}-> {finding.remedy}")
    raise typer.Exit(1 if any(finding.verdict == "problem" for finding in findings) else 0)


def examine(folder: Path, *, start_ray: bool) -> Iterator[Finding]:
    """All findings, one by one."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _packages,
        _cores,
        _gpus,
        _inotify,
        lambda: _disk(folder),
        lambda: _file_system(folder),
        _sockets,
        _sandbox,
    ]
    if start_ray:
        checks.append(_ray)
    checks.append(_provers)  # of the least use to most people: last
    for check in checks:
        yield check()


def _python() -> Finding:
    found = platform.python_version()
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("Python", "ok", found)
    return Finding("Python", "problem", found, "use Python 3.11 or 3.12")


def _packages() -> Finding:
    shown, missing = [], []
    for name in ("frazil", "torch", "ray", "duckdb", "textual", "tifffile", "imagecodecs"):
        try:
            shown.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "problem", f"missing: {', '.join(missing)}", "pip install frazil again")
    return Finding("packages", "ok", ", ".join(shown))


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _BYTES_PER_GB
    text = f"{cores} cores, {gigabytes:.0f} GB of memory"
    if gigabytes < 8:
        return Finding("machine", "note", text, "movies of 4096 x 4096 x 40 need 8 GB")
    return Finding("machine", "ok", text)


def _gpus() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("GPU", "note", f"none for torch {torch.__version__}: everything runs on the CPU")
    names = [
        f"{index}: {torch.cuda.get_device_name(index)}, "
        f"{torch.cuda.get_device_properties(index).total_memory / _BYTES_PER_GB:.0f} GB"
        for index in range(torch.cuda.device_count())
    ]
    return Finding("GPU", "ok", "; ".join(names))


def _inotify() -> Finding:
    limits = {}
    for name in ("max_user_watches", "max_queued_events"):
        path = Path("/proc/sys/fs/inotify") / name
        limits[name] = int(path.read_text()) if path.exists() else 0
    text = ", ".join(f"{name} {value}" for name, value in limits.items())
    if limits["max_user_watches"] < _WATCHES_WANTED or limits["max_queued_events"] < _QUEUE_WANTED:
        return Finding(
            "file watching",
            "note",
            f"{text}: events may be lost; the scan finds every file all the same, a little later",
            f"sysctl fs.inotify.max_user_watches={_WATCHES_WANTED * 64} "
            f"fs.inotify.max_queued_events={_QUEUE_WANTED * 4}",
        )
    return Finding("file watching", "ok", text)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder.resolve()).free / _BYTES_PER_GB
    if free < _FREE_GB_WANTED:
        return Finding("disk", "note", f"{free:.0f} GB free", "a session writes about 0.2 GB for each 4k movie")
    return Finding("disk", "ok", f"{free:.0f} GB free")


def _file_system(folder: Path) -> Finding:
    from frazil.daemon.intake.mounts import file_system_type, is_remote, read_mount_table

    kind = file_system_type(folder.resolve(), read_mount_table())
    if is_remote(kind):
        return Finding(
            "file system",
            "note",
            f"{kind}: fine for raw movies (they are found by scanning)",
            "keep the session folder on a local disk: the database must not lie on a network mount",
        )
    return Finding("file system", "ok", kind)


def _sockets() -> Finding:
    from frazil.config.errors import EndpointError
    from frazil.daemon.transport.endpoints import create_endpoints

    with tempfile.TemporaryDirectory() as folder:
        try:
            endpoints = create_endpoints(Path(folder))
        except EndpointError as error:
            return Finding("sockets", "problem", error.what, error.remedy or "")
        if endpoints.directory is not None:
            shutil.rmtree(endpoints.directory, ignore_errors=True)
    return Finding("sockets", "ok", endpoints.query)


def _provers() -> Finding:
    from frazil.actors.provers import PROVERS, described

    found = {name: described(name) for name in PROVERS}
    text = "; ".join(f"{name}: {words}" for name, (_, words) in found.items())
    if not found["z3"][0]:
        remedy = "pip install z3-solver"
        return Finding("provers", "note", f"{_PROVE}; exact integers alone do it now ({text})", remedy)
    return Finding("provers", "ok", f"{_PROVE}: {text}")


def _sandbox() -> Finding:
    """The walls, by running something behind them that tries to get out."""
    from frazil.actors.sandbox_process import SandboxLimits, Stopped, run_sandboxed

    limits = SandboxLimits(cpu_s=5, wall_s=20.0, memory_mib=1024, disk_mib=4)
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder) / "outside"
        try:
            ended = run_sandboxed(f"open({str(outside)!r}, 'w')", limits=limits)
        except OSError as error:
            return Finding("sandbox", "problem", f"it does not start ({error})", "set evaluation.sandbox: false")
        held = ended.stopped is Stopped.FILE_WRITE and not outside.exists()
    text = ", ".join(f"{wall}: {how or 'none'}" for wall, how in ended.walls.items())
    if not held:
        return Finding("sandbox", "problem", f"it does not hold ({text})", "set evaluation.sandbox: false")
    missing = [wall for wall, how in ended.walls.items() if not how]
    if missing:
        remedy = "Linux 5.13 with Landlock and seccomp has them; a container may forbid them"
        return Finding("sandbox", "note", f"the interpreter stands in for {', '.join(missing)} ({text})", remedy)
    return Finding("sandbox", "ok", text)


def _ray() -> Finding:
    from frazil.actors.ray_runtime import RayRuntime
    from frazil.config.errors import FrazilError

    try:
        runtime = RayRuntime()
    except FrazilError as error:
        return Finding("Ray", "problem", error.what, error.remedy or "")
    text = f"{runtime.ray.__version__} starts on loopback, {runtime.gpu_total()} GPUs"
    runtime.close()
    return Finding("Ray", "ok", text)
