"""The table of docs/performance.md is the kept JSON's, and the kept figures are within today's budgets."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.device_ledger.budgets import BEFORE, BUDGETS, GOALS, MOST_UPLOADED, SMALL_UPLOADS_BYTES
from benchmarks.throughput.tables import ledger_table

ROOT = Path(__file__).resolve().parents[2]
KEPT = json.loads((ROOT / "benchmarks" / "results" / "device_ledger.json").read_text(encoding="utf-8"))


def test_the_page_shows_the_kept_figures() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert ledger_table(KEPT) in page


def test_the_kept_figures_are_within_the_budgets() -> None:
    for stage, one in KEPT["stages"].items():
        for kept, ours in (("budget", BUDGETS), ("goal", GOALS), ("before", BEFORE)):
            told = one[kept]["launches"], one[kept]["synchronisations"]
            assert told == (ours[stage].launches, ours[stage].synchronisations), f"{stage}: {kept} has changed"
        assert one["launches"] <= BUDGETS[stage].launches
        assert one["synchronisations"] <= BUDGETS[stage].synchronisations
    most = MOST_UPLOADED * KEPT["movie"]["counts_bytes"] + SMALL_UPLOADS_BYTES
    assert KEPT["stages"]["motion"]["uploaded_bytes"] <= most
    assert KEPT["dose_weighted_correlation_with_cpu"] >= 0.99999
