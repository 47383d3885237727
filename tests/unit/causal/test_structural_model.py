"""The graph computes: as the mechanisms called directly do, and after surgery only what lies downstream."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from frazil.config.errors import SettingsError
from frazil.models.causal.attribution import all_losses, attribute
from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.causal.causes import CauseDraws, centre_and_sd, normals_of
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.interventions import ADVISED_NODES
from frazil.models.causal.mechanisms import MECHANISMS
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.settle import drift_removed
from frazil.models.causal.structural_equations import EQUATIONS, SLOTS, Departure, StageHistory
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
BANDS = band_frequencies_per_angstrom()


def any_movie(known_movie: Make, seed: int) -> MovieEvidence:
    """Any values of all that mechanisms look at."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 0.4, (2, 20)).cumsum(axis=1)
    return known_movie(
        float(random.uniform(15, 150)),
        shift_x_angstrom=tuple(steps[0].tolist()),
        shift_y_angstrom=tuple(steps[1].tolist()),
        local_residual_angstrom=float(random.uniform(0, 0.3)),
        defocus_angstrom=None if seed % 5 == 0 else float(random.uniform(5_000, 30_000)),
        defocus_sd_angstrom=60.0 if seed % 2 else None,
        astigmatism_sd_angstrom=40.0 if seed % 3 else None,
        tilt_angle_deg=float(random.uniform(0, 30)) if seed % 3 == 0 else None,
        field_width_angstrom=3_800.0,
        fixed_pattern_rms=0.004 if seed % 4 == 0 else None,
        energy_filter=(True, False, None)[seed % 3],
        exposure_time_s=None if seed % 7 == 0 else 4.0,
        image_shift_x_um=float(random.normal(0, 4)),
        settle_time_s=float(random.uniform(2, 20)),
    )


@pytest.fixture
def learnt(known_movie: Make) -> PriorSnapshot:
    return update(physics_prior(), [any_movie(known_movie, seed) for seed in range(5)])


@pytest.mark.parametrize("seed", range(12))
def test_losses_are_those_of_the_mechanisms_to_the_last_bit(
    known_movie: Make, learnt: PriorSnapshot, seed: int
) -> None:
    movie = any_movie(known_movie, seed)
    for prior in (physics_prior(), learnt):
        draws = draw_causes(movie, prior)
        if seed % 2:
            tilt = np.random.default_rng(seed).normal(0, 0.2, (2, draws.blur_scale.size, 2))
            draws = draws.doing(axial_tilt_mrad=tilt[0], shifted_tilt_mrad=tilt[1])
        found = all_losses(movie, draws, BANDS)
        assert set(found) == set(ALL_FACTORS) - {"unexplained"} == set(MECHANISMS)
        for name, act in MECHANISMS.items():
            assert np.array_equal(found[name], act(movie, draws, BANDS)), name
    losses = attribute(movie, learnt).losses
    direct = {name: centre_and_sd(act(movie, draw_causes(movie, learnt), BANDS))[0] for name, act in MECHANISMS.items()}
    for name, row in zip(losses.factor_names, losses.loss_ln_ssnr, strict=True):
        assert name == "unexplained" or np.array_equal(row, np.maximum(direct[name], 0.0))


def test_what_is_done_is_what_the_mechanisms_give_for_the_changed_causes(
    known_movie: Make, learnt: PriorSnapshot
) -> None:
    model, movie = structural_model(), any_movie(known_movie, 4)
    draws, belief = draw_causes(movie, learnt), learnt.settle_belief()
    world = model.world(movie, draws, BANDS, stage=StageHistory(belief, 6.0, 8.0))

    def removed(extra_s: float, share: float) -> np.ndarray:
        z = normals_of("settle")
        return drift_removed(belief, movie, z, settled_s=6.0, extra_s=extra_s, rate_share=share)

    thin = np.full_like(draws.ice_thickness_nm, 20.0)
    wanted: dict[str, tuple[object, CauseDraws]] = {
        "settle_time": (Departure(more=5.0), draws.doing(drift_removed=removed(5.0, 1.0))),
        "dose_rate": (
            Departure(share=0.5),
            draws.doing(dose_rate_scale=0.5, drift_removed=removed(8.0, 0.5)),
        ),
        "ice_thickness": (thin, draws.doing(ice_thickness_nm=thin)),
        "illumination_angle": (thin * 1e-4, draws.doing(source_half_angle_mrad=thin * 1e-4)),
        "image_shift": (Departure(share=0.2), draws.doing(image_shift_scale=0.2)),
    }
    assert {*wanted, "dose_e_per_a2"} == set(ADVISED_NODES)
    for node, (value, changed) in wanted.items():
        done = model.done(world, node, value)  # type: ignore[arg-type]
        for name in model.losses:
            same = name not in model.factors_reached(node)
            expected = MECHANISMS[name](movie, draws if same else changed, BANDS)
            assert np.array_equal(done.values[name], expected), (node, name)
            assert not same or done.values[name] is world.values[name]  # not even computed again


def test_an_exposure_that_ends_sooner_is_a_movie_of_the_frames_that_are_left(
    known_movie: Make, learnt: PriorSnapshot
) -> None:
    model, movie = structural_model(), any_movie(known_movie, 4)
    draws = draw_causes(movie, learnt)
    world = model.world(movie, draws, BANDS, stage=StageHistory(learnt.settle_belief(), 6.0, 8.0))
    done = model.done(world, "dose_e_per_a2", Departure(share=0.6))
    frames = {name: getattr(movie, name)[:12] for name in ("shift_x_angstrom", "shift_y_angstrom", "shift_sd_angstrom")}
    shorter = replace(movie, frame_count=12, exposure=replace(movie.exposure, exposure_time_s=2.4), **frames)
    for name in model.losses:
        assert np.array_equal(done.values[name], MECHANISMS[name](shorter, draws, BANDS)), name
    assert done.ln_dose == np.log(0.6)
    assert world.ln_dose == 0.0
    assert np.all(done.values["radiation_damage"][:, -1] < world.values["radiation_damage"][:, -1])
    # Dose and settle time at once: what waiting takes off the frames that are left.
    both = model.done(model.done(world, "settle_time", Departure(more=5.0)), "dose_e_per_a2", Departure(share=0.6))
    assert both.causes.drift_removed is not None
    assert both.causes.drift_removed.shape == (64, 12)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match="less than it was"):
            model.done(world, "dose_e_per_a2", Departure(share=share))


def test_a_brighter_beam_moves_the_specimen_and_not_the_stage(known_movie: Make) -> None:
    """Where little is lost, losses go with the squared travel: the beam's part grows by a power of the rate from 0 up,
    that of a steady drift does not, and a weaker beam is not believed to move it less."""
    model, frame = structural_model(), np.arange(20)
    jump = np.where(frame == 0, -0.2, 0.0)
    beam = known_movie(shift_x_angstrom=tuple(jump.tolist()), shift_sd_angstrom=(0.0,) * 20)
    stage = known_movie(shift_x_angstrom=tuple((0.02 * frame).tolist()), shift_sd_angstrom=(0.0,) * 20)
    power = np.abs(0.2 * normals_of("beam_motion"))
    for movie, grows in ((beam, 3.0**power), (stage, np.ones(64))):
        world = model.world(movie, draw_causes(movie, physics_prior()), BANDS, wanted=("motion",))
        brighter = model.done(world, "dose_rate", Departure(share=3.0))
        assert np.allclose(brighter.values["motion"], world.values["motion"] * grows[:, None], rtol=1e-3, atol=1e-9)
        weaker = model.done(world, "dose_rate", Departure(share=0.5))
        assert np.array_equal(weaker.values["motion"], world.values["motion"])
    assert "beam_induced_motion" in nx.ancestors(model.graph, "motion")
    assert model.graph.has_edge("dose_rate", "beam_induced_motion")


def test_surgery_cuts_the_arrows_into_what_is_set(known_movie: Make) -> None:
    """Heights that were set do not follow the ice any more, and the ice does not follow them."""
    model, movie = structural_model(), known_movie(40.0)
    world = model.world(movie, draw_causes(movie, physics_prior()), BANDS)
    done = model.done(world, "height_spread", np.full(64, 5_000.0))
    assert np.all(done.values["defocus_spread"] > world.values["defocus_spread"] - 1e-12)
    assert done.values["ice"] is world.values["ice"]
    assert done.causes.ice_thickness_nm is world.causes.ice_thickness_nm


def test_mechanisms_read_what_has_an_arrow_to_them_and_nothing_else(known_movie: Make) -> None:
    """Every slot of the causes is moved by itself: the losses that move are those that say that they read it."""
    movie = any_movie(known_movie, 3)
    draws = draw_causes(movie, physics_prior())
    frames = np.ones((draws.blur_scale.size, movie.frame_count))
    moved = {
        "ice_thickness": draws.ice_thickness_nm * 1.5,
        "count_loss": draws.count_loss_s_px_per_e * 1.5,
        "illumination_angle": draws.source_half_angle_mrad * 1.5,
        "focal_spread": draws.focal_spread_sd_angstrom * 1.5,
        "steady_drift": frames * 0.5,
        "beam_induced_motion": np.full_like(draws.blur_scale, 2.0),
        "transmitted_counts": np.full_like(draws.blur_scale, 0.5),
        "height_spread": np.full_like(draws.blur_scale, 50.0),
        "beam_tilt": np.full_like(draws.blur_scale, 1e-4),
    }
    assert set(moved) == set(SLOTS)
    model = structural_model()
    world = model.world(movie, draws, BANDS)
    for node, value in moved.items():
        changed = world.with_value(node, value).causes
        for name, act in MECHANISMS.items():
            moves = not np.array_equal(act(movie, world.causes, BANDS), act(movie, changed, BANDS))
            assert moves == (node in EQUATIONS[name].reads), (node, name)
    for name, equation in EQUATIONS.items():
        assert set(equation.reads) <= set(model.graph.predecessors(name))


def test_it_travels_between_processes() -> None:
    model = structural_model()
    again = pickle.loads(pickle.dumps(model))
    assert isinstance(again, StructuralModel)
    assert again.losses == model.losses
    assert nx.utils.graphs_equal(again.graph, model.graph)
    assert pickle.loads(pickle.dumps(model)) is again  # made once a process


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nodes: {wind: {kind: factor, unit: ln SSNR, words: wind, mechanism: storm}}", "unknown mechanism `storm`"),
        ("nodes: {wind: {kind: factor, unit: ln SSNR, mechanism: coincidence}}", "from where no arrow comes"),
        ("nodes: {ice: {kind: factor, unit: ln SSNR, words: ice}}", "is there already"),
    ],
)
def test_a_node_that_cannot_compute_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    wrong = tmp_path / "graph.yaml"
    wrong.write_text(text)
    with pytest.raises(SettingsError, match=says) as refused:
        structural_model(wrong)
    assert refused.value.path == str(wrong)
    assert refused.value.remedy


def test_settings_are_only_departed_from_as_their_equations_can(known_movie: Make) -> None:
    model, movie = structural_model(), known_movie(40.0)
    world = model.world(movie, draw_causes(movie, physics_prior()), BANDS, wanted=("motion",))
    with pytest.raises(ValueError, match="set to a value"):
        model.done(world, "ice_thickness", Departure(share=0.5))
    with pytest.raises(ValueError, match="share of what it was"):
        model.done(world, "dose_rate", Departure(more=1.0))
    assert world.values.keys() == {"motion"}
