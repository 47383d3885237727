"""`frazil tui`: the live screen of a session."""

from __future__ import annotations

import enum
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from frazil.daemon.store.session_files import DATABASE_NAME, check_is_session
from frazil.daemon.transport.endpoints import find_endpoints
from frazil.daemon.transport.file_line import OpenFile, SessionFile
from frazil.daemon.transport.file_process import FileProcess
from frazil.daemon.transport.messages import Row


class PictureWish(enum.StrEnum):
    """Of a person (`frazil.tui.graphics.terminal.Wish`)."""

    AUTO = "auto"
    KITTY = "kitty"
    SIXEL = "sixel"
    BLOCKS = "blocks"


def tui(
    session: Annotated[
        Path | None, typer.Argument(help="A session's folder, or one that holds sessions [default: this one]")
    ] = None,
    session_option: Annotated[Path | None, typer.Option("--session", help="The same as a flag.")] = None,
    pictures: Annotated[
        PictureWish,
        typer.Option(
            "--pictures",
            envvar="FRAZIL_PICTURES",
            help="Pictures in the terminal's own pixels (kitty, sixel) or in half blocks (blocks); auto asks it.",
        ),
    ] = PictureWish.AUTO,
    wait: Annotated[bool, typer.Option("--wait", help="Open the screen before there is a session.")] = False,
) -> None:
    """Show a session live: movies, trends, workers, alerts; or a finished one, which only needs its folder.

    The screen only looks: it may be opened, closed and opened again, several times at once, over ssh too; the daemon
    goes on. Of a session that has ended it reads the folder, which may be a copy, on another machine or closed to
    writing. In a folder of sessions it lists them: Enter opens one, Escape leads back. Press ? for the keys.

    \b
    Examples:
      frazil tui /data/2026-09-21_apoferritin
      frazil tui /data
      ssh -t scope frazil tui /data/2026-09-21_apoferritin
    """
    session = session or session_option or Path()
    if wait or find_endpoints(session) is not None or (session / DATABASE_NAME).exists():
        if not wait and find_endpoints(session) is None:
            check_is_session(session)
        _show(session, pictures)
    else:
        _choose_and_show(session.resolve(), pictures)


def _show(session: Path, pictures: PictureWish, *, from_list: bool = False) -> bool:
    """True: the person wants back to the list."""
    begun = _reading_begun(session)
    from frazil.tui.graphics import kitty
    from frazil.tui.graphics.terminal import graphics_asked

    with graphics_asked(pictures.value, os.environ) as answered:
        from frazil.tui.app import FrazilApp  # Textual: not for the other verbs, and while the terminal answers

        graphics = answered()
    if graphics.kind == "kitty":
        # Over ssh the variable stays behind; a terminal that speaks this protocol has all colours, and pictures are
        # known by theirs.
        os.environ.setdefault("COLORTERM", "truecolor")
    app = FrazilApp(session, open_file=_opener(begun), from_list=from_list, graphics=graphics)
    try:
        app.run()
    finally:
        if begun is not None:
            begun.close()
    if app.images:
        sys.stdout.write("".join(kitty.forget(image_id) for image_id in sorted(app.images)))
        sys.stdout.flush()
    if app.return_code:
        raise typer.Exit(app.return_code)
    if not app.left_for_list and find_endpoints(session) is not None:
        typer.echo("Detached; the daemon goes on. `frazil status` shows the same in text.")
    return app.left_for_list


def _reading_begun(session: Path) -> FileProcess | None:
    """A process that opens the file while this one loads Textual; None where a daemon answers, or nothing is there."""
    if find_endpoints(session) is not None or not (session / DATABASE_NAME).exists():
        return None
    return FileProcess("frazil.daemon.status.finished_process", session)


def _opener(begun: FileProcess | None) -> OpenFile:
    """What was begun is taken once; after it (a daemon came and went) this process reads by itself."""
    waiting = [] if begun is None else [begun]

    def open_file(session_dir: Path) -> SessionFile:
        if waiting:
            process = waiting.pop()
            process.opened()
            return process
        return _open_file(session_dir)

    return open_file


def _open_file(session_dir: Path) -> SessionFile:
    from frazil.daemon.status.finished import open_finished  # DuckDB: beside the start of the screen, not before it

    return open_finished(session_dir)


def _choose_and_show(root: Path, pictures: PictureWish) -> None:
    """Raises `UsageError` where there is no session."""
    from frazil.daemon.cli.status import state_of
    from frazil.daemon.report.sessions_list import sessions_list
    from frazil.daemon.store.queries.many_sessions import sessions_below
    from frazil.tui.chooser import ChooserApp

    hidden = sessions_below(root).not_readable  # so that a folder without any is said now

    def lines() -> Iterator[Row]:
        return (line.as_row() for line in sessions_list(root, state_of))

    chosen: str | None = None
    while True:
        chosen = ChooserApp(root, lines, lambda: time.time_ns() // 1000, chosen=chosen, hidden=hidden).run()
        if chosen is None or not _show(Path(chosen), pictures, from_list=True):
            return
