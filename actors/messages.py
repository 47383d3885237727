"""What travels between the daemon and its workers: tasks out, results or failures back."""

from __future__ import annotations

from dataclasses import dataclass, field

from frazil.config.stages import Stage
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.gain.decision import GainDecision
from frazil.models.records import MovieHeader, MovieResult, Quality


@dataclass(frozen=True, slots=True)
class MovieTask:
    """One movie for one worker. Paths, never pixels: the worker reads the file itself."""

    movie_id: str
    movie_path: str
    """Absolute."""
    stem: str
    """Name of the output files below the session folder; unique in the session, may contain '/'."""
    attempt: int
    acquisition: AcquisitionParameters
    gain: GainDecision
    parameter_hash: str
    prior: PriorSnapshot
    network_version: int = 0
    """Of the learned residual that restores it (`restored/networks`); 0: the one that ships."""
    make_lessons: bool = False
    """Leave in `restored/lessons` what the residual can learn from this movie."""
    earlier: MovieResult | None = None
    """The result that there is already, of which all before `from_stage` stays as it is."""
    earlier_written_ns: int = 0
    """When that result was written; files that are newer are not its own."""
    from_stage: Stage = Stage.MOTION
    output: str = ""
    """Folder below the session's, laid out as it is, for the pictures of a movie that has others already: those stay
    until this result takes their place. Empty: the session folder itself."""
    next_movie_path: str | None = None
    """What will come after this one: read ahead while this one computes."""


@dataclass(frozen=True, slots=True)
class MovieFailure:
    """Why an attempt failed, told so that the daemon can decide by type."""

    movie_id: str
    kind: str
    """`quarantine` (the file can never work), `retry` (the world was not ready), `unknown` (a bug or a device)."""
    stage: str
    error_class: str
    reason: str
    """A sentence for a person."""
    traceback: str
    header: MovieHeader | None
    device_ok: bool
    """A tiny FFT on the same device worked after the failure: then the movie is to blame, else the device."""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GainGateTask:
    """The gain gate's question for a worker: do these movies and this reference belong together?"""

    movie_paths: tuple[str, ...]
    gain_path: str | None
    defects_path: str | None
    orientation: str
    convention: str
    no_gain: bool
    eer_dose_per_fraction_e_per_a2: float
    pixel_size_angstrom: float | None


__all__ = ["GainGateTask", "MovieFailure", "MovieResult", "MovieTask", "Quality"]
