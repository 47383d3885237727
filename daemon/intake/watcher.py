"""Watchdog as a source of hints. It may lose any event, go blind or die; the scan finds everything anyway.

Known ways of failing, all tried: the queue overflows without a word; a watched root that is deleted and made again
leaves a dead emitter behind an observer that says it is alive; a handler that raises ends all dispatching; the
kernel's limit on watches is reached while folders are added.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from frazil.daemon.intake.events import HintKind

log = logging.getLogger(__name__)
OnHint = Callable[[str, HintKind], None]


class Watcher(Protocol):
    def start(self) -> str | None:
        """Begin to watch; returns why it cannot (a sentence), or `None`."""

    def problem(self) -> str | None:
        """Why no hints come any more although they should; `None`: all well."""

    def stop(self) -> None: ...


class NoWatcher:
    """Polling: the scan does it all."""

    def start(self) -> str | None:
        return None

    def problem(self) -> str | None:
        return None

    def stop(self) -> None:
        return None


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into hints. Never raises: that would silently end the thread that calls it."""

    def __init__(self, root: str, on_hint: OnHint) -> None:
        super().__init__()
        self._root = root.rstrip("/") + "/"
        self._on_hint = on_hint
        self.failures = 0

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            self._dispatch(event)
        except Exception:  # a named boundary: watchdog's dispatch thread dies of anything that gets through
            self.failures += 1
            if self.failures == 1:
                log.exception("a file event could not be used; the scan will find the file")

    def _dispatch(self, event: FileSystemEvent) -> None:
        match event:
            case DirCreatedEvent() | DirMovedEvent() | DirDeletedEvent():
                self._on_hint("", HintKind.TREE)
            case FileClosedEvent():
                self._say(event.src_path, HintKind.CLOSED)
            case FileMovedEvent():
                self._say(event.dest_path, HintKind.CLOSED)  # renamed into place: nobody is writing under this name
            case FileCreatedEvent() | FileModifiedEvent():
                self._say(event.src_path, HintKind.CHANGED)

    def _say(self, path: str | bytes, kind: HintKind) -> None:
        text = os.fsdecode(path)
        if text.startswith(self._root):
            self._on_hint(text.removeprefix(self._root), kind)


class EventWatcher:
    """The operating system's events for one folder tree."""

    def __init__(self, root: Path, on_hint: OnHint, *, recursive: bool = True) -> None:
        self._root = root
        self._recursive = recursive
        self._handler = _Handler(str(root), on_hint)
        self._observer: BaseObserver | None = None
        self._root_identity: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def start(self) -> str | None:
        self.stop()
        with self._lock:
            observer = Observer()
            try:
                found = os.stat(self._root)
                observer.schedule(
                    self._handler,
                    str(self._root),
                    recursive=self._recursive,
                    event_filter=[
                        DirCreatedEvent,
                        DirMovedEvent,
                        DirDeletedEvent,
                        FileClosedEvent,
                        FileMovedEvent,
                        FileCreatedEvent,
                        FileModifiedEvent,
                    ],
                )
                observer.start()
            except OSError as error:
                return _why(error)
            self._root_identity = (found.st_dev, found.st_ino)
            self._observer = observer
        return None

    def problem(self) -> str | None:
        observer = self._observer
        if observer is None:
            return "it was not started"
        if not observer.is_alive():
            return "its thread ended"
        # The observer says that it is alive also when the thread that reads the events is dead.
        if not observer.emitters or not all(emitter.is_alive() for emitter in observer.emitters):
            return "the thread that reads the events ended"
        try:
            found = os.stat(self._root)
        except OSError:
            return "the folder is gone"
        if (found.st_dev, found.st_ino) != self._root_identity:
            return "the folder was replaced by another one"
        return None

    def stop(self) -> None:
        with self._lock:
            observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join(timeout=5.0)


def _why(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the kernel's limit on watched folders is reached (fs.inotify.max_user_watches)"
    if error.errno == errno.EMFILE:
        return "the limit on open files or on watchers is reached (fs.inotify.max_user_instances, ulimit -n)"
    return error.strerror or str(error)
