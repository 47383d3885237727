"""A camera with a known sensitivity, and movies of it, small enough for a unit test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from frazil.config.settings import GainOrientation
from frazil.models.gain.decision import GainDecision
from frazil.models.gain.evidence import residuals
from frazil.models.gain.gate import decide
from frazil.models.gain.reference import ORIENTATIONS, Reference, orient

Halves = tuple[NDArray[np.float32], NDArray[np.float32]]


def undo(orientation: GainOrientation) -> GainOrientation:
    """The orientation that takes back what this one does."""
    probe = np.arange(6, dtype=np.float32).reshape(2, 3)
    turned = orient(probe, orientation)
    return next(
        back
        for back in ORIENTATIONS
        if (result := orient(turned, back)).shape == probe.shape and np.array_equal(result, probe)
    )


@dataclass
class Camera:
    """Pixels with a relative sensitivity of mean 1, as a real counting camera: a few per cent from pixel to pixel."""

    height_px: int = 256
    width_px: int = 256
    sensitivity_rms: float = 0.03
    e_per_px_per_frame: float = 1.0
    frame_count: int = 10
    seed: int = 1
    sensitivity: NDArray[np.float32] = field(init=False)
    dead: NDArray[np.bool_] = field(init=False)
    hot: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        shape = (self.height_px, self.width_px)
        self.sensitivity = np.clip(self.rng.normal(1.0, self.sensitivity_rms, shape), 0.3, 3.0).astype(np.float32)
        self.sensitivity /= self.sensitivity.mean()
        self.dead = np.zeros(shape, dtype=bool)
        self.hot = np.zeros(shape, dtype=bool)

    def expose(self, *, corrected: bool = False, scene: NDArray[np.float64] | None = None) -> Halves:
        """Mean counts of even and odd frames. `scene`: (frames, h, w) relative intensity."""
        halves = []
        count = self.frame_count
        for half in range(2):
            frames = range(half, count, 2)
            light = np.ones(self.sensitivity.shape) if scene is None else np.mean([scene[i] for i in frames], axis=0)
            seen = light if corrected else light * self.sensitivity
            mean = seen * self.e_per_px_per_frame * len(frames)
            mean = np.where(self.dead, 0.0, np.where(self.hot, mean + 200.0, mean))
            halves.append((self.rng.poisson(mean) / max(len(frames), 1)).astype(np.float32))
        return halves[0], halves[1]

    def reference(
        self, orientation: GainOrientation = GainOrientation.IDENTITY, convention: str = "multiply"
    ) -> Reference:
        """The reference whose file has to be turned by `orientation` to fit the movies."""
        with np.errstate(divide="ignore"):
            values = self.sensitivity if convention == "divide" else 1.0 / self.sensitivity
        values = np.where(self.dead, 0.0, values).astype(np.float32)
        stored = np.ascontiguousarray(orient(values, undo(orientation)))
        return Reference("gain.mrc", stored, stored == 0)


def ask(
    halves: list[Halves], reference: Reference | None, *, exclude: NDArray[np.bool_] | None = None, **told: object
) -> GainDecision:
    """The gate's whole way from mean counts to a decision."""
    movies, pair = residuals(halves, exclude)
    return decide(movie_residuals=movies, half_residuals=pair, reference=reference, **told)  # type: ignore[arg-type]


def drifting_specimen(camera: Camera, *, contrast: float, drift_px: float, seed: int) -> NDArray[np.float64]:
    """(frames, h, w) a strong specimen, smooth at two pixels as optics and detector leave it, moving diagonally."""
    rng = np.random.default_rng(seed)
    scene = ndimage.gaussian_filter(rng.normal(size=(camera.height_px, camera.width_px)), 1.5, mode="wrap")
    scene *= contrast / scene.std()
    steps = np.linspace(0.0, drift_px, camera.frame_count)
    moved = [ndimage.shift(scene, (step, 0.5 * step), order=3, mode="wrap") for step in steps]
    return np.maximum(1.0 + np.stack(moved), 0.05)


@dataclass(frozen=True)
class Kit:
    camera: type[Camera] = Camera
    ask = staticmethod(ask)
    undo = staticmethod(undo)
    drifting_specimen = staticmethod(drifting_specimen)


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.fixture
def gain_path(tmp_path: Path) -> Path:
    return tmp_path / "gain.mrc"
