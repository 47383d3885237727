"""`frazil status`: what the live screen's header says, in text or JSON, once."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from frazil.daemon.client import connect
from frazil.daemon.report.state_words import counts_words
from frazil.daemon.store.movie_states import KEPT
from frazil.daemon.transport.messages import LiveState, WorkerState

_KEPT_AND_GOOD = "kept: within the thresholds, so exported; good: kept, and CTF fit, early motion and ice are fine, too"


def status(
    session: Annotated[Path | None, typer.Argument(help="The session's folder [default: the current one]")] = None,
    session_option: Annotated[Path | None, typer.Option("--session", help="The same as a flag.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole state as one JSON object.")] = False,
) -> None:
    """Say how a session is doing, or how it ended.

    For scripts: exit code 0: it runs and nothing blocks it, or it has ended in good order; 1: nothing is processed
    because the gain reference does not fit, or nobody closed the session (frazil was killed, or the machine went down).

    \b
    Examples:
      frazil status /data/2026-09-21_apoferritin
      frazil status /data/2026-09-21_apoferritin --json | jq .lag_p95_s
    """
    state = state_of((session or session_option or Path()).resolve())
    typer.echo(msgspec.json.format(msgspec.json.encode(state)).decode() if as_json else status_text(state))
    if state.gate.blocking or state.status == "ended":
        raise typer.Exit(1)


def state_of(session_dir: Path) -> LiveState:
    """From its daemon, or where none runs from its file. Raises what both raise."""
    client = connect(session_dir)
    if client is not None:
        with client:
            return client.snapshot()
    from frazil.daemon.status.finished import open_finished  # slow, and not for --help

    finished = open_finished(session_dir)
    try:
        return finished.snapshot()
    finally:
        finished.close()


def status_text(state: LiveState) -> str:
    """One fact a line; what is not known is left out."""
    lines = [f"{state.session_name}: {_how(state)}" + (f" ({state.message})" if state.message else "")]
    if state.verdict.line:
        lines.append(f"verdict     {state.verdict.sentence}")
    if state.gate.blocking:
        lines.append(f"BLOCKED by the gain gate: {state.gate.evidence}. {state.gate.remedy}")
    settings = [
        state.instrument or state.preset,
        _quantity(state.voltage_kv, "kV", 0),
        _quantity(state.pixel_size_angstrom, "A/px", 3),
        _quantity(state.dose_per_frame_e_per_a2, "e/A2/frame", 2),
    ]
    lines.append("instrument  " + ", ".join(part for part in settings if part))
    lines.append("movies      " + (counts_words(state.counts) or "none yet"))
    if state.counts.get(KEPT):
        lines.append(f"            {_KEPT_AND_GOOD}")
    if state.recent_total:
        lines.append(f"last {state.recent_total:<2}     {state.recent_kept} kept")
    rates = [("found", state.found_per_hour), ("ready", state.ready_per_hour)]
    if state.ended_utc_us is None:
        lines.append("per hour    " + ", ".join(f"{value:.0f} {name}" for name, value in rates if value is not None))
        lines.append(f"queue       {state.queue_depth}")
    if state.ended_utc_us is None and state.lag_p50_s is not None and state.lag_p95_s is not None:
        lines.append(f"lag         {state.lag_p50_s:.1f} s median, {state.lag_p95_s:.1f} s at 95 %")
    if state.redo_stage:
        lines.append(f"redoing     {state.redo_done} of {state.redo_total} ({redo_word(state.redo_stage)}) beside them")
    if state.free_disk_bytes is not None:
        lines.append(f"disk        {state.free_disk_bytes / 1e9:.1f} GB left{disk_words(state)}")
    lines.extend(_worker(worker) for worker in state.workers)
    lines.extend(_found(state))
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line).rstrip() for line in lines)


def _found(state: LiveState) -> Iterator[str]:
    """Particles, map and alerts."""
    if state.particle_count is not None:
        yield f"particles   {state.particle_count}"
    if state.map_resolution_angstrom is not None:
        yield f"map         {map_sentence(state)}"
    if state.alerts_open:
        yield f"alerts      {state.alerts_open} open: {state.newest_alert or ''}"


def disk_words(state: LiveState) -> str:
    """`, full in 33.3 h by this session (session writes 220 GB/h, disk shrinks 270 GB/h)`; what is not known is left
    out."""
    until = "" if state.disk_full_in_h is None else f", full in {state.disk_full_in_h:.1f} h by this session"
    own, shrinks = state.written_bytes_per_s, state.disk_shrinks_bytes_per_s
    rates = [
        f"{words} {rate * 3600 / 1e9:.1f} GB/h"
        for words, rate in (("session writes", own), ("disk shrinks", shrinks))
        if rate
    ]
    return f"{until} ({', '.join(rates)})" if rates else until


def map_sentence(state: LiveState) -> str:
    """The resolution with its own particles and round, where the map started and what limits it."""
    limit = " or better, at the pixels' limit," if state.map_at_pixel_limit else ""
    started = f", started from {state.map_start}" if state.map_start else ""
    return (
        f"{state.map_resolution_angstrom:.2f} A{limit} of {state.map_particle_count} particles, "
        f"round {state.map_round}{started}"
    )


def _how(state: LiveState) -> str:
    """How it is doing; of a session at rest how it ended and when."""
    if state.ended_utc_us is None:
        return state.status
    at = datetime.datetime.fromtimestamp(state.ended_utc_us / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"ended without being closed, last heard of {at}" if state.status == "ended" else f"{state.status} {at}"


def redo_word(stage: str) -> str:
    """CTF is an abbreviation; the other stages are words."""
    return "CTF" if stage == "ctf" else stage


def _worker(worker: WorkerState) -> str:
    what = f" on {worker.movie}" if worker.movie else ""
    device = worker.device_name or worker.device
    return f"worker      {worker.name} ({device}): {worker.state}{what}, {worker.done} done, {worker.failed} failed"


def _quantity(value: float | None, unit: str, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f} {unit}"
