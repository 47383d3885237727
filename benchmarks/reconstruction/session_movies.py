"""Movies of one specimen in known poses, for `map_session.py`: scenes and causes as `causal_sessions.py` has them.

`plain` sessions are taken by an instrument in good order; `artefacts` are its `mixed` ones: drift bursts, thick ice and
thin, coma that grows with the image shift, dose rates up to four times what is good.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

from benchmarks.causal_world import scene as causal_scene
from benchmarks.causal_world.draws import Taken, Wanted, draw_movies
from benchmarks.causal_world.physics import FREQUENCIES_PER_ANGSTROM, Instrument, true_losses
from benchmarks.causal_world.scene import VIEWS, Image, Particle, placed_particles
from benchmarks.causal_world.sessions import exposure_of, sidecar_of, write_movie
from benchmarks.reconstruction import scenes

PIXEL_SIZE_ANGSTROM = 1.2
KINDS = {"plain": "change", "artefacts": "mixed"}
_SENSITIVITY_SD = 0.03
_ATOM_B_ANGSTROM2 = 60.0
_QUARTER_TURN = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""What `np.rot90` does to x and y of an image."""


def make_session(
    out_dir: Path, name: str, seed: int, folder: Path, *, kind: str, movies: int, frames: int, coverage: float
) -> None:
    """Write OUT/raw, OUT/gain.mrc and OUT/truth.json; what is there already is left."""
    if (out_dir / "truth.json").exists():
        return
    shape = scenes.specimen(name, folder, seed)
    # A change that comes after the end: the instrument stays in good order.
    change, change_at = ("grid", movies + 1) if kind == "plain" else (None, 0)
    wanted = Wanted(
        seed=seed,
        kind=KINDS[kind],
        movies=movies,
        frames=frames,
        change=change,
        change_at=change_at,
        pixel_size_angstrom=PIXEL_SIZE_ANGSTROM,
        coverage=coverage,
    )
    taken = draw_movies(wanted)
    instrument = taken[0].session.instrument
    raw = out_dir / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    sensitivity = _sensitivity(wanted)
    with mrcfile.new(out_dir / "gain.mrc", overwrite=True) as file:
        file.set_data((1.0 / sensitivity).astype(np.float32))
    projector = _projector(shape, instrument)
    rows = []
    for movie in taken:
        rows.append(_write_exposure(raw, movie, wanted, shape, projector, sensitivity))
        print(f"\r{movie.index + 1} movies", end="", flush=True)
    print()
    truth = {
        "specimen": name,
        "seed": seed,
        "kind": kind,
        "instrument": asdict(instrument),
        "frequency_per_angstrom": list(FREQUENCIES_PER_ANGSTROM),
        "movies": rows,
    }
    (out_dir / "truth.json").write_text(json.dumps(truth) + "\n")


def _sensitivity(wanted: Wanted) -> Image:
    """Of the camera's pixels, 1 on average; one for the whole session."""
    random = np.random.default_rng([wanted.seed, 6])
    sensitivity = np.clip(1 + _SENSITIVITY_SD * random.standard_normal((wanted.size_px,) * 2), 0.3, 2.0)
    return np.asarray(sensitivity / sensitivity.mean(), dtype=np.float32)


def _write_exposure(
    raw: Path,
    movie: Taken,
    wanted: Wanted,
    shape: scenes.Specimen,
    projector: scenes._Projector,
    sensitivity: Image,
) -> dict[str, Any]:
    """A movie and its sidecar; its row of the truth."""
    own = np.random.default_rng([wanted.seed, 9, movie.index])
    poses = np.stack([scenes._random_matrix(own) for _ in range(VIEWS)])
    particle = Particle(shape.name, 0.5 * shape.diameter_angstrom, _views(projector, poses))
    stem = f"FoilHole_{movie.hole:05d}_Data_{movie.index:05d}"
    write_movie(raw / f"{stem}_Fractions.tiff", movie, particle, sensitivity, wanted)
    (raw / f"{stem}.xml").write_text(sidecar_of(movie, wanted))
    losses = true_losses(movie.causes, movie.session.instrument, movie.path_angstrom)
    return {
        "file": f"{stem}_Fractions.tiff",
        "causes": asdict(movie.causes),
        "path_angstrom": np.round(movie.path_angstrom.mean(axis=1), 3).tolist(),
        "losses": {factor: np.round(loss, 5).tolist() for factor, loss in losses.items()},
        "particles": _truth(exposure_of(movie, wanted), particle, poses),
    }


def _projector(shape: scenes.Specimen, instrument: Instrument) -> scenes._Projector:
    box = 2 * (math.ceil(0.62 * shape.diameter_angstrom / instrument.pixel_size_angstrom) + 12)
    return scenes._Projector(shape, box, instrument.pixel_size_angstrom, instrument.voltage_kv)


def _views(projector: scenes._Projector, poses: NDArray[Any]) -> NDArray[Any]:
    """(VIEWS, box, box) projected phase (rad), centred at pixel box // 2."""
    n = projector.size
    thermal = np.exp(-_ATOM_B_ANGSTROM2 / 4 * projector.k**2)
    views = np.empty((len(poses), n, n), dtype=np.float32)
    for view, pose in zip(views, poses, strict=True):
        view[:] = np.fft.irfft2(projector.transform(pose, np.zeros(2)) * thermal, s=(n, n))
    return views


def _truth(exposure: causal_scene.Exposure, particle: Particle, poses: NDArray[Any]) -> list[dict[str, Any]]:
    """Centre (x, y in px of the undisplaced frame) and Euler matrix of each particle."""
    placed, first = placed_particles(exposure, particle)
    box = particle.views.shape[1]
    rows = []
    for one in placed:
        column, row = box // 2, box // 2
        pose = poses[one.view]
        for _ in range(one.quarter_turns):  # new[i, j] = old[j, box - 1 - i]
            column, row = row, box - 1 - column
            pose = _QUARTER_TURN @ pose
        x, y = (corner - box // 2 - first + at for corner, at in zip(one.corner, (column, row), strict=True))
        rows.append({"x_px": x, "y_px": y, "pose": np.round(pose, 6).ravel().tolist()})
    return rows
