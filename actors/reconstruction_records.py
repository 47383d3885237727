"""Messages between the daemon's running reconstruction and the actor that keeps the map."""

from __future__ import annotations

from dataclasses import dataclass, field

from frazil.models.map_round import MapRoundRecord
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.particles.half_sets import half_sets
from frazil.models.reconstruction.classes.class_choice import ClassVerdict
from frazil.models.reconstruction.refine.round_report import RoundReport
from frazil.models.records import CausalLosses, CtfEstimate, ExposureFacts


@dataclass(frozen=True, slots=True)
class MapMovie:
    """What the reconstruction needs of one processed movie."""

    movie_id: str
    result_id: str
    """Names one writing of its result, at no cost: another result is another movie. A copied one has another name."""
    particles_path: str | None
    """Stack, relative to the session folder; None: nothing was picked."""
    pixel_size_angstrom: float
    diameter_angstrom: float | None
    """Of the picks."""
    voltage_kv: float
    cs_mm: float
    amplitude_contrast: float
    ctf: CtfEstimate
    losses: CausalLosses | None
    fibre: tuple[int, ...] = ()
    """Of the picks (`ParticlePicks.fibre`)."""
    defocus_offset_angstrom: tuple[float, ...] = ()
    """Of the picks, over the movie's defocus."""
    exposure: ExposureFacts | None = None
    """How it was aimed; None: not known."""
    result_file: str = ""
    """Its result, relative to the session folder."""
    result_digest: str = ""
    """Of that file's content: how a copied result is known again. Filled in when the movie is added; empty: a
    checkpoint of an earlier frazil."""

    def half_sets(self, count: int) -> tuple[int, ...]:
        """1 or 2 for each of its `count` particles: all of its picks, or none where their stack is gone."""
        return half_sets(self.movie_id, count, self.fibre) if count else ()


@dataclass(frozen=True, slots=True)
class ParticlePoses:
    """Poses and classes of a movie's particles, in the order of its picks."""

    movie_id: str
    half_set: tuple[int, ...]
    class_id: tuple[int | None, ...] | None
    rot_deg: tuple[float | None, ...] | None
    tilt_deg: tuple[float | None, ...] | None
    psi_deg: tuple[float | None, ...]
    origin_x_angstrom: tuple[float | None, ...]
    """RELION's: what moves the particle to the centre of its box."""
    origin_y_angstrom: tuple[float | None, ...]
    certainty: tuple[float, ...] | None = None
    """Probability that there is a particle at all, by which each counts in the map; None: there is no map yet."""
    map_class: tuple[int, ...] | None = None
    """Of several maps the likeliest, from 1; None: one map, or they have no class yet."""
    evidence: ParticleEvidence | None = None
    """What they say of their movie; None: the map does not hold enough yet."""


@dataclass(frozen=True, slots=True)
class Added:
    """The answer to one movie."""

    movie_count: int
    particle_count: int
    poses: tuple[ParticlePoses, ...]
    skipped: str | None = None
    """Why its particles could not be used; the movie still counts as included."""
    class_ids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """2-D classes that became known of movies whose poses stay as they are."""


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One 2-D class, in the order of the stack of averages."""

    class_id: int
    particle_count: int
    resolution_angstrom: float | None
    """Where the averages of its two halves agree to 0.5; None: not known yet."""
    score: float | None = None
    """Share of its members that are particles, as the judge sees it; None: not judged yet."""


@dataclass(frozen=True, slots=True)
class MapClassSummary:
    """One of several maps."""

    map_class: int
    particle_count: float
    """Sum of probabilities."""
    resolution_0143_angstrom: float | None
    map_path: str


@dataclass(frozen=True, slots=True)
class FinishedRound(MapRoundRecord):
    """The record of a round whose files are written, as far as it follows from the particles, with its curves."""

    frequency_per_angstrom: tuple[float, ...] = ()
    fsc: tuple[float, ...] = ()
    """Corrected for its mask, at these frequencies."""
    uniform_fsc: tuple[float, ...] = ()
    """At the same frequencies, of the same particles without the causal weights."""
    classes: tuple[ClassSummary, ...] = ()
    averages_path: str | None = None
    class_verdicts: tuple[ClassVerdict, ...] = ()
    """Of every 2-D class that lives or that a particle has."""
    report: RoundReport | None = None
    diameter_angstrom: float | None = None
    map_classes: tuple[MapClassSummary, ...] = ()
    own_orientations: bool = True
    """False: most particles still stand as the start had them, and how the map will grow cannot be told."""
    views: tuple[tuple[float, float, int], ...] = ()
    """From where its particles are seen: rot and tilt (deg) of bins of equal area, and how many are in each."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a checkpoint brought back."""

    included: tuple[str, ...]
    """Movie ids in the order in which they were added."""
    movie_count: int
    particle_count: int
    begun_anew: str = ""
    """Why a checkpoint that is there was not gone on with; empty: it was, or there is none."""
    class_verdicts: dict[int, bool | None] = field(default_factory=dict)
    """What it has heard of people's verdicts on 2-D classes."""
