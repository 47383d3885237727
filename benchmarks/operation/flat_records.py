"""Fifty thousand movies' records: what the daemon spends on a movie beside its processing, early and late in a session.

Part of `./run bench flat_session`, which see. Two sessions are driven by turns, one of a thousand movies and one of
fifty thousand: each movie is written, the causal prior learns, losses and advice follow, the map's desk lists and
records, verdicts are asked for, alert rules are looked at, and the live state is put together. What the actors compute
is counted apart (`actors`): they are the real causal prior, and stand-ins for the map and the evaluators.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from benchmarks.operation import store_50k
from frazil.actors.causal_prior import CausalPriorActor
from frazil.actors.reconstruction_records import Added, FinishedRound, ParticlePoses, Resumed
from frazil.config.settings import MicroscopeSettings, Settings
from frazil.daemon.alerts.rule_check import RuleCheck
from frazil.daemon.analysis.evaluation.rounds import EvaluationRounds
from frazil.daemon.analysis.map.reconstruction import RunningReconstruction
from frazil.daemon.analysis.prior import PriorVersions
from frazil.daemon.analysis.summary import AnalysisSummary
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.epochs import EPOCH_MOVIES, MadeWith
from frazil.daemon.session.notices import Notices
from frazil.daemon.session.registry import MovieRegistry
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.store import result_files
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import ReconstructionRow, ScoreRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.daemon.transport.messages import GateState
from frazil.models.causal.bands import BAND_COUNT
from frazil.models.causal.prior import physics_prior
from frazil.models.evaluation.panel import ALL
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.records import ExposureFacts, MovieEvidence, MovieResult

WRITTEN_ONE_BY_ONE = 1000
"""What comes before them is copied from these."""
WITH_FILES = 400
"""The newest, whose results are looked into again."""
MAP_ROUND_MOVIES = 10
SETTINGS = Settings(microscope=MicroscopeSettings(voltage_kv=300.0, cs_mm=2.7))
_MADE_WITH = MadeWith("parameters", "0.1.0")
_KEYS = {
    "movies": {
        "relative_path": "relative_path || '-' || k",
        "stem": "stem || '-' || k",
        "sequence": "sequence + {movies} * k",
        "found_utc_us": "found_utc_us + {later_us} * k",
        "ready_utc_us": "ready_utc_us + {later_us} * k",
        "acquired_utc_us": "acquired_utc_us + {later_us} * k",
    },
    "reconstructions": {"round": "round + {rounds} * k", "movie_count": "movie_count + {movies} * k"},
    "fsc": {"round": "round + {rounds} * k"},
    "scores": {"round": "round + {epochs} * k"},
}
_SCALES = {
    "movies": WRITTEN_ONE_BY_ONE,
    "later_us": WRITTEN_ONE_BY_ONE * store_50k.INTERVAL_US,
    "rounds": WRITTEN_ONE_BY_ONE // MAP_ROUND_MOVIES,
    "epochs": WRITTEN_ONE_BY_ONE // EPOCH_MOVIES,
}
_TABLES_SQL = """
SELECT table_name, list(column_name) FROM duckdb_columns() JOIN duckdb_tables() USING (table_name)
GROUP BY table_name HAVING list_contains(list(column_name), 'movie_id') OR list_contains(?, table_name)
"""


@dataclass(frozen=True, slots=True)
class _Call:
    answer: Callable[[], Any]


class _Ray:
    """`ray` as the desks use it, in this process: every call is answered at once, and what it takes is counted."""

    class RayError(Exception):
        pass

    class RayActorError(RayError):
        pass

    def __init__(self, actors: dict[str, Any]) -> None:
        self.exceptions = SimpleNamespace(RayError=self.RayError, RayActorError=self.RayActorError)
        self._actors = actors
        self.cpu_s = 0.0

    def remote(self, actor: type) -> Any:
        made = self._actors.get(actor.__name__, SimpleNamespace())
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_, **__: _Actor(made)))

    def wait(self, calls: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return calls, []

    def get(self, call: _Call) -> Any:
        began = time.process_time()
        try:
            return call.answer()
        finally:
            self.cpu_s += time.process_time() - began

    def kill(self, actor: Any, no_restart: bool) -> None:
        pass


class _Actor:
    def __init__(self, made: Any) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *arguments: _Call(lambda: getattr(self._made, name)(*arguments)))


class _Map:
    """Stands in for the reconstruction: it has all movies, and two earlier ones move beside each new one."""

    def __init__(self, included: list[str]) -> None:
        self._included = included

    def resume(self, expected: dict[str, str], first_class_id: int) -> Resumed:
        return Resumed(tuple(self._included), len(self._included), 0)

    def add(self, movie: Any) -> Added:
        self._included.append(movie.movie_id)
        moved = tuple(_poses(movie_id) for movie_id in (self._included[-1], *self._included[-WITH_FILES // 2 :][:2]))
        return Added(len(self._included), len(self._included) * store_50k.PARTICLES, moved)

    def finish_round(self, verdicts: Any, at_rest: bool) -> FinishedRound:
        count = len(self._included)
        return FinishedRound(-(-count // MAP_ROUND_MOVIES), None, count, count * store_50k.PARTICLES, "C1")


def _poses(movie_id: str) -> ParticlePoses:
    n = store_50k.PARTICLES
    angles = tuple(np.linspace(-170.0, 170.0, n).tolist())
    evidence = ParticleEvidence(
        float(n), 3, (), (), (0.0,) * BAND_COUNT, (0.1,) * BAND_COUNT, 0.01, 0.02, (1e-4, 0.0, 1e-4)
    )
    return ParticlePoses(
        movie_id, (1, 2) * (n // 2), (1,) * n, angles, tuple(abs(angle) for angle in angles), angles, (0.0,) * n,
        (0.0,) * n, (0.9,) * n, None, evidence,
    )  # fmt: skip


def _result(index: int, rng: np.random.Generator) -> tuple[Any, MovieResult]:
    """As `store_50k.make`, with what the causal prior learns from."""
    row, result = store_50k.make(index, rng)
    shifts = result.shifts
    evidence = MovieEvidence(
        shifts.shift_x_angstrom, shifts.shift_y_angstrom, shifts.sd_angstrom, 0.3, store_50k.FRAMES, 1.2, 0.0, 0.8,
        0.83, 300.0, 2.7, result.ctf.defocus_u_angstrom, 0.3, tuple(rng.normal(-1.0, 0.2, BAND_COUNT).tolist()), 0.2,
        fit_resolution_angstrom=4.0, field_width_angstrom=3400.0, particle_diameter_angstrom=150.0,
        exposure=ExposureFacts(acquired_utc_us=index * store_50k.INTERVAL_US),
    )  # fmt: skip
    return row, replace(result, evidence=evidence)


class RecordSession:
    """One session's store with so many movies, and the daemon's desks around it."""

    def __init__(self, folder: Path, movies: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.movies = folder, movies
        self._rng = np.random.default_rng(3)
        self.spent: dict[str, list[float]] = defaultdict(list)
        self._written = 0
        self.store = Store.open(folder, now_utc_us=1, min_free_bytes=0)
        self._fill(movies)
        kept = self.store.rows("SELECT movie_id FROM movies WHERE state = 'ready' ORDER BY sequence")
        self._ray = _Ray(
            {
                "CausalPriorActor": CausalPriorActor(),
                "Reconstructor": _Map([str(row[0]) for row in kept]),
                "Evaluator": SimpleNamespace(score=lambda _: ()),
            }
        )
        self._open_desks(movies)

    def _open_desks(self, movies: int) -> None:
        self._now_utc_us = movies * store_50k.INTERVAL_US
        notices = Notices(self.store, utc_us=lambda: self._now_utc_us)
        context = SessionContext(
            self.store, self.folder, SETTINGS, notices, clock=time.monotonic, utc_us=lambda: self._now_utc_us,
            made_with=_MADE_WITH,
        )  # fmt: skip
        runtime: Any = SimpleNamespace(ray=self._ray)
        registry = MovieRegistry.restore(
            self.store, parameter_hash=_MADE_WITH.parameter_hash, code_version=_MADE_WITH.code_version
        )
        self._prior = PriorVersions(runtime, context, registry)
        self._map = RunningReconstruction(runtime, context, registry)
        self._verdicts = EvaluationRounds(runtime, context, registry, map_idle=lambda: True)
        place: Any = SimpleNamespace(raw_root=self.folder, session_dir=self.folder, settings=SETTINGS)
        self._live = LiveStateBuilder(place, self.store, lambda: self._now_utc_us, time.monotonic)
        self._rules = RuleCheck(SETTINGS.alerts, self.store, notices, late_sidecars=lambda _: None)
        self._step()  # what a start does once is no movie's

    # --- a session that is there ------------------------------------------------------------------------------------

    def _fill(self, movies: int) -> None:
        row = SessionRow("s", "flat", "/raw", 1, "{}", "0.1.0", amplitude_contrast=0.1)
        self.store.submit(session_writes.create_session, row).result()
        for start in range(0, WRITTEN_ONE_BY_ONE, store_50k.BATCH):
            store_50k.write_batch(self.store, start, store_50k.BATCH, self._rng)
        self._write_rounds()
        for copy in range(1, movies // WRITTEN_ONE_BY_ONE):
            self.store.submit(_copy_all, copy).result()
        self.store.submit(_write_priors, movies // EPOCH_MOVIES).result()
        for sequence, movie_id in self.store.rows(
            "SELECT sequence, movie_id FROM movies WHERE sequence >= ? ORDER BY sequence", movies - WITH_FILES
        ):
            movie, result = _result(int(sequence), self._rng)
            self._write_file(replace(movie, movie_id=movie_id), replace(result, movie_id=movie_id))

    def _write_rounds(self) -> None:
        frequency = store_50k.numbers(np.linspace(0.004, 0.33, 64))
        for number in range(_SCALES["rounds"]):
            row = ReconstructionRow(
                number, number, 10 * (number + 1), 500 * (number + 1), "C1", 0, 6.0, 8.0, "maps/map.mrc",
                frequency_per_angstrom=frequency, fsc=frequency, fsc_uniform=frequency,
            )  # fmt: skip
            self.store.submit(session_writes.record_reconstruction, row)
        for number in range(_SCALES["epochs"]):
            for name in ALL:
                score = ScoreRow(number, name, number, json.dumps({"parts": {"a": 0.5}}), 0.5, 0.01, 0.9, "0-1", 0.1)
                self.store.submit(session_writes.record_score, score)
        self.store.flush()

    def _write_file(self, row: Any, result: MovieResult) -> None:
        result_files.write_result(self.folder, StoredResult(row, result, 0, 9.0))

    # --- one more movie ---------------------------------------------------------------------------------------------

    @contextmanager
    def _counted(self, part: str) -> Iterator[None]:
        before, actors = time.process_time(), self._ray.cpu_s
        yield
        of_actors = self._ray.cpu_s - actors
        self.spent[part][-1] += time.process_time() - before - of_actors
        self.spent["actors"][-1] += of_actors

    def movie(self) -> None:
        """Through every part of the daemon that its records meet."""
        for part in (*PARTS, "actors"):
            self.spent[part].append(0.0)
        row, result = _result(self.movies, self._rng)
        self._now_utc_us += store_50k.INTERVAL_US
        for desk in (self._prior, self._map, self._verdicts):
            desk.begins(self.movies)
        with self._counted("store"):
            self._write_file(row, result)
            self.store.submit(movie_writes.register_movie, row)
            self.store.submit(
                movie_writes.record_result, result, ready_utc_us=self._now_utc_us, lag_s=9.0, rejection_reason=None
            ).result()
        self._prior.ends(self.movies, row.movie_id)
        self._map.ends(self.movies, row.movie_id)
        self._verdicts.ends(self.movies)
        self._step()
        self.movies += 1

    def _step(self) -> None:
        """Until there is nothing to do, as while movies arrive."""
        for part, step in (("prior", self._prior.step), ("map", self._map.step), ("verdicts", self._verdicts.step)):
            if part not in self.spent:
                self.spent[part] = [0.0]
                self.spent["actors"] = [0.0]
            with self._counted(part):
                for _ in range(6):
                    step()
                self.store.flush()
        if "status" not in self.spent:
            return
        with self._counted("status"):
            state = self._live.build(
                status="watching", workers=(), gate=GateState(), queue_depth=0,
                analysis=AnalysisSummary(self._prior.newest_version, self._map.particle_count),
            )  # fmt: skip
        with self._counted("alerts"):
            self._rules.step(state, expecting=True)

    def close(self) -> None:
        for desk in (self._prior, self._map, self._verdicts):
            desk.close()
        self.store.close()


PARTS = ("store", "prior", "map", "verdicts", "status", "alerts")


def _copy_all(connection: Connection, copy: int) -> None:
    """All rows of the first movies once more, as those of later ones."""
    scales = {name: str(scale) for name, scale in _SCALES.items()}
    for table, columns in connection.execute(_TABLES_SQL, [list(_KEYS)]).fetchall():
        changed = {name: text.format(**scales) for name, text in _KEYS.get(table, {}).items()}
        if "movie_id" in columns:
            changed["movie_id"] = "movie_id || '-' || k"
        parts = ", ".join(f"({text}) AS {name}" for name, text in changed.items())
        first = {
            "movies": f"sequence < {WRITTEN_ONE_BY_ONE}",
            "reconstructions": f"round < {_SCALES['rounds']}",
            "fsc": f"round < {_SCALES['rounds']}",
            "scores": f"round < {_SCALES['epochs']}",
        }.get(table, "NOT contains(movie_id, '-')")
        connection.execute(
            f"INSERT INTO {table} SELECT t.* REPLACE ({parts}) FROM {table} t, (SELECT {copy} AS k) WHERE {first}"
        )


def _write_priors(connection: Connection, versions: int) -> None:
    """As many as the session has had, all of one belief."""
    state = msgspec.json.encode(physics_prior()).decode()
    connection.execute(
        "INSERT INTO priors (version, created_utc_us, movie_count, factor_names, mean, sd, state_json, parameter_hash, "
        "code_version) SELECT v, v, 5 * v, '[]', '[]', '[]', replace(?, '\"version\":0', '\"version\":' || v), ?, ? "
        "FROM range(0, ?) t(v)",
        [state, *_MADE_WITH_VALUES, versions + 1],
    )


_MADE_WITH_VALUES = (_MADE_WITH.parameter_hash, _MADE_WITH.code_version)


def measure(movies: int, early: int, turns: int, batch: int) -> dict[str, Any]:
    """Two sessions by turns: medians over batches of the processor seconds a movie."""
    with tempfile.TemporaryDirectory() as folder:
        late_session = RecordSession(Path(folder) / "late", movies)
        early_session = RecordSession(Path(folder) / "early", early)
        try:
            for _ in range(turns):
                for session in (late_session, early_session):
                    for _ in range(batch):
                        session.movie()
        finally:
            late_session.close()
            early_session.close()
    table = {}
    for part in (*PARTS, "actors"):
        late_s, early_s = (
            float(np.median(np.array(one.spent[part][-turns * batch :]).reshape(turns, batch).mean(axis=1)))
            for one in (late_session, early_session)
        )
        table[part] = {"early_cpu_ms": round(1000 * early_s, 3), "late_cpu_ms": round(1000 * late_s, 3)}
        print(f"{part:10s} {1000 * early_s:8.2f} {1000 * late_s:8.2f} CPU-ms a movie", flush=True)
    return {"movies": movies, "early_movies": early, "compared": turns * batch, "parts": table}
