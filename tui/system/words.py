"""The machinery in words: queue, stages' times, what was set aside, the journal, the daemon itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from frazil.daemon.transport.messages import LiveState, Pong, Row
from frazil.tui.words.alerts import words_first
from frazil.tui.words.formatting import NOT_KNOWN, clean, clock, count, duration, movie_name, number, shorten_left, size
from frazil.tui.words.palette import BLUE, GRAY, GREEN, MOVIE_STATES, ORANGE, VERMILION, Look, movie_look

_BAR_LEAST, _BAR_MOST = 6, 40
_STAGE_WIDTH = 13
SEVERITIES: dict[str, Look] = {
    "info": Look("·", "info", GRAY),
    "warning": Look("!", "warning", ORANGE),
    "error": Look("■", "error", VERMILION),
}
_UNDER_WAY = ("found", "settling", "queued", "processing")
"""The line of counts at the top of the screen has the others."""
STAGES: dict[str, str] = {
    "open": "open",
    "read": "read, gain",
    "align_global": "frames",
    "align_local": "local motion",
    "sum": "sum, dose",
    "ctf": "CTF",
    "quality": "quality",
    "attribute": "causes",
    "restore": "restore",
    "pick": "pick",
    "extract": "extract",
    "write": "write",
}
"""What a person calls the stages of a movie."""


def queue_text(state: LiveState) -> Text:
    """What is under way, how fast movies come and go, and when the queue will be empty."""
    text = Text()
    if state.ended_utc_us is not None:
        return _at_rest(state)
    for name in _UNDER_WAY:
        look, number_of = MOVIE_STATES[name], state.counts.get(name, 0)
        if number_of:
            text.append(f"{look.sign} {count(number_of)} {look.word}   ", look.color)
    text.append("\n" if text.plain else "")
    text.append_text(_outlook(state)).append("\n")
    text.append(f"found {number(state.found_per_hour, 0)}/h, ready {number(state.ready_per_hour, 0)}/h, ")
    text.append(f"lag {duration(state.lag_p50_s)} (95 %: {duration(state.lag_p95_s)})")
    text.append(f"\ndisk {size(state.free_disk_bytes)} left")
    if state.written_bytes_per_s:
        text.append(f", {size(state.written_bytes_per_s)}/s written, full in {_hours(state.disk_full_in_h)}", GRAY)
    return text


def _at_rest(state: LiveState) -> Text:
    """Of a session that has ended."""
    left = sum(state.counts.get(name, 0) for name in _UNDER_WAY)
    if left:
        text = Text(f"■ {count(left)} movies were left when it ended; `frazil watch` goes on with them", ORANGE)
    else:
        text = Text("✓ nothing was left when it ended", GREEN)
    return text.append(f"\nlag {duration(state.lag_p50_s)} (95 %: {duration(state.lag_p95_s)})", "default")


def _outlook(state: LiveState) -> Text:
    """Whether the workers keep up."""
    waiting, ready, found = state.queue_depth, state.ready_per_hour, state.found_per_hour
    if not waiting:
        return Text("✓ nothing waits", GREEN)
    if not ready:
        return Text(f"… {waiting} wait, none is finished yet", GRAY)
    if found is not None and found > 1.05 * ready:
        return Text(f"! {waiting} wait, {found - ready:.0f} more every hour than are finished", ORANGE)
    spare = ready - (found or 0.0)
    until = f"empty in {duration(waiting / spare * 3600)}" if spare > 0.05 * ready else "as many come as are finished"
    return Text(f"… {waiting} wait, {until}", BLUE)


def _hours(hours: float | None) -> str:
    return NOT_KNOWN if hours is None else duration(hours * 3600)


def stages_text(rows: Sequence[Row], devices: Sequence[Row], width: int) -> Text:
    """Answers of `stage_timings` and `devices`: `█` to the median, `░` on to the 95th percentile, largest first."""
    if not rows:
        return Text("no movie has been computed yet", GRAY)
    text = Text(no_wrap=True, overflow="ellipsis")
    room = min(_BAR_MOST, max(_BAR_LEAST, width - _STAGE_WIDTH - 27))
    longest = max((_float(row["p95_s"]) for row in rows), default=0.0) or 1.0
    total = sum(_float(row["total_s"]) for row in rows) or 1.0
    text.append(f"{'stage':{_STAGE_WIDTH}} {'median':>8} {'95 %':>8} share\n", GRAY)
    for row in rows:
        middle, high = _float(row["p50_s"]), _float(row["p95_s"])
        filled, end = round(middle / longest * room), round(high / longest * room)
        name = STAGES.get(str(row["stage"]), clean(row["stage"]).replace("_", " "))
        text.append(f"{name[:_STAGE_WIDTH]:{_STAGE_WIDTH}} {_seconds(middle):>8} {_seconds(high):>8} ")
        text.append(f"{_float(row['total_s']) / total:5.0%} ").append("█" * filled + "░" * (end - filled), BLUE)
        text.append("\n")
    movies = max(int(_float(row["movies"])) for row in rows)
    text.append(f"{'all':{_STAGE_WIDTH}} {_seconds(total / max(1, movies)):>8} a movie, of the last {movies}\n", "bold")
    for row in devices:
        name = clean(row.get("device_name") or row.get("device") or "")
        text.append(f"\n{clean(row.get('worker'))}: {name}", GRAY)
        busy = duration(_float(row.get("busy_s")))
        text.append(f", {count(int(_float(row.get('movies'))))} movies in {busy}", GRAY)
    return text


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 0.0995 else f"{value:.1f} s" if value < 99.95 else f"{value:.0f} s"


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def aside_line(row: Row) -> Text:
    """State, name, stage and reason of one movie that was set aside or failed."""
    look = movie_look(row.get("state"))
    line = Text.assemble((f"{look.text} ", look.color), (_tail(row), "bold"), no_wrap=True)
    return line.append(f"  {_reason(row)}")


def _tail(row: Row) -> str:
    """The end of a movie's name, which tells it apart."""
    name = movie_name(row.get("relative_path", ""))
    return name if len(name) <= 22 else "…" + name[-21:]


def _reason(row: Row) -> str:
    return clean(row.get("reason") or "no reason kept")


def aside_text(row: Row | None) -> Text:
    """Everything about the chosen one."""
    if row is None:
        return Text("✓ nothing was set aside", GRAY)
    look = movie_look(row.get("state"))
    stage = row.get("failure_stage")
    text = Text.assemble((f"{look.text} ", f"bold {look.color}"), (f"in {clean(stage)}: " if stage else "", ""))
    text.append(_reason(row))
    attempts = int(_float(row.get("attempts")))
    tries = f", {attempts} attempts" if attempts else ""
    text.append(f"\nfound {clock(row.get('found_utc_us'))}{tries}: {clean(row.get('relative_path') or '')}", GRAY)
    return text.append("\nQ: re-queue it", BLUE)


def journal_text(alerts: Sequence[Row]) -> Text:
    """All alerts, newest first: time, severity, words, what to do, who has acknowledged."""
    if not alerts:
        return Text("nothing has happened that a person should know", GRAY)
    text = Text()
    for i, row in enumerate(alerts):
        look = SEVERITIES.get(str(row.get("severity")), Look("?", clean(row.get("severity")), GRAY))
        done = row.get("acknowledged_utc_us") is not None
        text.append("\n" if i else "").append(f"{clock(row.get('created_utc_us'))} ", GRAY)
        text.append(f"{look.sign} ", look.color).append(f"{clean(row.get('subject') or '')}: ", "bold")
        text.append(words_first(row.get("text") or "", 1000))
        if row.get("remedy"):
            text.append(f" → {clean(row['remedy'])}", BLUE)
        if done:
            text.append(f" ✓ {clean(row.get('acknowledged_by') or 'acknowledged')}", GREEN)
    return text


def daemon_text(state: LiveState, pong: Pong | None, sockets: Sequence[str], width: int) -> Text:
    """Which process answers, where, and where it writes; paths are cut at their beginning."""
    text = Text(no_wrap=True, overflow="ellipsis")
    started, at_rest = state.daemon_started_utc_us, state.ended_utc_us is not None
    if at_rest:
        text.append("none runs: this screen reads the session's folder")
        sockets = ()
    elif pong is not None:
        text.append(f"frazil {clean(pong.version)}, ".replace(" ,", ",") + f"process {pong.pid}, ")
    if not at_rest:
        text.append(f"up {duration((state.utc_us - started) / 1e6) if started else NOT_KNOWN}, state {state.sequence}")
    folders = sorted({socket.removeprefix("ipc://").rpartition("/")[0] for socket in sockets})
    names = ", ".join(socket.rpartition("/")[2] for socket in sockets)
    places = [
        ("movies", state.raw_root),
        ("session", state.session_dir),
        ("log", f"{state.session_dir}/logs/daemon.log" if state.session_dir else ""),
        *(("sockets", f"{folder}/{names}") for folder in folders),
    ]
    for name, value in places:
        text.append(f"\n{name:8}", GRAY).append(shorten_left(clean(value), max(10, width - 8)) or NOT_KNOWN)
    return text
