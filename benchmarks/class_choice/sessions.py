"""Simulated sessions through frazil's streaming classes: which class each box got, and what the classes look like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.class_choice import scenes
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.classes.class_averages import ClassAverage, StreamingClasses
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.refine.running_map import AGAIN_PER_MOVIE

CPU = torch.device("cpu")


@dataclass(slots=True)
class Streamed:
    """A session as far as it has come."""

    shape: scenes.Shape
    classes: StreamingClasses
    plane: FourierPlane
    movies: list[scenes.Movie] = field(default_factory=list)
    class_ids: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    """By movie."""
    again_per_movie: int = AGAIN_PER_MOVIE
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
        for name, found in self.classes.add(str(number), self.spectra(movie)):
            self.class_ids[int(name)] = found.class_id
        for _ in range(min(self.again_per_movie, number)):
            earlier, self.next_again = self.next_again % number, self.next_again % number + 1
            again = self.classes.find(str(earlier), self.spectra(self.movies[earlier]))
            if again is not None:
                self.class_ids[earlier] = again.class_id

    def known(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Kind and class of every box that has a class."""
        if not self.class_ids:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        numbers = sorted(self.class_ids)
        return (
            np.concatenate([self.movies[number].kind for number in numbers]),
            np.concatenate([self.class_ids[number] for number in numbers]),
        )

    def averages(self) -> list[ClassAverage]:
        return self.classes.averages()


def stream(
    shape: scenes.Shape, movies: Iterator[scenes.Movie], *, again_per_movie: int = AGAIN_PER_MOVIE
) -> Iterator[Streamed]:
    """The session after each of its movies."""
    plane = FourierPlane.of_box(shape.box_px, scenes.PIXEL_ANGSTROM)
    classes = StreamingClasses(plane, diameter_angstrom=shape.diameter_angstrom, device=CPU)
    session = Streamed(shape, classes, plane, again_per_movie=again_per_movie)
    for movie in movies:
        session.add(movie)
        yield session
