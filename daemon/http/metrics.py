"""The newest state in Prometheus' text format. What is not known is left out: a missing sample is no zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from frazil.daemon.transport.messages import LiveState
from frazil.models.records import MovieState

_STATUSES = ("starting", "running", "paused", "blocked", "stopping", "finished")
_MOVIE_STATES = tuple(state.value for state in MovieState)
"""Those without movies are zero, so that a graph has no holes."""


def metrics_text(state: LiveState) -> bytes:
    """Text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OneState(state))
    text: bytes = generate_latest(registry)
    return text


class _OneState(Collector):
    def __init__(self, state: LiveState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state
        about = GaugeMetricFamily("frazil_session_info", "What session this is.", labels=["session", "preset"])
        about.add_metric([state.session_name, state.preset], 1.0)
        yield about
        status = GaugeMetricFamily("frazil_status", "1 for the daemon's present status.", labels=["status"])
        for name in dict.fromkeys((*_STATUSES, state.status)):
            status.add_metric([name], float(name == state.status))
        yield status
        movies = GaugeMetricFamily("frazil_movies", "Movies by state.", labels=["state"])
        for name in dict.fromkeys((*_MOVIE_STATES, *state.counts)):
            movies.add_metric([name], float(state.counts.get(name, 0)))
        yield movies
        lag = GaugeMetricFamily(
            "frazil_movie_lag_seconds", "From found to ready, of the recent movies.", labels=["quantile"]
        )
        for quantile, value in (("0.5", state.lag_p50_s), ("0.95", state.lag_p95_s)):
            if value is not None:
                lag.add_metric([quantile], value)
        yield lag
        workers = GaugeMetricFamily("frazil_workers", "Workers by state.", labels=["state"])
        by_state = Counter(worker.state for worker in state.workers)
        for name in dict.fromkeys(("starting", "idle", "working", "failed", "gone", *by_state)):
            workers.add_metric([name], float(by_state[name]))
        yield workers
        for name, words, number in self._plain():
            if number is not None:
                yield GaugeMetricFamily(f"frazil_{name}", words, value=float(number))

    def _plain(self) -> Iterator[tuple[str, str, float | None]]:
        state = self._state
        yield "state_timestamp_seconds", "When this state was made (Unix time).", state.utc_us / 1e6
        last_s = None if state.last_found_utc_us is None else state.last_found_utc_us / 1e6
        yield "last_movie_found_timestamp_seconds", "When the newest movie was found (Unix time).", last_s
        yield "found_movies_per_hour", "Over the last hour in which something happened.", state.found_per_hour
        yield "ready_movies_per_hour", "Over the last hour in which something happened.", state.ready_per_hour
        yield "queue_movies", "Movies that wait for a worker or for the gain gate.", state.queue_depth
        yield "recent_kept_movies", "Kept, of the recent finished movies.", state.recent_kept
        yield "recent_finished_movies", "The recent finished movies.", state.recent_total
        yield "disk_free_bytes", "Free on the session's disk.", state.free_disk_bytes
        yield "disk_written_bytes_per_second", "How fast it fills.", state.written_bytes_per_s
        full_s = None if state.disk_full_in_h is None else state.disk_full_in_h * 3600.0
        yield "disk_full_seconds", "Until it is full at the present rate.", full_s
        yield "alerts_open", "Warnings and errors that nobody has acknowledged.", state.alerts_open
        yield "gain_gate_blocking", "1 while the gain gate keeps movies back.", float(state.gate.blocking)
        yield "map_resolution_angstrom", "Of the running map, FSC 0.143.", state.map_resolution_angstrom
        yield "particles", "Particles of all kept movies.", state.particle_count
        yield "prior_version", "Of the causal prior.", state.prior_version
