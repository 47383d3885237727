"""What people say of 2-D classes: kept, listed, taken back, heard by the export, and not lost with the database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from typer.testing import CliRunner

from frazil.config.errors import NotThereError, UsageError
from frazil.daemon.changes.classes import ClassWords, note_classes
from frazil.daemon.cli.main import build
from frazil.daemon.export.relion import export_star
from frazil.daemon.report.classes import class_lines, class_rows, said_words
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.rows import ClassChoiceRow, ClassRow, ParticleRows, ReconstructionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import class_writes, session_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star

AVERAGES = "classes/averages.mrcs"


def poses(index: int, class_id: tuple[int, ...] | None) -> ParticleRows:
    return ParticleRows(
        movie_id=f"m{index:05d}",
        x_px=(10.0, 20.0, 30.0),
        y_px=(11.0, 21.0, 31.0),
        half_set=(1, 2, 1),
        class_id=class_id,
    )


@pytest.fixture
def classed(filled: Store) -> Store:
    """Three classes; the judge is sure that 5 is junk, and unsure of 21, which was split from 3."""
    folder = filled.session_dir
    (folder / "motion").mkdir()
    for index in (0, 1):
        write_mrc(folder / "motion" / f"foil_{index}.mrc", np.zeros((8, 12), np.float32), 1.1)
    for index, ids in enumerate(((3, 5, 21), (3, 3, 5))):
        filled.write(WritePolicy.DURABLE, session_writes.record_particles, poses(index, ids))
    filled.write(WritePolicy.DURABLE, session_writes.record_particles, poses(2, None))
    (folder / "classes").mkdir()
    images = np.stack([np.full((4, 4), number, np.float32) for number in (3, 5, 21)])
    write_mrc(folder / AVERAGES, images, 5.0)
    row = ReconstructionRow(
        round=1,
        created_utc_us=5,
        movie_count=2,
        particle_count=6,
        symmetry="C1",
        classes=(
            ClassRow(3, 3, 20.0, AVERAGES, 0.96),
            ClassRow(5, 2, None, AVERAGES, 0.04),
            ClassRow(21, 1, None, AVERAGES, 0.5),
        ),
        class_choices=(
            ClassChoiceRow(3, 3, None, 0.96, None, True),
            ClassChoiceRow(5, 5, None, 0.04, None, False),
            ClassChoiceRow(21, 21, 3, 0.5, None, True),
        ),
    )
    filled.write(WritePolicy.DURABLE, session_writes.record_reconstruction, row)
    return filled


def say(store: Store, when: int, **args: Any) -> str:
    words = ClassWords.of(args)
    return note_classes(store, store.session_dir, words, who="ann", now_utc_us=when, order_id=f"o{when}")


def test_the_newest_word_holds_and_is_taken_back(classed: Store) -> None:
    assert say(classed, 10, keep="5, 21") == "classes 5, 21 are kept"
    assert say(classed, 10, keep="5, 21") == "classes 5, 21 are kept", "the same order is said once"
    assert say(classed, 20, reject="5") == "class 5 is left out"
    assert class_writes.verdicts_now(classed) == {5: False, 21: True}
    assert say(classed, 30, undo=True) == "class 5 is kept"
    assert class_writes.verdicts_now(classed) == {5: True, 21: True}
    say(classed, 40, undecided="5,21")
    assert class_writes.verdicts_now(classed) == {5: None, 21: None}
    rows = classed.named("class_verdicts", {"limit": 100}).as_dicts()
    assert [(row["class_id"], row["verdict"], row["who"]) for row in rows[-2:]] == [
        (5, "keep", "ann"),
        (21, "keep", "ann"),
    ]
    assert len(rows) == 6, "nothing is deleted"


def test_the_first_word_taken_back_is_the_judges_again(classed: Store) -> None:
    with pytest.raises(NotThereError, match="nobody"):
        say(classed, 5, undo=True)
    say(classed, 10, reject="3")
    assert say(classed, 20, undo=True) == "class 3 is for the judge to decide"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"keep": "3,x"}, UsageError),
        ({"keep": "-3"}, UsageError),
        ({"keep": "3", "reject": "3"}, UsageError),
        ({}, UsageError),
        ({"keep": "4"}, NotThereError),
    ],
)
def test_what_is_no_verdict_is_refused(classed: Store, args: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        say(classed, 10, **args)
    assert class_writes.verdicts_now(classed) == {}


def test_verdicts_come_back_from_their_file(classed: Store, tmp_path: Path) -> None:
    say(classed, 10, reject="3", keep="5")
    assert len(result_files.read_class_verdicts(classed.session_dir)) == 2
    other = tmp_path / "again"
    (other / "results").mkdir(parents=True)
    kept = result_files.RESULTS_NAME, result_files.CLASS_VERDICTS_NAME
    other.joinpath(*kept).write_bytes(classed.session_dir.joinpath(*kept).read_bytes())
    with Store.open(other, now_utc_us=1) as anew:
        for _ in range(2):
            rebuild.adopt_missing(anew, other, now_utc_us=2)
        assert class_writes.verdicts_now(anew) == {3: False, 5: True}


def test_the_list_says_scores_and_verdicts(classed: Store) -> None:
    say(classed, 10, keep="5")
    rows = class_rows(classed)
    assert [(row["class_id"], row["judged"], row["place"]) for row in rows] == [
        (3, "good", 0),
        (5, "junk", 1),
        (21, "unsure", 2),
    ]
    assert [said_words(row) for row in rows] == ["", "keep (ann)", ""]
    (counts,) = classed.named("chosen_particles").as_dicts()
    assert counts == {"particles": 12, "chosen": 10}, "particles without a class are chosen"
    lines = list(class_lines(rows, counts))
    assert "left out" in lines[2], "what holds is what the map has carried out"
    assert lines[-1] == "10 of 12 particles are chosen"
    by_parent = replace(ClassChoiceRow(21, 21, 3, 0.5, None, True), spoken_for_by=3)
    classed.write(WritePolicy.DURABLE, class_writes.record_choices, [by_parent])
    assert said_words(class_rows(classed)[2]) == "as class 3"


def test_only_chosen_particles_are_exported(classed: Store, tmp_path: Path) -> None:
    found = {}
    for every in (False, True):
        out = tmp_path / str(every)
        export_star(classed, classed.session_dir, out, every_particle=every)
        block = read_star(out / "particles.star")["particles"]
        found[every] = sorted(block.floats("rlnCoordinateX"))
    assert found == {False: [10.0, 10.0, 20.0, 30.0], True: [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]}
    coordinates = read_star(tmp_path / "False" / "coordinates" / "foil_0.star")[""]
    assert coordinates.floats("rlnCoordinateX") == [10.0, 30.0]


def test_classes_of_a_movie_become_known_later(classed: Store) -> None:
    classed.write(WritePolicy.DURABLE, class_writes.record_classes, "m00002", (5, 3, 5))
    classed.write(WritePolicy.DURABLE, class_writes.record_classes, "m00001", (5,))  # it was picked again
    assert classed.named("chosen_particles").as_dicts() == [{"particles": 12, "chosen": 8}]
    export = classed.named("export_particles", {"after": "m00000", "upto": "m00002"}).as_dicts()
    assert [row["class_id"] for row in export] == [3, 3, 5, 5, 3, 5]


def test_the_verb_lists_says_and_writes(classed: Store, tmp_path: Path) -> None:
    folder = classed.session_dir
    classed.close()
    out = tmp_path / "stack.mrcs"
    app = build("classes")

    def run(*words: str) -> str:
        answer = CliRunner().invoke(app, ["classes", str(folder), *words], catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "keep" in run("--keep", "5", "--reject", "3,21")
    told = json.loads(run("--json", "--out", str(out)))
    assert {row["class_id"]: row["verdict"] for row in told["classes"]} == {3: "reject", 5: "keep", 21: "reject"}
    with mrcfile.open(out) as mrc:
        assert mrc.data.shape == (3, 4, 4)
        assert [float(image[0, 0]) for image in mrc.data] == [3.0, 5.0, 21.0]
    assert "judge" in run("--undo").splitlines()[0]
    with pytest.raises(NotThereError):
        run("--keep", "77")
    with pytest.raises(UsageError, match="already"):
        run("--out", str(out))
