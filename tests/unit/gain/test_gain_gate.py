"""The gain gate against known truth: every way in which a reference can fit, and every way in which it can not."""

from __future__ import annotations

import numpy as np
import pytest

from frazil.config.settings import GainOrientation
from frazil.models.gain.decision import GainVerdict
from frazil.models.gain.reference import ORIENTATIONS, Reference, orient

ENOUGH = {1: 30.0, 3: 6.0}
"""Electrons per pixel and frame that tell a 512 x 512 camera without a pattern from one whose pattern is hidden."""


@pytest.mark.parametrize("convention", ["multiply", "divide"])
@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
@pytest.mark.parametrize("movies", [1, 3])
def test_orientation_and_convention_are_found(kit, orientation, convention, movies):
    camera = kit.camera()
    reference = camera.reference(orientation, convention)
    decision = kit.ask([camera.expose() for _ in range(movies)], reference)
    assert (decision.verdict, decision.orientation, decision.convention) == (
        GainVerdict.CORRECT,
        orientation,
        convention,
    )
    multiplier = reference.multiplier(decision.orientation, convention)
    assert np.corrcoef(multiplier.ravel(), (1 / camera.sensitivity).ravel())[0, 1] > 0.999


@pytest.mark.parametrize("convention", ["multiply", "divide"])
@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_orientation_of_a_camera_that_is_not_square(kit, orientation, convention):
    camera = kit.camera(height_px=192, width_px=288)
    decision = kit.ask([camera.expose() for _ in range(2)], camera.reference(orientation, convention))
    assert (decision.verdict, decision.orientation, decision.convention) == (
        GainVerdict.CORRECT,
        orientation,
        convention,
    )
    # A quarter turn does not fit the shape: only half of the cases were ever possible.
    assert len(decision.slopes) == 4


def test_the_eight_orientations_are_eight_and_each_can_be_undone(kit):
    image = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert len({orient(image, orientation).tobytes() for orientation in ORIENTATIONS}) == 8
    for orientation in ORIENTATIONS:
        assert np.array_equal(orient(orient(image, orientation), kit.undo(orientation)), image)


def test_rot90_is_what_relion_calls_one_clockwise_turn_with_row_zero_on_top():
    image = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
    assert orient(image, GainOrientation.ROT90).tolist() == [[4, 1], [5, 2], [6, 3]]
    assert orient(image, GainOrientation.ROT90_FLIP_UD).tolist() == [[6, 3], [5, 2], [4, 1]]
    assert orient(image, GainOrientation.FLIP_UD).tolist() == [[4, 5, 6], [1, 2, 3]]
    assert orient(image, GainOrientation.FLIP_LR).tolist() == [[3, 2, 1], [6, 5, 4]]


@pytest.mark.parametrize("movies", [1, 3])
def test_movies_that_are_corrected_already_block_the_reference(kit, movies):
    camera = kit.camera(height_px=512, width_px=512, e_per_px_per_frame=ENOUGH[movies])
    decision = kit.ask([camera.expose(corrected=True) for _ in range(movies)], camera.reference())
    assert decision.verdict is GainVerdict.ALREADY_CORRECTED
    assert not decision.passes
    assert decision.remedy is not None
    assert "--no-gain" in decision.remedy


@pytest.mark.parametrize(("movies", "rms"), [(1, 0.04), (3, 0.02), (3, 0.05)])
def test_missing_reference_blocks_and_says_how_strong_the_pattern_is(kit, movies, rms):
    camera = kit.camera(height_px=512, width_px=512, sensitivity_rms=rms, e_per_px_per_frame=4.0)
    decision = kit.ask([camera.expose() for _ in range(movies)], None)
    assert decision.verdict is GainVerdict.MISSING
    assert decision.pattern_rms == pytest.approx(rms, rel=0.15)
    assert decision.remedy is not None
    assert "--gain" in decision.remedy


@pytest.mark.parametrize("movies", [1, 3])
def test_corrected_movies_without_a_reference_pass(kit, movies):
    camera = kit.camera(height_px=512, width_px=512, e_per_px_per_frame=ENOUGH[movies])
    decision = kit.ask([camera.expose(corrected=True) for _ in range(movies)], None)
    assert decision.verdict is GainVerdict.NOT_NEEDED
    assert decision.passes
    assert not decision.applies


@pytest.mark.parametrize("movies", [1, 3])
def test_reference_of_another_camera_is_wrong(kit, movies):
    size = {"height_px": 512, "width_px": 512, "sensitivity_rms": 0.05}
    camera, other = kit.camera(**size, e_per_px_per_frame=3.0), kit.camera(**size, seed=2)
    decision = kit.ask([camera.expose() for _ in range(movies)], other.reference())
    assert decision.verdict is GainVerdict.WRONG
    assert not decision.passes
    assert "in any orientation" in decision.sentence


def test_reference_of_another_size_is_wrong(kit):
    camera, other = kit.camera(), kit.camera(height_px=512, width_px=512)
    decision = kit.ask([camera.expose() for _ in range(2)], other.reference())
    assert decision.verdict is GainVerdict.WRONG
    assert "512 x 512 px" in decision.sentence


def test_reference_that_is_partly_out_of_date_is_said_to_be(kit):
    camera, drift = kit.camera(), kit.camera(seed=2)
    now = kit.camera()
    now.sensitivity = (0.6 * (camera.sensitivity - 1) + 0.8 * (drift.sensitivity - 1) + 1).astype(np.float32)
    decision = kit.ask([now.expose() for _ in range(3)], camera.reference())
    assert decision.verdict is GainVerdict.CORRECT
    assert "an old one?" in decision.sentence


@pytest.mark.parametrize(
    ("rms", "counts", "verdict"),
    [(0.0, 8.0, GainVerdict.CORRECT), (0.04, 4.0, GainVerdict.WRONG), (0.04, 0.1, GainVerdict.UNDECIDED)],
)
def test_flat_reference_passes_only_where_nothing_is_to_be_corrected(kit, rms, counts, verdict):
    camera = kit.camera(height_px=512, width_px=512, sensitivity_rms=rms, e_per_px_per_frame=counts)
    flat = Reference("gain.mrc", np.ones((512, 512), np.float32), np.zeros((512, 512), bool))
    decision = kit.ask([camera.expose() for _ in range(2)], flat)
    assert decision.verdict is verdict
    assert "flat" in decision.sentence


@pytest.mark.parametrize("movies", [1, 3])
def test_too_few_counts_never_pass_for_corrected(kit, movies):
    """No pattern is *seen* in these raw movies, without a reference or with another camera's: that proves nothing."""
    camera = kit.camera(height_px=128, width_px=128, e_per_px_per_frame=0.5, frame_count=6)
    exposures = [camera.expose() for _ in range(movies)]
    without = kit.ask(exposures, None)
    assert without.verdict is GainVerdict.UNDECIDED
    assert without.remedy is not None
    assert "--no-gain" in without.remedy
    assert not kit.ask(exposures, kit.camera(height_px=128, width_px=128, seed=2).reference()).passes


def test_too_few_counts_are_undecided_and_more_movies_decide(kit):
    camera = kit.camera(height_px=128, width_px=128, sensitivity_rms=0.02, e_per_px_per_frame=0.2, frame_count=6)
    exposures = [camera.expose() for _ in range(100)]
    first = kit.ask(exposures[:2], camera.reference(GainOrientation.ROT90))
    assert first.verdict is GainVerdict.UNDECIDED
    assert not first.passes
    assert first.remedy is not None
    assert "wait for more movies" in first.remedy
    later = kit.ask(exposures, camera.reference(GainOrientation.ROT90))
    assert (later.verdict, later.orientation) == (GainVerdict.CORRECT, GainOrientation.ROT90)


def test_symmetric_reference_is_taken_as_it_lies(kit):
    camera = kit.camera()
    camera.sensitivity = ((camera.sensitivity + camera.sensitivity[::-1]) / 2).astype(np.float32)
    decision = kit.ask([camera.expose() for _ in range(3)], camera.reference())
    assert (decision.verdict, decision.orientation) == (GainVerdict.CORRECT, GainOrientation.IDENTITY)


@pytest.mark.parametrize(("movies", "e_per_px"), [(1, 8.0), (3, 1.0), (3, 3.0)])
def test_dead_and_hot_pixels_are_not_taken_for_a_gain_pattern(kit, movies, e_per_px):
    camera = kit.camera(height_px=512, width_px=512, e_per_px_per_frame=e_per_px, frame_count=40)
    camera.dead = camera.rng.random((512, 512)) < 0.001
    camera.dead[:, 40:42] = True
    camera.hot = camera.rng.random((512, 512)) < 0.001
    exposures = [camera.expose(corrected=True) for _ in range(movies)]
    decision = kit.ask(exposures, None)
    assert decision.verdict is GainVerdict.NOT_NEEDED, decision.sentence
    assert (
        kit.ask(exposures, kit.camera(height_px=512, width_px=512, seed=2).reference()).verdict
        is GainVerdict.ALREADY_CORRECTED
    )


@pytest.mark.parametrize("movies", [1, 3])
def test_dead_and_hot_pixels_do_not_hide_the_orientation(kit, movies):
    camera = kit.camera()
    camera.dead = camera.rng.random((256, 256)) < 0.001
    camera.hot = camera.rng.random((256, 256)) < 0.001
    exposures = [camera.expose() for _ in range(movies)]
    decision = kit.ask(exposures, camera.reference(GainOrientation.ROT270, "divide"))
    assert (decision.verdict, decision.orientation) == (GainVerdict.CORRECT, GainOrientation.ROT270)
    assert decision.convention == "divide"
    assert decision.slopes[3].slope == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("drift_px", [0.0, 12.0])
@pytest.mark.parametrize("movies", [1, 3])
def test_strong_specimen_is_not_a_pattern_and_does_not_hide_one(kit, movies, drift_px):
    camera = kit.camera(height_px=512, width_px=512, sensitivity_rms=0.05, e_per_px_per_frame=ENOUGH[movies])
    scenes = [kit.drifting_specimen(camera, contrast=0.1, drift_px=drift_px, seed=7 + i) for i in range(movies)]
    corrected = [camera.expose(corrected=True, scene=scene) for scene in scenes]
    assert kit.ask(corrected, None).verdict is GainVerdict.NOT_NEEDED
    raw = [camera.expose(scene=scene) for scene in scenes]
    assert kit.ask(raw, None).verdict is GainVerdict.MISSING
    fits = kit.ask(raw, camera.reference(GainOrientation.ROT90_FLIP_LR))
    assert (fits.verdict, fits.orientation) == (GainVerdict.CORRECT, GainOrientation.ROT90_FLIP_LR)


@pytest.mark.parametrize("movies", [1, 2])
def test_no_false_alarm_in_200_sessions_without_a_pattern(kit, movies):
    """At 6 sigma none is expected in 10^9; what is tested is that the sigma is one."""
    sigmas = []
    for seed in range(200):
        camera = kit.camera(
            height_px=128, width_px=128, sensitivity_rms=0.0, seed=seed, e_per_px_per_frame=1 + seed % 3
        )
        decision = kit.ask([camera.expose() for _ in range(movies)], None)
        assert decision.verdict in (GainVerdict.NOT_NEEDED, GainVerdict.UNDECIDED), (seed, decision.sentence)
        sigmas.append(decision.pattern_sigma)
    assert abs(np.mean(sigmas)) < 3 / np.sqrt(200)
    assert np.std(sigmas) == pytest.approx(1.0, abs=0.15)


def test_no_reference_is_seen_where_there_is_none_in_100_sessions(kit):
    sigmas = []
    reference = kit.camera(height_px=128, width_px=128).reference()
    for seed in range(100, 200):
        camera = kit.camera(height_px=128, width_px=128, sensitivity_rms=0.0, seed=seed, e_per_px_per_frame=3.0)
        decision = kit.ask([camera.expose() for _ in range(2)], reference)
        assert decision.verdict in (GainVerdict.ALREADY_CORRECTED, GainVerdict.UNDECIDED)
        sigmas += [evidence.slope / evidence.slope_sd for evidence in decision.slopes]
    assert np.std(sigmas) == pytest.approx(1.0, abs=0.1)


def test_person_who_names_orientation_or_no_gain_is_obeyed_and_told_of_doubt(kit):
    camera = kit.camera(height_px=512, width_px=512, e_per_px_per_frame=4.0)
    exposures = [camera.expose() for _ in range(2)]
    told = kit.ask(exposures, camera.reference(), orientation=GainOrientation.ROT180)
    assert (told.verdict, told.orientation, told.convention) == (
        GainVerdict.OVERRIDDEN,
        GainOrientation.ROT180,
        "multiply",
    )
    assert "the data speak for rot0" in told.sentence
    without = kit.ask(exposures, None, no_gain=True)
    assert without.passes
    assert not without.applies
    assert "although" in without.sentence


def test_named_orientation_without_evidence_multiplies(kit):
    """The sign of a slope that is only noise must not choose the convention."""
    camera = kit.camera(height_px=128, width_px=128, e_per_px_per_frame=0.5, frame_count=4, sensitivity_rms=0.005)
    chosen = {
        kit.ask([camera.expose()], camera.reference(), orientation=GainOrientation.IDENTITY).convention
        for _ in range(20)
    }
    assert chosen == {"multiply"}


def test_convention_that_the_data_contradict_blocks_and_names_the_other(kit):
    camera = kit.camera()
    decision = kit.ask(
        [camera.expose() for _ in range(2)], camera.reference(convention="divide"), convention="multiply"
    )
    assert decision.verdict is GainVerdict.WRONG
    assert decision.remedy is not None
    assert "divide" in decision.remedy


def test_named_orientation_that_cannot_fit_is_refused(kit):
    camera = kit.camera(height_px=192, width_px=288)
    decision = kit.ask([camera.expose() for _ in range(2)], camera.reference(), orientation=GainOrientation.ROT90)
    assert decision.verdict is GainVerdict.WRONG
    assert decision.remedy is not None
    assert "rot0" in decision.remedy


def test_single_exposure_of_one_frame_without_a_reference_is_undecided(kit):
    camera = kit.camera(frame_count=1)
    decision = kit.ask([camera.expose()], None)
    assert decision.verdict is GainVerdict.UNDECIDED
