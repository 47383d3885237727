"""Alerts reach a real mail server and a real web server on loopback once: also over restarts and outages."""

from __future__ import annotations

import ast
import email
import email.policy
import html
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import frazil.daemon
from frazil.config.errors import SettingsError
from frazil.config.settings import ALERT_SUBJECTS, AlertSettings
from frazil.daemon.alerts.channels import About, Channel, channels_of
from frazil.daemon.alerts.courier import AlertCourier
from frazil.daemon.alerts.sending import Message, OpenAlert, SendingRules, retry_after_s
from frazil.daemon.alerts.wording import as_json, as_mail, subject_line
from frazil.daemon.store.rows import AlertRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes

ABOUT = About("night", "/data/night")
MINUTE_US = 60_000_000


class MailSink(socketserver.ThreadingTCPServer):
    """Enough of RFC 5321 to take mail; `down` refuses every mail with 451."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.down = False
        self.unknown = b"nobody knows"
        self.hangs_up = self.asks_password = False
        self.refuses = b"refuse me"
        super().__init__(("127.0.0.1", 0), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    server: MailSink

    def handle(self) -> None:
        self._say("220 sink")
        while line := self.rfile.readline():
            word = line.strip().upper()
            if word.startswith(b"MAIL") and self.server.down:
                self._say("451 try later")
            elif word.startswith(b"EHLO") and self.server.asks_password:
                self._say("250-sink\r\n250 AUTH PLAIN")
            elif word.startswith(b"RCPT") and self.server.unknown in line:
                self._say("550 nobody of that name")
            elif word == b"DATA":
                self._say("354 go on")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text)
                if any(self.server.refuses in line for line in lines):
                    self._say("554 not this one")
                    continue
                self.server.mails.append(
                    email.message_from_bytes(b"".join(lines), policy=email.policy.default)  # type: ignore[arg-type]
                )
                self._say("250 taken")
            elif word == b"QUIT":
                if not self.server.hangs_up:
                    self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class WebSink(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.down = False
        self.garbage = False
        self.refuses = b"refuse me"
        super().__init__(("127.0.0.1", 0), _Post)


class _Post(BaseHTTPRequestHandler):
    server: WebSink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.garbage:
            self.wfile.write(b"what do you mean?\r\n\r\n")
            return
        if self.server.down or self.server.refuses in body:
            self.send_error(503 if self.server.down else 400)
            return
        self.server.posts.append(json.loads(body))
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _served(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mail() -> Iterator[MailSink]:
    yield from _served(MailSink())


@pytest.fixture
def web() -> Iterator[WebSink]:
    yield from _served(WebSink())


class Clock:
    def __init__(self) -> None:
        self.utc_us = 1_000 * MINUTE_US

    def minutes(self, minutes: float) -> None:
        self.utc_us += int(minutes * MINUTE_US)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def both(mail: MailSink, web: WebSink, clock: Clock) -> list[Channel]:
    settings = AlertSettings(
        smtp_host="127.0.0.1",
        smtp_port=mail.server_address[1],
        smtp_security="none",
        smtp_from="scope@example.org",
        smtp_to=("a@example.org", "b@example.org"),
        webhooks=("mattermost env:HOOK",),
    )
    hook = f"http://127.0.0.1:{web.server_address[1]}/hooks/secret"
    return channels_of(settings, ABOUT, environ={"HOOK": hook}, utc_us=lambda: clock.utc_us)


def courier(store: Store, channels: list[Channel], clock: Clock, **rules: Any) -> AlertCourier:
    """A new one is what a restart makes."""
    return AlertCourier(
        store, channels, SendingRules(**rules), utc_us=lambda: clock.utc_us, clock=lambda: clock.utc_us / 1e6
    )


@pytest.fixture
def tell(store: Store, clock: Clock) -> Callable[..., None]:
    def write(text: str, severity: str = "error", subject: str = "worker", alert_id: str = "") -> None:
        row = AlertRow(severity, subject, text, clock.utc_us, remedy="look at logs/", alert_id=alert_id)
        store.submit(session_writes.record_alert, row).result()

    return write


def test_each_alert_is_received_once_by_mail_and_webhook_also_after_restarts(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    channels = both(mail, web, clock)
    tell("worker w0 does not come back")
    tell("all is well", severity="info")
    for _ in range(3):
        courier(store, channels, clock).step()
        clock.minutes(60)
    assert [m["Subject"] for m in mail.mails] == ["[frazil night] error: worker w0 does not come back"]
    assert mail.mails[0]["To"] == "a@example.org, b@example.org"
    assert "look at logs/" in mail.mails[0].get_content()
    assert len(web.posts) == 1
    assert "worker w0 does not come back" in web.posts[0]["text"]
    rows = store.named("alert_deliveries").as_dicts()
    assert [row["state"] for row in rows] == ["sent", "sent"]
    assert not any("secret" in str(value) for row in rows for value in row.values())


def test_killed_while_a_message_was_under_way_it_goes_again_with_the_same_id(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    class Killed(BaseException):
        pass

    class DiesAfterSending:
        def __init__(self, inner: Channel) -> None:
            self.name, self._inner = inner.name, inner

        def send(self, message: Message) -> None:
            self._inner.send(message)
            raise Killed

    channels = both(mail, web, clock)
    tell("worker w0 does not come back")
    with pytest.raises(Killed):
        courier(store, [DiesAfterSending(channels[0]), channels[1]], clock).step()
    tell("worker w1 does not come back")  # must not change the message that is under way
    courier(store, channels, clock, quiet_us=0).step()
    ids = [m["Message-ID"] for m in mail.mails]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]
    assert len(web.posts) == 1
    assert "+1 more" in web.posts[0]["text"]


def test_a_server_that_is_down_is_told_of_once_and_gets_everything_when_it_is_back(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None], alerts: Callable[[], list[str]]
) -> None:
    channels = both(mail, web, clock)
    mail.down = True
    sender = courier(store, channels, clock, quiet_us=0)
    tell("worker w0 does not come back")
    for number in range(6):
        sender.step()
        clock.minutes(11)
        tell(f"worker w{number + 1} does not come back")
    told = [text for text in alerts() if "do not get out" in text]
    assert len(told) == 1
    assert "451" in told[0]
    assert mail.mails == []
    assert len(web.posts) == 6
    again = courier(store, channels, clock, quiet_us=0)  # a restart in the middle
    mail.down = False
    again.step()
    received = "".join(m.get_content() for m in mail.mails)
    assert [received.count(f"worker w{number} does") for number in range(7)] == [1] * 7
    again.step()
    store.flush()
    assert not [a for a in store.named("alerts", {"open_only": True}).as_dicts() if a["subject"] == "delivery"]
    assert not any("do not get out" in str(post) for post in web.posts)


def test_a_receiver_that_is_refused_or_a_server_that_hangs_up_gives_the_others_no_second_mail(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    mail.unknown, mail.hangs_up = b"b@example.org", True
    channels = both(mail, web, clock)[:1]
    tell("worker w0 does not come back")
    for _ in range(3):
        courier(store, channels, clock).step()
        clock.minutes(60)
    assert len(mail.mails) == 1


def test_quiet_time_holds_and_bundles_but_an_error_does_not_wait_behind_warnings(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    channels = both(mail, web, clock)[:1]
    sender = courier(store, channels, clock, quiet_us=15 * MINUTE_US)
    for number in range(20):
        tell(f"m{number}.tiff is set aside", "warning", "movie")
        sender.step()
        clock.minutes(0.5)
    assert len(mail.mails) == 1
    tell("the disk is full", "error", "movie")
    sender.step()
    assert len(mail.mails) == 2
    clock.minutes(15)
    courier(store, channels, clock, quiet_us=15 * MINUTE_US).step()
    assert len(mail.mails) == 3
    assert "(+18 more)" in mail.mails[2]["Subject"]
    text = mail.mails[2].get_content()
    assert all(f"m{number}.tiff" in text for number in range(1, 20))


def test_what_is_acknowledged_muted_or_told_again_without_news_is_not_sent(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    channels = both(mail, web, clock)[:1]
    sender = courier(store, channels, clock, quiet_us=0, mute=("http",))
    tell("the gain changed", alert_id="g")
    store.submit(session_writes.acknowledge_alert, "g", who="me", utc_us=clock.utc_us + 1).result()
    tell("port taken", subject="http")
    sender.step()
    assert mail.mails == []
    clock.minutes(1)
    tell("the gain changed", alert_id="g")  # again after it was acknowledged
    sender.step()
    for _ in range(3):  # it stays open and is said again and again
        clock.minutes(5)
        tell("the gain changed", alert_id="g")
        sender.step()
    assert len(mail.mails) == 1
    store.submit(session_writes.clear_alert, "g", utc_us=clock.utc_us + 1).result()
    clock.minutes(5)
    tell("the gain changed once more", alert_id="g")
    sender.step()
    assert [m["Subject"] for m in mail.mails][1:] == ["[frazil night] error: the gain changed once more"]


def test_what_is_muted_costs_one_look_and_no_more(
    store: Store, clock: Clock, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    rows = store.rows

    def counted(statement: str, *values: object) -> list[tuple[Any, ...]]:
        looks.append(statement)
        return rows(statement, *values)

    class Quiet:
        name = "quiet"

        def send(self, message: Message) -> None:
            raise AssertionError("nothing is to be sent")

    monkeypatch.setattr(store, "rows", counted)
    tell("port taken", subject="http")
    tell("alerts do not get out", subject="delivery")
    assert courier(store, [Quiet()], clock, mute=("http",)).step() == 0
    assert len(looks) == 1


def test_a_cause_that_goes_on_after_it_was_acknowledged_is_quiet(store: Store) -> None:
    def said(utc_us: int) -> bool:
        row = AlertRow("warning", "gain", "pattern", utc_us)
        return store.submit(session_writes.record_alert, row, quiet_us=10).result()

    assert said(100)
    row = AlertRow("warning", "gain", "pattern", 0)
    store.submit(session_writes.acknowledge_alert, row.key(), who="me", utc_us=105).result()
    assert not said(110)
    assert said(116)


def test_the_thread_sends_and_ends(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    sender = courier(store, both(mail, web, clock), clock)
    sender.start()
    tell("worker w0 does not come back")
    sender.close()  # what is due goes before the end
    assert (len(mail.mails), len(web.posts)) == (1, 1)


def test_a_server_that_speaks_no_http_is_a_failure_like_others(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None]
) -> None:
    web.garbage = True
    sender = courier(store, both(mail, web, clock), clock)
    tell("worker w0 does not come back")
    sender.step()
    rows = {row["channel"][:4]: row for row in store.named("alert_deliveries").as_dicts()}
    assert (rows["smtp"]["state"], rows["matt"]["state"]) == ("sent", "failed")
    assert "secret" not in str(rows)
    web.garbage = False
    clock.minutes(1)
    assert sender.step() == 1
    assert len(web.posts) == 1


@pytest.mark.parametrize("wrong", [{"smtp_from": "scope@example.org\nBcc: x@example.org"}, {"smtp_password": "env:P"}])
def test_settings_that_no_mail_can_be_made_of_are_told_of(
    store: Store,
    mail: MailSink,
    clock: Clock,
    tell: Callable[..., None],
    alerts: Callable[[], list[str]],
    wrong: dict[str, str],
) -> None:
    mail.asks_password = True
    settings = AlertSettings(
        smtp_host="127.0.0.1",
        smtp_port=mail.server_address[1],
        smtp_security="none",
        smtp_to=("a@example.org",),
        smtp_user="me" if "smtp_password" in wrong else None,
        **wrong,  # type: ignore[arg-type]
    )
    channels = channels_of(settings, ABOUT, environ={"P": "schl\u00fcssel"}, utc_us=lambda: clock.utc_us)
    tell("worker w0 does not come back")
    assert courier(store, channels, clock).step() == 0
    assert any("do not get out by smtp" in text for text in alerts())
    assert "schl" not in str(alerts())


def test_the_thread_outlives_a_fault_of_its_own(store: Store, clock: Clock, tell: Callable[..., None]) -> None:
    failed, taken = threading.Event(), threading.Event()

    class Faulty:
        name = "faulty"

        def send(self, message: Message) -> None:
            if not failed.is_set():
                failed.set()
                raise KeyError("a fault of ours")
            taken.set()

    sender = courier(store, [Faulty()], clock)
    tell("worker w0 does not come back")
    sender.start()
    assert failed.wait(60)
    assert taken.wait(60)
    sender.close()


def test_a_message_that_is_refused_is_told_of_and_does_not_hold_up_the_others(
    store: Store, mail: MailSink, web: WebSink, clock: Clock, tell: Callable[..., None], alerts: Callable[[], list[str]]
) -> None:
    sender = courier(store, both(mail, web, clock), clock, quiet_us=0)
    tell("refuse me", subject="movie")
    clock.minutes(1)
    tell("worker w0 does not come back")
    assert sender.step() == 2
    clock.minutes(60)
    assert courier(store, both(mail, web, clock), clock).step() == 0  # not tried again, also not after a restart
    assert (len(mail.mails), len(web.posts)) == (1, 1)
    states = [row["state"] for row in store.named("alert_deliveries").as_dicts()]
    assert sorted(states) == ["refused", "refused", "sent", "sent"]
    assert sum("this was not taken: refuse me" in text for text in alerts()) == 2


@pytest.mark.parametrize("character", ["x", "&", "\u2265", "\U0001f534", '"'])
def test_no_shape_is_larger_than_its_program_takes(character: str) -> None:
    many = tuple(OpenAlert(str(n), n, "error", "movie", character * 900, character * 300) for n in range(50))
    bodies = {
        shape: as_json(Message(shape, "id", many, 0), shape=shape, session_name="n")
        for shape in ("slack", "mattermost", "teams")
    }
    text = bodies["slack"]["blocks"][1]["text"]["text"]
    assert 2800 < len(text) <= 3000
    assert html.escape(html.unescape(text), quote=False) == text  # no escape is cut
    attachments = json.dumps(bodies["mattermost"]["attachments"])
    size = len(attachments) + 5 * attachments.count("&")
    assert 3000 < size <= 8000
    assert bodies["mattermost"]["attachments"][0]["text"].endswith(" ...")
    assert (0 if character == "&" else 18_000) < len(json.dumps(bodies["teams"]).encode()) <= 28_000


def test_secrets_come_from_where_the_settings_say(tmp_path: Path, clock: Clock) -> None:
    def made(**settings: Any) -> list[Channel]:
        return channels_of(AlertSettings(**settings), ABOUT, environ={}, utc_us=lambda: clock.utc_us)

    with pytest.raises(SettingsError, match="HOOK is not set"):
        made(webhooks=("slack env:HOOK",))
    secret = tmp_path / "hook"
    with pytest.raises(SettingsError, match="cannot be read"):
        made(webhooks=(f"slack file:{secret}",))
    secret.write_text("not an address\n")
    with pytest.raises(SettingsError, match="is not an address"):
        made(webhooks=(f"slack file:{secret}",))
    secret.write_text("https://hooks.example.org/T0/B0/abc\n")
    (channel,) = made(webhooks=(f"slack file:{secret}",))
    assert channel.name.startswith("slack-")
    assert "abc" not in channel.name


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_password": "hunter2"},
        {"smtp_host": "mail.example.org"},
        {"smtp_host": "m", "smtp_to": ("a@b",), "smtp_user": "u"},
        {"webhooks": ("discord https://x",)},
        {"webhooks": ("https://x",)},
        {"mute": ("gains",)},
    ],
)
def test_settings_that_cannot_work_or_would_show_a_secret_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"alerts|give env:NAME|write `slack`|no alert has"):
        AlertSettings(**wrong)


def test_every_subject_that_is_used_can_be_muted_and_no_other() -> None:
    used = set()
    root = Path(frazil.daemon.__file__).parent
    for source in root.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = {"alert": 1, "AlertRow": 1, "Alert": 1, "Tell": 1, "Found": 2}.get(name)
            given = node.args[place : place + 1] if place is not None else []
            given += [k.value for k in node.keywords if k.arg == "subject"]
            used |= {n.value for n in given if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert used - {""} == set(ALERT_SUBJECTS)


def test_a_file_name_cannot_forge_a_header_or_markup() -> None:
    alert = OpenAlert("a", 0, "warning", "movie", "x\r\nBcc: evil@example.org\n<!channel>.tiff is set aside")
    message = Message("smtp", "id", (alert,), 0)
    mail = as_mail(message, session_name="n", session_dir="/d", sender="s@x", receivers=["r@x"], now_utc_us=0)
    assert mail["Bcc"] is None
    assert "\n" not in str(mail["Subject"])
    assert "<!channel>" not in json.dumps(as_json(message, shape="slack", session_name="n"))
    assert len(subject_line(Message("smtp", "id", (OpenAlert("a", 0, "info", "m", "y" * 999),), 0), "n")) <= 160


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ("slack", {"text", "blocks"}),
        ("mattermost", {"text", "attachments"}),
        ("teams", {"type", "summary", "attachments"}),
    ],
)
def test_each_shape_has_what_its_program_asks_for(shape: str, fields: set[str]) -> None:
    alert = OpenAlert("a", 0, "error", "disk", "full", remedy="free some")
    body = as_json(Message(shape, "id", (alert,), 0), shape=shape, session_name="n")
    assert set(body) == fields
    assert "free some" in json.dumps(body)


def test_pauses_grow_to_ten_minutes() -> None:
    assert [retry_after_s(n) for n in (1, 2, 3, 20)] == [5.0, 10.0, 20.0, 600.0]
