"""Documents read behind walls: hostile ones are named and do nothing, long ones stay small, pictures are read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.documents import hostile, writers
from benchmarks.documents.scoring import score_made
from benchmarks.documents.truths import Truth, drawn
from benchmarks.documents.wordings import SEEN_LABELS, table
from frazil.actors.document_reader import read_behind_walls
from frazil.config import errors
from frazil.config.errors import FormatError, UsageError
from frazil.config.loading import load_settings
from frazil.models.documents.formats.picture import reading_of_pictures
from frazil.models.documents.gathering import findings_of

_VERB = "import sys; from frazil.daemon.cli.main import main; sys.argv[0] = 'frazil'; main()"
needs_pictures = pytest.mark.skipif(reading_of_pictures() is not None, reason="frazil[documents] is not installed")


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_a_hostile_document_is_named_with_what_to_do(name: str, tmp_path: Path) -> None:
    make, suffix, kind = hostile.REFUSED[name]
    path = tmp_path / f"given{suffix}"
    make(path)
    if suffix == ".png" and reading_of_pictures() is not None:
        pytest.skip("frazil[documents] is not installed")
    with pytest.raises(getattr(errors, kind)) as refused:
        read_behind_walls(path)
    assert refused.value.path == str(path)
    assert refused.value.remedy
    assert os.listdir(tmp_path) == [path.name]


def test_a_script_is_told_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    hostile.scripted_pdf(path)
    read = read_behind_walls(path)
    assert any("scripts" in remark for remark in read.tree.remarks)
    assert {one.value for one in findings_of(read.tree, path.name)} == {300.0, 0.83}


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_behind_walls(tmp_path / "none.pdf")


def test_300_pages_take_little_more_memory_than_one(tmp_path: Path) -> None:
    page = (["This page says nothing that a session could be set up with, at some length."] * 12, [])
    long, short = tmp_path / "long.pdf", tmp_path / "short.pdf"
    writers.write_pdf(short, [page])
    writers.write_pdf(long, [page] * 299 + [(["The microscope was operated at 200 kV."], [])])
    read = read_behind_walls(long)
    (voltage,) = findings_of(read.tree, long.name)
    assert (voltage.value, voltage.place.page) == (200.0, 300)
    assert read.peak_memory_mib < read_behind_walls(short).peak_memory_mib + 150


@needs_pictures
def test_a_photographed_form_turned_by_3_degrees(tmp_path: Path) -> None:
    truth = drawn(42, left_out=0.5)
    page, picture = tmp_path / "page.pdf", tmp_path / "screen.png"
    writers.write_pdf(page, [([], table(truth, 1, SEEN_LABELS))])
    writers.write_scan(picture, page, tilt_deg=3.0)
    score = score_made(truth, findings_of(read_behind_walls(picture).tree, picture.name))
    assert score.right >= 0.9 * score.asked
    assert score.wrong == score.invented - score.invented_marked == 0


@needs_pictures
def test_a_scanned_pdf_is_read_by_its_looks(tmp_path: Path) -> None:
    page, picture, scan = (tmp_path / name for name in ("page.pdf", "page.png", "scan.pdf"))
    writers.write_pdf(page, [(["Images were recorded at 300 kV with a pixel size of 0.83 Å."], [])])
    writers.write_scan(picture, page)
    writers.write_picture_pdf(scan, picture)
    read = read_behind_walls(scan)
    found = findings_of(read.tree, scan.name)
    assert {one.value for one in found} == {300.0, 0.83}
    assert all("read from a picture" in one.notes for one in found)
    assert all(one.place.page == 1 for one in found)


def test_the_verb_writes_a_file_only_when_told_and_goes_on_past_a_bad_document(tmp_path: Path) -> None:
    writers.write_cif(tmp_path / "a.cif", Truth(voltage_kv=200.0, cs_mm=2.7))
    hostile.encrypted_pdf(tmp_path / "locked.pdf")

    def frazil(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _VERB, "setup", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=100,
        )

    shown = frazil("a.cif", "locked.pdf")
    assert shown.returncode == 0
    assert "microscope.voltage_kv" in shown.stdout
    assert "locked.pdf: is encrypted" in shown.stderr
    assert sorted(os.listdir(tmp_path)) == ["a.cif", "locked.pdf"]
    written = frazil("a.cif", "--write", "setup.yaml", "--json")
    assert json.loads(written.stdout)["settings"][0]["setting"] == "microscope.voltage_kv"
    assert load_settings(yaml_path=tmp_path / "setup.yaml").microscope.cs_mm == 2.7
    again = frazil("a.cif", "--write", "setup.yaml")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    nothing = frazil("locked.pdf")
    assert nothing.returncode == 1
    assert "save it without a password" in nothing.stderr.lower()


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.pdf"
    with path.open("wb") as file:
        file.truncate(400 * 1024**2)
    with pytest.raises(FormatError, match="larger"):
        read_behind_walls(path)
