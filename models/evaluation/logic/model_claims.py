"""Claims about a crystal or helix as integers.

Metric in 1/1000 A2, lengths in 1/1000 A, fractional coordinates in 1/24000 of an edge (so that a translation of 1/24 is
a whole number). Measured numbers carry an error, and everything is rounded outward, in favour of the claim.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from frazil.models.evaluation.logic.statements import Claim
from frazil.models.symmetry_model import TRANSLATION_UNIT, Cell, Helix, Operation, SymmetryModel

GRID = 1000 * TRANSLATION_UNIT
"""Parts of a cell edge in which coordinates are counted."""
_MOST_SHIFTS = 4
_TWIST_ERROR_DEG, _RISE_ERROR, _PITCH_ERROR = 0.01, 0.005, 0.01
"""What rise, twist and pitch are rarely known better than: 0.01 deg, 0.5 %, 1 %."""


def model_claims(
    model: SymmetryModel, *, box_px: int | None = None, pixel_size_angstrom: float | None = None
) -> Iterator[Claim]:
    """All that follows from what the model says; what it does not say makes no claim."""
    box = None if box_px is None or pixel_size_angstrom is None else (box_px, _up(pixel_size_angstrom))
    if model.cell is not None:
        yield from _cell_claims(model, model.cell, box)
    if model.operations:
        yield from _operation_claims(model)
    if model.helix is not None:
        yield from _helix_claims(model.name, model.helix, box)


def _cell_claims(model: SymmetryModel, cell: Cell, box: tuple[int, int] | None) -> Iterator[Claim]:
    metric, error = integer_metric(cell)
    entries = _entries(metric)
    face_slack = max(_growth(metric, error, (i, j)) for i, j in itertools.combinations(range(3), 2))
    volume_slack = _growth(metric, error, (0, 1, 2))
    yield Claim("cell-positive", model.name, {**entries, "face_slack": face_slack, "slack": volume_slack})
    if box is not None:
        longest = max(cell.lengths_angstrom) * (1.0 - cell.error_percent / 100.0)
        yield Claim("cell-in-box", model.name, {"box": box[0], "pixel": box[1], "edge": _down(longest)})
    if model.molecules_per_cell is not None and model.molecular_mass_da is not None:
        mass = model.molecules_per_cell * model.molecular_mass_da
        yield Claim(
            "matthews",
            model.name,
            {**entries, "slack": volume_slack, "mass_down": math.floor(mass), "mass_up": math.ceil(mass)},
        )
    if model.operations:
        yield Claim(
            "cell-fits-operations",
            model.name,
            {"operations": flat(model.operations), "metric": _nine(metric), "error": _nine(error)},
        )
        # Angles that close no cell leave nothing to pack: `cell-positive` is refuted then.
        if model.spheres and np.linalg.eigvalsh(cell.metric_a2())[0] > 1e-9 * metric.max() / 1000:
            yield Claim("mates-apart", model.name, _mates(model, cell, metric, error))


def _operation_claims(model: SymmetryModel) -> Iterator[Claim]:
    operations = flat(model.operations)
    yield Claim("operations-closed", model.name, {"operations": operations})
    count = len(model.operations)
    if model.expected_operations is not None:
        yield Claim("operations-order", model.name, {"order": count, "expected": model.expected_operations})
    if model.chiral:
        yield Claim("operations-proper", model.name, {"operations": operations})
    molecules = model.molecules_per_cell
    if molecules is not None:
        yield Claim("cell-contents", model.name, {"molecules": molecules, "order": count, "copies": molecules // count})


def _helix_claims(name: str, helix: Helix, box: tuple[int, int] | None) -> Iterator[Claim]:
    rise, twist = _up(helix.rise_angstrom), round(1000 * helix.twist_deg)
    yield Claim("helix-rises", name, {"rise": rise, "twist": twist})
    if helix.pitch_angstrom is not None:  # twist/360 of a turn rises by `rise`: pitch x twist = 360 rise
        pitch = round(1000 * helix.pitch_angstrom)
        slack = pitch * (1000 * _TWIST_ERROR_DEG + 1) + abs(twist) * (_PITCH_ERROR * pitch + 1)
        slack += 360_000 * (_RISE_ERROR * rise + 1)
        yield Claim("helix-pitch", name, {"turn": abs(twist), "pitch": pitch, "rise": rise, "slack": math.ceil(slack)})
    if helix.hand is not None:
        yield Claim("helix-handed", name, {"hand": 1 if helix.hand == "right" else -1, "twist": twist})
    if box is not None:
        yield Claim("helix-in-box", name, {"box": box[0], "pixel": box[1], "rise": _down(helix.rise_angstrom)})


def _mates(
    model: SymmetryModel, cell: Cell, metric: NDArray[np.int64], error: NDArray[np.int64]
) -> dict[str, int | tuple[int, ...]]:
    """Spheres as (x, y, z, radius), four numbers each; lattice shifts up to `shift_x`, `_y`, `_z` are looked at.

    Two centres whose fractional coordinates are in [0, 1) are, shifted by s along an edge, at least (|s| - 1) of the
    planes' spacing apart: beyond `shift` no two spheres can meet.
    """
    numbers: list[int] = []
    # A centre is off by half a part of the grid at most, on both sides.
    rounding = sum(cell.lengths_angstrom) / GRID
    for sphere in model.spheres:
        numbers += [round(GRID * x) % GRID for x in sphere.centre_fractional]
        numbers.append(max(0, _down(sphere.radius_angstrom - rounding)))
    # Spacing of lattice planes: 1 / |a*_i|.
    spacing = 1.0 / np.sqrt(np.diag(np.linalg.inv(cell.metric_a2())))
    reach = 2.0 * max(sphere.radius_angstrom for sphere in model.spheres)
    shifts = [min(_MOST_SHIFTS, max(1, math.ceil(reach / length))) for length in spacing]
    return {
        "operations": flat(model.operations),
        "spheres": tuple(numbers),
        "metric": _nine(metric),
        "error": _nine(error),
        "shifts": tuple(shifts),
    }


def integer_metric(cell: Cell) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Metric and its error, (3, 3) each, in 1/1000 A2; the error holds what rounding adds."""
    metric = np.rint(1000 * cell.metric_a2()).astype(np.int64)
    return metric, np.ceil(1000 * cell.metric_error_a2()).astype(np.int64) + 1


def flat(operations: tuple[Operation, ...]) -> tuple[int, ...]:
    """Twelve integers an operation: W by rows, and w in 24ths, within 0 to 23."""
    return tuple(
        number
        for operation in operations
        for number in (*operation.rotation, *(w % TRANSLATION_UNIT for w in operation.translation_24ths))
    )


def _growth(metric: NDArray[np.int64], error: NDArray[np.int64], rows: tuple[int, ...]) -> int:
    """How far a principal minor can be off: every product of its expansion grows by its entries' errors at most."""
    total = 0
    for columns in itertools.permutations(rows):
        pairs = list(zip(rows, columns, strict=True))
        total += math.prod(abs(int(metric[p])) + int(error[p]) for p in pairs)
        total -= math.prod(abs(int(metric[p])) for p in pairs)
    return total


def _entries(metric: NDArray[np.int64]) -> dict[str, int]:
    return {f"g{i + 1}{j + 1}": int(metric[i, j]) for i in range(3) for j in range(i, 3)}


def _nine(matrix: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(value) for value in matrix.ravel())


def _up(value: float) -> int:
    return math.ceil(1000 * value)


def _down(value: float) -> int:
    return math.floor(1000 * value)
