"""Carries out what people order of the daemon itself, and answers them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from frazil.config.errors import FrazilError, RetryLaterError, UsageError
from frazil.config.settings import Settings
from frazil.config.stages import Stage
from frazil.daemon.changes.apply import apply_plan, apply_thresholds, origin_of
from frazil.daemon.changes.classes import ClassWords, note_classes
from frazil.daemon.changes.plan import plan_change
from frazil.daemon.processing.movies import Movies
from frazil.daemon.processing.results import ResultWriter
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.inbox import Order
from frazil.daemon.session.options import ExitReport
from frazil.daemon.transport.messages import Command

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StandingRequests:
    """What people have asked of the session as a whole; a change of settings does not end it."""

    paused: bool = False
    """Movies are found, none is started."""
    finishing: bool = False
    """The session is to end as `--once` does: when all is done, map and losses too."""
    end: ExitReport | None = None
    """Why the daemon ends soon; None: it goes on."""

    def stop(self, sentence: str) -> None:
        """End soon; what is under way is done again when the session is resumed."""
        self.end = ExitReport(True, sentence, stopped=True)

    def stop_for(self, who: str) -> str:
        """The same as somebody ordered it; the answer to the order."""
        self.stop(f"stopped by {who or 'a client'}")
        return "stopping"


def answer_between_runs(order: Order, requests: StandingRequests, why: str) -> None:
    """While the next run cannot begin the session can be ended, and nothing else done; `why` says what it waits for."""
    if not order.done.set_running_or_notify_cancel():
        return
    if order.command.name == "stop":
        order.done.set_result(requests.stop_for(order.command.who))
    else:
        order.done.set_exception(RetryLaterError(why, remedy="try again when it is over"))


class Commands:
    """See the module. All methods are called from the daemon's own thread."""

    def __init__(
        self,
        requests: StandingRequests,
        context: SessionContext,
        *,
        movies: Movies,
        results: ResultWriter,
        check_workers: Callable[[Settings], object],
        classes_spoken_of: Callable[[], None],
    ) -> None:
        """`check_workers` raises `UsageError` if this machine does not have what settings want; `classes_spoken_of`
        tells the map that there is something to hear."""
        self._requests, self._context = requests, context
        self._movies, self._results, self._check_workers = movies, results, check_workers
        self._classes_spoken_of = classes_spoken_of
        self.settings = context.settings
        """As people want them now; those in force until they are taken up are the ones that were given."""
        self.another_run_wanted = False
        """They touch what was built with the ones in force."""

    def take(self, order: Order) -> None:
        """Carry it out; its answer, or why it is refused, goes to whoever asked."""
        if not order.done.set_running_or_notify_cancel():
            return  # whoever asked has been told that it was not done
        try:
            order.done.set_result(self._carry_out(order))
        except (FrazilError, OSError) as error:
            order.done.set_exception(error)

    def _carry_out(self, order: Order) -> str:
        command = order.command
        match command.name:
            case "pause":
                self._requests.paused = True
                return "paused: movies are still found, none is started"
            case "resume":
                self._requests.paused = False
                return "going on"
            case "finish":
                self._requests.finishing = True
                return "ends when all that is there is processed"
            case "stop":
                return self._requests.stop_for(command.who)
            case "requeue":
                as_is = bool(command.args.get("accept_as_is", False))
                return self._movies.requeue(str(command.args.get("movie_id")), accept_as_is=as_is)
            case "thresholds":
                return self._set_thresholds(command.args, command.who)
            case "settings":
                return self._set_settings(command.args, command.who)
            case "class-verdict":
                return self._note_classes(order.command)
        raise UsageError(f"not an order for the daemon: {command.name}")

    def _note_classes(self, command: Command) -> str:
        """What a person says of 2-D classes; the map hears of it before its next round, or now if it is at rest."""
        sentence = note_classes(
            self._context.store,
            self._context.session_dir,
            ClassWords.of(command.args),
            who=command.who,
            now_utc_us=self._context.utc_us(),
            order_id=command.command_id,
        )
        self._classes_spoken_of()
        return sentence

    def _set_thresholds(self, changes: Mapping[str, object], who: str) -> str:
        """A person changes thresholds while the session runs; kept with it. The map follows before its next round."""
        self.settings, judged = apply_thresholds(
            self._context.store, self._context.session_dir, changes, before=self.settings, who=who
        )
        self._results.use(self.settings.thresholds)
        _log.info("thresholds are %s (set by %s)", self.settings.thresholds, who or "a client")
        return f"{judged.set_aside} movies set aside, {judged.kept_again} kept again"

    def _set_settings(self, changes: Mapping[str, object], who: str) -> str:
        """A person changes settings while the session runs; kept with it, and taken up when the movies in the workers'
        hands are through."""
        now_utc_us = self._context.utc_us()
        plan = plan_change(self._context.store, self.settings, changes, origin=origin_of(who, now_utc_us))
        if not plan.changed:
            return plan.sentence()
        self._check_workers(plan.settings)
        apply_plan(
            self._context.store, self._context.session_dir, plan, before=self.settings, who=who, now_utc_us=now_utc_us
        )
        self.settings = plan.settings
        _log.info("settings by %s: %s", who or "a client", "; ".join(plan.lines()))
        if {one.stage for one in plan.changed} == {Stage.THRESHOLDS}:
            self._results.use(plan.settings.thresholds)
        else:
            self.another_run_wanted = True
        return plan.sentence()
