"""A mail server and a webhook on loopback that keep what they are given."""

from __future__ import annotations

import html
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    received: list[str]


class _WebServer(ThreadingHTTPServer):
    daemon_threads = True
    received: list[Any]


class _Mail(socketserver.StreamRequestHandler):
    server: _MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            word = line.strip().upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text.decode())
                self.server.received.append("".join(lines))
                self.wfile.write(b"250 taken\r\n")
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


class _Web(BaseHTTPRequestHandler):
    server: _WebServer

    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where they listen and what came; `settings` leads frazil's alerts to them."""

    mail_port: int
    web_port: int
    mails: list[str] = field(default_factory=list)
    posts: list[Any] = field(default_factory=list)

    def settings(self) -> dict[str, object]:
        """The `alerts` section."""
        return {
            "smtp_host": "127.0.0.1",
            "smtp_port": self.mail_port,
            "smtp_security": "none",
            "smtp_to": ["operator@example.org"],
            "webhooks": [f"slack http://127.0.0.1:{self.web_port}/hook"],
        }

    def times_told(self, words: str) -> tuple[int, int]:
        """In how many mails and posts the words stand."""
        return (
            sum(words in " ".join(text.split()) for text in self.mails),
            sum(words in html.unescape(json.dumps(post, ensure_ascii=False)) for post in self.posts),
        )


@contextmanager
def alert_sinks() -> Iterator[Sinks]:
    """Both, until the block ends."""
    with _MailServer(("127.0.0.1", 0), _Mail) as mail, _WebServer(("127.0.0.1", 0), _Web) as web:
        mail.received, web.received = [], []
        for server in (mail, web):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield Sinks(mail.server_address[1], web.server_address[1], mail.received, web.received)
        mail.shutdown()
        web.shutdown()
