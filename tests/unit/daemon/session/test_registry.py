"""What the daemon knows again after a restart, and names that never collide."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil.config.errors import UsageError
from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.scan import PathFilter, Tree
from frazil.daemon.processing.lifecycle import Lifecycle
from frazil.daemon.processing.scheduler import Scheduler
from frazil.daemon.session.folder import file_digest, output_stem, prepare
from frazil.daemon.session.registry import INTERRUPTED_PRIORITY, LIVE_PRIORITY, MovieRegistry
from frazil.daemon.store.rows import MovieRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes
from frazil.models.records import MovieState


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "session", now_utc_us=1) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    (tmp_path / "session").mkdir()


def register(store: Store, index: int, state: MovieState, *, complete: bool = True, attempts: int = 0) -> str:
    movie_id = f"m{index}"
    store.submit(
        movie_writes.register_movie,
        MovieRow(
            movie_id=movie_id,
            relative_path=f"sq/m{index}.tif",
            generation=1,
            found_utc_us=index,
            sequence=index,
            stem=f"m{index}",
            size_bytes=10,
            mtime_ns=1,
            inode=index,
            complete_utc_us=5 if complete else None,
        ),
    )
    for _ in range(attempts):
        store.submit(movie_writes.start_attempt, movie_id)
    store.submit(movie_writes.set_state, movie_id, state).result()
    return movie_id


def restore(store: Store) -> MovieRegistry:
    return MovieRegistry.restore(store, parameter_hash="h", code_version="v")


def test_movie_in_a_workers_hands_is_done_again_without_counting_and_behind_the_others(store):
    held = register(store, 0, MovieState.PROCESSING, attempts=2)
    waiting = register(store, 1, MovieState.QUEUED)
    registry = restore(store)
    assert registry.interrupted == [held]
    movies = {movie.movie_id: movie for movie in registry.movies}
    assert (movies[held].priority, movies[waiting].priority) == (INTERRUPTED_PRIORITY, LIVE_PRIORITY)
    assert movies[held].attempts == 1  # the one before it was interrupted had failed


def test_failed_attempts_are_remembered(store):
    failed = register(store, 0, MovieState.FAILED, attempts=2)
    (movie,) = restore(store).movies
    assert (movie.movie_id, movie.attempts) == (failed, 2)


def test_movies_without_a_result_are_waited_for_and_incomplete_ones_are_told_apart(store):
    register(store, 0, MovieState.SETTLING, complete=False)
    register(store, 1, MovieState.QUEUED)
    register(store, 2, MovieState.QUARANTINED)
    register(store, 3, MovieState.FOUND, complete=False)
    book = restore(store)
    assert book.open_sequences == [1]
    assert book.settling_sequences == [0, 3]
    assert book.ended_sequences == [2]


def test_movie_set_aside_for_a_missing_value_is_tried_again_and_a_bad_file_is_not(store):
    lacking, bad = register(store, 0, MovieState.QUEUED), register(store, 1, MovieState.QUEUED)
    store.submit(movie_writes.quarantine, lacking, stage="metadata", reason="no pixel size")
    store.submit(movie_writes.quarantine, bad, stage="read", reason="damaged").result()
    states = {movie.path: movie.state for movie in restore(store).for_intake()}
    assert states == {"sq/m0.tif": MovieState.FAILED, "sq/m1.tif": MovieState.QUARANTINED}


def test_numbering_goes_on_after_the_highest(store):
    register(store, 4, MovieState.QUEUED)
    life = Lifecycle(Scheduler(max_attempts=3), restore(store).movies)
    assert life.newest_sequence == 4


def test_stems_never_collide_not_even_with_each_others_second_pictures():
    paths = [
        "x.tif",
        "a/b/x.tif",
        "a__b/x.tif",
        "a/b/x.mrc",
        "a__b/x.mrc",
        "x_noDW.tif",
        "x_ps.tif",
        "x_EVN.tif",
        "y.tif",
    ]
    taken: dict[str, str] = {}
    for path in paths:
        taken[output_stem(path, taken)] = path
    assert sorted(taken.values()) == sorted(paths)
    files = [f"{stem}{ending}" for stem in taken for ending in ("", "_noDW", "_EVN", "_ODD", "_ps")]
    assert len(set(files)) == len(files)
    assert output_stem("y.tif", taken) == "y"  # known again
    assert all("/" not in stem for stem in taken)


def test_what_one_look_finds_is_in_the_order_of_names(tmp_path):
    names = [f"sq{square}/m{index:02d}.tif" for square in (2, 1) for index in (7, 3, 11)]
    for name in names:
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    snapshot = Tree(tmp_path / "raw", PathFilter(IntakeSettings())).scan()
    assert list(snapshot.files) == sorted(names)


def test_digest_follows_the_content_and_a_missing_file_is_the_persons_mistake(tmp_path):
    path = tmp_path / "gain.mrc"
    path.write_bytes(b"1")
    first = file_digest(str(path))
    path.write_bytes(b"2")
    assert first != file_digest(str(path))
    assert file_digest(None) == ""
    with pytest.raises(UsageError, match=r"nowhere\.mrc"):
        file_digest(str(tmp_path / "nowhere.mrc"))


def test_session_folder_may_not_lie_among_raw_data(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for session in (raw, raw / "session", Path(f"{raw}/../raw/deep/session")):
        with pytest.raises(UsageError):
            prepare(session, raw)
    assert list(raw.iterdir()) == []
    with pytest.raises(UsageError, match="does not exist"):
        prepare(tmp_path / "other", tmp_path / "nothing")
    prepare(tmp_path / "other", raw)
    assert (tmp_path / "other" / "motion").is_dir()
