"""Reference-free picking: places that look like a particle of a size, as seen through this micrograph's CTF and noise.

Matched filters for balls and shells (`matched_filter.py`), against a background whose power is measured between the particles;
a pick is believed as far as false ones are expected to be few (`calibration.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor

from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.particles import calibration, matched_filter
from frazil.models.particles.calibration import Peaks
from frazil.models.particles.matched_filter import WorkingImage
from frazil.models.particles.segmentation import Regions, segment
from frazil.models.records import CtfEstimate, ParticlePicks

_TRIED_DIAMETERS_ANGSTROM = (80.0, 100.0, 125.0, 155.0, 190.0, 240.0, 300.0, 380.0)
"""What is tried when nobody gave a diameter."""
_MOST_FALSE = 0.5
"""False picks that are expected in a micrograph in which there is nothing."""
_FALSE_SHARE = 0.05
"""Of the picks, where there are many."""
_ROUNDS = 2
"""Each measures the background where the one before has left no particle."""
_STANDS_OUT = 4.5
"""What does so is not background."""
_CLEARANCE = 0.75
"""Diameters around a pick that are not background."""
_FROM_MASKED = 0.4
"""Diameters from a masked region to the nearest pick."""
_LEAST_BACKGROUND = 0.06
"""Share of the image that must be left to measure the noise on."""
_MAX_PICKS = 5000


def pick_particles(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    diameter_angstrom: float | None,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    device: torch.device,
) -> ParticlePicks:
    """Find particles in an aligned micrograph (h, w), specimen dark.

    Returns centres in pixels of `image` (RELION coordinates: x along columns, y along rows, 0-based), the best first; a score is
    in units of the background's standard deviation. With no diameter given, the tried one whose picks carry most evidence is
    used.
    """
    image = image.to(device, torch.float32)
    regions = segment(image, pixel_size_angstrom)
    if diameter_angstrom is not None:
        return _picks(_look(image, regions, pixel_size_angstrom, diameter_angstrom, ctf, acquisition), diameter_angstrom)
    best, best_evidence = ParticlePicks(), 0.0
    for diameter in _TRIED_DIAMETERS_ANGSTROM:
        found = _look(image, regions, pixel_size_angstrom, diameter, ctf, acquisition)
        if found is None:
            continue
        evidence = float((found.peaks.score**2).sum())
        if evidence > best_evidence:
            best, best_evidence = _picks(found, diameter), evidence
    return best


@dataclass(frozen=True, slots=True)
class _Found:
    work: WorkingImage
    peaks: Peaks


def _picks(found: _Found | None, diameter_angstrom: float) -> ParticlePicks:
    """In pixels of the micrograph."""
    if found is None:
        return ParticlePicks(diameter_angstrom=diameter_angstrom)
    factor = found.work.factor
    # The centre of a binned pixel lies between the pixels that it sums.
    offset = (factor - 1) / 2
    return ParticlePicks(
        x_px=tuple((found.peaks.x * factor + offset).tolist()),
        y_px=tuple((found.peaks.y * factor + offset).tolist()),
        score=tuple(found.peaks.score.tolist()),
        diameter_angstrom=diameter_angstrom,
    )


def _look(
    image: Tensor,
    regions: Regions,
    pixel_size_angstrom: float,
    diameter_angstrom: float,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
) -> _Found | None:
    """Particles of one size; None where the micrograph has no room for them."""
    work = matched_filter.working_image(image, regions, pixel_size_angstrom, diameter_angstrom)
    margin = math.ceil(work.diameter_px / 2)
    height, width = work.image.shape
    if min(height, width) < 4 * margin or bool(work.masked.all()):
        return None
    seen = matched_filter.transfer(work, ctf, acquisition)
    over = matched_filter.disc(work)
    allowed = ~_within(work.masked, _FROM_MASKED * work.diameter_px)
    allowed[:margin], allowed[-margin:], allowed[:, :margin], allowed[:, -margin:] = False, False, False, False
    away = ~work.masked
    for last in (False,) * _ROUNDS + (True,):
        background = matched_filter.background_power(work, away)
        filters = matched_filter.part_filters(work, seen, background)
        part = matched_filter.parts(work.image, filters, away)
        found = calibration.find_peaks(matched_filter.evidence(part, over, away), allowed, work.diameter_px)
        if last:
            break
        clear = ~work.masked & ~_near(found.best(int((found.score > _STANDS_OUT).sum())), work)
        if float(clear.float().mean()) < _LEAST_BACKGROUND:
            break
        away = clear
    share = max(float(allowed.float().mean()), 1e-6)
    chance, count = calibration.surrogate_peaks(background, filters, over, (height, width), work.diameter_px)
    expected = calibration.expected_false(found.score, chance, count / share)
    lonely = allowed & away
    where = float(lonely.float().mean()) / share
    if where > _LEAST_BACKGROUND:
        flipped = matched_filter.evidence(-part, over, away)
        decoys = calibration.find_peaks(flipped, lonely, work.diameter_px).score
        expected = np.maximum(expected, calibration.expected_false(found.score, decoys, where))
    taken = calibration.believed(found.score, expected, _MOST_FALSE, _FALSE_SHARE)
    return _Found(work, found.best(min(taken, _MAX_PICKS)))


def _near(peaks: Peaks, work: WorkingImage) -> Tensor:
    """(h, w) bool: within the clearance of a pick."""
    made = torch.zeros_like(work.masked)
    rows, columns = (torch.from_numpy(at).round().long().to(made.device) for at in (peaks.y, peaks.x))
    made[rows, columns] = True
    return _within(made, _CLEARANCE * work.diameter_px)


def _within(places: Tensor, distance_px: float) -> Tensor:
    """(h, w) bool: not farther than a distance from a place that is true."""
    if not bool(places.any()):
        return places.clone()
    away = scipy.ndimage.distance_transform_edt(~places.cpu().numpy())
    return torch.from_numpy(np.asarray(away) <= distance_px).to(places.device)
