"""Every bad file of the issue in one running session, among good ones: right state, a reason, and the run goes on.

The daemon runs in a thread with real workers, times are shortened by settings (settle 0.2 s, given up after 6 s).
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile

FRAMES = 6
GOOD = tuple(f"good/m{index}.tiff" for index in range(4))


@dataclass
class Story:
    """What was done to the session, and what its tables said in the end."""

    session: Any
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    all_rows: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    """Why a movie waited, as told while it did."""


def frame_ends(path: Path) -> list[int]:
    """Bytes of the file at which each frame (its directory and its pixels) is there to the last byte."""
    data = path.read_bytes()
    (offset,) = struct.unpack_from("<I", data, 4)
    ends = []
    with tifffile.TiffFile(path) as file:
        pages = list(file.pages)
    for page in pages:
        strips = [start + size for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
        (entries,) = struct.unpack_from("<H", data, page.offset)
        values = [tag.valueoffset + tag.valuebytecount for tag in page.tags]
        ends.append(max(*strips, page.offset + 2 + 12 * entries + 4, *values))
    assert offset < ends[0]
    assert sorted(ends) == ends
    return ends


def bomb(side_px: int) -> bytes:
    """One page of deflated zeros that keeps its promise: `side_px` squared out of a thousandth."""
    packer = zlib.compressobj(6)
    packed = b"".join(packer.compress(bytes(side_px * 100)) for _ in range(side_px // 100)) + packer.flush()
    tags = [(256, side_px), (257, side_px), (258, 8), (259, 8), (262, 1), (273, 8), (277, 1), (278, side_px)]
    tags.append((279, len(packed)))
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    packed += bytes(len(packed) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory


def absurd_mrc() -> bytes:
    """1024 bytes that claim 100,000 x 100,000 x 100,000 pixels."""
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 100_000, 100_000, 100_000, 0)
    header[208:216] = b"MAP DD\0\0"
    return bytes(header)


def preallocate(kit, path: Path, written: int) -> np.ndarray:
    """An MRC of its final size with the last frames still zero; returns all the counts."""
    counts = kit.frames(50, count=FRAMES).astype(np.int8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path) as file:
        file.set_data(np.concatenate([counts[:written], np.zeros_like(counts[written:])]))
        file.voxel_size = kit.pixel_size_angstrom
    return counts


@pytest.fixture(scope="module")
def story(module_live, kit, tmp_path_factory) -> Story:
    session, raw = module_live, module_live.raw
    told = Story(session)
    for index, name in enumerate(GOOD):
        kit.put_movie(raw / name, index)
    session.start(camera__no_gain=True, microscope__dose_per_frame_e_per_a2=1.0)

    # Cut at every frame boundary, as a copy that was interrupted leaves it ...
    whole = kit.put_movie(tmp_path_factory.mktemp("staging") / "whole.tiff", 10)
    data, ends = whole.read_bytes(), frame_ends(whole)
    assert len(ends) == FRAMES
    (raw / "cut").mkdir()
    for index, end in enumerate(ends[:-1], start=1):
        (raw / f"cut/after{index}.tiff").write_bytes(data[:end])
    # ... and as a writer leaves it that stopped in good order: only the siblings tell.
    for count in range(1, FRAMES):
        kit.put_movie(raw / f"short/of{count}.tiff", 20 + count, count=count)
    # Growing, and paused longer than the settle time.
    (raw / "grow").mkdir()
    growing = raw / "grow/g.tiff"
    growing.write_bytes(data[: ends[2]])
    filling = raw / "mrc/filled.mrc"
    counts = preallocate(kit, filling, 3)
    preallocate(kit, raw / "mrc/never.mrc", 3)
    (raw / "bad").mkdir()
    (raw / "bad/claims.mrc").write_bytes(absurd_mrc())
    (raw / "bad/bomb.tiff").write_bytes(bomb(10_000))
    (raw / "bad/empty.tiff").write_bytes(b"")
    (raw / "bad/text.tiff").write_bytes(b"this is not a movie\n" * 1000)
    kit.put_movie(raw / "square1/same.tiff", 31)
    kit.put_movie(raw / "square2/same.tiff", 32)
    outside = kit.put_movie(tmp_path_factory.mktemp("outside") / "secret.tiff", 40)
    os.symlink(outside, raw / "link.tiff")

    for path in ("grow/g.tiff", "mrc/filled.mrc"):
        row = session.wait_state(path, "settling")
        told.waiting[path] = row["failure_reason"]
    with growing.open("ab") as file:
        file.write(data[ends[2] :])
    with filling.open("r+b") as file:
        file.seek(1024 + 3 * counts[0].nbytes)
        file.write(counts[3:].tobytes())
    session.wait_state("grow/g.tiff", "ready", "rejected")
    session.wait_state("mrc/filled.mrc", "ready", "rejected")
    # One that was processed is written again: a new generation of the same path.
    session.wait_state(GOOD[0], "ready", "rejected")
    kit.put_movie(raw / GOOD[0], 77)
    kit.wait_for(lambda: session.movies()[GOOD[0]]["generation"] == 2, "the second generation")
    open_states = {"found", "settling", "queued", "processing", "failed"}
    kit.wait_for(lambda: not open_states & set(session.states().values()), lambda: str(session.states()), 110.0)
    # A truncated one that is completed after it was set aside is taken up again.
    (raw / "cut/after2.tiff").write_bytes(data)
    session.wait_state("cut/after2.tiff", "ready", "rejected")
    told.rows = session.movies()
    told.all_rows = session.sql("SELECT m.*, q.micrograph_path FROM movies m LEFT JOIN quality q USING (movie_id)")
    told.alerts = session.alerts()
    return told


def set_aside(story: Story, path: str) -> str:
    row = story.rows[path]
    assert (row["state"], row["failure_stage"], row["attempts"]) == ("quarantined", "intake", 0), row
    return row["failure_reason"]


def processed(story: Story, path: str) -> dict[str, Any]:
    row = story.rows[path]
    assert row["state"] in ("ready", "rejected"), row
    assert row["attempts"] == 1, row
    return row


@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", GOOD)
def test_the_run_goes_on(story, path):
    assert processed(story, path)["frame_count"] == FRAMES


@pytest.mark.parametrize("cut", [1, 3, 4, 5])
def test_tiff_cut_at_a_frame_boundary_is_set_aside_as_truncated(story, cut):
    reason = set_aside(story, f"cut/after{cut}.tiff")
    assert reason.startswith("Truncated: ")
    assert "has not changed for 6 s" in reason


def test_tiff_that_is_completed_after_it_was_set_aside_is_taken_up(story):
    row = processed(story, "cut/after2.tiff")
    assert (row["generation"], row["frame_count"], row["failure_reason"]) == (1, FRAMES, None)


@pytest.mark.parametrize("count", range(1, FRAMES))
def test_tiff_with_too_few_frames_is_told_from_its_siblings(story, count):
    assert f"{count} of {FRAMES} frames (the other movies of this session have {FRAMES})" in set_aside(
        story, f"short/of{count}.tiff"
    )


def test_growing_file_is_waited_for_and_taken_once(story):
    row = processed(story, "grow/g.tiff")
    assert (row["frame_count"], row["generation"]) == (FRAMES, 1)
    assert story.waiting["grow/g.tiff"]


def test_preallocated_mrc_is_taken_when_it_is_filled(story):
    assert "the last 3 of 6 frames are all zero" in story.waiting["mrc/filled.mrc"]
    assert processed(story, "mrc/filled.mrc")["frame_count"] == FRAMES
    assert "the last 3 of 6 frames are all zero" in set_aside(story, "mrc/never.mrc")


def test_one_name_in_two_squares_is_two_movies_with_files_of_their_own(story):
    one, two = (processed(story, f"square{n}/same.tiff") for n in (1, 2))
    assert one["stem"] != two["stem"]
    images = []
    for row in (one, two):
        name = next(r["micrograph_path"] for r in story.all_rows if r["movie_id"] == row["movie_id"])
        with mrcfile.open(story.session.session_dir / name) as file:
            images.append(np.array(file.data))
    assert not np.array_equal(images[0], images[1])


def test_absurd_header_is_refused_before_anything_is_allocated(story):
    reason = set_aside(story, "bad/claims.mrc")
    assert "100,000" in reason
    assert "limit" in reason


def test_deflate_bomb_is_refused(story):
    assert "ratio" in set_aside(story, "bad/bomb.tiff") or "times" in set_aside(story, "bad/bomb.tiff")


def test_empty_file_and_text_say_what_they_are(story):
    assert "empty" in set_aside(story, "bad/empty.tiff")
    assert set_aside(story, "bad/text.tiff").startswith("Damaged: ")


def test_link_out_of_the_raw_folder_is_not_followed(story):
    assert "link.tiff" not in story.rows
    assert any("leads out of the raw folder" in text for text in story.alerts)


def test_replaced_file_is_a_new_generation_and_the_old_one_is_outdated(story):
    first, second = sorted(
        (row for row in story.all_rows if row["relative_path"] == GOOD[0]), key=lambda row: row["generation"]
    )
    assert (first["state"], second["state"] in ("ready", "rejected")) == ("outdated", True)
    assert len({row["movie_id"] for row in story.all_rows}) == len(story.all_rows)


def test_every_row_has_a_state_of_rest_and_every_bad_one_a_reason(story):
    for row in story.all_rows:
        assert row["state"] in ("ready", "rejected", "quarantined", "outdated"), row
        if row["state"] == "quarantined":
            assert len(row["failure_reason"]) > 20, row
