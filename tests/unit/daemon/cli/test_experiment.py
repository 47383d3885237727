"""`frazil experiment` without a daemon: planned, listed, ended; files that SerialEM and people read; exit codes."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from frazil.daemon.cli.main import main
from frazil.daemon.store.store import Store
from frazil.models.formats.hole_list import navigator_items, read_holes

Frazil = Callable[..., tuple[int, str]]


@pytest.fixture
def session(tmp_path: Path) -> Path:
    Store.open(tmp_path, now_utc_us=1).close()
    return tmp_path


@pytest.fixture
def frazil(session: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Frazil:
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(session)
        monkeypatch.setattr(sys, "argv", ["frazil", "experiment", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def test_from_plan_to_stop(frazil: Frazil, session: Path) -> None:
    assert frazil("list", ".") == (0, "no experiments\n")
    assert frazil("status", ".")[0] == 2
    code, said = frazil("plan", ".", "settle=5,20", "--movies", "50", "--squares", "S1,S2", "--seed", "7", "--out",
                        "plan.csv", "--serialem", "plan.txt")  # fmt: skip
    assert code == 0
    assert "settle time 5 s (A) against settle time 20 s (B), 52 holes (seed 7)" in said
    with open(session / "plan.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["grid_square"] for row in rows] == ["S1"] * 26 + ["S2"] * 26
    assert {(row["arm"], row["setting"]) for row in rows} == {("A", "5"), ("B", "20")}
    lines = [line.split() for line in (session / "plan.txt").read_text(encoding="utf-8").splitlines()]
    assert [(line[0], line[1], line[2]) for line in lines] == [(r["place"], r["arm"], r["setting"]) for r in rows]
    assert "still running" in frazil("plan", ".", "settle=5,20")[1]
    assert "not yet: no pair of movies has come" in frazil("status", ".")[1]
    [row] = json.loads(frazil("list", ".", "--json")[1])
    assert (row["quantity"], row["node"], row["seed"]) == ("settle_time_s", "settle_time", 7)
    assert json.loads(frazil("status", ".", row["experiment_id"], "--json")[1])["most_pairs"] == 26
    assert frazil("stop", ".")[0] == 0
    assert frazil("stop", ".")[0] == 2


def test_the_same_seed_is_the_same_order(frazil: Frazil) -> None:
    told = []
    for _ in range(2):
        told.append(json.loads(frazil("plan", ".", "dose-rate=8,15", "--seed", "7", "--json")[1])["assignments"])
        frazil("stop", ".")
    assert [(one["place"], one["arm"]) for one in told[0]] == [(one["place"], one["arm"]) for one in told[1]]


def test_a_navigator_file_comes_back_with_settings(frazil: Frazil, session: Path) -> None:
    items = "".join(
        f"[Item = {n}-A]\nNote = hole {n}\nAcquire = 1\nDrawnID = {n % 2}\nPtsX = {n}\n\n" for n in range(40)
    )
    (session / "grid.nav").write_text(f"AdocVersion = 2.00\n{items}", encoding="utf-8")
    code, said = frazil("plan", ".", "settle=5,20", "--holes", "grid.nav", "--serialem", "out.nav")
    assert (code, "wrote out.nav" in said) == (0, True)
    found = dict(navigator_items((session / "out.nav").read_text(encoding="utf-8"), session))
    rows = json.loads(frazil("status", ".", "--json")[1])
    assert rows["holes"] == 40
    assert {values["UserValue2"] for values in found.values()} == {"5", "20"}
    assert found["3-A"]["Note"].startswith("hole 3 [frazil ")
    assert len(read_holes(session / "out.nav")) == 40


def test_a_navigator_file_keeps_its_bytes_and_is_never_written_over(frazil: Frazil, session: Path) -> None:
    items = "".join(f"[Item = {n}-A]\r\nNote = h\xf6le\r\nAcquire = 1\r\nDrawnID = 1\r\n\r\n" for n in range(40))
    raw = f"AdocVersion = 2.00\r\n{items}[TSParam = 0]\r\nNote = kept\r\n".encode("cp1252")
    (session / "grid.nav").write_bytes(raw)
    assert frazil("plan", ".", "settle=5,20", "--holes", "grid.nav", "--serialem", "grid.nav")[0] == 2
    assert (session / "grid.nav").read_bytes() == raw
    assert frazil("plan", ".", "settle=5,20", "--holes", "grid.nav", "--serialem", "out.nav")[0] == 0
    out = (session / "out.nav").read_bytes()
    assert out.count(b"\r\n") == out.count(b"\n")
    assert out.count(b"Note = h\xf6le [frazil ") == 40
    assert out.endswith(b"[TSParam = 0]\r\nNote = kept\r\n")


@pytest.mark.parametrize(
    "words",
    [
        ("fly", "."),
        ("plan", "."),
        ("plan", ".", "settle=5,5"),
        ("plan", ".", "settle=5,20", "--movies", "8"),
        ("plan", ".", "settle=5,20", "--outcome", "beauty"),
        ("plan", ".", "settle=5,20", "--holes", "missing.csv"),
        ("plan", ".", "settle=5,20", "--serialem", "out.nav"),
        ("plan", "nowhere", "settle=5,20"),
        ("status", ".", "x-unknown"),
    ],
)
def test_what_was_asked_wrongly_ends_with_2_and_a_remedy(frazil: Frazil, words: tuple[str, ...]) -> None:
    code, said = frazil(*words)
    assert code == 2
    assert said.startswith("frazil: ")
    assert "Traceback" not in said
    assert frazil("list", ".") == (0, "no experiments\n")
