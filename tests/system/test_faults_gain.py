"""Missing, rotated, inverted, wrong and late gain references through the whole daemon (in a thread, without Ray)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.tiff_write import write_movie_tiff

SIZE_PX = 128
MOVIES = 2
ENOUGH = {"size_px": SIZE_PX, "count": 4, "e_per_px": 60.0}
"""Counts with which two movies of 128 x 128 px show a pattern of 1.5 %, or that there is none."""


@pytest.fixture(scope="module")
def sensitivity() -> np.ndarray:
    pattern = np.clip(np.random.default_rng(5).normal(1.0, 0.05, (SIZE_PX, SIZE_PX)), 0.5, 2.0).astype(np.float32)
    return pattern / pattern.mean()


@pytest.fixture
def raw_movies(kit, live, sensitivity) -> list[str]:
    """Uncorrected movies with enough counts for the gate."""
    names = [f"m{index}.tiff" for index in range(MOVIES)]
    for index, name in enumerate(names):
        kit.put_movie(live.raw / name, index, sensitivity=sensitivity, **ENOUGH)
    return names


def write_gain(path: Path, values: np.ndarray) -> str:
    write_mrc(path, np.ascontiguousarray(values, dtype=np.float32), pixel_size_angstrom=1.3)
    return str(path)


def verdict(session) -> str:
    return session.sql("SELECT gain_verdict FROM session")[0]["gain_verdict"]


def test_missing_gain_blocks_with_evidence_and_nothing_is_processed(live, raw_movies):
    live.start(once=True)
    report = live.join()
    assert live.error is None
    assert not report.ok
    assert report.sentence.startswith(f"{MOVIES} movies wait for the gain gate: ")
    assert "no gain reference was given" in report.sentence
    assert "--gain FILE" in report.remedy
    live.start(once=False)
    kit_rows = live.states()
    assert set(kit_rows.values()) <= {"queued", "found", "settling"}
    live.stop()


@pytest.mark.parametrize("kind", ["rotated", "inverted"])
def test_turned_or_inverted_gain_is_found_and_applied(kit, live, raw_movies, sensitivity, tmp_path, kind):
    multiplier = 1.0 / sensitivity
    stored = sensitivity if kind == "inverted" else np.rot90(multiplier)[:, ::-1]
    live.start(camera__gain=write_gain(tmp_path / "gain.mrc", stored))
    for name in raw_movies:
        live.wait_state(name, "ready", "rejected")
    assert ("divide" in verdict(live)) == (kind == "inverted")
    left = [row["fixed_pattern"] for row in live.sql("SELECT fixed_pattern FROM quality")]
    assert len(left) == MOVIES
    assert max(abs(value) for value in left) < 0.1  # 1 would be: not corrected at all


def test_wrong_gain_blocks_and_the_right_one_lets_all_movies_through(live, raw_movies, sensitivity, tmp_path):
    other = np.clip(np.random.default_rng(6).normal(1.0, 0.05, (SIZE_PX, SIZE_PX)), 0.5, 2.0)
    live.start(once=True, camera__gain=write_gain(tmp_path / "other.mrc", other))
    report = live.join()
    assert live.error is None
    assert not report.ok
    assert "not that of this gain reference in any orientation" in report.sentence
    live.start(once=True, camera__gain=write_gain(tmp_path / "gain.mrc", 1.0 / sensitivity))
    report = live.join()
    assert live.error is None
    assert report.ok
    live.start(camera__gain=str(tmp_path / "gain.mrc"))
    rows = live.movies()
    assert {rows[name]["state"] for name in raw_movies} <= {"ready", "rejected"}
    assert {rows[name]["attempts"] for name in raw_movies} == {1}


def test_gain_file_that_is_not_there_is_a_usage_error_that_names_it(live, raw_movies, tmp_path):
    live.start(once=True, camera__gain=str(tmp_path / "nowhere.mrc"))
    live.join()
    assert type(live.error).__name__ == "UsageError"
    assert "nowhere.mrc" in str(live.error)


def test_gain_file_that_is_no_image_stops_the_daemon_with_the_reason(live, raw_movies, tmp_path):
    (tmp_path / "gain.mrc").write_bytes(b"\0" * 5000)
    live.start(once=True, camera__gain=str(tmp_path / "gain.mrc"))
    live.join()
    assert type(live.error).__name__ == "StopDaemonError"
    assert "gain.mrc" in str(live.error)


def test_damaged_movie_among_the_first_does_not_stop_the_gate(kit, live, raw_movies, sensitivity, tmp_path):
    """Its structure is whole, its pixels do not decode: only reading it shows that."""
    staged = tmp_path / "staged.tiff"
    write_movie_tiff(staged, kit.frames(9, **ENOUGH), compression="deflate", pixel_size_angstrom=1.3)
    with tifffile.TiffFile(staged) as file:
        (start, *_), (size, *_) = file.pages[2].dataoffsets, file.pages[2].databytecounts
    with staged.open("r+b") as sink:
        sink.seek(start + size // 2)
        sink.write(b"\xff" * 100)
    staged.rename(live.raw / "a-broken.tiff")
    live.start(camera__gain=write_gain(tmp_path / "gain.mrc", 1.0 / sensitivity))
    for name in raw_movies:
        live.wait_state(name, "ready", "rejected")
    row = live.wait_state("a-broken.tiff", "quarantined")
    assert row["failure_stage"] in ("open", "read")
    assert len(row["failure_reason"]) > 20
    assert row["failure_evidence"]


@pytest.mark.slow
def test_resumed_session_does_not_ask_again_unless_the_reference_changed(kit, live, raw_movies, sensitivity, tmp_path):
    path = write_gain(tmp_path / "gain.mrc", 1.0 / sensitivity)
    live.start(once=True, camera__gain=path)
    assert live.join().ok
    live.start(camera__gain=path)
    live.client()
    kit.wait_for(lambda: live.state().gate.status == "open", "the gate to know the answer again")
    known = live.sql("SELECT gain_verdict FROM session")[0]["gain_verdict"]
    live.stop()
    write_gain(tmp_path / "gain.mrc", sensitivity)
    live.start(camera__gain=path)
    live.client()
    for name in raw_movies:
        live.wait_state(name, "ready", "rejected")
    kit.wait_for(lambda: live.sql("SELECT gain_verdict FROM session")[0]["gain_verdict"] != known, "another verdict")


def test_single_frames_need_no_gate(kit, live):
    kit.put_movie(live.raw / "sum.tiff", 3, count=1, e_per_px=30.0)
    live.start(once=True)
    report = live.join()
    assert live.error is None
    assert report.ok
