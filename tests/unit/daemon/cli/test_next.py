"""`frazil next` without a daemon: what it says, what people say, the files that it hands back; exit codes."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from frazil.daemon.analysis.targets.grid_work import judge_without_daemon
from frazil.daemon.cli.main import main
from frazil.daemon.report.next_targets import next_answer, next_text
from frazil.daemon.store import result_files
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import KnownTarget
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.formats.grid.navigator_targets import read_nav
from frazil.models.grid_target import GridTarget

Frazil = Callable[..., tuple[int, str]]
NAVIGATOR = "AdocVersion = 2.00\nLastSavedAs = grid.nav\n\n" + "".join(
    f"[Item = {n}-A]\nColor = 0\nStageXYZ = {10 * n} 0 0\nNumPts = 1\nRegis = 1\nType = 0\nMapID = {900000 + n}\n"
    f"Acquire = 1\nPtsX = {10 * n}\nPtsY = 0\n\n"
    for n in range(4)
)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "grid.nav").write_text(NAVIGATOR, encoding="utf-8")
    square = GridTarget("sq", "square", "serialem", "7")
    holes = [replace(one, parent_id="sq", x_in_parent_px=4.5) for one in read_nav(tmp_path / "grid.nav").targets]
    rows = [KnownTarget(one, "sq") for one in (square, *holes)]
    with Store.open(tmp_path, now_utc_us=1) as store:
        store.write(WritePolicy.DURABLE, target_writes.record_targets, rows, utc_us=1)
        judge_without_daemon(store, utc_us=2)
    return tmp_path


@pytest.fixture
def frazil(session: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Frazil:
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(session)
        monkeypatch.setattr(sys, "argv", ["frazil", "next", ".", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def ranked(frazil: Frazil, *words: str) -> list[str]:
    code, said = frazil("--json", *words)
    assert code == 0, said
    return [str(row["name"]) for row in json.loads(said)["targets"]]


def test_what_it_says(frazil: Frazil) -> None:
    code, said = frazil("-n", "2")
    assert code == 0
    lines = said.splitlines()
    assert lines[0].startswith("next: square 7, 4 holes, 0.5 (")
    assert "rank  hole  square  usable" in said
    assert len([line for line in lines if "-A   7 " in line]) == 2
    assert "0 of 4 holes exposed, 0 outcomes; hours left are not known: 8 h assumed (--hours-left H)" in said


def test_a_session_without_a_grid(frazil: Frazil, session: Path) -> None:
    with Store.open(session, now_utc_us=1) as store:
        for table in ("grid_targets", "target_rounds"):
            store.write(WritePolicy.DURABLE, lambda c, name=table: c.execute(f"DELETE FROM {name}"))
    code, said = frazil()
    assert code == 0
    assert said.startswith("nothing is known of a grid: no file of EPU, SerialEM or a table of holes")


def test_people_overrule_and_take_it_back(frazil: Frazil, session: Path) -> None:
    assert set(ranked(frazil)) == {"0-A", "1-A", "2-A", "3-A"}
    code, said = frazil("--pick", "2-A", "--avoid", "serialem:item:900001", "--hours-left", "5")
    assert code == 0
    assert "hole 2-A is taken first\nhole 1-A is left out\n5 h are left at the microscope from now on" in said
    assert "picked by" in said
    assert "5.0 h left" in said
    names = ranked(frazil)
    assert names[0] == "2-A"
    assert "1-A" not in names
    assert [row.word for row in result_files.read_target_words(session)] == ["picked", "avoided", "hours_left"]
    assert set(ranked(frazil, "--forget", "1-A")) == {"0-A", "1-A", "2-A", "3-A"}
    code, said = frazil("--forget", "all", "--json")
    assert json.loads(said)["words"] == []


def test_what_cannot_be_is_refused(frazil: Frazil) -> None:
    code, said = frazil("--pick", "99-A")
    assert code == 2
    assert "no hole, patch or square is called '99-A'" in said
    assert frazil("--hours-left", "-1")[0] == 2
    code, said = frazil("--serialem-nav", "out.nav")
    assert code == 2
    assert "Give both" in said
    code, said = frazil("--nav", "grid.nav", "--serialem-nav", "grid.nav")
    assert code == 2
    assert "it is there already" in said
    assert frazil("--csv", "nowhere/next.csv")[0] == 2


def test_serialem_takes_the_holes_in_this_order_and_its_file_stays(frazil: Frazil, session: Path) -> None:
    frazil("--avoid", "1-A", "--pick", "3-A")
    order = ranked(frazil, "-n", "1000")
    code, said = frazil("--nav", "grid.nav", "--serialem-nav", "out.nav")
    assert code == 0
    assert "wrote out.nav" in said
    assert (session / "grid.nav").read_text(encoding="utf-8") == NAVIGATOR
    made = sorted(
        (one for one in read_nav(session / "out.nav").targets if one.state == "chosen"), key=lambda one: one.order or 0
    )
    assert [one.name for one in made] == order == ["3-A", *order[1:]]
    assert "1-A" not in order, "what a person avoids is not marked any more"


def test_the_navigator_of_another_grid_is_refused(frazil: Frazil, session: Path) -> None:
    other = session / "other.nav"
    other.write_text("AdocVersion = 2.00\nLastSavedAs = other.nav\n\n", encoding="utf-8")
    code, text = frazil("--nav", "other.nav", "--serialem-nav", "out.nav")
    assert code != 0
    assert "the navigator file of this grid" in text
    assert not (session / "out.nav").exists()


def test_holes_of_a_pattern_are_one_item_of_the_navigator(session: Path) -> None:
    with open_session(session) as reader:
        answer = next_answer(reader, limit=1)
    hole = {**answer.targets[0], "program": "serialem", "stage_group": "serialem:item:7"}
    holes = [
        {**hole, "rank": rank, "target_id": f"serialem:item:7:{key}", "name": f"12 {key}"}
        for rank, key in enumerate(("-1 1", "1 1"), start=1)
    ]
    other = {**hole, "rank": 3, "target_id": "serialem:item:8", "name": "13", "stage_group": None}
    lines = next_text(replace(answer, targets=[*holes, other])).splitlines()
    assert [line.split()[:2] for line in lines] == [["1", "12"], ["3", "13"]]


def test_the_list_for_whoever_sits_at_epu(frazil: Frazil, session: Path) -> None:
    frazil("--csv", "next.csv")
    assert frazil("--csv", "next.csv")[0] == 2, "what is there already is not written over"
    with open(session / "next.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["x_in_square_px"] == "4.50"
    assert "usable with" in rows[0]["reason"]


def test_lines_for_a_script_have_one_word_for_each_value(session: Path) -> None:
    with open_session(session) as reader:
        answer = next_answer(reader, limit=2)
    spaced = replace(answer, targets=[{**answer.targets[0], "name": "a b", "stage_y_um": None, "square": None}])
    (line,) = next_text(spaced).splitlines()
    first = answer.targets[0]
    assert line.split() == ["1", "a_b", f"{first['usable']:.3f}", f"{first['stage_x_um']:.3f}", "-", "sq"]
