"""A worker that processes a movie again does only what is asked for, and finds what a fresh run finds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

import frazil.models.movie_pipeline as movie_pipeline
from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.loading import load_settings, parameter_hash, with_changes
from frazil.config.settings import GainOrientation
from frazil.config.stages import Stage
from frazil.models.causal.prior import physics_prior
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.formats.movie import open_movie
from frazil.models.gain.decision import GainDecision, GainVerdict
from frazil.models.redo import stage_again
from frazil.models.simulation.delivery import DeliverySettings, write_session
from frazil.models.simulation.settings import preset

OTHER_CTF = {"microscope.cs_mm": 2.0, "ctf.max_resolution_angstrom": 5.0}


class Bench:
    """One movie, and workers with settings of the test's choice."""

    def __init__(self, folder: Path) -> None:
        wanted = preset("demo").with_changes(movies=1, seed=5, height_px=512, width_px=512, frame_count=10)
        truth = write_session(folder / "m", wanted, DeliverySettings())
        self.folder = folder
        self.raw = folder / "m" / "raw" / str(truth.movies[0].file)
        given = {"cs_mm": 2.7, "voltage_kv": 300, "dose_per_frame_e_per_a2": 1.0, "pixel_size_angstrom": 1.3}
        flags = given | {"camera.gain": str(folder / "m" / "gain.mrc"), "particles.diameter_angstrom": 180.0}
        self.base = load_settings(preset="simulated", flags=flags)

    def task(self, settings, name: str, **more) -> MovieTask:
        with open_movie(self.raw) as reader:
            acquisition = resolve(merge_metadata(settings=settings, header=reader.header), settings=settings)
        gain = settings.camera.gain
        decision = GainDecision(
            GainVerdict.CORRECT, "", None, gain, None, GainOrientation.IDENTITY, "multiply", 1, None, None
        )
        hash_ = parameter_hash(settings)
        return MovieTask("m0", str(self.raw), name, 1, acquisition, decision, hash_, physics_prior(), **more)

    def run(self, settings, name: str, **more):
        worker = FrameWorker(WorkerConfig("cpu-0", str(self.folder), settings, "cpu", 1))
        result = worker.process(self.task(settings, name, **more))
        assert not isinstance(result, MovieFailure), result
        return result

    def again(self, earlier, settings, name: str, **more):
        task = self.task(settings, name)
        stage = stage_again(
            earlier, task.acquisition, parameter_hash=task.parameter_hash, code_version=earlier.code_version
        )
        now_ns = time.time_ns()
        return stage, self.run(settings, name, earlier=earlier, earlier_written_ns=now_ns, from_stage=stage, **more)

    def image(self, relative: str) -> np.ndarray:
        return mrcfile.read(self.folder / relative)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    return Bench(tmp_path_factory.mktemp("again"))


@pytest.fixture(scope="module")
def first(bench):
    return bench.run(bench.base, "first")


@pytest.fixture(scope="module")
def fresh(bench):
    """What the other settings find from the beginning."""
    return bench.run(with_changes(bench.base, OTHER_CTF, origin="test"), "fresh")


@pytest.fixture
def no_alignment(monkeypatch):
    def aligned(*_, **__):
        raise AssertionError("the movie is aligned again")

    monkeypatch.setattr(movie_pipeline, "align_movie", aligned)


def same_after_the_motion(again, fresh, bench) -> None:
    for name in ("defocus_u_angstrom", "defocus_v_angstrom", "fit_resolution_angstrom", "score", "defocus_sd_angstrom"):
        assert getattr(again.ctf, name) == pytest.approx(getattr(fresh.ctf, name), rel=1e-5), name
    assert again.spectra.half_frc == pytest.approx(fresh.spectra.half_frc, abs=1e-5)
    assert again.quality.flags == fresh.quality.flags
    assert again.quality.mean_counts_per_px == fresh.quality.mean_counts_per_px
    assert again.picks.x_px == fresh.picks.x_px
    assert np.allclose(again.losses.loss_ln_ssnr, fresh.losses.loss_ln_ssnr, rtol=1e-4, atol=1e-5, equal_nan=True)
    restored, wanted = bench.image(again.files.restored), bench.image(fresh.files.restored)
    assert np.abs(restored - wanted).max() < 1e-3 * wanted.std()


def test_the_ctf_again_from_the_movie_is_that_of_a_fresh_run_without_looking_for_motion(bench, first, no_alignment):
    assert first.local_motion is not None
    assert first.local_motion.accepted, "the stored modes are to be tested"
    assert first.local_modes.modes_angstrom
    changed = with_changes(bench.base, OTHER_CTF, origin="test")
    stage, again = bench.again(first, changed, "first")
    assert stage is Stage.CTF
    assert again.shifts == first.shifts
    assert again.local_modes == first.local_modes
    assert again.parameter_hash == parameter_hash(changed) != first.parameter_hash
    seconds = {t.stage: t.seconds for t in again.timings}
    assert seconds["align_global"] == {t.stage: t.seconds for t in first.timings}["align_global"]
    assert abs(again.ctf.defocus_u_angstrom - first.ctf.defocus_u_angstrom) > 1.0, "another Cs, another defocus"


def test_that_is_what_a_fresh_run_with_those_settings_finds(bench, first, fresh):
    changed = with_changes(bench.base, OTHER_CTF, origin="test")
    _, again = bench.again(first, changed, "first")
    assert fresh.shifts == first.shifts
    same_after_the_motion(again, fresh, bench)
    assert np.allclose(bench.image(again.files.micrograph), bench.image(fresh.files.micrograph), atol=1e-4)


@pytest.mark.slow
def test_with_the_halves_kept_the_movie_is_not_needed_for_the_ctf(bench, fresh):
    kept = with_changes(bench.base, {"motion.save_even_odd": True}, origin="test")
    earlier = bench.run(kept, "halves")
    changed = with_changes(kept, OTHER_CTF, origin="test")
    written_ns = (bench.folder / earlier.files.even).stat().st_mtime_ns
    away = bench.raw.with_suffix(".away")
    task = replace(
        bench.task(changed, "halves"), earlier=earlier, earlier_written_ns=time.time_ns(), from_stage=Stage.CTF
    )
    bench.raw.rename(away)
    try:
        worker = FrameWorker(WorkerConfig("cpu-0", str(bench.folder), changed, "cpu", 1))
        again = worker.process(task)
        # Sums that are newer than the result are those of an attempt that came to nothing.
        refused = worker.process(replace(task, earlier_written_ns=written_ns - 1))
    finally:
        away.rename(bench.raw)
    assert isinstance(refused, MovieFailure)
    assert (bench.folder / earlier.files.even).stat().st_mtime_ns == written_ns, "the sums are not written again"
    same_after_the_motion(again, fresh, bench)


def test_picking_again_needs_the_micrograph_alone(bench, first, no_alignment):
    changed = with_changes(bench.base, {"particles.diameter_angstrom": 140.0}, origin="test")
    task = bench.task(changed, "first")
    stage = stage_again(first, task.acquisition, parameter_hash=task.parameter_hash, code_version=first.code_version)
    assert stage is Stage.PICKING
    worker = FrameWorker(WorkerConfig("cpu-0", str(bench.folder), changed, "cpu", 1))
    again = worker.process(
        replace(task, movie_path="/nowhere.tif", earlier=first, earlier_written_ns=time.time_ns(), from_stage=stage)
    )
    assert again.ctf == first.ctf
    assert again.losses == first.losses
    assert again.files.micrograph == first.files.micrograph


def test_other_numbers_of_the_exposure_count_like_other_settings(bench, first):
    task = bench.task(bench.base, "first")
    same = {"parameter_hash": task.parameter_hash, "code_version": first.code_version}
    assert stage_again(first, task.acquisition, **same) is None
    assert stage_again(first, replace(task.acquisition, cs_mm=2.0), **same) is Stage.CTF
    assert stage_again(first, replace(task.acquisition, pixel_size_angstrom=1.1), **same) is Stage.MOTION
    assert stage_again(first, replace(task.acquisition, dose_per_frame_e_per_a2=2.0), **same) is Stage.MOTION
    assert stage_again(first, task.acquisition, **(same | {"code_version": "other"})) is Stage.MOTION
    assert stage_again(replace(first, parameter_hash="x" * 32), task.acquisition, **same) is Stage.MOTION
