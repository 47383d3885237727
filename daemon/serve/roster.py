"""Who runs, who waits, who is started again and when: decisions alone, without processes, files or a clock.

The supervisor tells what it has seen and does what is due; every sentence that a person reads of an acquisition's state
is made here.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from frazil.daemon.serve.records import Acquisition, State

MOST_DEATHS = 6
"""In a row; then a person has to look."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10.0, 600.0
_LIVED_S = 1800.0
"""One that ran so long before it died has not died in a row."""
_USAGE_ERROR = 2
"""Exit code of a verb that was asked wrongly: to ask again in the same way is of no use."""


def pause_s(deaths: int) -> float:
    """Before a session that died so often in a row is started again.

    >>> [pause_s(deaths) for deaths in (1, 2, 3, 9)]
    [10.0, 20.0, 40.0, 600.0]
    """
    return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (deaths - 1)))


def change(one: Acquisition, state: State, why: str, now_utc_s: float) -> bool:
    """Put it into a state; whether that says something new."""
    if (one.state, one.why) == (state, why):
        return False
    if one.state is not state:
        one.changed_utc_s = now_utc_s
    one.state, one.why = state, why
    return True


def due(acquisitions: Sequence[Acquisition], most: int, now_utc_s: float) -> list[tuple[Acquisition, int]]:
    """Those to start now, each with its place: who has waited longest comes first."""
    taken = {one.place for one in acquisitions if one.state is State.RUNNING}
    free = [place for place in range(most) if place not in taken]
    room = max(0, most - sum(one.state is State.RUNNING for one in acquisitions))
    waiting = [one for one in acquisitions if one.state is State.QUEUED and one.not_before_utc_s <= now_utc_s]
    waiting.sort(key=lambda one: (one.changed_utc_s, one.session))
    return list(zip(waiting, free[:room], strict=False))


def gpus_of(place: int, most: int, gpus: Sequence[int]) -> tuple[int, ...]:
    """What the session at this place may use: an even part of the GPUs, and where there are fewer GPUs than places,
    one that it shares.

    >>> [gpus_of(place, 2, (0, 1, 2, 3)) for place in (0, 1)], [gpus_of(place, 3, (0, 1)) for place in (0, 1, 2)]
    ([(0, 1), (2, 3)], [(0,), (1,), (0,)])
    """
    if not gpus:
        return ()
    if len(gpus) < most:
        return (gpus[place % len(gpus)],)
    return tuple(gpus[place * len(gpus) // most : (place + 1) * len(gpus) // most])


def started(one: Acquisition, place: int, now_utc_s: float) -> None:
    """Its process is being started."""
    one.place, one.started_utc_s, one.stopping = place, now_utc_s, False
    change(one, State.RUNNING, "", now_utc_s)


def ended(one: Acquisition, code: int | None, *, closed: bool | None, words: str, now_utc_s: float) -> None:
    """Its process is gone.

    Parameters
    ----------
    code:
        Its exit code, negative for a signal; None where another process was its parent.
    closed:
        Whether the session says of itself that it ended in good order; asked only where there is no code.
    words:
        The last that it said.
    """
    ran_s = now_utc_s - (one.started_utc_s or now_utc_s)
    one.pid = one.pid_began = one.place = None
    if one.stopping:
        one.stopping = False
        change(one, State.STOPPED, "serve was ended; the session goes on when it starts", now_utc_s)
    elif code == 0 or (code is None and closed):
        one.deaths = 0
        change(one, State.FINISHED, words or "ended in good order", now_utc_s)
    elif code == _USAGE_ERROR:
        change(one, State.WAITS, f"refused: {words or 'its log says why'}", now_utc_s)
    else:
        _died(one, code, words, ran_s, now_utc_s)


def _died(one: Acquisition, code: int | None, words: str, ran_s: float, now_utc_s: float) -> None:
    one.deaths = 1 if ran_s >= _LIVED_S else one.deaths + 1
    # One that was killed has said nothing of it: its last words are of what it did then.
    how = _how(code) + (f" ({words})" if words and (code or 0) > 0 else "")
    if one.deaths >= MOST_DEATHS:
        change(one, State.WAITS, f"{how}, {one.deaths} times in a row: not started again", now_utc_s)
        return
    wait_s = pause_s(one.deaths)
    one.not_before_utc_s = now_utc_s + wait_s
    change(one, State.QUEUED, f"{how}: started again in {wait_s:.0f} s", now_utc_s)


def _how(code: int | None) -> str:
    if code is None:
        return "died while serve was away"
    if code > 0:
        return f"failed with exit code {code}"
    try:
        return f"died of {signal.Signals(-code).name}"
    except ValueError:
        return f"died of signal {-code}"


def after_serve_was_away(one: Acquisition, *, alive: bool, now_utc_s: float) -> None:
    """When serve starts: what it left stopped, and what a person may have mended, is tried again. One that ran and is
    gone is told of by `ended`."""
    if one.state is State.STOPPED:
        change(one, State.QUEUED, "goes on", now_utc_s)
    elif one.state is State.WAITS:
        rules_changed(one, now_utc_s)
    elif one.state is State.RUNNING and alive and one.stopping:
        one.why = "ends, as serve had asked it to"


def rules_changed(one: Acquisition, now_utc_s: float) -> None:
    """What waited for a person is decided anew."""
    if one.state is State.WAITS:
        one.deaths, one.not_before_utc_s = 0, 0.0
        change(one, State.SEEN, "", now_utc_s)
