"""A result made again, with its pictures: wherever we are ended, the next start finds one result and no mixture."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import pytest

from frazil.config.errors import WriteError
from frazil.daemon.processing import dispatch, redo_files
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import MovieRow

OLD = {"motion/1.mrc": b"old micrograph", "particles/1.mrcs": b"old particles", "thumbnails/1.png": b"old"}
NEW = {"motion/1.mrc": b"new micrograph", "thumbnails/1.png": b"new", "restored/1.mrc": b"new, restored"}


class EndedError(BaseException):
    """Of the whole process."""


@pytest.fixture
def again(put, make_result, tmp_path):
    """What the worker and the daemon have of a movie that is done again: it has no particles any more."""
    put(1, parameter_hash="old")
    lay_pictures_out(tmp_path)
    row = MovieRow(movie_id="m001", relative_path="1.tif", generation=0, found_utc_us=1, sequence=1, stem="1")
    return StoredResult(row, make_result(1, parameter_hash="new", picks=0), 20, 1.0)


def lay_pictures_out(session_dir) -> None:
    """Those of the earlier result in the session's folders, the new ones in the folder of the movie."""
    (session_dir / "restored/1.mrc").unlink(missing_ok=True)
    for root, files in ((session_dir, OLD), (session_dir / redo_files.folder_of("m001"), NEW)):
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)


def there(store, session_dir) -> tuple[str, str, dict[str, bytes]]:
    """Parameters of the rows and of the result's file, and all pictures."""
    ((made_with,),) = store.rows("SELECT DISTINCT parameter_hash FROM stages")
    stored = result_files.read_result(result_files.result_path(session_dir, "m001"))
    folders = ("motion", "particles", "thumbnails", "restored")
    pictures = {
        path.relative_to(session_dir).as_posix(): path.read_bytes()
        for folder in folders
        for path in (session_dir / folder).glob("*")
    }
    return made_with, stored.result.parameter_hash, pictures


def test_a_result_that_the_database_refuses_does_not_keep_a_session_from_starting(
    store, again, tmp_path, monkeypatch, caplog
):
    def refuse(connection, stored):
        raise WriteError("no such column")

    folder = tmp_path / redo_files.folder_of("m001")
    result_files.write_result(folder, again)
    monkeypatch.setattr(rebuild, "adopt", refuse)
    redo_files.settle(store, tmp_path)
    assert not folder.exists()
    assert "m001 that was made again could not be stored" in caplog.text


def test_wherever_it_ends_the_next_start_finds_one_result_with_its_pictures(store, again, put, tmp_path, monkeypatch):
    outcomes = []
    for last in itertools.count():
        put(1, parameter_hash="old")
        lay_pictures_out(tmp_path)
        steps = itertools.count()

        def counted(function, steps=steps, last=last):
            def step(*arguments):
                if next(steps) == last:
                    raise EndedError
                return function(*arguments)

            return step

        with monkeypatch.context() as patch:
            patch.setattr(redo_files.os, "replace", counted(os.replace))
            patch.setattr(redo_files.result_files, "write_result", counted(result_files.write_result))
            try:
                redo_files.put_in_place(tmp_path, again)
            except EndedError:
                whole = False
            else:
                whole = True  # and the process ended before the rows were written
        written_ns = result_files.result_path(tmp_path, "m001").stat().st_mtime_ns
        redo_files.settle(store, tmp_path)
        if whole:
            now_ns = result_files.result_path(tmp_path, "m001").stat().st_mtime_ns
            assert now_ns == written_ns, "only its rows were missing"
        found = there(store, tmp_path)
        assert found in (("old", "old", OLD), ("new", "new", NEW)), f"ended at step {last}"
        assert not list((tmp_path / ".redo").iterdir())
        outcomes.append(found[0])
        if whole:
            break
    assert outcomes == ["old"] + ["new"] * (len(NEW) + 2), (
        "from the moment that the result was written it is the new one"
    )


@pytest.mark.usefixtures("again")
def test_a_try_that_came_to_nothing_leaves_all_as_it_was(store, tmp_path):
    redo_files.settle(store, tmp_path)
    assert there(store, tmp_path) == ("old", "old", OLD)
    assert not list((tmp_path / ".redo").iterdir())


def test_a_disk_that_refuses_the_result_leaves_all_as_it_was_and_a_second_try_does_it(
    store, again, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(redo_files.result_files, "write_result", full)
        with pytest.raises(OSError, match="No space"):
            redo_files.put_in_place(tmp_path, again)
    assert there(store, tmp_path) == ("old", "old", OLD)
    redo_files.put_in_place(tmp_path, again)
    redo_files.put_in_place(tmp_path, replace(again, lag_s=2.0))  # the rows were refused: once more
    store.submit(rebuild.adopt, again).result()
    assert there(store, tmp_path) == ("new", "new", NEW)


def test_sums_belong_to_their_result_whatever_their_times_say(again, tmp_path):
    """A copied session has its times from the copying; only beside a result that waits are sums doubtful."""
    result = result_files.result_path(tmp_path, "m001")
    os.utime(result, (1, 1))
    stored, newest_ns = dispatch.earlier_result(result)
    assert stored.result.movie_id == "m001"
    assert newest_ns > (tmp_path / "motion/1.mrc").stat().st_mtime_ns
    result_files.write_result(tmp_path / redo_files.folder_of("m001"), again)
    _, newest_ns = dispatch.earlier_result(result)
    assert newest_ns < (tmp_path / "motion/1.mrc").stat().st_mtime_ns
