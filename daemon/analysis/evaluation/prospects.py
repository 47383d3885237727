"""What the goal needs, what operators said, what was foretold: facts of a round that lie outside of its movies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from frazil.config.settings import Settings
from frazil.daemon.store.movie_states import kept
from frazil.daemon.store.store import Store
from frazil.models.evaluation.facts import MapForecast, MovieFacts, Prospects
from frazil.models.records import MovieResult

_BYTES_PER_GB = 1 << 30
_ROUNDS_SQL = """
SELECT movie_count, resolution_0143_angstrom FROM reconstructions
WHERE movie_count <= ? AND resolution_0143_angstrom IS NOT NULL ORDER BY round
"""
_FORECASTS_SQL = """
SELECT r.movie_count, f.movies, f.resolution_angstrom, f.resolution_low_angstrom, f.resolution_high_angstrom
FROM forecasts f JOIN reconstructions r USING (round)
WHERE f.kind = 'end' AND r.movie_count <= ? AND f.movies > r.movie_count AND f.resolution_low_angstrom > 0
AND f.resolution_high_angstrom > f.resolution_low_angstrom ORDER BY f.round
"""
_GOAL_SQL = """
SELECT r.movie_count, r.resolution_0143_angstrom, f.movies_low, f.movies, f.movies_high, f.reachable, f.sentence
FROM reconstructions r LEFT JOIN forecasts f
    ON f.round = r.round AND f.kind = 'step' AND abs(f.resolution_angstrom - ?) < 1e-6
WHERE r.movie_count <= ? ORDER BY r.round DESC LIMIT 1
"""
# Pauses of the session are no pace: an hour of the newest movies, by their own times.
_PACE_SQL = f"""
WITH last AS (SELECT ready_utc_us AS t, state FROM movies WHERE ready_utc_us IS NOT NULL AND sequence < ?),
     span AS (SELECT max(t) AS newest, greatest(min(t), max(t) - 3600000000) AS oldest FROM last)
SELECT count(*) FILTER ({kept("last")} AND t > oldest), any_value(newest - oldest) FROM last, span
"""
_ELAPSED_SQL = "SELECT max(found_utc_us) - min(found_utc_us) FROM movies WHERE sequence < ?"


def map_record(store: Store, kept_movies: int) -> tuple[tuple[tuple[int, float], ...], tuple[MapForecast, ...]]:
    """Rounds of the map with at most so many movies, and what they foretold of later ones."""
    rounds = tuple((int(count), float(resolution)) for count, resolution in store.rows(_ROUNDS_SQL, kept_movies))
    forecasts = tuple(
        MapForecast(int(made), int(movies), float(median), float(low), float(high))
        for made, movies, median, low, high in store.rows(_FORECASTS_SQL, kept_movies)
    )
    return rounds, forecasts


def prospects(
    store: Store,
    session_dir: Path,
    settings: Settings,
    movies: Sequence[MovieFacts],
    *,
    kept_movies: int,
    sequence_end: int,
) -> Prospects | None:
    """None: nobody set a goal. The free disk is that of the moment."""
    chosen = settings.evaluation
    goal = chosen.goal_resolution_angstrom
    if goal is None:
        return None
    found = store.rows(_GOAL_SQL, goal, kept_movies)
    count, resolution, low, median, high, reachable, sentence = found[0] if found else (None,) * 7
    kept, span_us = store.rows(_PACE_SQL, sequence_end)[0]
    elapsed_us = store.rows(_ELAPSED_SQL, sequence_end)[0][0]
    hours_left = None
    if chosen.microscope_hours_left is not None and elapsed_us is not None:
        hours_left = max(0.0, chosen.microscope_hours_left - int(elapsed_us) / 3.6e9)
    taken = [size for movie in movies if (size := bytes_taken(session_dir, movie.result)) > 0]
    seconds = [sum(one.seconds for one in movie.result.timings) for movie in movies]
    spent = [one for one in seconds if one > 0]
    free = shutil.disk_usage(session_dir).free - int(settings.store.min_free_disk_gb * _BYTES_PER_GB)
    known = low is not None and median is not None and high is not None
    return Prospects(
        goal_angstrom=goal,
        resolution_angstrom=None if resolution is None else float(resolution),
        movies=None if count is None else int(count),
        movies_needed=(int(low), int(median), int(high)) if known else None,
        reachable=reachable is None or bool(reachable),
        sentence="" if sentence is None else str(sentence),
        movies_per_hour=int(kept) * 3.6e9 / int(span_us) if kept and span_us else None,
        hours_left=hours_left,
        bytes_per_movie=sum(taken) / len(taken) if taken else None,
        free_bytes=max(0, free),
        seconds_per_movie=sum(spent) / len(spent) if spent else None,
        gpu=any(movie.result.device.device.startswith("cuda") for movie in movies),
    )


def bytes_taken(session_dir: Path, result: MovieResult) -> int:
    """Of the session's disk, by a movie: its products, and the movie itself if it lies on the same disk."""
    files = result.files
    products = (
        files.micrograph, files.micrograph_no_dose_weighting, files.even, files.odd, files.motion_star,
        files.thumbnail, files.power_spectrum, files.restored, files.particles,
    )  # fmt: skip
    total = 0
    for path in (*(session_dir / one for one in products if one is not None), Path(result.header.path)):
        try:
            found = os.stat(path)
        except OSError:
            continue
        if found.st_dev == os.stat(session_dir).st_dev:
            total += found.st_size
    return total
