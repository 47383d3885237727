"""Reference structures: described once, kept, found again; bad files named; the verdict on a map against them."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.transform import Rotation

from frazil.actors.evaluator import Evaluator
from frazil.config.errors import FormatError, NotThereError, TruncatedFileError
from frazil.models.evaluation.facts import Neighbour, RoundFacts, ShapeComparison
from frazil.models.evaluation.novelty import evaluator as novelty
from frazil.models.evaluation.novelty import vector_index
from frazil.models.evaluation.novelty.reference_index import ReferenceIndex
from frazil.models.evaluation.novelty.reference_shapes import ReferenceShape, read_cube, read_shapes
from frazil.models.evaluation.novelty.shape_descriptor import DIMENSION
from frazil.models.evaluation.novelty.vector_index import VectorIndex
from frazil.models.formats.mrc_write import write_mrc

_PIXEL_ANGSTROM = 4.0


def _atoms(seed: int) -> NDArray[np.float64]:
    """A lump of six blobs of carbon, 30 to 60 A long."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 14, (6, 3))
    return (centres[rng.integers(6, size=900)] + rng.normal(0, 5, (900, 3))).round(3)


def _pdb(path: Path, position: NDArray[np.float64]) -> Path:
    lines = [
        f"ATOM  {n % 99999 + 1:5d}  CA  ALA A{n % 9999 + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C  "
        for n, (x, y, z) in enumerate(position)
    ]
    path.write_text("\n".join([*lines, "END"]) + "\n")
    return path


def _density(position: NDArray[np.float64], box_px: int = 40) -> NDArray[np.float32]:
    """Of Gaussian atoms, summed voxel by voxel."""
    line = (np.arange(box_px) - box_px // 2) * _PIXEL_ANGSTROM
    parts = [np.exp(-((line[None, :] - position[:, axis, None]) ** 2) / (2 * 3.5**2)) for axis in range(3)]
    return np.asarray(np.einsum("nz,ny,nx->zyx", parts[2], parts[1], parts[0]), dtype=np.float32)


def _library(folder: Path, count: int = 6) -> Path:
    folder.mkdir()
    for seed in range(count):
        _pdb(folder / f"lump{seed}.pdb", _atoms(seed))
    return folder


def _shapes(count: int, seed: int = 0) -> list[ReferenceShape]:
    """Unit vectors in families."""
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((40, DIMENSION))
    rows = middle[rng.integers(40, size=count)] + 0.3 * rng.standard_normal((count, DIMENSION))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return [ReferenceShape(f"s{seed}-{number}", (row, row, row), 30.0) for number, row in enumerate(unit)]


# --- files --------------------------------------------------------------------------------------------------------


def test_a_model_and_a_map_of_the_same_atoms_have_the_same_shape(tmp_path: Path) -> None:
    position = _atoms(1)
    model = next(read_shapes(_pdb(tmp_path / "a.pdb", position)))
    turned = position @ Rotation.random(random_state=3).as_matrix().T + [6.0, -3.0, 2.0]
    write_mrc(tmp_path / "b.mrc", _density(turned), _PIXEL_ANGSTROM, is_volume=True)
    of_map = next(read_shapes(tmp_path / "b.mrc"))
    other = next(read_shapes(_pdb(tmp_path / "c.pdb", _atoms(2))))
    for level in range(3):
        near = np.linalg.norm(model.descriptors[level] - of_map.descriptors[level])
        far = np.linalg.norm(model.descriptors[level] - other.descriptors[level])
        assert near < 0.35 * far
    assert of_map.name == "b"
    assert of_map.radius_of_gyration_angstrom == pytest.approx(model.radius_of_gyration_angstrom, rel=0.06)


def test_a_map_is_read_in_its_axes_and_padded_to_a_cube(tmp_path: Path) -> None:
    density = _density(_atoms(1))[2:, 3:, :]
    write_mrc(tmp_path / "plain.mrc", density, _PIXEL_ANGSTROM, is_volume=True)
    with mrcfile.new(tmp_path / "turned.map") as file:
        file.set_data(np.ascontiguousarray(density.transpose(2, 1, 0)))  # stored with z fastest
        file.set_volume()
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
        file.header.mx, file.header.my, file.header.mz = density.shape[::-1]
        file.header.cella = tuple(_PIXEL_ANGSTROM * n for n in density.shape[::-1])
    (tmp_path / "packed.map.gz").write_bytes(gzip.compress((tmp_path / "turned.map").read_bytes()))
    plain, pixel = read_cube(tmp_path / "plain.mrc")
    assert pixel == pytest.approx(_PIXEL_ANGSTROM)
    assert plain.shape == (40, 40, 40)
    for name in ("turned.map", "packed.map.gz"):
        torch.testing.assert_close(read_cube(tmp_path / name)[0], plain)


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    def wrong(name: str, data: bytes, error: type[Exception], words: str) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(error, match=words) as raised:
            list(read_shapes(tmp_path / name))
        assert name in str(raised.value)

    write_mrc(tmp_path / "good.mrc", _density(_atoms(1)), _PIXEL_ANGSTROM, is_volume=True)
    good = (tmp_path / "good.mrc").read_bytes()
    wrong("empty.pdb", b"", FormatError, "no atoms|not a PDB")
    wrong("cut.mrc", good[:500], TruncatedFileError, "within its header")
    wrong("short.mrc", good[: len(good) // 2], FormatError, "not an MRC")
    wrong("huge.mrc", np.array([60000, 60000, 60000], "<i4").tobytes() + good[12:], FormatError, "more than")
    wrong("broken.cif.gz", b"\x1f\x8b nothing", FormatError, "not a PDB or mmCIF")
    wrong("flat.mrc", good[:1024] + bytes(len(good) - 1024), FormatError, "the same everywhere")
    with pytest.raises(NotThereError, match="references_dir"):
        ReferenceIndex(tmp_path / "nowhere", tmp_path / "cache")


# --- the index ----------------------------------------------------------------------------------------------------


def test_grown_in_parts_it_answers_as_made_at_once(tmp_path: Path) -> None:
    shapes = _shapes(300)
    whole, parts = ReferenceIndex(None, tmp_path / "whole"), ReferenceIndex(None, tmp_path / "parts")
    whole.add(shapes)
    for start in range(0, 300, 70):
        parts.add(shapes[start : start + 70])
    again = ReferenceIndex(None, tmp_path / "parts")
    for shape in _shapes(10, seed=1):
        asked = shape.descriptors[0]
        rows = np.stack([one.descriptors[0] for one in shapes])
        truth = np.argsort(np.linalg.norm(rows - asked, axis=1))[:5]
        found = whole.nearest(asked, 15.0, 5)
        assert [one.number for one in found] == truth.tolist()
        assert parts.nearest(asked, 15.0, 5) == found
        assert again.nearest(asked, 15.0, 5) == found


def test_what_a_crash_left_is_cut_off(tmp_path: Path) -> None:
    index = ReferenceIndex(None, tmp_path)
    index.add(_shapes(20))
    folder = next(tmp_path.glob("frazil-shapes-*"))
    for name, more in (("level-15.f16", 3 * 2 * DIMENSION + 11), ("entries.bin", 7)):
        with open(folder / name, "ab") as file:
            file.write(bytes(more))
    again = ReferenceIndex(None, tmp_path)
    assert again.count == 20
    again.add(_shapes(5, seed=2))
    asked = _shapes(5, seed=2)[4].descriptors[0]
    assert ReferenceIndex(None, tmp_path).nearest(asked, 15.0, 1)[0].name == "s2-4"
    os.truncate(folder / "level-20.f16", 2 * DIMENSION)
    with pytest.raises(FormatError, match=r"entries\.bin.*Delete the folder"):
        ReferenceIndex(None, tmp_path)


def test_beyond_the_flat_limit_the_nearest_are_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "FLAT_ROWS", 500)
    rows = np.stack([shape.descriptors[0] for shape in _shapes(6000)])
    index = VectorIndex(tmp_path / "v", DIMENSION)
    for part in np.array_split(rows, 3):
        index.append(part)
        index.refresh()
    asked = np.stack([shape.descriptors[0] for shape in _shapes(40, seed=1)])
    truth = np.argsort(np.linalg.norm(rows[None] - asked[:, None], axis=2), axis=1)[:, :10]

    def recall(searched: VectorIndex) -> float:
        found = searched.nearest(asked, 10)[1]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)]))

    assert recall(index) > 0.9
    assert recall(VectorIndex(tmp_path / "v", DIMENSION)) > 0.9
    (tmp_path / "v.ivf").write_bytes(b"damaged")
    assert recall(VectorIndex(tmp_path / "v", DIMENSION)) > 0.9  # made again from the rows


def test_files_come_go_and_change(tmp_path: Path) -> None:
    folder = _library(tmp_path / "refs", 3)
    (folder / "bad.pdb").write_text("nothing\n")
    (folder / "notes.txt").write_text("no reference\n")
    index = ReferenceIndex(folder, tmp_path / "cache")
    assert index.describe(2) == 2  # a few at a time
    assert index.describe() == 0
    assert index.count == 3
    assert len(index.refused) == 1
    assert "bad.pdb" in index.refused[0]
    again = ReferenceIndex(folder, tmp_path / "cache")
    assert again.pending == ()  # nothing is described twice, nor tried twice
    (folder / "lump0.pdb").unlink()
    _pdb(folder / "lump1.pdb", _atoms(17))
    os.utime(folder / "lump1.pdb", ns=(1, 1))
    again.look()
    assert again.count == 1
    assert again.describe() == 0
    names = {one.name for one in again.nearest(np.ones(DIMENSION, np.float32), 15.0, 10)}
    assert names == {"lump1", "lump2"}


# --- the verdict --------------------------------------------------------------------------------------------------


def _comparison(distance: float, between: tuple[float, ...], noise: float | None = 0.02) -> ShapeComparison:
    return ShapeComparison(
        descriptor=np.zeros(DIMENSION, np.float32),
        level_angstrom=15.0,
        resolution_angstrom=9.0,
        neighbours=(Neighbour(3, "x", distance), Neighbour(4, "y", distance + 0.2)),
        neighbours_to_next=between[:2],
        distance_draws=(distance, distance * 1.02),
        noise_distance=noise,
        leave_one_out=between,
        radius_of_gyration_angstrom=40.0,
        reference_count=len(between),
    )


def test_the_share_is_calibrated() -> None:
    """A map as different from the references as they are from each other: shares are uniform."""
    rng = np.random.default_rng(4)
    shares = []
    for _ in range(200):
        between = np.exp(rng.normal(-0.7, 0.4, 60))
        shares.append(novelty.share_nearer(np.exp(rng.normal(-0.7, 0.4, 1)), np.log(between))[0])
    assert stats.kstest(shares, "uniform").pvalue > 0.01
    assert 0.05 < np.mean(np.array(shares) < 0.1) < 0.17


def test_known_is_near_zero_unknown_is_not_and_few_references_say_nothing() -> None:
    between = (0.35, 0.45, 0.5, 0.6, 0.7, 0.4)
    known, unknown, far = (novelty.judge_shape(_comparison(d, between)) for d in (0.06, 0.52, 1.3))
    assert known.verdict is not None
    assert unknown.verdict is not None
    assert far.verdict is not None
    assert known.verdict < 0.01 < 0.4 < unknown.verdict < 0.8 < 0.99 < far.verdict
    assert unknown.uncertainty is not None
    assert unknown.uncertainty > 0.03  # six references are few
    many = novelty.judge_shape(_comparison(0.52, between * 40))
    assert many.uncertainty is not None
    assert many.uncertainty < 0.5 * unknown.uncertainty
    few = novelty.judge_shape(_comparison(0.5, between[:3]))
    assert few.verdict is None
    assert "only 3 reference structures" in few.does_not_know[0]


def test_distance_that_noise_explains_is_no_novelty() -> None:
    between = (0.1, 0.15, 0.2, 0.25, 0.3, 0.12)
    quiet, loud = (novelty.judge_shape(_comparison(0.2, between, noise)) for noise in (0.01, 0.19))
    assert quiet.verdict is not None
    assert loud.verdict is not None
    assert loud.verdict < 0.2 < quiet.verdict


def test_neighbours_that_crowd_make_the_share_less_reliable() -> None:
    between = np.log([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    even = novelty.calibration(np.array([0.25, 0.35, 0.45, 0.55, 0.65]), between)
    crowded = novelty.calibration(np.array([0.2, 0.2, 0.2, 0.21, 0.2]), between)
    assert even > 0.85
    assert crowded < 0.5


def _maps(folder: Path, position: NDArray[np.float64], seed: int) -> tuple[str, str, str]:
    rng = np.random.default_rng(seed)
    truth = _density(position)
    noise = 0.5 * float(truth.std())
    halves = [(truth + noise * rng.standard_normal(truth.shape)).astype(np.float32) for _ in range(2)]
    paths = [folder / f"{name}-{seed}.mrc" for name in ("map", "half1", "half2")]
    for path, volume in zip(paths, ((halves[0] + halves[1]) / 2, *halves), strict=True):
        write_mrc(path, volume, _PIXEL_ANGSTROM, is_volume=True)
    return str(paths[0]), str(paths[1]), str(paths[2])


def _facts(truth: SimpleNamespace, tmp_path: Path, position: NDArray[np.float64], seed: int) -> RoundFacts:
    facts: RoundFacts = truth.round()
    assert facts.map is not None
    files = _maps(tmp_path, position, seed)
    return replace(
        facts,
        map=replace(facts.map, files=files, resolution_0143_angstrom=13.0),
        references_dir=str(tmp_path / "refs"),
        references_cache=str(tmp_path / "cache"),
    )


def test_the_actor_finds_the_maps_structure_and_says_what_it_cannot(truth: SimpleNamespace, tmp_path: Path) -> None:
    _library(tmp_path / "refs")
    turn = Rotation.random(random_state=9).as_matrix()
    seen = _facts(truth, tmp_path, _atoms(2) @ turn.T + [4.0, 0.0, -5.0], 1)
    unseen = _facts(truth, tmp_path, _atoms(33), 2)
    actor = Evaluator()

    def verdict(facts: RoundFacts):  # type: ignore[no-untyped-def]
        return next(one.verdict for one in actor.score(facts) if one.verdict.evaluator == novelty.NAME)

    known, new = verdict(seen), verdict(unseen)
    assert known.evidence["nearest"][0]["name"] == "lump2"
    assert known.verdict < 0.1
    assert new.verdict > known.verdict + 0.1
    assert Evaluator().score(seen)[1].verdict == known
    assert verdict(replace(seen, references_dir=None)).does_not_know[0] == "no reference structures supplied"
    assert seen.map is not None
    gone = verdict(replace(seen, map=replace(seen.map, files=None)))
    assert gone.verdict is None
    assert "replaced by a later one" in gone.does_not_know[0]
    coarse = verdict(replace(seen, map=replace(seen.map, resolution_0143_angstrom=42.0)))
    assert "42 A is coarser than 30 A" in coarse.does_not_know[0]
    assert verdict(replace(seen, map=None)).does_not_know == ("no running map to compare",)
    nowhere = verdict(replace(seen, references_dir=str(tmp_path / "nowhere")))
    assert nowhere.verdict is None
    assert "nowhere" in nowhere.does_not_know[0]
