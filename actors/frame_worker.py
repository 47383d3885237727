"""One worker: reads a movie, processes it on the one device it owns, writes its pictures, returns one record.

The class is plain Python, so that tests use it without Ray; `frazil.actors.gpu_pool` wraps it. Everything scientific is
in `frazil.models.movie_pipeline`; this shell adds the clock, the files, the device and the verdict on failures.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.actors import niceness
from frazil.actors.messages import GainGateTask, MovieFailure, MovieTask
from frazil.actors.movie_again import counted, known_motion, stored_micrograph, stored_sums
from frazil.actors.movie_output import (
    lessons_path,
    network_path,
    write_bytes,
    write_particles,
    write_products,
    write_regions,
)
from frazil.config.errors import (
    FormatError,
    QuarantineError,
    RestartWorkerError,
    RetryLaterError,
    UnsupportedFormatError,
    UsageError,
)
from frazil.config.settings import GainOrientation, Settings
from frazil.config.stages import Stage
from frazil.models.causal.structural_model import StructuralModel
from frazil.models.deconvolution.lessons import lessons_bytes, network_from_bytes
from frazil.models.deconvolution.network import ResidualNetwork
from frazil.models.device_arithmetic import set_device_arithmetic
from frazil.models.formats.movie import MovieReader, open_movie
from frazil.models.gain.correction import BadPixels, CorrectedFrames
from frazil.models.gain.decision import GainDecision
from frazil.models.gain.evidence import mean_counts_by_half, pattern_left_rms, residuals
from frazil.models.gain.gate import decide
from frazil.models.gain.movie_gain import MovieGain, read_movie_gain
from frazil.models.gain.reference import read_defects, read_reference
from frazil.models.motion.held_frames import HeldFrames
from frazil.models.movie_pipeline import (
    MovieProducts,
    Processing,
    count_movie,
    pick_and_extract,
    process_movie,
    process_sums,
)
from frazil.models.records import DeviceReport, MovieEvidence, MovieFiles, MovieHeader, MovieResult, StageTiming
from frazil.models.redo import timings_of_both

_log = logging.getLogger(__name__)
_READ_AHEAD_BYTES = 1 << 22
_SMALLEST_PX = 64
"""Rings and shifts of anything smaller are noise."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker needs to know for life."""

    name: str
    session_dir: str
    settings: Settings
    device: str
    """`cpu` or `cuda`; with `cuda` the first device that Ray left visible is used."""
    threads: int
    expected_accelerator: str | None = None
    """What the card's name must contain (`A100`); None: any."""
    causal_model: StructuralModel | None = None
    """The session's causal graph; None: the one that ships."""
    polite: bool = False
    """Whoever else works on the machine goes first."""


class _Stages:
    """Times the stages of one movie; the pipeline only names them."""

    def __init__(self) -> None:
        self.timings: list[StageTiming] = []
        self.current = "open"
        self._since = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.timings.append(StageTiming(self.current, now - self._since))
        self.current, self._since = stage, now

    def close(self) -> tuple[StageTiming, ...]:
        self(self.current)
        total: dict[str, float] = {}
        for timing in self.timings:
            total[timing.stage] = total.get(timing.stage, 0.0) + timing.seconds
        return tuple(StageTiming(stage, seconds) for stage, seconds in total.items())


class FrameWorker:
    """See the module. One call at a time; keeps nothing of a movie between calls but the gain reference."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        if config.polite:
            niceness.give_way(niceness.MOVIES)
        self._session_dir = Path(config.session_dir)
        torch.set_num_threads(config.threads)
        self._device = self._claim_device()
        self._decoders = ThreadPoolExecutor(max(config.threads, 1), thread_name_prefix="decode")
        self._gain_key: tuple[object, ...] | None = None
        self._gain = MovieGain(None, None)
        self._pattern: NDArray[np.float32] | None = None
        self._network: tuple[int, ResidualNetwork | None] = (0, None)

    # --- the device ------------------------------------------------------------------------------------------------

    def _claim_device(self) -> torch.device:
        if self._config.device == "cpu":
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise RestartWorkerError(
                f"worker {self._config.name} was promised a GPU, and torch sees none",
                remedy="check the driver with `nvidia-smi` and `frazil doctor`",
            )
        device = torch.device("cuda", 0)  # Ray leaves exactly the granted one visible
        name = torch.cuda.get_device_name(device)
        expected = self._config.expected_accelerator
        if expected is not None and expected.lower() not in name.lower():
            raise RestartWorkerError(
                f"worker {self._config.name} was promised a {expected}, and got a {name}",
                remedy="check workers.accelerator_type against the cards of this host",
            )
        set_device_arithmetic(device)
        return device

    def describe(self) -> DeviceReport:
        """What this worker really computes on, asked from the device itself."""
        if self._device.type == "cuda":
            properties = torch.cuda.get_device_properties(self._device)
            name, uuid = properties.name, str(properties.uuid)
            # Inside the process every granted card is cuda:0; people know it by the number outside.
            device = f"cuda:{os.environ.get('CUDA_VISIBLE_DEVICES', '0').split(',')[0]}"
        else:
            name, uuid, device = f"{platform.machine()}, {self._config.threads} threads", None, "cpu"
        return DeviceReport(self._config.name, platform.node(), device, name, uuid, os.getpid())

    def probe(self) -> bool:
        """A tiny FFT with a known answer: does the device still compute?"""
        try:
            ones = torch.ones(16, 16, device=self._device)
            spectrum = torch.fft.rfft2(ones)
            return bool(torch.isclose(spectrum[0, 0].real, torch.tensor(256.0, device=self._device)).item())
        except RuntimeError:
            return False

    # --- the gain --------------------------------------------------------------------------------------------------

    def decide_gain(self, task: GainGateTask) -> GainDecision | MovieFailure:
        """Look at the first movies and at the reference, and decide how they belong together."""
        try:
            return self._decide_gain(task)
        except (FormatError, UsageError) as error:
            return self._failure("gain", error, "gain", None)

    def _decide_gain(self, task: GainGateTask) -> GainDecision:
        halves: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        file_format = ""
        for path in task.movie_paths:
            try:
                with self._open(Path(path), task.pixel_size_angstrom) as reader:
                    halves.append(mean_counts_by_half(reader))
                    file_format = reader.header.file_format
            except (QuarantineError, OSError):
                continue  # that movie's own misfortune: told when its turn comes
        flip_tiff = file_format != "eer"
        reference = None if task.gain_path is None else read_reference(Path(task.gain_path), flip_tiff=flip_tiff)
        shapes = Counter(even.shape for even, _ in halves)
        shape = shapes.most_common(1)[0][0] if shapes else (0, 0)
        exclude = None
        if task.defects_path is not None and halves:
            exclude = read_defects(Path(task.defects_path), (shape[0], shape[1]), flip_tiff=flip_tiff)
        movie_residuals, half_residuals = residuals([pair for pair in halves if pair[0].shape == shape], exclude)
        return decide(
            movie_residuals=movie_residuals,
            half_residuals=half_residuals,
            reference=reference,
            orientation=GainOrientation(task.orientation),
            convention=task.convention,
            no_gain=task.no_gain,
            defects_path=task.defects_path,
        )

    def _gain_of(self, decision: GainDecision, header: MovieHeader) -> MovieGain:
        """Multiplier and defects for this movie's shape; kept until the decision or the shape changes."""
        key = (
            decision.gain_path,
            decision.orientation,
            decision.convention,
            decision.defects_path,
            (header.height_px, header.width_px),
            header.file_format,
        )
        if key != self._gain_key:
            self._gain = read_movie_gain(decision, header)
            self._pattern, self._gain_key = self._gain.pattern(), key
        return self._gain

    # --- a movie ---------------------------------------------------------------------------------------------------

    def process(self, task: MovieTask) -> MovieResult | MovieFailure:
        """Do all that is done to one movie. Never raises for what a movie or a device can do wrong."""
        stages = _Stages()
        header: MovieHeader | None = None
        try:
            if task.earlier is not None and (again := self._from_stored(task, task.earlier, stages)) is not None:
                return again
            reader_context = self._open(Path(task.movie_path), task.acquisition.pixel_size_angstrom)
            with reader_context as reader:
                header = reader.header
                if task.next_movie_path is not None and self._config.settings.workers.prefetch:
                    threading.Thread(target=_read_ahead, args=(task.next_movie_path,), daemon=True).start()
                return self._process(task, reader, stages)
        except Exception as error:  # the actor's boundary: recorded, judged and handed to the daemon
            self._release()
            if task.output:
                shutil.rmtree(self._session_dir / task.output, ignore_errors=True)
            return self._failure(task.movie_id, error, stages.current, header)

    def _process(self, task: MovieTask, reader: MovieReader, stages: _Stages) -> MovieResult:
        settings = self._config.settings
        if min(reader.header.height_px, reader.header.width_px) < _SMALLEST_PX:
            raise UnsupportedFormatError(
                f"{reader.header.width_px} x {reader.header.height_px} px are too few for a micrograph",
                path=task.movie_path,
                remedy=f"frazil needs at least {_SMALLEST_PX} px along each side",
            )
        gain = self._gain_of(task.gain, reader.header)
        stages("read")
        # Two passes follow, one to find the motion and one to sum; what comes then needs the memory for itself.
        movie = HeldFrames(reader, limit_bytes=settings.workers.movie_memory_mib << 20, kept_passes=2)
        frame_count = reader.header.frame_count
        halves = movie.half_sums()
        corrected_sum = halves.sum(axis=0)
        gain.correct(corrected_sum)
        bad = gain.bad_pixels(corrected_sum, frame_count)
        corrected_sum = np.nan_to_num(corrected_sum, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        pattern_rms = None
        if frame_count > 1:
            gain.correct(halves)
            pattern_rms = pattern_left_rms(np.nan_to_num(halves, copy=False, posinf=0.0, neginf=0.0), bad)
        del halves
        source = CorrectedFrames(
            movie,
            multiplier=gain.multiplier,
            bad=BadPixels.from_mask(bad),
            counts_per_electron=settings.camera.counts_per_electron,
        )
        counts = count_movie(
            corrected_sum / settings.camera.counts_per_electron,
            frame_count=frame_count,
            bad_pixel_count=int(bad.sum()),
            gain_pattern=self._pattern,
            fixed_pattern_rms=pattern_rms,
        )
        earlier = None if task.from_stage is Stage.MOTION else task.earlier
        known = None if earlier is None else known_motion(earlier)
        products = process_movie(source, counts, self._processing(task, stages), known=known)
        return self._written(task, reader.header, products, stages)

    def _from_stored(self, task: MovieTask, earlier: MovieResult, stages: _Stages) -> MovieResult | None:
        """Of a movie that has a result: what comes from `task.from_stage` on, made from the sums that are kept. None:
        the movie has to be read for it."""
        settings = self._config.settings
        if task.from_stage is Stage.PICKING and earlier.evidence is not None:
            micrograph = stored_micrograph(self._session_dir, earlier, written_before_ns=task.earlier_written_ns)
            if micrograph is not None:
                return self._pick_again(task, earlier, earlier.evidence, micrograph, stages)
        if task.from_stage is Stage.MOTION:
            return None
        aligned = stored_sums(self._session_dir, earlier, settings, written_before_ns=task.earlier_written_ns)
        if aligned is None:
            return None
        products = process_sums(aligned, counted(earlier), self._processing(task, stages))
        return self._written(task, earlier.header, products, stages, sums=earlier.files)

    def _processing(self, task: MovieTask, stages: _Stages) -> Processing:
        network_version, network = self._network_of(task.network_version)
        return Processing(
            acquisition=task.acquisition,
            settings=self._config.settings,
            prior=task.prior,
            reference_counts_per_px=task.prior.empty_counts_per_px,
            device=self._device,
            on_stage=stages,
            network=network,
            network_version=network_version,
            make_lessons=task.make_lessons,
            causal_model=self._config.causal_model,
        )

    def _pick_again(
        self, task: MovieTask, earlier: MovieResult, evidence: MovieEvidence, micrograph: torch.Tensor, stages: _Stages
    ) -> MovieResult:
        settings, pixel_size_angstrom = self._config.settings, earlier.pixel_size_angstrom
        picked = pick_and_extract(
            micrograph.to(self._device),
            earlier.ctf,
            pixel_size_angstrom=pixel_size_angstrom,
            acquisition=task.acquisition,
            settings=settings,
            device=self._device,
            on_stage=stages,
        )
        stages("write")
        output = self._output(task)
        path = write_particles(output, task.stem, picked.particles, pixel_size_angstrom)
        write_regions(output, task.stem, picked.regions, micrograph.shape)
        return self._with_timings(
            task,
            replace(
                earlier,
                parameter_hash=task.parameter_hash,
                picks=picked.picks,
                files=replace(earlier.files, particles=path),
                evidence=replace(evidence, particle_diameter_angstrom=settings.particles.diameter_angstrom),
                device=self.describe(),
                timings=stages.close(),
            ),
        )

    def _output(self, task: MovieTask) -> Path:
        """Where the movie's pictures go; without those of an earlier try. Raises OSError."""
        if not task.output:
            return self._session_dir
        folder = self._session_dir / task.output
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    @staticmethod
    def _with_timings(task: MovieTask, result: MovieResult) -> MovieResult:
        """What was not done again keeps the time that it took."""
        if task.earlier is None or task.from_stage is Stage.MOTION:
            return result
        both = timings_of_both(task.earlier, result)
        return replace(result, timings=tuple(StageTiming(stage, seconds) for stage, seconds in both.items()))

    def _written(
        self,
        task: MovieTask,
        header: MovieHeader,
        products: MovieProducts,
        stages: _Stages,
        *,
        sums: MovieFiles | None = None,
    ) -> MovieResult:
        stages("write")
        output = self._output(task)
        files = write_products(output, task.stem, products, self._config.settings, sums=sums)
        if task.make_lessons:
            write_bytes(output / lessons_path(task.stem), lessons_bytes(products.lessons))
        result = MovieResult(
            movie_id=task.movie_id,
            parameter_hash=task.parameter_hash,
            code_version=version("frazil"),
            prior_version=task.prior.version,
            header=header,
            pixel_size_angstrom=products.pixel_size_angstrom,
            shifts=products.shifts,
            local_motion=products.local_motion,
            ctf=products.ctf,
            spectra=products.spectra,
            quality=products.quality,
            picks=products.picks,
            losses=products.losses,
            files=files,
            device=self.describe(),
            evidence=products.evidence,
            restoration=products.restoration,
            timings=stages.close(),
            local_modes=products.local_modes,
        )
        return self._with_timings(task, result)

    def _network_of(self, version: int) -> tuple[int, ResidualNetwork | None]:
        """The learned residual of this version and its number, kept until another is asked for; (0, None): the one that
        ships, also when the session's cannot be read: no movie is lost for a nicer picture."""
        if version == 0:
            return 0, None
        if version != self._network[0]:
            path = self._session_dir / network_path(version)
            try:
                self._network = version, network_from_bytes(path.read_bytes(), self._device)
            except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
                _log.warning("the learned restoration %s cannot be read (%s): the shipped one is used", path, error)
                return 0, None
        return self._network

    @contextlib.contextmanager
    def _open(self, path: Path, pixel_size_angstrom: float | None) -> Iterator[MovieReader]:
        reader = open_movie(
            path,
            eer_dose_per_fraction_e_per_a2=self._config.settings.camera.eer_dose_per_fraction_e_per_a2,
            pixel_size_angstrom=pixel_size_angstrom,
            executor=self._decoders,
        )
        with reader:
            yield reader

    def _release(self) -> None:
        """After an error on a GPU: give back what the failed frame held before the probe judges the device."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _failure(self, movie_id: str, error: BaseException, stage: str, header: MovieHeader | None) -> MovieFailure:
        if isinstance(error, QuarantineError):
            kind = "quarantine"
        elif isinstance(error, RetryLaterError | OSError):
            kind = "retry"
        elif isinstance(error, RestartWorkerError):
            kind = "device"
        else:
            kind = "unknown"
        return MovieFailure(
            movie_id=movie_id,
            kind=kind,
            stage=stage,
            error_class=type(error).__name__,
            reason=str(error) or type(error).__name__,
            traceback="".join(traceback.format_exception(error))[-8000:],
            header=header,
            device_ok=self.probe(),
            versions={
                name: version(name) for name in ("frazil", "torch", "numpy", "tifffile", "imagecodecs", "mrcfile")
            },
        )


def _read_ahead(path: str) -> None:
    """Bring the next movie into the page cache; whatever goes wrong here will be said when it is opened."""
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
        while file.read(_READ_AHEAD_BYTES):
            pass
