"""A map from particles alone, in the model and as the actor makes it in the middle of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frazil.actors import reconstructor
from frazil.actors.reconstruction_records import MapMovie
from frazil.actors.reconstructor import Reconstructor
from frazil.actors.round_files import AVERAGES_PATH, MAP_PATHS
from frazil.config.settings import Settings
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.optics.ctf import CtfParameters
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra, particle_spectra
from frazil.models.reconstruction.orientation.symmetry import axis_rotation
from frazil.models.reconstruction.orientation.symmetry_alignment import rotated
from frazil.models.reconstruction.refine import ab_initio
from frazil.models.reconstruction.refine.ab_initio import ab_initio_map
from frazil.models.reconstruction.refine.initial_map import low_pass
from frazil.models.reconstruction.resolution.fsc import spherical_mask
from frazil.models.records import CtfEstimate

CPU = torch.device("cpu")
BOX, PIXEL, DIAMETER = 48, 3.6, 105.0
PLANE = FourierPlane.of_box(BOX, PIXEL)
OPTICS = CtfParameters(300.0, 2.7, 0.1, 16000.0, 15200.0, 40.0)
CTF = CtfEstimate(16000.0, 15200.0, 40.0, 0.0, 50.0, 50.0, 5.0, 0.9, 0.0, True)
Simulate = Callable[..., Any]


def spectra(sample: Any) -> ParticleSpectra:
    return particle_spectra(sample.stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)


def likeness(volume: torch.Tensor, truth: torch.Tensor, resolution_angstrom: float) -> float:
    """Best correlation over what nobody can know of a C3 map: hand, direction, turn about and height along its axis."""
    mask = spherical_mask(BOX, 0.5 * DIAMETER / PIXEL, 3.0)
    own, true = (low_pass(one * mask, resolution_angstrom, PIXEL) for one in (volume, truth))
    best = -1.0
    for hand in (own, torch.flip(own, (0,))):
        for upside in (np.eye(3), np.diag([1.0, -1.0, -1.0])):
            for turn in np.radians(np.arange(0, 120, 5)):
                turned = rotated(hand, axis_rotation((0.0, 0.0, 1.0), float(turn)) @ upside)
                for height in range(-3, 4):
                    moved = torch.roll(turned, height, 0)
                    best = max(best, float(torch.corrcoef(torch.stack([moved.flatten(), true.flatten()]))[0, 1]))
    return best


def test_shape_is_found_from_nothing(truth: torch.Tensor, simulate: Simulate) -> None:
    movies = [spectra(simulate(40, 1.0, seed=900 + number)) for number in range(3)]
    made = ab_initio_map(movies, PLANE, symmetry="C3", diameter_angstrom=DIAMETER, seed=1, device=CPU, starts=1)
    assert likeness(made.volume, truth, 20.0) > 0.85
    with pytest.raises(ValueError, match="no particles"):
        ab_initio_map([], PLANE, symmetry="C3", diameter_angstrom=DIAMETER, seed=1, device=CPU)


def test_noise_makes_no_shape(truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ab_initio, "_BATCHES", 12)
    stack = torch.randn(60, BOX, BOX, generator=torch.Generator().manual_seed(5))
    noise = particle_spectra(stack, PLANE, pixel_size_angstrom=PIXEL, diameter_angstrom=DIAMETER, ctf=OPTICS)
    made = ab_initio_map([noise], PLANE, symmetry="C3", diameter_angstrom=DIAMETER, seed=1, device=CPU, starts=1)
    assert likeness(made.volume, truth, 20.0) < 0.7


def test_a_session_without_a_start_makes_its_own(
    tmp_path: Path, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstructor, "AB_INITIO_PARTICLES", 90)
    monkeypatch.setattr(ab_initio, "STARTS", 2)
    monkeypatch.setattr(ab_initio, "_BATCHES", 4)  # whatever it finds: here it is about when and how
    settings = Settings.model_validate({"particles": {"diameter_angstrom": DIAMETER, "symmetry": "C3"}})
    for name in ("a", "b"):
        (tmp_path / name / "particles").mkdir(parents=True)
    for number in range(7):
        stack = simulate(20, 0.8, seed=950 + number).stack.numpy()
        for name in ("a", "b"):
            write_mrc(tmp_path / name / f"particles/m{number}.mrcs", stack, PIXEL)

    def movie(number: int) -> MapMovie:
        return MapMovie(f"id{number}", "r", f"particles/m{number}.mrcs", PIXEL, DIAMETER, 300.0, 2.7, 0.1, CTF, None)

    whole, killed = Reconstructor(str(tmp_path / "a"), settings), Reconstructor(str(tmp_path / "b"), settings)
    answers = [whole.add(movie(number)) for number in range(7)]
    oriented = [{one.movie_id for one in answer.poses if one.rot_deg is not None} for answer in answers]
    assert oriented == [set(), set(), set(), set(), {f"id{number}" for number in range(5)}, {"id5"}, {"id6"}]
    # Classes begin with 120 particles and go on beside.
    assert all(one.class_id is not None for answer in answers[6:] for one in answer.poses)
    done = whole.finish_round()
    assert done.particle_count == 140
    assert sum(one.particle_count for one in done.classes) == 140
    assert len(done.fsc) == len(done.uniform_fsc) > 10
    for number in range(3):
        killed.add(movie(number))
    killed.finish_round()  # before there is a map
    resumed = Reconstructor(str(tmp_path / "b"), settings)
    assert resumed.resume({f"id{number}": "r" for number in range(3)}).movie_count == 3
    for number in range(3, 6):
        resumed.add(movie(number))
    resumed.finish_round()  # and after
    last = Reconstructor(str(tmp_path / "b"), settings)
    assert last.resume({f"id{number}": "r" for number in range(6)}).particle_count == 120
    last.add(movie(6))
    assert last.finish_round() == done
    for relative in (*MAP_PATHS, AVERAGES_PATH):
        assert (tmp_path / "a" / relative).read_bytes() == (tmp_path / "b" / relative).read_bytes()


def test_starts_stand_out_where_one_gap_is_wider_than_all_else() -> None:
    bad = [12.9, 13.4, 12.6, 12.7, 13.3]
    assert not ab_initio.some_stand_out(bad)
    assert ab_initio.some_stand_out([*bad, 23.0])
    assert ab_initio.some_stand_out([*bad, 23.0, 22.6])
