"""Arrivals of a real K3 session, of every mode and many frame counts, in a burst: none lost, none taken twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.throughput import k3_replay as replay

TABLE = Path(os.environ.get("FRAZIL_SHARED_DATA", "")) / "acquisition" / "k3_test_02_arrivals.csv"
EVERY = 127
"""25 of the 3,200; a step that shares no factor with the 400 exposures of a mode and its 10 of a frame count."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "FRAZIL_SHARED_DATA" not in os.environ or not TABLE.exists(),
        reason="needs the K3 arrivals: set FRAZIL_SHARED_DATA (docs/real-data.md)",
    ),
]


def test_every_mode_and_frame_count_is_taken_once(live, kit, tmp_path):
    arrivals = replay.read_arrivals(TABLE)[::EVERY]
    assert len({arrival.config for arrival in arrivals}) == 8
    assert len({arrival.frame_count for arrival in arrivals}) > 10
    courier = replay.Courier(live.raw, tmp_path / "staging", 64)
    live.start(camera__no_gain=True, microscope__cs_mm=2.7)
    for index, arrival in enumerate(arrivals):
        courier.deliver(arrival, grow=index % 2 == 1, pause_s=0.02)

    def all_done():
        states = live.states()
        return len(states) >= len(arrivals) and not set(states.values()) - set(replay.FINAL)

    kit.wait_for(all_done, lambda: f"all to be processed: {live.states()}", 300.0)
    live.stop()
    figures = replay.account(arrivals, live.session_dir, courier.delivered_utc_us)
    assert (figures["lost"], figures["twice"], figures["strangers"]) == ([], [], [])
    assert figures["set_aside"] == {}
    assert figures["processed"] == figures["results_by_stage"] == figures["result_files"] == len(arrivals)
    assert figures["wrong_frame_count"] == []
    assert figures["without_sidecar"] == []
    assert figures["single_frame_flagged"] == figures["single_frame_sent"]
