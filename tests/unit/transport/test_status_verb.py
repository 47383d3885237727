from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from frazil.config.errors import UsageError
from frazil.daemon.cli.status import status, status_text
from frazil.daemon.cli.tui import tui
from frazil.daemon.transport.messages import GateState, LiveState, WorkerState
from frazil.daemon.transport.server import QueryServer

if TYPE_CHECKING:
    from conftest import RecordingService

STATE = LiveState(
    sequence=1, session_name="s1", voltage_kv=300.0, pixel_size_angstrom=0.834, instrument="Krios",
    counts={"ready": 10, "failed": 0}, lag_p50_s=8.0, lag_p95_s=21.5, free_disk_bytes=10**12, disk_full_in_h=31.0,
    workers=(WorkerState("gpu0", device_name="A100", state="working", movie="a\x1b[2J.tiff", done=3),), recent_kept=9,
    recent_total=10, alerts_open=1, newest_alert="drift",
)  # fmt: skip


def verb() -> typer.Typer:
    app = typer.Typer()
    app.command()(status)
    return app


def test_text_says_what_is_known() -> None:
    text = status_text(STATE)
    for expected in ("s1: running", "Krios, 300 kV, 0.834 A/px", "10 kept", "9 kept", "kept: within the thresholds",
                     "8.0 s median, 21.5 s at 95 %",
                     "1000.0 GB left, full in 31.0 h", "gpu0 (A100): working", "1 open: drift"):  # fmt: skip
        assert expected in text
    assert "failed," not in text
    assert "redoing" not in text
    again = msgspec.structs.replace(STATE, redo_stage="motion", redo_done=3, redo_total=9)
    assert "redoing     3 of 9 (motion)" in status_text(again)
    assert "\x1b" not in text
    assert "None" not in status_text(LiveState())


def test_json_is_the_whole_state(runtime: Path, tmp_path: Path, service: RecordingService) -> None:
    with QueryServer(tmp_path, service) as server:
        server.publish(STATE)
        result = CliRunner().invoke(verb(), [str(tmp_path), "--json"])
        assert result.exit_code == 0
        assert json.loads(result.stdout)["lag_p95_s"] == 21.5
        server.publish(LiveState(gate=GateState("blocked", True, "slope 0.03", "set --gain-orientation rot180")))
        result = CliRunner().invoke(verb(), ["--session", str(tmp_path)])
        assert result.exit_code == 1
        assert "BLOCKED by the gain gate: slope 0.03. set --gain-orientation rot180" in result.stdout


def test_a_folder_without_a_session_is_said_to_be_none(runtime: Path, tmp_path: Path) -> None:
    for reading in (status, tui):
        with pytest.raises(UsageError, match=r"no frazil session here.*frazil watch"):
            reading(tmp_path)
