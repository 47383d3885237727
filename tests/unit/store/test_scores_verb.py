"""`frazil scores`: the newest verdicts with their evidence, of a finished session."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from frazil.daemon.cli.main import build
from frazil.daemon.store.rows import ScoreRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes

APP = build("scores", "query")


def _session(folder: Path, *rows: ScoreRow) -> Path:
    folder.mkdir()
    with Store.open(folder, now_utc_us=1) as store:
        for row in rows:
            store.submit(session_writes.record_score, row).result()
    return folder


def _row(number: int, evaluator: str, verdict: float | None) -> ScoreRow:
    evidence = json.dumps({"proved": 11, "refuted": 1, "unknown": 0, "does_not_know": ["symmetry"]})
    return ScoreRow(number, evaluator, 1, evidence, verdict, 0.02 if verdict is not None else None, 0.9, "0-1")


def test_the_newest_round_speaks_with_its_evidence(tmp_path: Path) -> None:
    session = _session(tmp_path / "s", _row(1, "logic", 0.5), _row(2, "logic", 0.75), _row(2, "novelty", None))
    shown = CliRunner().invoke(APP, ["scores", str(session)])
    assert shown.exit_code == 0, shown.output
    assert "round 2" in shown.output
    assert "round 1" not in shown.output
    assert "consistency [logic]: 75 % (+- 2 %)" in shown.output
    assert "[novelty]: nothing can be said" in shown.output
    assert "11 of 12 claims that must hold are proved" in shown.output
    assert "not known: symmetry" in shown.output
    assert "{" not in shown.output, "evidence is told in words"


def test_json_has_every_round_when_asked(tmp_path: Path) -> None:
    session = _session(tmp_path / "s", _row(1, "logic", 0.5), _row(2, "logic", 0.75))
    found = json.loads(CliRunner().invoke(APP, ["scores", str(session), "--history", "--json"]).output)
    assert [(one["round"], one["verdict"]) for one in found] == [(2, 0.75), (1, 0.5)]
    assert found[0]["evidence"]["does_not_know"] == ["symmetry"]


def test_a_session_without_verdicts_says_so(tmp_path: Path) -> None:
    assert "nothing judged yet" in CliRunner().invoke(APP, ["scores", str(_session(tmp_path / "s"))]).output


def test_what_hangs_on_the_instrument_is_told_row_by_row(tmp_path: Path) -> None:
    table = [
        {
            "settled": "fragile", "output": "defocus_u_angstrom", "parameter": "pixel_size_angstrom", "error": 0.0065,
            "in_own_errors": 10.55, "per_unit": 13142.4, "smooth": True,
        },
        {
            "settled": "unknown", "output": "ctf_score", "parameter": "cs_mm", "error": 0.027, "in_own_errors": None,
            "per_unit": 0.0026, "smooth": False,
        },
    ]  # fmt: skip
    row = ScoreRow(0, "sandbox", 1, json.dumps({"sensitivities": table}), 0.5, 0.0, 1.0, "robust share")
    shown = CliRunner().invoke(APP, ["scores", str(_session(tmp_path / "s", row))]).output
    assert (
        "fragile  defocus_u_angstrom against pixel_size_angstrom +- 0.0065: 11 of its own errors, 1.314e+04 a" in shown
    )
    assert "unknown  ctf_score against cs_mm +- 0.027: no error of its own is stated, 0.0026 a unit (rough)" in shown
