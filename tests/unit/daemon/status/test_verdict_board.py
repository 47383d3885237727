"""How often the movies of a long session are counted for the verdict."""

from __future__ import annotations

import pytest

from frazil.config.settings import Settings
from frazil.daemon.report.verdict_seen import QualitySeen
from frazil.daemon.status import verdict_board
from frazil.daemon.status.verdict_board import VerdictBoard
from frazil.daemon.transport.messages import LiveState


@pytest.mark.parametrize(("costs_s", "looks"), [(0.0, 20), (0.05, 7)])
def test_counting_takes_its_share_of_the_time(
    store, monkeypatch: pytest.MonkeyPatch, costs_s: float, looks: int
) -> None:
    """A movie comes every second; counting takes so long, and two hundredths of the time are for it."""
    now_s, counted = [0.0], []

    def count(*_: object) -> QualitySeen:
        counted.append(now_s[0])
        now_s[0] += costs_s
        return QualitySeen()

    monkeypatch.setattr(verdict_board, "quality_seen", count)
    board = VerdictBoard(store, Settings(), lambda: now_s[0])
    for second in range(20):
        now_s[0] = float(second)
        board.judge(LiveState(utc_us=second * 1_000_000, counts={"ready": second}))
    assert len(counted) == looks
