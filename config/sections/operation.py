"""How the daemon works: which files it takes, who computes, disk and queries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from frazil.config.sections.base import NonNegative, Positive, Section
from frazil.config.sections.touches import Stage, Touches


class IntakeSettings(Section):
    """Which files are movies, and when they are taken."""

    include: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ("*.tif", "*.tiff", "*.mrc", "*.mrcs", "*.eer")
    """File names that are movies (shell patterns)."""
    exclude: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = (
        "*gain*", "*defect*", "*_ref.*", "*.tmp", ".*", "GridSquare_[0-9]*_[0-9]*.*", "FoilHoles/", "Atlas/",
    )  # fmt: skip
    """File names that are not, although `include` matches: references, and EPU's overviews of squares and holes."""
    recursive: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Look into sub-folders."""
    scan_interval_s: Annotated[Positive, Touches(Stage.NOTHING)] = 2.0
    """The folder is read again this often; file-system events only make it quicker."""
    settle_s: Annotated[NonNegative, Touches(Stage.NOTHING)] = 1.0
    """A file's size and time must stand still this long before its structure is checked."""
    incomplete_timeout_s: Annotated[Positive, Touches(Stage.NOTHING)] = 600.0
    """A file that stands still but is structurally incomplete this long is quarantined as truncated."""
    sidecar: Annotated[Literal["auto", "required", "ignore"], Touches(Stage.NOTHING)] = "auto"
    """Metadata files (EPU XML, SerialEM mdoc): wait a while, wait for ever, or do not read."""
    sidecar_wait_s: Annotated[NonNegative, Touches(Stage.NOTHING)] = 10.0
    """How long a complete movie waits for its sidecar; then it goes on and is flagged (`required`: it waits on)."""
    sidecar_roots: Annotated[tuple[str, ...], Touches(Stage.NOTHING)] = ()
    """Further folders in which sidecars lie (EPU writes metadata under another root than movies)."""
    sidecar_distrust: Annotated[
        tuple[Literal["pixel_size_angstrom", "voltage_kv", "cs_mm", "dose_per_frame_e_per_a2"], ...],
        Touches(Stage.NOTHING),
    ] = ()
    """Values in which sidecars and headers are known to be wrong (an uncalibrated pixel size): what a person gave is
    taken without asking why they differ."""
    watch: Annotated[Literal["auto", "events", "polling"], Touches(Stage.NOTHING)] = "auto"
    """Whether file-system events are used; `polling` for network mounts that send none."""
    expected_frames: Annotated[Annotated[int, Field(ge=1)] | None, Touches(Stage.NOTHING)] = None
    """A movie with fewer frames is incomplete. null: from the sidecar, or the most common count of the session."""


class WorkerSettings(Section):
    """Who computes, on what."""

    count: Annotated[Annotated[int, Field(ge=1, le=256)] | None, Touches(Stage.NOTHING)] = None
    """null: one per GPU; without GPUs one single-threaded worker a core, as far as memory goes (4 GB each)."""
    device: Annotated[Literal["auto", "cpu", "cuda"], Touches(Stage.NOTHING)] = "auto"
    """`auto`: GPUs if there are any."""
    threads: Annotated[Annotated[int, Field(ge=1)] | None, Touches(Stage.NOTHING)] = None
    """CPU threads per worker; null: cores / workers."""
    accelerator_type: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Ray's name of the card (`A100`, `H100`, ...); null: any."""
    ray_address: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """null: a private Ray on this machine, on loopback only."""
    max_attempts: Annotated[int, Field(ge=1, le=20), Touches(Stage.NOTHING)] = 3
    """A movie that failed this often is quarantined."""
    movie_timeout_s: Annotated[Positive, Touches(Stage.NOTHING)] = 900.0
    """A worker silent for longer than this on one movie is restarted."""
    prefetch: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Read the next movie while this one computes."""
    movie_memory_mib: Annotated[int, Field(ge=0), Touches(Stage.NOTHING)] = 1600
    """A movie whose counts take no more memory than this is decoded once and kept while a worker computes; a larger one
    is decoded again for each of three passes. 40 counted frames of 5760 x 4092 px take 900 MiB."""


class StoreSettings(Section):
    """Disk and queries."""

    min_free_disk_gb: Annotated[NonNegative, Touches(Stage.NOTHING)] = 5.0
    """Intake stops below this and resumes above it."""
    query_timeout_s: Annotated[Positive, Touches(Stage.NOTHING)] = 10.0
    """A query that runs longer is interrupted."""
    query_max_rows: Annotated[int, Field(ge=1), Touches(Stage.NOTHING)] = 100_000
    """A query returns at most this many rows, and says so."""
