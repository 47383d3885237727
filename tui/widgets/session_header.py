"""The lines below the verdict: what is running, how fast and late, how long the disk lasts, movies, the map."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from frazil.daemon.transport.messages import LiveState
from frazil.tui.words.formatting import (
    NOT_KNOWN,
    clean,
    clock,
    count,
    day_and_time,
    duration,
    number,
    quantity,
    size,
)
from frazil.tui.words.palette import BLUE, GRAY, GREEN, MOVIE_STATES, ORANGE, SESSION_STATES, WHITE, Look

_LEAST_BYTES_PER_S = 3e4
"""A tenth of a GB an hour: what logs and others' small things write is not worth a word."""
_IDLE_S, _IDLE_GAPS = 120.0, 4.0
_SHORT_BELOW = 100
_MATTERS_MOST = ("ready", "rejected", "failed", "quarantined", "processing", "queued")


def header_lines(state: LiveState, width: int) -> list[Text]:
    """Three lines of at most `width` cells; what matters least is left out first."""
    short = width < _SHORT_BELOW
    at_rest = state.ended_utc_us is not None
    end = "" if at_rest else clock(state.utc_us)  # a clock that stands still misleads
    return [
        _fitted([_title(state, short), *_instrument(state, short)], width, end=end),
        _fitted(_record(state, short) if at_rest else _flow(state, short), width),
        _fitted([*_counts(state, short), *_science(state, short)], width),
    ]


def _title(state: LiveState, short: bool) -> Text:
    look = SESSION_STATES.get(state.status, Look("?", state.status, WHITE))
    text = Text() if short else Text("frazil ", f"bold {BLUE}")
    text.append(clean(state.session_name), "bold").append("  ").append(look.text, f"bold {look.color}")
    if state.ended_utc_us is not None:
        heard = ", last heard of" if state.status == "ended" else ""
        text.append(f"{heard} {day_and_time(state.ended_utc_us, state.utc_us)}", f"bold {look.color}")
    return text


def _instrument(state: LiveState, short: bool) -> list[Text]:
    settings = [
        quantity(state.voltage_kv, "kV", 0),
        quantity(state.pixel_size_angstrom, "Å/px", 3),
        quantity(state.dose_per_frame_e_per_a2, "e/Å²/frame", 2),
        quantity(state.total_dose_e_per_a2, "e/Å² in all", 0),
    ]
    name = clean(state.instrument or state.preset)
    parts = [*settings, name] if short else [name, *settings]
    return [Text(part, WHITE) for part in parts if part and part != NOT_KNOWN]


def _flow(state: LiveState, short: bool) -> list[Text]:
    """Numbers alone: whether they are good is the verdict's to say."""
    judged = state.recent_total > 0  # before that nothing is late
    found, ready = number(state.found_per_hour, 0), number(state.ready_per_hour, 0)
    idle_s = _idle_s(state)
    if short:
        kept = f"kept {state.recent_kept}/{state.recent_total}" if judged else "none finished yet"
        rate = f"found {found} ready {ready}/h" if idle_s is None else f"… idle {duration(idle_s)}"
        lag = f"lag {duration(state.lag_p50_s)}/{duration(state.lag_p95_s)}"
    else:
        kept = f"last {state.recent_total}: {state.recent_kept} kept" if judged else "nothing finished yet"
        rate = f"found {found}/h ready {ready}/h"
        if idle_s is not None:
            rate = f"… nothing new for {duration(idle_s)}, before that {rate}"
        lag = f"lag {duration(state.lag_p50_s)}, 95 % {duration(state.lag_p95_s)}"
    parts = [
        kept,
        rate if judged or state.found_per_hour else "",
        lag if judged else "",
        f"disk {size(state.free_disk_bytes)}{'' if short else ' left'}{_disk_lasts(state)}",
        f"queue {state.queue_depth}" if state.queue_depth or not short else "",
        _redoing(state),
        _disk_rates(state),
    ]
    return [Text(part) for part in parts]


def _disk_lasts(state: LiveState) -> str:
    """How long the session itself takes to fill it."""
    return "" if state.disk_full_in_h is None else f", {duration(state.disk_full_in_h * 3600)}"


def _disk_rates(state: LiveState) -> str:
    """What the session writes, and beside it what the disk loses to whoever writes."""
    own, shrinks = state.written_bytes_per_s, state.disk_shrinks_bytes_per_s
    rates = [
        f"{words} {size(rate * 3600)}/h"
        for words, rate in (("session writes", own), ("disk shrinks", shrinks))
        if rate is not None and rate >= _LEAST_BYTES_PER_S
    ]
    return ", ".join(rates)


def _record(state: LiveState, short: bool) -> list[Text]:
    """In place of rates and the disk, of a session that no daemon runs on: what came of it, and how long it took."""
    kept, rejected = state.counts.get("ready", 0), state.counts.get("rejected", 0)
    judged = kept + rejected
    share = f"✓ kept {count(kept)} of {count(judged)}" + (f" ({kept / judged:.0%})" if judged else "")
    began, ended = state.session_started_utc_us, state.ended_utc_us or 0
    took = duration((ended - began) / 1e6) if 0 < began < ended else NOT_KNOWN
    parts = [
        Text(share if judged else "… nothing was finished", GREEN if judged else GRAY),
        Text(f"! {clean(state.message)}" if state.message else "", ORANGE),
        Text(f"began {day_and_time(began, state.utc_us)}" + ("" if short else f", {took}") if began else ""),
        Text("read from its folder" if short else "no daemon runs: read from its folder", GRAY),
        Text("kept: within the thresholds", GRAY),
    ]
    return sorted(parts, key=lambda part: not part.plain.startswith("! "))


def _idle_s(state: LiveState) -> float | None:
    """Seconds since the last movie was found, if that is much longer than usual between two movies; else None."""
    if not state.last_found_utc_us or not state.utc_us:
        return None
    since = (state.utc_us - state.last_found_utc_us) / 1e6
    usual = 3600 / state.found_per_hour if state.found_per_hour else 0.0
    return since if since > max(_IDLE_S, _IDLE_GAPS * usual) else None


def _redoing(state: LiveState) -> str:
    if not state.redo_stage:
        return ""
    what = "CTF" if state.redo_stage == "ctf" else state.redo_stage
    return f"redoing {state.redo_done} of {state.redo_total} ({what})"


def _counts(state: LiveState, short: bool) -> list[Text]:
    total = sum(number_of for name, number_of in state.counts.items() if name != "outdated")
    if not total:
        return [
            Text("… no movie has come yet", GRAY),
            Text(f"watching {clean(state.raw_root)}" if state.raw_root else "", GRAY),
        ]
    parts = [] if short and total else [Text(f"{count(total)} movies", "bold")]
    for name in (*_MATTERS_MOST, *(other for other in MOVIE_STATES if other not in _MATTERS_MOST)):
        if state.counts.get(name):
            look = MOVIE_STATES[name]
            parts.append(Text(f"{look.sign} {count(state.counts[name])} {look.word}", look.color))
    return parts


def _science(state: LiveState, short: bool) -> list[Text]:
    parts = []
    if state.map_resolution_angstrom is not None:
        parts.append(Text(_map(state, short)))
    elif state.particle_count:
        parts.append(Text(f"{count(state.particle_count)} particles"))
    if state.message and state.ended_utc_us is None:
        parts.append(Text(clean(state.message), GRAY))
    return parts


def _map(state: LiveState, short: bool) -> str:
    """The resolution with its own particles and round, where the map started and what limits it."""
    limit = "≤ " if state.map_at_pixel_limit else ""
    text = f"map {limit}{number(state.map_resolution_angstrom, 2)} Å"
    if state.map_particle_count is None:
        return text
    text += f" of {count(state.map_particle_count)} particles, round {state.map_round}"
    if short:
        return text
    notes = ["at the pixels' limit"] if state.map_at_pixel_limit else []
    notes += [f"started from {clean(state.map_start)}"] if state.map_start else []
    return f"{text} ({', '.join(notes)})" if notes else text


def _fitted(parts: list[Text], width: int, end: str = "") -> Text:
    """Joins the parts that fit, in their order; `end` stands at the right edge."""
    room = width - (len(end) + 2 if end else 0)
    line = Text()
    for part in parts:
        if not part.plain:
            continue
        if not line.plain:
            line.append_text(part)
        elif line.cell_len + 3 + part.cell_len <= room:
            line.append(" · ", GRAY)
            line.append_text(part)
    line.truncate(room, overflow="ellipsis")
    if end:
        line.append(" " * max(1, width - line.cell_len - len(end)))
        line.append(end, GRAY)
    return line


class SessionHeader(Widget):
    """Draws `header_lines` of the newest state."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state: LiveState | None = None

    def show_state(self, state: LiveState) -> None:
        self._state = state
        self.refresh()

    def render(self) -> Text:
        if self._state is None:
            return Text("waiting for the first answer …", GRAY)
        return Text("\n").join(header_lines(self._state, max(10, self.size.width)))
