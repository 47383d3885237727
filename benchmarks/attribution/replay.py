"""Movies of a `causal_sessions.py` session through frazil's own pipeline, once in full and then again in seconds.

Alignment and CTF fit do not depend on the causal prior: their results are kept in a work folder, and `replay` runs
`frazil.models.movie_pipeline.process_movie` as it is now with those results put in their places. So a change of the
causal model is judged without aligning a movie again. The prior learns as in the daemon, by epochs of movies.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from frazil.actors.causal_prior import CausalPriorActor
from frazil.actors.frame_worker import FrameWorker, WorkerConfig
from frazil.actors.messages import MovieFailure, MovieTask
from frazil.config.loading import load_settings
from frazil.config.settings import GainOrientation
from frazil.daemon.session.epochs import EPOCH_MOVIES, prior_version_for
from frazil.models import movie_pipeline
from frazil.models.causal.prior import physics_prior
from frazil.models.formats.acquisition import merge_metadata, resolve
from frazil.models.formats.movie import open_movie
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.gain.gate import GainDecision, GainVerdict
from frazil.models.records import MovieFiles, MovieResult, ParticlePicks

_IMAGES = ("dose_weighted", "plain", "even", "odd")
_PLACES = 5


@dataclass
class Kept:
    """One movie's results that no causal prior changes."""

    aligned: Plain
    """`AlignedMovie` without its images."""
    fit: Plain
    counted: Plain
    """Of `process_movie`."""
    images: dict[str, np.ndarray]
    result: Plain
    seconds: float


def process(session: Path, truth: dict[str, Any], work: Path, *, upto: int | None = None) -> None:
    """Align and fit every movie of a session that the work folder does not have yet."""
    work.mkdir(parents=True, exist_ok=True)
    settings, gain = _settings(session)
    worker: FrameWorker | None = None
    for movie in truth["movies"][:upto]:
        path = work / f"{movie['index']:04d}.pickle"
        if path.exists():
            continue
        worker = worker or FrameWorker(WorkerConfig("cpu-0", str(work / "session"), settings, "cpu", 1))
        begun = time.process_time()
        metadata, acquisition = _acquisition(session, movie, settings)
        caught: dict[str, Any] = {}
        with _caught(caught):
            task = _task(session, movie, metadata, acquisition, gain)
            result = worker.process(task)
        if isinstance(result, MovieFailure):
            raise SystemExit(result.traceback)
        aligned = caught["aligned"]
        images = {name: getattr(aligned, name).cpu().numpy().astype(np.float16) for name in _IMAGES}
        record = plain(dataclasses.replace(aligned, **dict.fromkeys(_IMAGES, None)))
        kept = Kept(
            record,
            plain(caught["fit"]),
            plain(caught["counted"]),
            images,
            plain(_lean(result)),
            time.process_time() - begun,
        )
        with path.with_suffix(".tmp").open("wb") as file:
            pickle.dump(kept, file)
        path.with_suffix(".tmp").rename(path)
        print(f"{movie['file'][-40:]} {kept.seconds:.1f} s", flush=True)


@dataclass(frozen=True)
class Run:
    """A session as it would be now."""

    results: list[MovieResult]
    priors: list[Any]
    """Versions 0, 1, ..."""
    kept: list[Kept]
    seconds_per_movie: float
    """Of all that is replayed."""


def replay(session: Path, truth: dict[str, Any], work: Path, *, refit: bool = False, final_prior: bool = False) -> Run:
    """Results of all movies as a session would give them now; `final_prior` attributes all with the last version."""
    settings, gain = _settings(session)
    kept = []
    tasks = []
    for movie in truth["movies"]:
        with (work / f"{movie['index']:04d}.pickle").open("rb") as file:
            kept.append(pickle.load(file))
        metadata, acquisition = _acquisition(session, movie, settings)
        tasks.append(_task(session, movie, metadata, acquisition, gain))
    priors: list[Any] = [physics_prior()]
    results: list[MovieResult] = []
    begun = time.process_time()
    for index, (one, task) in enumerate(zip(kept, tasks, strict=True)):
        prior = priors[min(prior_version_for(index), len(priors) - 1)]
        task = dataclasses.replace(task, prior=prior)
        results.append(again(one, task, settings, refit=refit))
        if len(results) % EPOCH_MOVIES == 0:
            priors.append(CausalPriorActor().learn(priors[-1], results[-EPOCH_MOVIES:]))
    seconds = (time.process_time() - begun) / max(len(results), 1)
    if final_prior:
        results = [
            again(one, dataclasses.replace(task, prior=priors[-1]), settings, refit=refit)
            for one, task in zip(kept, tasks, strict=True)
        ]
    return Run(results, priors, kept, seconds)


def change_points(run: Run) -> list[dict[str, Any]]:
    """Each change that the prior speaks of, and how many movies it had seen when it first did."""
    found: list[dict[str, Any]] = []
    for version, prior in enumerate(run.priors):
        for change in getattr(prior, "change_points", ())[len(found) :]:
            found.append({"movies_seen": version * EPOCH_MOVIES, **plain_data(change)})
    return found


def plain_data(record: Any) -> Any:
    """For JSON."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {field.name: plain_data(getattr(record, field.name)) for field in dataclasses.fields(record)}
    return [plain_data(part) for part in record] if isinstance(record, tuple | list) else record


def again(kept: Kept, task: MovieTask, settings: Any, *, refit: bool = False) -> MovieResult:
    """One movie's result with this task's prior; nothing is aligned, and fitted only if asked for."""
    images = {name: torch.from_numpy(image.astype(np.float32)) for name, image in kept.images.items()}
    aligned = dataclasses.replace(renewed(kept.aligned), **images)
    fit, result = renewed(kept.fit), renewed(kept.result)
    processing = movie_pipeline.Processing(
        acquisition=task.acquisition,
        settings=settings,
        prior=task.prior,
        reference_counts_per_px=getattr(task.prior, "empty_counts_per_px", None),
        device=torch.device("cpu"),
        on_stage=lambda stage: None,
    )
    put: dict[str, Callable[..., Any]] = {
        "restore_micrograph": lambda *a, **k: _NothingRestored(),
        "pick_particles": lambda *a, **k: ParticlePicks(),
        "extract_particles": lambda *a, **k: torch.zeros(0),
    }
    if not refit:
        put["fit_ctf"] = lambda *a, **k: fit
    with _put(put):
        products = movie_pipeline.process_sums(aligned, renewed(kept.counted), processing)
    values = {name: getattr(result, name) for name in ("movie_id", "parameter_hash", "code_version", "header")}
    values |= {"prior_version": task.prior.version, "files": MovieFiles(), "device": result.device}
    for field in dataclasses.fields(MovieResult):
        if field.name not in values and hasattr(products, field.name):
            values[field.name] = getattr(products, field.name)
    return MovieResult(**values)


def alignment_angstrom(kept: Kept) -> np.ndarray:
    """(G, F, 2) by how much frazil moved each frame back at places all over the frame."""
    at = (np.arange(_PLACES) + 0.5) / _PLACES - 0.5
    x, y = np.meshgrid(at, at)
    moved = np.asarray(renewed(kept.aligned.values["field"]).at(x, y))
    return np.moveaxis(moved.reshape(len(moved), -1, 2), 1, 0)


@dataclass(frozen=True)
class Plain:
    """A record by the names of its fields, so that its class may have others when it is read again."""

    module: str
    name: str
    values: dict[str, Any]


def plain(record: Any) -> Any:
    """Records as `Plain`, all the way down."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        values = {field.name: plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
        return Plain(type(record).__module__, type(record).__qualname__, values)
    return tuple(plain(part) for part in record) if isinstance(record, tuple) else record


def renewed(record: Any) -> Any:
    """The opposite, by the classes as they are now: fields that came since have their defaults."""
    if isinstance(record, Plain):
        made = getattr(importlib.import_module(record.module), record.name)
        names = {field.name for field in dataclasses.fields(made)} & record.values.keys()
        return made(**{name: renewed(record.values[name]) for name in names})
    return tuple(renewed(part) for part in record) if isinstance(record, tuple) else record


def _lean(result: MovieResult) -> MovieResult:
    """Without what the causal model of the time said."""
    return dataclasses.replace(result, losses=None, evidence=None)


class _NothingRestored:
    """Stands for a restored micrograph, which nobody looks at."""

    image = small = torch.zeros(1)
    method, held_out_gain, specimen_share, masked_share, bad_lines, attenuated = "wiener", None, None, 0.0, 0, 0
    lessons: tuple[Any, ...] = ()


def _settings(session: Path) -> tuple[Any, GainDecision]:
    settings = load_settings(preset="simulated", flags={"camera.gain": str(session / "gain.mrc")})
    reference, orientation = settings.camera.gain, GainOrientation.IDENTITY
    return settings, GainDecision(
        GainVerdict.CORRECT, "", None, reference, None, orientation, "multiply", 1, None, None
    )


def _acquisition(session: Path, movie: dict[str, Any], settings: Any) -> tuple[Any, Any]:
    with open_movie(session / "raw" / movie["file"]) as reader:
        sidecar = read_sidecar(session / "raw" / movie["sidecar"])
        metadata = merge_metadata(settings=settings, header=reader.header, sidecar=sidecar)
    return metadata, resolve(metadata, settings=settings)


def _task(session: Path, movie: dict[str, Any], metadata: Any, acquisition: Any, gain: Any, prior: Any = None) -> Any:
    name = Path(movie["file"]).stem
    pool = {
        "movie_id": name,
        "movie_path": str(session / "raw" / movie["file"]),
        "stem": name,
        "attempt": 1,
        "acquisition": acquisition,
        "metadata": metadata,
        "gain": gain,
        "parameter_hash": "truth",
        "prior": prior or physics_prior(),
    }
    return MovieTask(**_known(MovieTask, pool))


def _known(function: Callable[..., Any], pool: dict[str, Any]) -> dict[str, Any]:
    return {name: pool[name] for name in inspect.signature(function).parameters if name in pool}


@contextmanager
def _put(functions: dict[str, Callable[..., Any]]) -> Iterator[None]:
    """Other functions in the pipeline's places for a while; a name that it does not have is an error."""
    before = {name: getattr(movie_pipeline, name) for name in functions}
    try:
        for name in before:
            setattr(movie_pipeline, name, functions[name])
        yield
    finally:
        for name, function in before.items():
            setattr(movie_pipeline, name, function)


@contextmanager
def _caught(into: dict[str, Any]) -> Iterator[None]:
    """Keeps what alignment and fit return while a worker runs, and what the pipeline was called with."""
    from frazil.actors import frame_worker

    align, fit = vars(movie_pipeline)["align_movie"], vars(movie_pipeline)["fit_ctf"]
    whole = vars(frame_worker)["process_movie"]

    def aligning(*args: Any, **kwargs: Any) -> Any:
        into["aligned"] = align(*args, **kwargs)
        return into["aligned"]

    def fitting(*args: Any, **kwargs: Any) -> Any:
        into["fit"] = fit(*args, **kwargs)
        return into["fit"]

    def processing(source: Any, counted: Any, *args: Any, **kwargs: Any) -> Any:
        into["counted"] = counted
        return whole(source, counted, *args, **kwargs)

    stages: dict[str, Callable[..., Any]] = {
        "align_movie": aligning,
        "fit_ctf": fitting,
        "restore_micrograph": lambda *a, **k: _NothingRestored(),
        "pick_particles": lambda *a, **k: ParticlePicks(),
        "extract_particles": lambda *a, **k: torch.zeros((0, 16, 16)),
    }
    nothing_written = patch.object(frame_worker, "write_products", lambda *a, **k: MovieFiles())
    with (
        patch.object(frame_worker, "process_movie", processing),
        _put(stages),
        nothing_written,
    ):
        yield
