"""A group sees its own sessions: those of others are left out of every list, and how many there are is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from other_account import as_somebody, open_to_others

from frazil.config.errors import UsageError
from frazil.daemon.store.queries.many_sessions import sessions_below
from frazil.tui.chooser import ChooserApp


def session(folder: Path, mode: int = 0o755) -> Path:
    """As much of one as a list looks at."""
    folder.mkdir(parents=True)
    (folder / "session.duckdb").touch()
    folder.chmod(mode)
    return folder


def refusal(root: Path) -> str:
    try:
        return f"none: {sessions_below(root)}"
    except UsageError as error:
        return str(error)


@pytest.fixture
def facility(tmp_path: Path) -> Path:
    """Five sessions, of which one is everybody's."""
    open_to_others(tmp_path)
    root = tmp_path / "sessions"
    for name, mode in (("open", 0o755), ("closed", 0o700), ("none", 0o000)):
        session(root / name, mode)
    session(root / "lab" / "deep")
    (root / "lab").chmod(0o700)
    (session(root / "file") / "session.duckdb").chmod(0o600)
    return root


def test_what_may_not_be_read_is_left_out_and_counted(facility: Path) -> None:
    found = as_somebody(lambda: sessions_below(facility))
    assert [folder.name for folder in found.folders] == ["open"]
    assert found.not_readable == 4  # the folder of a lab is one: what is in it nobody else can know


def test_where_nothing_may_be_read_that_is_the_reason(facility: Path) -> None:
    (facility / "open").chmod(0o700)
    assert "5 folders here may not be read by this account" in as_somebody(lambda: refusal(facility))
    facility.chmod(0o700)
    assert "this folder may not be read by this account" in as_somebody(lambda: refusal(facility))


def test_folders_without_sessions_are_not_counted(tmp_path: Path) -> None:
    session(tmp_path / "apo")
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    found = sessions_below(tmp_path)
    assert ([folder.name for folder in found.folders], found.not_readable) == (["apo"], 0)


@pytest.mark.parametrize(("hidden", "words"), [(0, "0 sessions in"), (3, "0 sessions, 3 more not readable in")])
async def test_the_screen_says_so_above_its_list(tmp_path: Path, hidden: int, words: str) -> None:
    chooser = ChooserApp(tmp_path, list, lambda: 0, hidden=hidden)
    async with chooser.run_test(size=(100, 24)) as pilot:
        await pilot.pause()
        strips = chooser.screen._compositor.render_strips()
        assert words in "".join(segment.text for segment in strips[0])
