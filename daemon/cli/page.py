"""`frazil page`: a finished session as a web page, in one file or served on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from frazil.config.errors import UsageError
from frazil.daemon.client import connect
from frazil.daemon.store.session_files import check_is_session


def page(
    session: Annotated[Path, typer.Argument(help="The session's folder. Nothing is written into it.")],
    out: Annotated[
        Path | None, typer.Option(help="Write one self-contained HTML file [default: SESSION's name + '.html' here]")
    ] = None,
    serve: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve it on this port of 127.0.0.1 instead, until Ctrl-C")
    ] = None,
) -> None:
    """Show a finished session as a web page.

    \b
    Examples:
      frazil page /data/2026-09-21_apoferritin                     (writes 2026-09-21_apoferritin.html)
      frazil page /data/2026-09-21_apoferritin --out page.html
      frazil page /data/2026-09-21_apoferritin --serve 8265        (then http://127.0.0.1:8265)

    A session that is running shows its page with `frazil watch --http PORT`.
    """
    if out is not None and serve is not None:
        raise UsageError("--out and --serve are two ways to show one page", remedy="give one of them")
    client = connect(session)
    if client is not None:
        client.close()
        raise UsageError("this session is running", path=session, remedy="its page: `frazil watch ... --http PORT`")
    from frazil.daemon.status.finished import state_at_rest

    if serve is not None:
        from frazil.daemon.http.local_server import serve_session

        serve_session(
            session,
            serve,
            state_at_rest,
            announce=lambda at: typer.echo(f"{at} shows {session} until Ctrl-C", err=True),
        )
        return
    from frazil.daemon.http.file_source import FileSource
    from frazil.daemon.page.one_file import one_file
    from frazil.daemon.store.resting_file import RestingFile

    target = out if out is not None else Path(f"{session.resolve().name}.html")
    if target.resolve().is_relative_to(session.resolve()):
        raise UsageError("nothing is written into a session's folder", path=target, remedy="give another with --out")
    check_is_session(session)
    with RestingFile(session) as file:
        text = one_file(FileSource(session.resolve(), file, state_at_rest))
    target.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {target} ({len(text.encode()) / 1e6:.1f} MB)")
