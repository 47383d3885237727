"""Planted faults are refuted with the counter-example; true claims are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from frazil.models.evaluation.facts import RoundFacts
from frazil.models.evaluation.logic import claims, exact, statements
from frazil.models.evaluation.logic import evaluator as logic
from frazil.models.evaluation.logic.proving.outcome import Outcome, Prove, ProverRun, Settled, prove_exactly
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.symmetry_model import Cell, Operation, SymmetryModel

Plant = Callable[[RoundFacts], RoundFacts]


def _in_movie(**changes: Any) -> Plant:
    def plant(facts: RoundFacts) -> RoundFacts:
        return replace(facts, movies=(facts.movies[0], replace(facts.movies[1], **changes)))

    return plant


def _in_result(part: str, **changes: Any) -> Plant:
    def plant(facts: RoundFacts) -> RoundFacts:
        movie = facts.movies[1]
        result = replace(movie.result, **{part: replace(getattr(movie.result, part), **changes)})
        return replace(facts, movies=(facts.movies[0], replace(movie, result=result)))

    return plant


def _in_metadata(**changes: Any) -> Plant:
    def plant(facts: RoundFacts) -> RoundFacts:
        movie = facts.movies[1]
        assert movie.metadata is not None
        return replace(facts, movies=(facts.movies[0], replace(movie, metadata=replace(movie.metadata, **changes))))

    return plant


def _in_map(**changes: Any) -> Plant:
    def plant(facts: RoundFacts) -> RoundFacts:
        assert facts.map is not None
        return replace(facts, map=replace(facts.map, **changes))

    return plant


def _fsc(change: Callable[[np.ndarray], None]) -> Plant:
    def plant(facts: RoundFacts) -> RoundFacts:
        assert facts.map is not None
        curve = np.array(facts.map.fsc)
        change(curve)
        return replace(facts, map=replace(facts.map, fsc=tuple(curve.tolist())))

    return plant


def _early_drop(curve: np.ndarray) -> None:
    curve[5] = 0.1


def _above_one(curve: np.ndarray) -> None:
    curve[3] = 1.2


def _nothing_shared(curve: np.ndarray) -> None:
    curve[:] = 0.2


FAULTS: list[tuple[str, Plant, dict[str, int]]] = [
    ("frames-counted", _in_result("shifts", shift_x_angstrom=(0.0,) * 39), {"frames": 40, "shifts": 39}),
    ("frames-promised", _in_metadata(frame_count=50), {"frames": 40, "promised": 50}),
    ("dose-adds-up", _in_metadata(total_dose_e_per_a2=60.0), {"frames_x_dose": 40_000, "total": 60_000}),
    ("dose-arrives", _in_movie(dose_per_frame_e_per_a2=0.5), {"counts": 1130, "dose": 500}),
    ("fit-above-nyquist", _in_result("ctf", fit_resolution_angstrom=2.1), {"resolution": 2100, "pixel": 1100}),
    ("defocus-ordered", _in_result("ctf", defocus_u_angstrom=14_000.0), {"u": 14_000_000, "v": 14_900_000}),
    ("one-result-per-file", _in_movie(results_of_same_file=2), {"results": 2}),
    ("halves-complete", _in_movie(half_set=(1, 2, 1, 2, 1, 2, 3)), {"first": 3, "second": 3, "particles": 7}),
    ("halves-balanced", _in_movie(half_set=(1, 1, 1, 1, 1, 2, 2)), {"first": 5, "second": 2, "largest": 1}),
    ("fibres-whole", _in_movie(half_set_fibre=(1, 2, 1, 2, 1, 2, 2)), {"fibre": 2, "shared": 1}),
    (
        "halves-apart",  # two shifts of 0.15 x 150 A at 1.1 A reach across 40.9 px
        _in_movie(half_set_x_px=(0.0, 40.5, 900.0, 500.0, 1300.0, 1700.0, 2100.0), half_set_y_px=(3.0,) * 7),
        {"nearest": 405, "reach": 409},
    ),
    (
        "halves-disjoint",
        _in_movie(half_set_x_px=(90.0, 90.0, 0.0, 0.0, 0.0, 0.0, 0.0), half_set_y_px=(7.5, 7.5, 1, 2, 3, 4, 5)),
        {"x_tenth_px": 900, "y_tenth_px": 75, "shared": 1},
    ),
    ("box-holds-particle", lambda facts: replace(facts, box_px=100), {"box": 100, "diameter": 150_000}),
    ("map-counts", _in_map(particle_count=15), {"particles": 15, "extracted": 14}),
    ("map-halves-sum", _in_map(half_set_particle_counts=(8, 7)), {"first": 8, "second": 7, "particles": 14}),
    ("map-halves-balanced", _in_map(half_set_particle_counts=(9, 5)), {"first": 9, "second": 5, "slack": 2}),
    ("map-within-pixels", _in_map(resolution_0143_angstrom=2.1), {"resolution": 2100, "pixel": 1100}),
    ("map-above-nyquist", _in_map(resolution_0143_angstrom=2.0), {"frequency": 500_000}),
    ("fsc-in-range", _fsc(_above_one), {"shell": 3, "fsc_x_10000": 12_000}),
    ("fsc-starts-high", _fsc(_nothing_shared), {"shell": 0, "fsc_x_10000": 2000}),
    ("fsc-crosses-where-claimed", _fsc(_early_drop), {"shell": 5, "fsc_x_10000": 1000}),
]


def _by_name(facts: RoundFacts) -> dict[str, logic.Obligation]:
    return logic.obligations_of(logic.evaluate(facts).evidence)


def test_no_true_claim_is_refuted_and_all_are_decided(truth: SimpleNamespace) -> None:
    verdict = logic.evaluate(truth.round())
    assert verdict.verdict == 1.0
    assert verdict.uncertainty == 0.0
    assert verdict.does_not_know == ("no crystal or helix was described (evaluation.model)",)
    assert {o.settled for o in _by_name(truth.round()).values()} == {Settled.PROVED}


@pytest.mark.parametrize(("name", "plant", "numbers"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_planted_fault_is_refuted_with_its_numbers(
    name: str, plant: Plant, numbers: dict[str, int], truth: SimpleNamespace
) -> None:
    found = _by_name(plant(truth.round()))[name]
    assert found.settled is Settled.REFUTED
    assert found.refuted == 1
    assert found.counter_example is not None
    assert numbers.items() <= found.counter_example.items()
    assert found.subject in ("movie01", "map round 1", "session")
    assert statements.STATEMENTS[name] in found.sentence


def test_every_obligation_has_a_planted_fault() -> None:
    assert {fault[0] for fault in FAULTS} | {"group-order", "group-closed"} == statements.ABOUT_SESSION


def test_only_the_planted_fault_is_refuted(truth: SimpleNamespace) -> None:
    verdict = logic.evaluate(_in_metadata(frame_count=50)(truth.round()))
    assert verdict.evidence["refuted"] == 1
    assert verdict.verdict == pytest.approx(1.0 - 1.0 / len(statements.ABOUT_SESSION))


def test_an_early_drop_of_the_fsc_does_not_pass_because_it_recovers(truth: SimpleNamespace) -> None:
    found = _by_name(_fsc(_early_drop)(truth.round()))
    assert found["fsc-in-range"].settled is Settled.PROVED
    assert found["fsc-crosses-where-claimed"].settled is Settled.REFUTED


@pytest.mark.parametrize(
    ("name", "order"), [("C1", 1), ("C7", 7), ("D1", 2), ("D7", 14), ("T", 12), ("O", 24), ("I", 60), ("I3", 60)]
)
def test_true_groups_are_proved(name: str, order: int) -> None:
    made = list(claims.group_claims(name))
    assert [claim.name for claim in made] == ["group-order", "group-closed"]
    assert made[0].integers == {"order": order, "expected": order}
    assert [exact.counter_example(claim) for claim in made] == [None, None]


def _closed(order: int, table: list[int], handed: list[int] | None = None) -> dict[str, int | str] | None:
    integers = {"order": order, "table": tuple(table), "handed": tuple(handed or [1000] * order)}
    return exact.counter_example(statements.Claim("group-closed", "x", integers))


def test_a_mirror_a_missing_operation_and_a_missing_inverse_are_refuted() -> None:
    assert _closed(2, [0, 1, 1, 0]) is None
    assert _closed(2, [0, 1, 1, 0], [1000, -1000]) == {"element": 1, "determinant_x_1000": -1000}
    missing = _closed(2, [0, 1, 1, -1])
    assert missing is not None
    assert (missing["left"], missing["right"]) == (1, 1)
    no_inverse = _closed(2, [0, 1, 1, 1])
    assert no_inverse is not None
    assert no_inverse["element"] == 1


def test_a_group_of_the_wrong_order_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "symmetry_matrices", lambda name: symmetry_matrices("D7")[:-1])
    order, closed = claims.group_claims("D7")
    assert exact.counter_example(order) == {"order": 13, "expected": 14}
    assert exact.counter_example(closed) is not None


def test_what_nobody_said_is_unknown_not_proved(truth: SimpleNamespace) -> None:
    movie = replace(truth.movie(), metadata=None, dose_per_frame_e_per_a2=None, half_set=None)
    verdict = logic.evaluate(RoundFacts(0, (movie,)))
    found = logic.obligations_of(verdict.evidence)
    for name in ("frames-promised", "dose-adds-up", "dose-arrives", "halves-complete", "map-counts", "fsc-in-range"):
        assert found[name].settled is Settled.UNKNOWN
        assert any(statements.STATEMENTS[name] in line for line in verdict.does_not_know)
    assert verdict.verdict == 1.0
    assert verdict.uncertainty is not None
    assert verdict.uncertainty > 0.2


def test_eer_may_leave_out_less_than_one_fraction(truth: SimpleNamespace) -> None:
    movie = truth.movie(frames=5)
    header = replace(movie.result.header, raw_frame_count=1000)
    metadata = replace(movie.metadata, total_dose_e_per_a2=5.9, frame_count=1000)
    movie = replace(movie, result=replace(movie.result, header=header), metadata=metadata)
    found = _by_name(RoundFacts(0, (movie,)))
    assert found["dose-adds-up"].settled is Settled.PROVED
    assert found["frames-promised"].settled is Settled.UNKNOWN


def test_a_movies_fault_stays_and_a_maps_fault_goes_with_the_next_map(truth: SimpleNamespace) -> None:
    bad = _in_map(particle_count=15)(_in_metadata(frame_count=50)(truth.round()))
    first = logic.evaluate(bad)
    later = logic.evaluate(replace(truth.round(), round=1, earlier={"logic": first.evidence}))
    found = logic.obligations_of(later.evidence)
    assert found["frames-promised"].settled is Settled.REFUTED
    assert found["frames-promised"].subject == "movie01"
    assert (found["frames-promised"].checked, found["frames-promised"].refuted) == (4, 1)
    assert found["map-counts"].settled is Settled.PROVED


def _says(settled: Settled, about: str) -> Prove:
    """Exact integers, and a prover that knows nothing but one thing."""

    def prove(made: Sequence[statements.Claim]) -> tuple[ProverRun, ...]:
        silent = Outcome(Settled.UNKNOWN, reason="not asked")
        told = tuple(Outcome(settled) if claim.name == about else silent for claim in made)
        return (ProverRun("another", told), *prove_exactly(made))

    return prove


def test_provers_that_contradict_each_other_settle_nothing_and_are_told(truth: SimpleNamespace) -> None:
    agreed = logic.evaluate(truth.round(), _says(Settled.PROVED, "box-holds-particle"))
    assert (agreed.verdict, agreed.evidence["contradictions"]) == (1.0, [])
    said = logic.evaluate(truth.round(), _says(Settled.REFUTED, "box-holds-particle"))
    obligation = logic.obligations_of(said.evidence)["box-holds-particle"]
    assert (obligation.settled, obligation.open, obligation.refuted) == (Settled.UNKNOWN, 1, 0)
    assert said.evidence["unknown"] == 1
    assert said.uncertainty == pytest.approx(0.5 / len(statements.ABOUT_SESSION))
    (contradiction,) = logic.contradictions_of(said.evidence)
    assert contradiction.said == {"another": "refuted", "exact": "proved"}
    assert (
        "the box is not smaller than the particle (session; another: refuted, exact: proved)" in contradiction.sentence
    )
    assert any("provers leave it open: the box" in line for line in said.does_not_know)
    another, oracle = said.evidence["provers"]
    assert (another["refuted"], another["proved"], another["reasons"]) == (1, 0, ["not asked"])
    assert (oracle["prover"], oracle["refuted"], oracle["unknown"]) == ("exact", 0, 0)


def test_a_described_crystal_is_judged_each_round_anew(truth: SimpleNamespace) -> None:
    mirror = Operation((1, 0, 0, 0, 1, 0, 0, 0, -1), (0, 0, 0))
    identity = Operation((1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, 0))
    model = SymmetryModel("a film", Cell((50.0, 60.0, 70.0), (90.0, 90.0, 90.0)), (identity, mirror))
    first = logic.evaluate(replace(truth.round(), model=model))
    found = logic.obligations_of(first.evidence)
    assert found["operations-proper"].settled is Settled.REFUTED
    assert found["operations-proper"].subject == "a film"
    assert found["operations-closed"].settled is Settled.PROVED
    assert found["matthews"].settled is Settled.UNKNOWN
    corrected = replace(truth.round(), round=1, model=replace(model, chiral=False), earlier={"logic": first.evidence})
    later = logic.obligations_of(logic.evaluate(corrected).evidence)
    assert later["operations-proper"].settled is Settled.UNKNOWN
    assert later["operations-closed"].checked == 1
