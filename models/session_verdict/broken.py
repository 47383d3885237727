"""What is broken, and what soon will be: rules about the machinery. Pure; whether an alert stands, and that it does not
flicker, is settled where it is raised (`frazil.daemon.alerts.rules`)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from frazil.models.session_verdict.records import Class, Finding, OpenAlert, SessionSeen, Word

_BYTES_PER_GB = 1e9
_SHORTEST_LAG_H = 0.1
_SAID_OTHERWISE = ("quality", "worker")
"""Subjects of alerts that follow from what is judged here anyway."""
ALERT_RULES = {
    "no-movie": "rule-no-movie",
    "lag": "rule-lag",
    "disk-hours": "rule-disk-hours",
    "disk-free": "rule-disk-free",
    "disk-full": "disk-floor",
    "folder": "raw-folder-lost",
}
"""Ids of the alerts whose standing decides; their words are made anew of the present numbers."""


def machinery(seen: SessionSeen) -> Iterator[Finding]:
    """All that is broken or about to be, in the order in which it is told."""
    standing = {alert.alert_id: alert for alert in seen.alerts}
    yield from _workers(seen)
    if seen.gate_blocks:
        yield Finding(
            "gain",
            Word.STOP,
            Class.BROKEN,
            "the gain reference does not fit the movies",
            f"the gain reference cannot be used, and no movie is processed: {seen.gate_evidence}",
            seen.gate_remedy,
        )
    if ALERT_RULES["disk-full"] in standing:
        yield _disk_full(seen, standing[ALERT_RULES["disk-full"]])
    if ALERT_RULES["folder"] in standing:
        lost = standing[ALERT_RULES["folder"]]
        yield Finding("folder", Word.STOP, Class.BROKEN, "the movies' folder is gone", lost.text, lost.remedy)
    if ALERT_RULES["no-movie"] in standing:
        yield _no_movie(seen, standing[ALERT_RULES["no-movie"]])
    for rule in ("disk-hours", "disk-free"):
        if ALERT_RULES[rule] in standing:
            yield _disk_short(rule, seen, standing[ALERT_RULES[rule]])
    if ALERT_RULES["lag"] in standing:
        yield _lag(seen, standing[ALERT_RULES["lag"]])
    yield from _errors(seen)


def _workers(seen: SessionSeen) -> Iterator[Finding]:
    dead, all_of = seen.workers_dead, seen.workers
    if not dead:
        return
    remedy = "see `frazil doctor` and logs/daemon.log; then start `frazil watch` again: it goes on where it stopped"
    if dead == all_of:
        yield Finding(
            "workers",
            Word.STOP,
            Class.BROKEN,
            "no worker is alive, nothing is processed",
            f"none of {all_of} workers is alive, and no movie is processed",
            remedy,
        )
        return
    yield Finding(
        "worker",
        Word.CHANGE,
        Class.MACHINERY,
        f"{dead} of {all_of} workers {'is' if dead == 1 else 'are'} dead",
        f"{dead} of {all_of} workers {'is' if dead == 1 else 'are'} dead; the others go on, slower",
        remedy,
    )


def _disk_full(seen: SessionSeen, told: OpenAlert) -> Finding:
    left = "" if seen.free_bytes is None else f" ({seen.free_bytes / _BYTES_PER_GB:.1f} GB left)"
    short = f"the disk is full{left}, no movie is started"
    return Finding("disk-full", Word.STOP, Class.BROKEN, short, told.text, told.remedy)


def _no_movie(seen: SessionSeen, told: OpenAlert) -> Finding:
    since = "" if seen.no_movie_for_s is None else f" for {_time(seen.no_movie_for_s)}"
    what = "no movie has come" if not seen.total else "no new movie"
    short = f"{what}{since}: look at the microscope"
    return Finding("no-movie", Word.CHANGE, Class.BROKEN, short, f"{what}{since}", told.remedy)


def _disk_short(rule: str, seen: SessionSeen, told: OpenAlert) -> Finding:
    if rule == "disk-free" or seen.disk_full_in_h is None or math.isinf(seen.disk_full_in_h):
        left = "little space" if seen.free_bytes is None else f"{seen.free_bytes / _BYTES_PER_GB:.0f} GB"
        return Finding(rule, Word.CHANGE, Class.MACHINERY, f"{left} left on the session's disk", told.text, told.remedy)
    hours = _time(seen.disk_full_in_h * 3600)
    writes = (
        ""
        if not seen.session_bytes_per_s
        else f": it writes {seen.session_bytes_per_s * 3600 / _BYTES_PER_GB:.0f} GB/h"
    )
    return Finding(
        rule,
        Word.CHANGE,
        Class.MACHINERY,
        f"this session fills the disk in {hours}",
        f"this session fills its disk in {hours}{writes}",
        told.remedy,
    )


def _lag(seen: SessionSeen, told: OpenAlert) -> Finding:
    ready = seen.ready_per_hour or 0.0
    catch_up_h = seen.waiting / ready if ready > 0 else math.inf
    late = "none gets done" if math.isinf(catch_up_h) else f"{max(catch_up_h, _SHORTEST_LAG_H):.1f} h to catch up"
    short = f"results fall behind: {seen.waiting} wait, {late}"
    return Finding("lag", Word.CHANGE, Class.MACHINERY, short, told.text, told.remedy)


def _errors(seen: SessionSeen) -> Iterator[Finding]:
    """Errors that no rule here has words of its own for."""
    own = set(ALERT_RULES.values())
    for alert in seen.alerts:
        said = alert.alert_id in own or alert.subject in _SAID_OTHERWISE
        said = said or (alert.subject == "gain" and seen.gate_blocks)
        if alert.severity == "error" and not said:
            yield Finding("error", Word.CHANGE, Class.BROKEN, alert.text, alert.text, alert.remedy)


def _time(seconds: float) -> str:
    """
    >>> _time(45), _time(1320), _time(7900), _time(200000)
    ('45 s', '22 min', '2.2 h', '2.3 d')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
