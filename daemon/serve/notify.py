"""Words to the service manager: ready, what is going on, stopping (sd_notify(3), a datagram to `$NOTIFY_SOCKET`)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


def notify(*fields: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send `READY=1`, `STATUS=...`, `STOPPING=1`, ...; False where nobody listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # of Linux' own names, which are no files
    text = "\n".join(field.replace("\n", " ") for field in fields)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(text.encode(), address)
        return True
    return False
