"""The reconstructor as the daemon uses it: files, rounds, checkpoints, movies given twice or of no use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import mrcfile
import numpy as np
import pytest
import torch

from frazil.actors.reconstruction_records import Added, FinishedRound, MapMovie
from frazil.actors.reconstructor import Reconstructor
from frazil.actors.round_files import AVERAGES_PATH, MAP_PATHS
from frazil.config.errors import UsageError
from frazil.config.settings import Settings
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.particles.half_sets import half_sets
from frazil.models.reconstruction.orientation.rotations import angle_between_deg, matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.records import CtfEstimate

PIXEL = 3.6
CTF = CtfEstimate(16000.0, 15200.0, 40.0, 0.0, 50.0, 50.0, 5.0, 0.9, 0.0, True)
MOVIES, PARTICLES = 13, 8


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, simulate: Callable[..., Any], truth: torch.Tensor) -> Path:
    """Particle stacks of 13 movies and an initial map of another pixel size and box."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "particles").mkdir()
    for movie in range(MOVIES):
        stack = simulate(PARTICLES, 0.8, seed=700 + movie).stack
        write_mrc(folder / f"particles/m{movie}.mrcs", stack.numpy(), PIXEL)
    padded = torch.nn.functional.pad(truth, (8, 8, 8, 8, 8, 8))
    write_mrc(folder / "start.mrc", padded.numpy(), PIXEL, is_volume=True)
    return folder


def movie(number: int, **changes: Any) -> MapMovie:
    whole = MapMovie(f"id{number}", "hash", f"particles/m{number}.mrcs", PIXEL, 105.0, 300.0, 2.7, 0.1, CTF, None)
    return replace(whole, **changes)


def settings(session: Path, start: bool = True, symmetry: str = "C3") -> Settings:
    particles = {"diameter_angstrom": 105.0, "symmetry": symmetry}
    if start:
        particles["initial_map"] = str(session / "start.mrc")
    return Settings.model_validate({"particles": particles})


class Looking(Reconstructor):
    """Looks at all movies wherever the reconstructor looks at some: none that is left out has another particle in the
    map than is chosen."""

    def _look_for_pending(self) -> None:
        super()._look_for_pending()
        if self._map is None or self._chosen is None:
            return
        counts = {number: self._map.count_of(number) for number in range(len(self._order))}
        other = [
            number
            for number, count in counts.items()
            if count and (self._map.chosen_of(number) != self._chosen.mask(self._order[number], count)).any()
        ]
        assert self._pending == other


def fresh(session: Path, tmp_path: Path, **options: Any) -> Reconstructor:
    """In a folder of its own, with the shared stacks."""
    if not (tmp_path / "particles").exists():
        (tmp_path / "particles").symlink_to(session / "particles")
    return Looking(str(tmp_path), settings(session, **options))


def test_map_poses_and_files(session: Path, tmp_path: Path, simulate: Callable[..., Any]) -> None:
    worker = fresh(session, tmp_path)
    first = worker.resume({})
    assert (first.included, first.begun_anew) == ((), "")
    added = [worker.add(movie(number)) for number in range(3)]
    assert [answer.movie_count for answer in added] == [1, 2, 3]
    assert added[-1].particle_count == 3 * PARTICLES
    (poses,) = added[0].poses
    assert poses.half_set == half_sets("id0", PARTICLES)
    euler = np.array([poses.rot_deg, poses.tilt_deg, poses.psi_deg], dtype=float).T
    sample = simulate(PARTICLES, 0.8, seed=700)
    error = angle_between_deg(
        matrices_from_euler_deg(euler), matrices_from_euler_deg(sample.euler_deg), symmetry_matrices("C3")
    )
    assert np.median(error) < 6.0
    # RELION's origin moves the particle to the centre: minus its displacement.
    origin = np.array([poses.origin_x_angstrom, poses.origin_y_angstrom], dtype=float).T
    assert np.median(np.abs(origin + sample.shift_px * PIXEL)) < 1.5
    done = worker.finish_round()
    assert (done.movie_count, done.particle_count, done.symmetry) == (3, 3 * PARTICLES, "C3")
    assert done.resolution_05_angstrom is not None
    for picture in ("maps/sections.png", "maps/projections.png"):
        height, width = imagecodecs.png_decode((tmp_path / picture).read_bytes()).shape
        assert width == 3 * height
    assert done.report is not None
    assert done.report.corrected.fsc == done.fsc
    best, worst = done.report.best_direction_angstrom, done.report.worst_direction_angstrom
    assert best is not None
    assert worst is not None
    assert done.resolution_0143_angstrom is not None
    assert best <= 1.1 * done.resolution_0143_angstrom
    assert worst >= 0.9 * done.resolution_0143_angstrom
    assert np.array(done.report.chance_covariance).shape == (len(done.fsc), len(done.fsc))
    assert done.resolution_05_angstrom < 30.0
    assert len(done.fsc) == len(done.frequency_per_angstrom) > 10
    for relative in MAP_PATHS:
        with mrcfile.open(tmp_path / relative) as mrc:
            assert mrc.is_volume()
            assert mrc.data.shape == (48, 48, 48)
            assert float(mrc.voxel_size.x) == pytest.approx(PIXEL, rel=1e-5)


def test_kill_and_resume_gives_the_same_map(session: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    undisturbed, killed = fresh(session, tmp_path / "a"), fresh(session, tmp_path / "b")
    for number in range(10):
        undisturbed.add(movie(number))
        killed.add(movie(number))
    undisturbed.finish_round()
    killed.finish_round()
    killed.add(movie(10))  # lost: killed before the next round
    again = fresh(session, tmp_path / "b")
    resumed = again.resume({f"id{number}": "hash" for number in range(11)})
    assert resumed.included == tuple(f"id{number}" for number in range(10))
    assert resumed.particle_count == 10 * PARTICLES
    said: list[list[Added]] = [
        # some that are included already: they change nothing
        [worker.add(movie(number)) for number in range(8, MOVIES)]
        for worker in (undisturbed, again)
    ]
    assert said[0] == said[1], "poses, certainties, and what they say of their movie"
    told = [poses for answer in said[0] for poses in answer.poses]
    assert any(poses.evidence is not None for poses in told), "the map has half-sets of its own by now"
    assert all(poses.certainty is not None and min(poses.certainty) >= 0 for poses in told)
    first, second = undisturbed.finish_round(), again.finish_round()
    assert first == second
    assert first.particle_count == MOVIES * PARTICLES
    for relative in MAP_PATHS:
        assert (tmp_path / "a" / relative).read_bytes() == (tmp_path / "b" / relative).read_bytes()


@pytest.mark.parametrize(
    "expected", [{"id0": "hash"}, {"id0": "hash", "id1": "other"}], ids=["no longer ready", "done again"]
)
def test_what_cannot_be_taken_out_is_made_anew(session: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    worker = fresh(session, tmp_path)
    (tmp_path / "results").mkdir()
    for number in (0, 1):
        (tmp_path / f"results/id{number}.msgpack").write_bytes(b"result")
        worker.add(movie(number))
    worker.finish_round()
    if expected.get("id1") == "other":
        (tmp_path / "results/id1.msgpack").write_bytes(b"other result")
    anew = fresh(session, tmp_path).resume(expected)
    assert anew.included == ()
    assert anew.begun_anew == "1 of its 2 movies are made again, or no longer kept"
    assert fresh(session, tmp_path).resume({"id0": "hash", "id1": "hash"}).included == ("id0", "id1")
    assert fresh(session, tmp_path).resume({"id0": "hash", "id1": "hash"}).begun_anew == ""
    other = fresh(session, tmp_path, symmetry="C1").resume({"id0": "hash", "id1": "hash"})
    assert (other.included, other.begun_anew) == ((), "particles.symmetry changed")


@pytest.mark.parametrize("part", ["checkpoint.npz", "checkpoint-0001.rows"])
def test_a_damaged_checkpoint_is_made_anew(session: Path, tmp_path: Path, part: str) -> None:
    worker = fresh(session, tmp_path)
    worker.add(movie(0))
    worker.finish_round()
    path = tmp_path / "maps" / part
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = fresh(session, tmp_path)
    damaged = again.resume({"id0": "hash"})
    assert (damaged.included, damaged.begun_anew) == ((), "its checkpoint cannot be read")
    again.add(movie(0))
    again.finish_round()
    assert fresh(session, tmp_path).resume({"id0": "hash"}).included == ("id0",)


def test_unusable_movies_are_counted_and_said(session: Path, tmp_path: Path) -> None:
    worker = fresh(session, tmp_path)
    assert worker.add(movie(0, particles_path=None)).skipped is None
    assert "m99" in (worker.add(movie(99)).skipped or "")
    assert worker.add(movie(1, ctf=replace(CTF, reliable=False))).particle_count == 0
    worker.add(movie(2))
    assert "box" in (worker.add(movie(3, pixel_size_angstrom=2.0)).skipped or "")
    last = worker.add(movie(4))
    assert (last.movie_count, last.particle_count) == (6, 2 * PARTICLES)


def test_a_start_without_the_symmetry_is_refused(session: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="symmetry O"):
        fresh(session, tmp_path, symmetry="O").add(movie(0))
    worker = Reconstructor(
        str(session), Settings.model_validate({"particles": {"initial_map": str(session / "nothing.mrc")}})
    )
    with pytest.raises(UsageError, match="does not exist"):
        worker.add(movie(0))


def test_classes_without_a_start(session: Path, tmp_path: Path) -> None:
    worker = fresh(session, tmp_path, start=False)
    answers = [worker.add(many(number)) for number in range(16)]
    decided = [poses for answer in answers for poses in answer.poses]
    assert [poses.movie_id for poses in decided] == [f"id{number}" for number in range(16)]  # each once
    assert all(poses.rot_deg is None and len(poses.psi_deg) == PARTICLES for poses in decided)
    done = worker.finish_round()
    assert sum(one.particle_count for one in done.classes) == done.particle_count == 16 * PARTICLES
    assert done.map_path is None
    with mrcfile.open(tmp_path / AVERAGES_PATH) as mrc:
        assert mrc.data.shape == (len(done.classes), 48, 48)
    resumed = fresh(session, tmp_path, start=False).resume({f"id{number}": "hash" for number in range(16)})
    assert resumed.particle_count == 16 * PARTICLES


def test_a_copied_session_goes_on_with_its_map(session: Path, tmp_path: Path) -> None:
    """Every name of a result is another one after copying; what counts is the content."""
    (tmp_path / "results").mkdir()
    for number in range(3):
        (tmp_path / f"results/id{number}.msgpack").write_bytes(f"result {number}".encode())
    start = tmp_path / "start.mrc"
    start.write_bytes((session / "start.mrc").read_bytes())
    changes = {"particles": {"diameter_angstrom": 105.0, "symmetry": "C3", "initial_map": str(start)}}
    (tmp_path / "particles").symlink_to(session / "particles")

    def reconstructor(**other: Any) -> Reconstructor:
        return Reconstructor(str(tmp_path), Settings.model_validate({"particles": changes["particles"] | other}))

    worker = reconstructor()
    for number in range(3):
        worker.add(movie(number, result_file=f"results/id{number}.msgpack"))
    worker.finish_round()
    os.utime(start, (1, 1))
    copied = {f"id{number}": "of the copy" for number in range(3)}
    went_on = reconstructor().resume(copied)
    assert (went_on.begun_anew, went_on.included) == ("", ("id0", "id1", "id2"))
    moved = tmp_path / "elsewhere.mrc"
    start.rename(moved)
    assert reconstructor(initial_map=str(moved)).resume(copied).begun_anew == "", "the same map at another place"
    assert reconstructor().resume(copied).begun_anew == "", "one that was not archived has not changed"
    other = moved.read_bytes()[:-4] + b"\x01\x02\x03\x04"
    start.write_bytes(other)
    assert reconstructor().resume(copied).begun_anew == "particles.initial_map changed"
    start.write_bytes(moved.read_bytes())
    (tmp_path / "results/id1.msgpack").write_bytes(b"another result")
    assert reconstructor().resume(copied).begun_anew == "1 of its 3 movies are made again, or no longer kept"


def test_a_checkpoint_of_before_that_was_copied_says_why_it_is_not_gone_on_with(session: Path, tmp_path: Path) -> None:
    """It knows of each result only what the disk said of it."""
    worker = fresh(session, tmp_path)
    worker.add(movie(0))
    worker._movies["id0"] = replace(worker._movies["id0"], result_digest="")
    worker.finish_round()
    anew = fresh(session, tmp_path).resume({"id0": "of the copy"})
    assert "copied since" in anew.begun_anew
    assert fresh(session, tmp_path).resume({"id0": "hash"}).begun_anew == ""


def many(number: int) -> MapMovie:
    """More movies than there are stacks."""
    return movie(number, particles_path=f"particles/m{number % MOVIES}.mrcs")


def class_of_particles(said: list[Added]) -> dict[str, tuple[int | None, ...]]:
    """The newest class of every movie's particles."""
    newest: dict[str, tuple[int | None, ...]] = {}
    for answer in said:
        newest |= answer.class_ids
        newest |= {poses.movie_id: poses.class_id for poses in answer.poses if poses.class_id is not None}
    return newest


def left_out(done: FinishedRound, said: list[Added]) -> int:
    """Particles whose class is not chosen."""
    chosen = {one.class_id: one.chosen for one in done.class_verdicts}
    return sum(not chosen[one] for ids in class_of_particles(said).values() for one in ids if one is not None)


@pytest.mark.timeout(600)
def test_a_persons_verdict_acts_within_two_rounds(session: Path, tmp_path: Path) -> None:
    worker = fresh(session, tmp_path)
    said = [worker.add(many(number)) for number in range(20)]
    first = worker.finish_round({})
    assert first.particle_count == 20 * PARTICLES
    largest = max(first.classes, key=lambda one: one.particle_count).class_id
    heard = worker.finish_round({largest: False})  # the round that hears of it
    assert {one.class_id for one in heard.class_verdicts if not one.chosen} == {largest}
    assert heard.particle_count == 20 * PARTICLES
    said += [worker.add(many(number)) for number in range(20, 30)]
    done = worker.finish_round({largest: False})  # and the one that has it
    assert left_out(done, said) > 5
    assert done.particle_count == 30 * PARTICLES - left_out(done, said)
    again = fresh(session, tmp_path)
    resumed = again.resume({f"id{number}": "hash" for number in range(30)})
    assert resumed.class_verdicts == {largest: False}
    assert resumed.particle_count == done.particle_count
    back = again.finish_round({largest: None}, True)  # at rest it is carried out at once
    assert all(one.chosen for one in back.class_verdicts)
    assert back.particle_count == 30 * PARTICLES
    out = again.finish_round({largest: False}, True)
    assert out.particle_count == done.particle_count
    assert out.resolution_05_angstrom is not None
    nobody = again.finish_round({one.class_id: False for one in out.class_verdicts}, True)
    assert (nobody.particle_count, nobody.resolution_05_angstrom) == (0, None)


@pytest.mark.timeout(600)
def test_classes_keep_their_numbers_when_the_map_is_begun_anew(session: Path, tmp_path: Path) -> None:
    worker = fresh(session, tmp_path)
    for number in range(17):
        worker.add(many(number))
    before = worker.finish_round({1: False})
    anew = fresh(session, tmp_path)
    expected = {f"id{number}": "hash" for number in range(17) if number != 4}  # one was rejected since
    resumed = anew.resume(expected, first_class_id=99)
    assert resumed.included == ()
    assert resumed.begun_anew
    for number in range(17):
        if number != 4:
            anew.add(many(number))
    after = anew.finish_round({1: False}, True)
    assert {one.class_id for one in after.classes} == {one.class_id for one in before.classes}
    assert sum(one.particle_count for one in after.classes) == 17 * PARTICLES, "nothing is in the averages twice"
    assert {one.class_id for one in after.class_verdicts if not one.chosen} == {1}
    assert fresh(session, tmp_path).resume(expected).included == tuple(expected), "nothing of the map before is left"
    other = Reconstructor(str(tmp_path), settings(session, symmetry="C1"))
    assert "symmetry changed" in other.resume(expected, first_class_id=99).begun_anew
    for number in range(8):
        other.add(many(number))
    assert min(one.class_id for one in other.finish_round().classes) >= 99, "no number is given twice"


def test_without_classes_every_particle_counts(session: Path, tmp_path: Path) -> None:
    whole = settings(session)
    off = whole.model_copy(update={"particles": whole.particles.model_copy(update={"classes": False})})
    fresh(session, tmp_path)
    worker = Reconstructor(str(tmp_path), off)
    for number in range(8):
        worker.add(many(number))
    done = worker.finish_round({1: False}, True)
    assert (done.classes, done.class_verdicts, done.particle_count) == ((), (), 8 * PARTICLES)
    assert not worker._unlike, "nothing is kept of movies for a choice that nobody makes"
