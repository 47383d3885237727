"""Streaming classes of views that are known: who belongs together is found, whatever its turn and place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from frazil.models.atomic_model.potential import Atoms
from frazil.models.atomic_model.projection import project_atoms
from frazil.models.optics.ctf import CtfParameters, ctf_2d
from frazil.models.reconstruction.classes.class_averages import StreamingClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 32, 5.0, 105.0
PLANE = FourierPlane.of_box(BOX, PIXEL)
OPTICS = CtfParameters(300.0, 2.7, 0.1, 18000.0, 17000.0, 20.0)
VIEWS = ((0.0, 0.0), (90.0, 90.0))  # rot, tilt: along the axis, from the side


def stream(
    atoms: Atoms, movies: int, per_movie: int, noise_sd: float, views: Sequence[tuple[float, float]] = VIEWS
) -> list[tuple[ParticleSpectra, np.ndarray]]:
    rng = np.random.default_rng(8)
    transfer = ctf_2d(OPTICS, BOX, BOX, PIXEL)
    found = []
    for _ in range(movies):
        view = rng.integers(0, len(views), per_movie)
        images = []
        for number in view:
            image = project_atoms(
                atoms,
                (*views[number], float(rng.uniform(-180, 180))),
                box_px=BOX,
                pixel_size_angstrom=PIXEL,
                b_factor_a2=300.0,
                shift_px=(float(rng.uniform(-2, 2)), float(rng.uniform(-2, 2))),
            )
            images.append(-torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=(BOX, BOX)))
        stack = torch.stack(images)
        noise = torch.from_numpy(rng.standard_normal(stack.shape).astype(np.float32))
        stack = stack / stack.std() / noise_sd + noise
        spectra = particle_spectra(stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)
        found.append((spectra, view))
    return found


def purity(class_id: np.ndarray, view: np.ndarray) -> float:
    """Share of particles whose class is mostly of their view."""
    return sum(np.bincount(view[class_id == number]).max() for number in np.unique(class_id)) / len(view)


def test_views_are_told_apart_and_state_survives(atoms: Atoms) -> None:
    movies = stream(atoms, 8, 16, 1.0)
    classes = StreamingClasses(PLANE, diameter_angstrom=DIAMETER, device=CPU)
    decided: dict[str, np.ndarray] = {}
    for number, (spectra, _) in enumerate(movies):
        if number == 5:
            resumed = StreamingClasses(PLANE, diameter_angstrom=DIAMETER, device=CPU)
            resumed.restore({name: array.copy() for name, array in classes.state().items()})
            classes = resumed
        decided |= {name: found.class_id for name, found in classes.add(f"m{number}", spectra)}
    assert list(decided) == [f"m{number}" for number in range(8)]
    class_id = np.concatenate(list(decided.values()))
    view = np.concatenate([view for _, view in movies])
    assert purity(class_id, view) > 0.85
    shuffled = np.random.default_rng(1).permutation(view)
    assert purity(class_id, shuffled) < 0.7  # what chance gives
    averages = classes.averages()
    assert sum(one.particle_count for one in averages) == classes.particle_count == 128
    largest = max(averages, key=lambda one: one.particle_count).image
    axis = torch.arange(BOX) - BOX // 2
    inside = (axis[:, None] ** 2 + axis[None] ** 2).sqrt() < 0.3 * DIAMETER / PIXEL
    assert largest[inside].mean() > largest[~inside].mean() + largest[~inside].std()  # bright, in the middle


def test_rounds_before_there_are_classes_change_nothing(atoms: Atoms) -> None:
    movies = stream(atoms, 4, 14, 1.0)
    quiet, asked = (StreamingClasses(PLANE, diameter_angstrom=DIAMETER, device=CPU) for _ in range(2))
    for number, (spectra, _) in enumerate(movies):
        quiet.add(f"m{number}", spectra)
        asked.add(f"m{number}", spectra)
        told = sum(one.particle_count for one in asked.averages())
        assert told == 14 * (number + 1)  # the screen is told of all of them, decided or not
    for a, b in itertools.zip_longest(quiet.averages(), asked.averages()):
        assert (a.class_id, a.particle_count, a.resolution_angstrom) == (
            b.class_id,
            b.particle_count,
            b.resolution_angstrom,
        )
        assert torch.equal(a.image, b.image)


def test_a_view_that_comes_late_gets_a_class_and_twins_do_not_stay(atoms: Atoms) -> None:
    """One view for 600 particles, which eight classes share; then a second one."""
    classes = StreamingClasses(PLANE, diameter_angstrom=DIAMETER, device=CPU)
    early = stream(atoms, 12, 50, 1.0, views=VIEWS[:1])
    for number, (spectra, _) in enumerate(early):
        classes.add(f"e{number}", spectra)
    alive = [one for one in classes.averages() if one.resolution_angstrom is not None]
    late = stream(atoms, 12, 50, 1.0, views=VIEWS)
    found = [(classes.add(f"l{number}", spectra)[0][1].class_id, view) for number, (spectra, view) in enumerate(late)]
    last = np.concatenate([class_id for class_id, _ in found[-4:]])
    assert purity(last, np.concatenate([view for _, view in found[-4:]])) > 0.9
    assert classes.particle_count == 1200
    given = np.concatenate([class_id for class_id, _ in found])
    assert given.max() > 8, "a class that began later has a number of its own"
    best = min(one.resolution_angstrom for one in alive if one.resolution_angstrom is not None)
    assert best < 25.0
