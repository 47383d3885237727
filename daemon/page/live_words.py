"""The newest state in words, each by a name: the page is first written with them, then only these are exchanged."""

from __future__ import annotations

import datetime
import hashlib
import json

from frazil.daemon.page.movie_words import NOT_KNOWN
from frazil.daemon.page.typography import units
from frazil.daemon.report.summary.text import hours_text, seconds_text
from frazil.daemon.store.movie_states import KEPT, WAITING
from frazil.daemon.transport.messages import LiveState
from frazil.models.records import MovieState

_STATUS = {
    "starting": "Starting",
    "running": "Running",
    "paused": "Paused by a person",
    "blocked": "Blocked",
    "stopping": "Ending",
    "finished": "Finished",
    "stopped": "Stopped, movies are left",
    "ended": "Ended without being closed",
}


def live_words(state: LiveState) -> dict[str, str]:
    """What each place of the page that follows the state says."""
    kept, rejected = state.counts.get(KEPT, 0), state.counts.get(MovieState.REJECTED, 0)
    finished = kept + rejected
    recent = f", {state.recent_kept} of the last {state.recent_total}" if state.recent_total else ""
    said = {
        "status": _status(state),
        "clock": _clock(state.utc_us, "%H:%M:%S"),
        "kept": f"{100 * kept / finished:.0f} %" if finished else NOT_KNOWN,
        "kept_of": f"{kept:,} of {finished:,} finished{recent}: within the thresholds"
        if finished
        else "no movie is finished yet",
        "rate": NOT_KNOWN if state.ready_per_hour is None else f"{state.ready_per_hour:,.0f}",
        "rate_of": NOT_KNOWN if state.found_per_hour is None else f"{state.found_per_hour:,.0f} an hour arrive",
        "map": NOT_KNOWN if state.map_resolution_angstrom is None else f"{state.map_resolution_angstrom:.2f} A",
        "map_of": _of_map(state),
        "lag": NOT_KNOWN if state.lag_p50_s is None else seconds_text(state.lag_p50_s),
        "lag_of": "" if state.lag_p95_s is None else f"95 % within {seconds_text(state.lag_p95_s)}",
        "waiting": f"{sum(state.counts.get(name, 0) for name in WAITING):,}",
        "last_found": _clock(state.last_found_utc_us, "%d %b %H:%M:%S"),
        "disk": NOT_KNOWN if state.free_disk_bytes is None else _size(state.free_disk_bytes),
        "disk_of": _disk(state),
        "next": state.next_line or "",
        "alerts": _alerts(state),
    }
    return {name: units(words) for name, words in said.items()}


def live_event(state: LiveState) -> str:
    """What an open page is sent: the words, and a stamp that changes when the rest of the page has something new."""
    return json.dumps(
        {"stamp": stamp(state), "words": live_words(state), "verdict": [units(line) for line in verdict_lines(state)]}
    )


def stamp(state: LiveState) -> str:
    """Of what the parts of the page are made of, as far as the state knows it."""
    about = (
        state.daemon_started_utc_us,
        sorted(state.counts.items()),
        state.alerts_open,
        state.newest_alert,
        state.map_resolution_angstrom,
        state.particle_count,
        state.next_round,
        state.status,
    )
    return hashlib.sha256(repr(about).encode()).hexdigest()[:12]


def verdict_lines(state: LiveState) -> list[str]:
    """What the state says of the session (`verdict`), with what else is the matter; empty: nothing, as that of an
    earlier daemon.

    >>> from frazil.daemon.transport.messages import VerdictState
    >>> verdict_lines(LiveState(verdict=VerdictState("change", "change: ice", "Change: thinner ice. Also: lag.")))
    ['Change: thinner ice. Also: lag.']
    """
    return [state.verdict.sentence] if state.verdict.sentence else []


def _of_map(state: LiveState) -> str:
    """From how many particles; where there is none, why."""
    if state.map_resolution_angstrom is not None:
        return f"from {state.particle_count:,} particles" if state.particle_count else ""
    particles = f"{state.particle_count:,} particles" if state.particle_count else "no particles"
    if state.ended_utc_us is None:
        return f"no map yet, {particles}"
    return f"no map was made: it takes particles.initial_map or 700 particles, and there were {particles}"


def _status(state: LiveState) -> str:
    said = _STATUS.get(state.status, state.status)
    if state.gate.blocking:
        return f"{said}: {state.gate.evidence}"
    return f"{said}: {state.message}" if state.message else said


def _alerts(state: LiveState) -> str:
    many = state.alerts_open
    return "no alerts" if not many else "1 alert" if many == 1 else f"{many} alerts"


def _disk(state: LiveState) -> str:
    if state.disk_full_in_h is None:
        return "free"
    return f"free, full in {hours_text(state.disk_full_in_h)}" if state.disk_full_in_h < 1000 else "free"


def _size(byte_count: float) -> str:
    value = byte_count / 1e9
    return f"{value / 1000:.1f} TB" if value >= 1000 else f"{value:.0f} GB"


def _clock(utc_us: int | None, form: str) -> str:
    if not utc_us:
        return NOT_KNOWN
    return datetime.datetime.fromtimestamp(utc_us / 1e6, datetime.UTC).strftime(form) + " UTC"
