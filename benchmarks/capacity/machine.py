"""What a machine bears, by what limits it: pure arithmetic over costs of a movie.

A resource that a movie takes x of, and that a machine has y of in an hour, bears y / x movies an hour; a machine bears
what its scarcest resource does. Stages of different movies overlap, so resources are not added up; the processor's
work is, whichever process does it.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Movie:
    """One of a session."""

    mpx: float
    frames: int
    file_mb: float
    """As it lies on the disk."""
    kept_mb: float
    """What its results take."""

    @property
    def decoded_mb(self) -> float:
        """A byte a count."""
        return self.mpx * self.frames


@dataclass(frozen=True, slots=True)
class Measured:
    """What one movie took of a processor."""

    mpx: float
    frames: int
    motion_cpu_s: float
    """Decoding, alignment, sums: what touches every pixel of every frame."""
    other_cpu_s: float
    """CTF, restoration, picking, files: what touches every pixel of the micrograph."""


@dataclass(frozen=True, slots=True)
class Law:
    """Processor seconds by size."""

    movie_cpu_s: float
    mpx_cpu_s: float
    """A Mpx of the micrograph."""
    frame_mpx_cpu_s: float
    """A Mpx of a frame."""

    def cpu_s(self, mpx: float, frames: int) -> float:
        return self.movie_cpu_s + mpx * (self.mpx_cpu_s + frames * self.frame_mpx_cpu_s)


def law_of(large: Measured, small_mpx: float, small_frames: int, small_cpu_s: float) -> Law:
    """Through a large movie whose parts are known and a small one: what a small one takes beyond its share of pixels is
    what every movie takes."""
    mpx, frame_mpx = large.other_cpu_s / large.mpx, large.motion_cpu_s / (large.mpx * large.frames)
    total = large.motion_cpu_s + large.other_cpu_s
    share = mpx * small_mpx + frame_mpx * small_mpx * small_frames
    scale = (total - small_cpu_s) / (total - share)
    return Law(total * (1 - scale), scale * mpx, scale * frame_mpx)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is of everything. 0 GPUs: processors do it all."""

    name: str
    cores: int
    gpus: int = 0
    workers: int = 0
    """On its GPUs together: each has one movie in hand, from end to end."""
    read_mb_per_s: float = 1000.0
    """Of the movies' disk or network."""
    write_mb_per_s: float = 1000.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one movie. Processor seconds are those of one core."""

    movie_cpu_s: float
    """In a worker, without a GPU."""
    gpu_host_cpu_s: float
    """In a worker that has a GPU."""
    gpu_s: float
    """In which nothing else runs on the GPU."""
    gpu_worker_s: float
    """From end to end in a worker that has a GPU."""
    daemon_cpu_s: float
    """Store, prior, counsel, the map's desk, verdicts, state."""
    map_cpu_s: float
    """The running map and the 2-D classes."""
    map_in_turn_s: float
    """The same, as one process does it: movies enter the map one after the other."""
    efficiency: float
    """Of cores that work side by side: what of their time is a movie's processor time."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Movies an hour."""

    by_resource: dict[str, float]

    @property
    def limit(self) -> str:
        """The scarcest resource."""
        return min(self.by_resource, key=lambda name: self.by_resource[name])

    @property
    def movies_per_h(self) -> float:
        return self.by_resource[self.limit]


def capacity(machine: Machine, movie: Movie, costs: Costs) -> Capacity:
    """What the machine bears."""
    host_cpu_s = costs.gpu_host_cpu_s if machine.gpus else costs.movie_cpu_s
    cpu_s = host_cpu_s + costs.daemon_cpu_s + costs.map_cpu_s
    found = {
        "cores": HOUR_S * machine.cores * costs.efficiency / cpu_s,
        "disk read": HOUR_S * machine.read_mb_per_s / movie.file_mb,
        "disk written": HOUR_S * machine.write_mb_per_s / movie.kept_mb,
    }
    if costs.map_in_turn_s > 0:
        found["the map, one movie after the other"] = HOUR_S / costs.map_in_turn_s
    if machine.gpus:
        found["GPUs"] = HOUR_S * machine.gpus / costs.gpu_s
        found["workers on the GPUs"] = HOUR_S * machine.workers / costs.gpu_worker_s
    return Capacity(found)


def must_hold(machine: Machine, movie: Movie, costs: Costs, movies_per_h: float) -> dict[str, float]:
    """The most that a movie may take of each resource for so many movies an hour."""
    share_s = HOUR_S / movies_per_h
    found = {
        "CPU-s a movie, all processes": share_s * machine.cores * costs.efficiency,
        "s a movie of the map's process": share_s,
        "MB/s read": movie.file_mb / share_s,
        "MB/s written": movie.kept_mb / share_s,
    }
    if machine.gpus:
        found["GPU-s a movie"] = share_s * machine.gpus
        found["s a movie in a worker"] = share_s * machine.workers
    return found
