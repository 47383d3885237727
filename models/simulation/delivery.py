"""A simulated session on disk: OUT/raw grows as a camera's disk would, OUT/truth holds what is true.

    OUT/raw/...          movies and metadata, in EPU's tree or SerialEM's folder
    OUT/gain.mrc         gain reference; OUT/defects.txt and defects.mrc the bad pixels
    OUT/truth/truth.json, OUT/truth/map.mrc (never below raw: nobody who watches the raw folder sees them)

There is no clock here: `sleep` and `now` come from the caller.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from frazil.config.errors import UsageError
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.simulation.camera_files import write_defects, write_gain
from frazil.models.simulation.detector import draw_detector
from frazil.models.simulation.faults import LATER_MOVIES, FaultPlan, parse_faults
from frazil.models.simulation.layout import DeliverySettings, session_truth
from frazil.models.simulation.movie import SimulatedMovie
from frazil.models.simulation.movie_files import write_movie
from frazil.models.simulation.session import SimulatedSession
from frazil.models.simulation.settings import SimulationSettings
from frazil.models.simulation.sidecars import epu_session, epu_xml, mdoc
from frazil.models.simulation.truth import MovieTruth, SessionTruth

GROWTH_STEPS = 8
GROWTH_SHARE_OF_PACE = 0.5
TRUNCATED_SHARE, STALLED_SHARE = 0.6, 0.5
BAD_FILE_BYTES = 200_000

_MAP_BINNING = 2


def write_session(
    out: Path,
    settings: SimulationSettings,
    delivery: DeliverySettings | None = None,
    *,
    faults: Sequence[str] = (),
    sleep: Callable[[float], None] | None = None,
    now: Callable[[], float] | None = None,
    on_movie: Callable[[int, Path], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SessionTruth:
    """Write a whole session below `out` and return its truth, which is on disk before the first movie.

    Parameters
    ----------
    faults:
        See `frazil.models.simulation.faults`.
    sleep, now:
        For pacing and growth, seconds; needed only if `delivery.pace_s` > 0.
    on_movie:
        Called with (index, path) after each movie is delivered.
    should_stop:
        Asked before each movie.

    Raises
    ------
    UsageError
        If `out` already holds a session, or pacing is asked for without a clock.
    OSError
        If the disk refuses.
    """
    delivery = delivery or DeliverySettings()
    if delivery.pace_s > 0 and (sleep is None or now is None):
        raise UsageError("pacing needs a clock", remedy="pass sleep and now")
    truth_path = out / "truth" / "truth.json"
    if truth_path.exists() or (out / "raw").exists():
        raise UsageError("there is a session already", path=out, remedy="choose another folder or remove it")
    plan = parse_faults(faults, movie_count=settings.movies, seed=settings.seed)
    session = SimulatedSession(settings, overrides=plan.overrides())
    truth = session_truth(session, delivery, plan, tuple(faults))
    _Courier(out, session, delivery, plan, truth, sleep or (lambda _: None)).run(now, on_movie, should_stop)
    return truth


class _Courier:
    """Brings movies and metadata to the raw folder, some of them late."""

    def __init__(
        self,
        out: Path,
        session: SimulatedSession,
        delivery: DeliverySettings,
        plan: FaultPlan,
        truth: SessionTruth,
        sleep: Callable[[float], None],
    ) -> None:
        self._out, self._raw, self._staging = out, out / "raw", out / ".staging"
        self._session, self._delivery, self._plan, self._truth, self._sleep = session, delivery, plan, truth, sleep
        self._late: list[tuple[int, Callable[[], None]]] = []

    def run(
        self,
        now: Callable[[], float] | None,
        on_movie: Callable[[int, Path], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self._raw.mkdir(parents=True)
        self._staging.mkdir(exist_ok=True)
        try:
            self._run(now, on_movie, should_stop)
        finally:
            shutil.rmtree(self._staging)

    def _run(
        self,
        now: Callable[[], float] | None,
        on_movie: Callable[[int, Path], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        settings, detector = self._session.settings, self._session.detector
        self._truth.write(self._out / "truth" / "truth.json")
        self._write_map()
        write_defects(self._out, detector, settings.pixel_size_angstrom)
        if self._plan.gain == "gain-wrong":
            other = np.random.default_rng([settings.seed, 98])
            detector = draw_detector(settings.camera, settings.height_px, settings.width_px, other)
        if self._plan.gain != "gain-missing":
            write_gain(
                self._out / "gain.mrc",
                detector,
                convention=self._truth.gain_convention,
                orientation=self._truth.gain_orientation_written,
                pixel_size_angstrom=settings.pixel_size_angstrom,
            )
        if self._delivery.sidecar == "epu":
            self._place_text(
                self._raw / "EpuSession.dm", epu_session(settings, eer=self._delivery.file_format == "eer")
            )
        start = now() if now is not None else 0.0
        for movie in self._truth.movies:
            if should_stop is not None and should_stop():
                break
            self._flush(movie.index)
            staged = self._prepare(movie)
            if now is not None and self._delivery.pace_s > 0:
                self._sleep(max(0.0, start + movie.index * self._delivery.pace_s - now()))
            path = self._deliver(movie, staged)
            if on_movie is not None:
                on_movie(movie.index, path)
        self._flush(None)

    def _flush(self, index: int | None) -> None:
        """Do what is due before movie `index`; None: everything."""
        due = [action for when, action in self._late if index is None or when <= index]
        self._late = [] if index is None else [item for item in self._late if item[0] > index]
        for action in due:
            action()

    def _prepare(self, truth: MovieTruth) -> Path:
        """The finished movie file, outside the raw folder."""
        staged = self._staging / Path(str(truth.file)).name
        if "zero-length" in truth.faults:
            staged.write_bytes(b"")
        elif "bad-file" in truth.faults:
            staged.write_bytes(np.random.default_rng([self._session.settings.seed, truth.index]).bytes(BAD_FILE_BYTES))
        else:
            self._write(staged, self._session.movie(truth.index), truth.faults)
        return staged

    def _write(self, path: Path, movie: SimulatedMovie, faults: tuple[str, ...]) -> None:
        write_movie(
            path, movie, file_format=self._delivery.file_format, mrc_type=self._delivery.mrc_type, faults=faults
        )

    def _deliver(self, truth: MovieTruth, staged: Path) -> Path:
        target = self._raw / str(truth.file)
        target.parent.mkdir(parents=True, exist_ok=True)
        later, faults = truth.index + LATER_MOVIES, truth.faults
        if truth.sidecar is not None:
            sidecar, text = self._raw / truth.sidecar, self._sidecar_text(truth)
            if "late-sidecar" in faults:
                self._late.append((later, lambda: self._place_text(sidecar, text)))
            else:
                self._place_text(sidecar, text)
        size = staged.stat().st_size
        if "truncated" in faults:
            self._append(target, staged, 0, int(size * TRUNCATED_SHARE))
            staged.unlink()
        elif "stalled" in faults:
            half = int(size * STALLED_SHARE)
            self._append(target, staged, 0, half)
            self._late.append((later, lambda: self._append(target, staged, half, size)))
        elif "replaced" in faults:
            first = self._staging / f"first-{staged.name}"
            self._write(first, self._session.movie(truth.index), ("few-frames",))
            os.replace(first, target)
            self._late.append((later, lambda: os.replace(staged, target)))
        elif "preallocated" in faults:
            self._fill(target, staged, size)
        elif self._delivery.grow:
            self._append(target, staged, 0, size)
            staged.unlink()
        else:
            os.replace(staged, target)
        return target

    def _append(self, target: Path, staged: Path, start: int, stop: int) -> None:
        """Copy bytes [start, stop) to the end of the target, in steps with pauses."""
        edges = np.linspace(start, stop, GROWTH_STEPS + 1).astype(int)
        with staged.open("rb") as source, target.open("ab", buffering=0) as sink:
            source.seek(start)
            for first, last in itertools.pairwise(edges.tolist()):
                sink.write(source.read(last - first))
                self._sleep(self._delivery.pace_s * GROWTH_SHARE_OF_PACE / GROWTH_STEPS)

    def _fill(self, target: Path, staged: Path, size: int) -> None:
        """Full size at once, content in steps."""
        with target.open("wb") as sink:
            sink.truncate(size)
        edges = np.linspace(0, size, GROWTH_STEPS + 1).astype(int)
        with staged.open("rb") as source, target.open("r+b", buffering=0) as sink:
            for first, last in itertools.pairwise(edges.tolist()):
                sink.write(source.read(last - first))
                self._sleep(self._delivery.pace_s * GROWTH_SHARE_OF_PACE / GROWTH_STEPS)
        staged.unlink()

    def _sidecar_text(self, truth: MovieTruth) -> str:
        settings = self._session.settings
        if self._delivery.sidecar == "epu":
            return epu_xml(truth, settings, eer=self._delivery.file_format == "eer")
        gain = None if self._plan.gain == "gain-missing" else "gain.mrc"
        return mdoc(truth, settings, Path(str(truth.file)).name, gain)

    def _write_map(self) -> None:
        """The true map, in a box of 1.5 particle diameters sampled at twice the movies' pixel."""
        session = self._session
        pixel_size = _MAP_BINNING * session.settings.pixel_size_angstrom
        box_px = 2 * int(np.ceil(1.5 * session.atoms.radius_angstrom / pixel_size))
        volume = session.potential_map(box_px=box_px, pixel_size_angstrom=pixel_size)
        write_mrc(self._out / "truth" / "map.mrc", volume.numpy(), pixel_size, is_volume=True)

    def _place_text(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = self._staging / f"{path.name}.part"
        part.write_text(text, encoding="utf-8", newline="")
        os.replace(part, path)
