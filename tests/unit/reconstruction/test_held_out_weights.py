"""How much of the causal weights a map takes: known truth in, and what it does when the losses mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.refine.held_out_weights import (
    LEAST_MOVIES,
    HeldOutRings,
    from_arrays,
    held_out_mixture,
    to_arrays,
    weight_shares,
)
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import MapRound, RunningMap
from frazil.models.reconstruction.refine.weighted_sums import Mixture, WeightedSums

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)
PLANE = FourierPlane.of_box(BOX, PIXEL)
RINGS, MOVIES, MANY = 40, 60, 30
Array = NDArray[np.float64]
X2 = np.square(np.arange(1, RINGS + 1) / RINGS)


class World:
    """Movies whose true losses are `follows` times the told ones, and others that nobody knows of.

    `seen`: sum over the rings of 2 a^2 W / sigma^2 of a movie without losses, its significance squared.
    """

    def __init__(
        self,
        seed: int,
        *,
        follows: float,
        told_sd: float = 0.6,
        unknown_sd: float = 0.2,
        movies: int = MOVIES,
        seen: float = 60.0,
        follows_beyond: float | None = None,
    ) -> None:
        rng = np.random.default_rng([seed, 41])
        shape = 0.5 + X2
        told = 1.5 * np.sqrt(X2) + told_sd * rng.standard_normal((movies, 1)) * shape
        follow = np.where(X2 < 0.5, follows, follows if follows_beyond is None else follows_beyond)
        true = follow * told + unknown_sd * rng.standard_normal((movies, 1)) * shape
        power = np.exp(-2 * X2) / np.exp(-2 * X2).sum() * seen / 2
        self.amplitude = np.exp(-true / 2)
        self.told = np.concatenate([np.ones((movies, 1)), np.exp(-told / 2)], axis=1)
        self.mean = self.told.mean(axis=0)
        noise = rng.standard_normal((movies, RINGS)) * np.sqrt(power / 2)
        levels = 1 + 0.5 * (np.arange(movies) * 3 // movies)  # each renewal of the references has its own scale
        cross = levels[:, None] * self.amplitude * power + noise
        self.held_out = {
            n: HeldOutRings(n * 3 // movies, *(part.astype(np.float32) for part in (cross[n], power, np.ones(RINGS))))
            for n in range(movies)
        }

    def shares(self) -> Array:
        return weight_shares(self.held_out, dict(enumerate(self.told)), self.mean)

    def gain_percent(self, shares: Array) -> Array:
        """(R,) SSNR of the map with these weights against that with none."""
        weight = 1 + shares[1:] * (self.told[:, 1:] / self.mean[1:] - 1)
        one = np.square((weight * self.amplitude).mean(axis=0)) / np.square(weight).mean(axis=0)
        return np.asarray(100 * (one / np.square(self.amplitude.mean(axis=0)) - 1))


def test_losses_that_are_true_are_taken_nearly_whole() -> None:
    worlds = [World(seed, follows=1.0) for seed in range(20)]
    gains = [float(world.gain_percent(world.shares())[-8:].mean()) for world in worlds]
    best = [float(world.gain_percent(np.ones(RINGS + 1))[-8:].mean()) for world in worlds]
    assert np.mean([world.shares()[1:].mean() for world in worlds]) > 0.8
    assert np.sum(gains) > 0.9 * np.sum(best)
    assert min(gains) > 0


def test_losses_that_mean_nothing_are_not_taken() -> None:
    """With all of them the map would lose a tenth and more of its SSNR at its end; so it does not."""
    worlds = [World(seed, follows=0.0) for seed in range(20)]
    all_of_them = [float(world.gain_percent(np.ones(RINGS + 1))[-8:].mean()) for world in worlds]
    taken = [float(world.gain_percent(world.shares())[-8:].mean()) for world in worlds]
    assert np.mean(all_of_them) < -10
    assert np.mean(taken) > -1
    assert min(taken) > -5


def test_losses_against_the_truth_are_left_wholly() -> None:
    assert max(World(seed, follows=-0.6).shares().max() for seed in range(10)) < 0.1


def test_half_of_losses_that_are_twice_too_large_is_taken() -> None:
    shares = [World(seed, follows=0.5, movies=200).shares()[1:].mean() for seed in range(10)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.12)


def test_losses_may_be_right_at_low_frequencies_and_wrong_beyond() -> None:
    shares = np.mean(
        [World(seed, follows=1.0, follows_beyond=0.0, movies=200, seen=200.0).shares() for seed in range(10)], axis=0
    )
    assert shares[8] > 0.75
    assert shares[-1] < 0.35


def test_few_movies_and_faint_ones_leave_all_alike() -> None:
    few = World(1, follows=1.0, movies=LEAST_MOVIES - 1, seen=1000.0)
    assert not few.shares().any()
    faint = [World(seed, follows=1.0, seen=0.05) for seed in range(10)]
    assert np.mean([world.shares().max() for world in faint]) < 0.1
    empty = {n: HeldOutRings(1, *(np.zeros(RINGS, np.float32),) * 3) for n in range(MOVIES)}
    assert not weight_shares(empty, dict(enumerate(few.told[:1].repeat(MOVIES, axis=0))), few.mean).any()


def test_order_within_a_renewal_and_the_scale_of_losses_common_to_all_do_not_matter() -> None:
    world = World(3, follows=1.0, unknown_sd=0.0)
    scaled = {n: 0.3 * one for n, one in enumerate(world.told)}
    np.testing.assert_allclose(weight_shares(world.held_out, scaled, 0.3 * world.mean), world.shares())
    backwards = {MOVIES - n: one for n, one in world.held_out.items()}
    told = {MOVIES - n: one for n, one in enumerate(world.told)}
    np.testing.assert_allclose(weight_shares(backwards, told, world.mean), world.shares())


def test_arrays_bring_back_what_was_compared() -> None:
    world = World(5, follows=1.0, movies=12)
    shorter = HeldOutRings(9, *(np.arange(7, dtype=np.float32) + part for part in range(3)))
    back = from_arrays(to_arrays(world.held_out | {40: shorter}))
    assert list(back) == [*range(12), 40]
    assert back[40].renewal == 9
    for part in ("cross", "reference_power", "noise_power"):
        np.testing.assert_array_equal(getattr(back[40], part), getattr(shorter, part))
        np.testing.assert_array_equal(getattr(back[3], part), getattr(world.held_out[3], part))
    assert from_arrays(to_arrays({})) == {}


def test_a_mixture_of_the_sums_is_the_map_of_the_weights_between() -> None:
    """Put in with the weights u themselves, particles give the same half map, but for what the floor leaves."""
    plane = FourierPlane.of_box(24, 4.0)
    rng, count = np.random.default_rng(8), len(plane.kx)
    shells = 1 + int(np.rint(plane.radius_px.max()))
    identity = np.eye(3)[None]
    ssnr = np.stack([np.full(shells, value, np.float32) for value in (1.0, 0.25)])
    mean = np.sqrt(ssnr).mean(axis=0).astype(np.float64)
    share = np.full(shells, 0.4)
    both, sums = WeightedSums(plane, identity, CPU), []
    values = torch.complex(*(torch.from_numpy(rng.standard_normal((2, 6, count)).astype(np.float32))))
    poses = np.linalg.qr(rng.standard_normal((6, 3, 3)))[0].astype(np.float32)
    for movie in (0, 1):
        particles = ParticleSpectra(values, values, torch.ones(count), torch.ones(count))
        half, zeros, ones = np.full(6, 1, np.int8), np.zeros((6, 2), np.float32), np.ones(6, np.float32)
        both.insert(particles, PlacedParticles(half, poses, zeros, ones, ssnr[movie]), sign=1.0)
        # u against the mean amplitude: what mixing does to every numerator.
        sums.append(0.6 * mean[0] + 0.4 * np.sqrt(ssnr[movie][0]))
    mixed = both.half_maps(Mixture(share, mean))[0]
    alike = both.half_maps(Mixture(share, mean).without_causes())[0]
    # The same images in both movies: only the sum of u counts, and the denominators that belong to it.
    expected = sum(sums) / (0.6 * 2 * mean[0] ** 2 + 0.4 * float(ssnr[:, 0].sum())) * mean[0]
    np.testing.assert_allclose(mixed.numpy(), expected * alike.numpy(), rtol=2e-3, atol=1e-6)


def test_a_running_map_takes_losses_that_are_so_and_leaves_those_of_other_movies(
    truth: torch.Tensor, simulate: Callable[..., Any]
) -> None:
    """Every other movie holds a sixteenth of the signal; once that is told, once it is told of the movies beside."""
    movies = []
    for number in range(MANY):
        sample = simulate(10, 0.8 if number % 2 else 3.2, seed=900 + number)
        movies.append(
            particle_spectra(sample.stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)
        )
    rounds = []
    for good in (1, 0):
        running = RunningMap(low_pass(truth, 30.0, PIXEL), PLANE, symmetry="C3", diameter_angstrom=DIAMETER, device=CPU)
        for number, particles in enumerate(movies):
            losses = 0.0 if number % 2 == good else np.log(16)
            running.add(particles, tuple(1 + i % 2 for i in range(10)), np.full(len(PLANE.kx), np.exp(-losses)))
        rounds.append(running.round())
        resumed = RunningMap(truth, PLANE, symmetry="C3", diameter_angstrom=DIAMETER, device=CPU)
        resumed.restore({name: array.copy() for name, array in running.state().items()})
        assert resumed.round().causal_weight_share == rounds[-1].causal_weight_share
    told, mistold = rounds
    assert told.causal_weight_share is not None
    assert mistold.causal_weight_share is not None
    assert told.causal_weight_share > 0.7
    assert mistold.causal_weight_share < 0.1
    assert np.mean(np.subtract(told.fsc.fsc, told.uniform_fsc.fsc)[-6:]) > 0.04
    assert told.weights_sentence is not None
    assert told.weights_sentence.startswith("weights by cause")


def test_what_weights_bring_is_said_as_it_is() -> None:
    def said(share: float | None, resolution: float | None) -> str | None:
        one = SimpleNamespace(
            causal_weight_share=share, resolution_0143_angstrom=resolution, uniform_resolution_0143_angstrom=6.63
        )
        sentence: str | None = MapRound.weights_sentence.fget(one)  # type: ignore[attr-defined]
        return sentence

    assert said(1.0, 6.51) == "weights by cause: 6.51 A against 6.63 A without"
    assert said(0.4, 6.71) == "weights by cause (40% of what the causes say): 6.71 A against 6.63 A without"
    assert said(0.0, 6.63) == "all particles count alike: nothing in them speaks for weights by cause"
    assert (said(None, 6.5), said(1.0, None)) == (None, None)


def test_without_particles_there_is_nothing_to_weigh() -> None:
    mixture = held_out_mixture({}, {}, None, 12)
    assert not mixture.share.any()
    assert (mixture.mean_amplitude == 1).all()
