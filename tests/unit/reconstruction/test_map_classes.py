"""Several maps from particles with known poses: two kinds are told apart, one kind is not taken for two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from frazil.models.atomic_model.potential import Atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes import map_classes
from frazil.models.reconstruction.classes.class_splitting import SampledParticles, split
from frazil.models.reconstruction.classes.map_classes import StreamingMapClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.orientation.rotations import matrices_from_euler_deg
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.resolution.fsc import spherical_mask

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
PLANE = FourierPlane.of_box(BOX, PIXEL)
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)
C3 = symmetry_matrices("C3")
PER_MOVIE = 50
NOISE_SD = 2.0
Movie = tuple[ParticleSpectra, PlacedParticles]
Make = Callable[[int, Atoms | None], Movie]


@pytest.fixture(scope="module")
def less(atoms: Atoms) -> Atoms:
    """Without the quarter of the atoms that lies highest along the axis."""
    z = atoms.position_angstrom[:, 2]
    kept = z < np.quantile(z, 0.75)
    return replace(atoms, position_angstrom=atoms.position_angstrom[kept], element_index=atoms.element_index[kept])


@pytest.fixture(scope="module")
def make(simulate: Callable[..., Any]) -> Make:
    """A movie of one kind, its particles placed at their true poses by the map itself."""

    def movie(seed: int, kind: Atoms | None) -> Movie:
        sample = simulate(PER_MOVIE, NOISE_SD, seed=seed, kind=kind)
        spectra = particle_spectra(
            sample.stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS
        )
        placed = PlacedParticles(
            half_set=(1 + np.arange(PER_MOVIE) % 2).astype(np.int8),
            poses=matrices_from_euler_deg(sample.euler_deg).astype(np.float32),
            shift_px=sample.shift_px.astype(np.float32),
            certainty=np.ones(PER_MOVIE, dtype=np.float32),
            shell_ssnr=np.ones(BOX // 2 + 1, dtype=np.float32),
            renewal=1,
        )
        return spectra, placed

    return movie


def new_classes() -> StreamingMapClasses:
    return StreamingMapClasses(
        PLANE,
        2,
        symmetry=C3,
        diameter_angstrom=DIAMETER,
        mask=spherical_mask(BOX, 0.55 * DIAMETER / PIXEL, 3.0),
        first_shell=2,
        device=CPU,
    )


def common_maps(classes: StreamingMapClasses, truth: torch.Tensor) -> list[torch.Tensor]:
    """What the running map would have: here the truth, on the scale of the class maps."""
    found = classes.round()
    if found is None:
        return [truth, truth]
    mean = sum(one.volume * one.particle_count for one in found.classes) / sum(
        one.particle_count for one in found.classes
    )
    return [mean, mean]


def stream(
    classes: StreamingMapClasses, make: Make, kinds: tuple[Atoms | None, ...], truth: torch.Tensor, movies: int
) -> None:
    """A sample, a split, and two rounds of movies of the kinds in turn; a renewal after each."""
    number = 0
    for count in (map_classes.SAMPLE_PARTICLES // PER_MOVIE, movies, movies):
        for _ in range(count):
            classes.put_in(number, *make(4000 + number, kinds[number % len(kinds)]))
            number += 1
        classes.renew(common_maps(classes, truth))


def test_two_kinds_are_told_apart(make: Make, less: Atoms, truth: torch.Tensor) -> None:
    classes = new_classes()
    stream(classes, make, (None, less), truth, movies=8)
    first = map_classes.SAMPLE_PARTICLES // PER_MOVIE
    shares = [classes.share_of(number) for number in range(first + 16)]
    assert all(share is None for share in shares[:first]), "the sample only began the classes"
    of_kind = [np.concatenate([share for share in shares[first + kind :: 2] if share is not None]) for kind in (0, 1)]
    right = np.mean([of_kind[0][:, 0], of_kind[1][:, 1]])
    assert max(right, 1 - right) > 0.9

    for number in range(first + 16, first + 20):
        classes.put_in(number, *make(4000 + number, (None, less)[number % 2]))
    found = classes.round()
    assert found is not None
    assert found.credible
    assert found.gain_ln is not None
    assert found.gain_ln > 0.5
    assert "more than one kind" in found.sentence
    assert sum(one.particle_count for one in found.classes) == pytest.approx(PER_MOVIE * 20, rel=1e-5)
    # Each class shows its own kind: where the quarter is missing one map is empty and the other is not.
    whole, without = (low_pass(one, 14.0, PIXEL) for one in (truth, potential_of(less)))
    gone = (whole - without) > 0.5 * (whole - without).max()
    inside = [float(low_pass(one.volume, 14.0, PIXEL)[gone].mean()) for one in found.classes]
    assert min(inside) < 0.35 * max(inside)


def potential_of(kind: Atoms) -> torch.Tensor:
    return potential_map(kind, box_px=BOX, pixel_size_angstrom=PIXEL, b_factor_a2=100.0)


def test_one_kind_is_not_taken_for_two(make: Make, truth: torch.Tensor) -> None:
    classes = new_classes()
    stream(classes, make, (None,), truth, movies=8)
    for number in range(26, 30):
        classes.put_in(number, *make(4000 + number, None))
    found = classes.round()
    assert found is not None
    assert found.credible is not True
    assert "one map is enough" in found.sentence or "not known yet" in found.sentence


def test_a_class_with_too_few_particles_keeps_no_other_back(
    make: Make, less: Atoms, truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_classes, "SAMPLE_PARTICLES", 100)
    monkeypatch.setattr(map_classes, "_LEAST_OF_HALF", 45.0)
    classes = new_classes()
    stream(classes, make, (None, less), truth, movies=3)
    small = np.argmin(classes.state()["in_halves"].min(axis=0))
    before = classes.state()["references"]
    classes.put_in(20, *make(4020, None))
    classes.put_in(21, *make(4021, None))
    classes.renew(common_maps(classes, truth))
    after = classes.state()
    renewed = [bool((after["references"][:, column] != before[:, column]).any()) for column in (0, 1)]
    assert renewed == [bool(after["in_halves"][:, column].min() >= 45.0) for column in (0, 1)]
    assert renewed[1 - small]
    classes.put_in(22, *make(4022, None))
    found = classes.round()
    assert found is not None
    assert found.gain_ln is not None, "the question is asked although one class is small"


def test_a_state_brings_back_everything(
    make: Make, less: Atoms, truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_classes, "SAMPLE_PARTICLES", 100)
    classes = new_classes()
    for number in range(2):
        classes.put_in(number, *make(4000 + number, None))
    waiting = new_classes()
    waiting.restore(classes.state())
    assert_same(classes, waiting)
    stream(classes, make, (None, less), truth, movies=3)
    again = new_classes()
    again.restore(classes.state())
    for one in (classes, again):
        movie = make(4900, less)
        one.put_in(90, *movie)
        one.take_out(6, *make(4006, None))
    assert_same(classes, again)


def assert_same(one: StreamingMapClasses, other: StreamingMapClasses) -> None:
    first, second = one.state(), other.state()
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_what_is_taken_out_is_gone(
    make: Make, less: Atoms, truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_classes, "SAMPLE_PARTICLES", 100)
    classes = new_classes()
    stream(classes, make, (None, less), truth, movies=2)
    before = classes.state()
    movie = make(4950, None)
    classes.put_in(95, *movie)
    assert classes.share_of(95) is not None
    classes.take_out(95, *movie)
    assert classes.share_of(95) is None
    after = classes.state()
    np.testing.assert_allclose(after["in_halves"], before["in_halves"], atol=1e-4)
    scale = np.abs(before["sums.0.0.numerator"]).max()
    np.testing.assert_allclose(after["sums.0.0.numerator"], before["sums.0.0.numerator"], atol=1e-5 * scale)


def test_a_split_needs_classes_and_particles() -> None:
    sample = SampledParticles(
        torch.zeros(1, 8, dtype=torch.complex64),
        torch.ones(8),
        torch.ones(8),
        np.eye(3, dtype=np.float32)[None],
        np.ones(1, dtype=np.int8),
        np.ones(1, dtype=np.float32),
    )
    for count, movies in ((1, [sample]), (2, [])):
        with pytest.raises(ValueError, match="two classes"):
            split(movies, PLANE, class_count=count, symmetry=C3, diameter_angstrom=DIAMETER, seed=1, device=CPU)
