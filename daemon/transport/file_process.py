"""A session's file read by a process of its own, so that the screen is drawn while DuckDB is loaded and the first
questions are answered: on two cores the first rows stand there in little more than half the time.

The two speak the daemon's messages over socket pairs, one for each thread that asks. Which module reads is told by the
caller; this one knows neither the store nor ZeroMQ.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from frazil.config.errors import FrazilError
from frazil.daemon.transport.file_line import THREADS, SessionFile
from frazil.daemon.transport.messages import (
    AnyRequest,
    Failure,
    Reply,
    decode_reply,
    decode_request,
    open_envelope,
    pack,
)

_ASK, _CHANGED, _REST = b"a", b"c", b"r"
_YES, _NO = b"\1", b"\0"
_DIED = Failure("internal", "the process that reads the session's file has ended", "it is read again by itself")
_ENDS_WITHIN_S = 5.0


class FileProcess:
    """The end of the screen: a `SessionFile`. Started at once, before anybody waits for it.

    Parameters
    ----------
    module:
        Run with `-m`; gets the folder and the numbers of its sockets, and calls `serve`.
    """

    def __init__(self, module: str, session_dir: Path) -> None:
        pairs = [socket.socketpair() for _ in range(THREADS)]
        theirs = [pair[1].fileno() for pair in pairs]
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._all = [Connection(pair[0].detach()) for pair in pairs]
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(session_dir), *map(str, theirs)],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # the terminal is the screen's
            start_new_session=True,  # Ctrl-C is the screen's too
        )
        for _, other in pairs:
            other.close()

    def opened(self) -> None:
        """Wait until the file is open. Raises `FrazilError` with what was wrong."""
        try:
            told = msgspec.msgpack.decode(self._all[0].recv_bytes())
        except (EOFError, OSError):
            told = (_DIED.what, _DIED.remedy, None)
        if told is not None:
            self.close()
            what, remedy, path = told
            raise FrazilError(what, remedy=remedy, path=path)
        for connection in self._all:
            self._free.put(connection)

    def answer(self, request: AnyRequest) -> Reply:
        """As a daemon would answer. Never raises."""
        answer = self._call(_ASK + pack(0, request))
        return _DIED if answer is None else decode_reply(open_envelope(answer))

    def changed(self) -> bool:
        """Whether the file has been written to since this was asked last; also where nobody is there to say."""
        return self._call(_CHANGED) != _NO

    def rest(self) -> None:
        """Let go of the file until the next question; it is let go of when this returns."""
        self._call(_REST)

    def close(self) -> None:
        """Harmless when called twice. The process ends when nobody can ask it any more."""
        for connection in self._all:
            connection.close()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _call(self, message: bytes) -> bytes | None:
        """None: the process is not there any more."""
        connection = self._free.get()
        try:
            connection.send_bytes(message)
            return connection.recv_bytes()
        except (EOFError, OSError):
            return None
        finally:
            self._free.put(connection)


def serve(file: SessionFile | FrazilError, sockets: list[int]) -> None:
    """The other end: answers until the screen has gone. `file`: an error is told, and that is all."""
    connections = [Connection(number) for number in sockets]
    wrong = (file.what, file.remedy, file.path) if isinstance(file, FrazilError) else None
    connections[0].send_bytes(msgspec.msgpack.encode(wrong))
    if isinstance(file, FrazilError):
        return
    threads = [threading.Thread(target=_answer, args=(file, connection)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()


def _answer(file: SessionFile, connection: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_reply(file, connection.recv_bytes()))


def _reply(file: SessionFile, message: bytes) -> bytes:
    match message[:1]:
        case b"a":
            return pack(0, file.answer(decode_request(open_envelope(message[1:]))))
        case b"c":
            return _YES if file.changed() else _NO
        case _:
            file.rest()
            return _YES
