"""Posts what each round decides, on a thread of its own: a service that is slow or down delays no round and no movie.

Only the newest round is ever posted, and of it what the service has not been told yet. What it was told is kept in the
store, by the service's session. A service that has lost the session is told everything once it knows it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from frazil.config.errors import FrazilError, NotThereError, SettingsError
from frazil.config.sections.targets import TargetsSettings
from frazil.daemon.analysis.athena.client import AthenaClient
from frazil.daemon.analysis.athena.decisions import RoundDecisions
from frazil.daemon.session.context import SessionContext
from frazil.daemon.session.secrets import read_secret
from frazil.daemon.session.stepped_thread import SteppedThread
from frazil.daemon.store.target_rows import PostedDecisionRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import target_writes
from frazil.models.formats.grid.athena_records import Area, AreaDecision, decisions_body

_log = logging.getLogger(__name__)
ALERT = "targets-athena"
"""What keeps decisions from being posted."""
_AT_ONCE = 500
"""Decisions in one request."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_REMEDY = "nothing: it is tried again, and the newest round is posted then; check targets.athena_url"
_SESSION_REMEDY = "give EPU's session by its name or id: `frazil set SESSION targets.athena_session=NAME`"
_OPEN_SQL = "SELECT count(*) FROM alerts WHERE alert_id = ? AND cleared_utc_us IS NULL"
_POSTED_SQL = "SELECT area_id, decision_type, decision_value FROM athena_decisions WHERE service_session_id = ?"


def pause_s(failures: int) -> float:
    """Before the next try after so many failures in succession.

    >>> [pause_s(failures) for failures in (1, 2, 3, 9)]
    [5.0, 10.0, 20.0, 300.0]
    """
    return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20)))


def to_post(
    decisions: Sequence[AreaDecision], areas: Sequence[Area], posted: Mapping[tuple[int, str], str]
) -> tuple[list[AreaDecision], int, int]:
    """Those that the service does not have yet and can take; how many areas it does not know; of how many."""
    types = {area.id: area.area_type for area in areas}
    wanted = {one.area_id: one.area_type for one in decisions}
    unknown = {area_id for area_id, area_type in wanted.items() if types.get(area_id) != area_type}
    now = [one for one in decisions if one.area_id not in unknown and posted.get(one.key) != one.value]
    return now, len(unknown), len(wanted)


class DecisionPoster:
    """See the module. `start`, then `close` before the store is closed."""

    def __init__(
        self,
        context: SessionContext,
        *,
        environ: Mapping[str, str],
        client: Callable[[str, str | None], AthenaClient] = AthenaClient,
    ) -> None:
        """`client`: made anew for each try, of address and token."""
        self._store, self._notices, self._clock, self._utc_us = (
            context.store,
            context.notices,
            context.clock,
            context.utc_us,
        )
        self._settings: TargetsSettings = context.settings.targets
        self._environ, self._client = environ, client
        self._wanted: RoundDecisions | None = None
        self._done: RoundDecisions | None = None
        """The newest that has been posted, or has nothing that could be."""
        self._given_for: tuple[str, ...] | None = None
        """Sessions of EPU that the grid was of when a person's word on the session was first followed."""
        self._failures = 0
        self._not_before_s = float("-inf")
        self._told: dict[str, str] = {}
        """By subject, what a person was told."""
        self._open: bool | None = None
        """Whether a person knows of a failure; None: the store has not been asked."""
        self._posted: tuple[str, dict[tuple[int, str], str]] | None = None
        """Session of the service, and what it was told."""
        self._thread = SteppedThread(
            "athena-poster", self.step, log=_log, cannot="decisions cannot be posted now", failed=self._later
        )

    def start(self) -> None:
        """Harmless twice."""
        self._thread.start()

    def want(self, decisions: RoundDecisions) -> None:
        """This is to be posted, and nothing of before. Never waits."""
        self._wanted = decisions

    def close(self, wait_s: float = 10.0) -> None:
        """Try once more what is due, at most so long. Harmless twice."""
        self._thread.close(wait_s)

    def _later(self) -> None:
        self._not_before_s = self._clock() + _LONGEST_PAUSE_S

    def step(self) -> None:
        """Post what is due now. Raises what the store raises."""
        wanted = self._wanted
        if wanted is None or wanted is self._done or self._clock() < self._not_before_s:
            return
        try:
            self._post(wanted)
        except FrazilError as error:
            self._failed(error)
            return
        self._done, self._failures, self._not_before_s = wanted, 0, float("-inf")
        self._works()

    def _post(self, wanted: RoundDecisions) -> None:
        client = self._connected()
        session_id = client.session(self._session_name(wanted)).session_id
        now, unknown, areas = to_post(wanted.decisions, client.areas(session_id), self._posted_in(session_id))
        self._tell_left_out(client, wanted, unknown, areas)
        if self._settings.athena_dry_run:
            text = f"{client.name} would be told {len(now)} decisions on {areas - unknown} squares and holes"
            self._tell_once("dry", f"{text} (targets.athena_dry_run)", "set targets.athena_dry_run=false to post them")
            return
        for first in range(0, len(now), _AT_ONCE):
            some = now[first : first + _AT_ONCE]
            client.post_decisions(decisions_body(session_id, some))
            self._keep(session_id, some, wanted.round)
        _log.info("round %d: %d decisions posted, %d areas not known there", wanted.round, len(now), unknown)
        if areas > unknown:
            text = f"what frazil advises goes to {client.name}: {areas - unknown} squares and holes"
            self._tell_once("goes", text, "targets.athena_url: null ends it")

    def _connected(self) -> AthenaClient:
        settings = self._settings
        assert settings.athena_url is not None
        token = None
        if settings.athena_token is not None:  # read for each try: it may be changed while the session runs
            token = read_secret(settings.athena_token, "targets.athena_token", self._environ)
        return self._client(settings.athena_url, token)

    def _session_name(self, wanted: RoundDecisions) -> str:
        if self._settings.athena_session is not None:
            if self._given_for is None:
                self._given_for = wanted.session_names
            if wanted.session_names != self._given_for:  # numbers of holes may be the same on another grid
                raise SettingsError(
                    "another grid is in the microscope than when targets.athena_session was given",
                    remedy=_SESSION_REMEDY,
                )
            return self._settings.athena_session
        names = wanted.session_names
        if len(names) != 1:
            what = f"{len(names)} sessions of EPU are known by their EpuSession.dm" if names else "no EpuSession.dm"
            raise SettingsError(
                f"which of EPU's sessions this is, its decision service cannot be told: {what}", remedy=_SESSION_REMEDY
            )
        return names[0]

    def _posted_in(self, session_id: str) -> dict[tuple[int, str], str]:
        if self._posted is None or self._posted[0] != session_id:
            rows = self._store.rows(_POSTED_SQL, session_id)
            self._posted = session_id, {(int(area), str(kind)): str(value) for area, kind, value in rows}
        return self._posted[1]

    def _keep(self, session_id: str, some: Sequence[AreaDecision], round_number: int) -> None:
        now_utc_us = self._utc_us()
        rows = [
            PostedDecisionRow(
                session_id, one.area_id, one.area_type, one.decision_type, one.value, one.details,
                round_number, now_utc_us,
            )
            for one in some
        ]  # fmt: skip
        self._store.write(WritePolicy.RETRIED, target_writes.record_posted, rows)
        self._posted_in(session_id).update({one.key: one.value for one in some})

    # --- what a person is told -------------------------------------------------------------------------------------

    def _failed(self, error: FrazilError) -> None:
        self._failures += 1
        self._not_before_s = self._clock() + pause_s(self._failures)
        if isinstance(error, NotThereError):  # it may have lost what it was told
            self._posted = None
            self._store.write(WritePolicy.RETRIED, target_writes.forget_posted)
        _log.info("decisions are not posted: %s; tried again in %.0f s", error.what, pause_s(self._failures))
        kind = type(error).__name__
        if self._told.get(ALERT) == kind:
            return
        self._notices.over(ALERT)  # it says something else now
        self._told[ALERT], self._open = kind, True
        usual = _SESSION_REMEDY if isinstance(error, NotThereError) else _REMEDY
        text = f"what frazil advises does not reach EPU: {error.what}"
        self._notices.alert("warning", "targets", text, error.remedy or usual, ALERT)

    def _works(self) -> None:
        """Also after a restart, which forgets what was told: the store knows."""
        if self._open is None:
            self._open = bool(self._store.rows(_OPEN_SQL, ALERT)[0][0])
        if self._open:
            self._notices.over(ALERT)
            self._notices.alert(
                "info", "targets", "what frazil advises reaches EPU's decision service again", "nothing: it is posted"
            )
        self._open = False
        self._told.pop(ALERT, None)

    def _tell_left_out(self, client: AthenaClient, wanted: RoundDecisions, unknown: int, areas: int) -> None:
        if wanted.without_id:
            text = f"{wanted.without_id} squares and holes have no number of EPU's and are left out of what is posted"
            self._tell_once("ids", text, "nothing: they were found by another program, or by hand")
        if areas and unknown == areas:
            text = f"{client.name} knows none of the {areas} squares and holes of this grid"
            remedy = "check that targets.athena_session is this grid's; what EPU registers later is posted then"
            self._tell_once("areas", text, remedy, severity="warning")

    def _tell_once(self, subject: str, text: str, remedy: str, *, severity: str = "info") -> None:
        if subject not in self._told:
            self._told[subject] = text
            self._notices.alert(severity, "targets", text, remedy, f"{ALERT}-{subject}")
