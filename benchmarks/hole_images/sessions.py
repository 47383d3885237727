"""Sessions of which images and some exposures are known: what a calibration is given, and apart from it the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.hole_images.pictures import Drawn, PictureSettings, drawn
from frazil.models.causal.counts import ice_by_counts, ln_likelihood, prior_ln_weight
from frazil.models.hole_images.ice_calibration import Brightness, Exposed, Reference
from frazil.models.hole_images.looks import LOOKS, Array, Empty, HoleLooks, HolePlaces, places_in_image
from frazil.models.hole_images.square import square_look
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import ExposureFacts, MovieEvidence
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.images import measured as by_disk
from frazil.models.simulation.grid.images import square_image, square_sheet
from frazil.models.simulation.grid.settings import GridSettings
from frazil.models.simulation.grid.survey import Brightness as Written
from frazil.models.simulation.grid.truth import GridTruth

Index = npt.NDArray[np.intp]
COUNT_NOISE, PLACE_NOISE = 0.012, 0.04
"""Of ln counts of an exposure; of the ice where the exposure is against that of its hole."""
STATED_E_PER_A2, PIXEL_ANGSTROM = 1.0, 0.83


@dataclass(frozen=True, slots=True)
class Session:
    """Holes of all images, in one list."""

    name: str
    brightness: Brightness
    looks: HoleLooks
    references: tuple[Reference, ...]
    ice_nm: Array
    """True; 0: none."""
    clean: npt.NDArray[np.bool_]
    """Asked about: has ice, and nothing else lies in it."""
    open_holes: npt.NDArray[np.bool_]
    """May be exposed."""
    seed: int

    def exposed(self, count: int) -> Exposed:
        """By their counts, through a camera whose zero nobody knows; of the first half of the images."""
        rng = np.random.default_rng([self.seed, 31])
        images = int(self.brightness.image.max()) + 1
        first = self.open_holes & (self.brightness.image < max(1, images // 2))
        hole = rng.choice(np.flatnonzero(first), min(count, int(first.sum())), replace=False)
        zero = float(rng.normal(-0.06, 0.05))
        ice = self.ice_nm[hole] * np.exp(PLACE_NOISE * rng.normal(size=len(hole)))
        ln_counts = zero - ice / inelastic_mean_free_path_nm(300.0) + COUNT_NOISE * rng.normal(size=len(hole))
        movies = [_movie(float(value)) for value in ln_counts]
        belief = prior_ln_weight() + sum(part for one in movies if (part := ln_likelihood(one)) is not None)
        told = [one for movie in movies if (one := ice_by_counts(movie, belief)) is not None]
        return Exposed(
            hole, np.array([one.thickness_nm for one in told]), np.array([one.own_sd_nm for one in told]),
            max((one.zero_sd_nm for one in told), default=0.0),
        )  # fmt: skip


def _movie(ln_counts: float) -> MovieEvidence:
    facts = ExposureFacts(stated_dose_per_frame_e_per_a2=STATED_E_PER_A2, energy_filter=True)
    counts = STATED_E_PER_A2 * PIXEL_ANGSTROM**2 * math.exp(ln_counts)
    return MovieEvidence(
        (), (), (), 0.2, 40, 1.0, 0.0, counts, PIXEL_ANGSTROM, 300.0, 2.7, None, None, log_ssnr=(), log_ssnr_sd=0.25,
        exposure=facts,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Measured:
    places: HolePlaces
    looks: HoleLooks
    empty: Empty | None


def _joined(measured: Sequence[_Measured]) -> tuple[Brightness, HoleLooks, tuple[Reference, ...]]:
    image = np.concatenate([np.full(len(one.places), at, dtype=np.intp) for at, one in enumerate(measured)])
    looks = HoleLooks(*(np.concatenate([getattr(one.looks, name) for one in measured]) for name in LOOKS))
    at = [places_in_image(one.places, one.places.x_px, one.places.y_px) for one in measured]
    u, v = (np.concatenate([pair[axis] for pair in at]) for axis in (0, 1))
    references = []
    for number, one in enumerate(measured):
        if one.empty is not None:
            x, y = np.array([one.empty.x_px]), np.array([one.empty.y_px])
            there = [float(part[0]) for part in places_in_image(one.places, x, y)]
            references.append(Reference(number, one.empty.ln_intensity, one.empty.ln_intensity_sd, *there))
    return Brightness(image, looks.ln_intensity, looks.ln_intensity_sd, u, v), looks, tuple(references)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a session is of."""

    truth: GridTruth
    hole: Index
    """Index of each of the session's holes in the truth."""
    written: Written
    """Mean and SD of every hole of the grid as its program writes them down, by the same images."""


def of_grid(settings: GridSettings) -> tuple[Session, Surveyed]:
    """Of a simulated grid: its surveyed squares."""
    truth = draw_grid(settings)
    measured, members = [], []
    written = Written(np.zeros(len(truth.holes)), np.zeros(len(truth.holes)))
    for square in (at for at, one in enumerate(truth.squares) if one.surveyed):
        mine = np.flatnonzero(truth.holes.square == square)
        sheet, one = square_sheet(truth, square), truth.squares[square]
        x, y = sheet.pixel(one.x_um + truth.holes.x_um[mine], one.y_um + truth.holes.y_um[mine])
        places = HolePlaces(x, y, settings.film.hole_diameter_um / sheet.um_per_px)
        image = square_image(truth, square)
        look, looks = square_look(image, places)
        measured.append(_Measured(places, looks, look.empty))
        members.append(mine)
        by_program = by_disk(truth, square, image)
        written.mean[mine], written.sd[mine] = by_program.mean, by_program.sd
    brightness, looks, references = _joined(measured)
    holes, at = truth.holes, np.concatenate(members)
    whole = (holes.ice_nm[at] > 0.0) & (holes.bar_um[at] >= settings.film.near_bar_um)
    whole &= np.isfinite(looks.ln_intensity)
    session = Session(
        f"{settings.kind} {settings.seed}", brightness, looks, references, holes.ice_nm[at],
        whole & (holes.cover[at] == 0.0), whole, settings.seed,
    )  # fmt: skip
    return session, Surveyed(truth, at, written)


def of_pictures(name: str, settings: Sequence[PictureSettings], seed: int) -> tuple[Session, list[Drawn]]:
    """Of images by the other law; also the truth of each."""
    found = [drawn(one, seed + 1000 * number) for number, one in enumerate(settings)]
    measured = []
    for one in found:
        places = HolePlaces(one.x_px, one.y_px, one.diameter_px)
        look, looks = square_look(one.image, places)
        measured.append(_Measured(places, looks, look.empty))
    brightness, looks, references = _joined(measured)
    ice, dark, covered, torn, whole = (
        np.concatenate([getattr(one, part) for one in found])
        for part in ("ice_nm", "dark_share", "covered_share", "torn", "whole")
    )
    usable = whole & ~torn & (ice > 0.0) & np.isfinite(looks.ln_intensity)
    clean = usable & (dark < 0.01) & (covered == 0.0)
    return Session(name, brightness, looks, references, ice, clean, usable, seed), found
