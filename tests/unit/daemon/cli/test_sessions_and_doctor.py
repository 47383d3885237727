"""Words of `frazil sessions` and `frazil doctor`: names that differ are both told, and the least needed comes last."""

from __future__ import annotations

from pathlib import Path

from frazil.daemon.cli import doctor, sessions
from frazil.daemon.report.sessions_list import SessionLine


def test_folder_and_name_are_both_told_where_they_differ_and_a_missing_map_is_said():
    root = Path("/data")
    cells = sessions._cells(SessionLine("/data/s1", "apoferritin", "finished", ended_utc_us=1, movies=3, kept=3), root)
    assert cells[0] == "s1 (apoferritin)"
    assert cells[5] == "none"
    assert sessions._cells(SessionLine("/data/s1", "s1", "finished", ended_utc_us=1), root)[0] == "s1"
    mapped = SessionLine("/data/s1", "s1", "finished", ended_utc_us=1, resolution_angstrom=3.4)
    assert sessions._cells(mapped, root)[5] == "3.40 A"


def test_provers_come_last_and_say_what_they_are_for(tmp_path, monkeypatch):
    quick = lambda *_: doctor.Finding("x", "ok", "y")  # noqa: E731
    for slow in ("_gpus", "_sandbox", "_sockets", "_packages"):
        monkeypatch.setattr(doctor, slow, quick)
    *_, last = doctor.examine(tmp_path, start_ray=False)
    assert last.subject == "provers"
    assert last.text.startswith("optional, they check that the session's own numbers agree")
