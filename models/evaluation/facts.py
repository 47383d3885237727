"""The facts of a session that evaluators judge: gathered by the daemon, a round (epoch of the prior) at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frazil.config.settings import CtfSettings
from frazil.models.evaluation.verdict import Verdict
from frazil.models.records import AcquisitionMetadata, CtfEstimate, MovieResult
from frazil.models.symmetry_model import SymmetryModel


@dataclass(frozen=True, slots=True)
class MovieRerun:
    """A second fit of a micrograph's CTF, and where it was made."""

    device_name: str
    how: str
    """In words: what was not the same (device, seed, tiles)."""
    ctf: CtfEstimate


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """A micrograph whose CTF is to be fitted again."""

    movie_id: str
    plain_path: str
    weighted_path: str
    pixel_size_angstrom: float
    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    phase_plate: bool
    settings: CtfSettings


@dataclass(frozen=True, slots=True)
class MovieFacts:
    """One movie that was processed."""

    result: MovieResult
    metadata: AcquisitionMetadata | None = None
    """What sidecar, header and settings said of the exposure."""
    pixel_size_angstrom: float | None = None
    """Of the movie's frames as they are read."""
    dose_per_frame_e_per_a2: float | None = None
    half_set: tuple[int, ...] | None = None
    """As stored, one for each pick; None: no particles are stored."""
    half_set_x_px: tuple[float, ...] = ()
    """Positions that the stored half-sets belong to."""
    half_set_y_px: tuple[float, ...] = ()
    half_set_fibre: tuple[int, ...] = ()
    """Number of the fibre that each is a segment of; empty: they are particles, or nobody has kept it."""
    results_of_same_file: int = 1
    """How many results count for this file at present (an outdated one does not count)."""
    rerun: MovieRerun | None = None
    """What came when the same movie was computed a second time; None: it was not."""


@dataclass(frozen=True, slots=True)
class MapFacts:
    """The running map at a round of its own; `fsc[i]` is at `frequency_per_angstrom[i]`."""

    round: int
    movie_count: int
    particle_count: int
    symmetry: str
    resolution_0143_angstrom: float | None
    frequency_per_angstrom: tuple[float, ...]
    fsc: tuple[float, ...]
    processed_movie_count: int
    """Movies that had a result when the map was made."""
    extracted_particle_count: int
    """Particles of those movies."""
    half_set_particle_counts: tuple[int, int] | None = None
    """Particles of the first and of the second half-set as stored, over all of those movies."""
    halved_particle_count: int = 0
    """Particles that were found in the movies that have stored half-sets."""
    fibre_slack: int = 0
    """Sum over those movies of the segments, less one, of their largest fibre: as whole fibres may tip the halves."""
    fsc_unmasked: tuple[float, ...] | None = None
    """Beside `fsc`, of the whole boxes; None: not known."""
    files: tuple[str, str, str] | None = None
    """Paths of the map and its two half maps; None: a later round has replaced them."""


@dataclass(frozen=True, slots=True)
class MapForecast:
    """What was foretold of the map, and when. The interval is of 80 %, low the finer end."""

    made_at_movies: int
    movies: int
    """In the map that is foretold."""
    resolution_angstrom: float
    low_angstrom: float
    high_angstrom: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A reference structure near to the map's shape."""

    number: int
    name: str
    distance: float


@dataclass(frozen=True, slots=True)
class ShapeComparison:
    """A map and what is near it among the references, all at one low-pass."""

    descriptor: NDArray[np.float32] = field(repr=False, compare=False)
    """Of the map (`novelty.shape_descriptor.descriptor`)."""
    level_angstrom: float
    """Low-pass at which it was compared."""
    resolution_angstrom: float
    """Of the map."""
    neighbours: tuple[Neighbour, ...]
    """Nearest first."""
    neighbours_to_next: tuple[float, ...]
    """Of each neighbour: how far the reference nearest to it is, of another file."""
    distance_draws: tuple[float, ...]
    """What the nearest distance might as well have been, had the noise of the halves been another."""
    noise_distance: float | None
    """Distance that the noise alone puts between two maps like this one; None: there were no half maps."""
    leave_one_out: tuple[float, ...]
    """Of references at the same low-pass: how far the next is, of another file."""
    radius_of_gyration_angstrom: float
    reference_count: int
    pending_count: int = 0
    """Files that are still to be described."""
    refused: tuple[str, ...] = ()
    """Files that could not be, and why."""


@dataclass(frozen=True, slots=True)
class Prospects:
    """What the goal needs and what is left for it. None: not known."""

    goal_angstrom: float | None = None
    resolution_angstrom: float | None = None
    """Of the map now."""
    movies: int | None = None
    """In the map now."""
    movies_needed: tuple[int, int, int] | None = None
    """In all, for the goal: low, median and high of 80 %."""
    reachable: bool = True
    sentence: str = ""
    """What the forecast says of the goal."""
    movies_per_hour: float | None = None
    """That are kept."""
    hours_left: float | None = None
    """Of microscope time."""
    bytes_per_movie: float | None = None
    """On the session's disk."""
    free_bytes: int | None = None
    """Above what must stay free."""
    seconds_per_movie: float | None = None
    """Of one worker."""
    gpu: bool = False
    """Whether these are seconds of GPUs."""


@dataclass(frozen=True, slots=True)
class MovieFeedback:
    """What an operator said of a movie."""

    feedback_id: str
    accepted: bool
    created_utc_us: int
    movie: MovieFacts
    who: str = "unknown"


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """What is judged at once. What came in earlier rounds travels in `earlier`, so that judging costs the same in
    round 1 and in round 5,000, and a restart needs nothing but the stored rows."""

    round: int
    """From 0: the epoch of the causal prior that these movies belong to."""
    movies: tuple[MovieFacts, ...]
    """In the order of the session."""
    symmetry: str = "C1"
    box_px: int | None = None
    """Of extracted particles."""
    micrograph_pixel_size_angstrom: float | None = None
    diameter_angstrom: float | None = None
    map: MapFacts | None = None
    model: SymmetryModel | None = None
    """The crystal or helix that a person described."""
    impact: Verdict | None = None
    """The forecast of citations, made once a session; None: no citation graph is named."""
    references_dir: str | None = None
    """Folder of reference structures; None: no one named one."""
    references_cache: str | None = None
    """Folder in which their shapes are kept."""
    shape: ShapeComparison | None = None
    """The map's shape against the references'; None: `no_shape` says why."""
    no_shape: tuple[str, ...] = ()
    reference_count: int = 0
    map_rounds: tuple[tuple[int, float], ...] = ()
    """(movies in it, resolution in angstrom) of the map's rounds so far."""
    map_forecasts: tuple[MapForecast, ...] = ()
    """All that were made so far of a later map."""
    prospects: Prospects | None = None
    rerun_request: RerunRequest | None = None
    """Of a movie of this round; None: nothing is to be computed again."""
    feedback: tuple[MovieFeedback, ...] = ()
    """What operators said since the round before, oldest first."""
    earlier: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Evidence of the round before, by evaluator; empty in the first."""
