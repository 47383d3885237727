"""The index of shape descriptors at 10^5, 10^6 and 10^7: time and memory to build it, recall, latency; and its rivals.

Descriptors are drawn to lie as real ones do. Seeds are descriptors (15 A) of the structures in a folder, of single
chains and of pairs of neighbouring chains, each also swollen and shrunk by a third. A drawn one is the mixture of three
seeds with weights from a Dirichlet distribution (0.4: mostly near one of them, as families are), plus noise with the
seeds' own covariance a fifth as wide, normalised. Queries are drawn ones with the noise that a map at 15 A has
(0.08 from its own shape, as `novelty_structures.py` finds). Recall@10: of the 10 nearest by brute force in float32.

    ./run bench novelty_index --structures DIR [--sizes 100000 1000000 10000000]
        [--rivals usearch-f16 faiss-hnsw ...] [--rival-limit 1000000] [--json OUT]

Every line is a process of its own, one thread; `peak` is its largest resident memory, mapped pages of files included.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from benchmarks.own_process import command_of
from frazil.models.atomic_model.potential import Atoms
from frazil.models.atomic_model.projection import potential_map
from frazil.models.evaluation.novelty.shape_descriptor import DIMENSION, descriptor
from frazil.models.evaluation.novelty.shape_map import describe_map

Array = NDArray[Any]
_BLOCK = 50_000
_QUERIES = 200
_PIXEL_ANGSTROM = 3.0


def seeds(folder: Path) -> Array:
    """(n, DIMENSION) of parts of the structures, at three sizes."""
    found = []
    for path in sorted(folder.iterdir()):
        model = gemmi.read_structure(str(path))[0]
        chains = [_heavy(chain) for chain in model]
        chains = [chain for chain in chains if len(chain) > 300][:12]
        parts = [*chains[:5], *(np.concatenate(pair) for pair in itertools.pairwise(chains[:5]))]
        parts.append(np.concatenate(chains))
        for part in parts:
            for scale in (0.75, 1.0, 4 / 3):
                found.append(_described((part - part.mean(axis=0)) * scale))
    return np.stack(found)


def _heavy(chain: Any) -> NDArray[Any]:
    kept = [a.pos.tolist() for r in chain for a in r if r.name not in ("HOH", "DUM") and not a.element.is_hydrogen]
    return np.array(kept).reshape(-1, 3)


def _described(position: NDArray[Any]) -> Array:
    radius = float(np.linalg.norm(position, axis=1).max())
    atoms = Atoms("", position.astype(np.float32), np.zeros(len(position), dtype=np.int64), ("C",), radius)
    box = 8 * int(np.ceil((radius + 40) / _PIXEL_ANGSTROM / 4))
    volume = potential_map(atoms, box_px=box, pixel_size_angstrom=_PIXEL_ANGSTROM, b_factor_a2=100.0)
    return descriptor(describe_map(volume, _PIXEL_ANGSTROM, 15.0).whole)


def drawn(seed: Array, count: int, *, first_block: int = 0) -> Iterator[Array]:
    """Blocks of drawn descriptors, the same whenever they are drawn."""
    spread = np.linalg.cholesky(np.cov(seed.T) + 1e-8 * np.eye(DIMENSION)).T.astype(np.float32)
    for block in range(first_block, first_block + -(-count // _BLOCK)):
        rng = np.random.default_rng([2024, block])
        size = min(_BLOCK, count - (block - first_block) * _BLOCK)
        chosen = rng.integers(len(seed), size=(size, 3))
        weight = rng.dirichlet((0.4,) * 3, size=size).astype(np.float32)
        mixed = np.einsum("nk,nkd->nd", weight, seed[chosen])
        mixed += 0.2 * (rng.standard_normal((size, DIMENSION), dtype=np.float32) @ spread)
        yield mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def queries(seed: Array, count: int) -> Array:
    """Noisy copies of members from all over the set."""
    rng = np.random.default_rng(7)
    blocks = -(-count // _BLOCK)
    found = []
    for block in rng.integers(blocks, size=min(10, blocks)):
        members = next(drawn(seed, _BLOCK, first_block=int(block)))
        found.append(members[rng.integers(min(_BLOCK, count), size=_QUERIES // min(10, blocks))])
    clean = np.concatenate(found)
    noise = rng.standard_normal(clean.shape).astype(np.float32)
    noisy = clean + 0.08 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True))


def stored(path: Path) -> Iterator[Array]:
    """The blocks that `exact` wrote."""
    for start in range(0, path.stat().st_size // (4 * DIMENSION), _BLOCK):
        block = np.fromfile(path, np.float32, _BLOCK * DIMENSION, offset=4 * start * DIMENSION)
        yield block.reshape(-1, DIMENSION)


def exact(seed: Array, count: int, asked: Array, path: Path) -> NDArray[Any]:
    """(q, 10) numbers of the nearest by brute force; the members are written to `path` on the way."""
    best = np.full((len(asked), 10), -np.inf, dtype=np.float32)
    number = np.zeros((len(asked), 10), dtype=np.int64)
    start = 0
    for number_of_block, block in enumerate(drawn(seed, count)):
        with open(path, "ab" if number_of_block else "wb") as file:
            file.write(block.tobytes())
        near = asked @ block.T
        top = np.argpartition(-near, 10, axis=1)[:, :10]
        both = np.concatenate([best, np.take_along_axis(near, top, axis=1)], axis=1)
        whose = np.concatenate([number, top + start], axis=1)
        order = np.argsort(-both, axis=1)[:, :10]
        best, number = np.take_along_axis(both, order, axis=1), np.take_along_axis(whose, order, axis=1)
        start += len(block)
    return number


class OwnIndex:
    """`VectorIndex` as frazil uses it."""

    def __init__(self, folder: Path) -> None:
        from frazil.models.evaluation.novelty.vector_index import VectorIndex

        self.index = VectorIndex(folder / "vectors", DIMENSION)

    def add(self, block: Array) -> None:
        self.index.append(block)

    def finish(self) -> None:
        self.index.refresh()

    def search(self, one: Array) -> NDArray[Any]:
        return self.index.nearest(one[None], 10)[1][0]


class Usearch:
    """HNSW of int8 or float16 vectors."""

    def __init__(self, folder: Path, dtype: str) -> None:
        from usearch.index import Index

        self.index = Index(ndim=DIMENSION, metric="ip", dtype=dtype, connectivity=16, expansion_add=64)
        self.index.expansion_search = 128
        self.path, self.count = folder / "usearch", 0

    def add(self, block: Array) -> None:
        self.index.add(np.arange(self.count, self.count + len(block)), block, threads=1)
        self.count += len(block)

    def finish(self) -> None:
        self.index.save(str(self.path))

    def search(self, one: Array) -> NDArray[Any]:
        return np.asarray(self.index.search(one, 10).keys, dtype=np.int64)


class Faiss:
    """Another of faiss's indexes, by its factory's words."""

    def __init__(self, folder: Path, words: str, train: int, nprobe: int = 32) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.faiss, self.path, self.train = faiss, folder / "faiss", train
        self.index = faiss.index_factory(DIMENSION, words, faiss.METRIC_INNER_PRODUCT)
        self.waiting: list[Array] = []
        self.nprobe = nprobe

    def add(self, block: Array) -> None:
        if self.index.is_trained:
            self.index.add(block)
            return
        self.waiting.append(block)
        if sum(map(len, self.waiting)) >= self.train:
            rows = np.concatenate(self.waiting)
            self.index.train(rows[: self.train])
            self.index.add(rows)
            self.waiting = []

    def finish(self) -> None:
        self.faiss.write_index(self.index, str(self.path))
        if hasattr(self.index, "nprobe"):
            self.index.nprobe = self.nprobe
        elif hasattr(self.index, "hnsw"):
            self.index.hnsw.efSearch = 128

    def search(self, one: Array) -> NDArray[Any]:
        return np.asarray(self.index.search(one[None], 10)[1][0], dtype=np.int64)


def _made(kind: str, folder: Path, count: int) -> Any:
    cells = 1 << max(8, int(np.log2(np.sqrt(count) * 1.5)))
    makers = {
        "frazil": lambda: OwnIndex(folder),
        "usearch-i8": lambda: Usearch(folder, "i8"),
        "usearch-f16": lambda: Usearch(folder, "f16"),
        "faiss-hnsw": lambda: Faiss(folder, "HNSW16_SQ8", 50_000),
        "faiss-ivf-sq8": lambda: Faiss(folder, f"IVF{cells},SQ8", min(count, 40 * cells)),
        "faiss-ivf-pq": lambda: Faiss(folder, f"IVF{cells},PQ72", min(count, 40 * cells)),
        "faiss-flat": lambda: Faiss(folder, "SQ8", 50_000),
    }
    return makers[kind]()


def measure(kind: str, members: Path, asked: Array, truth: NDArray[Any]) -> dict[str, float | str]:
    """In this process: nothing else may have used much memory."""
    count = members.stat().st_size // (4 * DIMENSION)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        index = _made(kind, Path(folder), count)
        building, cpu = 0.0, 0.0
        for block in stored(members):
            begun, begun_cpu = time.perf_counter(), time.process_time()
            index.add(block)
            building, cpu = building + time.perf_counter() - begun, cpu + time.process_time() - begun_cpu
        begun, begun_cpu = time.perf_counter(), time.process_time()
        index.finish()
        building, cpu = building + time.perf_counter() - begun, cpu + time.process_time() - begun_cpu
        right, took = 0, []
        for one, best in zip(asked, truth, strict=True):
            begun = time.perf_counter()
            found = index.search(one)
            took.append(time.perf_counter() - begun)
            right += len(set(found.tolist()) & set(best.tolist()))
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "index": kind,
        "count": count,
        "build_s": round(building, 1),
        "build_cpu_s": round(cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "disk_gb": round(disk / 1e9, 2),
        "recall_at_10": round(right / truth.size, 4),
        "latency_median_ms": round(1e3 * float(np.median(took)), 2),
        "latency_p95_ms": round(1e3 * float(np.percentile(took, 95)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument(
        "--rivals",
        nargs="*",
        default=[],
        help="usearch-f16 usearch-i8 faiss-hnsw faiss-ivf-sq8 faiss-ivf-pq faiss-flat",
    )
    parser.add_argument("--rival-limit", type=int, default=1_000_000, help="largest size that rivals are given")
    parser.add_argument("--no-own", action="store_true", help="only the rivals")
    parser.add_argument("--seeds", type=Path, help="keep the seeds' descriptors here (.npy), or take them from here")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, *paths = options.one
        members, asked_path, truth_path = map(Path, paths)
        print(json.dumps(measure(kind, members, np.load(asked_path), np.load(truth_path))))
        return
    with tempfile.TemporaryDirectory() as folder:
        seed_path = options.seeds or Path(folder) / "seeds.npy"
        if not seed_path.exists():
            np.save(seed_path, seeds(options.structures))
        seed = np.load(seed_path)
        print(f"{len(seed)} seeds of {DIMENSION} numbers", flush=True)
        lines = []
        for count in options.sizes:
            members, asked_path, truth_path = (
                Path(folder) / name for name in ("members.f32", "asked.npy", "truth.npy")
            )
            asked = queries(seed, count)
            np.save(asked_path, asked)
            np.save(truth_path, exact(seed, count, asked, members))
            print(f"{count:,} drawn", flush=True)
            rivals = options.rivals if count <= options.rival_limit else []
            for kind in [*([] if options.no_own else ["frazil"]), *rivals]:
                words = command_of("evaluators.novelty_index", "--structures", options.structures, "--one", kind)
                done = subprocess.run(
                    [*words, str(members), str(asked_path), str(truth_path)],
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    print(f"{kind} at {count:,}: {done.stderr.strip().splitlines()[-1]}", flush=True)
                    continue
                lines.append(json.loads(done.stdout.splitlines()[-1]))
                print(json.dumps(lines[-1]), flush=True)
    if options.json is not None:
        options.json.write_text(
            json.dumps({"seeds": len(seed), "dimension": DIMENSION, "lines": lines}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
