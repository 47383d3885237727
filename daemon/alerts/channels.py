"""The ways out: a mail server and webhooks. Each sends one message within a time limit, or says why not."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import logging
import os
import smtplib
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from frazil.config.errors import RefusedError, RetryLaterError, SettingsError
from frazil.config.settings import AlertSettings
from frazil.daemon.alerts.sending import Message
from frazil.daemon.alerts.wording import as_json, as_mail
from frazil.daemon.session.secrets import read_secret

_log = logging.getLogger(__name__)
_TIMEOUT_S = 20.0
_TRY_AGAIN = (408, 429)
"""Of the answers that blame the request, those that are about its time (RFC 9110, 15.5.9; RFC 6585, 4)."""
_HELO = socket.gethostname()
"""Said by us, because smtplib's own asks the name server, which may take as long as a dead server."""


@dataclass(frozen=True, slots=True)
class About:
    """The session that alerts are of."""

    session_name: str
    session_dir: str


class Channel(Protocol):
    """A way out."""

    @property
    def name(self) -> str:
        """Of the channel; the same at every start with the same settings."""

    def send(self, message: Message) -> None:
        """Returns when the receiver has taken the message. Raises `RetryLaterError` when it has not (perhaps it
        has: then it gets the same message id again), `RefusedError` when it will not take this one either later."""


def channels_of(
    settings: AlertSettings, about: About, *, environ: Mapping[str, str], utc_us: Callable[[], int]
) -> list[Channel]:
    """The channels that the settings name.

    Raises
    ------
    SettingsError
        A password or an address that is not where the settings say.
    """
    found: list[Channel] = []
    if settings.smtp_host is not None:
        password = None
        if settings.smtp_password is not None:
            password = read_secret(settings.smtp_password, "alerts.smtp_password", environ)
        found.append(_Mail(settings, password, about, utc_us))
    for hook in settings.webhooks:
        shape, _, place = hook.partition(" ")
        address = place if place.startswith("http") else read_secret(place, "alerts.webhooks", environ)
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise SettingsError(
                f"alerts.webhooks: what {place} holds is not an address", remedy="it must begin with https://"
            )
        found.append(_Webhook(shape, address, about))
    return found


class _Mail:
    name = "smtp"

    def __init__(self, settings: AlertSettings, password: str | None, about: About, utc_us: Callable[[], int]) -> None:
        self._settings, self._password, self._about, self._utc_us = settings, password, about, utc_us

    def send(self, message: Message) -> None:
        settings = self._settings
        place = f"mail: {settings.smtp_host}:{settings.smtp_port}"
        try:
            # Inside, because an address of the settings may be none that a header takes.
            mail = as_mail(
                message,
                session_name=self._about.session_name,
                session_dir=self._about.session_dir,
                sender=settings.smtp_from or f"frazil@{socket.gethostname()}",
                receivers=settings.smtp_to,
                now_utc_us=self._utc_us(),
            )
            server = self._connect()
            try:
                if settings.smtp_security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if settings.smtp_user is not None and self._password is not None:
                    server.login(settings.smtp_user, self._password)
                refused = server.send_message(mail)
            except BaseException:
                server.close()
                raise
        except smtplib.SMTPDataError as error:
            # 5yz after the text itself: never this text (RFC 5321, 4.2.1). Wrong names and senders are the settings'.
            kind = RefusedError if error.smtp_code >= 500 else RetryLaterError
            raise kind(f"{place}: {_said(error)}") from error
        except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: headers, a password beyond ASCII
            raise RetryLaterError(f"{place}: {_said(error)}") from error
        # From here on somebody has it: sent again, they would have it twice, whatever becomes of the rest.
        if refused:
            _log.warning("mail: %s refuses %s", settings.smtp_host, ", ".join(sorted(refused)))
        with contextlib.suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        host = settings.smtp_host or ""
        if settings.smtp_security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, settings.smtp_port, _HELO, timeout=_TIMEOUT_S, context=context)
        return smtplib.SMTP(host, settings.smtp_port, _HELO, timeout=_TIMEOUT_S)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A webhook that moved is a mistake in the settings: alerts do not go to wherever somebody points them."""

    def redirect_request(self, *_: object) -> None:
        return None


class _Webhook:
    def __init__(self, shape: str, address: str, about: About) -> None:
        self._shape, self._address, self._about = shape, address, about
        # A digest, because the address is a secret and the name is stored.
        self.name = f"{shape}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, message: Message) -> None:
        host = urllib.parse.urlsplit(self._address).hostname
        try:
            body = as_json(message, shape=self._shape, session_name=self._about.session_name)
            request = urllib.request.Request(
                self._address,
                data=json.dumps(body).encode(),
                headers={"Content-Type": "application/json", "Idempotency-Key": message.message_id},
                method="POST",
            )
            self._opener.open(request, timeout=_TIMEOUT_S).close()  # its status says enough
        except urllib.error.HTTPError as error:
            error.close()
            final = 400 <= error.code < 500 and error.code not in _TRY_AGAIN
            kind = RefusedError if final else RetryLaterError
            raise kind(f"{self._shape}: {host} answers {error.code} {error.reason}") from error
        except OSError as error:
            raise RetryLaterError(f"{self._shape}: {host}: {_said(error)}") from error
        except (http.client.HTTPException, ValueError) as error:
            # By its name alone: the words of these hold what was sent or asked for, the secret address too.
            raise RetryLaterError(f"{self._shape}: {host}: {type(error).__name__}, no answer of a webhook") from error


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__


def environment() -> Mapping[str, str]:
    """Of this process."""
    return os.environ
