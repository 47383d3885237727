"""Simulated sessions through frazil's 2-D classes: which class each box got, what was chosen, how classes look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.class_choice import scenes
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes.chosen_particles import ChosenParticles
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.refine.running_map import AGAIN_PER_MOVIE, ROUND_MOVIES

CPU = torch.device("cpu")


@dataclass(slots=True)
class Streamed:
    """A session as far as it has come."""

    shape: scenes.Shape
    particles: ChosenParticles
    plane: FourierPlane
    judged: bool
    again_per_movie: int
    movies: list[scenes.Movie] = field(default_factory=list)
    next_again: int = 0

    def spectra(self, movie: scenes.Movie) -> ParticleSpectra:
        optics = CtfParameters(
            movie.voltage_kv,
            movie.cs_mm,
            movie.amplitude_contrast,
            movie.defocus_angstrom,
            movie.defocus_angstrom,
            0.0,
        )
        return particle_spectra(
            torch.from_numpy(movie.stack),
            self.plane,
            pixel_size_angstrom=movie.pixel_size_angstrom,
            diameter_angstrom=self.shape.diameter_angstrom,
            ctf=optics,
        )

    def add(self, movie: scenes.Movie) -> None:
        """Classify a movie's boxes, and those of earlier ones again, as the running reconstruction does."""
        number = len(self.movies)
        self.movies.append(movie)
        self.particles.add(str(number), self.spectra(movie))
        for _ in range(min(self.again_per_movie, number)):
            earlier, self.next_again = self.next_again % number, self.next_again % number + 1
            self.particles.find(str(earlier), self.spectra(self.movies[earlier]))
        if self.judged and len(self.movies) % ROUND_MOVIES == 0:
            self.particles.judge()

    def known(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Kind and class of every box that has a class."""
        ids = self.particles.class_ids
        if not ids:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        kinds = [self.movies[int(number)].kind for number in ids]
        return np.concatenate(kinds), np.concatenate([np.array(one) for one in ids.values()])

    def chosen(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Kind of every box, and whether it is chosen."""
        masks = [self.particles.mask(str(number), len(movie.kind)) for number, movie in enumerate(self.movies)]
        return np.concatenate([movie.kind for movie in self.movies]), np.concatenate(masks)


def stream(
    shape: scenes.Shape,
    movies: Iterator[scenes.Movie],
    *,
    judged: bool = True,
    again_per_movie: int = AGAIN_PER_MOVIE,
) -> Iterator[Streamed]:
    """The session after each of its movies; `judged`: by the weights that ship."""
    plane = FourierPlane.of_box(shape.box_px, scenes.PIXEL_ANGSTROM)
    particles = ChosenParticles(plane, diameter_angstrom=shape.diameter_angstrom, device=CPU)
    session = Streamed(shape, particles, plane, judged, again_per_movie)
    for movie in movies:
        session.add(movie)
        yield session
