"""The benchmark of advice knows its truth: what is planted pays, what is not costs, words mean what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.advice.actions import PAYS_LN, Gain, TrueGains, family, session_of
from benchmarks.advice.bench import Judged, scored
from benchmarks.advice.said import Look, Said, meant
from benchmarks.advice.truth import course_of, left_of_amplitude, losses
from benchmarks.advice.world import draw_world, grid_of


@pytest.mark.parametrize(("kind", "seed"), [("thin ice", 78), ("lower rate", 77)])
def test_the_planted_action_is_the_best_one(kind: str, seed: int) -> None:
    _, _, ranked = session_of(seed, kind, 12)
    assert family(ranked[0].kind, ranked[0].size) == kind
    assert ranked[0].net_ln >= PAYS_LN


def test_a_stage_at_rest_gains_nothing_by_waiting() -> None:
    """What is left is the time: ln of the hours before over those after."""
    world = replace(draw_world(5, "nothing"), speed_angstrom_per_s=0.0, rest_angstrom_per_s=0.0)
    grid = grid_of(world)
    hours = [course_of(one, grid).hours for one in (world, world.with_settings(wait_s=world.settings.wait_s + 10))]
    assert TrueGains(world).of("settle", 10.0) == pytest.approx(np.log(hours[0] / hours[1]), abs=1e-9)


def test_without_shift_there_is_no_coma_and_without_angle_no_convergence() -> None:
    world = draw_world(5, "coma").with_settings(shift_share=0.0, axial_left=0.0, half_angle_mrad=0.0)
    grid, k = grid_of(world), np.array([0.2])
    lost = losses(world, grid, course_of(world, grid), k)
    assert lost["coma"] == pytest.approx(0.0, abs=1e-9)
    assert lost["coherence"] == pytest.approx(0.0, abs=1e-9)
    assert lost["damage"][0, 0] == pytest.approx(-np.log((left_of_amplitude(world, k) ** 2).mean()))


def test_words_mean_what_they_say() -> None:
    nm = np.array([20.0, 30.0, 40.0, 90.0])
    assert meant("settle+10s", "", nm) == ("settle", 10.0)
    assert meant("settle-5s", "", nm) == ("settle", -5.0)
    assert meant("dose-rate*0.5", "", nm) == ("rate", 0.5)
    assert meant("thin-ice", "skip ...; gives up 1 of 4 holes", nm) == ("ice limit", 65.0)
    assert meant("calibrate-beam-tilt", "", nm) == ("coma", 0.0)


def test_every_session_counts() -> None:
    """Silence where something pays is a failure, a word where nothing pays is noise, a loss is harm."""
    pays, idle = session_of(78, "thin ice", 12), (draw_world(77, "nothing", 12), None, [Gain("settle", 5.0, 0.01)])

    def said(net_ln: float) -> tuple[Look, ...]:
        return (Look(12, (Said("thin-ice", "", 0.1, 0.95, "physics", "ice limit", 40.0, net_ln),), ()),)

    best = pays[2][0].net_ln
    sessions = [
        Judged(pays[0], tuple(pays[2]), said(0.9 * best)),
        Judged(pays[0], tuple(pays[2]), said(0.5 * best)),
        Judged(pays[0], tuple(pays[2]), (Look(12, (), ()),)),
        Judged(idle[0], tuple(idle[2]), said(-0.01)),
        Judged(idle[0], tuple(idle[2]), (Look(12, (), ()),)),
    ]
    figures = scored(sessions, [])
    assert (figures["first_is_best"], figures["with_a_best_action"]) == (1, 3)
    assert (figures["silent"], figures["where_nothing_pays"]) == (1, 2)
    assert figures["harmful"] == 1
    assert len(figures["failures"]) == 3
