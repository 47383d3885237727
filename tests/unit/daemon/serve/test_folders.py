"""A session may be looked into by whom its acquisition may be, and by nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from other_account import SOMEBODY, as_somebody, open_to_others

from frazil.daemon.serve.folders import Access, access_of, make_session_folder, session_name

LAB, OTHER_LAB = 4242, 4343
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to groups that are not its own")


def folder(path: Path, mode: int, group: int | None = None) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if group is not None:
        os.chown(path, -1, group)
    path.chmod(mode)
    return path


def bits(access: Access) -> str:
    return f"{access.folder_mode & 0o777:03o}"


@root_only
def test_mode_group_and_owner_are_the_acquisitions(tmp_path: Path) -> None:
    folder(tmp_path, 0o755)
    acquisition = folder(tmp_path / "apo", 0o750, LAB)
    os.chown(acquisition, SOMEBODY, -1)
    access = access_of(acquisition, tmp_path, as_acquisition=True)
    assert (access.owner, access.group, bits(access)) == (SOMEBODY, LAB, "750")
    assert (access.umask, access.file_mode) == (0o027, 0o640)
    session = tmp_path / "session"
    make_session_folder(session, access)
    found = session.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (SOMEBODY, LAB, 0o2750)
    (session / "motion").mkdir()
    assert (session / "motion").stat().st_gid == LAB


@root_only
@pytest.mark.parametrize(
    ("around", "around_group", "own", "own_group", "expected"),
    [
        (0o755, LAB, 0o755, OTHER_LAB, (OTHER_LAB, "755")),
        (0o750, LAB, 0o750, LAB, (LAB, "750")),
        (0o750, LAB, 0o755, LAB, (LAB, "750")),
        (0o750, LAB, 0o755, OTHER_LAB, (LAB, "750")),  # the lab's folder; what a service made in it
        (0o750, LAB, 0o750, OTHER_LAB, (LAB, "700")),  # those of the lab may enter the folder, not the acquisition
        (0o700, LAB, 0o755, LAB, (LAB, "700")),
        (0o755, LAB, 0o777, LAB, (LAB, "775")),  # a share that everybody may write to
    ],
)
def test_a_closed_folder_around_the_acquisition_closes_its_session(
    tmp_path: Path, around: int, around_group: int, own: int, own_group: int, expected: tuple[int, str]
) -> None:
    folder(tmp_path, 0o755)
    acquisition = folder(tmp_path / "lab" / "apo", own, own_group)
    folder(tmp_path / "lab", around, around_group)
    access = access_of(acquisition, tmp_path, as_acquisition=True)
    assert (access.group, bits(access)) == expected


def test_an_account_that_cannot_give_the_group_lets_nobody_in_by_it(tmp_path: Path) -> None:
    open_to_others(tmp_path)
    acquisition = folder(tmp_path / "apo", 0o775, LAB if os.geteuid() == 0 else None)

    def ask() -> Access:
        return access_of(acquisition, tmp_path, as_acquisition=True)

    shut = as_somebody(ask)
    assert (shut.folder_mode, shut.owner, shut.group) == (0o705, None, None)
    assert "cannot look into the session" in shut.problem
    opened = as_somebody(ask, groups=(LAB,))
    assert (opened.folder_mode, opened.owner, opened.group, opened.problem) == (0o2775, None, LAB, "")


def test_by_the_umask_where_a_person_wants_that(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        access = access_of(folder(tmp_path / "apo", 0o700), tmp_path, as_acquisition=False)
    finally:
        os.umask(before)
    assert (access.owner, access.group, bits(access)) == (None, None, "770")


@pytest.mark.parametrize("name", ["../..", ".hidden", "...", "ä ö", "-rf", "a/../b", ""])
def test_a_sessions_name_is_a_plain_one_whatever_the_acquisition_is_called(name: str) -> None:
    made = session_name(Path("/data") / name, ())
    assert made
    assert made[0] not in ".-"
    assert "/" not in made
    assert made.isascii()
