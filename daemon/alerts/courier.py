"""Carries alerts to mail server and webhooks on a thread of its own: a dead server never delays a movie.

What is to be sent is read from the store and what was sent is written there, so that a restart loses nothing. A message
is noted as under way before it goes, and as sent after the receiver has taken it. Killed between the two it goes again,
with the same id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from frazil.config.errors import RefusedError, RetryLaterError
from frazil.daemon.alerts.channels import Channel
from frazil.daemon.alerts.sending import (
    DELIVERY_SUBJECT,
    SEVERITIES,
    Message,
    OpenAlert,
    SendingRules,
    SentBefore,
    plan,
    retry_after_s,
)
from frazil.daemon.session.stepped_thread import SteppedThread
from frazil.daemon.store.rows import AlertRow, DeliveryRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes

_log = logging.getLogger(__name__)
_WAITING = "nothing is lost: they are sent when it answers again; check the settings of `alerts`"
_TAKEN = "it is on the screen and in `frazil alerts`; if all are refused, check the settings of `alerts`"
_ALERTS_SQL = """
SELECT alert_id, opened_utc_us, severity, subject, text, remedy, acknowledged_utc_us IS NOT NULL, cleared_utc_us
FROM alerts a WHERE acknowledged_utc_us IS NULL AND list_contains(?, severity) AND NOT list_contains(?, subject) AND (
    SELECT count(*) FROM alert_deliveries d WHERE d.alert_id = a.alert_id AND d.opened_utc_us = a.opened_utc_us
    AND d.state IN ('sent', 'refused') AND list_contains(?, d.channel)) < ?
"""
_DELIVERIES_SQL = """
SELECT alert_id, opened_utc_us, channel, d.state, attempts, message_id, last_error, sent_utc_us
FROM alert_deliveries d JOIN alerts a USING (alert_id, opened_utc_us) WHERE list_contains(?, alert_id)
"""
_SENT_SQL = """
SELECT channel, subject, severity, max(sent_utc_us) FROM alert_deliveries JOIN alerts USING (alert_id)
WHERE sent_utc_us IS NOT NULL AND list_contains(?, subject) GROUP BY ALL
"""


class AlertCourier:
    """See the module. `start`, then `close` before the store is closed."""

    def __init__(
        self,
        store: Store,
        channels: Sequence[Channel],
        rules: SendingRules,
        *,
        utc_us: Callable[[], int],
        verdict: Callable[[], str] = lambda: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`verdict`: on the session as it is now, in a sentence."""
        self._verdict = verdict
        self._store, self._channels, self._rules = store, tuple(channels), rules
        self._utc_us, self._clock = utc_us, clock
        self._failures: dict[str, int] = {channel.name: 0 for channel in channels}
        self._not_before_s: dict[str, float] = {}
        self._thread = SteppedThread("alert-courier", self.step, log=_log, cannot="alerts cannot be sent now")

    def start(self) -> None:
        """Without channels there is nothing to do, and no thread."""
        if self._channels:
            self._thread.start()

    def close(self, wait_s: float = 10.0) -> None:
        """Try once more what is due, at most so long; what stays is sent at the next start. Harmless twice."""
        self._thread.close(wait_s)

    def step(self) -> int:
        """Send what is due now on every channel; returns how many messages went out."""
        names = [channel.name for channel in self._channels]
        loud = list(SEVERITIES[SEVERITIES.index(self._rules.least_severity) :])
        # What is never sent is left out here: it would be looked at again every second of the session.
        silent = [*self._rules.mute, DELIVERY_SUBJECT]
        alerts = [OpenAlert(*row) for row in self._store.rows(_ALERTS_SQL, loud, silent, names, len(names))]
        if not alerts:
            return 0
        deliveries = [DeliveryRow(*row) for row in self._store.rows(_DELIVERIES_SQL, [a.alert_id for a in alerts])]
        sent = [SentBefore(*row) for row in self._store.rows(_SENT_SQL, list({a.subject for a in alerts}))]
        gone = 0
        for channel in self._channels:
            if self._clock() < self._not_before_s.get(channel.name, 0.0):
                continue
            due = plan(alerts, deliveries, sent, channel=channel.name, rules=self._rules, now_utc_us=self._utc_us())
            for message in due:
                state = self._send(channel, message)
                if state == "failed":
                    break  # the others would fail, too
                gone += state == "sent"
        return gone

    def _send(self, channel: Channel, message: Message) -> str:
        """The state that the message has then."""
        self._note(message, "sending")
        try:
            channel.send(replace(message, verdict=self._verdict()))
        except RefusedError as error:
            # Tried again it would stand in the way of all that come after it. A corrected address is another channel,
            # which gets what is open.
            self._note(message, "refused", error=error.what)
            _log.warning("alerts: %s; not sent again", error.what)
            self._tell(_refused_id(channel.name), f"{error.what}; this was not taken: {message.alerts[0].text}", _TAKEN)
            return "refused"
        except RetryLaterError as error:
            self._failures[channel.name] += 1
            failures = self._failures[channel.name]
            self._not_before_s[channel.name] = self._clock() + retry_after_s(failures)
            self._note(message, "failed", error=error.what)
            _log.warning("alerts: %s; tried again in %.0f s", error.what, retry_after_s(failures))
            if failures == 1:
                why = f"alerts do not get out by {channel.name}: {error.what}"
                self._tell(_own_id(channel.name), why, _WAITING)
            return "failed"
        self._note(message, "sent", sent_utc_us=self._utc_us())
        # Also after a restart, which forgets the failures: the store knows whether it was told of.
        self._store.write(WritePolicy.RETRIED, session_writes.clear_alert, _own_id(channel.name), utc_us=self._utc_us())
        self._failures[channel.name] = 0
        self._not_before_s.pop(channel.name, None)
        return "sent"

    def _note(self, message: Message, state: str, *, error: str | None = None, sent_utc_us: int | None = None) -> None:
        rows = [
            DeliveryRow(
                *alert.key,
                channel=message.channel,
                state=state,
                attempts=message.attempts + 1,
                message_id=message.message_id,
                last_error=error,
                sent_utc_us=sent_utc_us,
            )
            for alert in message.alerts
        ]
        self._store.write(WritePolicy.DURABLE, session_writes.record_deliveries, rows)

    def _tell(self, alert_id: str, text: str, remedy: str) -> None:
        alert = AlertRow("warning", DELIVERY_SUBJECT, text, self._utc_us(), remedy=remedy, alert_id=alert_id)
        self._store.write(WritePolicy.RETRIED, session_writes.record_alert, alert)


def _own_id(channel: str) -> str:
    return f"delivery-{channel}"


def _refused_id(channel: str) -> str:
    return f"refused-{channel}"
