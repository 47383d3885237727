"""Looks at the session with the alert rules about once a second and tells what they find."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping

from frazil.config.settings import AlertSettings
from frazil.daemon.alerts.rules import AlertRules, Measured, Raised, RuleLimits
from frazil.daemon.session.notices import Notices
from frazil.daemon.store.movie_states import WAITING, finished
from frazil.daemon.store.store import Store
from frazil.daemon.transport.messages import LiveState, VerdictState
from frazil.models.causal.factors import FACTOR_WORDS
from frazil.models.session_verdict.records import Fault

_log = logging.getLogger(__name__)
_PREFIX = "rule-"
_RAISED_SQL = "SELECT alert_id FROM alerts WHERE starts_with(alert_id, 'rule-') AND cleared_utc_us IS NULL"
# Named with version 0 of the prior: against what physics calls usual. What the session's movies usually lose, of which
# the alert speaks, is known from version 1 on; the first movies are named again then.
_CAUSES_SQL = f"""
WITH newest AS MATERIALIZED (
    SELECT movie_id, sequence FROM movies WHERE {finished()} ORDER BY sequence DESC LIMIT ?
)
SELECT CASE WHEN k.prior_version > 0 THEN k.named_cause END
FROM newest m JOIN named_causes k USING (movie_id) ORDER BY m.sequence DESC LIMIT ?
"""
_LOOKED_AT = 10
"""Times as many movies among which those of named causes are looked for first: nearly all have one."""
_ALL = 1 << 40
_QUALITY_SQL = "SELECT 1 FROM alerts WHERE alert_id = ? AND cleared_utc_us IS NULL"
_QUALITY = frozenset({"worse", *(f"quality:{fault.name.lower()}" for fault in Fault)})
"""Rules of the verdict that are about quality."""
_REMEDIES: Mapping[str, str] = {
    "motion": "wait longer after stage moves, and check holder, cooling (nitrogen level, boiling) and drift",
    "ice": "choose thinner areas: raise the limit of the hole filter, or go to another square",
    "radiation_damage": "a smaller total dose, or check the dose that the acquisition program says",
    "spatial_coherence": "a smaller spot or a more parallel beam (C2 current), less defocus",
    "temporal_coherence": "check the energy filter's tuning and the high tension",
    "detector": "check gain reference and camera (a new dark reference, its temperature)",
    "coincidence": "a lower dose rate on the camera: a smaller spot, or a longer exposure",
    "heterogeneity": "the specimen itself: look at the 2-D classes",
    "aberrations": "redo coma-free alignment and stigmation; with beam shift, check its calibration",
    "defocus_spread": "thinner ice, or an untilted area",
    "motion_uncorrected": "more patches (motion.patch_grid_x, _y) or more dose a frame",
}


class RuleCheck:
    """See the module. Called from the daemon's own thread."""

    def __init__(
        self,
        settings: AlertSettings,
        store: Store,
        notices: Notices,
        *,
        late_sidecars: Callable[[int], int | None],
    ) -> None:
        """`late_sidecars`: of the so many newest movies, how many had theirs late; None: not known yet."""
        self._store, self._notices, self._late_sidecars = store, notices, late_sidecars
        self._movies = settings.cause_movies
        limits = RuleLimits(**{name: getattr(settings, name) for name in RuleLimits.__dataclass_fields__})
        standing = (one for one in ("error", "warning") if store.rows(_QUALITY_SQL, f"{_PREFIX}quality-{one}"))
        self._quality = next(standing, "")
        """Severity of the alert about it that stands; empty: none."""
        raised = [str(row[0]).removeprefix(_PREFIX) for row in store.rows(_RAISED_SQL)]
        words = {name: (what, _REMEDIES.get(name, "`frazil why` says more")) for name, what in FACTOR_WORDS.items()}
        self._rules = AlertRules(limits, raised, words)

    def step(self, state: LiveState, *, expecting: bool) -> None:
        """Judge the newest state; `expecting`: nobody has said that the session ends."""
        now = Measured(
            utc_us=state.utc_us,
            expecting=expecting,
            last_found_utc_us=state.last_found_utc_us,
            watching_since_utc_us=state.daemon_started_utc_us,
            waiting=sum(state.counts.get(name, 0) for name in WAITING),
            found_per_hour=state.found_per_hour,
            ready_per_hour=state.ready_per_hour,
            free_bytes=state.free_disk_bytes,
            disk_full_in_h=math.inf if state.written_bytes_per_s == 0 else state.disk_full_in_h,
            named_causes=self._named_causes(),
            late_sidecars=self._late_sidecars(self._movies),
        )
        for event in self._rules.step(now):
            if isinstance(event, Raised):
                found = event.found
                self._notices.alert(found.severity, found.subject, found.text, found.remedy, _PREFIX + found.rule)
            else:
                _log.info("over: %s", event.rule)
                self._notices.over(_PREFIX + event.rule)
        self._tell_of_quality(state.verdict)

    def _named_causes(self) -> list[str | None]:
        """Of the newest movies that were asked for theirs, the newest first."""
        rows = self._store.rows(_CAUSES_SQL, _LOOKED_AT * self._movies, self._movies)
        if len(rows) < self._movies:
            rows = self._store.rows(_CAUSES_SQL, _ALL, self._movies)
        return [row[0] for row in rows]

    def _tell_of_quality(self, verdict: VerdictState) -> None:
        """Of all that the verdict may say this alone has no alert of its own; that it does not flicker is the verdict's
        business. Told once while it lasts, and again where it becomes worse."""
        told = [line for line, rule in zip(verdict.reasons, verdict.rules, strict=False) if rule in _QUALITY]
        severity = "" if not told else "error" if told[0].startswith("stop") else "warning"
        if severity == self._quality:
            return
        if severity:
            self._notices.alert(severity, "quality", told[0], verdict.sentence, f"{_PREFIX}quality-{severity}")
        if self._quality:
            self._notices.over(f"{_PREFIX}quality-{self._quality}")
        self._quality = severity
