"""`frazil serve --status`: everybody is told of what he may look into, and how many there are besides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from other_account import as_somebody, open_to_others

from frazil.config.errors import UsageError
from frazil.daemon.serve.records import Acquisition, Records, ServeRecord, State
from frazil.daemon.serve.status import serve_status, status_json, status_text


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    open_to_others(tmp_path)
    records = Records(tmp_path)
    records.prepare()
    own = ServeRecord(root="/data", rules="/etc/serve.yaml", pid=7, version="1", began_utc_s=1.0, looked_utc_s=60.0)
    own.problem = "the rules cannot be used"
    records.write_own(own)
    for name, state, why, mode in (
        ("apo", State.FINISHED, "everything that was there is processed", 0o644),
        ("ribo", State.RUNNING, "", 0o640),
        ("vps4", State.WAITS, "no rule holds for it", 0o644),
    ):
        one = Acquisition(folder=f"/data/{name}", program="epu", session=name, state=state, why=why, rule="krios")
        one.pid, one.http_port, one.gpus = 99, 8301, (0, 1)
        records.write(one, mode=mode)
    return tmp_path


def test_the_text_has_a_line_for_each_what_needs_somebody_before_what_is_over(sessions: Path) -> None:
    lines = status_text(serve_status(sessions)).splitlines()
    assert lines[0].startswith("serve does not run; this is what it knew, /data by /etc/serve.yaml, looked 1970-01-01")
    assert lines[1] == "! the rules cannot be used"
    assert [line.split()[0] for line in lines[2:]] == ["ribo", "vps4", "apo"]
    assert "running" in lines[2]
    assert lines[2].endswith("/data/ribo, rule krios, process 99, GPUs 0 1, HTTP on port 8301")
    assert "waits for a person" in lines[3]
    assert lines[3].endswith(": no rule holds for it")


def test_the_json_has_the_same(sessions: Path) -> None:
    told = json.loads(status_json(serve_status(sessions)))
    assert {one["session"]: one["state"] for one in told["acquisitions"]} == {
        "apo": "finished", "ribo": "running", "vps4": "waits",
    }  # fmt: skip
    assert (told["running"], told["not_readable"], told["serve"]["pid"]) == (False, 0, 7)


def test_another_account_is_told_how_many_it_may_not_read(sessions: Path) -> None:
    said = as_somebody(lambda: status_text(serve_status(sessions)))
    assert "ribo" not in said
    assert "apo" in said
    assert "1 more may not be read by this account" in said


def test_where_serve_has_never_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has not run for this folder"):
        serve_status(tmp_path)
