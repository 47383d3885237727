"""Equations that a person gives to nodes of the causal graph: computed, checked, and refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frazil.config.errors import SettingsError
from frazil.models.causal.advice.decision import advise
from frazil.models.causal.attribution import all_losses, attribute
from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.causal.causes import CauseDraws, centre_and_sd
from frazil.models.causal.draws import draw_causes
from frazil.models.causal.factors import ALL_FACTORS
from frazil.models.causal.graph import causal_graph, node_of
from frazil.models.causal.mechanisms import GREATEST_LOSS, MECHANISMS
from frazil.models.causal.node_values import REPLACEABLE, VALUES
from frazil.models.causal.posterior import update
from frazil.models.causal.prior import physics_prior
from frazil.models.causal.structural_equations import SLOTS, Departure
from frazil.models.causal.structural_model import StructuralModel, structural_model
from frazil.models.causal.units import unit_of
from frazil.models.records import MovieEvidence

Make = Callable[..., MovieEvidence]
BANDS = band_frequencies_per_angstrom()
CHARGING = """
nodes:
  charging:
    {kind: mechanism, unit: e/A2, words: charge left, equation: "dose_e_per_a2 * exp(-settle_time / 30 s)"}
  charging_loss:
    kind: factor
    unit: ln SSNR
    words: charging
    equation: "0.2 * charging / 10 e/A2 * (k_per_angstrom * 5 A) ** 2 * ice_thickness / (ice_thickness + 400 A)"
edges:
  dose_e_per_a2: [charging]
  settle_time: [charging]
  charging: [charging_loss]
  ice_thickness: [charging_loss]
  charging_loss: [ln_ssnr]
"""


def model_of(tmp_path: Path, text: str) -> StructuralModel:
    path = tmp_path / "graph.yaml"
    path.write_text(text)
    return structural_model(path)


def by_hand(draws: CauseDraws, settle_time_s: float, dose_e_per_a2: float = 40.0) -> np.ndarray:
    """The loss of `CHARGING`, in nm and per angstrom."""
    charge = dose_e_per_a2 * np.exp(-settle_time_s / 30.0)
    share = draws.ice_thickness_nm / (draws.ice_thickness_nm + 40.0)
    return np.asarray(0.2 * charge / 10.0 * share[:, None] * (5.0 * BANDS)[None, :] ** 2)


@pytest.fixture
def charging(tmp_path: Path) -> StructuralModel:
    return model_of(tmp_path, CHARGING)


def test_a_factor_by_equation_adds_to_the_world_and_to_what_a_movie_is_told(
    known_movie: Make, charging: StructuralModel
) -> None:
    movie, prior = known_movie(60.0, settle_time_s=12.0), physics_prior()
    draws = draw_causes(movie, prior)
    world = charging.world(movie, draws, BANDS)
    assert np.allclose(world.values["charging"], 40.0 * np.exp(-0.4))
    assert np.allclose(world.values["charging_loss"], by_hand(draws, 12.0), rtol=1e-12)
    shipped = all_losses(movie, draws, BANDS)
    assert all(np.array_equal(world.values[name], shipped[name]) for name in shipped)
    assert charging.own_losses == ("charging_loss",)

    plain, told = attribute(movie, prior).losses, attribute(movie, prior, model=charging).losses
    assert told.factor_names == (*ALL_FACTORS, "charging_loss")
    assert told.loss_ln_ssnr[:-1] == plain.loss_ln_ssnr
    assert told.notes == ()
    centre, sd = centre_and_sd(by_hand(draws, 12.0))
    assert np.allclose(told.loss_ln_ssnr[-1], centre)
    assert np.allclose(told.loss_sd[-1], np.maximum(sd, 0.01))
    assert (told.named_cause, told.named_excess_ln_ssnr) == (plain.named_cause, plain.named_excess_ln_ssnr)


def test_a_file_that_was_corrected_is_read_again(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="setle_time"):
        model_of(tmp_path, CHARGING.replace("-settle_time", "-setle_time"))
    assert "charging_loss" in model_of(tmp_path, CHARGING).own_losses


def test_surgery_reaches_it_along_every_arrow(known_movie: Make, charging: StructuralModel) -> None:
    movie = known_movie(60.0, settle_time_s=12.0)
    draws = draw_causes(movie, physics_prior())
    world = charging.world(movie, draws, BANDS)
    longer = charging.done(world, "settle_time", Departure(more=20.0))
    assert np.allclose(longer.values["charging_loss"], by_hand(draws, 32.0), rtol=1e-12)
    thin = np.full_like(draws.ice_thickness_nm, 20.0)
    thinner = charging.done(world, "ice_thickness", thin)
    assert np.allclose(thinner.values["charging_loss"], by_hand(draws.doing(ice_thickness_nm=thin), 12.0), rtol=1e-12)
    assert thinner.values["charging"] is world.values["charging"]
    fixed = charging.done(world, "charging", np.full(64, 5.0))
    assert np.allclose(fixed.values["charging_loss"], by_hand(draws, 0.0, 5.0), rtol=1e-12)
    assert set(charging.factors_reached("settle_time")) == {"motion", "charging_loss"}


def test_what_a_movie_does_not_say_is_not_guessed(known_movie: Make, charging: StructuralModel) -> None:
    movie = known_movie(60.0)  # nobody knows how long the stage had stood
    told = attribute(movie, physics_prior(), model=charging).losses
    assert told.factor_names == ALL_FACTORS
    assert told.loss_ln_ssnr == attribute(movie, physics_prior()).losses.loss_ln_ssnr
    assert told.notes[0] == "charge left: not known, this movie does not say its settle time after stage moves"
    assert told.notes[1] == "charging: not known, this movie does not say its charge left"
    world = charging.world(movie, draw_causes(movie, physics_prior()), BANDS)
    assert not np.any(world.values["charging_loss"])
    # Set by hand it is known, and so is what follows from it.
    fixed = charging.done(world, "charging", np.full(64, 5.0))
    assert np.all(fixed.values["charging_loss"] > 0.0)
    assert not fixed.unknown
    assert not fixed.notes


def test_a_loss_is_told_where_it_lies_beyond_what_a_loss_can_be(known_movie: Make, tmp_path: Path) -> None:
    text = """
nodes: {odd: {kind: factor, unit: ln SSNR, words: oddity, equation: "(ice_thickness - 40 nm) / 1 nm"}}
edges: {ice_thickness: [odd], odd: [ln_ssnr]}
"""
    model, movie = model_of(tmp_path, text), known_movie(40.0)
    draws = draw_causes(movie, physics_prior())
    world = model.world(movie, draws, BANDS)
    wanted = np.clip(draws.ice_thickness_nm - 40.0, 0.0, GREATEST_LOSS)
    assert np.allclose(world.values["odd"], wanted[:, None])
    assert "is taken for 0" in world.notes["odd"]
    assert "is taken for 12" in world.notes["odd"]


def test_a_division_by_zero_is_not_known(known_movie: Make, tmp_path: Path) -> None:
    text = """
nodes: {odd: {kind: factor, unit: ln SSNR, words: oddity, equation: "1 mrad / specimen_tilt * 1 deg / 1 mrad"}}
edges: {specimen_tilt: [odd]}
"""
    model = model_of(tmp_path, text)
    for tilt, known in ((0.0, False), (2.0, True)):
        movie = known_movie(tilt_angle_deg=tilt)
        told = attribute(movie, physics_prior(), model=model).losses
        assert ("odd" in told.factor_names) == known
        assert any("its equation gives no number here" in note for note in told.notes) != known
        if known:
            assert np.allclose(told.loss_ln_ssnr[-1], 0.5)


def test_a_persons_equation_takes_the_place_of_a_shipped_one(known_movie: Make, tmp_path: Path) -> None:
    text = """
nodes:
  height_spread: {kind: mechanism, unit: A, replaces: true, equation: "ice_thickness / 2"}
  beam_tilt: {kind: mechanism, unit: mrad, replaces: true, equation: "0.5 mrad + 0 * image_shift * 1 mrad / 1 um"}
  coincidence: {kind: factor, unit: ln SSNR, replaces: true, equation: "count_loss * dose_rate"}
"""
    model, movie = model_of(tmp_path, text), known_movie(60.0)
    draws = draw_causes(movie, physics_prior())
    found, shipped = model.losses_of(model.world(movie, draws, BANDS)), all_losses(movie, draws, BANDS)
    half = draws.doing(height_spread_angstrom=draws.ice_thickness_nm * 5.0, beam_tilt_rad=np.full(64, 5e-4))
    wanted = all_losses_with(movie, half)
    for name in ("defocus_spread", "aberrations"):
        assert np.allclose(found[name], wanted[name], rtol=1e-12), name
        assert not np.allclose(found[name], shipped[name])
    assert np.allclose(found["coincidence"], (draws.count_loss_s_px_per_e * 10.0)[:, None])
    assert np.array_equal(found["ice"], shipped["ice"])
    assert set(causal_graph().predecessors("coincidence")) <= set(model.graph.predecessors("coincidence"))
    # A name rests on the physics that ships, as what is usual does.
    told, plain = attribute(movie, physics_prior(), model=model).losses, attribute(movie, physics_prior()).losses
    assert told.named_cause == plain.named_cause
    assert told.loss_ln_ssnr != plain.loss_ln_ssnr


def all_losses_with(movie: MovieEvidence, causes: CauseDraws) -> dict[str, np.ndarray]:
    return {name: MECHANISMS[name](movie, causes, BANDS) for name in ("defocus_spread", "aberrations")}


def test_advice_counts_what_a_persons_factor_brings(known_movie: Make, tmp_path: Path) -> None:
    """Half of the holes lose 2.5 more by a factor of a person's: a map of N movies of SSNR 1 and N of x gains
    ln 2 / (1 + x) when all become like the former, and x is exp(-2.5) of what it was."""
    text = """
nodes: {bad_ice: {kind: factor, unit: ln SSNR, words: bad ice, equation: "2.5 if ice_thickness > 70 nm else 0"}}
edges: {ice_thickness: [bad_ice], bad_ice: [ln_ssnr]}
"""
    model = model_of(tmp_path, text)
    movies = [known_movie(30.0 if number % 2 else 110.0) for number in range(20)]
    prior = update(physics_prior(), movies)
    shipped, own = ({one.action: one for one in advise(movies, prior, model=m)} for m in (None, model))
    left = 2.0 * np.exp(-shipped["thin-ice"].gain_ln_ssnr) - 1.0
    assert own["thin-ice"].gain_ln_ssnr == pytest.approx(np.log(2.0 / (1.0 + left * np.exp(-2.5))), abs=0.02)
    assert "bad_ice" in model.factors_reached("ice_thickness")
    assert set(model.factors_reached("settle_time")) == {"motion"}


def test_what_rings_lose_by_it_is_told_once(known_movie: Make, tmp_path: Path) -> None:
    """One movie in ten lacks ring signal at high frequency for a reason that a person knows."""
    text = """
nodes:
  jam:
    {kind: factor, unit: ln SSNR, equation: "3 * (k_per_angstrom * 5 A) ** 2 if specimen_tilt > 5 deg else 0"}
edges: {specimen_tilt: [jam], jam: [ln_ssnr]}
"""
    model = model_of(tmp_path, text)
    random = np.random.default_rng(3)

    def movie(bad: bool) -> MovieEvidence:
        rings = 2.0 - 10.0 * BANDS + random.normal(0, 0.05, BANDS.size) - 3.0 * bad * (5.0 * BANDS) ** 2
        seen = tuple(float(one) if k < 1 / 4 else None for one, k in zip(rings, BANDS, strict=True))
        return known_movie(log_ssnr=seen, tilt_angle_deg=8.0 if bad else 0.1)

    prior = physics_prior()
    for _ in range(8):
        prior = update(prior, [movie(False) for _ in range(5)])
    bad = movie(True)
    plain, told = attribute(bad, prior).losses, attribute(bad, prior, model=model).losses
    at_5 = int(np.argmin(np.abs(BANDS - 0.2)))
    unexplained = ALL_FACTORS.index("unexplained")
    assert plain.loss_ln_ssnr[unexplained][at_5] > 1.5
    assert told.loss_ln_ssnr[unexplained][at_5] < 0.2
    assert abs(told.loss_ln_ssnr[-1][at_5] - 3.0 * (5 * BANDS[at_5]) ** 2) < 1e-9
    assert told.named_cause != "unexplained" == plain.named_cause


WRONG = [
    ("ice_thickness + settle_time", "A and s are added, column 17", "30 s"),
    ("ice_thickness / 1 nm + nmm", "names the unknown nmm, column 24", "there are"),
    ("ice_thicknes / 1 nm", "names the unknown ice_thicknes, column 1", "did you mean ice_thickness?"),
    ("dose_rate * 1 s px/e", "is no formula", "write arithmetic"),
    ("focal_spread / 1 A", "from where no arrow comes, column 1", "focal_spread: [odd]"),
    ("grid_square", "of which a movie knows no value, column 1", "give grid_square an equation"),
    ("ice_thickness", "and its equation gives A", "correct the unit"),
    ("exp(ice_thickness)", r"exp\(\) is of a number, not of A, column 5", "give numbers their unit"),
    ("sin(ice_thickness) * 1", r"sin\(\) is of an angle or a number, not of A, column 5", "give numbers"),
    ("ice_thickness ** settle_time", "a power is of a number, not of s, column 18", "give numbers"),
    ("(ice_thickness / 1 A) ** 2 > 3 s", "a number and s are compared", "give numbers"),
    ("max(ice_thickness, settle_time) / 1 nm", r"A and s are given to max\(\), column 20", "give numbers"),
    ("ice_thickness if settle_time else settle_time", "A and s are chosen between, column 35", "give numbers"),
    ("(1 nm) ** (settle_time / 1 s)", "is raised to a power that is no fixed number", "give numbers"),
    ("magic(1)", "there is no function magic", "use numbers"),
    ("ice_thickness.real", "attribute is not part of the language", "use numbers"),
    ("1 +" * 300 + " 1", "has 902 characters", "write at most"),
    ("(" * 40 + "1" + ")" * 40 + "+ -" * 40 + "1", "is nested deeper", "write it as several"),
    ("1 + 2 * ä", "letters beyond ASCII", "write it in ASCII"),
]


@pytest.mark.parametrize(("equation", "says", "remedy"), WRONG)
def test_a_wrong_equation_is_refused_with_its_place_and_a_remedy(
    tmp_path: Path, equation: str, says: str, remedy: str
) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text(
        f'nodes: {{odd: {{kind: factor, unit: ln SSNR, words: oddity, equation: "{equation}"}}}}\n'
        "edges: {ice_thickness: [odd], settle_time: [odd], grid_square: [odd], dose_rate: [odd]}\n"
    )
    with pytest.raises(SettingsError, match=says) as refused:
        structural_model(path)
    assert refused.value.path == str(path)
    assert "odd" in refused.value.what
    assert remedy in (refused.value.remedy or "")


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ("{kind: mechanism, unit: furlong, equation: '1'}", "unknown unit `furlong`"),
        ("{kind: setting, unit: s, equation: '1 s'}", "cannot have an equation"),
        ("{kind: factor, unit: ln SSNR, equation: '1', mechanism: ice}", "a mechanism and an equation"),
        ("{kind: mechanism, unit: 1/A, equation: k_per_angstrom}", "is one value and names k_per_angstrom"),
        ("{kind: mechanism, unit: '', equation: ice}", "is one value and names the loss ice"),
        ("{kind: factor, unit: ln SSNR, equation: '1', replaces: true}", "replaces a node that is not there"),
    ],
)
def test_a_node_that_cannot_be_is_refused(tmp_path: Path, node: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        model_of(tmp_path, f"nodes: {{odd: {node}}}\nedges: {{ice: [odd]}}\n")


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ("ice: {kind: factor, unit: ln SSNR, equation: '1'}", "is there already.*replaces: true"),
        ("ice: {kind: factor, unit: ln SSNR, replaces: true}", "has no equation"),
        ("ice: {kind: mechanism, unit: ln SSNR, equation: '1', replaces: true}", "Keep unit and kind"),
        ("beam_tilt: {kind: mechanism, unit: A, equation: 1 A, replaces: true}", "Keep unit and kind"),
        ("steady_drift: {kind: mechanism, unit: A/s, equation: 1 A/s, replaces: true}", "no equation can give"),
        ("unexplained: {kind: factor, unit: ln SSNR, equation: '1', replaces: true}", "no equation can give"),
        ("ice: {kind: factor, unit: ln SSNR, equation: '1', replaces: perhaps}", "neither true nor false"),
    ],
)
def test_what_cannot_be_replaced_is_refused(tmp_path: Path, node: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        model_of(tmp_path, f"nodes: {{{node}}}\n")


def test_units_convert_and_numbers_carry_them(known_movie: Make, tmp_path: Path) -> None:
    text = """
nodes: {sum: {kind: mechanism, unit: um, equation: "ice_thickness + 5 A + 2e-3 um * 2 + max(0, 1 mm / 1e6)"},
        odd: {kind: factor, unit: ln SSNR, equation: "sum / 1 um if settle_time > 1 min else 0"},
        rate: {kind: mechanism, unit: e/px/s, equation: "dose_e_per_a2 * pixel_area_a2_per_px / (4 s)"}}
edges: {ice_thickness: [sum], sum: [odd], settle_time: [odd], dose_e_per_a2: [rate]}
"""
    model, movie = model_of(tmp_path, text), known_movie(settle_time_s=61.0)
    draws = draw_causes(movie, physics_prior())
    world = model.world(movie, draws, BANDS)
    in_um = (draws.ice_thickness_nm * 10 + 5 + 40 + 10) * 1e-4
    assert np.allclose(world.values["sum"], in_um, rtol=1e-12)
    assert np.allclose(world.values["odd"], in_um[:, None])
    assert np.allclose(world.values["rate"], 10.0)
    before = model.world(replace(movie, settle_time_s=59.0), draws, BANDS)
    assert not np.any(before.values["odd"])


def test_every_value_is_in_the_unit_of_its_node(known_movie: Make) -> None:
    """Numbers by hand for one movie: the table of values and graph.yaml say the same units."""
    graph = causal_graph()
    assert set(VALUES) <= set(graph)
    assert set(REPLACEABLE) <= set(VALUES) & set(SLOTS)
    assert all(unit_of(node_of(graph, name).unit) is not None for name in graph)
    x = tuple((0.05 * np.arange(20)).tolist())
    movie = known_movie(60.0, shift_x_angstrom=x, image_shift_x_um=3.0, tilt_angle_deg=2.0, settle_time_s=7.0)
    draws = draw_causes(movie, physics_prior()).doing(
        coma_mrad_per_um=np.full(64, 0.1), ice_thickness_nm=np.full(64, 60.0), height_share=np.full(64, 0.5)
    )
    world = structural_model().world(movie, draws, BANDS)
    wanted = {
        "dose_e_per_a2": 40.0,
        "dose_rate": 10.0,
        "defocus_target": 12_000.0,
        "image_shift": 3.0,
        "settle_time": 7.0,
        "energy_filter": 1.0,
        "ice_thickness": 60.0,
        "beam_tilt": 0.3,
        "steady_drift": 0.05 * 20 / 4.0,
        "height_spread": 300.0,
        "specimen_tilt": 2.0,
        "beam_induced_motion": 0.0,
        "transmitted_counts": 40.0 * np.exp(-60.0 / 395.0),
    }
    for name, value in wanted.items():
        assert np.allclose(VALUES[name](world), value, rtol=2e-2 if name == "transmitted_counts" else 1e-12), name
    done = structural_model().done(world, "image_shift", Departure(share=0.5))
    assert np.allclose(VALUES["beam_tilt"](done), 0.15)
    assert np.allclose(VALUES["image_shift"](done), 1.5)
