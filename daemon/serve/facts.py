"""What is known of an acquisition before its session: the first complete movie, and what that was taken with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FrazilError
from frazil.models.formats.sidecar import read_sidecar, sidecar_candidates
from frazil.models.records import MovieHeader


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a complete movie. None: nobody says, or not yet."""

    microscope: str | None = None
    camera: str | None = None
    voltage_kv: float | None = None
    pixel_size_angstrom: float | None = None

    def words(self) -> str:
        """For a person, as far as it is known."""
        parts = (
            self.microscope,
            self.camera,
            None if self.voltage_kv is None else f"{self.voltage_kv:g} kV",
            None if self.pixel_size_angstrom is None else f"{self.pixel_size_angstrom:.4g} A/px",
        )
        return ", ".join(part for part in parts if part)

    @property
    def whole(self) -> bool:
        """Nothing that a rule may ask for is missing."""
        return None not in (self.microscope, self.camera, self.voltage_kv, self.pixel_size_angstrom)


def first_movie(movies: Iterable[Path]) -> tuple[Path, MovieHeader] | None:
    """The first of these whose structure is complete; one that cannot be read is passed over."""
    from frazil.models.formats.structure import check_structure  # decoders: not for --help and --status

    for path in movies:
        try:
            report = check_structure(path)
        except (FrazilError, OSError):
            continue
        if report.complete and report.header is not None:
            return path, report.header
    return None


def facts_of(folder: Path, movie: Path, header: MovieHeader) -> Facts:
    """The sidecar's word; for the pixel size, where that is silent, the movie's own."""
    for candidate in sidecar_candidates(movie.relative_to(folder), [folder]):
        try:
            said = read_sidecar(candidate, movie_name=movie.name)
        except (FrazilError, OSError):
            continue  # not there, or not yet whole
        pixel_size = said.pixel_size_angstrom or header.pixel_size_angstrom
        return Facts(said.microscope, said.camera, said.voltage_kv, pixel_size)
    return Facts(pixel_size_angstrom=header.pixel_size_angstrom)
