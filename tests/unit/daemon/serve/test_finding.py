"""Acquisitions are found by their layouts, as EPU, SerialEM and Leginon write them, and told apart."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from frazil.daemon.serve.finding import contents_of, find_acquisitions

DATA = Path("/work/shared/data/acquisition")


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def told(root: Path, **options: object) -> dict[str, str]:
    """Folder below the root to program."""
    found = find_acquisitions(root, **options).found  # type: ignore[arg-type]
    return {str(one.folder.relative_to(root)): one.program for one in found}


def test_layouts_of_the_programs(tmp_path: Path) -> None:
    put(
        tmp_path,
        "krios/supervisor_1/EpuSession.dm",
        "krios/supervisor_2/Images-Disc1/GridSquare_1/Data/FoilHole_1_Data_2_3_20261125_000001_Fractions.tiff",
        "krios/offload/apo/FoilHole_1_Data_2_3_20261125_000001_EER.eer",
        "arctica/26nov25a/grid.nav",
        "arctica/26nov25a/frames/1.tif",
        "arctica/26nov25b/frames/1.tif",
        "arctica/26nov25b/frames/1.tif.mdoc",
        "leginon/26nov25c/rawdata/26nov25c_00021gr_00007sq_v01_00002hl_00003en.mrc",
        "leginon/26nov25d/rawdata/frames/26nov25d_00021gr_00007sq_v01_00002hl_00003en.frames.mrc",
        "anybody/apo/raw/m1.tiff",
        "anybody/ribo/m1.eer",
    )
    assert told(tmp_path) == {
        "krios/supervisor_1": "epu",
        "krios/supervisor_2": "epu",
        "krios/offload/apo": "epu",
        "arctica/26nov25a": "serialem",
        "arctica/26nov25b": "serialem",
        "leginon/26nov25c": "leginon",
        "leginon/26nov25d": "leginon",
        "anybody/apo": "plain",
        "anybody/ribo": "plain",
    }


@pytest.mark.skipif(not DATA.is_dir(), reason="the samples of real sessions are not on this machine")
def test_real_sessions_of_epu(tmp_path: Path) -> None:
    for name in ("epu37_session", "epu26_afis_exposures"):
        with tarfile.open(DATA / f"{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
    assert told(tmp_path) == {"epu37/session": "epu", "epu26_afis": "epu"}


def test_what_is_no_acquisition_is_not_told(tmp_path: Path) -> None:
    put(
        tmp_path,
        "m1.tiff",  # of the root itself
        "empty/readme.txt",
        "gains/CountRef_gain.mrc",
        "krios/.hidden/m1.tiff",
        "sessions/apo/motion/m1.mrc",
        "a/b/c/d/e/f/g/too-deep.tiff",
    )
    assert told(tmp_path, exclude=(tmp_path / "sessions",)) == {}


def test_one_folder_is_one_acquisition_and_known_ones_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "apo/sq1/m1.tiff", "apo/sq2/m1.tiff", "ribo/raw/m1.tiff", "ribo/frames/m2.tiff")
    assert told(tmp_path) == {"apo/sq1": "plain", "apo/sq2": "plain", "ribo": "plain"}
    # What a person says is one acquisition is one.
    assert told(tmp_path, patterns=("*",)) == {"apo": "plain", "ribo": "plain"}
    assert told(tmp_path, leave={tmp_path / "ribo"}) == {"apo/sq1": "plain", "apo/sq2": "plain"}
    assert told(tmp_path, patterns=("*",), leave={tmp_path / "ribo"}) == {"apo": "plain"}


def test_a_link_is_no_acquisition(tmp_path: Path) -> None:
    put(tmp_path, "secret/apo/m1.tiff", "data/ribo/m1.tiff")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret" / "apo")
    assert told(tmp_path / "data") == {"ribo": "plain"}
    assert told(tmp_path / "data", patterns=("*",)) == {"ribo": "plain"}


def test_a_root_that_is_not_there_is_no_end(tmp_path: Path) -> None:
    look = find_acquisitions(tmp_path / "unmounted")
    assert (look.root_there, look.found) == (False, [])


def test_movies_are_told_from_several_folders_and_the_newest_change_counts(tmp_path: Path) -> None:
    put(tmp_path, *(f"a/m{number}.tiff" for number in range(9)), "b/m0.tiff", "b/gain.mrc")
    for folder, time_s in ((tmp_path, 1000), (tmp_path / "a", 2000), (tmp_path / "b", 3000)):
        os.utime(folder, (time_s, time_s))
    contents = contents_of(tmp_path)
    assert contents.newest_ns == 3000 * 10**9
    assert len(contents.movies) == 5
    assert contents.movies[0] == tmp_path / "a/m0.tiff"
