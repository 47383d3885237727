"""Picking without a reference: from a diameter, or from nothing, to particles or to segments of fibres.

Nothing is picked in regions where it could not be told from what lies there (`segmentation.py`). Elsewhere each place
is judged by the evidence of dense parts in a disc (`matched_filter.py`), against a background that is measured between
the particles, and a pick is believed as far as false ones are expected to be few (`calibration.py`). Where these picks
are pieces of lines, the lines are traced instead (`filaments.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.spatial
import torch
from torch import Tensor

from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.particles import calibration, filaments, matched_filter
from frazil.models.particles.calibration import Peaks
from frazil.models.particles.filaments import Filament
from frazil.models.particles.matched_filter import WorkingImage
from frazil.models.particles.segmentation import Regions, segment
from frazil.models.records import CtfEstimate, ParticlePicks

_TRIED_DIAMETERS_ANGSTROM = (80.0, 100.0, 125.0, 155.0, 190.0, 240.0, 300.0)
"""What is tried when nobody gave a diameter."""
_RANGE_STEP = 1.25
"""Between the diameters that are tried in a range, at most."""
_TRIED_WIDTHS_ANGSTROM = (60.0, 90.0, 140.0)
"""Of fibres, likewise."""
_MOST_FALSE = 0.2
"""False picks that are expected in a micrograph in which there is nothing."""
_FALSE_SHARE = 0.05
"""Of the picks, where there are many."""
_ROUNDS = 3
"""Each measures the background where the one before has left no particle."""
_ROUNDS_TO_COMPARE = 1
_STANDS_OUT, _STANDS_OUT_IN_A_CROWD = 9.8, 7.0
"""What does so is not background. Of noise, whose scores have a long tail, next to nothing does; in a crowd the spread
is that of the particles at first, and a lower bar brings in few places of noise among many of theirs."""
_NOISE_PEAKS = 0.04
"""Of noise above the lower bar, in an area of one diameter squared."""
_CLEARANCE = 0.75
"""Diameters around a pick that are not background."""
_FROM_MASKED = 0.4
"""Diameters from a masked region to the nearest pick."""
_LEAST_BACKGROUND = 0.06
"""Share of the image that must be left to measure the noise on."""
_QUIET_SHARE = 0.3
_MAX_PICKS = 5000


def pick_particles(
    image: Tensor,
    *,
    pixel_size_angstrom: float,
    diameter_angstrom: float | None,
    least_diameter_angstrom: float | None = None,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    device: torch.device,
    regions: Regions | None = None,
) -> ParticlePicks:
    """Find particles in an aligned micrograph (h, w), specimen dark.

    Returns centres in pixels of `image` (RELION coordinates: x along columns, y along rows, 0-based), the best first; a
    score is in units of the background's standard deviation. Of a range (from `least_diameter_angstrom` on), or
    with no diameter given, the tried one whose picks carry most evidence is used. In a micrograph of fibres
    (`filaments.py`) the picks are segments along them, and the diameter is their width. `regions`: what `segment` says
    of this image, where somebody has asked already.
    """
    image = image.to(device, torch.float32)
    if regions is None:
        regions = segment(image, pixel_size_angstrom)
    wanted = _wanted(diameter_angstrom, least_diameter_angstrom)
    # A field must hold two particles side by side.
    tried = [one for one in wanted if 2 * one <= min(image.shape) * pixel_size_angstrom]
    if not tried:
        return ParticlePicks(diameter_angstrom=diameter_angstrom)
    size = tried[0] if len(tried) == 1 else _size(image, regions, pixel_size_angstrom, tried, ctf, acquisition)
    work = matched_filter.working_image(image, regions, pixel_size_angstrom, size)
    globular = ParticlePicks(diameter_angstrom=diameter_angstrom)
    best = _look(work, ctf, acquisition)
    if best is not None:
        # In a small field full of particles all of it is taken for background at first, and none stands out: looked at
        # again from its quietest places on. Each look has its part of the false picks.
        looks = [best, _look(work, ctf, acquisition, start=_quietest(best))]
        found = [_believed(one, _MOST_FALSE / len(tried) / len(looks)) for one in looks if one is not None]
        picks = max(found, key=lambda one: len(one.score))
        if len(picks.score):
            globular = _in_micrograph(picks, work)
    widths = _TRIED_WIDTHS_ANGSTROM if diameter_angstrom is None else wanted
    fibres = _fibre_segments(image, regions, pixel_size_angstrom, widths, ctf, acquisition)
    return fibres if _lie_on(globular, fibres, pixel_size_angstrom) else globular


def _wanted(diameter_angstrom: float | None, least_diameter_angstrom: float | None) -> tuple[float, ...]:
    """The diameters to try, the least first."""
    if diameter_angstrom is None:
        return _TRIED_DIAMETERS_ANGSTROM
    if least_diameter_angstrom is None or least_diameter_angstrom >= diameter_angstrom:
        return (diameter_angstrom,)
    steps = max(1, math.ceil(math.log(diameter_angstrom / least_diameter_angstrom) / math.log(_RANGE_STEP) - 1e-9))
    return tuple(float(one) for one in np.geomspace(least_diameter_angstrom, diameter_angstrom, steps + 1))


def _fibre_segments(
    image: Tensor,
    regions: Regions,
    pixel_size_angstrom: float,
    widths_angstrom: Sequence[float],
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
) -> ParticlePicks:
    """Segments one width apart on the fibres of the width whose fibres are longest and clearest; empty without
    fibres."""
    best, most = ParticlePicks(), 0.0
    for width in widths_angstrom:
        if 2 * width > min(image.shape) * pixel_size_angstrom:
            continue
        work = matched_filter.working_image(
            image, regions, pixel_size_angstrom, width, filaments.WORKING_PIXELS_PER_WIDTH
        )
        found = filaments.find_filaments(work, ctf, acquisition, spacing_angstrom=width)
        clear = sum(float(one.score.sum()) for one in found) * width
        if clear > most:
            best, most = _segments(found, width), clear
    return best


def _segments(found: Sequence[Filament], width_angstrom: float) -> ParticlePicks:
    """Of all fibres, the best first."""
    x, y, score, along, axis = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("x_px", "y_px", "score", "along_angstrom", "angle_deg")
    )
    fibre = np.repeat(np.arange(1, len(found) + 1), [len(one.x_px) for one in found])
    order = np.argsort(-score, kind="stable")[:_MAX_PICKS]
    return ParticlePicks(
        x_px=tuple(x[order].tolist()),
        y_px=tuple(y[order].tolist()),
        score=tuple(score[order].tolist()),
        diameter_angstrom=width_angstrom,
        fibre=tuple(fibre[order].tolist()),
        along_angstrom=tuple(along[order].tolist()),
        axis_deg=tuple(axis[order].tolist()),
    )


def _lie_on(globular: ParticlePicks, fibres: ParticlePicks, pixel_size_angstrom: float) -> bool:
    """Whether what looks like particles is pieces of the fibres."""
    if not fibres.x_px or fibres.diameter_angstrom is None:
        return False
    if not globular.x_px:
        return True
    axis = np.column_stack([fibres.x_px, fibres.y_px])
    away = scipy.spatial.cKDTree(axis).query(np.column_stack([globular.x_px, globular.y_px]))[0]
    near = np.asarray(away) * pixel_size_angstrom < max(
        fibres.diameter_angstrom, 0.5 * (globular.diameter_angstrom or 0.0)
    )
    return bool(near.mean() > 0.5)


def _size(
    image: Tensor,
    regions: Regions,
    pixel_size_angstrom: float,
    tried: Sequence[float],
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
) -> float:
    """The tried diameter whose discs hold most evidence.

    A score is evidence against its noise, which grows with the disc's diameter: several small discs on a large
    particle have as much of it together as one of the right size. The evidence itself still grows where a disc is
    larger than the particle. In between, squared scores times the diameter, the right size has most.
    """
    best, most = tried[0], 0.0
    for diameter in tried:
        work = matched_filter.working_image(image, regions, pixel_size_angstrom, diameter)
        seen = _look(work, ctf, acquisition, rounds=_ROUNDS_TO_COMPARE)
        if seen is None:
            continue
        strong = seen.peaks.score[seen.peaks.score > _STANDS_OUT]
        held = float((strong**2).sum()) * diameter
        if held > most:
            best, most = diameter, held
    return best


@dataclass(frozen=True, slots=True)
class _Seen:
    """All peaks of one size, and what they were found with."""

    work: WorkingImage
    peaks: Peaks
    parts: Tensor
    background: Tensor
    filters: Tensor
    disc: Tensor
    allowed: Tensor
    """(h, w) bool: where a pick may lie."""
    away: Tensor
    """(h, w) bool: background."""


def _in_micrograph(picks: Peaks, work: WorkingImage) -> ParticlePicks:
    """In pixels of the micrograph."""
    # The centre of a binned pixel lies between the pixels that it sums.
    offset = (work.factor - 1) / 2
    return ParticlePicks(
        x_px=tuple((picks.x * work.factor + offset).tolist()),
        y_px=tuple((picks.y * work.factor + offset).tolist()),
        score=tuple(picks.score.tolist()),
        diameter_angstrom=work.diameter_px * work.pixel_size_angstrom,
    )


def _look(
    work: WorkingImage,
    ctf: CtfEstimate,
    acquisition: AcquisitionParameters,
    rounds: int = _ROUNDS,
    start: Tensor | None = None,
) -> _Seen | None:
    """Particles of one size; None where the micrograph has no room for them. `start` (h, w) bool: what is taken for
    background at first; None: all that is not masked."""
    margin = math.ceil(work.diameter_px / 2)
    height, width = work.image.shape
    allowed = ~_within(work.masked, _FROM_MASKED * work.diameter_px)
    allowed[:margin], allowed[-margin:], allowed[:, :margin], allowed[:, -margin:] = False, False, False, False
    if min(height, width) < 4 * margin or not bool(allowed.any()):
        return None
    through = matched_filter.transfer(work, ctf, acquisition)
    over = matched_filter.disc(work)
    bands = matched_filter.bands(work)
    away = ~work.masked if start is None else start
    for last in (False,) * rounds + (True,):
        background = matched_filter.background_power(bands, away)
        filters = matched_filter.part_filters(work, through, background)
        part = matched_filter.parts(work.image, filters, away)
        peaks = calibration.find_peaks(matched_filter.evidence(part, over, away), allowed, work.diameter_px)
        clear = away if last else ~work.masked & ~_near(_standing_out(peaks, allowed, work), work)
        if last or float(clear.float().mean()) < _LEAST_BACKGROUND or torch.equal(clear, away):
            break
        away = clear
    return _Seen(work, peaks, part, background, filters, over, allowed, away)


def _believed(seen: _Seen, most_false: float) -> Peaks:
    """The best peaks, as far as few of them are expected to be false.

    Of several sizes one is chosen for what it shows: each has its part of the false picks.
    """
    work = seen.work
    share = max(float(seen.allowed.float().mean()), 1e-6)
    chance, fields = calibration.surrogate_peaks(seen.background, seen.filters, seen.disc, work)
    expected = calibration.expected_false(seen.peaks.score, chance, fields / share)
    lonely = seen.allowed & seen.away
    where = float(lonely.float().mean()) / share
    flipped = matched_filter.evidence(-seen.parts, seen.disc, seen.away)
    if where > _LEAST_BACKGROUND:
        decoys = calibration.find_peaks(flipped, lonely, work.diameter_px).score
        expected = np.maximum(expected, calibration.expected_false(seen.peaks.score, decoys, where))
    # Brighter than dark: a bead with its dark fringe, a hole.
    rows, columns = (torch.from_numpy(at).round().long().to(flipped.device) for at in (seen.peaks.y, seen.peaks.x))
    dark = seen.peaks.score > flipped[rows, columns].cpu().numpy()
    peaks = Peaks(seen.peaks.x[dark], seen.peaks.y[dark], seen.peaks.score[dark])
    taken = calibration.believed(peaks.score, expected[dark], most_false, _FALSE_SHARE)
    return peaks.best(min(taken, _MAX_PICKS))


def _standing_out(peaks: Peaks, allowed: Tensor, work: WorkingImage) -> Peaks:
    """Peaks that are no background."""
    many = int((peaks.score > _STANDS_OUT_IN_A_CROWD).sum())
    if many > 3 * _NOISE_PEAKS * float(allowed.sum()) / work.diameter_px**2:
        return peaks.best(many)
    return peaks.best(int((peaks.score > _STANDS_OUT).sum()))


def _quietest(seen: _Seen) -> Tensor:
    """(h, w) bool: where there is least evidence of a particle."""
    evidence = matched_filter.evidence(seen.parts, seen.disc, seen.away)
    open_places = ~seen.work.masked
    return open_places & (evidence <= torch.quantile(evidence[open_places].float(), _QUIET_SHARE))


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
