"""The synthetic session's rows in a real store behind a daemon's sockets: what `tui_50k` measures the screen on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.screen.synthetic_session import Row, SyntheticService, make_rows
from frazil.daemon.store.engine import Connection
from frazil.daemon.store.store import Store
from frazil.daemon.transport.messages import LiveState, NamedQuery, Rows
from frazil.daemon.transport.server import QueryServer

_ARRIVALS_PER_S = 0.25  # 900 movies an hour
_MOVIE_COLUMNS = (
    "movie_id", "relative_path", "generation", "state", "attempts", "grid_square", "hole", "frame_count",
    "flags", "lag_s", "found_utc_us", "ready_utc_us",
)  # fmt: skip
_QUALITY_COLUMNS = (
    "movie_id", "motion_total_angstrom", "motion_early_angstrom", "motion_late_angstrom", "relative_ice_thickness",
    "particle_count",
)  # fmt: skip


@dataclass
class StoreService(SyntheticService):
    """Named queries from the store; pictures from the synthetic session."""

    store: Store = field(kw_only=True)

    def named(self, request: NamedQuery) -> Rows:
        if request.name == "frame_shifts":
            return super().named(request)
        table = self.store.named(request.name, request.params)
        return Rows(table.columns, table.rows, table.truncated, table.total)

    def snapshot(self) -> LiveState:
        counts = {str(state): int(n or 0) for state, n in self.store.named("counts_by_state").rows}
        self._sequence += 1
        return LiveState(
            self._sequence, session_name="50k", counts=counts, last_movie_id=f"{len(self.rows) - 1:08x}", utc_us=1
        )

    def add(self, row: Row) -> None:
        """A new movie."""
        self.rows.append(row)
        self._by_id[str(row["movie_id"])] = row
        self.store.submit(insert, [row]).result()


def insert(connection: Connection, rows: list[Row]) -> None:
    """Movies with their CTF and quality, as far as they are done."""
    movies = {name: _copy(name) for name in _MOVIE_COLUMNS} | {
        "rejection_reason": _copy("reason"),
        "sequence": lambda row: int(_number(row, "number")) - 1,
    }
    done = [row for row in rows if row["ctf_fit_angstrom"] is not None]
    _fill(connection, "movies", movies, rows)
    _fill(
        connection,
        "ctf",
        {
            "movie_id": _copy("movie_id"),
            "defocus_u_angstrom": lambda row: _number(row, "defocus_um") * 1e4 + 100,
            "defocus_v_angstrom": lambda row: _number(row, "defocus_um") * 1e4 - 100,
            "astigmatism_angstrom": _copy("astigmatism_angstrom"),
            "astigmatism_angle_deg": lambda row: 12.0,
            "phase_shift_deg": lambda row: 0.0,
            "fit_resolution_angstrom": _copy("ctf_fit_angstrom"),
            "score": _copy("ctf_score"),
            "ice_ring_density": _copy("ice_ring_density"),
            "reliable": lambda row: True,
        },
        done,
    )
    _fill(connection, "quality", {name: _copy(name) for name in _QUALITY_COLUMNS}, done)


def _fill(connection: Connection, table: str, columns: dict[str, Callable[[Row], object]], rows: list[Row]) -> None:
    values = [[value(row) for row in rows] for value in columns.values()]
    places = ", ".join("unnest(?)" for _ in columns)
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {places}", values)


def _copy(name: str) -> Callable[[Row], object]:
    return lambda row: row[name]


def _number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return value


def serve(session: Path, movies: int) -> None:
    """A store of `movies` rows behind the daemon's sockets; prints `ready`; new movies arrive until it is killed."""
    there, later = make_rows(movies, 1, waiting=0), make_rows(movies + 4000, 1, waiting=0)[movies:]
    with Store.open(session, now_utc_us=0) as store:
        service = StoreService(there, store=store)
        for start in range(0, movies, 5000):
            store.submit(insert, service.rows[start : start + 5000]).result()
        with QueryServer(session, service) as server:
            server.publish(service.snapshot())
            print("ready", flush=True)
            began_s = time.monotonic()
            while True:
                due = int((time.monotonic() - began_s) * _ARRIVALS_PER_S)
                if due > len(service.rows) - movies and later:
                    service.add(later.pop(0))
                server.publish(service.snapshot())
                time.sleep(1.0)
