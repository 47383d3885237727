"""A session of 50,000 movies: what a movie costs to write, what the common questions cost, and whether memory grows.

    ./run bench store_50k [--movies 50000] [--json OUT.json] [--keep DIR]
    ./run bench store_50k --keep DIR    (again, on a session that is there: nothing is written, all is asked)

Every movie is written through the store's own writer, with 40 frame shifts, 36 local coefficients, spectra of 128
points, 9 causal factors of 32 points and 50 particles: 6.4 million rows of spectra, 14.4 million of losses. The claim:
each named query that screen and command line ask takes less than 1 s (wall-clock, best of three); the session's page
takes less than 10 s and is smaller than 15 MB, with a map of a thousand rounds, ten verdicts each and a thumbnail of
every movie that it shows; a movie at the end
costs no more to write than one at the beginning (processor time, so that a busy machine does not matter; making the
movie up is not counted); memory stays below the store's limit.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from frazil.daemon.report.html.page import to_html
from frazil.daemon.report.html.pictures import collect
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.why import losses_at_5_angstrom, session_graph, why_session
from frazil.daemon.store.queries import catalogue
from frazil.daemon.store.rows import AlertRow, InterventionRow, MovieRow, ReconstructionRow, ScoreRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.table import Scalar
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.causal.graph import as_svg
from frazil.models.evaluation.panel import ALL
from frazil.models.records import (
    AcquisitionMetadata,
    CausalLosses,
    CtfEstimate,
    DeviceReport,
    FrameShifts,
    LocalMotion,
    MovieFiles,
    MovieHeader,
    MovieResult,
    ParticlePicks,
    Quality,
    Spectra,
    StageTiming,
)

FRAMES, FREQUENCIES, LOSS_FREQUENCIES, PARTICLES = 40, 128, 32, 50
FACTORS = (
    "motion", "radiation_damage", "spatial_coherence", "temporal_coherence", "ice", "detector", "coincidence",
    "heterogeneity", "unexplained",
)  # fmt: skip
INTERVAL_US = 7_200_000
ROUNDS = 1000
MOVIES_A_SQUARE, SHOTS_A_HOLE = 150, 3
BATCH = 50


def numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())


def make(index: int, rng: np.random.Generator) -> tuple[MovieRow, MovieResult]:
    """One movie with random numbers of the right kind and count."""
    movie_id = f"{(index * 2654435761) % 2**32:08x}{index:08x}"  # ids are hashes: they come in no order
    square, place = divmod(index, MOVIES_A_SQUARE)
    hole, shot = divmod(place, SHOTS_A_HOLE)
    row = MovieRow(
        movie_id, f"GridSquare_{square}/FoilHole_{index}_Fractions.tiff", 0, index * INTERVAL_US, sequence=index,
        stem=f"FoilHole_{index}_Fractions", size_bytes=200_000_000, mtime_ns=index, inode=index, voltage_kv=300.0,
        pixel_size_angstrom=0.83, dose_per_frame_e_per_a2=1.2,
        metadata=AcquisitionMetadata(
            grid_square=f"GridSquare_{square}", hole=f"{square}_{hole}", cs_mm=2.7, acquired_utc_us=index * INTERVAL_US,
            stage_x_um=120.0 * (square % 20) + 4.0 * (hole % 8), stage_y_um=120.0 * (square // 20) + 4.0 * (hole // 8),
            image_shift_x_um=1.5 * (shot - 1), image_shift_y_um=0.0,
        ),
    )  # fmt: skip
    defocus = 8000.0 + 12000.0 * rng.random()
    frequency = numbers(np.linspace(0.004, 0.6, FREQUENCIES))
    loss_frequency = numbers(np.linspace(0.02, 0.5, LOSS_FREQUENCIES))
    shift_x, shift_y = rng.normal(size=(2, FRAMES)).cumsum(axis=1)
    total = float(np.hypot(np.diff(shift_x), np.diff(shift_y)).sum())
    result = MovieResult(
        movie_id, "parameters", "0.1.0", 0, MovieHeader("m.tiff", "tiff", FRAMES, 4092, 5760, "uint8"), 0.83,
        FrameShifts(numbers(shift_x), numbers(shift_y), (0.1,) * FRAMES, total, 0.3 * total, 0.7 * total, True),
        LocalMotion(numbers(rng.normal(size=18)), numbers(rng.normal(size=18)), 5, 5, 0.3, True),
        CtfEstimate(defocus + 200 * rng.random(), defocus, 40.0, 0.0, 20.0, 20.0, 3 + 3 * rng.random(), 0.3, 0.1, True),
        Spectra(frequency, *(numbers(rng.random(FREQUENCIES)) for _ in range(4))),
        Quality(40.0, 1.0, 10, 0.1 * rng.random(), 0.0, False, ("large-motion",) if total > 60 else ()),
        ParticlePicks(
            numbers(4000 * rng.random(PARTICLES)), numbers(4000 * rng.random(PARTICLES)),
            numbers(4000 * rng.random(PARTICLES)), 150.0,
        ),
        CausalLosses(
            FACTORS, loss_frequency, tuple(numbers(rng.random(LOSS_FREQUENCIES)) for _ in FACTORS),
            tuple((0.1,) * LOSS_FREQUENCIES for _ in FACTORS), 0, ("", "motion", "ice")[index % 3], 0.5,
        ),
        MovieFiles(f"motion/{row.stem}.mrc", thumbnail=f"thumbnails/{row.stem}.png"),
        DeviceReport(f"worker-{index % 4}", "node", "cuda:0", "a GPU", None, 1),
        timings=tuple(StageTiming(stage, float(rng.random())) for stage in ("read", "gain", "align", "ctf", "write")),
    )  # fmt: skip
    return row, result


def write_batch(store: Store, start: int, count: int, rng: np.random.Generator) -> float:
    """Make up and write some movies; the processor seconds that writing took."""
    movies = [make(index, rng) for index in range(start, start + count)]
    started_s = time.process_time()
    pending: list[Future[Any]] = []
    for index, (row, result) in enumerate(movies, start=start):
        when_utc_us = index * INTERVAL_US + 9_000_000
        reason = "CTF fits to 12 A, the limit is 10 A" if index % 17 == 0 else None
        pending.append(store.submit(movie_writes.register_movie, row))
        pending.append(
            store.submit(
                movie_writes.record_result, result, ready_utc_us=when_utc_us, lag_s=9.0, rejection_reason=reason
            )
        )
    groups = {row.movie_id: index % SHOTS_A_HOLE + 1 for index, (row, _) in enumerate(movies, start=start)}
    pending.append(store.submit(movie_writes.set_optics_groups, groups))
    for future in pending:
        future.result()
    return time.process_time() - started_s


def fill(store: Store, count: int) -> Iterator[tuple[int, float]]:
    """Write `count` movies; yields (movies so far, processor seconds that the last thousand took to write)."""
    rng = np.random.default_rng(1)
    writing_s = 0.0
    for start in range(0, count, BATCH):
        done = min(start + BATCH, count)
        writing_s += write_batch(store, start, done - start, rng)
        if done % 1000 == 0:
            yield done, writing_s
            writing_s = 0.0


def full_against_empty(full: Store, start: int, empty_dir: Path) -> tuple[float, float]:
    """Milliseconds of processor time a movie, on the full and on a new session by turns (median of eight batches)."""
    rng = np.random.default_rng(2)
    with Store.open(empty_dir, now_utc_us=1, min_free_bytes=0) as empty:
        pairs = [tuple(write_batch(store, start + BATCH * i, BATCH, rng) for store in (full, empty)) for i in range(8)]
    full_s, empty_s = np.median(np.array(pairs), axis=0) / BATCH
    return 1000 * float(full_s), 1000 * float(empty_s)


def questions(movie_id: str, now_utc_us: int) -> dict[str, dict[str, Scalar]]:
    """Every named query with what it has to be asked with, and else its defaults."""
    given: dict[str, Scalar] = {
        "movie_id": movie_id, "path": "FoilHole_777_Fractions.tiff", "metric": "ctf_fit_angstrom",
        "now_utc_us": now_utc_us, "upto": "00100000", "utc_us": now_utc_us // 2, "evaluator": "logic", "name": "cs_mm",
        "experiment_id": "x-1", "square_id": "epu:square:1", "target_id": "epu:hole:1",
    }  # fmt: skip
    return {
        name: {key: given[key] for key, param in query.params.items() if param.required}
        for name, query in catalogue.NAMED.items()
    }


def ask_everything(store: Store, movie_id: str, now_utc_us: int) -> dict[str, float]:
    """Best of three wall-clock times of every named query, and of the summary."""
    times = {}
    for name, params in questions(movie_id, now_utc_us).items():
        times[name] = best_of_three(lambda name=name, params=params: store.named(name, params))
    worst_page: dict[str, Scalar] = {"sort": "motion_total_angstrom", "search": "hole_1", "offset": 5000}
    times["movies, sorted, searched, page 50"] = best_of_three(lambda: store.named("movies", worst_page))
    times["sql: best 10 by CTF"] = best_of_three(
        lambda: store.sql("SELECT relative_path FROM movies JOIN ctf USING (movie_id) ORDER BY score DESC LIMIT 10")
    )
    times["summary"] = best_of_three(lambda: summarise(store, store.session_dir, now_utc_us=now_utc_us, live=True))
    return times


def write_rounds(store: Store) -> None:
    """What a long session has beside its movies: rounds of the map, verdicts, alerts, advice."""
    frequency = numbers(np.linspace(0.004, 0.33, 64))
    for number in range(ROUNDS):
        fsc = numbers(1 / (1 + np.exp((np.array(frequency) - 0.15 - 1e-4 * number) * 60)))
        row = ReconstructionRow(
            number, number, 50 * number, 2500 * (number + 1), "C1", 0, 6.0 - 0.002 * number, 8.0, "maps/map.mrc",
            frequency_per_angstrom=frequency, fsc=fsc, fsc_uniform=fsc,
        )  # fmt: skip
        store.submit(session_writes.record_reconstruction, row)
        for name in ALL:
            score = ScoreRow(number, name, number, json.dumps({"parts": {"a": 0.5}}), 0.5, 0.01, 0.9, "0-1", 0.1)
            store.submit(session_writes.record_score, score)
        store.submit(session_writes.record_alert, AlertRow("warning", "lag", f"late in round {number}", number * 10**9))
    advice = InterventionRow("a", 1, "ice", "session", "thinner ice: signal x1.3", "frazil", 0.3, place=1)
    store.submit(session_writes.record_intervention, advice)
    did = InterventionRow("b", 25_000 * INTERVAL_US, "ice", "session", "another square", "operator")
    store.submit(session_writes.record_intervention, did).result()


def write_page(store: Store, now_utc_us: int) -> tuple[float, int]:
    """Seconds and bytes of the page as `frazil summary --html` makes it, with a thumbnail for each movie in it."""
    found = summarise(store, store.session_dir, now_utc_us=now_utc_us, live=True)
    gray = np.random.default_rng(1).integers(0, 255, (384, 384), np.uint8)
    for example in found.examples:
        path = store.session_dir / str(example.thumbnail_path)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(imagecodecs.png_encode(gray))
    started_s = time.perf_counter()
    found = summarise(store, store.session_dir, now_utc_us=now_utc_us, live=True)
    causes = as_svg(session_graph(store), losses_at_5_angstrom(why_session(store)))
    page = to_html(found, causes, collect(store.session_dir, found))
    (store.session_dir / "summary.html").write_text(page, encoding="utf-8")
    return time.perf_counter() - started_s, len(page.encode())


def best_of_three(call: Any) -> float:
    times = []
    for _ in range(3):
        started_s = time.perf_counter()
        call()
        times.append(time.perf_counter() - started_s)
    return min(times)


def resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="keep the session in this folder")
    options = parser.parse_args()
    session = options.keep or Path(tempfile.mkdtemp(prefix="frazil-50k-"))
    session.mkdir(parents=True, exist_ok=True)
    thousand_s: list[float] = []
    memory_mb: list[float] = []
    with Store.open(session, now_utc_us=1, min_free_bytes=0) as store:
        row = SessionRow("s", "50k", "/raw", 1, "{}", "0.1.0", amplitude_contrast=0.1)
        store.submit(session_writes.create_session, row).result()
        there = int(store.rows("SELECT count(*) FROM movies")[0][0])
        for done, seconds in fill(store, 0 if there else options.movies):
            thousand_s.append(seconds)
            memory_mb.append(resident_mb())
            if done % 5000 == 0:
                print(
                    f"{done:6d} movies: {seconds:6.2f} ms a movie in the last thousand, {memory_mb[-1]:.0f} MB resident"
                )
        write_rounds(store)
        page_s, page_bytes = write_page(store, options.movies * INTERVAL_US)
        print(f"the page: {page_s:.1f} s, {page_bytes / 1e6:.2f} MB")
        times = ask_everything(
            store, make(options.movies // 2, np.random.default_rng(1))[0].movie_id, options.movies * INTERVAL_US
        )
        with tempfile.TemporaryDirectory() as folder:
            full_ms, empty_ms = full_against_empty(store, max(options.movies, there), Path(folder))
    print(f"writing a movie, processor time: {full_ms:.1f} ms on this session, {empty_ms:.1f} ms on a new one")
    started_s = time.perf_counter()
    with Store.open(session, now_utc_us=2):
        reopen_s = time.perf_counter() - started_s
    size_mb = sum(path.stat().st_size for path in session.glob("session.duckdb*")) / 1e6
    for name, seconds in sorted(times.items(), key=lambda item: -item[1]):
        print(f"{seconds * 1000:9.1f} ms  {name}")
    print(f"{reopen_s * 1000:9.1f} ms  opening the finished session again; {size_mb:.0f} MB on disk")
    slow = [name for name, seconds in times.items() if seconds >= 1.0 and name != "summary"]
    print(f"slower than 1 s: {', '.join(slow) or 'none'}")
    if options.json:
        record = {
            "movies": options.movies, "write_ms_full": full_ms, "write_ms_empty": empty_ms,
            "write_ms_per_movie_by_thousand": thousand_s,
            "resident_mb_by_thousand": memory_mb, "query_s": times,
            "page_s": page_s, "page_bytes": page_bytes, "reopen_s": reopen_s, "size_mb": size_mb,
        }  # fmt: skip
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.keep is None:
        shutil.rmtree(session)


if __name__ == "__main__":
    main()
