"""Answers what screen and command line ask: reads go to the store, orders to the daemon's own thread."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

from frazil.config.errors import NotThereError, UsageError
from frazil.config.loading import settings_of
from frazil.config.settings import Settings
from frazil.daemon.changes.experiments import keep_plan, stop, told, wanted_from
from frazil.daemon.changes.interventions import kept_or_later, note_change
from frazil.daemon.changes.plan import plan_change
from frazil.daemon.changes.targets import WORDS_OF_ORDERS, note_hours, note_word
from frazil.daemon.changes.thresholds import what_if_answer
from frazil.daemon.status.reads import as_rows, picture_of
from frazil.daemon.store import result_files
from frazil.daemon.store.rows import FeedbackRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.daemon.transport.messages import Command, Done, LiveState, NamedQuery, Picture, PictureReply, Rows, Sql


class DaemonService:
    """Implements `frazil.daemon.transport.service.QueryService`. Called from several threads.

    Parameters
    ----------
    order:
        Hands a command that concerns the daemon itself to its thread and waits for the answer.
    snapshot:
        The newest state.
    """

    def __init__(
        self, store: Store, session_dir: Path, order: Callable[[Command], str], snapshot: Callable[[], LiveState]
    ) -> None:
        self._store = store
        self._session_dir = session_dir.resolve()
        self._order = order
        self._snapshot = snapshot

    def named(self, request: NamedQuery) -> Rows:
        return as_rows(self._store.named(request.name, request.params))

    def sql(self, request: Sql) -> Rows:
        return as_rows(self._store.sql(request.text, timeout_s=request.timeout_s))

    def snapshot(self) -> LiveState:
        return self._snapshot()

    def picture(self, request: Picture) -> PictureReply:
        """Raises `NotThereError` for unknown movies and while the picture has not been written."""
        return picture_of(self._store, self._session_dir, request)

    def command(self, request: Command) -> Done:
        """Feedback is durable when this returns; orders have been taken."""
        match request.name:
            case "accept" | "reject" | "note":
                return self._record_feedback(request)
            case "intervention":
                return self._note_intervention(request)
            case "acknowledge":
                return self._acknowledge(request)
            case "experiment-plan":
                return Done(self._plan_experiment(request))
            case "experiment-stop":
                which = str(request.args.get("experiment_id") or "")
                now_utc_us = _now_utc_us()
                return Done(stop(self._store, self._session_dir, which, who=request.who, now_utc_us=now_utc_us))
            case "target-pick" | "target-avoid" | "target-forget" | "target-hours":
                return Done(self._note_target(request))
            case "what-if":
                return Done(what_if_answer(self._store, self._settings(), request.args))
            case "settings-preview":
                plan = plan_change(self._store, self._settings(), request.args, origin="")
                return Done(json.dumps({**plan.to_dict(), "lines": plan.lines()}))
            case _:
                return Done(self._order(request))

    def _record_feedback(self, request: Command) -> Done:
        """Raises `NotThereError` for an unknown movie."""
        movie_id = request.args.get("movie_id")
        if movie_id is not None and not self._store.named("movie", {"movie_id": str(movie_id)}).rows:
            raise NotThereError(
                f"no movie {movie_id} in this session", remedy="`frazil query SESSION --named movies` lists their ids"
            )
        note = request.args.get("reason") or request.args.get("text")
        now_utc_us = _now_utc_us()
        feedback = FeedbackRow(
            feedback_id=request.command_id or f"{now_utc_us}-{movie_id}-{request.name}",
            created_utc_us=now_utc_us,
            verdict=request.name,
            who=request.who or "unknown",
            movie_id=None if movie_id is None else str(movie_id),
            note=None if note is None else str(note),
        )
        with kept_or_later():
            result_files.append_feedback(self._session_dir, feedback)
        state = self._store.submit(session_writes.record_feedback, feedback).result()
        return Done("noted" if state is None else f"the movie is {state.value}")

    def _note_intervention(self, request: Command) -> Done:
        sentence, factor, at = (request.args.get(name) for name in ("sentence", "factor", "at_utc_us"))
        if at is not None and (isinstance(at, bool) or not isinstance(at, int)):
            raise UsageError(f"{at!r} is no time", remedy="send at_utc_us, UTC microseconds since 1970")
        noted = note_change(
            self._store,
            self._session_dir,
            sentence=None if sentence is None else str(sentence),
            factor=None if factor is None else str(factor),
            who=request.who,
            now_utc_us=_now_utc_us(),
            at_utc_us=at,
            intervention_id=request.command_id,
        )
        return Done(noted)

    def _plan_experiment(self, request: Command) -> str:
        """The experiment's id, words and number of holes as JSON; the same order again is the same experiment."""
        wanted = wanted_from(request.args)
        row = keep_plan(
            self._store,
            self._session_dir,
            wanted,
            who=request.who,
            now_utc_us=_now_utc_us(),
            experiment_id=f"x-{request.command_id}" if request.command_id else "",
        )
        return json.dumps(told(row))

    def _note_target(self, request: Command) -> str:
        """What a person says of the grid; the next round of advice hears it."""
        now_utc_us = _now_utc_us()
        if request.name == "target-hours":
            hours = request.args.get("hours")
            number = float(hours) if isinstance(hours, int | float) else math.nan
            return note_hours(self._store, self._session_dir, number, who=request.who, now_utc_us=now_utc_us)
        word = WORDS_OF_ORDERS[request.name]
        place = str(request.args.get("target_id") or "")
        return note_word(self._store, self._session_dir, place, word, who=request.who, now_utc_us=now_utc_us)

    def _acknowledge(self, request: Command) -> Done:
        """Raises `NotThereError` where no such alert is open."""
        alert_id = str(request.args.get("alert_id"))
        was_open = self._store.submit(
            session_writes.acknowledge_alert, alert_id, who=request.who or "unknown", utc_us=_now_utc_us()
        ).result()
        if not was_open:
            raise NotThereError(f"no open alert {alert_id}", remedy="`frazil alerts SESSION` lists those that are open")
        return Done("acknowledged")

    def _settings(self) -> Settings:
        """Those in force."""
        return settings_of(str(self._store.named("session").as_dicts()[0]["settings_yaml"]))


def _now_utc_us() -> int:
    return time.time_ns() // 1000
