"""`frazil serve`: a loop that looks for acquisitions, starts a process for each as the rules say, and watches over it.

What it knows lies on disk (`records.py`) before it acts on it, and a session's own lock says whether it runs: serve may
be killed at any moment, and the next one goes on with what runs. It reads no movie and holds no database: a session
that fails takes nothing with it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from frazil.config.errors import FrazilError, SessionLockedError, SettingsError, UsageError
from frazil.config.serving_file import load_rules
from frazil.daemon.serve import roster
from frazil.daemon.serve.candidates import Candidates, treatment_of
from frazil.daemon.serve.children import Children, frazil_words, last_words
from frazil.daemon.serve.finding import find_acquisitions
from frazil.daemon.serve.folders import Access, access_of, session_name
from frazil.daemon.serve.known import KnownSession, known_sessions, was_closed
from frazil.daemon.serve.notify import notify
from frazil.daemon.serve.records import Acquisition, Records, ServeRecord, State
from frazil.daemon.serve.starter import order_for
from frazil.daemon.store.lock import SessionLock, is_locked

_log = logging.getLogger("frazil.serve")
_STEP_S = 1.0
_END_WAIT_S = 120.0
"""For sessions to end when serve does; what is not done by then goes on without it."""
_DAY_S = 86400.0
_NOT_YET = (State.SEEN, State.OLD)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What serve is told."""

    root: Path
    sessions_dir: Path
    rules_path: Path


class Supervisor:
    """See the module. `run` returns after `stop`; `step` is one turn of its loop.

    Parameters
    ----------
    utc_s:
        The time, in seconds since 1970.
    children:
        Processes; tests start lighter ones.
    """

    def __init__(
        self, options: ServeOptions, *, children: Children | None = None, utc_s: Callable[[], float] = time.time
    ) -> None:
        """Raises `UsageError`: a folder is not there, one lies in the other, the rules are wrong."""
        self._options, self._utc_s = options, utc_s
        self._root, self._sessions_dir = options.root.resolve(), options.sessions_dir.resolve()
        _check_folders(self._root, self._sessions_dir)
        self._rules, self._rules_stamp = load_rules(options.rules_path), _stamp(options.rules_path)
        self._children = Children() if children is None else children
        self._records = Records(self._sessions_dir)
        self._candidates = Candidates(self._root)
        self._known: dict[str, KnownSession] = {}
        self.acquisitions: dict[str, Acquisition] = {}
        """By folder."""
        self._access: dict[str, Access] = {}
        self._looked_s = float("-inf")
        self._told: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._ending = threading.Event()
        self._own = ServeRecord(
            root=str(self._root),
            rules=str(options.rules_path.absolute()),
            pid=os.getpid(),
            version=version("frazil"),
            began_utc_s=utc_s(),
        )

    def stop(self) -> None:
        """End soon. Callable from a signal handler."""
        self._ending.set()

    def run(self) -> None:
        """Until `stop`: sessions that run are asked to end, and go on when serve starts again.

        Raises `UsageError` where another serve has these sessions.
        """
        with self._lock():
            self.take_up()
            notify("READY=1", "STATUS=" + self.status_line())
            while not self._ending.is_set():
                try:
                    self.step()
                except OSError as error:  # a disk that is full or gone for a while: sessions run on without us
                    _log.error("this turn came to nothing, the next one tries again: %s", error)
                notify("STATUS=" + self.status_line())
                self._ending.wait(_STEP_S)
            notify("STOPPING=1", "STATUS=sessions end")
            self._end_sessions()

    def _lock(self) -> SessionLock:
        try:
            return SessionLock(self._records.folder)
        except SessionLockedError as error:
            raise UsageError(
                "another `frazil serve` has these sessions",
                path=self._sessions_dir,
                remedy="`frazil serve --status --sessions DIR` tells of it; stop it first",
            ) from error

    # --- after a time without serve --------------------------------------------------------------------------------

    def take_up(self) -> None:
        """What an earlier serve left, and what persons have started themselves. Before the first `step`."""
        self._records.prepare()
        before = self._records.own()
        self._own.retained_utc_s = before.retained_utc_s if before is not None else 0.0
        self.acquisitions = {one.folder: one for one in self._records.acquisitions() if one is not None}
        names = {one.session for one in self.acquisitions.values()}
        self._known = known_sessions(self._sessions_dir, without=names)
        for one in self.acquisitions.values():
            alive = self._runs(one)
            if one.state is State.RUNNING and alive:
                self._say(one, f"{one.session}: runs already (process {one.pid}); taken up again")
            roster.after_serve_was_away(one, alive=alive, now_utc_s=self._utc_s())
            self._save(one)

    def _runs(self, one: Acquisition) -> bool:
        """Its process, or one that somebody else has started."""
        if one.pid is not None and self._children.alive(one.pid, one.pid_began):
            return True
        return is_locked(self._sessions_dir / one.session)

    # --- one turn --------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One turn: rules, processes that have ended, new acquisitions, those that are due."""
        self._read_rules()
        self._collect()
        now = self._utc_s()
        if now - self._looked_s >= self._rules.scan_interval_s:
            self._looked_s = now
            self._look()
        for one, place in roster.due(list(self.acquisitions.values()), self._rules.max_sessions, self._utc_s()):
            self._start(one, place)
        self._retain()
        self._own.max_sessions = self._rules.max_sessions
        self._records.write_own(self._own)

    def _read_rules(self) -> None:
        stamp = _stamp(self._options.rules_path)
        if stamp == self._rules_stamp:
            return
        self._rules_stamp = stamp
        try:
            self._rules = load_rules(self._options.rules_path)
        except SettingsError as error:
            self._problem("rules", f"the rules cannot be used, those of before hold: {error}")
            return
        self._problem("rules", "")
        _log.info("the rules were read again")
        for one in self.acquisitions.values():
            roster.rules_changed(one, self._utc_s())
        self._looked_s = float("-inf")

    def _collect(self) -> None:
        for one in self.acquisitions.values():
            if one.state is State.RUNNING and not self._runs(one):
                self._take_end(one)

    def _take_end(self, one: Acquisition) -> None:
        code = None if one.pid is None else self._children.exit_code(one.pid)
        closed = was_closed(self._sessions_dir / one.session) if code is None else None
        words = last_words(self._records.log_path(one.session))
        roster.ended(one, code, closed=closed, words=words, now_utc_s=self._utc_s())
        if one.state is State.FINISHED and self._candidates.without_movie(one):
            one.needs_movie = True
            roster.change(one, State.SEEN, "no movie came; it begins again with the first", self._utc_s())
        if one.state is State.STOPPED and not self._ending.is_set():  # asked to by a serve that was gone before it
            roster.after_serve_was_away(one, alive=False, now_utc_s=self._utc_s())
        self._save(one)
        self._say(one, f"{one.session}: {one.state}: {one.why}")

    # --- what is new -----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        look = find_acquisitions(
            self._root,
            leave=frozenset(map(Path, self.acquisitions)),
            exclude=(self._sessions_dir,),
            patterns=self._rules.folders,
        )
        self._own.looked_utc_s = self._utc_s()
        gone = "" if look.root_there else f"{self._root} is not there: mount or make it, serve goes on by itself"
        self._problem("root", gone)
        hidden = f"{look.unreadable} folders of {self._root} may not be read by this account" if look.unreadable else ""
        self._problem("unreadable", hidden)
        for found in look.found:
            self._add(str(found.folder), found.program)
        for one in self.acquisitions.values():
            if one.state in _NOT_YET:
                self._consider(one)
            elif one.state is State.FINISHED and self._candidates.goes_on(one, self._rules, self._utc_s()):
                roster.change(one, State.QUEUED, "something has come after its end", self._utc_s())
                self._say(one, f"{one.session}: queued: {one.why}")
                self._save(one)

    def _add(self, folder: str, program: str) -> None:
        known = self._known.get(folder)
        taken = {one.session for one in self.acquisitions.values()} | _names_in(self._sessions_dir)
        name = known.name if known is not None else session_name(Path(folder), taken)
        one = Acquisition(folder=folder, program=program, session=name, changed_utc_s=self._utc_s())
        self.acquisitions[folder] = one
        if known is not None and is_locked(self._sessions_dir / name):
            roster.change(one, State.RUNNING, "started by somebody else", self._utc_s())
        elif known is not None and known.closed:
            roster.change(one, State.FINISHED, "ended before serve knew of it", self._utc_s())
        self._save(one)

    def _consider(self, one: Acquisition) -> None:
        if self._candidates.look(one, self._rules, self._utc_s()):
            self._say(one, f"{one.session} ({one.folder}): {one.state}{f': {one.why}' if one.why else ''}")
            self._save(one)

    # --- start and end ---------------------------------------------------------------------------------------------

    def _start(self, one: Acquisition, place: int) -> None:
        """What is noted first is that it runs: a serve that is killed now finds a session without a process, and
        starts it again; the session's lock sees to it that none runs twice."""
        if is_locked(self._sessions_dir / one.session):
            roster.started(one, place, self._utc_s())
            one.why = "started by somebody else"
            self._save(one)
            return
        treatment = treatment_of(self._rules, one.rule)
        if treatment is None:
            roster.change(one, State.SEEN, f"there is no rule {one.rule} any more", self._utc_s())
            self._save(one)
            return
        try:
            access = self._access_for(one)
            running = [other for other in self.acquisitions.values() if other.state is State.RUNNING]
            ports = {other.http_port for other in running if other.http_port is not None}
            order = order_for(
                one, treatment, self._rules, self._options.rules_path, self._records,
                place=place, access=access, ports_taken=ports,
            )  # fmt: skip
            roster.started(one, place, self._utc_s())
            self._save(one)
            one.pid, one.pid_began = self._children.start(order)
        except (OSError, FrazilError) as error:
            one.started_utc_s = self._utc_s()
            roster.ended(one, 1, closed=None, words=str(error), now_utc_s=self._utc_s())
        else:
            if treatment.http_ports is not None and order.http_port is None:
                low, high = treatment.http_ports
                one.why = f"without HTTP: all ports from {low} to {high} are taken"
            port = "" if order.http_port is None else f", HTTP on port {order.http_port}"
            gpus = f", GPUs {' '.join(map(str, one.gpus))}" if one.gpus else ""
            self._say(one, f"{one.session}: started by rule {one.rule} (process {one.pid}{gpus}{port})")
        self._save(one)

    def _access_for(self, one: Acquisition) -> Access:
        access = access_of(Path(one.folder), self._root, as_acquisition=self._rules.owner == "as-acquisition")
        if access.problem:
            self._say(one, f"{one.session}: {access.problem}", once="access")
        self._access[one.folder] = access
        return access

    def _end_sessions(self) -> None:
        """Raises nothing: what does not end goes on, and is taken up again."""
        mine = [one for one in self.acquisitions.values() if one.state is State.RUNNING and one.pid is not None]
        for one in mine:
            one.stopping = True
            self._save(one)
            assert one.pid is not None
            self._children.ask_to_end(one.pid, one.pid_began)
        give_up = time.monotonic() + _END_WAIT_S
        while time.monotonic() < give_up and any(one.state is State.RUNNING for one in mine):
            for one in mine:
                if one.state is State.RUNNING and not self._runs(one):
                    self._take_end(one)
            time.sleep(0.05)
        for one in mine:
            if one.state is State.RUNNING:
                _log.warning("%s has not ended after %.0f s and goes on alone", one.session, _END_WAIT_S)

    def _retain(self) -> None:
        """Once a day, in a process of its own."""
        rules = self._rules.retention
        now = self._utc_s()
        if not rules.daily or now - self._own.retained_utc_s < _DAY_S:
            return
        self._own.retained_utc_s = now
        words = [*frazil_words(), "retain", str(self._sessions_dir), "--rules", self._own.rules, "--remove"]
        self._children.start_aside(words, self._records.folder / "logs" / "retain.log")

    # --- words and files -------------------------------------------------------------------------------------------

    def status_line(self) -> str:
        """For the service manager: `2 run, 1 queued, 14 finished`."""
        states = [one.state for one in self.acquisitions.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in State if state in states)
        return (counts or "no acquisition yet") + (f"; {self._own.problem}" if self._own.problem else "")

    def _problem(self, subject: str, text: str) -> None:
        """What a person should mend; told once, until it is another."""
        if self._told.get(subject, "") != text:
            self._told[subject] = text
            (_log.warning if text else _log.info)("%s", text or f"{subject}: as it should be again")
        self._own.problem = "; ".join(told for told in self._told.values() if told)

    def _say(self, one: Acquisition, text: str, *, once: str = "") -> None:
        """Into the log; of acquisitions that are closed to others, too: the log is this account's."""
        key = f"{once} {one.folder}"
        if not once or self._said.get(key) != text:
            self._said[key] = text
            _log.info("%s", text)

    def _save(self, one: Acquisition) -> None:
        """Readable for whom the acquisition is."""
        try:
            access = self._access.get(one.folder) or self._access_for(one)
        except FrazilError:
            access = Access(0o700)  # the acquisition is gone: nobody else may read of it
        self._records.write(one, mode=access.file_mode, group=access.group)


def _check_folders(root: Path, sessions_dir: Path) -> None:
    if not root.is_dir():
        raise UsageError("the folder to watch does not exist", path=root, remedy="give the folder of acquisitions")
    if sessions_dir == root or root.is_relative_to(sessions_dir):
        raise UsageError(
            "acquisitions would lie among the sessions", path=sessions_dir, remedy="give --sessions another folder"
        )


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _stamp(path: Path) -> tuple[int, int] | None:
    """Of the rules; None: they cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
