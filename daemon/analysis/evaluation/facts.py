"""Gathers the facts of a round for the evaluators from the store and the result files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frazil.config.errors import FrazilError
from frazil.config.settings import Settings
from frazil.daemon.analysis.evaluation import prospects
from frazil.daemon.session.epochs import EPOCH_MOVIES
from frazil.daemon.store import result_files
from frazil.daemon.store.movie_states import finished, kept
from frazil.daemon.store.store import Store
from frazil.models.evaluation.facts import MapFacts, MovieFacts, MovieFeedback, RerunRequest, RoundFacts
from frazil.models.evaluation.value import term_weights
from frazil.models.evaluation.value.hyperscore import VALUE_NAME
from frazil.models.formats.acquisition import resolve
from frazil.models.formats.symmetry_model import read_symmetry_model
from frazil.models.movie_pipeline import particle_box_px

_MOST_FEEDBACK = 50
"""Verdicts of operators that a round takes in, the oldest first; later rounds have the rest."""
_ROUNDS_PER_RERUN = 4
_MOVIE_SQL = f"""
SELECT m.movie_id, p.half_set, p.x_px, p.y_px, p.fibre,
       (SELECT count(*) FROM movies o WHERE o.relative_path = m.relative_path AND {finished("o")})
FROM movies m LEFT JOIN particle_arrays p USING (movie_id)
"""
_MOVIES_SQL = f"""
{_MOVIE_SQL} WHERE m.sequence BETWEEN ? AND ? AND {finished("m")} ORDER BY m.sequence
"""
_ONE_MOVIE_SQL = f"{_MOVIE_SQL} WHERE m.movie_id = ? AND {finished('m')}"
# A person's last word on a movie.
_FEEDBACK_SQL = """
SELECT feedback_id, verdict, created_utc_us, movie_id, who FROM feedback
WHERE verdict IN ('accept', 'reject') AND movie_id IS NOT NULL AND created_utc_us > ?
QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY created_utc_us DESC, feedback_id DESC) = 1
ORDER BY created_utc_us, feedback_id LIMIT ?
"""
_COUNTS_SQL = f"""
SELECT count(*), count(*) FILTER ({kept("m")}), coalesce(sum(q.particle_count), 0)
FROM movies m JOIN quality q USING (movie_id) WHERE m.sequence < ? AND {finished("m")}
"""
# Unfolded: a function of each list's numbers takes three times as long.
_HALVES_SQL = f"""
WITH halved AS (
    SELECT p.half_set, p.fibre, q.particle_count
    FROM movies m JOIN quality q USING (movie_id) JOIN particle_arrays p USING (movie_id)
    WHERE m.sequence < ? AND {finished("m")}
),
halves AS (SELECT count(*) FILTER (half = 1) AS one, count(*) FILTER (half = 2) AS two
           FROM (SELECT unnest(half_set) AS half FROM halved)),
movies_of AS (SELECT coalesce(sum(particle_count), 0) AS particles, count(*) AS movies,
                     coalesce(sum(list_max(map_values(list_histogram(fibre))) - 1), 0) AS slack FROM halved)
SELECT one, two, particles, movies, slack FROM halves, movies_of
"""
_MAP_SQL = """
SELECT round, movie_count, particle_count, coalesce(symmetry, 'C1'), resolution_0143_angstrom, map_path, half1_path,
       half2_path, round = (SELECT max(round) FROM reconstructions)
FROM reconstructions WHERE movie_count <= ? ORDER BY round DESC LIMIT 1
"""


def round_facts(store: Store, session_dir: Path, settings: Settings, round_number: int) -> RoundFacts:
    """What is judged in a round. A result file that cannot be read leaves its movie out."""
    first, end = round_number * EPOCH_MOVIES, (round_number + 1) * EPOCH_MOVIES
    read = (_movie(session_dir, *row) for row in store.rows(_MOVIES_SQL, first, end - 1))
    movies = [movie for movie in read if movie is not None]
    pixel = movies[0].result.pixel_size_angstrom if movies else None
    diameter = settings.particles.diameter_angstrom
    references = settings.evaluation.references_dir
    earlier = _earlier(store, round_number)
    kept = int(store.rows(_COUNTS_SQL, end)[0][1])
    map_rounds, map_forecasts = prospects.map_record(store, kept)
    return RoundFacts(
        round=round_number,
        movies=tuple(movies),
        symmetry=settings.particles.symmetry,
        box_px=None if pixel is None else particle_box_px(settings, pixel),
        micrograph_pixel_size_angstrom=pixel,
        diameter_angstrom=diameter,
        map=_map(store, session_dir, end),
        model=None if settings.evaluation.model is None else read_symmetry_model(Path(settings.evaluation.model)),
        references_dir=references,
        references_cache=None if references is None else str(references_cache(Path(references))),
        map_rounds=map_rounds,
        map_forecasts=map_forecasts,
        prospects=prospects.prospects(store, session_dir, settings, movies, kept_movies=kept, sequence_end=end),
        rerun_request=_rerun_request(session_dir, settings, movies)
        if settings.evaluation.refit_ctf and round_number % _ROUNDS_PER_RERUN == 0
        else None,
        feedback=_feedback(store, session_dir, earlier),
        earlier=earlier,
    )


def _movie(
    session_dir: Path, movie_id: object, half_set: Any, x_px: Any, y_px: Any, fibre: Any, results: object
) -> MovieFacts | None:
    """None: its result cannot be read."""
    try:
        stored = result_files.read_result(result_files.result_path(session_dir, str(movie_id)))
    except (FrazilError, OSError):
        return None
    return MovieFacts(
        result=stored.result,
        metadata=stored.movie.metadata,
        pixel_size_angstrom=stored.movie.pixel_size_angstrom,
        dose_per_frame_e_per_a2=stored.movie.dose_per_frame_e_per_a2,
        half_set=None if half_set is None else tuple(half_set),
        half_set_x_px=tuple(x_px or ()),
        half_set_y_px=tuple(y_px or ()),
        half_set_fibre=tuple(fibre or ()),
        results_of_same_file=int(str(results)),
    )


def _rerun_request(session_dir: Path, settings: Settings, movies: list[MovieFacts]) -> RerunRequest | None:
    """The first movie of the round whose fit trusts itself and whose micrographs are kept."""
    for movie in movies:
        result, evidence = movie.result, movie.result.evidence
        plain, weighted = result.files.micrograph_no_dose_weighting, result.files.micrograph
        if not result.ctf.reliable or evidence is None or plain is None or weighted is None or movie.metadata is None:
            continue
        try:
            acquisition = resolve(movie.metadata, settings=settings)
        except FrazilError:
            continue
        return RerunRequest(
            movie_id=result.movie_id,
            plain_path=_path(session_dir, plain),
            weighted_path=_path(session_dir, weighted),
            pixel_size_angstrom=result.pixel_size_angstrom,
            voltage_kv=evidence.voltage_kv,
            cs_mm=evidence.cs_mm,
            amplitude_contrast=acquisition.amplitude_contrast,
            phase_plate=acquisition.phase_plate,
            settings=settings.ctf,
        )
    return None


def _feedback(store: Store, session_dir: Path, earlier: Mapping[str, Mapping[str, Any]]) -> tuple[MovieFeedback, ...]:
    """What operators said since the weights were last moved; of a movie without a result it is passed over."""
    until = int(earlier.get(VALUE_NAME, {}).get(term_weights.KEY, {}).get("feedback_until_utc_us", -1))
    found = []
    for feedback_id, verdict, created_utc_us, movie_id, who in store.rows(_FEEDBACK_SQL, until, _MOST_FEEDBACK):
        rows = store.rows(_ONE_MOVIE_SQL, movie_id)
        movie = _movie(session_dir, *rows[0]) if rows else None
        if movie is not None:
            found.append(MovieFeedback(str(feedback_id), verdict == "accept", int(created_utc_us), movie, str(who)))
    return tuple(found)


def map_is_due(store: Store, round_number: int, map_round_movies: int) -> bool:
    """Whether the round of the map that belongs to this round of verdicts has not been made yet."""
    _, ready, _ = store.rows(_COUNTS_SQL, (round_number + 1) * EPOCH_MOVIES)[0]
    wanted = int(ready) // map_round_movies * map_round_movies
    found = store.rows(_MAP_SQL, int(ready))
    return wanted > 0 and (not found or int(found[0][1]) < wanted)


def scored_rounds(store: Store) -> int:
    """One more than the newest round with verdicts; 0: none."""
    newest = store.rows("SELECT max(round) FROM scores")[0][0]
    return 0 if newest is None else int(newest) + 1


def references_cache(folder: Path) -> Path:
    """Where the shapes of a folder's structures are kept: one folder for it in the user's cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "frazil" / "shapes" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def _map(store: Store, session_dir: Path, sequence_end: int) -> MapFacts | None:
    processed, ready, extracted = store.rows(_COUNTS_SQL, sequence_end)[0]
    found = store.rows(_MAP_SQL, int(ready))
    if not found:
        return None
    number, movie_count, particle_count, symmetry, resolution, *paths, is_newest = found[0]
    # Each round's maps replace those of the one before.
    here = bool(is_newest) and all(paths)
    first, second, halved, with_halves, slack = (int(value) for value in store.rows(_HALVES_SQL, sequence_end)[0])
    curve = store.named("fsc", {"round": int(number)})
    unmasked = curve.column("fsc_unmasked")
    return MapFacts(
        round=int(number),
        movie_count=int(movie_count),
        particle_count=int(particle_count),
        symmetry=str(symmetry),
        resolution_0143_angstrom=None if resolution is None else float(resolution),
        frequency_per_angstrom=tuple(_float(value) for value in curve.column("frequency_per_angstrom")),
        fsc=tuple(_float(value) for value in curve.column("fsc")),
        fsc_unmasked=None if None in unmasked else tuple(_float(value) for value in unmasked),
        processed_movie_count=int(processed),
        extracted_particle_count=int(extracted),
        half_set_particle_counts=(first, second) if with_halves else None,
        halved_particle_count=halved,
        fibre_slack=slack,
        files=(_path(session_dir, paths[0]), _path(session_dir, paths[1]), _path(session_dir, paths[2]))
        if here
        else None,
    )


def _earlier(store: Store, round_number: int) -> Mapping[str, Mapping[str, Any]]:
    rows = store.rows(
        "SELECT evaluator, evidence_json FROM scores "
        "WHERE round = (SELECT max(round) FROM scores WHERE round < ?) ORDER BY evaluator",
        round_number,
    )
    return {str(evaluator): json.loads(text) for evaluator, text in rows}


def _path(session_dir: Path, relative: object) -> str:
    return str(session_dir / str(relative))


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
