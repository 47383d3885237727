"""Alerts as mail and as the JSON that chat programs take: pure."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from frazil.daemon.alerts.sending import Message, OpenAlert

SHAPES = ("slack", "teams", "mattermost")
_SUBJECT_LENGTH = 160
_MORE = " ..."
_SIGNS = {"error": "\N{LARGE RED CIRCLE}", "warning": "\N{LARGE ORANGE CIRCLE}", "info": "\N{LARGE BLUE CIRCLE}"}
_COLORS = {"error": "#d55e00", "warning": "#e69f00", "info": "#0072b2"}
_TEAMS_COLORS = {"error": "Attention", "warning": "Warning", "info": "Accent"}
_SLACK_TEXT = 2900
"""A section of Slack's holds 3000 characters, after escaping."""
_MATTERMOST_TEXT = 5500
"""Attachments are properties of a post, and some servers take 8000 characters of these, as JSON."""
_TEAMS_BYTES = 24_000
"""A message of Teams' holds 28 kB, all of it."""


def subject_line(message: Message, session_name: str) -> str:
    """One line without control characters: session, severity, what happened, how much more."""
    first = message.alerts[0]
    more = f" (+{len(message.alerts) - 1} more)" if len(message.alerts) > 1 else ""
    line = f"[frazil {_plain(session_name)}] {first.severity}: {_plain(first.text)}"
    room = _SUBJECT_LENGTH - len(more)
    return (line if len(line) <= room else line[: room - 3] + "...") + more


def body_lines(message: Message) -> list[str]:
    """The verdict on the session first, then what is told."""
    verdict = [f"The session now: {_plain(message.verdict)}"] if message.verdict else []
    return [*verdict, *lines_of(message.alerts)]


def lines_of(alerts: Sequence[OpenAlert]) -> list[str]:
    """Two lines an alert at most: when and what, then the remedy."""
    lines = []
    for alert in alerts:
        over = "" if alert.cleared_utc_us is None else f" (over at {_clock(alert.cleared_utc_us)} UTC)"
        what = f"{_clock(alert.opened_utc_us)} UTC {alert.severity}, {alert.subject}: {_plain(alert.text)}{over}"
        lines.append(what)
        if alert.remedy:
            lines.append(f"  -> {_plain(alert.remedy)}")
    return lines


def as_mail(
    message: Message, *, session_name: str, session_dir: str, sender: str, receivers: Sequence[str], now_utc_us: int
) -> EmailMessage:
    """Plain text. The Message-ID is that of the message whenever it is sent, so that a server may drop a second one."""
    mail = EmailMessage()
    mail["Subject"] = subject_line(message, session_name)
    mail["From"] = sender
    mail["To"] = ", ".join(receivers)
    mail["Message-ID"] = f"<{message.message_id}@frazil>"
    mail["Date"] = format_datetime(datetime.fromtimestamp(now_utc_us / 1e6, UTC))
    mail["Auto-Submitted"] = "auto-generated"
    footer = [
        "",
        f"session {_plain(session_dir)}",
        f"see it: frazil tui --session {_plain(session_dir)} (k acknowledges)",
        f"or: frazil alerts {_plain(session_dir)} --acknowledge all",
    ]
    mail.set_content("\n".join([*body_lines(message), *footer]) + "\n")
    return mail


def as_json(message: Message, *, shape: str, session_name: str) -> dict[str, Any]:
    """The body that an incoming webhook of this kind takes.

    Slack: blocks with a fallback text (`api.slack.com/messaging/webhooks`). Mattermost: attachments, as Slack had
    before. Teams: an adaptive card, as its workflows take them. What is too long for them is cut. Raises ValueError for
    another shape.
    """
    worst = message.alerts[0].severity  # one message is about one severity
    title = subject_line(message, session_name)
    body = "\n".join(body_lines(message))
    match shape:
        case "slack":
            text = _slack(_fit(body, _SLACK_TEXT, lambda text: len(_slack(text))))
            return {
                "text": _slack(title),
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": f"{_SIGNS[worst]} *{_slack(title)}*"}},
                    {"type": "section", "text": {"type": "mrkdwn", "text": text}},
                ],
            }
        case "mattermost":
            return {
                "text": f"{_SIGNS[worst]} {title}",
                "attachments": [
                    {"fallback": title, "color": _COLORS[worst], "text": _fit(body, _MATTERMOST_TEXT, _json_size)}
                ],
            }
        case "teams":
            head = {"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True, "color": _TEAMS_COLORS[worst]}
            lines = _teams_blocks(body_lines(message), _TEAMS_BYTES - 2 * _json_size(title) - 1000)
            card = {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [head, *lines],
            }
            attachment = {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
            return {"type": "message", "summary": title, "attachments": [attachment]}
    raise ValueError(f"no webhook has the shape {shape!r}")


def _teams_blocks(lines: Sequence[str], room: int) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for line in lines:
        block = {"type": "TextBlock", "text": line, "wrap": True}
        own = len(json.dumps(block)) + 2 - _json_size(line)
        fits = own + _json_size(line) <= room
        if not fits:
            block["text"] = _fit(line, max(room - own, len(_MORE)), _json_size)
        blocks.append(block)
        room -= own + _json_size(line)
        if not fits:
            break
    return blocks


def _fit(text: str, room: int, size: Callable[[str], int]) -> str:
    """The longest beginning that has room, with dots for what is left out. `size` of a text is that of its characters
    added up: the text is cut before it is escaped, so that no escape is cut."""
    if size(text) <= room:
        return text
    ends = list(itertools.accumulate(map(size, text)))
    return text[: bisect.bisect_right(ends, room - size(_MORE))] + _MORE


def _json_size(text: str) -> int:
    # Go's encoder (Mattermost) escapes these three as six characters each.
    return len(json.dumps(text)) - 2 + 5 * sum(text.count(c) for c in "<>&")


def _plain(text: str) -> str:
    # Also what a header may not hold: a line break in a file's name would begin a header of its own.
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(utc_us: int) -> str:
    return datetime.fromtimestamp(utc_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
