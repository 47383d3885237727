"""Classes are judged, people's verdicts hold for what classes become, and only chosen particles are in the map."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.class_choice import scenes, sessions, training
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes import class_judge
from frazil.models.reconstruction.classes.class_averages import ClassAverage
from frazil.models.reconstruction.classes.class_choice import ClassChoice
from frazil.models.reconstruction.classes.class_features import ClassFeatures
from frazil.models.reconstruction.classes.class_lineage import ClassLineage
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.refine.running_map import RunningMap
from frazil.models.simulation.structures import structure_path

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)


def test_the_shipped_weights_are_what_the_kept_classes_give() -> None:
    made, shipped = training.learnt(), class_judge.shipped()
    for part in ("mean", "deviation", "weights"):
        np.testing.assert_allclose(getattr(made, part), getattr(shipped, part), rtol=1e-6, atol=1e-6)
    assert made.made == shipped.made
    again = class_judge.parsed(json.loads(json.dumps(class_judge.as_json(shipped))))
    np.testing.assert_array_equal(again.weights, shipped.weights)


def test_scores_of_the_kept_classes_are_shares() -> None:
    """Of classes with a like score, as many members are particles as it says."""
    rows, share, members, _ = training.read(training.CLASSES_FILE)
    scores = np.array([class_judge.score(ClassFeatures(*row)) for row in rows])
    for low, high in ((0.0, 0.2), (0.8, 1.0)):
        chosen = (scores >= low) & (scores <= high)
        told, true = (np.average(values[chosen], weights=members[chosen]) for values in (scores, share))
        assert told == pytest.approx(true, abs=0.05)


@pytest.mark.parametrize(
    ("score", "word"),
    [(None, "unsure"), (0.1, "junk"), (0.25, "junk"), (0.3, "unsure"), (0.7, "unsure"), (0.75, "good"), (1.0, "good")],
)
def test_words_of_scores(score: float | None, word: str) -> None:
    assert class_judge.word(score) == word


@pytest.fixture(scope="module")
def shape() -> scenes.Shape:
    return scenes.load(structure_path("apoferritin"))


def test_planted_junk_is_left_out(shape: scenes.Shape) -> None:
    """A session of a structure that the judge has not seen."""
    *_, session = sessions.stream(shape, scenes.movies(shape, 5, count=20, particles=40))
    kind, chosen = session.chosen()
    good = kind == scenes.GOOD
    assert 0.3 < (~good).mean() < 0.5
    assert (~good)[chosen].mean() < 0.1
    assert (~chosen)[good].mean() < 0.07


@pytest.mark.parametrize("kinds", [("noise",), ("ice",), ("ice", "noise")])
def test_noise_alone_makes_no_good_class(shape: scenes.Shape, kinds: tuple[str, ...]) -> None:
    movies = scenes.movies(shape, 9, count=20, particles=40, junk_share=1.0, junk_kinds=kinds)
    for session in sessions.stream(shape, movies):
        if len(session.movies) % 10 == 0:
            ids = [one.class_id for one in session.particles.averages()]
            scores = [session.particles.score_of(one) for one in ids]
            assert any(score is not None for score in scores)
            assert not any(class_judge.word(score) == "good" for score in scores), scores


# --- who speaks for whom ---------------------------------------------------------------------------------------------


def test_a_verdict_holds_for_what_a_class_becomes() -> None:
    lineage = ClassLineage()
    lineage.born(21, of=3)
    lineage.born(22, of=21)
    lineage.ended(5, heir=22)
    lineage.ended(6, heir=None)
    assert [lineage.today(one) for one in (3, 5, 6, 21)] == [3, 22, 6, 21]
    assert lineage.spoken_for_by(22, {3: False}) == 3
    assert lineage.spoken_for_by(5, {3: False}) == 3
    assert lineage.spoken_for_by(22, {3: False, 21: True}) == 21
    assert lineage.spoken_for_by(5, {5: True}) == 5, "of a class that has ended, as long as nobody speaks of its heir"
    assert lineage.spoken_for_by(5, {5: True, 22: False}) == 22
    assert lineage.spoken_for_by(6, {3: False}) is None
    again = ClassLineage()
    again.restore(lineage.state())
    assert again.spoken_for_by(5, {3: False}) == 3
    assert again.today(6) == 6


def average(class_id: int, good: float, count: int = 50) -> ClassAverage:
    """A class whose score is near 1 or near 0, as the judge has it."""
    rows = training.read(training.CLASSES_FILE)[0]
    scores = np.array([class_judge.score(ClassFeatures(*row)) for row in rows])
    row = rows[int(np.argmin(np.abs(scores - good)))]
    return ClassAverage(class_id, torch.zeros(2, 2), count, None, ClassFeatures(*row))


def test_the_judge_removes_what_it_is_sure_of_and_a_person_outweighs_it() -> None:
    choice, lineage = ClassChoice(), ClassLineage()
    averages = [average(1, 0.97), average(2, 0.03), average(3, 0.5), average(4, 0.03, count=8)]
    choice.judge(averages, 200)
    assert choice.chosen([1, 2, 3, 4], lineage).all(), "too few particles to be sure of anything"
    choice.judge(averages, 1000)
    assert choice.chosen([1, 2, 3, 4, 99], lineage).tolist() == [True, False, True, True, True]
    choice.verdicts = {1: False, 2: True, 3: None}
    assert choice.chosen([1, 2, 3, 4], lineage).tolist() == [False, True, True, True]
    choice.verdicts = {1: None, 2: None}
    assert choice.chosen([1, 2], lineage).tolist() == [True, False]
    choice.judge([average(2, 0.3)], 1000)
    assert not choice.is_chosen(2, lineage), "near the limit nothing changes"
    again = ClassChoice()
    again.restore(choice.state())
    assert again.verdicts == {1: None, 2: None}
    assert not again.is_chosen(2, lineage)
    again.judge([average(2, 0.5)], 1000)
    assert again.is_chosen(2, lineage)


# --- the map ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def movies(simulate: Callable[..., Any]) -> list[ParticleSpectra]:
    plane = FourierPlane.of_box(BOX, PIXEL)
    made = [simulate(10, 0.8, seed=300 + number).stack for number in range(3)]
    return [
        particle_spectra(stack, plane, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)
        for stack in made
    ]


def running(
    truth: torch.Tensor, movies: list[ParticleSpectra], masks: Iterator[np.ndarray | None], class_count: int = 1
) -> RunningMap:
    made = RunningMap(
        truth,
        FourierPlane.of_box(BOX, PIXEL),
        symmetry="C3",
        diameter_angstrom=DIAMETER,
        device=CPU,
        class_count=class_count,
    )
    flat = np.ones(len(FourierPlane.of_box(BOX, PIXEL).kx))
    for particles in movies:
        made.add(particles, (1, 2) * 5, flat, chosen=next(masks))
    return made


def test_a_changed_mind_is_as_if_it_had_always_been_so(truth: torch.Tensor, movies: list[ParticleSpectra]) -> None:
    half = np.arange(10) < 5
    first, second = np.arange(10) % 3 > 0, np.arange(10) % 4 > 0
    wanted = running(truth, movies, iter([second, half, None]))
    changed = running(truth, movies, iter([first, None, half]))
    everything = running(truth, movies, iter([None, None, None]))
    for number, mask in enumerate((second, half, np.ones(10, dtype=bool))):
        changed.choose(number, movies[number], mask)
    assert changed.particle_count == wanted.particle_count == int(second.sum()) + 5 + 10
    assert everything.particle_count == 30
    a, b, c = (one.round().half1 for one in (wanted, changed, everything))
    assert float((a - b).abs().max()) < 1e-3 * float(a.abs().max())
    assert float((a - c).abs().max()) > 1e-2 * float(a.abs().max())
    assert changed.chosen_of(0).tolist() == second.tolist()


def test_the_choice_survives_a_restart(truth: torch.Tensor, movies: list[ParticleSpectra]) -> None:
    half = np.arange(10) < 5
    before = running(truth, movies, iter([half, None, None]))
    after = running(truth, [], iter(()))
    after.restore({name: array.copy() for name, array in before.state().items()})
    for one in (before, after):
        one.choose(0, movies[0], np.ones(10, dtype=bool))
    assert after.particle_count == before.particle_count == 30
    assert torch.equal(before.round().full, after.round().full)


def test_nobody_chosen_is_no_error(truth: torch.Tensor, movies: list[ParticleSpectra]) -> None:
    nobody = running(truth, movies, iter([np.zeros(10, dtype=bool)] * 3))
    for _ in range(7):  # the references would be renewed now
        nobody.add(None, (), np.ones(len(FourierPlane.of_box(BOX, PIXEL).kx)))
    assert nobody.particle_count == 0
    assert not nobody.views.shown.any()
    assert not nobody.views.fine.any()
    nobody.choose(1, movies[1], np.ones(10, dtype=bool))
    assert nobody.particle_count == 10
    assert nobody.round().full.any()
