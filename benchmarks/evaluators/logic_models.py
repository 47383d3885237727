"""True models, planted faults and random models for `logic_faults.py`.

Truth does not come from the prover's side: space groups are gemmi's tables, crystals have the published cells and
contents of well-known proteins (rounded), radii of spheres come from gemmi's floating-point search for the nearest
symmetry mate, and every fault is planted by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np

from frazil.models.evaluation.facts import MapFacts
from frazil.models.evaluation.logic.claims import group_claims, map_claims
from frazil.models.evaluation.logic.model_claims import model_claims
from frazil.models.evaluation.logic.statements import Claim
from frazil.models.symmetry_model import Cell, Helix, Operation, Sphere, SymmetryModel

# name, space group, a b c alpha beta gamma, molecules per cell, mass of one
CRYSTALS: tuple[tuple[str, str, tuple[float, ...], int, float], ...] = (
    ("lysozyme, triclinic", "P 1", (27.07, 31.25, 33.76, 87.98, 108.0, 112.11), 1, 14_300),
    ("crambin", "P 1 21 1", (40.76, 18.49, 22.33, 90, 90.61, 90), 2, 4_720),
    ("myoglobin", "P 1 21 1", (64.5, 30.9, 34.7, 90, 106.0, 90), 2, 17_800),
    ("haemoglobin, horse", "C 1 2 1", (108.9, 63.2, 54.9, 90, 110.7, 90), 4, 32_000),
    ("trypsin", "P 21 21 21", (54.9, 58.5, 67.6, 90, 90, 90), 4, 23_300),
    ("xylose isomerase", "I 2 2 2", (93.9, 99.5, 102.9, 90, 90, 90), 8, 43_200),
    ("an orthorhombic cell", "C 2 2 21", (60.0, 90.0, 70.0, 90, 90, 90), 8, 20_000),
    ("lysozyme, tetragonal", "P 43 21 2", (79.1, 79.1, 37.9, 90, 90, 90), 8, 14_300),
    ("thaumatin", "P 41 21 2", (58.6, 58.6, 151.8, 90, 90, 90), 8, 22_200),
    ("proteinase K", "P 43 21 2", (67.9, 67.9, 102.0, 90, 90, 90), 8, 28_900),
    ("a tetragonal cell", "I 4", (100.0, 100.0, 80.0, 90, 90, 90), 8, 40_000),
    ("insulin, rhombohedral", "R 3 :H", (82.5, 82.5, 34.0, 90, 90, 120), 18, 5_800),
    ("a rhombohedral cell, primitive", "R 3 :R", (49.0, 49.0, 49.0, 114.7, 114.7, 114.7), 6, 5_800),
    ("T4 lysozyme", "P 32 2 1", (60.9, 60.9, 96.8, 90, 90, 120), 6, 18_600),
    ("myoglobin, hexagonal", "P 6", (91.2, 91.2, 45.9, 90, 90, 120), 6, 17_300),
    ("photoactive yellow protein", "P 63", (66.9, 66.9, 40.8, 90, 90, 120), 6, 14_000),
    ("a hexagonal cell", "P 61 2 2", (80.0, 80.0, 150.0, 90, 90, 120), 12, 28_000),
    ("foot-and-mouth disease virus", "I 2 3", (345.0, 345.0, 345.0, 90, 90, 90), 120, 137_000),
    ("insulin, cubic", "I 21 3", (78.9, 78.9, 78.9, 90, 90, 90), 24, 5_800),
    ("a cubic cell", "P 41 3 2", (100.0, 100.0, 100.0, 90, 90, 90), 24, 16_000),
    ("apoferritin", "F 4 3 2", (184.0, 184.0, 184.0, 90, 90, 90), 96, 20_000),
)
GROUPS = ("C1", "C7", "D7", "T", "O", "I")
TOBACCO_MOSAIC_VIRUS = Helix(1.408, 22.03, 23.0, "right")
PIXEL_ANGSTROM = 1.1


def operations_of(group: str) -> tuple[Operation, ...]:
    """By gemmi's tables."""
    found = gemmi.find_spacegroup_by_name(group)
    return tuple(
        Operation(tuple(entry // 24 for row in one.rot for entry in row), (one.tran[0], one.tran[1], one.tran[2]))
        for one in found.operations()
    )


def nearest_mate_angstrom(model: SymmetryModel, centre: tuple[float, float, float]) -> float:
    """Distance to the nearest symmetry mate of a point, or to its own lattice translation, by gemmi."""
    assert model.cell is not None
    cell = gemmi.UnitCell(*model.cell.lengths_angstrom, *model.cell.angles_deg)
    at = cell.orthogonalize(gemmi.Fractional(*centre))
    found = []
    for operation in model.operations:
        w = np.array(operation.rotation, dtype=float).reshape(3, 3)
        mate = w @ np.array(centre) + np.array(operation.translation_24ths) / 24
        for shift in np.ndindex(7, 7, 7):
            moved = cell.orthogonalize(gemmi.Fractional(*(mate + np.array(shift) - 3 - np.floor(mate))))
            distance = moved.dist(at)
            if distance > 1e-6:
                found.append(distance)
    return float(min(found))


def crystal(number: int, *, reach: float = 0.8) -> SymmetryModel:
    """With one sphere whose diameter is `reach` of the way to its nearest mate."""
    name, group, cell, molecules, mass = CRYSTALS[number]
    operations = operations_of(group)
    a, b, c, alpha, beta, gamma = (float(x) for x in cell)
    model = SymmetryModel(
        f"{name} ({group})", Cell((a, b, c), (alpha, beta, gamma)), operations, len(operations), molecules, mass
    )
    centre = (0.11, 0.23, 0.37)
    radius = 0.5 * reach * nearest_mate_angstrom(model, centre)
    return replace(model, spheres=(Sphere(centre, radius),))


def true_map() -> MapFacts:
    """80 shells of a box of 160 pixels."""
    frequency = np.arange(1, 80) / (160 * PIXEL_ANGSTROM)
    fsc = 1.0 / (1.0 + np.exp(60.0 * (frequency - 0.25)))
    crossing = 0.25 + np.log(1 / 0.143 - 1) / 60.0
    return MapFacts(
        round=1,
        movie_count=10,
        particle_count=1000,
        symmetry="D7",
        resolution_0143_angstrom=float(1 / crossing),
        frequency_per_angstrom=tuple(frequency.tolist()),
        fsc=tuple(fsc.tolist()),
        processed_movie_count=10,
        extracted_particle_count=1000,
        half_set_particle_counts=(503, 497),
        halved_particle_count=1000,
    )


def true_movie_claims() -> list[Claim]:
    """40 frames of 1 e/A2 at 1.1 A, in the integers of `claims`."""
    said: dict[str, dict[str, int | tuple[int, ...]]] = {
        "frames-counted": {"frames": 40, "shifts": 40},
        "frames-promised": {"frames": 40, "promised": 40},
        "dose-adds-up": {"frames": 40, "dose": 1000, "total": 41_000, "slack": 2500},
        "dose-arrives": {"counts": 1130, "dose": 1000, "pixel": 1100},
        "fit-above-nyquist": {"resolution": 3400, "pixel": 1100},
        "defocus-ordered": {"u": 15_200_000, "v": 14_900_000},
        "one-result-per-file": {"results": 1},
        "halves-complete": {"first": 4, "second": 3, "particles": 7},
        "halves-disjoint": {"first": (10**9 + 5, 3, 77), "second": (4, 10**9 + 6)},
        "fibres-whole": {"first": (1, 3), "second": (2,)},
        "halves-apart": {"nearest": 700, "reach": 409},
        "halves-balanced": {"first": 4, "second": 3, "largest": 2},
        "box-holds-particle": {"box": 160, "pixel": 1100, "diameter": 150_000},
    }
    return [Claim(name, "movie", integers) for name, integers in said.items()]


def claims_of(model: SymmetryModel) -> list[Claim]:
    """In a box that holds the cell."""
    longest = max(model.cell.lengths_angstrom) if model.cell else 200.0
    return list(model_claims(model, box_px=int(longest / PIXEL_ANGSTROM) + 10, pixel_size_angstrom=PIXEL_ANGSTROM))


def true_claims() -> list[tuple[str, list[Claim]]]:
    """Every true model by its name."""
    models = [(crystal(number).name, claims_of(crystal(number))) for number in range(len(CRYSTALS))]
    helix = SymmetryModel("tobacco mosaic virus", helix=TOBACCO_MOSAIC_VIRUS)
    models.append((helix.name, claims_of(helix)))
    models += [(f"point group {name}", list(group_claims(name))) for name in GROUPS]
    models.append(("a map", list(map_claims(true_map(), PIXEL_ANGSTROM))))
    models.append(("a movie", true_movie_claims()))
    return models


_LYSOZYME = 7
_MIRROR = (1, 0, 0, 0, 1, 0, 0, 0, -1)
Fault = tuple[str, str, list[Claim]]
"""What was planted, the obligation that it breaks, the claims of the model with the fault."""


def faults() -> list[Fault]:
    """One of every kind that can be made by hand."""
    return [
        *_faults_of_crystals(),
        *_faults_of_cells(),
        *_faults_of_helices(),
        *_faults_of_maps(),
        *_faults_of_movies(),
        *_faults_of_groups(),
    ]


def _in_model(
    words: str, broken: str, change: Callable[[SymmetryModel], SymmetryModel], number: int = _LYSOZYME
) -> Fault:
    return words, broken, claims_of(change(crystal(number)))


def _mirrored(m: SymmetryModel) -> SymmetryModel:
    return replace(m, operations=(*m.operations, Operation(_MIRROR, (0, 0, 0))))


def _unscrewed(m: SymmetryModel) -> SymmetryModel:
    wrong = Operation(m.operations[1].rotation, (0, 0, 7))
    return replace(m, operations=(m.operations[0], wrong, *m.operations[2:]))


def _faults_of_crystals() -> list[Fault]:
    def inverted(m: SymmetryModel) -> SymmetryModel:
        return replace(m, operations=operations_of("P -1"))

    order, closed, proper = "operations-order", "operations-closed", "operations-proper"
    return [
        _in_model("a mirror in a protein's crystal", proper, _mirrored),
        _in_model("the inversion: P -1 for a protein", proper, inverted, 0),
        _in_model("an operation is missing", closed, lambda m: replace(m, operations=m.operations[:-1])),
        _in_model("a screw axis of the wrong pitch", closed, _unscrewed),
        _in_model("the identity is missing", closed, lambda m: replace(m, operations=m.operations[1:])),
        _in_model("an operation twice", closed, lambda m: replace(m, operations=(*m.operations, m.operations[-1]))),
        _in_model("half the operations: wrong order", order, lambda m: replace(m, operations=m.operations[:4])),
    ]


def _faults_of_cells() -> list[Fault]:
    def of_cell(
        lengths: tuple[float, float, float], angles: tuple[float, float, float]
    ) -> Callable[[SymmetryModel], SymmetryModel]:
        return lambda m: replace(m, cell=Cell(lengths, angles))

    fits, right = "cell-fits-operations", (90.0, 90.0, 90.0)
    cell_claims = list(model_claims(crystal(_LYSOZYME), box_px=64, pixel_size_angstrom=PIXEL_ANGSTROM))
    return [
        _in_model("tetragonal with a and b 2 A apart", fits, of_cell((79.1, 77.1, 37.9), right)),
        _in_model("tetragonal with an angle of 93 deg", fits, of_cell((79.1, 79.1, 37.9), (90, 93, 90))),
        _in_model("angles that close no cell", "cell-positive", of_cell((79.1, 79.1, 37.9), (130, 130, 130))),
        _in_model("a hexagonal cell with 90 deg", fits, of_cell((66.9, 66.9, 40.8), right), 15),
        _in_model("Matthews 1.0: twice the mass", "matthews", lambda m: replace(m, molecular_mass_da=28_600)),
        _in_model("Matthews 4.6: a cell for more", "matthews", lambda m: replace(m, molecular_mass_da=6_400)),
        _in_model("Z is no multiple of the group", "cell-contents", lambda m: replace(m, molecules_per_cell=9)),
        *(
            (f"mates overlap by a tenth: {CRYSTALS[n][0]}", "mates-apart", claims_of(crystal(n, reach=1.1)))
            for n in (0, _LYSOZYME, 11, 15, 18)
        ),
        ("a box smaller than the cell", "cell-in-box", cell_claims),
    ]


def _faults_of_helices() -> list[Fault]:
    def helical(words: str, broken: str, **changes: Any) -> Fault:
        return words, broken, claims_of(SymmetryModel("helix", helix=replace(TOBACCO_MOSAIC_VIRUS, **changes)))

    return [
        helical("a helix that goes down", "helix-rises", rise_angstrom=-1.408),
        helical("a twist of more than half a turn", "helix-rises", twist_deg=202.0),
        helical("rise and twist of another pitch", "helix-pitch", pitch_angstrom=26.0),
        helical("a left hand with a positive twist", "helix-handed", hand="left"),
    ]


def _faults_of_maps() -> list[Fault]:
    def in_map(words: str, broken: str, **changes: Any) -> Fault:
        return words, broken, list(map_claims(replace(true_map(), **changes), PIXEL_ANGSTROM))

    fsc = true_map().fsc
    crosses, sums = "fsc-crosses-where-claimed", "map-halves-sum"
    return [
        in_map("the FSC drops early and recovers", crosses, fsc=(*fsc[:5], 0.1, *fsc[6:])),
        in_map("a resolution finer than the FSC says", crosses, resolution_0143_angstrom=3.0),
        in_map("an FSC of 1.2", "fsc-in-range", fsc=(*fsc[:3], 1.2, *fsc[4:])),
        in_map("an FSC that is not a number", "fsc-in-range", fsc=(*fsc[:3], float("nan"), *fsc[4:])),
        in_map("an FSC that starts at 0.2", "fsc-starts-high", fsc=(0.2,) * len(fsc)),
        in_map("a map beyond its last shell", "map-above-nyquist", resolution_0143_angstrom=2.0),
        in_map("a map beyond Nyquist", "map-within-pixels", resolution_0143_angstrom=2.1),
        in_map("half-sets that do not sum", sums, half_set_particle_counts=(503, 496)),
        in_map("more particles in the map than in its halves", sums, particle_count=1001),
        in_map("half-sets out of balance", "map-halves-balanced", half_set_particle_counts=(510, 490)),
        in_map("more movies in the map than there are", "map-counts", movie_count=11),
    ]


def _faults_of_movies() -> list[Fault]:
    def in_movie(words: str, broken: str, **changes: int | tuple[int, ...]) -> Fault:
        changed = [
            replace(claim, integers={**claim.integers, **changes}) if claim.name == broken else claim
            for claim in true_movie_claims()
        ]
        return words, broken, changed

    return [
        in_movie("half-sets that overlap", "halves-disjoint", second=(4, 77)),
        in_movie("a fibre in both half-sets", "fibres-whole", second=(2, 3)),
        in_movie("half-sets that share pixels", "halves-apart", nearest=50),
        in_movie("a movie's half-sets that do not sum", "halves-complete", second=4),
        in_movie("a movie's half-sets out of balance", "halves-balanced", first=5, second=2),
        in_movie("a total dose of other frames", "dose-adds-up", total=60_000),
        in_movie("more electrons than were sent", "dose-arrives", dose=500),
        in_movie("defocus U below V", "defocus-ordered", u=14_000_000),
        in_movie("a file that counts twice", "one-result-per-file", results=2),
        in_movie("a frame without a shift", "frames-counted", shifts=39),
        in_movie("fewer frames than promised", "frames-promised", promised=50),
        in_movie("Thon rings beyond Nyquist", "fit-above-nyquist", resolution=2100),
        in_movie("a box smaller than the particle", "box-holds-particle", box=100),
    ]


def _faults_of_groups() -> list[Fault]:
    order, closed = group_claims("D7")
    table = tuple(closed.integers["table"])  # type: ignore[arg-type]
    left = {**closed.integers, "handed": (1000,) * 13 + (-1000,)}
    open_table = {**closed.integers, "table": (*table[:-1], -1)}
    wrong_order = replace(order, integers={"order": 14, "expected": 7})
    return [
        ("a point group of the wrong order", "group-order", [wrong_order]),
        ("a mirror in a point group", "group-closed", [replace(closed, integers=left)]),
        ("a point group that is not closed", "group-closed", [replace(closed, integers=open_table)]),
    ]


def random_model(rng: np.random.Generator) -> list[Claim]:
    """A crystal, helix, map, point group or movie with numbers near the border of what is true; about half are not."""
    kind = rng.choice(["crystal", "crystal", "helix", "map", "group", "movie"])
    return list(_RANDOM[str(kind)](rng))


def _random_crystal(rng: np.random.Generator) -> list[Claim]:
    small = [n for n, row in enumerate(CRYSTALS) if len(operations_of(row[1])) <= 12]
    number = int(rng.choice(small))
    _, group, cell, molecules, mass = CRYSTALS[number]
    operations = list(operations_of(group))
    expected = len(operations)
    lengths, angles = np.array(cell[:3], dtype=float), np.array(cell[3:], dtype=float)
    if rng.random() < 0.4:
        lengths *= 1.0 + rng.normal(0.0, 0.004, 3)
    if rng.random() < 0.2:
        angles += rng.normal(0.0, 1.0, 3) * (30 if rng.random() < 0.2 else 0.2)
    if rng.random() < 0.5:
        place = int(rng.integers(len(operations)))
        old = operations[place]
        choice = rng.integers(4)
        if choice == 0:
            del operations[place]
        elif choice == 1:
            operations.append(old)
        elif choice == 2:
            shift = [int(w) for w in np.array(old.translation_24ths) + rng.integers(-1, 2, 3)]
            operations[place] = replace(old, translation_24ths=(shift[0], shift[1], shift[2]))
        else:
            rotation = np.array(old.rotation)
            rotation[rng.integers(9)] += rng.choice([-1, 1])
            operations[place] = replace(old, rotation=tuple(int(entry) for entry in rotation))
    spheres = tuple(
        Sphere(tuple(float(x) for x in rng.random(3)), float(rng.uniform(1.0, 6.0)))  # type: ignore[arg-type]
        for _ in range(int(rng.integers(1, 3)))
    )
    model = SymmetryModel(
        f"random {group}",
        Cell(tuple(lengths.tolist()), tuple(angles.tolist())),
        tuple(operations),
        expected,
        molecules + int(rng.integers(-1, 2)),
        float(mass * rng.choice([0.4, 0.7, 1.0, 1.5, 2.2])),
        True,
        spheres,
    )
    return list(model_claims(model, box_px=int(rng.integers(30, 100)), pixel_size_angstrom=PIXEL_ANGSTROM))


def _random_helix(rng: np.random.Generator) -> list[Claim]:
    rise, twist = float(rng.uniform(-1.0, 30.0)), float(rng.uniform(-200.0, 200.0))
    pitch = abs(360.0 / twist * rise) * float(rng.choice([1.0, 1.005, 1.02, 1.1])) + 0.1
    helix = Helix(rise, twist, pitch, "left" if rng.random() < 0.5 else "right")
    box = int(rng.integers(10, 80))
    return list(model_claims(SymmetryModel("random", helix=helix), box_px=box, pixel_size_angstrom=PIXEL_ANGSTROM))


def _random_map(rng: np.random.Generator) -> list[Claim]:
    facts = true_map()
    fsc = np.array(facts.fsc) + rng.normal(0.0, 0.05, len(facts.fsc))
    first, second = (int(n) for n in rng.integers(495, 506, 2))
    changed = replace(
        facts,
        fsc=tuple(fsc.tolist()),
        resolution_0143_angstrom=float(rng.uniform(2.1, 4.5)),
        half_set_particle_counts=(first, second),
        halved_particle_count=first + second + int(rng.integers(0, 2)),
        particle_count=int(rng.integers(998, 1003)),
        movie_count=int(rng.integers(8, 12)),
    )
    return list(map_claims(changed, PIXEL_ANGSTROM))


def _random_group(rng: np.random.Generator) -> list[Claim]:
    order, closed = group_claims(str(rng.choice(["C2", "C5", "D2", "D3", "T"])))
    table = list(closed.integers["table"])  # type: ignore[arg-type]
    handed = list(closed.integers["handed"])  # type: ignore[arg-type]
    size = len(handed)
    if rng.random() < 0.5:
        table[int(rng.integers(len(table)))] = int(rng.integers(-1, size + 1))
    if rng.random() < 0.2:
        handed[int(rng.integers(size))] = int(rng.choice([-1000, 0, 1000]))
    number = size + int(rng.integers(0, 2))
    return [
        replace(order, integers={"order": size, "expected": number}),
        replace(closed, integers={"order": size, "table": tuple(table), "handed": tuple(handed)}),
    ]


def _random_movie(rng: np.random.Generator) -> list[Claim]:
    made: list[Claim] = []
    for claim in true_movie_claims():
        integers: dict[str, int | tuple[int, ...]] = {}
        for name, value in claim.integers.items():
            if isinstance(value, tuple):
                integers[name] = tuple(int(n) for n in rng.integers(0, 60, 8))
            else:
                integers[name] = int(value + rng.integers(-1, 2) * rng.choice([0, 1, max(1, abs(value) // 20)]))
        made.append(replace(claim, integers=integers))
    return made


_RANDOM: dict[str, Callable[[np.random.Generator], list[Claim]]] = {
    "crystal": _random_crystal,
    "helix": _random_helix,
    "map": _random_map,
    "group": _random_group,
    "movie": _random_movie,
}
