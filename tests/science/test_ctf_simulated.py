"""CTF fit against the simulated microscope: real structures in ice, drawn defocus and astigmatism. `-m slow`."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from frazil.config.settings import CtfSettings
from frazil.models.ctf_fit.fit import CtfFit, fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.simulation import SimulatedSession, SimulationSettings, preset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FRAMES = 8


def _session(
    movies: int, *, seed: int, structure: str = "t20s", dose: float = 36.0, **changes: object
) -> SimulatedSession:
    """Still specimens: what is tested is the fit, not the alignment."""
    base = preset("standard")
    settings: SimulationSettings = dataclasses.replace(
        base,
        seed=seed,
        movies=movies,
        frame_count=FRAMES,
        dose_per_frame_e_per_a2=dose / FRAMES,
        specimen=dataclasses.replace(base.specimen, structure=structure),
        optics=dataclasses.replace(
            base.optics, defocus_min_angstrom=5_000.0, defocus_max_angstrom=30_000.0, astigmatism_sd_angstrom=700.0
        ),
        stage=dataclasses.replace(
            base.stage,
            drift_kinds=("still",),
            drift_weights=(1.0,),
            jitter_sd_angstrom=0.0,
            local_motion_rms_angstrom=0.0,
        ),
    )
    for section, values in changes.items():
        assert isinstance(values, dict)
        settings = dataclasses.replace(settings, **{section: dataclasses.replace(getattr(settings, section), **values)})
    return SimulatedSession(settings)


def _fit(session: SimulatedSession, index: int) -> CtfFit:
    movie = session.movie(index)
    image = torch.zeros(movie.height_px, movie.width_px)
    for frame in movie.corrected_frames():
        image += frame
    optics = session.settings.optics
    return fit_ctf(
        image,
        pixel_size_angstrom=session.settings.pixel_size_angstrom,
        optics=RingOptics(optics.voltage_kv, optics.cs_mm, optics.amplitude_contrast),
        settings=CtfSettings(),
        electrons_per_px=movie.truth.expected_counts_per_px_per_frame * FRAMES,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(("structure", "seed", "dose"), [("t20s", 71, 36.0), ("gltph", 72, 40.0)])
def test_defocus_astigmatism_and_errors_over_twenty_movies(structure: str, seed: int, dose: float) -> None:
    session = _session(20, seed=seed, structure=structure, dose=dose)
    defocus, astigmatism, angle, pulls = [], [], [], []
    for index in range(20):
        truth, fit = session.movie(index).truth, _fit(session, index)
        estimate = fit.estimate
        true_size = truth.defocus_u_angstrom - truth.defocus_v_angstrom
        size = estimate.defocus_u_angstrom - estimate.defocus_v_angstrom
        error = 0.5 * (
            estimate.defocus_u_angstrom
            + estimate.defocus_v_angstrom
            - truth.defocus_u_angstrom
            - truth.defocus_v_angstrom
        )
        limit = max(150.0, 5.0 * estimate.defocus_sd_angstrom)
        assert not (estimate.reliable and abs(error) > limit), (index, error, fit.evidence)
        defocus.append(abs(error))
        astigmatism.append(abs(size - true_size))
        pulls.append(error / estimate.defocus_sd_angstrom)
        if true_size >= 300.0:
            angle.append(abs((estimate.astigmatism_angle_deg - truth.astigmatism_angle_deg + 90.0) % 180.0 - 90.0))
    assert np.percentile(defocus, 95) < 150.0
    assert np.median(defocus) < 60.0
    assert np.percentile(astigmatism, 95) < 100.0
    assert np.median(astigmatism) < 60.0
    assert np.median(angle) < 5.0
    assert 0.5 < math.sqrt(np.mean(np.square(pulls))) < 1.6


def test_an_unaligned_drifting_movie_is_right_or_flagged() -> None:
    session = _session(
        8, seed=73, stage={"drift_kinds": ("drifting",), "drift_total_angstrom": 12.0, "jitter_sd_angstrom": 0.15}
    )
    for index in range(8):
        truth, estimate = session.movie(index).truth, _fit(session, index).estimate
        mean = 0.5 * (estimate.defocus_u_angstrom + estimate.defocus_v_angstrom)
        error = mean - 0.5 * (truth.defocus_u_angstrom + truth.defocus_v_angstrom)
        assert not estimate.reliable or abs(error) < max(150.0, 5.0 * estimate.defocus_sd_angstrom)


def test_carbon_shows_its_own_height() -> None:
    """The film lies on one side of the ice, half of the ice's thickness (100-250 A) from the plane of the truth."""
    session = _session(6, seed=74, specimen={"carbon_thickness_nm": 10.0})
    for index in range(6):
        truth, estimate = session.movie(index).truth, _fit(session, index).estimate
        mean = 0.5 * (estimate.defocus_u_angstrom + estimate.defocus_v_angstrom)
        error = mean - 0.5 * (truth.defocus_u_angstrom + truth.defocus_v_angstrom)
        half_thickness = 5.0 * truth.ice_thickness_nm
        assert estimate.reliable
        # The rings of ice and protein pull the answer somewhat towards the middle.
        assert 0.5 * half_thickness < error < half_thickness + 60.0, (index, error, half_thickness)


def test_sparse_proteins_without_any_rings_of_the_ice_are_right_or_flagged() -> None:
    """A dozen particles in featureless ice: hardly anything to fit, and the verdict has to say so."""
    session = _session(
        12,
        seed=75,
        structure="apoferritin",
        specimen={"ice_structure_noise": False, "denatured_film_angstrom": 0.0},
    )
    for index in range(12):
        truth, fit = session.movie(index).truth, _fit(session, index)
        estimate = fit.estimate
        mean = 0.5 * (estimate.defocus_u_angstrom + estimate.defocus_v_angstrom)
        error = mean - 0.5 * (truth.defocus_u_angstrom + truth.defocus_v_angstrom)
        astigmatism = estimate.defocus_u_angstrom - estimate.defocus_v_angstrom
        astigmatism -= truth.defocus_u_angstrom - truth.defocus_v_angstrom
        assert not estimate.defocus_known or abs(error) < 500.0, (index, error, fit.evidence)
        known, spread = estimate.defocus_known, 5.0 * estimate.defocus_sd_angstrom
        assert not known or abs(error) < max(150.0, spread), (index, error, fit.evidence)
        spread = 4.0 * estimate.astigmatism_sd_angstrom
        assert not estimate.reliable or abs(astigmatism) < max(150.0, spread), (index, astigmatism, fit.evidence)
