"""Which message goes out next: pure bookkeeping over alerts and what became of them, no clock, no network.

The newest opening of every alert goes to every channel once; one that opens again while its earlier opening still waits
is told of once, in its newest words. After a message about a subject the channel is quiet about it for a while, and
what comes meanwhile goes together in the next message: no alert is lost, and fifty movies that are set aside are two
mails. What was under way when the daemon ended goes again in the same message with the same id, by which
a receiver can tell that it has it already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from frazil.daemon.store.rows import DeliveryRow

SEVERITIES = ("info", "warning", "error")
DELIVERY_SUBJECT = "delivery"
"""Of alerts about alerts that cannot be sent; they are only on the screen."""
ENDED = ("sent", "refused")
"""States of a delivery after which it is not tried again."""
_MOST_IN_A_MESSAGE = 50
_FIRST_RETRY_S, _LONGEST_RETRY_S = 5.0, 600.0


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An opening of an alert that a person may not know of yet."""

    alert_id: str
    opened_utc_us: int
    severity: str
    subject: str
    text: str
    remedy: str | None = None
    acknowledged: bool = False
    cleared_utc_us: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Of this opening."""
        return self.alert_id, self.opened_utc_us


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to one channel at once."""

    channel: str
    message_id: str
    alerts: tuple[OpenAlert, ...]
    attempts: int
    """Before this one."""
    verdict: str = ""
    """On the session as it is when this is sent; empty: none yet."""


@dataclass(frozen=True, slots=True)
class SentBefore:
    """When a channel last had a message about a subject."""

    channel: str
    subject: str
    severity: str
    sent_utc_us: int


@dataclass(frozen=True, slots=True)
class SendingRules:
    """See `AlertSettings`."""

    least_severity: str = "warning"
    mute: Collection[str] = ()
    quiet_us: int = 900_000_000


def plan(
    alerts: Sequence[OpenAlert],
    deliveries: Iterable[DeliveryRow],
    sent: Iterable[SentBefore],
    *,
    channel: str,
    rules: SendingRules,
    now_utc_us: int,
) -> list[Message]:
    """Messages that are due on one channel, oldest alert first.

    Parameters
    ----------
    alerts:
        Openings that have not reached every channel.
    deliveries:
        How far they have got (any channel).
    sent:
        The newest message of every channel about every subject and severity.
    """
    mine = {(row.alert_id, row.opened_utc_us): row for row in deliveries if row.channel == channel}
    by_key = {alert.key: alert for alert in alerts}
    again: dict[str, list[DeliveryRow]] = {}
    for key, row in mine.items():
        if row.state not in ENDED and key in by_key:
            again.setdefault(row.message_id, []).append(row)
    messages = [
        Message(
            channel,
            message_id,
            tuple(sorted((by_key[row.alert_id, row.opened_utc_us] for row in rows), key=_age)),
            max(row.attempts for row in rows),
        )
        for message_id, rows in again.items()
    ]
    quiet_until = {
        (one.subject, one.severity): one.sent_utc_us + rules.quiet_us for one in sent if one.channel == channel
    }
    fresh: dict[tuple[str, str], list[OpenAlert]] = {}
    for alert in sorted(alerts, key=_age):
        if alert.key not in mine and _is_sent(alert, rules):
            fresh.setdefault((alert.subject, alert.severity), []).append(alert)
    for about, waiting in fresh.items():
        if now_utc_us < quiet_until.get(about, now_utc_us):
            continue
        for first in range(0, len(waiting), _MOST_IN_A_MESSAGE):
            together = tuple(waiting[first : first + _MOST_IN_A_MESSAGE])
            messages.append(Message(channel, _message_id(channel, together), together, 0))
    return sorted(messages, key=lambda message: _age(message.alerts[0]))


def retry_after_s(failures: int) -> float:
    """Pause after so many failures in a row: 5 s, doubled each time, at most 10 minutes."""
    return float(min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(max(failures - 1, 0), 20)))


def _is_sent(alert: OpenAlert, rules: SendingRules) -> bool:
    # What a person has acknowledged needs no mail. What was over before it could be sent does: it has happened.
    loud = SEVERITIES.index(alert.severity) >= SEVERITIES.index(rules.least_severity)
    return loud and not alert.acknowledged and alert.subject not in (*rules.mute, DELIVERY_SUBJECT)


def _age(alert: OpenAlert) -> tuple[int, str]:
    return alert.opened_utc_us, alert.alert_id


def _message_id(channel: str, alerts: Sequence[OpenAlert]) -> str:
    said = "\0".join([channel, *(f"{alert.alert_id} {alert.opened_utc_us}" for alert in alerts)])
    return hashlib.sha256(said.encode()).hexdigest()[:32]
