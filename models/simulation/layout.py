"""What a session looks like on disk: the names of its files, and the truth that goes with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from frazil.models.simulation.faults import FaultPlan
from frazil.models.simulation.movie_files import FileFormat, MrcType, eer_raw_frames_per_frame
from frazil.models.simulation.session import SimulatedSession
from frazil.models.simulation.truth import MovieTruth, SessionTruth

SidecarKind = Literal["epu", "mdoc", "none"]
SUFFIX: dict[FileFormat, str] = {"tiff": ".tiff", "mrc": ".mrc", "eer": ".eer"}


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    file_format: FileFormat = "tiff"
    mrc_type: MrcType = "int8"
    sidecar: SidecarKind = "epu"
    gain_convention: Literal["auto", "multiply", "divide"] = "auto"
    """auto: divide for EER, multiply otherwise, as the cameras' own references."""
    pace_s: float = 0.0
    """A movie starts every so many seconds; 0: as fast as they can be made."""
    grow: bool = False
    """True: the file grows under its final name; False: it appears whole, by rename."""


def session_truth(
    session: SimulatedSession, delivery: DeliverySettings, plan: FaultPlan, faults: tuple[str, ...]
) -> SessionTruth:
    """Truth of all movies with the names that they get on disk; makes no image."""
    movies = []
    for index in range(session.settings.movies):
        movie = session.truth(index)
        file, sidecar = _names(movie, delivery)
        if "missing-sidecar" in plan.of(index):
            sidecar = None
        raw_frames = eer_raw_frames_per_frame(movie) if delivery.file_format == "eer" else None
        movies.append(
            replace(
                movie,
                faults=plan.of(index),
                file=file,
                sidecar=sidecar,
                stem=Path(file).stem,
                eer_raw_frames_per_frame=raw_frames,
            )
        )
    orientation = {
        "gain-rotated": "rot90",
        "gain-flipped": "flipud",
        "gain-missing": "none",
        "gain-wrong": "other-camera",
    }
    return SessionTruth(
        settings=asdict(session.settings),
        file_format=delivery.file_format,
        sidecar_kind=delivery.sidecar,
        gain_convention=_gain_convention(delivery, plan),
        gain_orientation_written=orientation.get(plan.gain or "", "identity"),
        symmetry=session.symmetry,
        movies=tuple(movies),
        faults=faults,
    )


def _names(truth: MovieTruth, delivery: DeliverySettings) -> tuple[str, str | None]:
    """Paths of movie and sidecar below the raw folder."""
    suffix = SUFFIX[delivery.file_format]
    if delivery.sidecar == "epu":
        folder = f"Images-Disc1/GridSquare_{truth.grid_square}/Data"
        tail = "_EER" if delivery.file_format == "eer" else "_Fractions"
        return f"{folder}/{truth.stem}{tail}{suffix}", f"{folder}/{truth.stem}.xml"
    name = f"sq{truth.grid_square}_{truth.index:05d}{'.tif' if suffix == '.tiff' else suffix}"
    return name, f"{name}.mdoc" if delivery.sidecar == "mdoc" else None


def _gain_convention(delivery: DeliverySettings, plan: FaultPlan) -> str:
    usual = "divide" if delivery.file_format == "eer" else "multiply"
    convention = usual if delivery.gain_convention == "auto" else delivery.gain_convention
    if plan.gain == "gain-inverted":
        return "multiply" if convention == "divide" else "divide"
    return convention
