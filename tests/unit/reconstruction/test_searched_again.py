"""Earlier particles searched again: the sums are those of the newest poses, references are one half's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes import map_classes
from frazil.models.reconstruction.fourier.accumulator import FourierAccumulator
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.rotations import angle_between_deg, matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine import held_out_weights
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.refine.running_map import AGAIN_PER_MOVIE, ROUND_MOVIES, RunningMap
from frazil.models.reconstruction.resolution.fsc import spherical_mask
from frazil.models.reconstruction.resolution.reference_maps import reference_maps, solvent_mask

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)
PLANE = FourierPlane.of_box(BOX, PIXEL)
FLAT = np.ones(len(PLANE.kx))
Simulate = Callable[..., Any]


def spectra(sample: Any) -> ParticleSpectra:
    return particle_spectra(sample.stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)


def halves(count: int) -> tuple[int, ...]:
    return tuple(1 + number % 2 for number in range(count))


def new_map(truth: torch.Tensor) -> RunningMap:
    return RunningMap(low_pass(truth, 30.0, PIXEL), PLANE, symmetry="C3", diameter_angstrom=DIAMETER, device=CPU)


def test_compiled_insertion_is_torchs_and_can_be_undone(simulate: Simulate) -> None:
    particles = spectra(simulate(4, 1.0, seed=1))
    rng = np.random.default_rng(2)
    angles = rng.uniform(0, 180, (8, 3))
    poses = torch.from_numpy(matrices_from_euler_deg(angles))  # two poses of every image
    weight = (particles.ctf**2).expand(4, -1)
    fast, plain = FourierAccumulator(BOX, device=CPU), FourierAccumulator(BOX, device=CPU)
    fast.insert(PLANE, poses, particles.values, weight)
    plain.insert_by_torch(PLANE, poses, particles.values, weight)
    for part in ("numerator", "denominator"):
        expected = plain.state()[part]
        np.testing.assert_allclose(fast.state()[part], expected, atol=2e-4 * np.abs(expected).max())
    before = {part: array.copy() for part, array in fast.state().items()}
    fast.insert(PLANE, poses.flip(0), particles.values, weight)
    fast.insert(PLANE, poses.flip(0), particles.values, weight, sign=-1.0)
    for part, array in before.items():
        np.testing.assert_allclose(fast.state()[part], array, atol=1e-5 * np.abs(array).max())


def test_sums_are_those_of_the_newest_poses(truth: torch.Tensor, simulate: Simulate) -> None:
    """After a session the same particles, put in once at the poses that were said last, give the same sums."""
    running = new_map(truth)
    movies = [spectra(simulate(6, 0.7, seed=40 + number)) for number in range(ROUND_MOVIES + 4)]
    newest, seen_again = {}, []
    for number, movie in enumerate(movies):
        newest[number] = running.add(movie, halves(6), FLAT * (0.5 + 0.05 * number))
        for earlier in running.due():
            newest[earlier] = running.again(earlier, movies[earlier])
            seen_again.append(earlier)
    assert seen_again == list(range(5 * AGAIN_PER_MOVIE))  # in turn, from the first renewal on
    expected = FourierAccumulator(BOX, device=CPU)
    for number, movie in enumerate(movies):
        found = newest[number]
        assert found is not None
        own = np.arange(0, 6, 2)  # half 1
        centred = (movie.values * PLANE.phases(found.shift_px, len(PLANE.kx), CPU))[own]
        damped = movie.ctf * (0.5 + 0.05 * number) ** 0.5
        turned = np.concatenate([found.poses[own] @ operator for operator in symmetry_matrices("C3")])
        expected.insert(PLANE, torch.from_numpy(turned), centred * damped, (damped**2).expand(3, -1))
    for part, array in expected.state().items():
        now = running.state()[f"causal.1.{part}"]
        np.testing.assert_allclose(now, array, atol=1e-4 * np.abs(array).max())
    with pytest.raises(ValueError, match="particles"):
        running.again(0, replace(movies[0], values=movies[0].values[:3], masked=movies[0].masked[:3]))
    with pytest.raises(KeyError):
        running.again(99, movies[0])


def test_particles_of_the_first_movies_are_found_better_later(truth: torch.Tensor, simulate: Simulate) -> None:
    running = new_map(truth)
    samples = [simulate(12, 1.2, seed=600 + number) for number in range(ROUND_MOVIES + 3)]
    group = symmetry_matrices("C3")
    first, later = [], []
    for number, sample in enumerate(samples):
        found = running.add(spectra(sample), halves(12), FLAT)
        assert found is not None
        if number < 6:
            first.append(angle_between_deg(found.poses, matrices_from_euler_deg(sample.euler_deg), group))
        for earlier in running.due():
            found = running.again(earlier, spectra(samples[earlier]))
            true = matrices_from_euler_deg(samples[earlier].euler_deg)
            later.append(angle_between_deg(found.poses, true, group))
    assert len(later) >= 6
    assert np.median(np.concatenate(later[:6])) < 0.85 * np.median(np.concatenate(first))


def test_boxes_without_a_particle_hardly_count(truth: torch.Tensor, simulate: Simulate) -> None:
    """Half of the picks are noise: they are known from the first movie on, and the map is nearly that of the others."""
    with_noise, without = new_map(truth), new_map(truth)
    for number in range(6):
        sample = simulate(10, 1.2, seed=80 + number)
        noise = torch.randn(10, BOX, BOX, generator=torch.Generator().manual_seed(number))
        whole = spectra(replace(sample, stack=torch.cat([sample.stack, noise])))
        found = with_noise.add(whole, halves(20), FLAT)
        assert found is not None
        assert np.median(found.certainty[:10]) > 0.99
        assert found.certainty[10:].mean() < 0.1
        without.add(replace(whole, values=whole.values[:10], masked=whole.masked[:10]), halves(10), FLAT)
    mine, theirs = (one.round().full.flatten() for one in (with_noise, without))
    assert float(torch.corrcoef(torch.stack([mine, theirs]))[0, 1]) > 0.97


def test_weights_that_no_particle_has_borne_out_change_nothing(truth: torch.Tensor, simulate: Simulate) -> None:
    """Before there are references of the map's own; the search alone knows the losses, and the poses hardly differ."""
    alike, weighted = new_map(truth), new_map(truth)
    for number in range(3):
        particles = spectra(simulate(8, 0.8, seed=60 + number))
        alike.add(particles, halves(8), FLAT)
        weighted.add(particles, halves(8), np.linspace(1.0, 0.1, len(FLAT)) ** number)
    same, other = alike.round(), weighted.round()
    assert same.fsc == same.uniform_fsc
    assert other.fsc == other.uniform_fsc
    assert other.causal_weight_share == 0.0
    np.testing.assert_allclose(other.fsc.fsc, same.fsc.fsc, atol=0.05)


def test_solvent_is_left_out_and_halves_share_a_curve_only(truth: torch.Tensor) -> None:
    inside = spherical_mask(BOX, 0.44 * BOX, 3.0)
    generator = torch.Generator().manual_seed(3)
    noise = [torch.randn(truth.shape, generator=generator) * float(truth.std()) for _ in range(3)]
    first, second = (truth + one for one in noise[:2])
    mask = solvent_mask(first, PIXEL, inside)
    smooth = low_pass(truth, 12.0, PIXEL)
    assert float(mask.mean()) < 0.6 * float(inside.mean())  # most of the sphere is solvent
    molecule = smooth > 0.3 * smooth.max()
    assert float(mask[molecule].mean()) > 0.97
    both, curve = reference_maps([first, second], PIXEL, inside)
    assert float(torch.corrcoef(torch.stack([both[0].flatten(), truth.flatten()]))[0, 1]) > float(
        torch.corrcoef(torch.stack([(first * inside).flatten(), truth.flatten()]))[0, 1]
    )
    # Another second half changes the first reference by the curve alone: shell by shell the phases stay.
    changed, _ = reference_maps([first, truth + noise[2]], PIXEL, inside)
    spectra_of = [torch.fft.fftn(one[0]) for one in (both, changed)]
    strong = spectra_of[0].abs() > 0.05 * spectra_of[0].abs().max()
    turned = torch.angle(spectra_of[0][strong] * spectra_of[1][strong].conj())
    assert float(turned.abs().max()) < 1e-3
    assert curve.resolution_angstrom(0.143) is not None


def test_rounding_errors_of_what_was_taken_out_do_not_ring_through_the_map() -> None:
    """One image at a real scale; at a voxel that nothing else reaches, what inserting and removing leaves."""
    sums = FourierAccumulator(BOX, device=CPU)
    plane = FourierPlane.of_box(BOX, PIXEL)
    pose = torch.eye(3)[None]
    values = torch.exp(-torch.from_numpy(plane.radius_px).float() / 5)[None].to(torch.complex64)
    sums.insert(plane, pose, values, torch.ones(1, len(plane.kx)))
    clean = sums.volume()
    state = {name: array.copy() for name, array in sums.state().items()}
    corner = BOX**3 - BOX - 2
    assert state["denominator"][corner] == 0
    state["denominator"][corner], state["numerator"][corner] = -3e-10, (4e-9, -2e-9)
    state["denominator"][corner - 5] = 2e-9  # so that the shell as a whole has some weight
    sums.restore(state)
    assert torch.allclose(sums.volume(), clean, atol=1e-5 * float(clean.abs().max()))


def test_what_changed_brings_back_everything(
    truth: torch.Tensor, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of fixed size as it is in the end, with what changed of single movies in three portions: the next movies give bit
    for bit the same map and the same classes of it."""
    monkeypatch.setattr(map_classes, "SAMPLE_PARTICLES", 30)
    monkeypatch.setattr(held_out_weights, "MOST_MOVIES", 6)

    def two_maps() -> RunningMap:
        start = low_pass(truth, 30.0, PIXEL)
        return RunningMap(start, PLANE, symmetry="C3", diameter_angstrom=DIAMETER, device=CPU, class_count=2)

    movies = [spectra(simulate(6, 0.7, seed=40 + number)) for number in range(34)]

    def session(running: RunningMap, numbers: range) -> None:
        for number in numbers:
            running.add(movies[number], halves(6), FLAT * (0.5 + 0.05 * (number % 7)))
            for earlier in running.due():
                running.again(earlier, movies[earlier])
        running.choose(numbers[0], movies[numbers[0]], np.arange(6) > numbers[0] % 6)

    undisturbed, portions = two_maps(), []
    for numbers in (range(13), range(13, 23), range(23, 30)):
        session(undisturbed, numbers)
        portions.append(undisturbed.changes())
        for table in undisturbed.tables:
            table.written()
    assert len(portions[-1]["placed.number"]) < undisturbed.movie_count, "not all"
    resumed = two_maps()
    resumed.restore(undisturbed.fixed())
    for portion in portions:
        resumed.take_changes(portion)
    assert not resumed.changes()["tilt.aimed"].size, "it is written"
    for running in (undisturbed, resumed):
        session(running, range(30, 34))
    one, other = undisturbed.round(), resumed.round()
    assert torch.equal(one.full, other.full)
    assert one.causal_weight_share == other.causal_weight_share
    assert one.discarded_share == other.discarded_share
    assert one.classes is not None
    assert other.classes is not None
    assert (one.classes.gain_ln, one.classes.sentence) == (other.classes.gain_ln, other.classes.sentence)
    for number in range(undisturbed.movie_count):
        np.testing.assert_array_equal(undisturbed.class_share(number), resumed.class_share(number))
        np.testing.assert_array_equal(undisturbed.chosen_of(number), resumed.chosen_of(number))
