"""The session's claims as integers: what provers decide (`proving`).

Measured numbers are rounded outward, in favour of the claim, to 1/1000 of their unit: what is refuted is refuted for
the measured numbers too. A proof speaks of the rounded claim, not of the map.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import scipy.spatial

from frazil.models.evaluation.facts import MapFacts, MovieFacts, RoundFacts
from frazil.models.evaluation.logic.model_claims import model_claims
from frazil.models.evaluation.logic.statements import Claim
from frazil.models.reconstruction.orientation.orientation_search import SHIFT_REACH_DIAMETERS
from frazil.models.reconstruction.orientation.symmetry import symmetry_matrices

_MOST_GROUP_ELEMENTS = 240
_NOT_A_NUMBER = 99_999
"""Outside of every range, so that it is refuted."""


def movie_claims(facts: MovieFacts) -> Iterator[Claim]:
    """What the pipeline claims of one movie; what nobody said makes no claim."""
    result, metadata = facts.result, facts.metadata
    name, frames = result.movie_id, result.header.frame_count
    yield Claim("frames-counted", name, {"frames": frames, "shifts": len(result.shifts.shift_x_angstrom)})
    counted_fractions = result.header.raw_frame_count is not None
    promised = None if metadata is None else metadata.frame_count
    if promised is not None and not counted_fractions and not result.quality.already_summed:
        yield Claim("frames-promised", name, {"frames": frames, "promised": promised})
    dose = facts.dose_per_frame_e_per_a2
    total = None if metadata is None else metadata.total_dose_e_per_a2
    if dose is not None and total is not None:
        slack = 0.06 * total + (dose if counted_fractions else 0.0)
        yield Claim(
            "dose-adds-up",
            name,
            {"frames": frames, "dose": _near(dose), "total": _near(total), "slack": _up(slack) + frames},
        )
    if dose is not None and facts.pixel_size_angstrom is not None:
        counts = result.quality.dose_per_frame_e_per_px
        if math.isfinite(counts):
            yield Claim(
                "dose-arrives",
                name,
                {"counts": _down(counts), "dose": _up(dose), "pixel": _up(facts.pixel_size_angstrom)},
            )
    ctf = result.ctf
    if ctf.reliable and ctf.fit_resolution_angstrom is not None:
        pixel = _down(result.pixel_size_angstrom)
        yield Claim("fit-above-nyquist", name, {"resolution": _up(ctf.fit_resolution_angstrom), "pixel": pixel})
    yield Claim("defocus-ordered", name, {"u": _up(ctf.defocus_u_angstrom), "v": _down(ctf.defocus_v_angstrom)})
    yield Claim("one-result-per-file", name, {"results": facts.results_of_same_file})
    if facts.half_set is not None:
        yield from _half_set_claims(facts, facts.half_set)


def _half_set_claims(facts: MovieFacts, half_set: tuple[int, ...]) -> Iterator[Claim]:
    name = facts.result.movie_id
    first, second = half_set.count(1), half_set.count(2)
    yield Claim("halves-complete", name, {"first": first, "second": second, "particles": len(facts.result.picks.x_px)})
    fibre = facts.half_set_fibre if len(facts.half_set_fibre) == len(half_set) else ()
    largest = max(Counter(fibre).values(), default=1)
    yield Claim("halves-balanced", name, {"first": first, "second": second, "largest": largest})
    where = zip(half_set, facts.half_set_x_px, facts.half_set_y_px, strict=False)
    halves: dict[int, list[int]] = {1: [], 2: []}
    for half, x, y in where:
        if half in halves:  # one number a place: 1/10 px, and no picture is 10^7 of that wide
            halves[half].append(round(10 * y) * 10**7 + round(10 * x))
    yield Claim("halves-disjoint", name, {"first": tuple(halves[1]), "second": tuple(halves[2])})
    # Of a result of before fibres were numbered no fibre is known: nothing is claimed of it but this.
    in_half = [{number for number, of in zip(fibre, half_set, strict=False) if of == half} for half in (1, 2)]
    yield Claim("fibres-whole", name, {"first": tuple(sorted(in_half[0])), "second": tuple(sorted(in_half[1]))})
    yield from _apart_claim(facts, half_set)


def _apart_claim(facts: MovieFacts, half_set: tuple[int, ...]) -> Iterator[Claim]:
    """Of particles, whose boxes may share pixels. Not of segments: those of one fibre are held together instead, and
    where two fibres cross they share pixels in whatever halves they are."""
    diameter, pixel = facts.result.picks.diameter_angstrom, facts.result.pixel_size_angstrom
    if facts.half_set_fibre or diameter is None or len(facts.half_set_x_px) != len(half_set):
        return
    places = np.column_stack([facts.half_set_x_px, facts.half_set_y_px])
    halves = np.array(half_set)
    if not ((halves == 1).any() and (halves == 2).any()):
        return
    away, _ = scipy.spatial.cKDTree(places[halves == 1]).query(places[halves == 2])
    nearest = float(np.min(away))
    reach = 2 * SHIFT_REACH_DIAMETERS * diameter / pixel
    if math.isfinite(nearest):
        integers = {"nearest": math.ceil(10 * nearest), "reach": math.floor(10 * reach)}
        yield Claim("halves-apart", facts.result.movie_id, integers)


def session_claims(facts: RoundFacts) -> Iterator[Claim]:
    """What is claimed of the session as a whole."""
    box, pixel, diameter = facts.box_px, facts.micrograph_pixel_size_angstrom, facts.diameter_angstrom
    if box is not None and pixel is not None and diameter is not None:
        yield Claim("box-holds-particle", "session", {"box": box, "pixel": _up(pixel), "diameter": _down(diameter)})
    yield from group_claims(facts.symmetry)
    if facts.map is not None:
        yield from map_claims(facts.map, pixel)
    if facts.model is not None:
        yield from model_claims(facts.model, box_px=box, pixel_size_angstrom=pixel)


def group_claims(symmetry: str) -> Iterator[Claim]:
    """Of the rotations that the reconstruction really uses: their number, multiplication table and handedness.

    The table holds indices (row times column), -1 where the product is none of them; `handed` is 1000 det. Groups of
    more than 240 rotations make no claim: their table costs more than it tells.
    """
    expected = group_order(symmetry)
    if expected is None or expected > _MOST_GROUP_ELEMENTS:
        return
    rotations = symmetry_matrices(symmetry)
    yield Claim("group-order", symmetry, {"order": len(rotations), "expected": expected})
    products = np.einsum("aij,bjk->abik", rotations, rotations).reshape(-1, 9)
    distance = np.abs(products[:, None, :] - rotations.reshape(1, -1, 9)).max(axis=2)
    table = np.where(distance.min(axis=1) < 1e-3, distance.argmin(axis=1), -1)
    handed = np.round(1000 * np.linalg.det(rotations)).astype(int)
    yield Claim(
        "group-closed",
        symmetry,
        {"order": len(rotations), "table": tuple(table.tolist()), "handed": tuple(handed.tolist())},
    )


def group_order(symmetry: str) -> int | None:
    """Number of rotations of a point group by its name: C_n n, D_n 2n, T 12, O 24, I 60; None: not a point group."""
    name = symmetry.strip().upper()
    if name[:1] in ("C", "D") and name[1:].isdigit() and int(name[1:]) > 0:
        return int(name[1:]) * (2 if name[0] == "D" else 1)
    return {"T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60, "I3": 60, "I4": 60}.get(name)


def map_claims(facts: MapFacts, micrograph_pixel_size_angstrom: float | None = None) -> Iterator[Claim]:
    """Of a round of the running map; FSC values in 1/10000, frequencies in 1/(1000000 A)."""
    subject = f"map round {facts.round}"
    yield Claim(
        "map-counts",
        subject,
        {
            "movies": facts.movie_count,
            "processed": facts.processed_movie_count,
            "particles": facts.particle_count,
            "extracted": facts.extracted_particle_count,
        },
    )
    if facts.half_set_particle_counts is not None:
        first, second = facts.half_set_particle_counts
        halves = {"first": first, "second": second}
        yield Claim(
            "map-halves-sum",
            subject,
            {**halves, "particles": facts.halved_particle_count, "in_map": facts.particle_count},
        )
        slack = facts.processed_movie_count + facts.fibre_slack
        yield Claim("map-halves-balanced", subject, {**halves, "slack": slack})
    resolution, pixel = facts.resolution_0143_angstrom, micrograph_pixel_size_angstrom
    if resolution is not None and pixel is not None:
        yield Claim("map-within-pixels", subject, {"resolution": _up(resolution), "pixel": _down(pixel)})
    if not facts.fsc:
        return
    fsc = tuple(round(10_000 * value) if math.isfinite(value) else _NOT_A_NUMBER for value in facts.fsc)
    yield Claim("fsc-in-range", subject, {"fsc": fsc})
    yield Claim("fsc-starts-high", subject, {"fsc": fsc})
    if resolution is None:
        return
    frequency = tuple(round(1e6 * value) for value in facts.frequency_per_angstrom)
    claimed = round(1e6 / resolution)
    yield Claim("map-above-nyquist", subject, {"frequency": claimed, "last": frequency[-1]})
    yield Claim("fsc-crosses-where-claimed", subject, {"fsc": fsc, "at": frequency, "claimed": claimed})


def _near(value: float) -> int:
    return round(1000 * value)


def _up(value: float) -> int:
    return math.ceil(1000 * value)


def _down(value: float) -> int:
    return math.floor(1000 * value)
